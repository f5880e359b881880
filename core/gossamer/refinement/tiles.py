"""Neighbourhood operations tile by tile: in the cache, on every core, and only where the mask has an edge."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gossamer.arrays import Array
from gossamer.parallel.strips import Strips
from gossamer.progress import Progress

__all__ = ["enlarge", "filter_tiles", "reduce"]


def filter_tiles(
    alpha: Array,
    halo: int,
    kernel: Callable[..., Array],
    progress: Progress,
    *more: Array,
    side: int = 256,
) -> Array:
    """Apply a neighbourhood operation that leaves constant surroundings as they are.

    Parameters
    ----------
    alpha : (H, W) float32
        The picture; it goes on beyond its border as its outermost pixels do.
    halo : int
        How far `kernel` looks.
    kernel : callable
        Gets tiles of `alpha` and `more`, (h + 2 halo, w + 2 halo), and returns one of the first's shape or
        (h, w). It is not called where all of its `alpha` has one value: the result is that value.
    progress : Progress
        Called at least every twentieth of a second; what it raises ends the work and passes through.
    *more : (H, W) float32
        Further inputs.
    side : int
        Size of the tiles: the result depends on it no more than on the number of cores.

    Returns
    -------
    (H, W) float32
    """
    height, width = alpha.shape
    result = np.empty_like(alpha)

    def work(top: int, left: int) -> None:
        bottom, right = min(top + side, height), min(left + side, width)
        around = _around(alpha, top, bottom, left, right, halo, pad=False)
        if around.min() == around.max():
            result[top:bottom, left:right] = around[0, 0]
            return
        done = kernel(*(_around(one, top, bottom, left, right, halo) for one in (alpha, *more)))
        cut = (done.shape[0] - (bottom - top)) // 2
        result[top:bottom, left:right] = done[cut : cut + bottom - top, cut : cut + right - left]

    corners = [(top, left) for top in range(0, height, side) for left in range(0, width, side)]

    def several(start: int, end: int) -> None:
        for corner in corners[start:end]:
            work(*corner)

    with Strips() as strips:
        strips.each(several, len(corners), 1, progress)
    return result


def reduce(alpha: Array, factor: int) -> Array:
    """Return the means of blocks of `factor` x `factor` pixels, with a ring of blocks around the picture.

    The ring repeats the outermost pixels, as the picture is taken to go on: what is reduced goes on in the same way.
    """
    import cv2

    if factor == 1:
        return alpha
    height, width = alpha.shape
    padding = (factor, factor + -height % factor, factor, factor + -width % factor)
    padded = cv2.copyMakeBorder(alpha, *padding, cv2.BORDER_REPLICATE)
    size = (padded.shape[1] // factor, padded.shape[0] // factor)
    return np.asarray(cv2.resize(padded, size, interpolation=cv2.INTER_AREA), dtype=np.float32)


def enlarge(small: Array, factor: int, shape: tuple[int, ...]) -> Array:
    """Bring what :func:`reduce` made back to `shape`, bilinearly."""
    import cv2

    if factor == 1:
        return small
    size = (small.shape[1] * factor, small.shape[0] * factor)
    large = cv2.resize(small, size, interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(large[factor : factor + shape[0], factor : factor + shape[1]], dtype=np.float32)


def _around(array: Array, top: int, bottom: int, left: int, right: int, halo: int, *, pad: bool = True) -> Array:
    """Return a tile with its halo, or what of that lies inside."""
    import cv2

    height, width = array.shape
    inside = array[max(0, top - halo) : bottom + halo, max(0, left - halo) : right + halo]
    padding = (
        max(0, halo - top),
        max(0, bottom + halo - height),
        max(0, halo - left),
        max(0, right + halo - width),
    )
    if not pad or not any(padding):
        return inside
    return np.asarray(cv2.copyMakeBorder(inside, *padding, cv2.BORDER_REPLICATE), dtype=np.float32)
