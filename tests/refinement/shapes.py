"""Masks whose refinement is known beforehand, and what is measured on them."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["Mask", "disc", "edge", "erf", "length_of_contour", "radii"]

Mask = NDArray[np.float32]

erf = np.vectorize(math.erf)


def disc(radius: float, softness: float = 1.5, size: int = 241, centre: float | None = None) -> Mask:
    """A disc whose edge is that of a Gaussian of the standard deviation `softness`; 0: antialiased."""
    middle = (size - 1) / 2 if centre is None else centre
    y, x = np.mgrid[:size, :size]
    inside = radius - np.hypot(x - middle, y - middle)
    if softness == 0:
        return np.clip(inside + 0.5, 0, 1).astype(np.float32)
    return (0.5 + 0.5 * erf(inside / (softness * math.sqrt(2)))).astype(np.float32)


def radii(mask: Mask, level: float = 0.5) -> NDArray[np.float64]:
    """Where 360 rays from the picture's middle cross `level`, from bilinear samples."""
    middle = (mask.shape[0] - 1) / 2
    r = np.arange(0, middle - 1, 0.05)
    angle = np.radians(np.arange(360))[:, None]
    x, y = middle + r * np.cos(angle), middle + r * np.sin(angle)
    samples = cv2.remap(mask, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR)
    return r[np.argmax(samples < level, axis=1)] - 0.025


def edge(softness: float, height: int = 40, width: int = 240) -> Mask:
    """A straight edge in the middle, foreground on the left."""
    x = np.arange(width) - (width - 1) / 2
    profile = 0.5 - 0.5 * erf(x / (softness * math.sqrt(2))) if softness else (x < 0).astype(float)
    return np.tile(profile.astype(np.float32), (height, 1))


def length_of_contour(mask: Mask) -> float:
    large = cv2.resize(mask, None, fx=4, fy=4, interpolation=cv2.INTER_LINEAR)
    contours, _ = cv2.findContours((large > 0.5).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    smoothed = [cv2.approxPolyDP(contour, 2.0, True) for contour in contours]
    return sum(cv2.arcLength(contour, True) for contour in smoothed) / 4
