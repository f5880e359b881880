"""The soft-band solver's kernels for numba, where those in C were not compiled: see band_solver for what they compute.

A level's two layers lie in one array, (H, W, 8) float32: the foreground's R, G, B, nothing, the background's R, G, B,
nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import float32, int64
from numpy.typing import NDArray

from gossamer.arrays import Array, unit_float
from gossamer.foreground.compiled import IMAGE, IMAGE_OUT, INDICES, PLANE, compiled

__all__ = ["finish", "prepared", "relax", "rise", "soft", "thin"]

ZERO, QUARTER, ONE = np.float32(0), np.float32(0.25), np.float32(1)
EVEN = np.float32(1e-5)  # the smoothness left where the alpha does not change


def thin(image: NDArray[Any], alpha: Array, small: NDArray[Any], matte: Array, top: int, bottom: int) -> None:
    """Write rows of `small` and `matte`: every second pixel of every second row."""
    small[top:bottom] = image[2 * top : 2 * bottom : 2, ::2]
    matte[top:bottom] = alpha[2 * top : 2 * bottom : 2, ::2]


def soft(alpha: Array, pure: float) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the flat indices of the soft pixels and their neighbours, as the two colours of a chessboard."""
    import cv2

    mask = cv2.dilate(cv2.inRange(alpha, pure, 1 - pure), np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8))
    halves = []
    for parity in (0, 1):
        half = mask.copy()
        half[0::2, 1 - parity :: 2] = 0
        half[1::2, parity::2] = 0
        halves.append(np.flatnonzero(half).astype(np.int32))
    return halves[0], halves[1]


def prepared(image: NDArray[Any]) -> Array:
    """Return a level's picture as `rise` and `relax` take it."""
    return unit_float(image)


@compiled()
def interpolate(coarse: Any, y: int, x: int, out: Any) -> None:
    """Write the colours that a level has at pixel (y, x) of the next finer one."""
    y0, y1 = y // 2, min((y + 1) // 2, coarse.shape[0] - 1)
    x0, x1 = x // 2, min((x + 1) // 2, coarse.shape[1] - 1)
    for c in range(8):
        near = coarse[y0, x0, c] + coarse[y0, x1, c]
        far = coarse[y1, x0, c] + coarse[y1, x1, c]
        out[x, c] = QUARTER * (near + far)


@compiled()
def know(picture: Any, a: float, x: int, pure: float, out: Any) -> None:
    """Write the picture where a layer is seen alone."""
    for c in range(3):
        if a >= ONE - pure:
            out[x, c] = picture[x, c]
        if a <= pure:
            out[x, 4 + c] = picture[x, c]


@compiled()
def solve(
    picture: Any,
    alpha: Any,
    y: int,
    x: int,
    up: Any,
    here: Any,
    down: Any,
    texture: float,
    weight: float,
    pure: float,
    out: Any,
) -> None:
    """Write one pixel's two colours, given the rows of layers above it, its own and below."""
    height, width = alpha.shape
    left, right = max(x - 1, 0), min(x + 1, width - 1)
    a = alpha[y, x]
    b = ONE - a
    w0 = abs(a - alpha[max(y - 1, 0), x]) + EVEN
    w1 = abs(a - alpha[min(y + 1, height - 1), x]) + EVEN
    w2 = abs(a - alpha[y, left]) + EVEN
    w3 = abs(a - alpha[y, right]) + EVEN
    total = w0 + w1 + w2 + w3
    stiff_front = weight * total * texture
    stiff_back = weight * total / texture
    share = ONE / (a * a * stiff_back + b * b * stiff_front + stiff_front * stiff_back)
    to_front = a * stiff_back * share
    to_back = b * stiff_front * share
    total = ONE / total
    for c in range(3):
        f = (w0 * up[x, c] + w1 * down[x, c] + w2 * here[left, c] + w3 * here[right, c]) * total
        d = c + 4
        g = (w0 * up[x, d] + w1 * down[x, d] + w2 * here[left, d] + w3 * here[right, d]) * total
        rest = picture[x, c] - a * f - b * g
        if a < ONE - pure:
            out[x, c] = min(max(f + to_front * rest, ZERO), ONE)
        if a > pure:
            out[x, d] = min(max(g + to_back * rest, ZERO), ONE)


@compiled(IMAGE, PLANE, IMAGE_OUT, float32, IMAGE_OUT, int64, int64)
def rise(image: Any, alpha: Any, coarse: Any, pure: float, layers: Any, top: int, bottom: int) -> None:
    """Interpolate rows of both layers from the level below, then write what is known: the pure pixels."""
    for y in range(top, bottom):
        for x in range(alpha.shape[1]):
            interpolate(coarse, y, x, layers[y])
            know(image[y], alpha[y, x], x, pure, layers[y])


@compiled(IMAGE, PLANE, PLANE, int64, int64, float32, float32, INDICES, int64, int64, IMAGE_OUT)
def relax(
    image: Any,
    alpha: Any,
    ratio: Any,
    level: int,
    ratio_level: int,
    weight: float,
    pure: float,
    active: Any,
    start: int,
    end: int,
    layers: Any,
) -> None:
    """Solve both colours of every pixel of ``active[start:end]``, those of its neighbours held fixed."""
    height, width = alpha.shape
    for n in range(start, end):
        y = active[n] // width
        x = active[n] - y * width
        up, down = layers[max(y - 1, 0)], layers[min(y + 1, height - 1)]
        texture = ratio[(y << level) >> ratio_level, (x << level) >> ratio_level]
        solve(image[y], alpha, y, x, up, layers[y], down, texture, weight, pure, layers[y])


@compiled(IMAGE, PLANE, IMAGE_OUT, PLANE, int64, float32, float32, IMAGE_OUT, int64, int64, int64)
def finish_rows(
    image: Any,
    alpha: Any,
    coarse: Any,
    ratio: Any,
    ratio_level: int,
    weight: float,
    pure: float,
    layers: Any,
    first: int,
    top: int,
    bottom: int,
) -> None:
    """Write rows of the finest level in `layers`, which begins with row `top`; `image` begins with row `first`."""
    height, width = alpha.shape
    risen = np.empty((3, width, 8), np.float32)  # only three rows of the risen layers exist at a time
    ready = max(top - 1, 0)
    for y in range(top, bottom):
        down = min(y + 1, height - 1)
        while ready <= down:
            for x in range(width):
                interpolate(coarse, ready, x, risen[ready % 3])
                know(image[ready - first], alpha[ready, x], x, pure, risen[ready % 3])
            ready += 1
        layers[y - top] = risen[y % 3]
        for x in range(width):
            if alpha[y, x] > pure and alpha[y, x] < ONE - pure:
                texture = ratio[y >> ratio_level, x >> ratio_level]
                above, below = risen[max(y - 1, 0) % 3], risen[down % 3]
                picture, out = image[y - first], layers[y - top]
                solve(picture, alpha, y, x, above, risen[y % 3], below, texture, weight, pure, out)


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
    layers = np.empty((bottom - top, alpha.shape[1], 8), np.float32)
    picture = unit_float(image[first : bottom + 1])
    finish_rows(picture, alpha, coarse, ratio, ratio_level, weight, pure, layers, first, top, bottom)
    for plane, part in ((front, layers[..., 0:3]), (back, layers[..., 4:7])):
        if plane is not None:
            plane[top:bottom] = part if plane.dtype == np.float32 else part * np.float32(255) + np.float32(0.5)
