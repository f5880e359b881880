"""Frames over what is behind them, straight to the bytes that are encoded."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array, unit_float
from gossamer.compositing import over
from gossamer.native import COUNT, PLACE, function

__all__ = ["over_bytes"]


def over_bytes(foreground: NDArray[Any], alpha: Array, behind: NDArray[Any]) -> NDArray[np.uint8]:
    """Return what :func:`gossamer.over` gives, rounded to bytes.

    Parameters
    ----------
    foreground : (H, W, 3) uint8 or float32
    alpha : (H, W) float32
        In [0, 1].
    behind : (H, W, 3) or (3,) float32
        In [0, 1].
    """
    compiled = function("over", *[PLACE] * 3, COUNT, COUNT, PLACE)
    if compiled is None:
        return (over(foreground, alpha, behind) * np.float32(255) + np.float32(0.5)).astype(np.uint8)
    result = np.empty(foreground.shape, np.uint8)
    front, back = unit_float(foreground), np.ascontiguousarray(behind, np.float32)
    compiled(
        np.ascontiguousarray(front), np.ascontiguousarray(alpha), back, 0 if back.ndim == 1 else 3, alpha.size, result
    )
    return result
