"""Prompts on a clip's frames, followed through all of them before the clip is cut: SAM's masks, one a frame."""

from __future__ import annotations

import itertools
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.errors import InputError
from gossamer.networks.recurrence import Recurrence
from gossamer.progress import Progress
from gossamer.prompting.choice import choose
from gossamer.prompting.families import family_of
from gossamer.prompting.places import Places, places_of, points_of
from gossamer.prompting.prompt import Prompt
from gossamer.prompting.sam2_video import POINTERS, Sam2Tracker, Track, load_sam2_tracker
from gossamer.prompting.sam3_video import load_sam3_tracker
from gossamer.session import Session
from gossamer.settings import ModelChoice
from gossamer.settings.video import Video
from gossamer.video.clip import Clip, Frame
from gossamer.video.recurrent import Matted
from gossamer.video.timed import Followed, TimedPrompt

__all__ = ["Following", "Tracked", "following"]

_STEPS = 8.0  # of a logit that is written down: 127 of them reach to 15.9, where the sigmoid is 1 - 1e-7
_BACK = 32  # frames that are held, small, when a clip is gone through in reverse


class Tracked:
    """The subjects of prompts in every frame; a model for frames, that has looked at all of them before.

    Parameters
    ----------
    tracker : Sam2Tracker
    prompts : sequence of TimedPrompt
    clip : Clip
    begin : Fraction
        The in point.
    frames : callable
        Gives all frames between the in point and the out point, as often as it is called.
    progress : Progress
        Called for each frame; may raise to cancel.
    named : callable, optional
        Given a frame and a prompt with words it returns where the subjects are that they name, one each.
    before : Followed, optional
        Of the chunks before, where a clip comes in chunks: what was followed there is followed on. Frames are numbered
        from 0 in each.
    keeps : bool
        Whether there may be another chunk.

    Attributes
    ----------
    followed : Followed or None
        What the next chunk goes on with, where it was to be kept.

    Raises
    ------
    InputError
        A prompt has words and nothing reads them, names no place, or lies on no frame.
    """

    remembers = False
    warnings: tuple[str, ...] = ()

    def __init__(
        self,
        tracker: Sam2Tracker,
        prompts: Sequence[TimedPrompt],
        clip: Clip,
        begin: Fraction,
        frames: Callable[[], Iterator[Frame]],
        progress: Progress,
        named: Callable[[Frame, Prompt], list[Places]] | None = None,
        before: Followed | None = None,
        keeps: bool = False,
    ) -> None:
        self.id, self.device = tracker.id, tracker.device
        self._tracker, self._progress, self._named = tracker, progress, named
        self._size = clip.height, clip.width
        self._before = 0 if before is None else before.count
        # One after the other, packed: a clip of any length takes no memory for them.
        self._file: Any = tempfile.TemporaryFile(prefix="gossamer-track-")
        self._places: dict[int, tuple[int, int]] = {}
        try:
            places = self._by_frame(prompts, begin, frames, clip) if prompts else {}
            track = self._follow(places, frames) if before is None else self._follow_on(places, frames, before)
        except BaseException:
            self.close()
            raise
        said = frozenset[bytes]() if before is None else before.said
        signs = said | {one.sign for one in prompts}
        self.followed = Followed(track.state, self._before + len(self._places), signs) if keeps else None

    def close(self) -> None:
        """Let go of the masks."""
        self._file.close()

    def matte(self, frame: Frame, remembered: Recurrence, progress: Progress) -> Matted:
        """Return the mask of a frame that was followed."""
        import cv2

        offset, length = self._places[frame.number]
        self._file.seek(offset)
        side = int(np.sqrt(len(raw := zlib.decompress(self._file.read(length)))))
        logits = np.frombuffer(raw, np.int8).reshape(side, side).astype(np.float32) / np.float32(_STEPS)
        height, width = frame.pixels.shape[:2]
        large = cv2.resize(logits, (width, height), interpolation=cv2.INTER_LINEAR)
        mask = (1 / (1 + np.exp(-large))).astype(np.float32)
        return Matted(mask, remembered)

    def _by_frame(
        self, prompts: Sequence[TimedPrompt], begin: Fraction, frames: Callable[[], Iterator[Frame]], clip: Clip
    ) -> dict[int, list[Places]]:
        """Return where the subjects of the prompts are, by the number of the frame that is shown at their time."""
        found: dict[int, list[Places]] = {}
        waiting = sorted(prompts, key=lambda one: one.at)
        if self._named is None and any(one.prompt.text for one in waiting):
            raise InputError("A clip's subject is not named by words.", "Give a box or a point.")
        shown = None
        for frame in frames():
            self._progress.tick()
            while waiting and shown is not None and waiting[0].at - begin < frame.time:
                self._put(found, shown, waiting.pop(0), clip)
            shown = frame
            if not waiting:
                break
        if shown is None:
            raise InputError(f"{clip.path} has no frame between the in point and the out point.", "Give others.")
        for one in waiting:
            self._put(found, shown, one, clip)
        return found

    def _put(self, found: dict[int, list[Places]], frame: Frame, timed: TimedPrompt, clip: Clip) -> None:
        if frame.number in found:
            raise InputError("Two prompts are for the same frame.", "Give them together.")
        if timed.prompt.text and self._named is not None:
            found[frame.number] = self._named(frame, timed.prompt)
            return
        places = _places(_in_pixels(timed.prompt, clip))
        if not places:
            raise InputError(f"The prompt at {float(timed.at):g} s names no place.", "Give a box, a point or a mask.")
        found[frame.number] = places

    def _follow(self, places: dict[int, list[Places]], frames: Callable[[], Iterator[Frame]]) -> Track:
        first = min(places)
        count = sum(1 for _ in itertools.islice(frames(), POINTERS))
        track = Track(self._tracker, *self._size, count)
        if not any(one.box or one.points or one.mask is not None for one in places[first]):
            raise InputError("The first prompt only says what is not meant.", "Say also what is: a box or a point.")
        start = next(frame for frame in frames() if frame.number == first)
        self._look(track, start.number, self._tracker.small(start.pixels), places.get(first, []), False)
        for number, small in self._reversed(first, frames):
            self._look(track, number, small, [], True)
        for frame in frames():
            if frame.number > first:
                here = places.get(frame.number, [])
                self._look(track, frame.number, self._tracker.small(frame.pixels), here, False)
        return track

    def _follow_on(
        self, places: dict[int, list[Places]], frames: Callable[[], Iterator[Frame]], before: Followed
    ) -> Track:
        count = before.count + sum(1 for _ in itertools.islice(frames(), POINTERS))
        track = Track(self._tracker, *self._size, count, before.track)
        for frame in frames():
            here = places.get(frame.number, [])
            self._look(track, frame.number, self._tracker.small(frame.pixels), here, False)
        return track

    def _reversed(self, first: int, frames: Callable[[], Iterator[Frame]]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Yield the frames before one, the last first; some of them are held, the rest is decoded once more."""
        end = first
        while end > 0:
            begin = max(0, end - _BACK)
            held = []
            for frame in frames():
                if frame.number >= end:
                    break
                if frame.number >= begin:
                    held.append((frame.number, self._tracker.small(frame.pixels)))
                self._progress.tick()
            yield from reversed(held)
            end = begin

    def _look(self, track: Track, number: int, small: NDArray[np.uint8], places: Sequence[Any], back: bool) -> None:
        self._progress(0.0, f"Following the subject, frame {number + 1}")
        quiet = Progress(lambda fraction, message: self._progress.tick())
        logits = track.frame(self._before + number, small, places, quiet, back=back)
        whole = np.clip(np.rint(logits * np.float32(_STEPS)), -127, 127).astype(np.int8)
        packed = zlib.compress(whole.tobytes(), 1)
        self._file.seek(0, 2)
        self._places[number] = self._file.tell(), len(packed)
        self._file.write(packed)


class Following:
    """What follows the subjects of prompts: loaded, and begun where there is something to follow them for.

    Nobody asks for masks where an earlier run has made every frame, and only what comes after is left to do.

    Parameters
    ----------
    tracker : Sam2Tracker
    follow : callable
        Follows them.
    """

    remembers = False
    warnings: tuple[str, ...] = ()

    def __init__(self, tracker: Sam2Tracker, follow: Callable[[], Tracked]) -> None:
        self.id, self.device = tracker.id, tracker.device
        self._follow = follow
        self._tracked: Tracked | None = None

    def follow(self) -> None:
        """Go through all frames, before masks are asked for; nobody else may read them meanwhile.

        Raises
        ------
        InputError
            As :class:`Tracked`.
        """
        self._tracked = self._follow()

    def matte(self, frame: Frame, remembered: Recurrence, progress: Progress) -> Matted:
        """Return the mask of a frame that was followed."""
        assert self._tracked is not None  # noqa: S101 - see follow()
        return self._tracked.matte(frame, remembered, progress)

    @property
    def followed(self) -> Followed | None:
        """What the next chunk of a clip goes on with, see :class:`Tracked`."""
        return None if self._tracked is None else self._tracked.followed

    def close(self) -> None:
        """Let go of the masks."""
        if self._tracked is not None:
            self._tracked.close()


def _in_pixels(prompt: Prompt, clip: Clip) -> Prompt:
    """Return a prompt in pixels; where something is followed it makes sense to say only what is not meant."""
    says = prompt.points or prompt.boxes or prompt.mask is not None or prompt.scribbles is not None
    if prompt.not_points and not says:
        turned, _ = replace(prompt, points=prompt.not_points, not_points=()).in_pixels(clip.width, clip.height)
        return replace(turned, points=(), not_points=turned.points)
    found, _ = prompt.in_pixels(clip.width, clip.height)
    return found


def _places(prompt: Prompt) -> list[Places]:
    """Return the subjects that a prompt means; points that belong to nothing correct the first one."""
    if found := places_of(prompt):
        return found
    _, aside = points_of(prompt)
    return [Places(None, (), aside)] if aside else []


def _is_sam3(model: str) -> bool:
    return family_of(model) == "sam3"


def _check_times(prompts: Sequence[TimedPrompt], clip: Clip, settings: Video) -> None:
    """Refuse prompts before the in point and after the end, before anything is fetched."""
    begin, end = settings.span
    ends = [float(end)] if end is not None else []
    ends += [clip.seconds] if clip.seconds else []
    for at in (one.at for one in prompts):
        if at < begin or (ends and at > min(ends)):
            until = f"to {min(ends):.4g} s" if ends else "on"
            raise InputError(
                f"There is no frame at {float(at):g} s: what is cut out goes from {float(begin):g} s {until}.",
                "Give a time of the clip, or other in and out points.",
            )


def following(
    clip: Clip,
    frames: Callable[[], Iterator[Frame]],
    prompts: Sequence[TimedPrompt],
    choice: ModelChoice,
    settings: Video,
    progress: Progress,
    announce: Callable[[str], object] | None,
    before: Followed | None = None,
    keeps: bool = False,
) -> Following:
    """Return what follows the subjects of prompts through every frame of a clip: SAM 2.1 or SAM 3, loaded.

    Words are looked for in their frame, as in a picture: by SAM 3, or by Grounding DINO with SAM 2.1.

    Parameters
    ----------
    clip : Clip
    frames : callable
        Gives all frames between the in point and the out point, as often as it is called.
    prompts : sequence of TimedPrompt
    choice : ModelChoice
        Its model: auto (SAM 2.1; SAM 3 where it is the one that reads the prompt's words), an id of SAM 2.1, sam3, or a
        folder.
    settings : Video
    progress : Progress
    announce : callable, optional
        Told what is fetched.
    before : Followed, optional
        Of the chunks before; ``auto`` is then the model that followed them.
    keeps : bool
        Whether there may be another chunk.

    Raises
    ------
    GossamerError
        As :func:`gossamer.prompting.sam2_video.load_sam2_tracker`,
        :func:`gossamer.prompting.sam3_video.load_sam3_tracker`, :meth:`gossamer.Session.subjects` and :class:`Tracked`.
    """
    if settings.roi:
        raise InputError("A prompt says where the subject is already.", "Leave the region out.")
    _check_times(prompts, clip, settings)
    model, words = choice.model, next((one.prompt for one in prompts if one.prompt.text), None)
    if model == "auto" and words is not None and choose(words, folders=choice.folders)[0] == "sam3":
        model = "sam3"
    if choice.model == "auto" and before is not None:
        model = before.track.network[0]
    reads = _is_sam3(model)

    def named(frame: Frame, prompt: Prompt) -> list[Places]:
        device, folders = choice.device, choice.folders
        looking = Session(frame.pixels, prompt_model=model if reads else "auto", device=device, folders=folders)
        quiet = Progress(lambda fraction, message: progress.tick())
        found = looking.subjects(prompt, on_empty="empty", progress=quiet, announce=announce)
        looking.unload()  # or two large networks are held
        if not found.found:
            phrases = " or ".join(f'"{phrase}"' for phrase in prompt.text)
            raise InputError(
                f"Nothing was found for {phrases} in frame {frame.number + 1}.",
                "Name it otherwise, choose a time at which it shows well, or give a box.",
            )
        return [Places(mask=subject.mask) for subject in found.subjects]

    load = load_sam3_tracker if reads else load_sam2_tracker
    tracker = load(
        model,
        device=choice.device,
        precision=choice.precision,
        folders=choice.folders,
        progress=progress,
        announce=announce,
    )
    begin, _ = settings.span
    told = progress.part(1.0, 1.0)  # it begins where the loading has ended, and nobody knows how far it is
    return Following(tracker, lambda: Tracked(tracker, prompts, clip, begin, frames, told, named, before, keeps))
