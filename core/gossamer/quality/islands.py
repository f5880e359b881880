"""Islands of a plane, and holes in them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["enclosed", "significant"]


def significant(there: NDArray[np.bool_], least: float) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return the islands of at least an area: their labels (0 elsewhere), and their areas in the labels' order."""
    import cv2

    _, labels, stats, _ = cv2.connectedComponentsWithStats(there.view(np.uint8), connectivity=8, ltype=cv2.CV_32S)
    areas = stats[:, cv2.CC_STAT_AREA].astype(np.int64)
    areas[0] = 0
    kept = np.flatnonzero(areas >= max(least, 1))
    new = np.zeros(len(areas), np.int32)
    new[kept] = np.arange(1, len(kept) + 1)
    return new.take(labels), areas[kept]


def enclosed(there: NDArray[np.bool_], least: float) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return the holes of at least an area in what is there: their labels (0 elsewhere), and their areas."""
    import cv2

    _, labels = cv2.connectedComponents((~there).view(np.uint8), connectivity=4, ltype=cv2.CV_32S)
    closed = np.ones(int(labels.max()) + 1, np.bool_)
    closed[0] = False
    for border in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        closed[border] = False
    if not closed.any():
        return np.zeros(there.shape, np.int32), np.zeros(0, np.int64)
    return significant(closed.take(labels), least)
