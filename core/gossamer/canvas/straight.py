"""Whether the colours of a cut-out from elsewhere are straight, or multiplied by their alpha."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array, box_around, unit_float

__all__ = ["DARKENED", "darkening", "looks_premultiplied", "unmultiplied"]

_SOFT = (0.02, 0.95)  # of alpha
_SOLID = 0.98
_NEAR = 24  # pixels from a soft one to the opaque one whose colour it should have
_ABOVE = 0.06  # by so much a straight colour would exceed its alpha for it to tell
_LEAST = 24  # pixels that tell
_ROUNDING = 1.5 / 255
_RARE = 0.02  # of those that tell
DARKENED = 0.5
"""From which :func:`darkening` on colours are multiplied."""
_LOOKED_AT = 700_000  # pixels


def looks_premultiplied(pixels: NDArray[Any], alpha: Array) -> bool:
    """Return whether colours look multiplied by alpha; both as :func:`darkening` takes them."""
    return (darkening(pixels, alpha) or 0.0) > DARKENED


def darkening(pixels: NDArray[Any], alpha: Array) -> float | None:
    """Return how far soft colours are darkened by alpha: 1 where they are multiplied by it, 0 where they are straight.

    Parameters
    ----------
    pixels : (H, W, 3) uint8 or float32
        At the cut-out's own size: where it was made smaller, means of products are no products of means.
    alpha : (H, W) float32

    Returns
    -------
    float or None
        The regression of what soft pixels lack of the nearest opaque one's colour, on what black would take of it.
        None where nothing tells.

    Notes
    -----
    A premultiplied colour cannot exceed its alpha. That a straight one does not either says something only where the
    nearest opaque pixel is brighter than that: in the faint edge of something bright.
    """
    import cv2

    step = math.ceil(math.sqrt(alpha.size / _LOOKED_AT))  # pixels are left out, not averaged
    pixels, alpha = pixels[::step, ::step], alpha[::step, ::step]
    soft = (alpha > _SOFT[0]) & (alpha < _SOFT[1])
    solid = alpha >= _SOLID
    if np.count_nonzero(soft) < _LEAST or not solid.any():
        return None
    place = box_around(soft, _NEAR // step + 1)
    pixels, alpha, soft, solid = pixels[place], alpha[place], soft[place], np.ascontiguousarray(solid[place])
    if not solid.any():
        return None
    away, labels = cv2.distanceTransformWithLabels(
        (~solid).view(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    nearest = np.zeros(int(labels.max()) + 1, np.intp)
    nearest[labels[solid]] = np.flatnonzero(solid)
    near = np.unravel_index(np.flatnonzero(soft & (away * step <= _NEAR)), soft.shape)
    beside = np.unravel_index(nearest[labels[near]], solid.shape)
    share, own, theirs = alpha[near], unit_float(pixels[near]), unit_float(pixels[beside])
    tells = theirs.max(axis=1) > share + _ABOVE
    count = int(np.count_nonzero(tells))
    if count < _LEAST:
        return None
    share, own, theirs = share[tells], own[tells], theirs[tells]
    if np.count_nonzero(own.max(axis=1) > share + _ROUNDING) > _RARE * count:
        return 0.0
    black = theirs * (1 - share[:, None])
    return float(np.clip((black * (theirs - own)).sum() / max(float((black * black).sum()), 1e-9), 0, 1))


def unmultiplied(pixels: NDArray[Any], alpha: Array) -> Array:
    """Return straight colours of premultiplied ones; where nothing is seen, nothing is known: they stay."""
    colours = np.array(unit_float(pixels))
    weight = alpha[..., None]
    np.divide(colours, weight, out=colours, where=weight > 0)
    return np.clip(colours, 0, 1, out=colours)
