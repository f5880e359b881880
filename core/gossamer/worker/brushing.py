"""The brush over hair: where it went the matte is solved again, and nowhere else.

What was found around the stroke is taken as it is; below it nothing is believed, and the picture's colours decide
(:mod:`gossamer.matting.from_mask`, which was better here than closed-form matting, and takes as long for a large stroke
as for a small one). The new alpha fades into the old one in a narrow band around the stroke.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.progress import Progress

__all__ = ["Patch", "brushed", "solve_again"]

_BAND = 0.003  # of the picture's diagonal: how far around a stroke alpha may change
_LEAST = 4  # pixels of it
_AROUND = (64, 512)  # pixels around a stroke that tell the colours of both sides: at least, at most
_SURE = (0.02, 0.98)  # alpha of the background and the subject


@dataclass(frozen=True, eq=False)
class Patch:
    """A part of a picture whose alpha was solved again.

    Attributes
    ----------
    left, top : int
        Where it lies in the picture.
    alpha : (H, W) float32
        The new one.
    weight : (H, W) float32
        How much of it counts: 1 below the stroke, 0 from the end of its band on.
    """

    left: int
    top: int
    alpha: Array
    weight: Array

    def onto(self, alpha: Array, left: int = 0, top: int = 0) -> None:
        """Write it into an alpha, of which the first pixel lies at `left` and `top` in the picture."""
        height, width = self.alpha.shape
        rows = slice(max(self.top, top), min(self.top + height, top + alpha.shape[0]))
        columns = slice(max(self.left, left), min(self.left + width, left + alpha.shape[1]))
        if rows.start >= rows.stop or columns.start >= columns.stop:
            return
        mine = (
            slice(rows.start - self.top, rows.stop - self.top),
            slice(columns.start - self.left, columns.stop - self.left),
        )
        part = alpha[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        part += self.weight[mine] * (self.alpha[mine] - part)

    def scaled(self, size: tuple[int, int], whole: tuple[int, int]) -> Patch:
        """Return about the same for a picture of another size: both are (width, height)."""
        across, down = size[0] / whole[0], size[1] / whole[1]
        height, width = self.alpha.shape
        left, top = round(self.left * across), round(self.top * down)
        shape = max(1, round(width * across)), max(1, round(height * down))
        alpha, weight = (cv2.resize(one, shape, interpolation=cv2.INTER_AREA) for one in (self.alpha, self.weight))
        return Patch(left, top, np.asarray(alpha, np.float32), np.asarray(weight, np.float32))


def brushed(alpha: Array, patches: Iterable[Patch], left: int = 0, top: int = 0) -> Array:
    """Return an alpha with what was solved again, one patch after the other; a new array where there is any."""
    patches = list(patches)
    if not patches:
        return alpha
    result: Array = alpha.copy()
    for patch in patches:
        patch.onto(result, left, top)
    return result


def solve_again(
    pixels: NDArray[np.generic], alpha: Array, stroke: NDArray[np.uint8], left: int, top: int, progress: Progress
) -> Patch | None:
    """Solve the matte again below a stroke.

    Parameters
    ----------
    pixels : (H, W, 3) uint8 or float32
        The picture.
    alpha : (h, w) float32
        The picture's matte as it is, at the picture's size or smaller.
    stroke : (H', W') uint8
        Not 0 where the brush went.
    left, top : int
        Where it lies in the picture.
    progress : Progress
        May raise to cancel.

    Returns
    -------
    Patch or None
        None where the brush went nowhere, or where nothing near it tells subject and background apart.
    """
    from gossamer.matting.from_mask.alpha import matte_from_mask

    height, width = pixels.shape[:2]
    rows, columns = (np.flatnonzero(stroke.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return None
    upper, lower = top + int(rows[0]), top + int(rows[-1]) + 1
    first, last = left + int(columns[0]), left + int(columns[-1]) + 1
    band = max(_LEAST, round(_BAND * float(np.hypot(height, width))))
    around = int(np.clip(max(lower - upper, last - first), *_AROUND)) + band
    for reach in (around, 3 * around, max(height, width)):
        y, x = max(0, upper - reach), max(0, first - reach)
        below, right = min(height, lower + reach), min(width, last + reach)
        known = _part(alpha, (y, x, below, right), (height, width))
        painted = np.zeros(known.shape, np.uint8)
        inner = stroke[upper - top : lower - top, first - left : last - left]
        painted[upper - y : lower - y, first - x : last - x] = inner > 0
        far = cv2.distanceTransform(1 - painted, cv2.DIST_L2, 3)
        open_to = far <= band
        rest = known[~open_to]
        if rest.size and float(rest.max()) > _SURE[1] and float(rest.min()) < _SURE[0]:
            break
    else:
        return None
    hint = np.where(open_to, np.float32(0.5), known)
    found = matte_from_mask(np.ascontiguousarray(pixels[y:below, x:right]), hint, progress=progress)
    weight = np.clip(1 - far / np.float32(band + 1), 0, 1).astype(np.float32)
    box = (slice(max(0, upper - band - y), lower + band - y), slice(max(0, first - band - x), last + band - x))
    return Patch(x + box[1].start, y + box[0].start, found[box].copy(), weight[box].copy())


def _part(alpha: Array, box: tuple[int, int, int, int], shape: tuple[int, int]) -> Array:
    """Return a part of a matte at the picture's size, whatever size it has."""
    top, left, bottom, right = box
    if alpha.shape == shape:
        return alpha[top:bottom, left:right]
    down, across = alpha.shape[0] / shape[0], alpha.shape[1] / shape[1]
    # Of pixel centres: what a resize of the whole would give there.
    turn = np.array([[across, 0, (left + 0.5) * across - 0.5], [0, down, (top + 0.5) * down - 0.5]], np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = (right - left, bottom - top)
    return np.asarray(cv2.warpAffine(alpha, turn, size, flags=flags, borderMode=cv2.BORDER_REPLICATE), np.float32)
