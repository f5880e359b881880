"""Beside a mask: what a cut-out has lost of it, and how far two masks of one picture are apart."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from gossamer.arrays import Array
from gossamer.matting.thin_parts import thin_parts
from gossamer.resampling import shrink

__all__ = ["Loss", "disagreement", "measure_loss"]

_WORK_AREA = 480_000  # pixels
_THIN = 40  # square units of thin parts: less is none
_THIN_SHARE = 0.0005  # of the mask


class Loss(NamedTuple):
    """What a cut-out has lost of a mask.

    Attributes
    ----------
    lost : float
        Share of what the mask is sure of where alpha is below one half.
    thin_lost : float or None
        Share of the alpha of thin parts that is gone; None where nothing in the mask is thin.
    """

    lost: float
    thin_lost: float | None


def measure_loss(alpha: Array, mask: Array) -> Loss:
    """Measure what an alpha has lost of a mask, both (H, W) float32."""
    alpha, mask = _small(alpha), _small(mask)
    sure = mask >= 0.9
    lost = int(np.count_nonzero(sure & (alpha < 0.5))) / max(int(np.count_nonzero(sure)), 1)
    thin = thin_parts(mask) & (mask > 0.1)
    area = float(mask[thin].sum(dtype=np.float64))
    if area < max(_THIN, _THIN_SHARE * float(mask.sum(dtype=np.float64))):
        return Loss(lost, None)
    gone = float(np.maximum(mask[thin] - alpha[thin], 0).sum(dtype=np.float64))
    return Loss(lost, gone / area)


def disagreement(alpha: Array, other: Array) -> float:
    """Return the sum of the differences of two alphas of a picture against the area of both together, in [0, 1]."""
    alpha, other = _small(alpha), _small(other)
    union = float(np.maximum(alpha, other).sum(dtype=np.float64))
    return float(np.abs(alpha - other).sum(dtype=np.float64)) / union if union > 0 else 0.0


def _small(plane: Array) -> Array:
    factor = math.sqrt(_WORK_AREA / plane.size)
    if factor >= 1:
        return plane
    height, width = plane.shape
    return np.ascontiguousarray(shrink(plane, (max(round(width * factor), 1), max(round(height * factor), 1))))
