"""Things that a mask shows to be translucent: glass, smoke, veils, whose greys are what they are.

A region that a model doubts is grey over a wide area, too, and should become opaque where its colours are the
subject's. Of the thing that it belongs to it is a part, though, beside much that the model is sure of; a glass or a
cloud of smoke is grey nearly everywhere, but for a rim and a highlight.
"""

from __future__ import annotations

import numpy as np

from gossamer.arrays import Array
from gossamer.matting.from_mask.faith import ramp

__all__ = ["translucency"]

GREY = 0.12, 0.88  # mask values between are neither subject nor background
WIDE = 4.0  # units; where a disc of this radius fits in there is no contour and no strand
MOST = 0.55, 0.75  # share of a thing that is wide and grey: where it may be translucent, and where it surely is


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
    areas = np.bincount(things.reshape(-1), minlength=many)
    inside = np.bincount(things[wide > 0], minlength=many)
    inside[0] = 0  # the background is no thing
    share = ramp((inside / np.maximum(areas, 1)).astype(np.float32), *MOST)
    return np.asarray(cv2.blur(share[things] * wide, (3, 3)), np.float32)
