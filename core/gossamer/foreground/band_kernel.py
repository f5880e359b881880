"""The compiled kernels of the soft-band solver: see band_solver for what they compute."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import float32, int64

from gossamer.foreground.compiled import IMAGE, IMAGE_OUT, INDICES, PLANE, compiled

__all__ = ["finish", "relax", "rise"]

ZERO, QUARTER, ONE = np.float32(0), np.float32(0.25), np.float32(1)
EVEN = np.float32(1e-5)  # the smoothness left where the alpha does not change


@compiled(IMAGE, PLANE, IMAGE_OUT, IMAGE_OUT, float32, IMAGE_OUT, IMAGE_OUT, int64, int64)
def rise(
    image: Any,
    alpha: Any,
    coarse_front: Any,
    coarse_back: Any,
    pure: float,
    front: Any,
    back: Any,
    top: int,
    bottom: int,
) -> None:
    """Interpolate rows of both layers from the level below, then write what is known: the pure pixels."""
    width = alpha.shape[1]
    last_y, last_x = coarse_front.shape[0] - 1, coarse_front.shape[1] - 1
    for y in range(top, bottom):
        y0, y1 = y // 2, min((y + 1) // 2, last_y)
        for x in range(width):
            x0, x1 = x // 2, min((x + 1) // 2, last_x)
            a = alpha[y, x]
            for c in range(3):
                near = coarse_front[y0, x0, c] + coarse_front[y0, x1, c]
                far = coarse_front[y1, x0, c] + coarse_front[y1, x1, c]
                front[y, x, c] = image[y, x, c] if a >= ONE - pure else QUARTER * (near + far)
                near = coarse_back[y0, x0, c] + coarse_back[y0, x1, c]
                far = coarse_back[y1, x0, c] + coarse_back[y1, x1, c]
                back[y, x, c] = image[y, x, c] if a <= pure else QUARTER * (near + far)


@compiled(
    IMAGE,
    PLANE,
    PLANE,
    int64,
    int64,
    float32,
    float32,
    INDICES,
    int64,
    int64,
    IMAGE_OUT,
    IMAGE_OUT,
)
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
    front: Any,
    back: Any,
) -> None:
    """Solve both colours of every pixel of ``active[start:end]``, those of its neighbours held fixed."""
    height, width = alpha.shape
    for n in range(start, end):
        y = active[n] // width
        x = active[n] - y * width
        up, down = max(y - 1, 0), min(y + 1, height - 1)
        left, right = max(x - 1, 0), min(x + 1, width - 1)
        a = alpha[y, x]
        b = ONE - a
        w0 = abs(a - alpha[up, x]) + EVEN
        w1 = abs(a - alpha[down, x]) + EVEN
        w2 = abs(a - alpha[y, left]) + EVEN
        w3 = abs(a - alpha[y, right]) + EVEN
        total = w0 + w1 + w2 + w3
        texture = ratio[(y << level) >> ratio_level, (x << level) >> ratio_level]
        stiff_front = weight * total * texture
        stiff_back = weight * total / texture
        share = ONE / (a * a * stiff_back + b * b * stiff_front + stiff_front * stiff_back)
        to_front = a * stiff_back * share
        to_back = b * stiff_front * share
        total = ONE / total
        for c in range(3):
            f = w0 * front[up, x, c] + w1 * front[down, x, c] + w2 * front[y, left, c] + w3 * front[y, right, c]
            g = w0 * back[up, x, c] + w1 * back[down, x, c] + w2 * back[y, left, c] + w3 * back[y, right, c]
            f *= total
            g *= total
            rest = image[y, x, c] - a * f - b * g
            if a < ONE - pure:
                front[y, x, c] = min(max(f + to_front * rest, ZERO), ONE)
            if a > pure:
                back[y, x, c] = min(max(g + to_back * rest, ZERO), ONE)


@compiled()
def interpolate(coarse: Any, y: int, x: int, out: Any) -> None:
    """Write the colour that a level has at pixel (y, x) of the next finer one."""
    y0, y1 = y // 2, min((y + 1) // 2, coarse.shape[0] - 1)
    x0, x1 = x // 2, min((x + 1) // 2, coarse.shape[1] - 1)
    for c in range(3):
        near = coarse[y0, x0, c] + coarse[y0, x1, c]
        far = coarse[y1, x0, c] + coarse[y1, x1, c]
        out[x, c] = QUARTER * (near + far)


@compiled(
    IMAGE,
    PLANE,
    IMAGE_OUT,
    IMAGE_OUT,
    PLANE,
    int64,
    float32,
    float32,
    IMAGE_OUT,
    IMAGE_OUT,
    int64,
    int64,
    int64,
)
def finish(
    image: Any,
    alpha: Any,
    coarse_front: Any,
    coarse_back: Any,
    ratio: Any,
    ratio_level: int,
    weight: float,
    pure: float,
    front: Any,
    back: Any,
    first: int,
    top: int,
    bottom: int,
) -> None:
    """Write rows of the finest level: `rise`, then every soft pixel solved once; no `back` where that is empty.

    `image` begins with row `first` of the picture. Only three rows of the risen layers exist at a time.
    """
    height, width = alpha.shape
    risen_front = np.empty((3, width, 3), np.float32)
    risen_back = np.empty((3, width, 3), np.float32)
    ready = max(top - 1, 0)
    for y in range(top, bottom):
        up, down = max(y - 1, 0), min(y + 1, height - 1)
        while ready <= down:
            picture = image[ready - first]
            ahead, behind = risen_front[ready % 3], risen_back[ready % 3]
            for x in range(width):
                a = alpha[ready, x]
                if a < ONE - pure:
                    interpolate(coarse_front, ready, x, ahead)
                else:
                    ahead[x, 0], ahead[x, 1], ahead[x, 2] = picture[x, 0], picture[x, 1], picture[x, 2]
                if a > pure:
                    interpolate(coarse_back, ready, x, behind)
                else:
                    behind[x, 0], behind[x, 1], behind[x, 2] = picture[x, 0], picture[x, 1], picture[x, 2]
            ready += 1
        f0, f1, f2 = risen_front[up % 3], risen_front[y % 3], risen_front[down % 3]
        b0, b1, b2 = risen_back[up % 3], risen_back[y % 3], risen_back[down % 3]
        for x in range(width):
            a = alpha[y, x]
            if a <= pure or a >= ONE - pure:
                for c in range(3):
                    front[y, x, c] = f1[x, c]
                    if back.size > 0:
                        back[y, x, c] = b1[x, c]
                continue
            left, right = max(x - 1, 0), min(x + 1, width - 1)
            b = ONE - a
            w0 = abs(a - alpha[up, x]) + EVEN
            w1 = abs(a - alpha[down, x]) + EVEN
            w2 = abs(a - alpha[y, left]) + EVEN
            w3 = abs(a - alpha[y, right]) + EVEN
            total = w0 + w1 + w2 + w3
            texture = ratio[y >> ratio_level, x >> ratio_level]
            stiff_front = weight * total * texture
            stiff_back = weight * total / texture
            share = ONE / (a * a * stiff_back + b * b * stiff_front + stiff_front * stiff_back)
            to_front = a * stiff_back * share
            to_back = b * stiff_front * share
            total = ONE / total
            for c in range(3):
                f = (w0 * f0[x, c] + w1 * f2[x, c] + w2 * f1[left, c] + w3 * f1[right, c]) * total
                g = (w0 * b0[x, c] + w1 * b2[x, c] + w2 * b1[left, c] + w3 * b1[right, c]) * total
                rest = image[y - first, x, c] - a * f - b * g
                front[y, x, c] = min(max(f + to_front * rest, ZERO), ONE)
                if back.size > 0:
                    back[y, x, c] = min(max(g + to_back * rest, ZERO), ONE)
