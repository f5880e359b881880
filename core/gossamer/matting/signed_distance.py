"""How far each pixel is from a mask's edge."""

from __future__ import annotations

import numpy as np

from gossamer.arrays import Array

__all__ = ["signed_distance"]


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
        from it on its own side.
    """
    import cv2

    inside = mask > 0.5
    if inside.all() or not inside.any():
        return np.full(mask.shape, np.inf if inside.all() else -np.inf, np.float32)
    sides = (cv2.distanceTransform(side.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) for side in (inside, ~inside))
    within, without = sides
    result: Array = np.where(inside, within - np.float32(0.5), np.float32(0.5) - without)
    return result
