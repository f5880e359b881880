"""A picture of the worst predictions: truth, prediction and where they differ."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gossamer.arrays import Array
from gossamer.errors import InputError
from gossamer.evaluation.folder import Row
from gossamer.evaluation.measures import MEASURES
from gossamer.evaluation.pairs import read_opacity
from gossamer.resampling import bilinear
from gossamer.sheets.layout import framed, labelled, scaled

__all__ = ["worst_sheet"]


def worst_sheet(rows: Sequence[Row], measure: str, *, width: int = 320) -> Array:
    """Lay predictions out below one another, each beside its truth.

    The third cell is the difference: red where the prediction has too much, blue where it has too little.

    Parameters
    ----------
    rows : sequence of Row
        What :meth:`Evaluation.worst` returned; their files are read again.
    measure : str
        The one whose value stands above each.
    width : int
        Width of a cell in pixels.

    Returns
    -------
    (h, w, 3) float32

    Raises
    ------
    InputError
        If there are no rows, the width is below 16, or a file cannot be read any more.
    """
    if not rows or width < 16:
        raise InputError("There is nothing to lay out.", "Give at least one row, and 16 pixels of width or more.")
    strips = []
    for row in rows:
        truth, prediction = read_opacity(row.pair.truth), read_opacity(row.pair.prediction)
        if prediction.shape != truth.shape:
            prediction = bilinear(prediction, *truth.shape)
        over, under = np.maximum(prediction - truth, 0), np.maximum(truth - prediction, 0)
        both = np.minimum(prediction, truth) * np.float32(0.5)
        cells = [np.dstack([truth] * 3), np.dstack([prediction] * 3), np.dstack([both + over, both, both + under])]
        line = np.hstack([framed(scaled(cell, width)) for cell in cells])
        strips.append(labelled(f"{row.name}   {MEASURES[measure].title} {row.values[measure]:.4g}", line))
    return np.vstack(strips)
