"""Ends along one line: what a cut through thin things leaves, each too short to be seen by itself."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.quality.view import View, blurred

__all__ = ["straight_ends"]

_STRAIGHT = 1.0  # pixels that a line may be off the corners it joins
_LEAST = 0.03  # of the diagonal: a shorter side of the hull is none
_WITHIN, _BEYOND = (0.5, 1.0, 1.5, 2.0), 2.0  # units from the line: where the subject is, and nothing of it
_SEEN, _GONE = 0.6, 0.15  # of alpha: it ends at the line
_BESIDE = 0.1  # of alpha: what is beside an end within the line is background
_ASIDE = (0, -1, 1, -2, 2)  # units: what crosses the line aslant goes on beside where it meets it
_SAME = 0.06  # distance of two colours that are one
_OTHER = 2.5  # times as far from the background beside it: else it could be either
_MOSTLY, _SHARE = 0.5, 0.2  # of the ends that tell, and of all, must go on
_REMAPPED = 32_000  # pixels: OpenCV's remap takes no longer side, and no picture is looked at that has one
_FINE = 0.7  # sigma in pixels: the photograph's noise


class _Side(NamedTuple):
    """A side of the hull: positions a pixel apart, and the direction away from the subject."""

    x: Array
    y: Array
    along: tuple[float, float]
    away: tuple[float, float]

    def shifted(self, away: float, along: float = 0.0) -> tuple[Array, Array]:
        return (
            self.x + np.float32(away * self.away[0] + along * self.along[0]),
            self.y + np.float32(away * self.away[1] + along * self.along[1]),
        )


def straight_ends(view: View) -> float:
    """Return how long the subject's ends along a line are, of the diagonal, that the photograph goes on beyond.

    The line is a side of the subject's convex hull: nothing of it is beyond. One end of a wire that was cut there is
    a few pixels long, and has the edges of the wire beside it, so that it looks like any other piece of contour; but
    that several end at one line, and that each has its colours on both sides of it, no true outline has.

    Parameters
    ----------
    view : View
        With a photograph.
    """
    assert view.photo is not None  # noqa: S101 - whoever asks has one
    if max(view.alpha.shape) > _REMAPPED:
        return 0.0
    photo = blurred(view.photo, _FINE)
    longest = 0
    for side in _sides(view):
        seen = np.max([_at(view.alpha, *side.shifted(-by * view.unit)) for by in _WITHIN], axis=0)
        beyond = side.shifted(_BEYOND * view.unit)
        ends = (seen > _SEEN) & (_at(view.alpha, *beyond) < _GONE) & _inside(view, *beyond)
        count = int(np.count_nonzero(ends))
        if count <= longest:
            continue
        within = side.shifted(-_BEYOND * view.unit)
        own = _at(photo, *within)
        apart = np.stack(
            [
                np.linalg.norm(_at(photo, *side.shifted(_BEYOND * view.unit, by * view.unit)) - own, axis=1)
                for by in _ASIDE
            ]
        )
        outside = np.flatnonzero(_at(view.alpha, *within) < _BESIDE)
        if outside.size:  # thin: beside each end there is background
            places = np.arange(len(own))
            after = np.clip(np.searchsorted(outside, places), 1, max(outside.size - 1, 1)).clip(max=outside.size - 1)
            before = np.maximum(after - 1, 0)
            near = np.where(places - outside[before] < outside[after] - places, outside[before], outside[after])
            least = apart.min(axis=0)
            told = ends & (np.linalg.norm(own[near] - own, axis=1) > _OTHER * np.maximum(_SAME, least))
        else:
            least, told = apart[0], ends
        on = int(np.count_nonzero(told & (least < _SAME)))
        if on >= max(_MOSTLY * np.count_nonzero(told), _SHARE * count):
            longest = max(longest, on)
    return longest / view.diagonal


def _sides(view: View) -> list[_Side]:
    import cv2

    there = view.islands[0] > 0
    rows = np.flatnonzero(there.any(axis=1))
    if not rows.size:
        return []
    # The hull of the rows' ends is that of all.
    first, last = there[rows].argmax(axis=1), there.shape[1] - 1 - there[rows, ::-1].argmax(axis=1)
    points = np.concatenate([np.stack([end, rows], axis=1) for end in (first, last)]).astype(np.int32)
    corners = cv2.approxPolyDP(cv2.convexHull(points), _STRAIGHT * view.unit, True)[:, 0].astype(np.float64)
    middle = corners.mean(axis=0)
    sides = []
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        length = float(np.hypot(*(end - start)))
        if length < _LEAST * view.diagonal:
            continue
        along = (end - start) / length
        away = np.array([along[1], -along[0]])
        away *= np.sign(((start + end) / 2 - middle) @ away) or 1.0
        steps = np.linspace(0, length, int(length) + 1)[:, None]
        x, y = (start + steps * along).astype(np.float32).T
        sides.append(_Side(x, y, (float(along[0]), float(along[1])), (float(away[0]), float(away[1]))))
    return sides


def _at(plane: Array, x: Array, y: Array) -> Array:
    """Return a plane, or planes, at places between its pixels."""
    import cv2

    seen = cv2.remap(plane, x[None], y[None], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(seen[0], np.float32)


def _inside(view: View, x: Array, y: Array) -> NDArray[np.bool_]:
    height, width = view.alpha.shape
    result: NDArray[np.bool_] = (x >= 1) & (y >= 1) & (x <= width - 2) & (y <= height - 2)
    return result
