"""Whether the colours of a cut-out from elsewhere are straight, or multiplied by their alpha."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array, unit_float

__all__ = ["looks_premultiplied", "unmultiplied"]

_SOFT = (0.02, 0.95)  # of alpha
_SOLID = 0.98
_NEAR = 24  # pixels from a soft one to the opaque one whose colour it should have
_ABOVE = 0.06  # by so much a straight colour would exceed its alpha for it to tell
_LEAST = 24  # pixels that tell
_ROUNDING = 1.5 / 255
_RARE = 0.02  # of those that tell


def looks_premultiplied(pixels: NDArray[Any], alpha: Array) -> bool:
    """Return whether colours look multiplied by alpha: none exceeds it, where the subject beside it would.

    Parameters
    ----------
    pixels : (H, W, 3) uint8 or float32
    alpha : (H, W) float32

    Notes
    -----
    A premultiplied colour cannot exceed its alpha. That a straight one does not either says something only where the
    nearest opaque pixel is brighter than that: in the faint edge of something bright.
    """
    import cv2

    soft = (alpha > _SOFT[0]) & (alpha < _SOFT[1])
    solid = alpha >= _SOLID
    if np.count_nonzero(soft) < _LEAST or not solid.any():
        return False
    red, green, blue = (pixels[..., channel] for channel in range(3))
    brightest = unit_float(np.maximum(np.maximum(red, green), blue))
    away, labels = cv2.distanceTransformWithLabels(
        (~solid).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    nearest = np.zeros(int(labels.max()) + 1, np.float32)
    nearest[labels[solid]] = brightest[solid]
    tells = soft & (away <= _NEAR) & (nearest[labels] > alpha + _ABOVE)
    count = int(np.count_nonzero(tells))
    if count < _LEAST:
        return False
    exceeding = np.count_nonzero(brightest[tells] > alpha[tells] + _ROUNDING)
    return bool(exceeding <= _RARE * count)


def unmultiplied(pixels: NDArray[Any], alpha: Array) -> Array:
    """Return straight colours of premultiplied ones; where nothing is seen, nothing is known: they stay."""
    colours = np.array(unit_float(pixels))
    weight = alpha[..., None]
    np.divide(colours, weight, out=colours, where=weight > 0)
    return np.clip(colours, 0, 1, out=colours)
