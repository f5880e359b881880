"""Holes that are none: the photograph goes on in them as it does around them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.quality.view import View

__all__ = ["false_holes"]

_LEAST = 0.001  # of the subject's area
_EDGE, _AROUND = 3.0, 9.0  # units: half the width of a hole's edge, and of what surrounds that
_STRONGER = 1.3  # the photograph changes so much faster at the edge of a true hole than beside it
_LIKE = 0.2  # mean logarithm of how much likelier its colours are around it than in the background
_BINS = 8  # a channel
_BLUR = 0.7  # of colour tables, in bins
_FLOOR = 1e-4  # probability of a colour that was not seen
_ENOUGH = 20  # pixels
_SOME = 2  # rows and columns of the background of which one is looked at
_SOLID = 0.7  # of what surrounds it is the subject: the gaps of a net are no holes


def false_holes(view: View) -> float:
    """Return the area of holes where the photograph shows the subject, against the subject's.

    A true hole has an edge in the photograph, or the background's colours in it; one that a network or a tool tore has
    neither.

    Parameters
    ----------
    view : View
        With a photograph.
    """
    import cv2

    assert view.photo is not None  # noqa: S101 - whoever asks has one
    labels, areas = view.holes
    subject = max(float(np.count_nonzero(view.inside)), 1.0)
    suspects = [number for number, area in enumerate(areas, 1) if area >= _LEAST * subject]
    if not suspects:
        return 0.0
    background = None
    discs = [
        cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
        for reach in (view.reach(_EDGE), view.reach(_AROUND))
    ]
    margin = view.reach(_EDGE) + view.reach(_AROUND) + 1
    false = 0.0
    for number in suspects:
        hole = (labels == number).view(np.uint8)
        place = _around(cv2.boundingRect(hole), margin)
        hole = np.ascontiguousarray(hole[place])
        wide, core = cv2.dilate(hole, discs[0]), cv2.erode(hole, discs[0])
        annulus = cv2.dilate(wide, discs[1]) > wide
        ring = annulus & (view.alpha[place] > 0.9)
        if np.count_nonzero(ring) < max(_ENOUGH, _SOLID * np.count_nonzero(annulus)):
            continue
        if np.count_nonzero(core) < _ENOUGH:  # it is all edge: of what is inside nothing can be said
            continue
        beside = ring | (core > 0)
        change = view.gradient[place]
        line = cv2.morphologyEx(hole, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
        edge = max(float(change[zone].mean()) for zone in (wide > core, line > 0))
        if edge > _STRONGER * (float(change[beside].mean()) + 0.003):
            continue
        if background is None:
            background = _background(view, labels)
        bins = _bins(view.photo[place])
        within = bins[core > 0]
        likelier = np.log((_table(bins[ring])[within] + _FLOOR) / (background[within] + _FLOOR))
        if float(likelier.mean()) > _LIKE:
            false += float(areas[number - 1])
    return false / subject


def _around(box: Sequence[int], margin: int) -> tuple[slice, slice]:
    """Return a box (left, top, width, height) with a margin."""
    left, top, width, height = box
    return slice(max(top - margin, 0), top + height + margin), slice(max(left - margin, 0), left + width + margin)


def _background(view: View, labels: NDArray[np.int32]) -> NDArray[np.float64]:
    """Return how likely each colour is in what surrounds the subject."""
    assert view.photo is not None  # noqa: S101 - whoever asks has one
    some = np.s_[::_SOME, ::_SOME]
    outside = ~view.inside[some] & (labels[some] == 0) & (view.without[some] > _EDGE)
    return _table(_bins(view.photo[some])[outside])


def _bins(photo: Array) -> NDArray[np.int64]:
    """Return the number of each pixel's bin of colour, by lightness and two opponents."""
    import cv2

    lab = cv2.cvtColor(np.ascontiguousarray(photo), cv2.COLOR_RGB2Lab)
    unit = np.clip((lab + np.array([0, 60, 60])) / np.array([100, 120, 120]), 0, 1)
    steps = np.rint(unit * (_BINS - 1)).astype(np.int64)
    result: NDArray[np.int64] = (steps[..., 0] * _BINS + steps[..., 1]) * _BINS + steps[..., 2]
    return result


def _table(bins: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return how likely each colour is among some, smoothed."""
    counts = np.bincount(bins, minlength=_BINS**3).astype(np.float64).reshape(_BINS, _BINS, _BINS) + 1e-3
    smooth = _smoothed(counts)
    result: NDArray[np.float64] = (smooth / smooth.sum()).ravel()
    return result


def _smoothed(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a table blurred along each axis, mirrored at its ends, as SciPy's ``gaussian_filter`` does.

    That package takes longer to load than all checks of a picture.
    """
    reach = int(4 * _BLUR + 0.5)
    shares = np.exp(-0.5 / _BLUR**2 * np.arange(-reach, reach + 1) ** 2)
    shares /= shares.sum()
    for axis in range(table.ndim):
        wide = np.moveaxis(
            np.pad(table, [(reach, reach) if each == axis else (0, 0) for each in range(3)], "symmetric"), axis, 0
        )
        length = table.shape[axis]
        sums = wide[reach : reach + length] * shares[reach]
        for away in range(reach, 0, -1):
            sums += (wide[reach - away :][:length] + wide[reach + away :][:length]) * shares[reach - away]
        table = np.moveaxis(sums, 0, axis)
    return table
