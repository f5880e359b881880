"""Whole numbers that are no shades of grey: masks of which the numbers are names of things."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["is_numbered", "scattered_labels"]

_MOST_NUMBERS = 0.95  # this share of a map's labels is there: some are cropped or erased
_PATCH = 9  # pixels of a label, on average
_JUMP = 3  # between numbers that meet; of soft masks over many pixels it is 1
_FILLED = 0.25  # of the box around a label; of the box around one number of a soft mask far less
_LOOKED_AT = 1 << 22  # pixels whose neighbours are compared
_MAIN = 0.02  # of all that is neither black nor white: a label's share at least
_ALL = 0.97  # of the same: what labels cover together; the soft edge of a mask is more than the rest
_LOW = 63  # beside white, which data sets have for what is to be ignored, only so small numbers are labels
_EDGED = 0.25  # pairs of neighbours that differ, for each pixel: more than that is noise
_SKIPPED = 0.2  # of where two numbers meet so often at least one between is left out; soft masks pass through all


def is_numbered(array: NDArray[Any], white: float, high: int) -> bool:
    """Return whether a mask numbers subjects one after the other: each a patch, with jumps where patches meet.

    A soft mask may have every number up to its largest, too, but each of them on all of its edges, or in bands beside
    the next number's.
    """
    values = _numbers(array, white)
    if values is None:
        return False
    counts = np.bincount(values.ravel(), minlength=high + 1)[1:]
    if np.count_nonzero(counts) < _MOST_NUMBERS * high or counts[counts > 0].mean() < _PATCH:
        return False
    jumps = np.concatenate([np.abs(np.subtract(a, b, dtype=np.int32)) for a, b in _neighbours(values)])
    if np.median(jumps[jumps > 0]) < _JUMP:
        return False
    from scipy import ndimage

    boxes = [area and values[area].size for area in ndimage.find_objects(values.astype(np.int32), high)]
    filled = [count / box for count, box in zip(counts, boxes, strict=True) if box]
    return bool(np.median(filled) >= _FILLED)


def scattered_labels(array: NDArray[Any], white: float) -> tuple[int, ...]:
    """Return numbers of a mask that look like names of things (ids of classes), the smallest first; () for shades.

    They are few, cover large areas with hard edges, and where they meet smaller ones the numbers between are left out:
    a mask of few shades passes through them, one after the other.

    Parameters
    ----------
    array : ndarray
        Whole numbers, or floats that come from such.
    white : float
        What is white.
    """
    values = _numbers(array, white)
    if values is None:
        return ()
    counts = np.bincount(values.ravel(), minlength=int(white) + 1)
    has_white = bool(counts[int(white)])
    counts[[0, int(white)]] = 0
    total = int(counts.sum())
    labels = np.flatnonzero(counts > _MAIN * total)
    if len(labels) < 2 or counts[labels].sum() < _ALL * total or (has_white and labels[-1] > _LOW):
        return ()
    rank = np.full(len(counts), -1, np.int16)
    rank[0], rank[labels] = 0, np.arange(1, len(labels) + 1, dtype=np.int16)
    meetings, looked_at = [], 0
    for a, b in _neighbours(values):
        differ = a != b
        looked_at += int(np.count_nonzero(rank[a] > 0))
        meetings.append(np.stack([rank[a[differ]], rank[b[differ]]]))
    met = np.concatenate(meetings, axis=1)
    met = met[:, met.min(axis=0) >= 0]
    high, apart = met.max(axis=0), np.abs(met[0] - met[1])
    if met.shape[1] > _EDGED * looked_at or not (high > 1).any():
        return ()
    return tuple(int(label) for label in labels) if float((apart[high > 1] > 1).mean()) >= _SKIPPED else ()


def _numbers(array: NDArray[Any], white: float) -> NDArray[Any] | None:
    """Return a mask's whole numbers, (H, W); None where it is no plane, or of 32 bits, which no labels need."""
    plane = np.squeeze(array)
    if plane.ndim != 2 or white > 65535:
        return None
    if plane.dtype.kind == "f":
        plane = np.rint(plane * np.float32(white))
    return plane.astype(np.uint8 if white < 256 else np.uint16, copy=False)


def _neighbours(values: NDArray[Any]) -> tuple[tuple[NDArray[Any], NDArray[Any]], ...]:
    """Return pixels and those to the left of them, and above them, one after the other; of large masks some."""
    step = 1 + values.size // _LOOKED_AT
    pairs = ((values[::step, 1:], values[::step, :-1]), (values[1:, ::step], values[:-1, ::step]))
    return tuple((a.ravel(), b.ravel()) for a, b in pairs)
