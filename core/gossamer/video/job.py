"""One clip, from file to file: read, matted, held still, coloured, written, each piece as soon as it is whole."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import gossamer
from gossamer.arguments import check_call
from gossamer.errors import InputError, OutputError
from gossamer.files import staging_folder
from gossamer.networks.recurrence import Recurrence
from gossamer.paths import source_path, target_path
from gossamer.pipeline import checked_recipe
from gossamer.progress import Progress, ProgressCallback
from gossamer.settings import ModelChoice, Recipe
from gossamer.settings.video import Video
from gossamer.video.ahead import Behind, ahead
from gossamer.video.clip import Frame
from gossamer.video.delivery import assemble, check_goal, put_into_place
from gossamer.video.finishing import Finisher, check_fits
from gossamer.video.formats import format_for
from gossamer.video.holding import Held, Past, Steady
from gossamer.video.joining import Voice
from gossamer.video.libav import writing_to
from gossamer.video.matters import Matter, load_matter
from gossamer.video.opening import Source, frames_of, open_source
from gossamer.video.parts import Parts
from gossamer.video.region import Region
from gossamer.video.segment import FilmPlan, Picture, Segment, open_segment
from gossamer.video.strength import holding_strength
from gossamer.video.timed import TimedPrompt
from gossamer.video.tracking import following

__all__ = ["VideoReport", "cut_video"]

PIECE = 48  # frames of a segment: what a kill costs at most
_NOTHING = 0.1  # of a matte: what is nowhere above it shows nobody
_AHEAD = 3  # frames that wait on either side of the network


@dataclass(frozen=True)
class VideoReport:
    """What was done with a clip.

    Attributes
    ----------
    output : str
    model, device : str
    frames : int
        Of the result.
    width, height : int
        Of the result.
    duration : float
        Seconds of the result.
    format : str
    seconds : dict of str to float
        What the stages took, one after the other; ``total`` less than their sum where they overlap.
    fps : float
        Frames a second that were worked through.
    warnings : tuple of str
    resumed : int
        Frames that an earlier run had finished.
    """

    output: str
    model: str
    device: str
    frames: int
    width: int
    height: int
    duration: float
    format: str
    seconds: dict[str, float] = field(default_factory=dict)
    fps: float = 0.0
    warnings: tuple[str, ...] = ()
    resumed: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain types, ready for JSON."""
        return {**vars(self), "warnings": list(self.warnings)}


@dataclass(frozen=True, eq=False)
class _Seen:
    """A frame on its way, and what was remembered before it."""

    frame: Frame
    before: Recurrence


