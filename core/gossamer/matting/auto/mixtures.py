"""How well windows of a picture are explained as mixtures of two colours by an alpha, and whether those differ."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.matting.from_mask.faith import ramp
from gossamer.resampling import shrink

__all__ = ["NOISE", "Mixtures"]

WINDOW = 4.0  # radius in units of the box filters in which mixtures are fitted
NOISE = 1e-4  # variance of colours that nothing needs to explain
# Logarithms of how much the squared difference of two colours outweighs what else there is: where they begin to tell.
APART = -1.0, 0.5  # the variance that their mixture leaves unexplained, texture
GRAIN = 1.3, 2.8  # the variance of neighbouring pixels, noise: each pixel's alpha would have its share of it
PLAINLY = 1.0, 2.5  # either, where it is plain to see
GRAINLESS = 1e-6
STRANGE = 0.5, 1.5  # the same of a colour's squared distance from all mixtures of two others, and their variance
MARGIN = 1e-3  # variance that these always have
NEARBY, LEAST = 6.0, 4  # radius of the windows for that in units, and in pixels at half size at least
ALIKE = 0.12  # difference of colours up to which they are one
ONE_COLOUR = 0.5, 0.8  # share of a place near a pixel that is of it: where it may be, and surely is
MUCH = 0.2, 0.35  # share of what is of one colour that is told: where it speaks for the rest, and fully
WHOLLY = 0.9  # share of a pixel at half size that must be of a place
FEW = 0.03  # share of a window that a place must take
MEETING = 0.15  # the same where two are said to meet
FAINT = 0.02  # what is behind is no nearer to black, or to white, than this
BORDER = 10.0  # units of area at half size that this takes at least
SHORT = 0.1  # how much less than the least opacity is no error of masks any more
AROUND = 35.0  # units around from which colours along there are told to differ
CHANGES = 0.02  # how much they have to
AS_MUCH, ALONE = (0.5, 0.65), (0.25, 0.35)  # what is expected of them, and how much of all changes those are


class Told(NamedTuple):
    """What two colours that are mixed by an alpha leave, and how well they can be told apart: each (H / 2, W / 2).

    Attributes
    ----------
    left : float32
        The variance of the picture's colours that they do not explain.
    apart, plainly : float32
        How far they differ by more than texture and noise, and by so much that anybody sees it, in [0, 1].
    """

    left: Array
    apart: Array
    plainly: Array


class Through(NamedTuple):
    """What tells glass from what is opaque where it ends.

    Attributes
    ----------
    short : float
        For how much of where it meets what is behind its colours allow no alpha as low as it has, in [0, 1].
    follows : float
        How surely the colours behind are seen through it, in [0, 1].
    """

    short: float
    follows: float


class Mixtures:
    """Windows of a picture at half size, and how much of their colours a mixture of two leaves unexplained.

    Parameters
    ----------
    image : (H, W, 3) float32 ndarray
        RGB in [0, 1].
    unit : float
        Pixels in a unit of length.
    """

    def __init__(self, image: Array, unit: float) -> None:
        import cv2

        height, width = image.shape[:2]
        self._unit = unit
        self._size = (max(width // 2, 1), max(height // 2, 1))
        self._window = 2 * (2 * max(round(WINDOW * unit / 2), 1) + 1,)
        self._image = shrink(image, self._size)
        self._colours = self._mean(self._image)
        every = np.ones((1, 3), np.float32)
        self._spread = self._mean(cv2.transform(self._image * self._image, every))
        self._spread -= cv2.transform(self._colours * self._colours, every)
        third = every / 3  # what is shrunk is kept within [0, 1]
        squares = shrink(cv2.transform(image * image, third), self._size)
        squares -= cv2.transform(self._image * self._image, third)
        # Of deviations, not their squares: noise is everywhere, an edge is in few of a window.
        deviation = self._mean(np.sqrt(np.maximum(3 * squares, 0)))
        self._grain = np.maximum(deviation * deviation, np.float32(GRAINLESS))

    def unexplained(self, alpha: Array) -> Array:
        """Return the variance of the colours left when each window is a mixture by `alpha`, (H / 2, W / 2)."""
        return self._fitted(alpha)[0]

    def told(self, alpha: Array) -> Told:
        """Return :meth:`unexplained`, and how far the two colours can be told apart."""
        left, variance = self._fitted(alpha)
        difference = np.maximum(self._spread - left, 0) / variance + np.float32(1e-9)  # squared
        texture, noise = np.log(difference / (left + np.float32(NOISE))), np.log(difference / self._grain)
        plainly = ramp(np.minimum(texture, noise), *PLAINLY)
        return Told(left, np.minimum(ramp(texture, *APART), ramp(noise, *GRAIN)), plainly)

    def strange(self, between: NDArray[np.bool_], behind: NDArray[np.bool_], inside: NDArray[np.bool_]) -> Array:
        """Return in [0, 1] how far a place's colours are no mixtures of those of two others nearby, (H / 2, W / 2).

        A colour that is none for much of what is alike in that place is none anywhere: an outline is of one colour,
        also where it happens to lie before something as dark.
        """
        found = np.zeros(self._size[::-1], np.float32)
        here = self._wholly(between)
        if not here.any():
            return found
        crop, near = self._around(here)
        image = self._image[crop]
        places = [plane[crop] for plane in (here, self._wholly(behind), self._wholly(inside))]
        shares = [near(place) for place in places]
        middle, back, front = (
            near(image * place[..., None]) / np.maximum(share, 1e-6)[..., None]
            for place, share in zip(places, shares, strict=True)
        )
        squares = near(_dot(image, image) * places[1]) / np.maximum(shares[1], 1e-6)
        variance = np.maximum(squares - _dot(back, back), 0) + np.float32(MARGIN)
        middle -= back
        front -= back
        middle -= np.clip(_dot(middle, front) / np.maximum(_dot(front, front), 1e-6), 0, 1)[..., None] * front
        away = ramp(np.log((_dot(middle, middle) + np.float32(1e-9)) / variance), *STRANGE)
        away *= np.minimum.reduce(shares) > FEW
        told = (places[0] > 0) & (away > 0.5)
        if np.count_nonzero(told) > BORDER * self._unit:
            alike = (places[0] > 0) & (_largest(np.abs(image - np.median(image[told], axis=0))) < ALIKE)
            share = np.count_nonzero(alike & told) / (np.count_nonzero(alike) + 1)
            # Of a thin place a pixel at half size is wholly only here and there.
            rest = near(near(alike.astype(np.float32))) / np.maximum(near(shares[0]), 1e-6)
            np.maximum(away, ramp(rest, *ONE_COLOUR) * ramp(np.array([share], np.float32), *MUCH), out=away)
        found[crop] = away
        return found

    def through(self, alpha: Array, inside: NDArray[np.bool_], behind: NDArray[np.bool_]) -> Through:
        """Tell from where two places meet whether one is seen through the other, if that has `alpha`.

        Nothing is darker than black: before a bright wall what lets half of it through cannot be dark. Nor is anything
        brighter than white. And along where they meet what lets half of it through changes by half as much as the wall.
        """
        here = self._wholly(inside)
        if not here.any():
            return Through(0.0, 0.0)
        crop, near = self._around(here)
        image, alpha = self._image[crop], shrink(alpha, self._size)[crop]
        places = [plane[crop] for plane in (here, self._wholly(behind))]
        shares = [near(place) for place in places]
        meets = np.minimum(shares[0], shares[1]) > MEETING
        if np.count_nonzero(meets) <= BORDER * self._unit:
            return Through(0.0, 0.0)
        front, back = (
            near(image * place[..., None]) / np.maximum(share, 1e-6)[..., None]
            for place, share in zip(places, shares, strict=True)
        )
        clear = 1 - (near(alpha * places[0])[meets] / shares[0][meets])
        off = (back - front)[meets]
        room = np.where(off > 0, back[meets], 1 - back[meets])
        least = _largest(np.abs(off) / np.maximum(room, np.float32(FAINT)))
        short = float(np.mean(least + clear > 1 + SHORT))
        front, back = (self._changes(plane, meets)[meets] for plane in (front, back))
        squares, along = np.einsum("ij,ij->i", back, back), float(np.einsum("ij,ij->", front, back))
        if float(squares.mean()) < CHANGES**2 or along <= 0:
            return Through(short, 0.0)
        alike = along**2 / float(squares.sum() * np.einsum("ij,ij->", front, front) + np.float32(1e-9))
        as_much = along / float((clear * squares).sum() + np.float32(1e-9))
        follows = ramp(np.array([as_much]), *AS_MUCH) * ramp(np.array([alike]), *ALONE)
        return Through(short, float(follows[0]))

    def _changes(self, colours: Array, place: NDArray[np.bool_]) -> Array:
        """Return how colours differ from those around them within a place."""
        import cv2

        window = 2 * (2 * max(round(AROUND * self._unit / 2), 1) + 1,)
        there = place.astype(np.float32)
        around = cv2.blur(colours * there[..., None], window) / np.maximum(cv2.blur(there, window), 1e-6)[..., None]
        return np.asarray(colours - around, np.float32)

    def _wholly(self, place: NDArray[np.bool_]) -> Array:
        """Return which pixels at half size are of a place, 0 or 1."""
        return (shrink(place.astype(np.float32), self._size) > WHOLLY).astype(np.float32)

    def _around(self, here: Array) -> tuple[tuple[slice, slice], Callable[[Array], Array]]:
        """Return the piece of the picture that a place and what is nearby take, and what averages over that."""
        import cv2

        reach = max(round(NEARBY * self._unit / 2), LEAST)
        left, top, width, height = cv2.boundingRect(here.astype(np.uint8))

        def near(plane: Array) -> Array:
            return np.asarray(cv2.blur(plane, (2 * reach + 1, 2 * reach + 1)), np.float32)

        return np.s_[max(top - reach, 0) : top + height + reach, max(left - reach, 0) : left + width + reach], near

    def _fitted(self, alpha: Array) -> tuple[Array, Array]:
        """Return what is unexplained by `alpha`, and the variance of `alpha`."""
        import cv2

        alpha = shrink(alpha, self._size)
        middle = self._mean(alpha)
        variance = np.maximum(self._mean(alpha * alpha) - middle * middle, 0) + np.float32(1e-5)
        covariance = self._mean(self._image * alpha[..., None])
        covariance -= self._colours * middle[..., None]
        covariance *= covariance
        left = self._spread - cv2.transform(covariance, np.ones((1, 3), np.float32)) / variance
        return np.maximum(left, 0, out=left), variance

    def _mean(self, plane: Array) -> Array:
        import cv2

        return np.asarray(cv2.blur(cv2.blur(plane, self._window), self._window), np.float32)


def _dot(first: Array, second: Array) -> Array:
    return np.asarray(np.einsum("ijk,ijk->ij", first, second), np.float32)


def _largest(colours: Array) -> Array:
    """Return the largest of each colour's three numbers: faster than a maximum over so short an axis."""
    return np.asarray(np.maximum(np.maximum(colours[..., 0], colours[..., 1]), colours[..., 2]), np.float32)
