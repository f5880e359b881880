"""A picture of before and after: what two models find in the same pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gossamer.arrays import Array
from gossamer.errors import InputError
from gossamer.sheets.layout import framed, labelled, scaled

__all__ = ["Compared", "change_sheet"]


class Compared(NamedTuple):
    """One row of a sheet.

    Attributes
    ----------
    label : str
    rgb : (H, W, 3) float32
    truth, before, after : (H, W) float32
        1 = foreground.
    """

    label: str
    rgb: Array
    truth: Array
    before: Array
    after: Array


def change_sheet(rows: Sequence[Compared], *, width: int = 240) -> Array:
    """Lay pictures out: the picture, its truth, and the errors of the model before and after.

    In the last two, red is too much, blue too little, and grey is right.

    Parameters
    ----------
    rows : sequence of Compared
    width : int
        Width of a cell in pixels.

    Returns
    -------
    (h, w, 3) float32

    Raises
    ------
    InputError
        There are no rows, or the width is below 16.
    """
    if not rows or width < 16:
        raise InputError("There is nothing to lay out.", "Give at least one picture, and 16 pixels of width or more.")
    strips = []
    for row in rows:
        cells = [row.rgb, np.dstack([row.truth] * 3), _errors(row.before, row.truth), _errors(row.after, row.truth)]
        strips.append(labelled(row.label, np.hstack([framed(scaled(cell, width)) for cell in cells])))
    return np.vstack([_wide(strip, max(one.shape[1] for one in strips)) for strip in strips])


def _errors(mask: Array, truth: Array) -> Array:
    over, under = np.maximum(mask - truth, 0), np.maximum(truth - mask, 0)
    both = np.minimum(mask, truth) * np.float32(0.5)
    return np.dstack([both + over, both, both + under])


def _wide(strip: Array, width: int) -> Array:
    return np.pad(strip, ((0, 0), (0, width - strip.shape[1]), (0, 0)), mode="edge")
