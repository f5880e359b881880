"""How far a mask follows its picture: whether a model that saw it drew the edge."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gossamer.arrays import Array
from gossamer.matting.guided import guided_alpha
from gossamer.resampling import bilinear, shrink, wide_blur

__all__ = ["Faith", "faith_in", "mask_faith", "ramp"]

WINDOW = 3.0  # radius in units of the guided filter that tells whether a mask follows the picture
NEARBY = 25.0  # sigma in units of the neighbourhood in which that is measured
FOLLOWS = 0.25, 0.55  # share of the mask's detail that the picture explains: of a blur none, of models' .4 to .9
LEFT = 0.1, 0.05  # unexplained detail a unit of edge: of rough hard masks .11 to .4, of models' .06 at most
PLAIN = 0.1, 0.3  # share of the contour that is plain to see from which on the whole is known by it
FINE = 0.005  # detail below this, as in a wide blur, has nothing to follow the picture with


class Faith(NamedTuple):
    """How far a soft mask's values deserve to be believed, in [0, 1].

    Attributes
    ----------
    here : (H, W) float32
        Everywhere.
    shown : float
        Of all of it, as far as its contour is where it is plain to see how it ought to run.
    """

    here: Array
    shown: float


def mask_faith(image: Array, mask: Array, unit: float) -> Array:
    """Return how far a soft mask's values deserve to be believed, (H, W) in [0, 1]: a hard one's never.

    See :func:`faith_in`.
    """
    return faith_in(image, mask, unit, None).here


def faith_in(image: Array, mask: Array, unit: float, plainly: Array | None) -> Faith:
    """Tell how far a soft mask's values deserve to be believed: a hard one's never.

    A guided filter keeps of the mask what is a function of the colours nearby. A model that saw the picture draws its
    ramps along the picture's edges, so the filter changes them little, much less than a blur of the same reach; an edge
    that was drawn or enlarged without the picture falls apart. So does the best of masks where subject and background
    are alike: there is nothing to follow.

    Parameters
    ----------
    image : (H, W, 3) float32 ndarray
        RGB in [0, 1].
    mask : (H, W) float32 ndarray
        In [0, 1].
    unit : float
        Pixels in a unit of length.
    plainly : (H / 2, W / 2) float32 ndarray or None
        How plain it is to see that what is on either side of the contour differs, in [0, 1].
    """
    import cv2

    if not np.any((mask > 0.02) & (mask < 0.98)):
        return Faith(np.zeros_like(mask), 0.0)
    height, width = mask.shape
    size = (max(width // 2, 1), max(height // 2, 1))  # it is a matter of neighbourhoods, not of pixels
    image, mask, unit = shrink(image, size), shrink(mask, size), unit / 2
    radius = max(round(WINDOW * unit), 1)
    window = (2 * radius + 1, 2 * radius + 1)
    edge = cv2.morphologyEx((mask > 0.5).astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    length = np.asarray(edge, np.float32) * np.float32(unit / 2)  # the gradient is two pixels wide
    blurred = np.asarray(cv2.blur(cv2.blur(mask, window), window), np.float32)
    left, detail = (guided_alpha(image, mask, radius=radius) - mask) ** 2, (blurred - mask) ** 2
    shown = 0.0
    if plainly is not None and length.any():
        some = [np.array([(plane * plainly).sum()]) for plane in (length, left, detail)]
        shown = float((ramp(some[0] / length.sum(), *PLAIN) * _follows(*some))[0])
    least = np.float32(1e-3 * unit)
    length, left, detail = (wide_blur(plane, NEARBY * unit) for plane in (length, left, detail))
    length += least
    return Faith(np.clip(bilinear(_follows(length, left, detail), height, width), 0, 1), shown)


def _follows(length: Array, left: Array, detail: Array) -> Array:
    """Return how far a mask follows the picture, by the squares of its detail and of what of that is not explained."""
    left = left / np.maximum(length, np.float32(1e-9))
    follows: Array = 1 - (left + np.float32(FINE)) / (detail / np.maximum(length, np.float32(1e-9)) + np.float32(FINE))
    result: Array = ramp(follows, *FOLLOWS) * ramp(left, *LEFT)
    return result


def ramp(values: Array, none: float, full: float) -> Array:
    """Return 0 at `none`, 1 at `full`, and linearly between."""
    result: Array = np.clip((values - np.float32(none)) / np.float32(full - none), 0, 1)
    return result
