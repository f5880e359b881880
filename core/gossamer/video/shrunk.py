"""One frame, cut out at a fraction of its size and brought back to all of it: what keeps a rate."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.compositing import is_opaque
from gossamer.errors import InputError
from gossamer.foreground.stage import subject_colours
from gossamer.image import read_image
from gossamer.networks.recurrence import Recurrence
from gossamer.progress import Progress
from gossamer.refinement import adjust_alpha
from gossamer.settings import ModelChoice, Recipe
from gossamer.settings.video import Live
from gossamer.video.clip import Clip, Frame
from gossamer.video.finishing import Finisher, check_fits
from gossamer.video.holding import Steady
from gossamer.video.matters import load_matter
from gossamer.video.recurrent import resized_memory, usual_ratio

__all__ = ["ShrunkCutter", "enlarged", "live_recipe"]

_RADIUS = 3  # pixels of the small picture: the window in which alpha follows brightness
_NOISE = np.float32(1e-3)  # squared brightness below which a window tells nothing
_LEAST = 32  # pixels a side
_WARM = 0.25  # of a side: the picture that a model is warmed with


def live_recipe(recipe: Recipe) -> Recipe:
    """Return the recipe with what nobody chose made fit for live pictures: blurred behind, no matting.

    Raises
    ------
    InputError
        It changes the canvas, or what is shown would be transparent.
    """
    check_fits(recipe)
    background, matting = recipe.background, recipe.matting
    if "fill" not in background.model_fields_set and background.fill.strip() == "transparent":
        background = background.model_copy(update={"fill": "blur"})
    if not is_opaque(background.fill):
        raise InputError(
            f"Live pictures hold no transparency, as the background {background.fill} asks for.",
            "Give blur, a colour, a picture or a clip.",
        )
    if "method" not in matting.model_fields_set:
        matting = matting.model_copy(update={"method": "none"})
    return recipe.model_copy(update={"background": background, "matting": matting})


class ShrunkCutter:
    """Cuts frames out for live use, in the memory of those before.

    Parameters
    ----------
    clip : Clip
        What they are of.
    settings : Live
    recipe : Recipe
        As :func:`live_recipe` gives it.
    choice : ModelChoice
    progress : Progress
        About loading the model.
    announce : callable, optional

    Raises
    ------
    GossamerError
        As :class:`gossamer.video.FrameCutter`.
    """

    def __init__(
        self,
        clip: Clip,
        settings: Live,
        recipe: Recipe,
        choice: ModelChoice,
        progress: Progress,
        announce: Callable[[str], object] | None,
    ) -> None:
        self._recipe, self._clip, self._remembered = recipe, clip, Recurrence()
        # Of the whole frame, also where it is made smaller: what the network sees becomes smaller with it.
        self._ratio = settings.ratio or usual_ratio(clip.height, clip.width)
        video = settings.video.model_copy(update={"ratio": self._ratio})
        # Colours are found where the model looked; the finisher is given them and finds none.
        found = recipe.model_copy(update={"foreground": recipe.foreground.model_copy(update={"method": "none"})})
        self._finisher = Finisher(clip, found, video, choice, announce)
        try:
            self._finisher.prepare(progress)
            self._matter = load_matter(choice, recipe, video, progress, announce)
        except BaseException:
            self._finisher.close()
            raise
        self._steady: Steady[Any] = Steady(0.0)

    def __enter__(self) -> ShrunkCutter:
        return self

    def __exit__(self, *_: object) -> None:
        self._finisher.close()

    @property
    def model(self) -> str:
        """Its id."""
        return self._matter.id

    @property
    def device(self) -> str:
        """Where it runs."""
        return self._matter.device

    @property
    def warnings(self) -> tuple[str, ...]:
        """What its user should know, so far; each once."""
        return tuple(dict.fromkeys([*self._matter.warnings, *self._finisher.warnings]))

    def warm(self, progress: Progress) -> None:
        """Have the model run before there is anything to see, on a small grey picture: the first run is a slow one.

        Models that remember then look at the first frame once and not five times, which would hold up those after it:
        the subject appears within some frames.
        """
        grey = np.full((self._clip.height, self._clip.width, 3), 128, np.uint8)
        self._remembered = self._matter.matte(
            _shrunk(Frame(0, Fraction(0), grey), _WARM), Recurrence(), progress
        ).remembered

    def cut(self, frame: Frame, scale: float, progress: Progress) -> NDArray[np.uint8]:
        """Return what is shown of a frame, (H, W, 3); the model sees it at `scale` of its sides, in (0, 1]."""
        frame = _bytes(frame)
        small = _shrunk(frame, scale)
        height, width = small.pixels.shape[:2]
        remembered = resized_memory(self._remembered, height, width, self._ratio)
        found = self._matter.matte(small, remembered, progress)
        self._remembered = found.remembered
        alpha = self._finisher.matte(small, found.alpha, self._matter.remembers, progress)
        pixels = frame.pixels
        if self._recipe.foreground.method != "none":
            seen = adjust_alpha(alpha, self._recipe.refinement, progress=progress)
            pixels = _recoloured(frame, small, seen, self._colours(small, seen, progress))
        alpha = enlarged(alpha, small.pixels, frame.pixels)
        shown = self._finisher.picture(
            Frame(frame.number, frame.time, pixels, frame.alpha), alpha, self._steady, progress
        )
        assert shown.rgb is not None  # noqa: S101 - a matte alone was not asked for
        if shown.rgb.dtype == np.uint8:
            return np.asarray(shown.rgb)
        return (np.clip(shown.rgb, 0, 1) * np.float32(255) + np.float32(0.5)).astype(np.uint8)

    def _colours(self, small: Frame, alpha: Array, progress: Progress) -> NDArray[Any]:
        settings = self._recipe.foreground
        return subject_colours(
            read_image(small.pixels),
            alpha,
            settings,
            final=False,
            keyed=self._recipe.matting.method == "key",
            progress=progress,
            warn=lambda sentence: None,
        )


def enlarged(alpha: Array, small: NDArray[np.uint8], whole: NDArray[np.uint8]) -> Array:
    """Bring the matte of a small picture to the size of the whole one, its edges where those of the picture are.

    As He and Sun's fast guided filter does: alpha is about a linear function of brightness in each window of the small
    picture, and that function holds in the whole one, too. Only what the whole picture has beyond the small one goes
    through it, so that nothing changes where the small one told everything.

    Parameters
    ----------
    alpha : (h, w) float32
    small, whole : (h, w, 3) and (H, W, 3) uint8

    Returns
    -------
    (H, W) float32
        In [0, 1].
    """
    import cv2

    if small.shape == whole.shape:
        return alpha
    size, window = (whole.shape[1], whole.shape[0]), (2 * _RADIUS + 1, 2 * _RADIUS + 1)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32) / np.float32(255)
    mean, level = cv2.blur(grey, window), cv2.blur(alpha, window)
    variance = cv2.blur(grey * grey, window) - mean * mean
    slope = (cv2.blur(grey * alpha, window) - mean * level) / (np.maximum(variance, 0) + _NOISE)
    risen = cv2.resize(np.dstack([alpha, cv2.blur(slope, window), grey]), size, interpolation=cv2.INTER_LINEAR)
    detail = cv2.cvtColor(whole, cv2.COLOR_RGB2GRAY).astype(np.float32) / np.float32(255) - risen[..., 2]
    return np.asarray(np.clip(risen[..., 0] + risen[..., 1] * detail, 0, 1), np.float32)


def _recoloured(frame: Frame, small: Frame, alpha: Array, colours: NDArray[Any]) -> NDArray[np.uint8]:
    """Return the whole picture with the subject's colours along its edges: what they differ by there is smooth."""
    import cv2

    found = colours if colours.dtype == np.uint8 else (np.clip(colours, 0, 1) * 255 + 0.5).astype(np.uint8)
    if small.pixels.shape == frame.pixels.shape:
        return np.asarray(found)
    change = found.astype(np.int16) - small.pixels
    change[alpha <= 0] = 0
    size = (frame.pixels.shape[1], frame.pixels.shape[0])
    risen = cv2.resize(change, size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.clip(frame.pixels + risen, 0, 255), np.uint8)


def _bytes(frame: Frame) -> Frame:
    if frame.pixels.dtype == np.uint8:
        return frame
    return Frame(frame.number, frame.time, (frame.pixels >> 8).astype(np.uint8), frame.alpha)


def _shrunk(frame: Frame, scale: float) -> Frame:
    import cv2

    height, width = frame.pixels.shape[:2]
    size = max(min(_LEAST, width), round(width * scale)), max(min(_LEAST, height), round(height * scale))
    if scale >= 1 or size == (width, height):
        return frame
    pixels = np.asarray(cv2.resize(frame.pixels, size, interpolation=cv2.INTER_AREA))
    return Frame(frame.number, frame.time, pixels)
