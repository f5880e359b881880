"""A picture of the worst predictions: truth, prediction and where they differ."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gossamer.arrays import Array, bilinear
from gossamer.errors import InputError
from gossamer.evaluation.folder import Row
from gossamer.evaluation.measures import MEASURES
from gossamer.evaluation.pairs import read_opacity

__all__ = ["worst_sheet"]

_GAP = 8
_LABEL = 28
_PAPER = np.float32(240 / 255)


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
        strips.append(_label(f"{row.name}   {MEASURES[measure].title} {row.values[measure]:.4g}", cells, width))
    return np.vstack(strips)


def _label(text: str, cells: list[Array], width: int) -> Array:
    import cv2

    height = max(1, round(cells[0].shape[0] * width / cells[0].shape[1]))
    how = cv2.INTER_AREA if cells[0].shape[1] > width else cv2.INTER_NEAREST
    scaled = [np.asarray(cv2.resize(cell, (width, height), interpolation=how), np.float32) for cell in cells]
    line = np.hstack([np.pad(cell, ((0, _GAP), (_GAP, 0), (0, 0)), constant_values=_PAPER) for cell in scaled])
    strip = np.full((_LABEL, line.shape[1], 3), 240, np.uint8)
    plain = text.encode("ascii", "replace").decode()  # OpenCV's own font has no other letters
    cv2.putText(strip, plain, (_GAP, _LABEL - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (20, 20, 20), 1, cv2.LINE_AA)
    return np.vstack([strip.astype(np.float32) / np.float32(255), line])
