"""The stages after the model, for one frame: matting, colours held still, background, what is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.canvas.stage import changes_the_picture
from gossamer.compositing import cover, is_opaque, over, read_backdrop
from gossamer.errors import InputError
from gossamer.foreground.stage import subject_colours
from gossamer.image import Image, read_image
from gossamer.matting.preparing import prepare_matting
from gossamer.matting.stage import matte
from gossamer.progress import Progress
from gossamer.refinement import adjust_alpha, clean_mask
from gossamer.settings import ModelChoice, Recipe
from gossamer.settings.canvas import Output
from gossamer.settings.video import Video
from gossamer.video.clip import Clip, Frame
from gossamer.video.holding import Steady
from gossamer.video.over_bytes import over_bytes
from gossamer.video.segment import Picture

__all__ = ["Finisher", "check_fits"]

_FILMS = (".mov", ".mp4", ".m4v", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".ogv")


def check_fits(recipe: Recipe) -> None:
    """Refuse what a recipe asks of pictures alone; raises InputError."""
    if changes_the_picture(recipe):
        raise InputError("A clip keeps its canvas.", "Leave canvas and shadow out; --size scales all frames.")
    if recipe.output != Output():
        raise InputError("The output's settings are for pictures, not for clips.", "Leave them out; see --crf.")


class Finisher:
    """Finishes frames by a recipe.

    Parameters
    ----------
    clip : Clip
    recipe : Recipe
        Its background may be another clip, which begins anew when it ends.
    settings : Video
    choice : ModelChoice
        Where networks for matting run.
    announce : callable, optional

    Attributes
    ----------
    opaque : bool
        Whether something is behind the subject everywhere.
    eight_bit : bool
        Whether what is shown is written in bytes: then it is composed to bytes.
    warnings : list of str
        What the user should know, so far; each once.

    Raises
    ------
    InputError
        The background cannot be read.
    """

    def __init__(
        self,
        clip: Clip,
        recipe: Recipe,
        settings: Video,
        choice: ModelChoice,
        announce: Callable[[str], object] | None,
    ) -> None:
        self._recipe, self._show = recipe, settings.show
        self._device, self._announce = choice.device, announce
        self.warnings: list[str] = []
        fill = recipe.background.fill.strip()
        self._film = _Looped(Path(fill), clip) if fill.lower().endswith(_FILMS) and Path(fill).is_file() else None
        plain = recipe.background.model_copy(update={"fill": "transparent"}) if self._film else recipe.background
        self._backdrop = read_backdrop(plain, clip.icc_profile)
        self.warnings += self._backdrop.warnings
        self.eight_bit = False
        self.opaque = self._film is not None or is_opaque(recipe.background.fill)

    def close(self) -> None:
        """Close the background's clip."""
        if self._film is not None:
            self._film.close()

    def prepare(self, progress: Progress) -> None:
        """Have at hand what the matting needs, before a model is loaded; raises GossamerError where that cannot be."""
        prepare_matting(self._recipe.matting, progress=progress, device=self._device, announce=self._announce)

    def matte(self, frame: Frame, mask: Array, remembers: bool, progress: Progress) -> Array:
        """Return a frame's matte, (H, W) float32, from what a model saw."""
        recipe = self._recipe
        alpha = clean_mask(mask, recipe.refinement, progress=progress)
        settings = recipe.matting
        # Nobody named one: what remembers has fine edges of its own.
        if settings.method == "none" or (remembers and "method" not in settings.model_fields_set):
            return alpha
        pixels = frame.pixels if frame.pixels.dtype == np.uint8 else frame.rgb
        return matte(
            pixels,
            alpha,
            settings,
            progress=progress,
            warn=self._warn,
            device=self._device,
            announce=self._announce,
            of_clip=True,
        )

    def picture(self, frame: Frame, alpha: Array, steady: Steady[Any], progress: Progress) -> Picture:
        """Return what is shown of a frame.

        Parameters
        ----------
        frame : Frame
        alpha : (H, W) float32
            Its matte, held still.
        steady : Steady
            Holds colours still.
        progress : Progress
        """
        recipe = self._recipe
        alpha = adjust_alpha(alpha, recipe.refinement, progress=progress)
        if self._show == "matte":
            return Picture(frame.time, None, _times(alpha, frame.alpha))
        image = read_image(frame.pixels)
        found = self._colours(image, alpha, progress)
        found = steady.steady_colours(found, alpha)
        estimated = recipe.foreground.method != "none"
        own = None if frame.alpha is None else _unit(frame.alpha)
        rgb: NDArray[Any] = found
        whole = alpha if own is None else alpha * own
        seen: Array | None = whole
        if self._film is not None:
            rgb, seen = self._over(found, whole, self._film.at(frame.time)), None
        elif self.opaque and self.eight_bit:
            behind = self._backdrop.behind(image.pixels, found if estimated else None, alpha, own)
            assert behind is not None  # noqa: S101 - it is opaque
            rgb, seen = self._over(found, whole, behind), None
        else:
            composite = self._backdrop.under(found, alpha, image.pixels, own, estimated=estimated)
            if composite is not None:
                rgb, seen = composite.rgb, composite.alpha
        if self._show == "cutout":
            return Picture(frame.time, rgb, seen)
        grey = np.repeat(_times(alpha, frame.alpha)[..., None], 3, axis=2)
        return Picture(
            frame.time, np.concatenate([_floats(rgb), grey], axis=1 if self._show == "side_by_side" else 0), None
        )

    def _over(self, found: NDArray[Any], alpha: Array, behind: Array) -> NDArray[Any]:
        linear = self._recipe.background.linear_light
        if self.eight_bit and not linear:
            return over_bytes(found, alpha, behind)
        return over(_floats(found), alpha, behind, linear_light=linear)

    def _colours(self, image: Image, alpha: Array, progress: Progress) -> NDArray[Any]:
        settings = self._recipe.foreground
        return subject_colours(
            image,
            alpha,
            settings,
            final=False,
            keyed=self._recipe.matting.method == "key",
            progress=progress,
            warn=self._warn,
        )

    def _warn(self, sentence: str) -> None:
        if sentence not in self.warnings:
            self.warnings.append(sentence)


class _Looped:
    """Another clip as a background: from its beginning, and again when it is over."""

    def __init__(self, path: Path, clip: Clip) -> None:
        from gossamer.video.source import VideoSource

        self._source = VideoSource(path)
        self._size = clip.height, clip.width
        self._offset = Fraction(0)
        self._frames: Iterator[Frame] = self._source.frames()
        self._shown = self._following = next(self._frames)
        self._covered: Array | None = None

    def at(self, time: Fraction) -> Array:
        """Return what it shows at a time, (H, W, 3) float32; times do not go back."""
        while self._following.time + self._offset <= time:
            self._shown, self._covered = self._following, None
            try:
                self._following = next(self._frames)
            except StopIteration:
                self._offset += self._shown.time + 1 / self._source.clip.rate
                self._frames = self._source.frames()
                self._following = next(self._frames)
        if self._covered is None:
            self._covered = cover(self._shown.rgb, *self._size)
        return self._covered

    def close(self) -> None:
        """Close the clip."""
        self._source.close()


def _unit(plane: NDArray[Any]) -> Array:
    return plane.astype(np.float32) / np.float32(255 if plane.dtype == np.uint8 else 65535)


def _floats(colours: NDArray[Any]) -> Array:
    return colours if colours.dtype == np.float32 else _unit(colours)


def _times(alpha: Array, own: NDArray[Any] | None) -> Array:
    return alpha if own is None else alpha * _unit(own)