def cut_video(
    source: str | Path,
    out: str | Path,
    settings: Video | None = None,
    recipe: Recipe | None = None,
    choice: ModelChoice | str | None = None,
    *,
    prompts: Sequence[TimedPrompt] = (),
    force: bool = False,
    resume: bool = False,
    progress: ProgressCallback | Progress | None = None,
    announce: Callable[[str], object] | None = None,
    **options: Any,
) -> VideoReport:
    """Cut the subject of a clip out, of any length, in the memory of some frames.

    Parameters
    ----------
    source : path
        Any file that FFmpeg reads, or a folder of numbered pictures.
    out : path
        ``.mov``, ``.webm``, ``.mkv``, ``.mp4``, or a new folder for pictures. Segments of the unfinished result lie in
        ``OUT.parts``, each of them playable; it is gone when the result is there.
    settings : Video, optional
        How the clip is read, held still and written.
    recipe : Recipe, optional
        What is done with each picture. Where it does not name a matting, models that remember keep their own edges.
    choice : ModelChoice or str, optional
        Which model: any of single pictures, or one that remembers, such as ``rvm-mobilenetv3``; with prompts SAM 2.1.
    prompts : sequence of TimedPrompt
        What is meant at which time, followed through the whole clip.
    force : bool
        Replace what is there.
    resume : bool
        Go on with what a run that was ended left in ``OUT.parts``, from the last whole segment on; the result is that
        of an uninterrupted run.
    progress : callable, optional
        ``progress(fraction, message)``; raising :class:`gossamer.Cancelled` in it stops the work.
    announce : callable, optional
        Called with one sentence when weights are fetched.
    **options
        Fields of :class:`~gossamer.settings.video.Video`, instead of those in `settings`.

    Returns
    -------
    VideoReport

    Raises
    ------
    InputError
        The clip cannot be read, or settings do not go together.
    OutputExists, OutputError
        The result is there already, or cannot be written; what is finished is kept.
    ModelError
        The model cannot be found, fetched, loaded or run.
    MissingExtra
        PyAV is not installed.
    """
    check_call(announce, "announce", "announce(sentence)")
    settings, recipe = Video.of(settings, **options), checked_recipe(recipe) or Recipe()
    check_fits(recipe)
    choice, steps = ModelChoice.of(choice), Progress.of(progress)
    place = source_path(source, "clip")
    goal = target_path(out)
    if goal.exists() and place.exists() and goal.samefile(place):
        raise OutputError(f"{goal} is the clip itself.", "Give another name: the clip would be gone.")
    with open_source(place, settings) as clip:
        finisher = Finisher(clip.clip, recipe, settings, choice, announce)
        plan = FilmPlan.of(
            clip.clip,
            format_for(goal, settings, transparent=settings.show == "cutout" and not finisher.opaque),
            settings.crf,
            settings.rate,
            settings.show,
            finisher.opaque,
        )
        finisher.eight_bit = plan.eight_bit
        with closing(finisher), ExitStack() as closing_with:
            before = Parts.delivered(goal) if resume else None
            if before is None:
                check_goal(goal, plan, force)
            finisher.prepare(steps)
            matter: Matter
            followed, looking = None, steps.part(0.0, 0.02)
            if prompts:
                matter = followed = following(
                    clip.clip, lambda: frames_of(clip, settings), prompts, choice, settings, looking, announce
                )
                closing_with.callback(followed.close)
            else:
                matter = load_matter(choice, recipe, settings, looking, announce)
            strength = holding_strength(settings, recipe, remembers=matter.remembers)
            told = _identity(place, plan, settings, recipe, matter, choice, strength)
            told["prompts"] = [[str(one.at), one.prompt.to_json()] for one in prompts]
            suffix = "" if plan.format.is_folder else ".mkv" if plan.format.animated else goal.suffix.lower()
            parts = Parts(goal, suffix, told, resume=resume, force=force)
            try:
                if before is not None:
                    parts.remove()
                    return VideoReport(**{**before, "warnings": tuple(before["warnings"]), "resumed": before["frames"]})
                try:
                    work = _Work(clip, plan, settings, finisher, matter, parts, strength, steps.part(0.02, 0.98))
                    if followed is not None and work.is_missing_frames:
                        followed.follow()
                    work.run()
                except BaseException:
                    if not parts.frames:  # nothing to go on with
                        parts.remove()
                    raise
                return work.delivered(goal, force, steps.part(0.98, 1.0))
            finally:
                parts.release()


def _identity(
    place: Path, plan: FilmPlan, settings: Video, recipe: Recipe, matter: Matter, choice: ModelChoice, strength: float
) -> dict[str, Any]:
    """Return what decides the result, for a later run to compare."""
    status = place.stat()
    return {
        "gossamer": gossamer.__version__,
        "clip": [place.name, 0 if place.is_dir() else status.st_size, status.st_mtime_ns],
        "model": [matter.id, choice.runtime, choice.quality, choice.combine],
        "format": plan.format.id,
        "settings": {**settings.model_dump(), "hold_strength": strength},
        "recipe": hashlib.sha256(recipe.model_dump_json().encode()).hexdigest(),
    }


