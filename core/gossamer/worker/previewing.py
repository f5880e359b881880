"""Previews: the matte of a smaller picture, at the size of the whole, fast enough for a slider that moves.

Every length that counts pixels shrinks with the picture. What a slider does not change is not computed again: the small
picture, the matte before its edge is adjusted, and the colours are kept. Where the mask's shape changes while a slider
moves, the matte that is there moves along with it: to solve it again takes ten times as long, and on a picture so much
smaller that it can be done at once the result is further from what comes in the end.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.progress import Progress
from gossamer.settings import Recipe
from gossamer.worker.brushing import Patch, brushed
from gossamer.worker.pictures import OpenedPicture

__all__ = ["Preview", "changed", "preview", "scaled"]

_T = TypeVar("_T")
_KEPT = {"small": 2, "mask": 2, "matte": 4, "colours": 4}
_DRAFT = 0.4  # of a preview's sides: those of the first draft
_LENGTHS = ("smooth", "shift_edge", "feather", "fill_holes", "remove_specks")
_BLOCK = 256  # pixels of the side of what is looked at for changes
_SOLID = 0.98  # alpha from which a pixel's colour is its own


@dataclass(frozen=True)
class Preview:
    """What a cut-out will look like, at the picture's size.

    Attributes
    ----------
    alpha : (H, W) uint8
    colours : (H, W, 3) uint8 or None
    warnings : tuple of str
    """

    alpha: NDArray[np.uint8]
    colours: NDArray[np.uint8] | None
    warnings: tuple[str, ...]


def scaled(recipe: Recipe, scale: float) -> Recipe:
    """Return a recipe for a picture that is `scale` times as large: lengths in pixels shrink or grow with it."""
    refinement, matting, foreground = recipe.refinement, recipe.matting, recipe.foreground
    if refinement.unit == "px":
        refinement = refinement.model_copy(update={name: getattr(refinement, name) * scale for name in _LENGTHS})
    if not matting.relative:
        matting = matting.model_copy(update={"band": max(1, round(matting.band * scale)), "unit": "px"})
    radii = {name: max(1, round(getattr(foreground, name) * scale)) for name in ("radius", "fine_radius")}
    foreground = foreground.model_copy(update=radii)
    return recipe.model_copy(update={"refinement": refinement, "matting": matting, "foreground": foreground})


def preview(
    picture: OpenedPicture, recipe: Recipe, scale: float, *, colours: bool, draft: bool = False, steps: Progress
) -> Preview:
    """Return about what the recipe makes of a picture, computed on one of `scale` times its sides.

    Parameters
    ----------
    picture : OpenedPicture
        With a mask.
    recipe : Recipe
        For the picture's own size.
    scale : float
        Below 1.
    colours : bool
        Whether the subject's colours are wanted.
    draft : bool
        Make do with less where a matte would have to be solved: a slider is moving.
    steps : Progress
        May raise to cancel.

    Returns
    -------
    Preview
    """
    from gossamer.image import Image
    from gossamer.matting.stage import matte
    from gossamer.refinement import adjust_alpha, clean_mask

    found, image, wanted = picture.sought(), picture.image, recipe
    height, width = picture.shape
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    recipe = scaled(recipe, size[0] / width)

    def small_image() -> Image:
        alpha = None if image.alpha is None else _shrunk(image.alpha, size)
        return Image(_shrunk(image.pixels, size), alpha, image.icc_profile, image.bit_depth)

    def cleaned() -> Array:
        mask = _once(picture, "mask", size, lambda: _shrunk(found.mask, size))
        return clean_mask(mask, recipe.refinement, progress=steps.part(0.0, 0.1))

    def small_matte() -> _Solved:
        mask = cleaned()
        if is_matte:
            return _Solved(mask, mask, ())
        told: list[str] = []
        alpha = matte(small.pixels, mask, recipe.matting, progress=steps.part(0.1, 0.6), warn=told.append)
        return _Solved(mask, alpha, tuple(told))

    is_matte = found.solved or recipe.matting.method == "none"
    shape = ("invert", "threshold", "fill_holes", "remove_specks", "keep_largest", "smooth")
    solver = (size, None if is_matte else recipe.matting)
    before = (solver, tuple(getattr(recipe.refinement, name) for name in shape))
    solved: _Solved | None = None
    if draft and not is_matte and before not in (made := picture.kept.get("matte", {})):
        near = [made[key] for key in made if key[0] == solver]
        if not near:
            return preview(picture, wanted, scale * _DRAFT, colours=colours, steps=steps)
        solved = near[-1].moved(cleaned())
    small = _once(picture, "small", size, small_image)
    solved = solved or _once(picture, "matte", before, small_matte)
    alpha = solved.alpha
    if found.hints is not None:
        hints = _shrunk(found.hints, size)
        alpha = alpha.copy()
        alpha[hints >= 0.9], alpha[hints <= 0.1] = 1, 0
    alpha = adjust_alpha(alpha, recipe.refinement, progress=steps.part(0.6, 0.7))
    subject = None
    if colours and recipe.foreground.method != "none":
        key = (before, recipe.refinement, recipe.foreground, len(picture.patches))
        seen = brushed(alpha, [patch.scaled(size, (width, height)) for patch in picture.patches])
        subject = _once(picture, "colours", key, lambda: _subject(picture, small, seen, recipe, steps.part(0.7, 0.95)))
    elif colours:
        subject = _bytes(image.pixels)
    # Enlarged as bytes: a fifth of the time of floats, and nobody sees the difference in a preview.
    whole = cv2.resize(_bytes(alpha), (width, height), interpolation=cv2.INTER_LINEAR)
    for patch in picture.patches:  # as fine as they are: somebody looks at this very place
        _paste(whole, patch, wanted, steps)
    if image.alpha is not None:
        whole = _bytes(whole * (image.alpha / np.float32(255)))
    return Preview(whole, subject, (*found.warnings, *solved.warnings))


def changed(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> list[tuple[int, int, int, int]]:
    """Return boxes (left, top, width, height) that hold all in which two previews differ, from top to bottom.

    A slider moves an edge: to send what it changed, and to draw it, takes a fraction of the time that the whole would.
    """
    height, width = after.shape
    boxes = []
    for top in range(0, height, _BLOCK):
        rows = slice(top, top + _BLOCK)
        columns = cv2.absdiff(before[rows], after[rows]).max(axis=0)
        differs = [*np.logical_or.reduceat(columns, np.arange(0, width, _BLOCK)), False]
        start: int | None = None
        for block, one in enumerate(differs):
            if one and start is None:
                start = block * _BLOCK
            elif start is not None and not one:
                boxes.append((start, top, min(block * _BLOCK, width) - start, min(_BLOCK, height - top)))
                start = None
    return boxes


@dataclass(frozen=True, eq=False)
class _Solved:
    """A small matte before its edge is adjusted, and the mask that it was made of."""

    mask: Array
    alpha: Array
    warnings: tuple[str, ...]

    def moved(self, mask: Array) -> _Solved:
        """Return about the matte of another mask: changed by as much as the mask has changed."""
        alpha = cv2.subtract(mask, self.mask)
        alpha += self.alpha
        return _Solved(mask, np.clip(alpha, 0, 1, out=np.asarray(alpha)), self.warnings)


def _paste(whole: NDArray[np.uint8], patch: Patch, recipe: Recipe, steps: Progress) -> None:
    """Write what the brush had solved, its edge adjusted, into a preview of the picture's size."""
    from gossamer.refinement import adjust_alpha

    height, width = patch.alpha.shape
    part = whole[patch.top : patch.top + height, patch.left : patch.left + width]
    settings = recipe.refinement
    if settings.unit == "percent":  # of the whole picture's diagonal
        share = float(np.hypot(*whole.shape)) / 100
        lengths = {name: min(100.0, getattr(settings, name) * share) for name in ("shift_edge", "feather")}
        settings = settings.model_copy(update={"unit": "px", **lengths})
    alpha = adjust_alpha(patch.alpha, settings, progress=steps.part(0.95, 1.0))
    part[:] = _bytes(part / np.float32(255) * (1 - patch.weight) + alpha * patch.weight)


