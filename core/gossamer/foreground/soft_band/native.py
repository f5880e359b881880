"""The soft-band solver's kernels in C: the same functions as band_plain has in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.native import COUNT, NUMBER, PLACE, function, library

__all__ = ["finish", "prepared", "relax", "rise", "soft", "thin"]

if library() is None:
    raise ImportError("the kernels in C were not compiled")

_PICTURE = (PLACE, COUNT)
_thin = function("thin", *_PICTURE, PLACE, COUNT, PLACE, PLACE, COUNT, COUNT, COUNT)
_soft = function("soft", PLACE, COUNT, COUNT, NUMBER, PLACE, PLACE, PLACE, PLACE)
_rise = function("rise", *_PICTURE, PLACE, COUNT, PLACE, COUNT, COUNT, NUMBER, PLACE, COUNT, COUNT)
_relax = function(
    *("relax", *_PICTURE, PLACE, COUNT, COUNT, PLACE, COUNT, COUNT, COUNT),
    *(NUMBER, NUMBER, PLACE, COUNT, COUNT, PLACE),
)
_finish = function(
    *("finish", *_PICTURE, PLACE, COUNT, COUNT, PLACE, COUNT, COUNT, PLACE, COUNT, COUNT),
    *(NUMBER, NUMBER, PLACE, PLACE, COUNT, COUNT, COUNT),
)


def thin(image: NDArray[Any], alpha: Array, small: NDArray[Any], matte: Array, top: int, bottom: int) -> None:
    """Write rows of `small` and `matte`: every second pixel of every second row."""
    _thin(*_picture(image), alpha, alpha.shape[1], small, matte, matte.shape[1], top, bottom)


def soft(alpha: Array, pure: float) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the flat indices of the soft pixels and their neighbours, as the two colours of a chessboard."""
    halves = [np.empty(alpha.size // 2 + 2, np.int32) for _ in range(2)]  # one more than can be is written to
    rows, counts = np.empty((4, alpha.shape[1] + 8), np.uint8), np.empty(2, np.int64)
    _soft(*_plane(alpha), pure, rows, halves[0], halves[1], counts)
    return halves[0][: counts[0]], halves[1][: counts[1]]


def prepared(image: NDArray[Any]) -> NDArray[Any]:
    """Return a level's picture as `rise` and `relax` take it."""
    return image


def rise(image: NDArray[Any], alpha: Array, coarse: Array, pure: float, layers: Array, top: int, bottom: int) -> None:
    """Interpolate rows of both layers from the level below, then write what is known: the pure pixels."""
    _rise(*_picture(image), alpha, alpha.shape[1], *_plane(coarse), pure, layers, top, bottom)


def relax(
    image: NDArray[Any],
    alpha: Array,
    ratio: Array,
    level: int,
    ratio_level: int,
    weight: float,
    pure: float,
    active: NDArray[np.int32],
    start: int,
    end: int,
    layers: Array,
) -> None:
    """Solve both colours of every pixel of ``active[start:end]``, those of its neighbours held fixed."""
    _relax(
        *(*_picture(image), *_plane(alpha), ratio, ratio.shape[1], level, ratio_level),
        *(weight, pure, active, start, end, layers),
    )


def finish(
    image: NDArray[Any],
    alpha: Array,
    coarse: Array,
    ratio: Array,
    ratio_level: int,
    weight: float,
    pure: float,
    front: NDArray[Any],
    back: NDArray[Any] | None,
    top: int,
    bottom: int,
) -> None:
    """Write rows of the finest level: risen, then every soft pixel solved once; `top` is a multiple of 8."""
    _finish(
        *(*_picture(image), *_plane(alpha), *_plane(coarse), ratio, ratio.shape[1], ratio_level),
        *(weight, pure, front, back, front.itemsize, top, bottom),
    )


def _picture(array: NDArray[Any]) -> tuple[NDArray[Any], int]:
    return array, array.itemsize


def _plane(array: Array) -> tuple[Array, int, int]:
    return array, array.shape[0], array.shape[1]