class _Work:
    """The run of one clip."""

    def __init__(
        self,
        source: Source,
        plan: FilmPlan,
        settings: Video,
        finisher: Finisher,
        matter: Matter,
        parts: Parts,
        strength: float,
        steps: Progress,
    ) -> None:
        self._source, self._plan, self._settings, self._matter = source, plan, settings, matter
        self._finisher, self._parts, self._steps = finisher, parts, steps
        self._begun, self._start = parts.frames, time.monotonic()
        self._seconds: dict[str, float] = {}
        past = Past.of({name.removeprefix("held_"): one for name, one in parts.state.items() if "held_" in name})
        self._holds = strength > 0
        self._steady: Steady[_Seen] = Steady(strength, past)
        self._remembered = _recalled(parts.state)
        self._segment: Segment | None = None
        self._times: list[Fraction] = []
        self._made = self._begun
        self._region = Region.of(settings.roi, source.clip)
        begin, end = settings.span
        known = source.clip.seconds
        until = min(float(end), known) if end is not None and known else known or (float(end) if end else 0.0)
        self._is_found = self._begun > 0  # what an earlier run saw is not known
        self._expected = max(1, round((until - float(begin)) * float(plan.rate)))

    @property
    def is_missing_frames(self) -> bool:
        """Whether there is a frame that no earlier run has made."""
        return not self._begun or any(True for _ in self._frames())

    def run(self) -> None:
        """Make all segments that are missing."""
        frames = ahead(self._frames(), _AHEAD, self._steps)
        try:
            with closing(frames), Behind(_AHEAD, self._steps) as behind:
                for held in self._matted(frames):
                    self._give(held, behind)
                if self._times:  # whoever goes on after the last picture finds no other
                    self._end_segment(self._remembered, behind, self._times[-1] + self._source.clip.time_base)
        finally:
            if self._segment is not None:
                self._segment.discard()
        if not self._parts.frames:
            raise InputError(
                f"{self._source.clip.path} has no frame between the in point and the out point.",
                "Give others with --start and --end.",
            )

    def _frames(self) -> Iterator[Frame]:
        done = None
        if self._begun and "time" in self._parts.state:
            done = self._begun, Fraction(str(self._parts.state["time"]))
        return frames_of(self._source, self._settings, self._begun, done)

    def _matted(self, frames: Iterator[Frame]) -> Iterator[Held[_Seen]]:
        """Yield frames with their mattes, held still."""
        for frame in frames:
            self._tell(frame)
            looked = frame if self._region is None else self._region.within(frame)
            with self._clock("model"):
                found = self._matter.matte(looked, self._remembered, _Ticks(self._steps))
            seen = _Seen(frame, self._remembered)
            self._remembered = found.remembered
            with self._clock("matting"):
                alpha = self._finisher.matte(looked, found.alpha, self._matter.remembers, _Ticks(self._steps))
            if self._region is not None:
                alpha = self._region.placed(alpha, frame)
            self._is_found = self._is_found or float(alpha.max()) > _NOTHING
            with self._clock("hold"):
                ready = list(self._steady.add(seen, frame.pixels, alpha))
            yield from ready
        yield from self._steady.rest()

    def _give(self, held: Held[_Seen], behind: Behind) -> None:
        """Finish one picture and have it written; the segment before is closed first where it is full."""
        frame = held.thing.frame
        if len(self._times) == PIECE:
            self._end_segment(held.thing.before, behind, frame.time)
        if self._segment is None:
            path, plan, number = self._parts.next, self._plan, self._made
            self._segment = open_segment(path, plan, number)
        segment = self._segment
        if self._holds:  # colours are held still too, frame by frame: the next matte waits for them
            picture = self._picture(held, _Ticks(self._steps))
            behind.do(lambda: self._write(segment, picture))
        else:
            behind.do(lambda: self._write(segment, self._picture(held, Progress.of(None))))
        self._times.append(frame.time)
        self._made += 1
        self._state_after = self._steady.past

    def _picture(self, held: Held[_Seen], progress: Progress) -> Picture:
        with self._clock("colours"):
            alpha = held.alpha if self._region is None else self._region.kept(held.alpha)
            return self._finisher.picture(held.thing.frame, alpha, self._steady, progress)

    def _write(self, segment: Segment, picture: Picture) -> None:
        with self._clock("write"):
            segment.add(picture)

    def _end_segment(self, remembered: Recurrence, behind: Behind, following: Fraction) -> None:
        """Close the segment, and write down how to go on after it, with a picture at or after a time."""
        segment, times = self._segment, tuple(self._times)
        state: dict[str, NDArray[Any]] = {"time": np.array(str(following)), "size": np.array(remembered.size)}
        state |= {f"state_{number}": one for number, one in enumerate(remembered.states)}
        if self._state_after is not None:
            state |= {f"held_{name}": one for name, one in self._state_after.arrays().items()}
        finished = threading.Event()

        def close() -> None:
            assert segment is not None  # noqa: S101 - a picture was written
            with self._clock("write"):
                segment.close()
                self._parts.finish(times, state)
            finished.set()

        behind.do(close)
        while not finished.wait(0.05):
            self._steps.tick()
            if behind.failed:
                behind.do(lambda: None)  # raises what it failed of
        self._segment, self._times = None, []

    _state_after: Past | None = None

    def _tell(self, frame: Frame) -> None:
        done = self._made - self._begun
        spent = time.monotonic() - self._start
        rate = done / spent if spent > 0 and done else 0.0
        left = max(0, self._expected - self._made)
        said = f"Frame {frame.number + 1} of about {max(self._expected, frame.number + 1)}"
        if rate:
            minutes, seconds = divmod(round(left / rate), 60)
            said += f", {rate:.3g} frames/s, {minutes // 60}:{minutes % 60:02d}:{seconds:02d} left"
        self._steps(min(0.999, self._made / self._expected), said)

    def delivered(self, goal: Path, force: bool, progress: Progress) -> VideoReport:
        """Put the result into its place, and tell of it."""
        parts, plan = self._parts, self._plan
        with writing_to(goal, "What is finished is kept."), staging_folder(goal.parent) as staging:
            made = staging / f"joined{goal.suffix}"
            with self._clock("join"):
                warnings = assemble(parts.pieces, plan, self._voice(), made, goal, progress)
            report = self._report(goal, warnings)
            parts.deliver(made, report.as_dict())
            put_into_place(made, goal, force)
        parts.remove()
        return report

    def _report(self, goal: Path, joined: list[str]) -> VideoReport:
        plan, times = self._plan, [time for piece in self._parts.pieces for time in piece.times]
        warnings = [*self._matter.warnings, *self._source.warnings, *self._finisher.warnings, *joined]
        warnings += plan.losses(self._source.clip, goal)
        if not self._is_found:
            warnings.append("Nothing was found in any frame: name another model, or say what is meant with --box.")
        spent = time.monotonic() - self._start
        return VideoReport(
            output=str(goal),
            model=self._matter.id,
            device=self._matter.device,
            frames=len(times),
            width=plan.width,
            height=plan.height,
            duration=float(times[-1] + 1 / plan.rate),
            format=plan.format.id,
            seconds={**{name: round(one, 3) for name, one in self._seconds.items()}, "total": round(spent, 3)},
            fps=round((len(times) - self._begun) / spent, 3) if spent else 0.0,
            warnings=tuple(dict.fromkeys(warnings)),
            resumed=self._begun,
        )

    def _voice(self) -> Voice | None:
        if self._settings.sound == "none" or not self._source.clip.has_sound:
            return None
        begin, _ = self._settings.span
        return Voice(self._source.clip.path, self._source.begin + begin, begin > 0)

    @contextmanager
    def _clock(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[stage] = self._seconds.get(stage, 0.0) + time.perf_counter() - start


class _Ticks(Progress):
    """Lets a stage of one frame cancel, without a fraction of its own: the clip's stays."""

    def __init__(self, whole: Progress) -> None:
        super().__init__(lambda fraction, message: whole.tick())


def _recalled(state: dict[str, NDArray[Any]]) -> Recurrence:
    states = [state[name] for name in sorted(name for name in state if name.startswith("state_"))]
    if not states:
        return Recurrence()
    height, width = (int(side) for side in state["size"])
    return Recurrence(tuple(states), (height, width))
