"""Things that a mask shows to be translucent: glass, smoke, veils, whose greys are what they are.

A region that a model doubts is grey over a wide area, too, and should become opaque where its colours are the
subject's. Of the thing that it belongs to it is a part, though, beside much that the model is sure of; a glass or a
cloud of smoke is grey nearly everywhere, but for a rim and a highlight. So are a mesh and hair that a network saw too
small, but not smoothly.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.matting.from_mask.faith import ramp
from gossamer.resampling import wide_blur

__all__ = ["translucency"]

GREY = 0.12, 0.88  # mask values between are neither subject nor background
WIDE = 4.0  # units; where a disc of this radius fits in there is no contour and no strand
MOST = 0.55, 0.75  # share of a thing that is wide and grey: where it may be translucent, and where it surely is
FINE = 4.0  # sigma in units: what is finer is the remainder of something that is no glass
ROUGH = 0.05, 0.09  # root mean square of that in a thing's greys, where it is some and where it is much


def translucency(mask: Array, unit: float) -> Array:
    """Return how far each pixel is the inside of something translucent, (H, W) float32 in [0, 1].

    Parameters
    ----------
    mask : (H, W) float32 ndarray
        In [0, 1].
    unit : float
        Pixels in a unit of length.
    """
    import cv2

    grey = ((mask > GREY[0]) & (mask < GREY[1])).view(np.uint8)
    side = 2 * round(WIDE * unit) + 1
    wide = cv2.morphologyEx(grey, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    if not wide.any():
        return np.zeros(mask.shape, np.float32)
    many, things = cv2.connectedComponents((mask > GREY[0]).view(np.uint8))

    def mean(of: Array, place: NDArray[np.bool_], otherwise: float) -> Array:
        """Return the mean of a plane over each thing's part of a place."""
        flat = things[place]
        pixels = np.bincount(flat, minlength=many)
        means: Array = np.where(pixels, np.bincount(flat, of[place], many) / np.maximum(pixels, 1), otherwise)
        return means

    side = 2 * round(FINE * unit) + 1
    inner = cv2.erode(wide, np.ones((side, side), np.uint8)) > 0
    fine = mask - wide_blur(mask, FINE * unit)
    share = ramp(mean(wide, things > 0, 0), *MOST) * (1 - ramp(np.sqrt(mean(fine * fine, inner, 1)), *ROUGH))
    return np.asarray(cv2.blur(share.astype(np.float32)[things] * wide, (3, 3)), np.float32)
