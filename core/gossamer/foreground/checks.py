"""What the colour estimators accept, checked once at their public edge."""

from __future__ import annotations

from typing import TypeGuard

import numpy as np
from numpy.typing import ArrayLike

from gossamer.arrays import Array, as_mask, as_rgb
from gossamer.errors import InputError
from gossamer.parallel.strips import Strips
from gossamer.progress import Progress

__all__ = ["check_pair", "check_radius"]

_BLOCK = 1 << 16
_STRIP = 1 << 22


def check_pair(image: ArrayLike, alpha: ArrayLike) -> tuple[Array, Array]:
    """Return picture (H, W, 3) and alpha (H, W) as C-contiguous float32 in [0, 1].

    Raises
    ------
    InputError
        A wrong shape, type or size, an empty picture, values that are not finite or outside [0, 1].
    """
    picture = image if _is_fit(image, 3) else np.ascontiguousarray(as_rgb(image))
    if _is_fit(alpha, 2) and alpha.shape == picture.shape[:2]:
        return picture, alpha
    return picture, np.ascontiguousarray(as_mask(alpha, picture.shape, "alpha"))


def check_radius(value: object, name: str) -> int:
    """Return a blur's side as an int of at least 1; raise InputError if it is none."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)) or value < 1:
        raise InputError(f"The {name} cannot be {value!r}.", "Give a whole number of pixels, at least 1.")
    return int(value)


def _is_fit(array: object, axes: int) -> TypeGuard[Array]:
    """Say whether nothing is to be done to `array`: the common case, looked at on all cores and only once."""
    if not isinstance(array, np.ndarray) or array.dtype != np.float32 or array.ndim != axes:
        return False
    if array.size == 0 or not array.flags.c_contiguous or not array.flags.aligned:
        return False
    if axes == 3 and array.shape[2] != 3:
        return False
    flat = array.reshape(-1)
    fit = [True]

    def look(start: int, end: int) -> None:
        for begin in range(start, end, _BLOCK):  # the second look at a block finds it in the cache
            block = flat[begin : min(end, begin + _BLOCK)]
            if not (block.min() >= 0 and block.max() <= 1):  # also true of NaN
                fit[0] = False
                return

    if flat.size <= _STRIP:
        look(0, flat.size)
    else:
        with Strips() as strips:
            strips.each(look, flat.size, _STRIP, Progress())
    return fit[0]
