"""Guided filtering: a mask that follows the picture's edges, at preview speed (He, Sun and Tang 2013)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gossamer.arrays import Array, as_mask, as_rgb
from gossamer.errors import InputError
from gossamer.native import COUNT, EXACT, PLACE, function
from gossamer.parallel.strips import Strips
from gossamer.progress import Progress, ProgressCallback

__all__ = ["guided_alpha", "local_lines"]

_ROWS = 64  # filtered at a time by one thread, at least
_LINE, _ROOM = 4, 33  # numbers of a window's line, and what the kernel holds of a pixel beside lines


def guided_alpha(
    image: ArrayLike,
    mask: ArrayLike,
    *,
    radius: int = 8,
    epsilon: float = 1e-4,
    progress: Progress | ProgressCallback | None = None,
) -> Array:
    """Make a mask follow the edges of its picture with the colour guided filter.

    Parameters
    ----------
    image : (H, W, 3) array
        RGB, uint8, uint16 or floats in [0, 1]: the guide.
    mask : (H, W) array
        1 = foreground.
    radius : int
        The filter's windows are (2 radius + 1) x (2 radius + 1) pixels.
    epsilon : float
        Regularisation in squared colour units: the larger, the smoother.
    progress : callable, optional
        ``progress(fraction, message)``; raising in it stops the work.

    Returns
    -------
    (H, W) float32
        In every window about an affine function of the colours, clipped to [0, 1].

    Raises
    ------
    InputError
        Sizes differ, values lie outside [0, 1], or `radius` or `epsilon` is not positive.

    References
    ----------
    .. [1] He, Sun, Tang: "Guided image filtering", TPAMI 35 (6), 2013, equations 14 to 16.
    """
    guide = as_rgb(image, "picture")
    alpha = as_mask(mask, guide.shape)
    if radius < 1 or not epsilon > 0:
        raise InputError(f"The guided filter cannot use radius {radius} and epsilon {epsilon}.", "Give positive ones.")
    steps, result = Progress.of(progress), np.empty_like(alpha)
    steps(0.0, "Guided filtering")
    _filter(guide, alpha, radius, epsilon, steps, filtered=result)
    return np.clip(result, 0, 1, out=result)


def local_lines(guide: Array, alpha: Array, radius: int, epsilon: float, out: Array, progress: Progress) -> None:
    """Find how alpha changes with the colours around each pixel, where it is about an affine function of them.

    Parameters
    ----------
    guide : (H, W, 3) float32 ndarray
        RGB in [0, 1].
    alpha : (H, W) float32 ndarray
        In [0, 1].
    radius : int
        The windows are (2 radius + 1) x (2 radius + 1) pixels.
    epsilon : float
        Regularisation in squared colour units.
    out : (H, W, N) float32 ndarray
        Gets, of N at least 4, the means of the slopes of all windows that hold the pixel, and what these leave of its
        alpha: the line through it.
    progress : Progress
        May raise to cancel.
    """
    _filter(guide, alpha, radius, epsilon, progress, lines=out)


def _filter(
    guide: Array,
    alpha: Array,
    radius: int,
    epsilon: float,
    progress: Progress,
    lines: Array | None = None,
    filtered: Array | None = None,
) -> None:
    """Filter in strips on every core, to pixels' own lines or to alpha, not cut off."""
    height, width = alpha.shape
    compiled = function("guide", PLACE, PLACE, *3 * (COUNT,), EXACT, COUNT, COUNT, PLACE, PLACE, COUNT, PLACE)
    guide, alpha = np.ascontiguousarray(guide), np.ascontiguousarray(alpha)

    def work(top: int, bottom: int) -> None:
        if compiled is None:
            _filter_plainly(guide, alpha, radius, epsilon, top, bottom, lines, filtered)
            return
        room = np.empty((_ROOM + _LINE * min(2 * radius + 2, height)) * width)
        stride = 0 if lines is None else lines.shape[2]
        compiled(guide, alpha, height, width, radius, epsilon, top, bottom, room, lines, stride, filtered)

    with Strips() as strips:
        strips.each(work, height, max(_ROWS, 4 * radius), progress)


def _filter_plainly(
    guide: Array,
    alpha: Array,
    radius: int,
    epsilon: float,
    top: int,
    bottom: int,
    lines: Array | None,
    filtered: Array | None,
) -> None:
    """Do what the compiled kernel does, where that was not compiled."""
    # Two nested windows reach 2 * radius: strips with that margin give the very result of the whole picture.
    first, last = max(0, top - 2 * radius), min(len(alpha), bottom + 2 * radius)
    slopes, offset = _lines(guide[first:last], alpha[first:last], radius, epsilon)
    own, at = slice(top - first, bottom - first), slice(top, bottom)
    seen = sum(slopes[i][own] * guide[at, :, i] for i in range(3))
    if lines is not None:
        for channel in range(3):
            lines[at, :, channel] = slopes[channel][own]
        lines[at, :, 3] = alpha[at] - seen
    if filtered is not None:
        filtered[at] = seen + offset[own]


def _lines(
    guide: Array, alpha: Array, radius: int, epsilon: float
) -> tuple[list[NDArray[np.float64]], NDArray[np.float64]]:
    """Return slopes and offset in double precision; windows at the border hold only what lies inside."""
    import cv2

    size = (2 * radius + 1, 2 * radius + 1)
    # Sums in double: a covariance is a small difference of large means.
    weight = cv2.boxFilter(np.ones(alpha.shape), -1, size, normalize=False, borderType=cv2.BORDER_CONSTANT)

    def mean(plane: NDArray[Any]) -> NDArray[np.float64]:
        total = cv2.boxFilter(plane, cv2.CV_64F, size, normalize=False, borderType=cv2.BORDER_CONSTANT)
        result: NDArray[np.float64] = np.asarray(total, dtype=np.float64) / weight
        return result

    red, green, blue = (np.ascontiguousarray(guide[..., c], dtype=np.float64) for c in range(3))
    planes = (red, green, blue)
    means = [mean(plane) for plane in planes]
    target = alpha.astype(np.float64)
    target_mean = mean(target)
    variance = {
        (i, j): mean(planes[i] * planes[j]) - means[i] * means[j] + (epsilon if i == j else 0.0)
        for i in range(3)
        for j in range(i, 3)
    }
    covariance = [mean(planes[i] * target) - means[i] * target_mean for i in range(3)]
    slope = _solved(variance, covariance)
    offset = target_mean - sum(slope[i] * means[i] for i in range(3))
    return [mean(plane) for plane in slope], mean(offset)


def _solved(
    matrix: dict[tuple[int, int], NDArray[np.float64]], right: list[NDArray[np.float64]]
) -> list[NDArray[np.float64]]:
    """Solve a symmetric positive definite 3 x 3 system a pixel, by its Cholesky factor (no determinant cancels)."""
    d0 = np.sqrt(matrix[0, 0])
    l10, l20 = matrix[0, 1] / d0, matrix[0, 2] / d0
    d1 = np.sqrt(np.maximum(matrix[1, 1] - l10 * l10, 1e-12))
    l21 = (matrix[1, 2] - l20 * l10) / d1
    d2 = np.sqrt(np.maximum(matrix[2, 2] - l20 * l20 - l21 * l21, 1e-12))
    y0 = right[0] / d0
    y1 = (right[1] - l10 * y0) / d1
    y2 = (right[2] - l20 * y0 - l21 * y1) / d2
    x2 = y2 / d2
    x1 = (y1 - l21 * x2) / d1
    x0 = (y0 - l10 * x1 - l20 * x2) / d0
    return [x0, x1, x2]
