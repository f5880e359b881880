"""Measures of alpha mattes (Rhemann et al.: A Perceptually Motivated Online Benchmark for Image Matting, CVPR 2009)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gossamer.arrays import Array, as_mask
from gossamer.errors import InputError
from gossamer.evaluation.measures import chosen

__all__ = ["MatteScores", "evaluate_matte"]

_SIGMA = 1.4  # of the derivative of a Gaussian, in pixels: the paper's
_CUT = 0.01  # the kernel ends where the Gaussian has fallen to it: that of the benchmark's evaluation code
_LEVELS = 10  # thresholds of the connectivity, every 0.1
_SLACK = np.float32(0.15)  # what a pixel may lie above its connected level unpunished: the paper's theta


@dataclass(frozen=True)
class MatteScores:
    """The measures of one matte.

    Attributes
    ----------
    values : dict of str to float
        By name, see :data:`gossamer.evaluation.MEASURES`; never NaN or infinite. Lower is better.
    pixels : int
        How many pixels they are of: the unknown ones of the trimap, or all.
    """

    values: dict[str, float]
    pixels: int


def evaluate_matte(
    prediction: ArrayLike,
    truth: ArrayLike,
    trimap: ArrayLike | None = None,
    *,
    measures: Iterable[str] | None = None,
) -> MatteScores:
    """Measure one alpha matte against the truth.

    Parameters
    ----------
    prediction, truth : (H, W) array
        uint8, uint16 or floats in [0, 1]; 1 = foreground.
    trimap : (H, W) array, optional
        Only where it is unknown (nearer to one half than to 0 and 1) errors count. The prediction is taken as it is
        also elsewhere: nothing is copied from the trimap into it.
    measures : iterable of str, optional
        Only these (see Returns); all by default.

    Returns
    -------
    MatteScores
        ``sad`` : sum of absolute differences / 1000.
        ``mad``, ``mse`` : mean absolute and mean squared difference x 1000.
        ``gradient`` : sum of the squared differences of the gradient's magnitude / 1000, with derivatives of a
        Gaussian of sigma 1.4 of unit norm, of the mattes stretched to [0, 1] as the published code does.
        ``connectivity`` : sum of the differences of connectedness / 1000, with steps of 0.1 and theta 0.15.

        Alpha counts from 0 to 1; these are the scales of papers since Xu 2017 (Deep Image Matting).

    Raises
    ------
    InputError
        If an array is none of the above, the sizes differ, the trimap has no unknown pixels, or a measure is not
        known.
    """
    names = chosen("matte", measures)
    predicted = as_mask(prediction, name="prediction", measured=True)
    target = as_mask(truth, name="truth", measured=True)
    region = None if trimap is None else as_mask(trimap, name="trimap")
    for name, other in (("prediction", predicted), ("trimap", region)):
        if other is not None and other.shape != target.shape:
            raise InputError(
                f"The {name} is {other.shape[1]} x {other.shape[0]} pixels, "
                f"but the truth is {target.shape[1]} x {target.shape[0]}.",
                "Compare mattes of the same picture at the same size.",
            )
    unknown = np.ones(target.shape, np.bool_) if region is None else np.abs(region - np.float32(0.5)) < 0.25
    pixels = int(np.count_nonzero(unknown))
    if not pixels:
        raise InputError("The trimap has no unknown pixels.", "Give one that is grey (128) around the edge.")
    difference = np.abs(predicted - target)[unknown].astype(np.float64)
    values: dict[str, float] = {}
    for name in names:
        if name == "sad":
            values[name] = float(difference.sum()) / 1e3
        elif name == "mad":
            values[name] = float(difference.mean()) * 1e3
        elif name == "mse":
            values[name] = float(np.square(difference).mean()) * 1e3
        elif name == "gradient":
            error = np.square(_gradient(predicted) - _gradient(target))
            values[name] = float(error[unknown].sum()) / 1e3
        else:
            values[name] = _connectivity(predicted, target, unknown) / 1e3
    return MatteScores(values, pixels)


def _gradient(alpha: Array) -> NDArray[np.float64]:
    """Return the magnitude of the gradient of `alpha` stretched to [0, 1], borders repeated."""
    import cv2

    low, high = float(alpha.min()), float(alpha.max())
    if high == low:
        return np.zeros(alpha.shape)
    stretched = (alpha.astype(np.float64) - low) / (high - low)
    reach = math.ceil(_SIGMA * math.sqrt(-2 * math.log(math.sqrt(2 * math.pi) * _SIGMA * _CUT)))
    x = np.arange(-reach, reach + 1, dtype=np.float64)
    bell = np.exp(-np.square(x) / (2 * _SIGMA**2))
    slope = x * bell
    # The two-dimensional kernel, one times the other, has unit norm where both have.
    bell /= np.linalg.norm(bell)
    slope /= np.linalg.norm(slope)
    along = cv2.sepFilter2D(stretched, cv2.CV_64F, slope, bell, borderType=cv2.BORDER_REPLICATE)
    down = cv2.sepFilter2D(stretched, cv2.CV_64F, bell, slope, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(np.hypot(along, down))


def _connectivity(predicted: Array, target: Array, unknown: NDArray[np.bool_]) -> float:
    """Return the sum of the differences of connectedness.

    The level of a pixel is the last threshold at which it belongs to the largest 4-connected part that both mattes
    have above it; above its level, by more than the slack, a pixel is disconnected. As in the published code a pixel
    that leaves the part never comes back, and of parts of one size the leftmost counts.
    """
    import cv2

    # Columns first: of parts of one size the benchmark's code takes the first in that order.
    both = np.ascontiguousarray(np.minimum(predicted, target).T)
    level = np.ones(both.shape, np.float32)
    inside = np.ones(both.shape, np.bool_)
    for step in range(1, _LEVELS + 1):
        # In single precision, like the mattes: 0.6 is 153/255, and must be reached by it.
        part = both >= np.float32(step / _LEVELS)
        _, labels, stats, _ = cv2.connectedComponentsWithStats(part.view(np.uint8), connectivity=4, ltype=cv2.CV_32S)
        sizes = stats[1:, cv2.CC_STAT_AREA]
        largest = labels == 1 + int(sizes.argmax()) if sizes.size else np.zeros(both.shape, np.bool_)
        level[inside & ~largest] = np.float32((step - 1) / _LEVELS)
        inside &= largest
        if not inside.any():
            break
    level = level.T
    first, second = (np.where(alpha - level >= _SLACK, alpha - level, np.float32(0)) for alpha in (predicted, target))
    return float(np.abs(first - second)[unknown].sum(dtype=np.float64))
