"""The soft-band solver's kernels in NumPy, where those in C were not compiled: see band_solver for what they compute.

A level's two layers lie in one array, (H, W, 8) float32: the foreground's R, G, B, nothing, the background's R, G, B,
nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array, unit_float

__all__ = ["finish", "prepared", "relax", "rise", "soft", "thin"]

EVEN = np.float32(1e-5)  # the smoothness left where the alpha does not change


def thin(image: NDArray[Any], alpha: Array, small: NDArray[Any], matte: Array, top: int, bottom: int) -> None:
    """Write rows of `small` and `matte`: every second pixel of every second row."""
    small[top:bottom] = image[2 * top : 2 * bottom : 2, ::2]
    matte[top:bottom] = alpha[2 * top : 2 * bottom : 2, ::2]


def soft(alpha: Array, pure: float) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the flat indices of the soft pixels and their neighbours, as the two colours of a chessboard."""
    import cv2

    mask = cv2.dilate(cv2.inRange(alpha, pure, 1 - pure), np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8))
    y, x = np.nonzero(mask)
    flat = (y * alpha.shape[1] + x).astype(np.int32)
    return flat[(y + x) % 2 == 0], flat[(y + x) % 2 == 1]


def prepared(image: NDArray[Any]) -> Array:
    """Return a level's picture as `rise` and `relax` take it."""
    return unit_float(image)


def rise(image: Array, alpha: Array, coarse: Array, pure: float, layers: Array, top: int, bottom: int) -> None:
    """Interpolate rows of both layers from the level below, then write what is known: the pure pixels."""
    layers[top:bottom] = _risen(image[top:bottom], alpha[top:bottom], coarse, pure, top)


def _risen(image: Array, alpha: Array, coarse: Array, pure: float, top: int) -> Array:
    """Return both layers at the rows from `top` on, given the picture and the alpha there."""
    y, x = np.arange(top, top + len(alpha))[:, None], np.arange(alpha.shape[1])[None]
    rows = y // 2, np.minimum((y + 1) // 2, coarse.shape[0] - 1)
    columns = x // 2, np.minimum((x + 1) // 2, coarse.shape[1] - 1)
    layers: Array = np.float32(0.25) * sum(coarse[row, column] for row in rows for column in columns)
    for first, known in ((0, alpha >= 1 - np.float32(pure)), (4, alpha <= np.float32(pure))):
        np.copyto(layers[..., first : first + 3], image, where=known[..., None])
    return layers


def relax(
    image: Array,
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
    y, x = np.divmod(active[start:end], np.int32(alpha.shape[1]))
    texture = ratio[(y << level) >> ratio_level, (x << level) >> ratio_level]
    layers[y, x] = _solved(image, alpha, layers, y, x, texture, weight, pure)


def _solved(
    image: Array,
    alpha: Array,
    layers: Array,
    y: NDArray[Any],
    x: NDArray[Any],
    texture: Array,
    weight: float,
    pure: float,
) -> Array:
    """Return both colours of the pixels (y, x), those of their neighbours held fixed."""
    height, width = alpha.shape
    around = (
        *((np.maximum(y - 1, 0), x), (np.minimum(y + 1, height - 1), x)),
        *((y, np.maximum(x - 1, 0)), (y, np.minimum(x + 1, width - 1))),
    )
    a = alpha[y, x]
    weights = [np.abs(a - alpha[place]) + EVEN for place in around]
    total = sum(weights)
    means = sum(w[:, None] * layers[place] for w, place in zip(weights, around, strict=True)) / total[:, None]
    front, back = np.float32(weight) * total * texture, np.float32(weight) * total / texture
    share = 1 / (a**2 * back + (1 - a) ** 2 * front + front * back)
    rest = image[y, x] - a[:, None] * means[:, :3] - (1 - a)[:, None] * means[:, 4:7]
    result: Array = layers[y, x].copy()
    for first, give, open_ in ((0, a * back * share, a < 1 - np.float32(pure)), (4, (1 - a) * front * share, a > pure)):
        colour = np.clip(means[:, first : first + 3] + give[:, None] * rest, 0, 1)
        np.copyto(result[:, first : first + 3], colour, where=open_[:, None])
    return result


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
    """Write rows of the finest level: risen, then every soft pixel solved once."""
    first = max(top - 1, 0)
    picture, matte = unit_float(image[first : bottom + 1]), alpha[first : bottom + 1]
    layers = _risen(picture, matte, coarse, pure, first)
    y, x = np.nonzero((matte > pure) & (matte < 1 - np.float32(pure)))
    inside = (y >= top - first) & (y < bottom - first)
    y, x = y[inside], x[inside]
    texture = ratio[(y + first) >> ratio_level, x >> ratio_level]
    layers[y, x] = _solved(picture, matte, layers, y, x, texture, weight, pure)
    layers = layers[top - first : bottom - first]
    for plane, part in ((front, layers[..., 0:3]), (back, layers[..., 4:7])):
        if plane is not None:
            plane[top:bottom] = part if plane.dtype == np.float32 else part * np.float32(255) + np.float32(0.5)
