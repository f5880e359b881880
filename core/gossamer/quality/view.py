"""What the checks look at: a cut-out, and what it was made of, at a size where a length of 800 x 600 is a length."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array, unit_float
from gossamer.matting.signed_distance import unit_length
from gossamer.quality.islands import enclosed, significant
from gossamer.resampling import Pixels, area_taps, shrink

__all__ = ["View", "at_area", "blurred", "look"]

_WORK_AREA = 480_000  # pixels: there the unit of lengths is one pixel, and nothing below it meets the eye
_FINE = 1.2  # sigma in pixels of what a gradient is taken of
_REACH = 2.5  # sigma
_ALONG = 2.5  # the same of a contour's direction
_SPECK = 12.0  # square units: less is no part of its own
_HOLE = 30.0  # square units: smaller holes are between hairs
_FAINT = np.float32(1 / 512)  # below this no colour can be had back from what it was multiplied with


@dataclass(frozen=True, eq=False)
class View:
    """A cut-out as it is looked at.

    Attributes
    ----------
    whole : (H, W) float32
        Its alpha, at its own size.
    alpha : (h, w) float32
        The same at the working size.
    photo : (h, w, 3) float32 or None
        The photograph that it was cut from.
    pixels : (H, W, 3) uint8 or float32 or None
        The cut-out's colours at its own size, as they are; None where only a mask is known.
    """

    whole: Array
    alpha: Array
    photo: Array | None = None
    pixels: Pixels | None = None

    @cached_property
    def unit(self) -> float:
        """Pixels of the working size in a unit of length: what one pixel is in a picture of 800 x 600."""
        return unit_length(self.alpha.shape)

    @cached_property
    def diagonal(self) -> float:
        """The picture's diagonal in pixels of the working size."""
        return math.hypot(*self.alpha.shape)

    @cached_property
    def inside(self) -> NDArray[np.bool_]:
        """Where alpha is above one half, (h, w)."""
        return self.alpha > 0.5

    @cached_property
    def islands(self) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """The islands of what is inside, without the smallest: their labels, (h, w), and their areas."""
        return significant(self.inside, _SPECK * self.unit**2)

    @cached_property
    def holes(self) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """The holes in what is inside that are not between hairs: their labels, (h, w), and their areas."""
        return enclosed(self.inside, _HOLE * self.unit**2)

    @cached_property
    def colours(self) -> Array | None:
        """The straight colours, (h, w, 3) float32 in [0, 1]; black where nothing is seen. None as `pixels`."""
        if self.pixels is None or self.pixels.shape[:2] == self.alpha.shape:
            return None if self.pixels is None else unit_float(self.pixels)
        return _straight(self.pixels, self.whole, self.alpha)

    @cached_property
    def within(self) -> Array:
        """The distance of what is inside to the outside, in units, (h, w); 0 outside."""
        return _distance(self.inside) / np.float32(self.unit)

    @cached_property
    def without(self) -> Array:
        """The distance of what is outside to the inside, in units, (h, w); 0 inside."""
        return _distance(~self.inside) / np.float32(self.unit)

    @cached_property
    def contour(self) -> NDArray[np.bool_]:
        """One pixel on each step from inside to outside, (h, w)."""
        line = np.zeros(self.inside.shape, np.bool_)
        line[:, :-1] |= self.inside[:, :-1] != self.inside[:, 1:]
        line[:-1] |= self.inside[:-1] != self.inside[1:]
        return line

    @cached_property
    def length(self) -> float:
        """The contour's length in pixels of the working size; at least 1."""
        return max(float(np.count_nonzero(self.contour)), 1.0)

    @cached_property
    def slopes(self) -> tuple[Array, Array]:
        """How fast each of the photograph's colours changes, a pixel, to the right and downwards, (h, w, 3)."""
        import cv2

        assert self.photo is not None  # noqa: S101 - whoever asks has one
        smooth = blurred(self.photo, _FINE)
        across, down = (cv2.Sobel(smooth, cv2.CV_32F, *order, scale=1 / 8) for order in ((1, 0), (0, 1)))
        return np.asarray(across, np.float32), np.asarray(down, np.float32)

    @cached_property
    def normal(self) -> tuple[Array, Array]:
        """How fast what is inside, blurred, changes to the right and downwards, (h, w): the contour's direction."""
        import cv2

        shape = blurred(self.inside.astype(np.float32), _ALONG)
        right, down = (cv2.Sobel(shape, cv2.CV_32F, *order) for order in ((1, 0), (0, 1)))
        return np.asarray(right, np.float32), np.asarray(down, np.float32)

    @cached_property
    def gradient(self) -> Array:
        """How fast the photograph's colours change, a pixel, (h, w)."""
        import cv2

        across, down = self.slopes
        squares = cv2.accumulateSquare(down, cv2.multiply(across, across))
        return np.asarray(cv2.sqrt(cv2.transform(squares, np.ones((1, 3), np.float32))), np.float32)

    def reach(self, units: float) -> int:
        """Return a length in whole pixels of the working size, at least 1."""
        return max(round(units * self.unit), 1)

    def colours_at(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Array:
        """Return the straight colours of some pixels of the working size, (N, 3), as `colours` has them.

        Of few pixels, which is what looks at an edge needs, that takes a part of the time.
        """
        assert self.pixels is not None  # noqa: S101 - whoever asks has them
        if self.pixels.shape[:2] == self.alpha.shape:
            return unit_float(self.pixels[rows, columns])
        down, across = (area_taps(many, few) for many, few in zip(self.whole.shape, self.alpha.shape, strict=True))
        y = (down.start[rows, None] + np.arange(down.weights.shape[1]))[:, :, None]
        x = (across.start[columns, None] + np.arange(across.weights.shape[1]))[:, None]
        share = down.weights[rows][:, :, None] * across.weights[columns][:, None]
        share *= self.whole[y, x]
        total = share.sum(axis=(1, 2))
        colours = np.einsum("nij,nijc->nc", share, unit_float(self.pixels[y, x]))
        result: Array = np.where(total[:, None] > _FAINT, colours / np.maximum(total, _FAINT)[:, None], 0)
        return np.clip(result, 0, 1, out=result)

    @cached_property
    def plain(self) -> Array:
        """The cut-out's colours as they are, (h, w, 3), without their means: for what is looked at by the hundred."""
        import cv2

        assert self.pixels is not None  # noqa: S101 - whoever asks has them
        if self.pixels.shape[:2] == self.alpha.shape:
            return unit_float(self.pixels)
        height, width = self.alpha.shape
        return unit_float(np.asarray(cv2.resize(self.pixels, (width, height), interpolation=cv2.INTER_LINEAR)))


def look(alpha: Array, colours: Pixels | None, photo: Pixels | None) -> View:
    """Return what is seen of a cut-out of any size.

    Parameters
    ----------
    alpha : (H, W) float32
        1 = foreground.
    colours : (H, W, 3) uint8 or float32 or None
        Straight colours.
    photo : (H, W, 3) uint8 or float32 or None
        The photograph.
    """
    size = _working(alpha.shape, _WORK_AREA)
    if size is None:
        return View(alpha, alpha, None if photo is None else unit_float(photo), colours)
    small = np.ascontiguousarray(shrink(alpha, size))
    return View(alpha, small, None if photo is None else shrink(photo, size), colours)


def at_area(view: View, area: int) -> tuple[Array, Array]:
    """Return a view's photograph and alpha at no more than so many pixels."""
    assert view.photo is not None  # noqa: S101 - whoever asks has one
    size = _working(view.alpha.shape, area)
    if size is None:
        return view.photo, view.alpha
    return shrink(view.photo, size), np.ascontiguousarray(shrink(view.alpha, size))


def blurred(plane: Array, sigma: float) -> Array:
    """Return planes blurred by a Gaussian that ends at two and a half sigma: no measure here sees the rest."""
    import cv2

    side = 2 * math.ceil(_REACH * sigma) + 1
    return np.asarray(cv2.GaussianBlur(plane, (side, side), sigma), np.float32)


def _working(shape: tuple[int, ...], area: int) -> tuple[int, int] | None:
    """Return (width, height) of a picture reduced to an area, or None where it is no larger."""
    height, width = shape
    factor = math.sqrt(area / (height * width))
    return None if factor >= 1 else (max(round(width * factor), 1), max(round(height * factor), 1))


def _straight(colours: Pixels, alpha: Array, small: Array) -> Array:
    """Return colours made smaller, each counting by its alpha; black where all is transparent."""
    import cv2

    size = small.shape[1], small.shape[0]
    if colours.dtype == np.uint8:  # bytes stay bytes: their means are finer than they are
        rounded = cv2.convertScaleAbs(alpha, alpha=255)
        weighted = shrink(cv2.multiply(np.ascontiguousarray(colours), cv2.merge([rounded] * 3), scale=1 / 255), size)
    else:
        planes = [shrink(unit_float(colours[..., channel]) * alpha, size) for channel in range(3)]
        weighted = np.stack(planes, axis=2)
    seen = small[..., None] > _FAINT
    result: Array = np.where(seen, np.clip(weighted / np.maximum(small, _FAINT)[..., None], 0, 1), 0)
    return result


def _distance(there: NDArray[np.bool_]) -> Array:
    """Return each pixel's distance to the nearest that is not `there`; far where there is none."""
    import cv2

    if there.all():
        return np.full(there.shape, 1e6, np.float32)
    return np.asarray(cv2.distanceTransform(there.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5))
