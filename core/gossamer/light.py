"""The curve of sRGB: between numbers in files and the light that they stand for."""

from __future__ import annotations

import numpy as np

from gossamer.arrays import Array

__all__ = ["from_linear", "to_linear"]


def to_linear(numbers: Array) -> Array:
    """Return the light that sRGB numbers in [0, 1] stand for, in [0, 1] (IEC 61966-2-1)."""
    light = np.power((numbers + np.float32(0.055)) / np.float32(1.055), np.float32(2.4))
    return np.where(numbers <= np.float32(0.04045), numbers / np.float32(12.92), light)


def from_linear(light: Array, brightest: float = 1) -> Array:
    """Return the sRGB numbers of light from 0 to `brightest`, what lies outside clipped (IEC 61966-2-1)."""
    light = np.clip(light, 0, np.float32(brightest))
    numbers = np.float32(1.055) * np.power(light, np.float32(1 / 2.4)) - np.float32(0.055)
    return np.where(light <= np.float32(0.0031308), light * np.float32(12.92), numbers)
