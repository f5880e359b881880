"""Masks and mattes with every kind of fault, computed, so that numbers measured elsewhere stay comparable."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["matte_pair", "small_pair"]


def matte_pair() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return a prediction and its truth, 120 x 160: moved and softer edges, ripples, a weak part, a stray one."""
    y, x = np.mgrid[:120, :160]

    def disc(row: float, column: float, radius: float, softness: float) -> NDArray[np.float64]:
        return np.clip((radius - np.hypot(y - row, x - column)) / softness + 0.5, 0, 1)

    truth = disc(60, 70, 40, 8) + disc(30, 140, 10, 3)
    prediction = disc(61, 72, 41, 12) + 0.6 * disc(32, 139, 9, 3) + 0.4 * disc(100, 20, 6, 3)
    prediction = np.clip(prediction * (1 + 0.1 * np.sin(x / 3.0) * np.cos(y / 5.0)), 0, 1)
    return np.rint(prediction * 255).astype(np.uint8), np.rint(truth * 255).astype(np.uint8)


def small_pair() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return a noisy 8-bit prediction, full range, and its hard truth, 14 x 17: for references of four loops."""
    random = np.random.default_rng(5)
    truth = np.zeros((14, 17), np.uint8)
    truth[3:11, 4:12] = 255
    prediction = np.clip(truth * 0.7 + random.integers(0, 120, truth.shape), 0, 255).astype(np.uint8)
    prediction[0, 0], prediction[5, 5] = 0, 255
    return prediction, truth
