"""How far each pixel is from a mask's edge, and the unit that such lengths are given in."""

from __future__ import annotations

import math

import numpy as np

from gossamer.arrays import Array, distances

__all__ = ["has_edge", "signed_distance", "unit_length", "weighted", "weighted_distance"]

_UNIT_AREA = 480_000  # 800 x 600: there the unit is one pixel
_LEAST = 0.45  # below a fifth of that area masks do not get more exact in proportion


def unit_length(shape: tuple[int, ...]) -> float:
    """Return the pixels in a unit of length: what one pixel is in a picture of 0.48 megapixels."""
    return max(math.sqrt(shape[0] * shape[1] / _UNIT_AREA), _LEAST)


def has_edge(mask: Array) -> bool:
    """Tell whether `mask` has both foreground (above one half) and background."""
    return bool(mask.max() > 0.5 >= mask.min())


def signed_distance(mask: Array) -> Array:
    """Return the distance to the mask's contour at one half in pixels, positive inside.

    Parameters
    ----------
    mask : (H, W) float32 ndarray
        Values in [0, 1]; 1 = foreground.

    Returns
    -------
    (H, W) float32 ndarray
        The edge lies between pixels, so no pixel is nearer than one half. A mask without an edge is infinitely far
        from it, on its own side.
    """
    inside = mask > 0.5
    if not has_edge(mask):
        return np.full(mask.shape, np.inf if inside.all() else -np.inf, np.float32)
    within, without = distances(inside), distances(~inside)
    result: Array = np.where(inside, within - np.float32(0.5), np.float32(0.5) - without)
    return result


def weighted_distance(mask: Array, limit: float) -> Array:
    """Return the signed distance, limited to `limit` and less where the mask is uncertain.

    An undecided mask says as little about a pixel as an edge right beside it; a hard one keeps its distances.
    """
    return weighted(signed_distance(mask), mask, limit)


def weighted(distance: Array, mask: Array, limit: float) -> Array:
    """Return a mask's signed distance limited and weighted so."""
    result: Array = np.clip(distance, -limit, limit) * (2 * mask - 1) ** 2
    return result
