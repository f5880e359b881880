"""How far a mask follows its picture: whether a model that saw it drew the edge."""

from __future__ import annotations

import numpy as np

from gossamer.arrays import Array
from gossamer.matting.guided import guided_alpha
from gossamer.resampling import bilinear, shrink, wide_blur

__all__ = ["mask_faith", "ramp"]

WINDOW = 3.0  # radius in units of the guided filter that tells whether a mask follows the picture
NEARBY = 25.0  # sigma in units of the neighbourhood in which that is measured
FOLLOWS = 0.25, 0.55  # share of the mask's detail that the picture explains: of a blur none, of models' .4 to .9
LEFT = 0.1, 0.05  # unexplained detail a unit of edge: of rough hard masks .11 to .4, of models' .06 at most
FINE = 0.005  # detail below this, as in a wide blur, has nothing to follow the picture with


def mask_faith(image: Array, mask: Array, unit: float) -> Array:
    """Return how far a soft mask's values deserve to be believed, (H, W) in [0, 1]: a hard one's never.

    A guided filter keeps of the mask what is a function of the colours nearby. A model that saw the picture draws its
    ramps along the picture's edges, so the filter changes them little, much less than a blur of the same reach; an edge
    that was drawn or enlarged without the picture falls apart.

    Parameters
    ----------
    image : (H, W, 3) float32 ndarray
        RGB in [0, 1].
    mask : (H, W) float32 ndarray
        In [0, 1].
    unit : float
        Pixels in a unit of length.
    """
    import cv2

    if not np.any((mask > 0.02) & (mask < 0.98)):
        return np.zeros_like(mask)
    height, width = mask.shape
    size = (max(width // 2, 1), max(height // 2, 1))  # it is a matter of neighbourhoods, not of pixels
    image, mask, unit = shrink(image, size), shrink(mask, size), unit / 2
    radius = max(round(WINDOW * unit), 1)
    window = (2 * radius + 1, 2 * radius + 1)
    edge = cv2.morphologyEx((mask > 0.5).astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    length = wide_blur(np.asarray(edge, np.float32), NEARBY * unit) / np.float32(2) + np.float32(1e-3)
    length *= np.float32(unit)
    blurred = np.asarray(cv2.blur(cv2.blur(mask, window), window), np.float32)
    left = wide_blur((guided_alpha(image, mask, radius=radius) - mask) ** 2, NEARBY * unit)
    detail = wide_blur((blurred - mask) ** 2, NEARBY * unit)
    left /= length
    detail /= length
    follows: Array = 1 - (left + np.float32(FINE)) / (detail + np.float32(FINE))
    return np.clip(bilinear(ramp(follows, *FOLLOWS) * ramp(left, *LEFT), height, width), 0, 1)


def ramp(values: Array, none: float, full: float) -> Array:
    """Return 0 at `none`, 1 at `full`, and linearly between."""
    result: Array = np.clip((values - np.float32(none)) / np.float32(full - none), 0, 1)
    return result
