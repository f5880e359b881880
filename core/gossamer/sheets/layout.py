"""What sheets are laid out of: cells of one width on grey paper, and rows with a name above them."""

from __future__ import annotations

import numpy as np

from gossamer.arrays import Array

__all__ = ["GAP", "LABEL", "framed", "labelled", "scaled"]

GAP = 8
"""Pixels of paper between cells."""

LABEL = 28
"""Pixels of a line of text above a row."""

_PAPER = 240
_INK = (20,) * 3


def scaled(picture: Array, width: int) -> Array:
    """Return a picture, (H, W) or (H, W, 3), at a width; what is enlarged shows its single pixels."""
    import cv2

    if picture.shape[1] == width:
        return picture
    height = max(1, round(picture.shape[0] * width / picture.shape[1]))
    how = cv2.INTER_AREA if picture.shape[1] > width else cv2.INTER_NEAREST
    return np.asarray(cv2.resize(picture, (width, height), interpolation=how), dtype=np.float32)


def framed(cell: Array) -> Array:
    """Return a cell with paper above it and to its left."""
    return np.pad(cell, ((GAP, 0), (GAP, 0), (0, 0)), constant_values=_PAPER / 255)


def labelled(text: str, row: Array) -> Array:
    """Return a row with a line of text above it."""
    import cv2

    strip = np.full((LABEL, row.shape[1], 3), _PAPER, np.uint8)  # OpenCV 5 draws text on bytes alone
    plain = text.encode("ascii", "replace").decode()  # OpenCV's own font has no other letters
    cv2.putText(strip, plain, (GAP, LABEL - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.55, _INK, 1, cv2.LINE_AA)
    return np.vstack([strip / np.float32(255), row])
