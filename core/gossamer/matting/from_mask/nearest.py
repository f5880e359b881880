"""The nearest of many points to many queries, exactly; the compiled tree or, where that was not compiled, SciPy's."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.native import COUNT, PLACE, function

__all__ = ["Nearest"]

_LEAF = 16  # points; the kernel's
_AXES = 8  # at most; the kernel's


class Nearest:
    """A tree of points.

    Parameters
    ----------
    points : (N, D) float32 ndarray
        At least one, with at most 8 coordinates.
    """

    def __init__(self, points: Array) -> None:
        self._points = np.ascontiguousarray(points, np.float32)
        count, axes = self._points.shape
        grow = function("grow", PLACE, COUNT, COUNT, COUNT, *4 * (PLACE,))
        self._query = function("nearest", PLACE, COUNT, COUNT, *4 * (PLACE,), COUNT, COUNT, COUNT, PLACE, PLACE)
        if grow is None:
            from scipy.spatial import cKDTree

            self._tree: Any = cKDTree(self._points)
            return
        self._leaves = 1 << max(-(-count // _LEAF) - 1, 0).bit_length()
        self._boxes = np.empty((2 * self._leaves - 1, 2, _AXES), np.float32)
        self._packed = np.empty((self._leaves, axes, _LEAF), np.float32)
        self._numbers = np.empty((self._leaves, _LEAF), np.int32)
        order = np.arange(count, dtype=np.int32)
        grow(self._points, count, axes, self._leaves, order, self._boxes, self._packed, self._numbers)

    def find(self, queries: Array, start: int, stop: int, index: NDArray[np.int32], squared: Array) -> None:
        """Write the nearest points of some queries, the nearest first, and their squared distances.

        Parameters
        ----------
        queries : (M, D) float32 ndarray
            It is quick where each is near the one before it.
        start, stop : int
            Which of them.
        index, squared : (M, K) ndarrays
            What is written to, contiguous int32 and float32; there are at least K points.
        """
        wanted = index.shape[1]
        if self._query is None:
            away, found = self._tree.query(queries[start:stop], k=np.arange(1, wanted + 1))
            index[start:stop], squared[start:stop] = found, away**2
            return
        tree = self._points, self._points.shape[1], self._leaves, self._boxes, self._packed, self._numbers
        self._query(*tree, queries, wanted, start, stop, index, squared)
