"""Guided filtering: a mask that follows the picture's edges, at preview speed (He, Sun and Tang 2013)."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gossamer.arrays import Array, as_mask, as_rgb
from gossamer.errors import InputError
from gossamer.parallel.patience import patiently
from gossamer.parallel.strips import Strips
from gossamer.progress import Progress, ProgressCallback

__all__ = ["guided_alpha", "local_slopes"]

_ROWS = 128  # filtered at a time by one thread


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
    steps = Progress.of(progress)
    result = np.empty_like(alpha)
    # Two nested windows reach 2 * radius: strips with that margin give the very result of the whole picture.
    height, margin = alpha.shape[0], 2 * radius
    strip = max(64, margin, 2**20 // alpha.shape[1])
    for top in range(0, height, strip):
        steps(top / height, "Guided filtering")
        first, last = max(0, top - margin), min(height, top + strip + margin)
        strip_of = partial(_filtered, guide[first:last], alpha[first:last], radius, epsilon)
        part = patiently(strip_of, steps)
        stop = min(top + strip, height)
        result[top:stop] = part[top - first : stop - first]
    steps(1.0)
    return result


def local_slopes(guide: Array, alpha: Array, radius: int, epsilon: float, progress: Progress) -> Array:
    """Return how alpha changes with the colours around each pixel, where it is about an affine function of them.

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
    progress : Progress
        May raise to cancel.

    Returns
    -------
    (H, W, 3) float32 ndarray
        The means of the slopes of all windows that hold the pixel.
    """
    slopes, margin = np.empty(guide.shape, np.float32), 2 * radius

    def work(top: int, bottom: int) -> None:
        first, last = max(0, top - margin), min(len(alpha), bottom + margin)
        found, _ = _lines(guide[first:last], alpha[first:last], radius, epsilon)
        for channel in range(3):
            slopes[top:bottom, :, channel] = found[channel][top - first : bottom - first]

    with Strips() as strips:
        strips.each(work, len(alpha), _ROWS, progress)
    return slopes


def _filtered(guide: Array, alpha: Array, radius: int, epsilon: float) -> Array:
    """Filter one strip; windows at the picture's border hold only what lies inside."""
    slopes, filtered = _lines(guide, alpha, radius, epsilon)
    for i in range(3):
        filtered += slopes[i] * guide[..., i]
    return np.clip(filtered, 0, 1).astype(np.float32)


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
