"""Cut-outs with known answers, and bodies whose shadows are known."""

from __future__ import annotations

import numpy as np

from gossamer.image import Image

__all__ = ["disc", "picture", "rectangle"]


def disc(height: int, width: int, radius: float, soft: float = 1.0) -> np.ndarray:
    """Return the alpha of a disc in the middle, its edge `soft` pixels wide."""
    y, x = np.mgrid[:height, :width]
    away = np.hypot(x - (width - 1) / 2, y - (height - 1) / 2)
    return np.clip((radius - away) / soft + 0.5, 0, 1).astype(np.float32)


def rectangle(height: int, width: int, top: int, left: int, tall: int, wide: int) -> np.ndarray:
    """Return the alpha of a rectangle."""
    alpha = np.zeros((height, width), np.float32)
    alpha[top : top + tall, left : left + wide] = 1
    return alpha


def picture(alpha: np.ndarray, colour: tuple[float, float, float] = (0.8, 0.3, 0.1)) -> Image:
    """Return a cut-out of one colour, on green that its alpha hides."""
    pixels = np.where(alpha[..., None] > 0, np.float32(colour), np.float32([0, 1, 0])).astype(np.float32)
    return Image(pixels, alpha, bit_depth=8)
