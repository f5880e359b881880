"""Exact answers: a picture's mask finished as the library does it, with what the brush corrected."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gossamer.progress import Progress
from gossamer.worker.brushing import brushed
from gossamer.worker.pictures import DTYPES, OpenedPicture, from_unit
from gossamer.worker.requests import RefineRequest

if TYPE_CHECKING:
    from gossamer.cutout import Cutout
    from gossamer.image import Image
    from gossamer.settings import Recipe

__all__ = ["Answer", "Colours", "as_dtype", "exact_answer", "shop_picture"]

_log = logging.getLogger("gossamer.worker")

_MARGIN = 64  # pixels around a region that its edge may depend on
_STRIP = 1 << 20  # bytes of colours that are made at a time

_Part = tuple[slice, slice]
_WHOLE: _Part = (slice(None), slice(None))


class Colours:
    """Colours in the numbers and channels that a client wants, made strip by strip while they are sent.

    A whole copy would take fresh memory, which is slower to come by than the strips are to make.

    Parameters
    ----------
    numbers : (H, W, 3) uint8, uint16 or float32
        Whole numbers in the dtype of the answer, or float32 in [0, 1].
    dtype : str
        Of the answer.
    alpha : (H, W) array or None
        In that dtype: the fourth channel.
    rgba : bool
        Have a fourth channel without an alpha, too: an opaque one.

    Attributes
    ----------
    shape : tuple of int
        (H, W, 3 or 4).
    nbytes : int
        Of all strips together.
    """

    def __init__(
        self, numbers: NDArray[Any], dtype: str, alpha: NDArray[Any] | None = None, rgba: bool = False
    ) -> None:
        self._numbers, self._dtype, self._alpha, self._rgba = numbers, dtype, alpha, rgba
        height, width = numbers.shape[:2]
        self.shape = height, width, 3 if alpha is None and not rgba else 4
        self.nbytes = height * width * self.shape[2] * np.dtype(DTYPES[dtype]).itemsize

    def __iter__(self) -> Iterator[NDArray[Any]]:
        """Yield the strips, (rows, W, 3 or 4), from top to bottom."""
        rows = max(1, _STRIP * self.shape[0] // max(1, self.nbytes))
        for top in range(0, self.shape[0], rows):
            part = slice(top, top + rows)
            colours = self._numbers[part]
            if colours.dtype != DTYPES[self._dtype]:
                colours = from_unit(colours, self._dtype)
            yield _with(colours, None if self._alpha is None else self._alpha[part], self._rgba)


@dataclass(frozen=True)
class Answer:
    """What a client asked for.

    Attributes
    ----------
    left, top : int
        Where it lies in the picture.
    alpha : (H, W) array
        In the dtype that was asked for.
    foreground, background : Colours or None
        In the same dtype.
    report : dict
        What was done, see :class:`gossamer.Report`.
    shadow : (H, W) array or None
        The photograph's own, in the same dtype: the alpha of a black layer beneath the subject.
    boxes : list of tuple or None
        Left, top, width and height of the parts of alpha that are sent; None: all of it.
    """

    left: int
    top: int
    alpha: NDArray[Any]
    foreground: Colours | None
    report: dict[str, Any]
    background: Colours | None = None
    shadow: NDArray[Any] | None = None
    boxes: list[tuple[int, int, int, int]] | None = None


def exact_answer(
    picture: OpenedPicture,
    recipe: Recipe,
    request: RefineRequest,
    part: _Part,
    dtype: str,
    device: str,
    steps: Progress,
) -> Answer:
    """Finish the mask as :func:`gossamer.refine` does, or the part of it that is wanted.

    Parameters
    ----------
    picture : OpenedPicture
    recipe : Recipe
    request : RefineRequest
    part : tuple of slice
        Rows and columns that are wanted.
    dtype : str
        Of the answer.
    device : {"auto", "cpu", "cuda"}
        Where a network of the matting runs.
    steps : Progress
        May raise to cancel.
    """
    image, beyond, own = picture.image, picture.beyond, picture.own_alpha
    around = inner = _WHOLE
    if request.region is not None:
        around, inner = _around(part, picture.shape)
        image = _cropped(image, around)
    most = 0.8 if request.background else 1.0
    cutout = _finished(picture, image, recipe, device, steps.part(0.0, most), around)
    own = None if own is None else as_dtype(own[part], dtype)
    foreground = background = None
    if request.foreground:
        colours = cutout.pixels if cutout.pixels.dtype == DTYPES[dtype] else cutout.foreground
        colours = colours[inner]
        if beyond is not None and dtype == "float32":
            colours = colours + beyond[part]
        foreground = Colours(colours, dtype, own, request.rgba)
    if request.background:
        behind = _behind(image, cutout, recipe, steps.part(most, 1.0))[inner]
        background = Colours(behind, dtype, own, request.rgba)
    report, shadow = cutout.report.as_dict(), None
    if request.shadow:
        shadow = _shadow(picture, cutout, dtype, steps, report["warnings"].append)
    alpha = np.ascontiguousarray(from_unit(cutout.alpha[inner], dtype))
    return Answer(part[1].start, part[0].start, alpha, foreground, report, background, shadow)


def shop_picture(
    picture: OpenedPicture, recipe: Recipe, device: str, steps: Progress
) -> tuple[Colours, dict[str, Any]]:
    """Return a finished picture with its canvas, in the picture's dtype, and the report.

    Parameters
    ----------
    picture : OpenedPicture
    recipe : Recipe
        With its canvas, shadow and background.
    device : {"auto", "cpu", "cuda"}
    steps : Progress
        May raise to cancel.
    """
    image, dtype = picture.image, picture.request.dtype
    if picture.own_alpha is not None:
        image = replace(image, alpha=as_dtype(picture.own_alpha, "float32"))
    cutout = _finished(picture, image, recipe, device, steps)
    seen, alpha = cutout.composite, cutout.composite_alpha
    if seen is None:
        seen, alpha = cutout.foreground, cutout.alpha
    own = None if alpha is None else from_unit(alpha, dtype)
    return Colours(seen, dtype, own), cutout.report.as_dict()


def as_dtype(numbers: NDArray[Any], dtype: str) -> NDArray[Any]:
    """Return numbers in the dtype of an answer."""
    if numbers.dtype == DTYPES[dtype]:
        return numbers
    most = 1.0 if numbers.dtype == np.float32 else float(np.iinfo(numbers.dtype).max)
    return from_unit(numbers.astype(np.float32) / np.float32(most), dtype)


def _finished(
    picture: OpenedPicture, image: Image, recipe: Recipe, device: str, steps: Progress, around: _Part = _WHOLE
) -> Cutout:
    """Run every stage after the mask on `image`, which is the picture or that part of it."""
    from gossamer.compositing import read_backdrop
    from gossamer.cutout import Origin
    from gossamer.pipeline import Runs, finish

    found, patches = picture.sought(), picture.patches
    mask, hints = found.mask, found.hints
    if around is not _WHOLE:
        mask, hints = mask[around].copy(), None if hints is None else hints[around]
    if found.solved:
        recipe = recipe.model_copy(update={"matting": recipe.matting.model_copy(update={"method": "none"})})
    left, top = around[1].start or 0, around[0].start or 0
    return finish(
        image,
        mask,
        recipe,
        read_backdrop(recipe.background),
        Origin(found.model, found.device, found.seconds, found.warnings),
        steps,
        Runs(device, _log.info),
        hints,
        correct=lambda alpha: brushed(alpha, patches, left, top),
    )


def _shadow(
    picture: OpenedPicture, cutout: Cutout, dtype: str, steps: Progress, warn: Callable[[str], object]
) -> NDArray[Any] | None:
    """Return the photograph's shadow in the dtype of an answer; None where there is none."""
    from gossamer.canvas.photographed import kept_shadow

    own = picture.own_alpha
    image = picture.image if own is None else replace(picture.image, alpha=as_dtype(own, "float32"))
    shadow = kept_shadow(image, cutout.alpha, steps, warn)
    return None if shadow is None or not shadow.any() else np.ascontiguousarray(from_unit(shadow, dtype))


