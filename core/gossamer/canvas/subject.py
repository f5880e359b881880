"""Where the subject is in its frame: its box, its centre of mass, and what the frame cuts off."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.errors import InputError

__all__ = ["SIDES", "Box", "centre_of_mass", "cleared", "cut_off", "far_off", "subject_box"]

SIDES = ("top", "right", "bottom", "left")
"""As in CSS."""

_SEEN = 0.5  # of alpha: what shows its contour
_FAINT = 0.1  # of alpha: where less is, a box may end, hair and glass being in it
_SPECK = 1e-4  # of the subject's area: what stands apart and is smaller is none of it
_NEAR = 0.015  # of the solid subject's longer side: so near to the solid subject its soft edge may be
_CONTACT = 0.01  # of the subject's width or height along the frame: what touches it with less is a hair or a corner


class Box(NamedTuple):
    """A rectangle: the first pixels in it, and the first beyond."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        """In pixels."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """In pixels."""
        return self.bottom - self.top


def subject_box(alpha: Array) -> Box:
    """Return the box around all of the subject that is seen; specks that stand apart do not count.

    Raises
    ------
    InputError
        Nothing is in the matte.
    """
    import cv2

    solid = (alpha >= _FAINT).astype(np.uint8)
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(solid, connectivity=8)
    # Of faint islands none is a subject, unless the subject itself is as faint.
    seen = np.bincount(labels.ravel(), weights=(alpha >= _SEEN).ravel(), minlength=count)[1:]
    areas = boxes[1:, cv2.CC_STAT_AREA]
    weight = seen if seen.any() else areas
    if not len(areas):
        raise InputError(
            "There is nothing in the matte, so that there is no subject to put on a canvas.",
            "Choose another model or prompt, or --canvas-crop frame.",
        )
    kept = boxes[1:][weight >= max(1.0, _SPECK * float(weight.sum()))]
    left, top = kept[:, cv2.CC_STAT_LEFT], kept[:, cv2.CC_STAT_TOP]
    right, bottom = left + kept[:, cv2.CC_STAT_WIDTH], top + kept[:, cv2.CC_STAT_HEIGHT]
    return Box(float(left.min()), float(top.min()), float(right.max()), float(bottom.max()))


def centre_of_mass(alpha: Array) -> tuple[float, float]:
    """Return the subject's centre of mass (x, y), in pixels; pixel (0, 0) has its centre at (0.5, 0.5)."""
    columns, rows = alpha.sum(0, dtype=np.float64), alpha.sum(1, dtype=np.float64)
    total = max(float(columns.sum()), 1e-9)
    x = float((columns * (np.arange(len(columns)) + 0.5)).sum()) / total
    y = float((rows * (np.arange(len(rows)) + 0.5)).sum()) / total
    return x, y


def far_off(alpha: Array, times: float = 1.0) -> NDArray[np.bool_]:
    """Return where nothing solid of the subject is near, or so many times as far; nowhere, where nothing is solid."""
    import cv2

    solid = alpha >= _SEEN
    if not solid.any():
        return np.zeros(alpha.shape, bool)
    away = cv2.distanceTransform((~solid).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3)
    extent = max(np.ptp(np.flatnonzero(solid.any(1))), np.ptp(np.flatnonzero(solid.any(0)))) + 1
    return np.asarray(away > times * _NEAR * extent)


def cleared(alpha: Array, haze: float) -> Array:
    """Return an alpha that is 0 where it is no more than `haze`, far off the subject."""
    return np.where((alpha <= haze) & far_off(alpha), np.float32(0), alpha)


def cut_off(alpha: Array, box: Box) -> tuple[str, ...]:
    """Return the sides of the frame at which the subject is cut off, of ``top right bottom left``."""
    edges = {"top": alpha[0], "right": alpha[:, -1], "bottom": alpha[-1], "left": alpha[:, 0]}
    least = {side: max(2.0, _CONTACT * (box.width if side in ("top", "bottom") else box.height)) for side in SIDES}
    return tuple(side for side in SIDES if np.count_nonzero(edges[side] >= _SEEN) >= least[side])
