"""From the size that was worked at to the picture's own: alpha stays the function of the colours that it was.

In every small window of the matte alpha is about an affine function of the colours (which is what the matting Laplacian
asks for). Its coefficients vary slowly and lose nothing by being enlarged; applied to the picture at its own size they
give an edge as sharp as the picture's, whatever the size at which they were found. After He and Sun, "Fast guided
filter", 2015; what the windows left over is added again.
"""

from __future__ import annotations

import numpy as np

from gossamer.arrays import Array, unit_float
from gossamer.matting.guided import local_lines
from gossamer.native import COUNT, PLACE, function
from gossamer.parallel.strips import Strips
from gossamer.progress import Progress
from gossamer.resampling import Pixels, between

__all__ = ["enlarge_onto"]

RADIUS = 2  # of the windows, in pixels of the small matte
EPSILON = 1e-5
ROWS = 128  # enlarged at a time by one thread


def enlarge_onto(
    image: Pixels, mask: Array, small: Array, alpha: Array, belief: Array, report: Progress, *, hard: bool = False
) -> Array:
    """Correct a mask at the picture's size by a matte that was found at a smaller one.

    Parameters
    ----------
    image : (H, W, 3) uint8 or float32 ndarray
        RGB.
    mask : (H, W) float32 ndarray
        In [0, 1].
    small : (h, w, 3) float32 ndarray
        The picture at the smaller size.
    alpha, belief : (h, w) float32 ndarray
        The matte there, and how much of it to take.
    report : Progress
        What it raises passes through.
    hard : bool
        Whether the mask counts as 0 or 1: what is above one half is subject.

    Returns
    -------
    (H, W) float32 ndarray
        In [0, 1]; the mask itself where the matte is not believed.
    """
    planes = np.zeros((*alpha.shape, 8), np.float32)
    planes[..., 4] = belief
    local_lines(small, alpha, RADIUS, EPSILON, planes, report.part(0.0, 0.4))
    result = np.empty_like(mask, order="C")
    height, width = alpha.shape
    compiled = function("enlarge", PLACE, COUNT, COUNT, PLACE, COUNT, PLACE, *4 * (COUNT,), PLACE, PLACE)

    def work(top: int, bottom: int) -> None:
        before = np.ascontiguousarray(mask[top:bottom])
        if hard:
            before = (before > np.float32(0.5)).astype(np.float32)
        if not belief[max(top * height // len(mask) - 1, 0) : bottom * height // len(mask) + 2].any():
            result[top:bottom] = before
            return
        part = np.ascontiguousarray(image[top:bottom])
        if compiled is None:
            _enlarge(planes, unit_float(part), before, top, bottom, result)
            return
        room = np.empty(8 * width, np.float32)
        compiled(planes, height, width, part, part.itemsize, before, *mask.shape, top, bottom, room, result)

    with Strips() as strips:
        strips.each(work, len(mask), ROWS, report.part(0.4, 1.0))
    return result


def _enlarge(planes: Array, strip: Array, before: Array, top: int, bottom: int, result: Array) -> None:
    """Do what the compiled kernel does, where that was not compiled."""
    (first, second, share), (left, right, part) = (
        between(many, few) for many, few in zip(result.shape, planes.shape[:2], strict=True)
    )
    rows = slice(top, bottom)
    above, below = planes[first[rows]], planes[second[rows]]
    lines = above + share[rows, None, None] * (below - above)
    lines = lines[:, left] + part[:, None] * (lines[:, right] - lines[:, left])
    fine = np.einsum("ijk,ijk->ij", strip, lines[..., :3]) + lines[..., 3]
    result[rows] = np.clip(before + lines[..., 4] * (np.clip(fine, 0, 1) - before), 0, 1)
