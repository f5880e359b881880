"""A picture of training data: each picture, its mask, and both together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gossamer.arrays import Array
from gossamer.compositing import over
from gossamer.errors import InputError
from gossamer.sheets.layout import framed, labelled, scaled

__all__ = ["Truth", "truth_sheet"]

_MAGENTA = np.array([1, 0, 1], np.float32)  # what of the background is left shows on it


class Truth(NamedTuple):
    """One row of a sheet.

    Attributes
    ----------
    label : str
    rgb : (H, W, 3) float32
    alpha : (H, W) float32
        1 = foreground.
    """

    label: str
    rgb: Array
    alpha: Array


def truth_sheet(rows: Sequence[Truth], *, width: int = 240, columns: int = 2) -> Array:
    """Lay training data out: the picture, its mask, the subject over magenta.

    Parameters
    ----------
    rows : sequence of Truth
    width : int
        Width of a cell in pixels.
    columns : int
        How many stand side by side.

    Returns
    -------
    (h, w, 3) float32

    Raises
    ------
    InputError
        There are no rows, or the cells would be narrower than 16 pixels.
    """
    if not rows or width < 16 or columns < 1:
        raise InputError("There is nothing to lay out.", "Give at least one picture, and 16 pixels of width or more.")
    cells = []
    for one in rows:
        on_magenta = over(one.rgb, one.alpha, _MAGENTA)
        three = (scaled(picture, width) for picture in (one.rgb, np.dstack([one.alpha] * 3), on_magenta))
        cells.append(labelled(one.label, np.hstack([framed(cell) for cell in three])))
    lines = [cells[start : start + columns] for start in range(0, len(cells), columns)]
    whole = max(sum(cell.shape[1] for cell in line) for line in lines)
    return np.vstack([_line(line, whole) for line in lines])


def _line(cells: list[Array], width: int) -> Array:
    """Return cells side by side, on paper as high as the highest and `width` wide."""
    height = max(cell.shape[0] for cell in cells)
    paper = cells[0][0, 0]
    line = np.empty((height, width, 3), np.float32)
    line[:] = paper
    left = 0
    for cell in cells:
        line[: cell.shape[0], left : left + cell.shape[1]] = cell
        left += cell.shape[1]
    return line
