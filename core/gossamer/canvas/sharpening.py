"""Sharpening what was scaled down, without a halo around the subject."""

from __future__ import annotations

import numpy as np

from gossamer.arrays import Array

__all__ = ["sharpened"]

_SIGMA = 0.8  # pixels: what scaling down by areas softens
_FAINT = np.float32(1e-3)


def sharpened(pixels: Array, alpha: Array, amount: float) -> Array:
    """Return straight colours with their finest detail raised: an unsharp mask of the subject alone.

    Parameters
    ----------
    pixels : (H, W, 3) float32
        Straight colours in [0, 1].
    alpha : (H, W) float32
        Weighs what is blurred, so that nothing from beyond the edge takes part and the edge stays as it is.
    amount : float
        1 = the detail doubled.
    """
    import cv2

    weight = np.asarray(cv2.GaussianBlur(alpha, (0, 0), _SIGMA), np.float32) + _FAINT
    result = np.empty_like(pixels)
    for channel in range(3):
        plane = np.ascontiguousarray(pixels[..., channel])
        # (blur(a p) + faint p) / (blur(a) + faint): flat colours stay to the last bit but rounding.
        soft = np.asarray(cv2.GaussianBlur(plane * alpha, (0, 0), _SIGMA), np.float32)
        soft += _FAINT * plane
        soft /= weight
        plane = plane + np.float32(amount) * (plane - soft)
        result[..., channel] = np.clip(plane, 0, 1)
    return result
