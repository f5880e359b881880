"""Large pictures in windows: what is cut out, how it is divided into overlapping tiles and joined again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array

__all__ = ["GRID", "Window", "blended", "tiles", "window_around"]

GRID = 32
"""Windows start at multiples of this: the network's patches lie as they do in the whole picture."""


@dataclass(frozen=True)
class Window:
    """A rectangle of a picture: rows `top` to `bottom`, columns `left` to `right`, the ends not included."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """The window as an index."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return self.bottom - self.top, self.right - self.left


def window_around(unknown: NDArray[np.bool_], margin: int, tile: int | None) -> Window:
    """Return the part of a picture that a network needs to see.

    Parameters
    ----------
    unknown : (H, W) bool
        Where alpha is asked for; at least one pixel.
    margin : int
        How many known pixels around them it should see at least, where the picture has them.
    tile : int or None
        The side up to which a window costs one run of the network: it is widened to that, as what the network sees
        more helps it and costs little. None: the whole picture.

    Returns
    -------
    Window
    """
    height, width = unknown.shape
    if tile is None:
        return Window(0, height, 0, width)
    rows, columns = np.flatnonzero(unknown.any(axis=1)), np.flatnonzero(unknown.any(axis=0))
    top, bottom = _widened(int(rows[0]) - margin, int(rows[-1]) + 1 + margin, height, tile)
    left, right = _widened(int(columns[0]) - margin, int(columns[-1]) + 1 + margin, width, tile)
    return Window(top, bottom, left, right)


def tiles(shape: tuple[int, int], side: int | None) -> list[Window]:
    """Divide a rectangle into windows of at most `side` pixels that overlap by at least a quarter of it.

    They start at multiples of :data:`GRID`.

    Parameters
    ----------
    shape : tuple of int
        Height and width.
    side : int or None
        The longest side, a multiple of the grid and at least twice that; None: one window.
    """
    rows, columns = (list(_spans(size, size if side is None else side)) for size in shape)
    return [Window(top, bottom, left, right) for top, bottom in rows for left, right in columns]


def blended(
    shape: tuple[int, int], windows: list[Window], unknown: NDArray[np.bool_], run: Callable[[int, int, Window], Array]
) -> Array:
    """Run over windows and join the results: where they overlap, each fades out towards its own border.

    Parameters
    ----------
    shape : tuple of int
        Height and width of the result.
    windows : list of Window
        They cover the result.
    unknown : (H, W) bool
        Windows without any such pixel are left out.
    run : callable
        ``run(number, count, window)``: the window's values; number counts from 0.

    Returns
    -------
    (H, W) float32
        Meaningful in the unknown pixels only.
    """
    needed = [window for window in windows if unknown[window.slices].any()]
    total, weight = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for number, window in enumerate(needed):
        result = run(number, len(needed), window)
        fade = np.multiply.outer(_fade(window.top, window.bottom, shape[0]), _fade(window.left, window.right, shape[1]))
        total[window.slices] += fade * result
        weight[window.slices] += fade
    return np.divide(total, weight, out=total, where=weight > 0)


def _widened(start: int, stop: int, size: int, length: int) -> tuple[int, int]:
    """Clip a span to [0, size), then widen it evenly to `length`, a multiple of the grid, where that fits."""
    start, stop = max(start, 0) // GRID * GRID, min(stop, size)
    lacking = length - (stop - start)
    if lacking > 0:
        start = min(max(start - _aligned(lacking // 2 - GRID + 1), 0), _aligned(max(size - length, 0)))
        stop = min(start + length, size)
    return start, stop


def _spans(size: int, side: int) -> Iterator[tuple[int, int]]:
    """Yield the spans of the tiles along one axis, about evenly placed."""
    if size <= side:
        yield 0, size
        return
    step = (side - side // 4) // GRID * GRID
    count = -(-(size - side) // step) + 1
    for i in range(count):
        start = _aligned((size - side) * i // (count - 1))
        yield start, min(start + side, size)


def _aligned(position: int) -> int:
    """Round up to the grid."""
    return -(-position // GRID) * GRID


def _fade(start: int, stop: int, size: int) -> Array:
    """Return the weights along one axis: a ramp at ends that have a neighbour, 1 at the ends of the result."""
    length = stop - start
    ramp = np.arange(1, length + 1, dtype=np.float32)
    weights: Array = np.full(length, np.inf, np.float32)
    if start > 0:
        weights = np.minimum(weights, ramp)
    if stop < size:
        weights = np.minimum(weights, ramp[::-1])
    weights = np.minimum(weights, max(length // 4, 1))
    weights /= weights.max()
    return weights
