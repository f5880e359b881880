"""Foreground and background colours, solved where the two mix: Gossamer's own method.

With the picture ``I = a F + (1 - a) B`` and means of F and B over a pixel's neighbours, weighted by how much
the alpha changes towards them (as in Levin 2008 and Germer 2020), every pixel takes the smallest change of
both means that explains its colour:

    F = mean F + a s_F r / d,  B = mean B + (1 - a) s_B r / d,  r = I - a mean F - (1 - a) mean B,
    d = a^2 s_F + (1 - a)^2 s_B + 1,

where s_F and s_B say how far a layer may leave its mean. It differs from the multi-level method in five points:

- The layer with more texture nearby gives way more: s_F / s_B is the ratio of the variances that F and B show
  around where they are seen alone. A residual over a striped wall is blamed on the wall, not on the hair.
- The smoothness weighs a tenth: the colour equation is nearly exact.
- Levels halve the picture on a grid where every coarse pixel *is* a fine one, and colours rise bilinearly.
- Sweeps go over the two colours of a chessboard, so that threads share the work and the result stays the same.
- Only soft pixels and their neighbours are swept; others are known (F at alpha 1, B at alpha 0) or hidden, and
  hidden colours are interpolated from the levels below: a smooth extension of what is seen.
- Of large pictures the finest level is solved once instead of swept, in strips: nothing but the result has the
  picture's size. That gives a sixth of the gain over the multi-level method back, for less than half of the time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array, unit_float
from gossamer.parallel.strips import Strips
from gossamer.platform import return_memory
from gossamer.progress import Progress

__all__ = ["LARGE", "band_layers"]

LARGE = 1 << 21
"""Of pictures with more pixels the finest level is solved once, in strips; colours that are bytes may stay bytes."""

_PURE = 1 / 510  # half a step of eight bits from 0 or 1 is 0 or 1
_WEIGHT = 0.1
_SWEEPS, _FEW_SWEEPS = 8, 4  # the second for very many pixels: wide soft edges, where they gain least
_MANY = 1 << 18
_CHUNK = 1 << 16
_RATIO_LEVELS = 9  # texture is looked at where the longer side has at most 2^9 pixels
_FINE, _WIDE = 5, 15  # and there, over these sides
_MIXED, _SEEN = np.float32(0.5), np.float32(0.9)  # shares from which on a layer's texture is seen, and seen alone


def band_layers(
    image: NDArray[Any], alpha: Array, progress: Progress, *, background: bool = True, eight_bit: bool = False
) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Return foreground and, unless it is not wanted, background of checked arrays; `image` may be uint8 (of 255).

    With `eight_bit` they are rounded to uint8, and hidden colours that hardly differ are made one.
    """
    progress(0.0, "Estimating foreground colours")
    kernels = _kernels()
    height, width = alpha.shape
    levels = max(height - 1, width - 1).bit_length()
    ratio_level = max(1, levels - _RATIO_LEVELS)
    large = alpha.size > LARGE or levels == 0
    kind = np.uint8 if eight_bit else np.float32
    with Strips() as strips:
        pyramid = [(image, alpha)]
        while len(pyramid) <= levels:
            pyramid.append(_halved(*pyramid[-1], kernels, strips))
        small, matte = unit_float(pyramid[min(ratio_level, levels)][0]), pyramid[min(ratio_level, levels)][1]
        ratio = _texture_ratio(small, matte)
        layers = np.concatenate([_mean(small, matte), _mean(small, 1 - matte)], axis=2)
        for level in range(levels, 0 if large else -1, -1):
            end = 0.8 * 0.25 ** (level - 1) if large else 0.25**level  # each level takes four times its predecessor's
            part = progress.part(end / 4, end) if level < 6 else Progress()
            picture, matte = kernels.prepared(pyramid[level][0]), pyramid[level][1]
            del pyramid[level]
            below, layers = layers, np.empty((*matte.shape, 8), np.float32)

            def interpolate(
                top: int,
                bottom: int,
                known: tuple[NDArray[Any], Array] = (picture, matte),
                below: Array = below,
                layers: Array = layers,
            ) -> None:
                kernels.rise(*known, below, _PURE, layers, top, bottom)

            strips.each(interpolate, len(matte), 1 + _CHUNK // matte.shape[1], part.part(0.0, 0.2))
            del below, interpolate
            _relax(picture, matte, (ratio, level, ratio_level), layers, kernels, strips, part.part(0.2, 1.0))
            del picture, matte  # what is not needed any more would be a third of the peak

        if not large:
            front, back = _as(layers, 0, kind), _as(layers, 4, kind) if background else None
            return front, back
        return_memory()  # of the levels: blocks of some 10 MB, which glibc would keep
        front, back = np.empty(image.shape, kind), np.empty(image.shape, kind) if background else None

        def solve(top: int, bottom: int) -> None:
            kernels.finish(image, alpha, layers, ratio, ratio_level, _WEIGHT, _PURE, front, back, top, bottom)

        strips.each(solve, height, 8 * (1 + _CHUNK // 8 // width), progress.part(0.8, 1.0))
    return front, back


def _kernels() -> Any:
    """Return the kernels in C or, where they were not compiled, NumPy's."""
    try:
        from gossamer.foreground.soft_band import native as band_native
    except ImportError:
        from gossamer.foreground.soft_band import plain as band_plain

        return band_plain
    return band_native


def _halved(image: NDArray[Any], alpha: Array, kernels: Any, strips: Strips) -> tuple[NDArray[Any], Array]:
    """Return every second pixel of every second row of picture and alpha."""
    height, width = alpha.shape
    matte: Array = np.empty((-(-height // 2), -(-width // 2)), np.float32)
    small = np.empty((*matte.shape, 3), image.dtype)

    def take(top: int, bottom: int) -> None:
        kernels.thin(image, alpha, small, matte, top, bottom)

    strips.each(take, len(matte), 1 + _CHUNK // matte.shape[1], Progress())
    return small, matte


def _as(layers: Array, first: int, kind: type[np.generic]) -> NDArray[Any]:
    """Return three channels of (H, W, 8) as a plain array: float32, or rounded to uint8."""
    import cv2

    layer = np.empty((*layers.shape[:2], 3), np.float32)
    cv2.mixChannels([layers], [layer], [first, 0, first + 1, 1, first + 2, 2])  # three numbers a pixel slow NumPy down
    if kind is np.float32:
        return layer
    return (layer * np.float32(255) + np.float32(0.5)).astype(np.uint8)


def _relax(
    image: NDArray[Any],
    alpha: Array,
    texture: tuple[Array, int, int],
    layers: Array,
    kernels: Any,
    strips: Strips,
    progress: Progress,
) -> None:
    """Sweep over one level's soft pixels, in place."""
    halves = kernels.soft(alpha, _PURE)
    steps = 2 * (_SWEEPS if len(halves[0]) + len(halves[1]) <= _MANY else _FEW_SWEEPS)
    for sweep in range(steps):
        active = halves[sweep % 2]

        def work(start: int, end: int, active: NDArray[np.int32] = active) -> None:
            kernels.relax(image, alpha, *texture, _WEIGHT, _PURE, active, start, end, layers)

        strips.each(work, len(active), _CHUNK // 2, progress.part(sweep / steps, (sweep + 1) / steps))


def _mean(image: Array, weight: Array) -> Array:
    """Return a layer's mean colour as a picture of one pixel, and 0: of its pure pixels if it has any."""
    pure = weight > 0.9
    if pure.any():
        weight = weight * pure
    total = float(weight.sum())
    if total > 0:
        # Not by BLAS, which adds up in another order where there are more cores.
        mean = np.array([np.einsum("hw,hw->", image[..., channel], weight) for channel in range(3)]) / total
    else:
        mean = image.mean((0, 1))
    return np.asarray([*mean, 0], dtype=np.float32).reshape(1, 1, 4)


def _texture_ratio(image: Array, alpha: Array) -> Array:
    """Return how much more texture the background has than the foreground nearby, as a ratio of deviations."""
    import cv2

    def blurred(plane: Array, side: int) -> Array:
        return np.asarray(cv2.blur(plane, (side, side))).reshape(plane.shape)

    colours = [np.ascontiguousarray(image[..., channel]) for channel in range(3)]  # numpy is quick along long rows
    variances = []
    for seen in (alpha, 1 - alpha):
        # Where the other layer shows through, its texture is not this one's: smoke is as smooth before trees as alone.
        weight = np.square(np.square(seen)) * np.clip((seen - _MIXED) / (_SEEN - _MIXED), 0, 1)
        near = blurred(weight, _FINE) + np.float32(1e-3)
        spread = np.zeros_like(weight)
        for colour in colours:
            spread += np.square(colour - blurred(colour * weight, _FINE) / near)
        spread = blurred(spread * weight * np.float32(1 / 3), _WIDE)
        # Where a layer is not seen at all its variance is anybody's guess: the floor, as for a smooth one.
        variances.append(spread / (blurred(weight, _WIDE) + np.float32(1e-4)) + np.float32(1e-3))
    return np.ascontiguousarray(np.clip(np.sqrt(variances[1] / variances[0]), 0.2, 5), dtype=np.float32)
