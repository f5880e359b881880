"""How well windows of a picture are explained as mixtures of two colours by an alpha, and whether those differ."""

from __future__ import annotations

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
GRAIN = 1.0, 2.5  # the variance of neighbouring pixels, noise: each pixel's alpha would have its share of it
GRAINLESS = 1e-6
STRANGE = 0.5, 1.5  # the same of a colour's squared distance from all mixtures of two others, and their variance
MARGIN = 1e-3  # variance that these always have
NEARBY, LEAST = 6.0, 4  # radius of the windows for that in units, and in pixels at half size at least
WHOLLY = 0.9  # share of a pixel at half size that must be of a place
FEW = 0.03  # share of a window that a place must take


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
        squares = shrink(cv2.transform(image * image, every), self._size)
        squares -= cv2.transform(self._image * self._image, every)
        self._grain = np.maximum(self._mean(squares), np.float32(GRAINLESS))

    def unexplained(self, alpha: Array) -> Array:
        """Return the variance of the colours left when each window is a mixture by `alpha`, (H / 2, W / 2)."""
        return self._fitted(alpha)[0]

    def told(self, alpha: Array) -> tuple[Array, Array]:
        """Return :meth:`unexplained`, and in [0, 1] how far the two colours can be told apart: the same shape."""
        left, variance = self._fitted(alpha)
        difference = np.maximum(self._spread - left, 0) / variance + np.float32(1e-9)  # squared
        texture = ramp(np.log(difference / (left + np.float32(NOISE))), *APART)
        return left, np.minimum(texture, ramp(np.log(difference / self._grain), *GRAIN))

    def strange(self, between: NDArray[np.bool_], behind: NDArray[np.bool_], inside: NDArray[np.bool_]) -> Array:
        """Return in [0, 1] how far a place's colours are no mixtures of those of two others nearby, (H / 2, W / 2)."""
        import cv2

        reach = max(round(NEARBY * self._unit / 2), LEAST)

        def wholly(place: NDArray[np.bool_]) -> Array:
            return (shrink(place.astype(np.float32), self._size) > WHOLLY).astype(np.float32)

        def near(plane: Array) -> Array:
            return np.asarray(cv2.blur(plane, (2 * reach + 1, 2 * reach + 1)), np.float32)

        here = wholly(between)
        found = np.zeros_like(here)
        if not here.any():
            return found
        left, top, width, height = cv2.boundingRect(here.astype(np.uint8))
        crop = np.s_[max(top - reach, 0) : top + height + reach, max(left - reach, 0) : left + width + reach]
        image = self._image[crop]
        places = [plane[crop] for plane in (here, wholly(behind), wholly(inside))]
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
        found[crop] = away * (np.minimum.reduce(shares) > FEW)
        return found

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
