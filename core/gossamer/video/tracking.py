"""Prompts on a clip's frames, followed through all of them before the clip is cut: SAM 2.1's masks, one a frame."""

from __future__ import annotations

import itertools
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.errors import InputError
from gossamer.networks.recurrence import Recurrence
from gossamer.progress import Progress
from gossamer.prompting.places import Places, places_of, points_of
from gossamer.prompting.prompt import Prompt
from gossamer.prompting.sam2_video import POINTERS, Sam2Tracker, Track, load_sam2_tracker
from gossamer.settings import ModelChoice
from gossamer.settings.video import Video
from gossamer.video.clip import Clip, Frame
from gossamer.video.opening import Source, frames_of
from gossamer.video.recurrent import Matted

__all__ = ["TimedPrompt", "Tracked", "tracked"]

_STEPS = 8.0  # of a logit that is written down: 127 of them reach to 15.9, where the sigmoid is 1 - 1e-7
_BACK = 32  # frames that are held, small, when a clip is gone through in reverse


@dataclass(frozen=True, eq=False)
class TimedPrompt:
    """What is said of a frame.

    Attributes
    ----------
    at : Fraction
        Seconds of the clip: the frame that is shown then.
    prompt : Prompt
        Boxes, points, a mask or scribbles; no text.
    """

    at: Fraction
    prompt: Prompt


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

    Raises
    ------
    InputError
        A prompt has text, names no place, or lies on no frame.
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
    ) -> None:
        self.id, self.device = tracker.id, tracker.device
        self._tracker, self._progress = tracker, progress
        self._size = clip.height, clip.width
        # One after the other, packed: a clip of any length takes no memory for them.
        self._file: Any = tempfile.TemporaryFile(prefix="gossamer-track-")
        self._places: dict[int, tuple[int, int]] = {}
        try:
            self._follow(self._by_frame(prompts, begin, frames, clip), frames)
        except BaseException:
            self.close()
            raise

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
    ) -> dict[int, Prompt]:
        """Return the prompts in pixels, by the number of the frame that is shown at their time."""
        found: dict[int, Prompt] = {}
        waiting = sorted(prompts, key=lambda one: one.at)
        for one in waiting:
            if one.prompt.text:
                raise InputError("A clip's subject is not named by words.", "Give a box or a point.")
        shown = None
        for frame in frames():
            self._progress.tick()
            while waiting and shown is not None and waiting[0].at - begin < frame.time:
                self._put(found, shown, waiting.pop(0), clip)
            shown = frame.number
            if not waiting:
                break
        if shown is None:
            raise InputError(f"{clip.path} has no frame between the in point and the out point.", "Give others.")
        for one in waiting:
            self._put(found, shown, one, clip)
        return found

    @staticmethod
    def _put(found: dict[int, Prompt], number: int, timed: TimedPrompt, clip: Clip) -> None:
        prompt = _in_pixels(timed.prompt, clip)
        if number in found:
            raise InputError("Two prompts are for the same frame.", "Give them together.")
        if not _places(prompt):
            raise InputError(f"The prompt at {float(timed.at):g} s names no place.", "Give a box, a point or a mask.")
        found[number] = prompt

    def _follow(self, prompts: dict[int, Prompt], frames: Callable[[], Iterator[Frame]]) -> None:
        first = min(prompts)
        count = sum(1 for _ in itertools.islice(frames(), POINTERS))
        track = Track(self._tracker, *self._size, count)
        if not any(one.box or one.points or one.mask is not None for one in _places(prompts[first])):
            raise InputError("The first prompt only says what is not meant.", "Say also what is: a box or a point.")
        places = {number: _places(prompt) for number, prompt in prompts.items()}
        start = next(frame for frame in frames() if frame.number == first)
        self._look(track, start.number, self._tracker.small(start.pixels), places.get(first, []), False)
        for number, small in self._reversed(first, frames):
            self._look(track, number, small, [], True)
        for frame in frames():
            if frame.number > first:
                here = places.get(frame.number, [])
                self._look(track, frame.number, self._tracker.small(frame.pixels), here, False)

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
        logits = track.frame(number, small, places, quiet, back=back)
        whole = np.clip(np.rint(logits * np.float32(_STEPS)), -127, 127).astype(np.int8)
        packed = zlib.compress(whole.tobytes(), 1)
        self._file.seek(0, 2)
        self._places[number] = self._file.tell(), len(packed)
        self._file.write(packed)


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


def tracked(
    source: Source,
    prompts: Sequence[TimedPrompt],
    choice: ModelChoice,
    settings: Video,
    progress: Progress,
    announce: Callable[[str], object] | None,
) -> Tracked:
    """Return the subjects of prompts in every frame of a clip, followed by SAM 2.1.

    Parameters
    ----------
    source : Source
    prompts : sequence of TimedPrompt
    choice : ModelChoice
        Its model: auto, an id of SAM 2.1, or a folder.
    settings : Video
    progress : Progress
    announce : callable, optional
        Told what is fetched.

    Raises
    ------
    GossamerError
        As :func:`gossamer.prompting.sam2_video.load_sam2_tracker` and :class:`Tracked`.
    """
    if settings.roi:
        raise InputError("A prompt says where the subject is already.", "Leave the region out.")
    tracker = load_sam2_tracker(
        choice.model,
        device=choice.device,
        precision=choice.precision,
        folders=choice.folders,
        progress=progress,
        announce=announce,
    )
    begin, _ = settings.span
    return Tracked(tracker, prompts, source.clip, begin, lambda: frames_of(source, settings), progress)
