"""Sharpness of the subject: how much a picture changes when it is blurred once more.

Crété, Dolmiere, Ladret and Nicolas, "The blur effect: perception and estimation with a new no-reference perceptual blur
metric", SPIE Electronic Imaging 2007.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array, unit_float
from gossamer.resampling import Pixels

__all__ = ["blur_effect"]

_TAPS = 9  # of the box that blurs once more: the paper's
_TILES = 6  # along the longer side: the sharpest of them counts, as backgrounds and shoulders are out of focus by right
_LEAST = 24  # pixels of a tile
_MOST = 256
_FILLED = 0.5  # of a tile must be the subject
_TEXTURE = 0.004  # mean difference of neighbours: of what is flat nothing can be said
_LUMA = np.array([[0.299, 0.587, 0.114]], np.float32)


def blur_effect(pixels: Pixels, alpha: Array) -> float | None:
    """Return how blurred a subject is, from 0 (sharp) to 1.

    Parameters
    ----------
    pixels : (H, W, 3) uint8 or float32
        The picture.
    alpha : (H, W) float32
        1 = foreground.

    Returns
    -------
    float or None
        Of the sharpest part of the subject; None where it is flat or small.
    """
    import cv2

    height, width = alpha.shape
    side = min(max(math.ceil(max(height, width) / _TILES), _LEAST), _MOST)
    found = []
    for top in _starts(height, side):
        for left in _starts(width, side):
            part = np.s_[top : top + side, left : left + side]
            inside = alpha[part] > 0.95
            if inside.mean() >= _FILLED:
                grey = np.asarray(cv2.transform(unit_float(pixels[part]), _LUMA), np.float32)
                found.append(_of_tile(grey, inside))
    known = [value for value in found if value is not None]
    return min(known) if known else None


def _starts(length: int, side: int) -> list[int]:
    """Return where tiles of a side begin: no more of them than keeps the measure quick."""
    count = max(min(length // side, _TILES), 1)
    return [round(number * max(length - side, 0) / max(count - 1, 1)) for number in range(count)]


def _of_tile(grey: Array, inside: NDArray[np.bool_]) -> float | None:
    import cv2

    effects = []
    for kernel, first, second in (
        ((1, _TAPS), np.s_[:-1], np.s_[1:]),
        ((_TAPS, 1), np.s_[:, :-1], np.s_[:, 1:]),
    ):
        blurred = cv2.blur(grey, kernel)
        both = (inside[first] & inside[second]).view(np.uint8)
        sharp, soft = (cv2.absdiff(plane[first], plane[second]) for plane in (grey, blurred))
        total = cv2.mean(sharp, both)[0]
        if total < _TEXTURE:
            continue
        lost = cv2.subtract(sharp, soft)
        effects.append((total - cv2.mean(cv2.max(lost, 0), both)[0]) / total)
    return max(effects) if effects else None
