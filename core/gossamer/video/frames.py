"""Frames that somebody else holds: cut out one after the other, what is remembered of them passed in and out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.arguments import check_call
from gossamer.arrays import Array
from gossamer.canvas.stage import changes_the_picture
from gossamer.errors import InputError
from gossamer.networks.recurrence import Recurrence
from gossamer.pipeline import checked_recipe
from gossamer.progress import Progress, ProgressCallback
from gossamer.refinement import adjust_alpha
from gossamer.settings import ModelChoice, Recipe
from gossamer.settings.video import Video
from gossamer.video.clip import Clip, Frame
from gossamer.video.finishing import Finisher
from gossamer.video.holding import Held, Past, Steady
from gossamer.video.matters import Matter, load_matter
from gossamer.video.strength import holding_strength
from gossamer.video.tags import ColourTags
from gossamer.video.timed import Followed, TimedPrompt
from gossamer.video.tracking import Following, following

__all__ = ["FrameCutout", "FrameCutter", "Remembered", "clip_of_arrays"]


@dataclass(frozen=True, eq=False)
class Remembered:
    """What is remembered of frames that were cut out: whoever goes on with the next ones gives it back.

    Attributes
    ----------
    recurrence : Recurrence
        Of a model that remembers.
    past : Past or None
        Of what holds mattes still.
    followed : Followed or None
        Of what follows prompts.
    """

    recurrence: Recurrence = field(default_factory=Recurrence)
    past: Past | None = None
    followed: Followed | None = None


@dataclass(frozen=True, eq=False)
class FrameCutout:
    """One frame, cut out.

    Attributes
    ----------
    number : int
        The frame's.
    rgb : (H, W, 3) float32 or uint8
        In [0, 1], or of 255: the subject's own colours, or what is shown over the background of the recipe.
    alpha : (H, W) float32 or None
        Of what is shown; None where a background is behind it everywhere.
    matte : (H, W) float32
        The subject's alpha.
    """

    number: int
    rgb: NDArray[Any]
    alpha: Array | None
    matte: Array


class FrameCutter:
    """Cuts the subject out of frames, one at a time, in the memory of some of them.

    Parameters
    ----------
    height, width : int
        Of the frames.
    settings : Video, optional
        How mattes are held still; what is said of files plays no part.
    recipe : Recipe, optional
        What is done with each frame. Where it does not name a matting, models that remember keep their own edges.
    choice : ModelChoice or str, optional
        Which model: any of single pictures, or one that remembers.
    remembered : Remembered, optional
        What the cutter of the frames before ended with: a model that remembers goes on as if there had been no end.
        Where mattes are held still, the last frames before were given out without those that come now.
    prompts : sequence of TimedPrompt
        What is meant at which of the frames' times, followed through all of them by SAM 2.1 or SAM 3. What `remembered`
        tells of subjects that were followed so far is followed on, without prompts or corrected by them.
    frames : callable, optional
        With prompts: gives all frames that will be cut, in their order, as often as it is called.
    progress, announce : callable, optional
        As for :func:`gossamer.video.cut_video`; about loading the model.

    Attributes
    ----------
    remembered : Remembered
        After what was given out so far.

    Raises
    ------
    InputError
        Settings do not go together, or the background cannot be read.
    ModelError
        The model cannot be found, fetched or loaded.
    """

    def __init__(
        self,
        height: int,
        width: int,
        settings: Video | None = None,
        recipe: Recipe | None = None,
        choice: ModelChoice | str | None = None,
        *,
        remembered: Remembered | None = None,
        prompts: Sequence[TimedPrompt] = (),
        frames: Callable[[], Iterator[Frame]] | None = None,
        progress: ProgressCallback | Progress | None = None,
        announce: Callable[[str], object] | None = None,
    ) -> None:
        check_call(announce, "announce", "announce(sentence)")
        settings, recipe = settings or Video(), checked_recipe(recipe) or Recipe()
        if changes_the_picture(recipe):
            raise InputError("Frames keep their canvas.", "Leave canvas and shadow out.")
        choice = ModelChoice.of(choice)
        self._size, self._recipe = (height, width), recipe
        clip, steps = clip_of_arrays(height, width), Progress.of(progress)
        self._finisher = Finisher(clip, recipe, settings, choice, announce)
        self._followed: Following | None = None
        self.remembered = remembered or Remembered()
        before = self.remembered.followed
        self._matter: Matter
        try:
            self._finisher.prepare(steps)
            if prompts or before is not None:
                if frames is None:
                    raise InputError("A prompt is followed through all frames.", "Give frames, too.")
                if before is None and remembered is not None:
                    raise InputError(
                        "The frames before were cut without prompts, and nothing is remembered to be followed.",
                        "Give prompts with the first chunk already, or begin anew, without what is remembered.",
                    )
                said = settings.model_copy(update={"start": "", "end": ""})
                self._matter = self._followed = following(
                    clip, frames, prompts, choice, said, steps, announce, before, keeps=True
                )
                self._followed.follow()
            else:
                self._matter = load_matter(choice, recipe, settings, steps, announce)
        except BaseException:
            self._finisher.close()
            raise
        self._strength = holding_strength(settings, recipe, remembers=self._matter.remembers)
        self._steady: Steady[Frame] | None = None
        self._track = None if self._followed is None else self._followed.followed

    def __enter__(self) -> FrameCutter:
        return self

    def __exit__(self, *_: object) -> None:
        self._finisher.close()
        if self._followed is not None:
            self._followed.close()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What its user should know, so far; each once."""
        return tuple(dict.fromkeys([*self._matter.warnings, *self._finisher.warnings]))

    def cut(
        self, frames: Iterable[Frame], count: int, progress: ProgressCallback | Progress | None = None
    ) -> Iterator[FrameCutout]:
        """Yield frames cut out, in their order, each as soon as enough of those after it are known.

        Parameters
        ----------
        frames : iterable of Frame
            Of the cutter's size; asked for one at a time.
        count : int
            How many there are, for the progress.
        progress : callable, optional
            Raising :class:`gossamer.Cancelled` in it stops the work.

        Raises
        ------
        InputError
            A frame is of another size.
        """
        steps, self._steady = Progress.of(progress), None
        for number, frame in enumerate(frames):
            part = steps.part(min(number / count, 1.0), min((number + 1) / count, 1.0))
            yield from self.add(frame, part)
        yield from self.rest(steps.part(1.0, 1.0))

    def add(self, frame: Frame, progress: ProgressCallback | Progress | None = None) -> Iterator[FrameCutout]:
        """Take the next frame, from whoever is handed frames instead of having them; yield those that are ready.

        Parameters
        ----------
        frame : Frame
            Of the cutter's size.
        progress : callable, optional
            Of this frame; raising :class:`gossamer.Cancelled` in it stops the work.

        Raises
        ------
        InputError
            The frame is of another size.
        """
        if frame.pixels.shape[:2] != self._size:
            raise InputError(f"Frame {frame.number + 1} is of another size.", "Give frames of one size.")
        if self._steady is None:
            keyed = self._recipe.matting.method == "key"
            self._steady = Steady(self._strength, self.remembered.past, tips=not keyed)
        steps, steady = Progress.of(progress), self._steady
        found = self._matter.matte(frame, self.remembered.recurrence, steps.part(0.0, 0.6))
        alpha = self._finisher.matte(frame, found.alpha, self._matter.remembers, steps.part(0.6, 0.9))
        for held in steady.add(frame, frame.pixels, alpha):
            yield self._finished(held, steady, steps.part(0.9, 1.0))
        self.remembered = Remembered(found.remembered, steady.past, self._track)

    def rest(self, progress: ProgressCallback | Progress | None = None) -> Iterator[FrameCutout]:
        """Yield the frames that still wait for others: there are no more."""
        steady, self._steady = self._steady, None
        if steady is None:
            return
        for held in steady.rest():
            yield self._finished(held, steady, Progress.of(progress))
        self.remembered = Remembered(self.remembered.recurrence, steady.past, self._track)

    def _finished(self, held: Held[Frame], steady: Steady[Frame], progress: Progress) -> FrameCutout:
        frame = held.thing
        picture = self._finisher.picture(frame, held.alpha, steady, progress)
        matte = picture.alpha
        if matte is None or not self._is_clear:
            matte = adjust_alpha(held.alpha, self._recipe.refinement, progress=progress)
            if frame.alpha is not None:
                matte = matte * (frame.alpha.astype(np.float32) / np.float32(np.iinfo(frame.alpha.dtype).max))
        assert picture.rgb is not None  # noqa: S101 - a matte alone was not asked for
        return FrameCutout(frame.number, picture.rgb, picture.alpha, matte)

    @property
    def _is_clear(self) -> bool:
        """Whether nothing is behind the subject: what is shown has its alpha."""
        return self._recipe.background.fill.strip() == "transparent"


def clip_of_arrays(height: int, width: int, rate: Fraction = Fraction(25)) -> Clip:
    """Return what is to be known of frames that come from no file: sRGB, 8 bits, opaque."""
    return Clip(
        path=Path(),
        width=width,
        height=height,
        rate=rate,
        time_base=1 / rate,
        seconds=None,
        depth=8,
        aspect=Fraction(1),
        tags=ColourTags.of_pictures(),
        has_alpha=False,
        has_sound=False,
        codec="",
    )