def _subject(
    picture: OpenedPicture, small: Any, alpha: NDArray[np.float32], recipe: Recipe, steps: Progress
) -> NDArray[np.uint8]:
    """Return the picture with the subject's estimated colours where it is not solid, (H, W, 3) bytes."""
    from gossamer.foreground.stage import subject_colours

    keyed = recipe.matting.method == "key"
    colours = subject_colours(
        small, alpha, recipe.foreground, final=False, keyed=keyed, progress=steps, warn=lambda _: None
    )
    height, width = picture.shape
    whole = _bytes(picture.image.pixels).copy()
    large = cv2.resize(_bytes(colours), (width, height), interpolation=cv2.INTER_LINEAR)
    soft = cv2.resize((alpha < _SOLID).astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    cv2.copyTo(large, soft, whole)
    return whole


def _once(picture: OpenedPicture, what: str, key: Hashable, make: Callable[[], _T]) -> _T:
    """Return what was made for this key, or make it; of each kind the last few are kept."""
    made = picture.kept.setdefault(what, {})
    if key not in made:
        made[key] = make()
        while len(made) > _KEPT[what]:
            made.pop(next(iter(made)))
    result: _T = made[key]
    return result


def _shrunk(array: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    small: NDArray[Any] = cv2.resize(array, size, interpolation=cv2.INTER_AREA)
    return small


def _bytes(array: NDArray[Any]) -> NDArray[np.uint8]:
    return array if array.dtype == np.uint8 else (array * np.float32(255) + np.float32(0.5)).astype(np.uint8)
