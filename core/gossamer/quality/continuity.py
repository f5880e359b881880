"""Where a photograph goes on across a cut-out's contour: a part is missing there, or it is another thing's contour."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.quality.view import View

__all__ = ["continued", "longest_run"]

_WINDOW = 10.0  # radius in units of the piece of contour that is looked at
_ON, _NEAR, _FAR = 1.5, 3.0, 8.0  # units from the contour: what is on it, and what is beside it
_NO_STRONGER = 1.25  # the photograph changes at the contour no more than so many times as fast as on its calmer side
_NO_OTHER = 0.8  # and both sides' mean colours are no further apart than so many times their own spread
_NOISE = 6e-4  # of a spread's square, and
_STEP = 0.002  # of a gradient, that is no texture
_GAP = 5  # pixels
_ENOUGH = 0.02  # of the window must be beside the contour


class _Zone:
    """Some of the pixels, and what windows of a side around others hold of them."""

    def __init__(self, where: NDArray[np.bool_], side: int, around: tuple[NDArray[np.intp], ...]) -> None:
        self._weight, self._side, self._around = where.astype(np.float32), side, around
        self.share = self._nearby(self._weight)

    def mean(self, plane: Array) -> Array:
        """Return the means of a plane over the zone in each window, (N,)."""
        means: Array = self._nearby(plane * self._weight) / np.maximum(self.share, 1e-6)
        return means

    def _nearby(self, plane: Array) -> Array:
        import cv2

        window = (self._side, self._side)
        return np.asarray(cv2.boxFilter(plane, -1, window, borderType=cv2.BORDER_CONSTANT)[self._around])


def continued(view: View) -> NDArray[np.bool_]:
    """Return the contour across which the photograph goes on as if there was nothing.

    Parameters
    ----------
    view : View
        With a photograph.

    Returns
    -------
    (h, w) bool
    """
    assert view.photo is not None  # noqa: S101 - whoever asks has one
    result = np.zeros(view.contour.shape, np.bool_)
    if not view.contour.any():
        return result
    distance = view.within - view.without
    inner, outer = (distance > _NEAR) & (distance < _FAR), (distance < -_NEAR) & (distance > -_FAR)
    side = 2 * view.reach(_WINDOW) + 1
    contour = np.nonzero(view.contour)

    change = _across(view)
    on = _Zone(np.abs(distance) < _ON, side, contour).mean(change)
    sides = _Zone(inner, side, contour), _Zone(outer, side, contour)
    within, without = (zone.mean(change) for zone in sides)
    apart = spread = np.zeros(len(on), np.float32)
    for channel in range(3):
        plane = np.ascontiguousarray(view.photo[..., channel])
        squares = plane * plane
        means = [zone.mean(plane) for zone in sides]
        apart = apart + (means[0] - means[1]) ** 2
        for zone, average in zip(sides, means, strict=True):
            spread = spread + np.maximum(zone.mean(squares) - average * average, 0)
    same = (on + _STEP < _NO_STRONGER * (np.minimum(within, without) + 2 * _STEP)) & (
        apart < _NO_OTHER**2 * (spread + _NOISE)
    )
    same &= (sides[0].share > _ENOUGH) & (sides[1].share > _ENOUGH)
    result[contour] = same
    return result


def longest_run(line: NDArray[np.bool_]) -> int:
    """Return how many pixels of a contour's parts hang together, but for gaps of a few, at most."""
    import cv2

    if not line.any():
        return 0
    thick = cv2.dilate(line.astype(np.uint8), np.ones((_GAP, _GAP), np.uint8))
    _, labels = cv2.connectedComponents(thick, connectivity=8, ltype=cv2.CV_32S)
    return int(np.bincount(labels[line]).max())


def _across(view: View) -> Array:
    """Return how fast the photograph changes across the contour's direction nearby, (h, w)."""
    import cv2

    assert view.photo is not None  # noqa: S101 - whoever asks has one
    smooth = cv2.GaussianBlur(view.photo, (0, 0), max(view.unit, 0.6))
    shape = cv2.GaussianBlur(view.inside.astype(np.float32), (0, 0), 2.5)
    right, down = (cv2.Sobel(smooth, cv2.CV_32F, *order, scale=1 / 8) for order in ((1, 0), (0, 1)))
    x, y = (cv2.Sobel(shape, cv2.CV_32F, *order) for order in ((1, 0), (0, 1)))
    steep = np.hypot(x, y)
    near = steep > 1e-3
    length = np.maximum(steep, 1e-6)
    along = np.where(near[..., None], (right * x[..., None] + down * y[..., None]) / length[..., None], 0)
    total = np.sqrt((right * right + down * down).sum(axis=2))
    result: Array = np.where(near, np.sqrt((along * along).sum(axis=2)), total).astype(np.float32)
    return result
