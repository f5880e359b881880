"""Two masks of one picture beside each other, and where they differ."""

from __future__ import annotations

import numpy as np

from gossamer.arrays import Array, as_rgb
from gossamer.sheets.layout import scaled

__all__ = ["difference_picture", "difference_size"]

_WIDTH = 480  # of a cell
_GAP = 4
_RED, _BLUE = (0.9, 0.1, 0.1), (0.1, 0.3, 0.9)


def difference_size(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return width and height of :func:`difference_picture` for a picture of this (height, width)."""
    return 4 * _WIDTH + 3 * _GAP, max(1, round(shape[0] * _WIDTH / shape[1]))


def difference_picture(rgb: Array, first: Array, second: Array) -> Array:
    """Lay a picture, two masks of it and where they differ out in a row.

    Parameters
    ----------
    rgb : (H, W, 3) float32
        The picture, in [0, 1].
    first, second : (H, W) float32
        Masks, 1 = foreground.

    Returns
    -------
    (h, w, 3) float32
        From left to right: picture, first, second, and the picture in grey with red where only the first mask
        has foreground and blue where only the second has. A difference of 1/255 shows faintly, 64/255 fully.
    """
    import cv2

    height = max(1, round(rgb.shape[0] * _WIDTH / rgb.shape[1]))
    # Enlarging shows single pixels; reducing keeps the largest difference near a pixel, not its mean.
    step = max(1, -(-rgb.shape[1] // _WIDTH))
    kernel = np.ones((step, step), np.uint8)

    def strength(difference: Array) -> Array:
        positive = np.maximum(difference, 0)
        near = np.asarray(cv2.resize(cv2.dilate(positive, kernel), (_WIDTH, height), interpolation=cv2.INTER_NEAREST))
        # The root lifts what is faint: 1/255 becomes an eighth of full strength, 64/255 and above is full.
        lifted: Array = np.sqrt(np.minimum(near * np.float32(255 / 64), 1)).astype(np.float32)[..., None]
        return lifted

    red, blue = strength(first - second), strength(second - first)
    grey = 0.35 * scaled(rgb, _WIDTH).mean(2, keepdims=True).repeat(3, 2) + 0.3
    marked = grey * (1 - np.maximum(red, blue))
    marked = marked + red * np.array(_RED, np.float32) + blue * np.array(_BLUE, np.float32)
    cells = [scaled(rgb, _WIDTH), *(scaled(mask, _WIDTH)[..., None].repeat(3, 2) for mask in (first, second)), marked]
    gap = np.full((height, _GAP, 3), 1, np.float32)
    row = np.hstack([part for item in cells for part in (item, gap)][:-1])
    return as_rgb(np.clip(row, 0, 1))
