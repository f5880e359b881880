"""What square windows around some places hold of some pixels: sums that cost no more than those pixels do."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array

__all__ = ["Windows", "places"]

_CELL = 2  # pixels: windows begin and end at cells of so many, which halves each side of what is summed up


def places(where: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return rows and columns of what is there, as ``np.nonzero`` does: in a plane of few that takes a tenth."""
    rows, columns = np.divmod(np.flatnonzero(where), where.shape[1])
    return rows, columns


class Windows:
    """Windows of one size around places of a picture.

    Parameters
    ----------
    shape : tuple of int
        The picture's height and width.
    radius : int
        A window is about 2 radius + 1 pixels wide.
    rows, columns : (N,) int ndarray
        Its places.
    """

    def __init__(self, shape: tuple[int, ...], radius: int, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> None:
        self._shape = -(-shape[0] // _CELL), -(-shape[1] // _CELL)
        self._side = 2 * max(round(((2 * radius + 1) / _CELL - 1) / 2), 1) + 1
        self._around = rows // _CELL, columns // _CELL

    @property
    def area(self) -> int:
        """Pixels of a window."""
        return (self._side * _CELL) ** 2

    def sums(self, rows: NDArray[np.intp], columns: NDArray[np.intp], *values: Array | None) -> list[Array]:
        """Return for each window the sums of values over those pixels of it that are given, (N,) each.

        Parameters
        ----------
        rows, columns : (M,) int ndarray
            The pixels.
        *values : (M,) float32 ndarray or None
            Their values; None counts them.
        """
        import cv2

        cells = (rows // _CELL) * self._shape[1] + columns // _CELL
        found = []
        for value in values:
            held = np.bincount(cells, value, self._shape[0] * self._shape[1]).astype(np.float32).reshape(self._shape)
            window = (self._side, self._side)
            box = cv2.boxFilter(held, -1, window, normalize=False, borderType=cv2.BORDER_CONSTANT)
            found.append(np.asarray(box, np.float32)[self._around])
        return found
