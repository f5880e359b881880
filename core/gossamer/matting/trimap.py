"""Trimaps: what is certainly foreground, what is certainly background, and the band between."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from gossamer.arrays import Array, as_mask
from gossamer.errors import InputError

__all__ = ["trimap_from_mask"]


def trimap_from_mask(
    mask: ArrayLike, *, band: int = 10, foreground_threshold: float = 0.95, background_threshold: float = 0.05
) -> Array:
    """Mark the band around a mask's edge as unknown.

    Parameters
    ----------
    mask : (H, W) array
        1 = foreground.
    band : int
        Pixels on either side of the mask's edge (its contour at one half) that become unknown.
    foreground_threshold, background_threshold : float
        Where the mask lies between the two it is unknown as well.

    Returns
    -------
    (H, W) float32
        0 = background, 0.5 = unknown, 1 = foreground.

    Raises
    ------
    InputError
        The mask has another shape or values outside [0, 1], or the band is smaller than 1.
    """
    import cv2

    alpha = as_mask(mask)
    if band < 1:
        raise InputError(f"The matting band is {band}.", "Give at least 1 pixel.")
    inside = alpha > 0.5
    # distanceTransform measures to the nearest zero pixel; a picture without one has no edge at all.
    to_outside = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, 5) if not inside.all() else np.inf
    to_inside = cv2.distanceTransform((~inside).astype(np.uint8), cv2.DIST_L2, 5) if inside.any() else np.inf
    trimap = np.full(alpha.shape, 0.5, np.float32)
    trimap[(alpha >= foreground_threshold) & (to_outside > band)] = 1
    trimap[(alpha <= background_threshold) & (to_inside > band)] = 0
    return trimap