def _behind(image: Image, cutout: Cutout, recipe: Recipe, steps: Progress) -> NDArray[np.float32]:
    """Return what is behind the subject, (H, W, 3), its place filled in from what is around it."""
    from gossamer.foreground import estimate_foreground

    steps(0.0, "Filling in the background")
    method = recipe.foreground.method
    method = "auto" if method == "none" else method  # which has colours of the subject in mind
    return estimate_foreground(image.rgb, cutout.alpha, method, progress=steps, warn=_log.info).background


def _with(colours: NDArray[Any], alpha: NDArray[Any] | None, rgba: bool) -> NDArray[Any]:
    """Return colours with their alpha, or an opaque one where four channels are wished."""
    import cv2

    colours = np.ascontiguousarray(colours)
    if alpha is None and not rgba:
        return colours
    four: NDArray[Any] = cv2.cvtColor(colours, cv2.COLOR_RGB2RGBA)
    if alpha is not None:
        four[..., 3] = alpha
    return four


def _around(part: _Part, shape: tuple[int, int]) -> tuple[_Part, _Part]:
    """Return a region with what its edge depends on, and where the region lies in that."""
    wide = [
        slice(max(0, one.start - _MARGIN), min(size, one.stop + _MARGIN)) for one, size in zip(part, shape, strict=True)
    ]
    inner = [slice(one.start - more.start, one.stop - more.start) for one, more in zip(part, wide, strict=True)]
    return (wide[0], wide[1]), (inner[0], inner[1])


def _cropped(image: Image, part: _Part) -> Image:
    alpha = None if image.alpha is None else np.ascontiguousarray(image.alpha[part])
    return replace(image, pixels=np.ascontiguousarray(image.pixels[part]), alpha=alpha)
