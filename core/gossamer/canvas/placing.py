"""Putting planes on a canvas: resampled premultiplied, one at a time, and straight again afterwards."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array, unit_float
from gossamer.canvas.geometry import Layout

__all__ = ["Placed", "place", "place_plane"]

_FAINT = np.float32(1 / 1024)  # of alpha: where less is, a quotient of two sums is mostly rounding


class Placed(NamedTuple):
    """A subject on a canvas, both of its size.

    Attributes
    ----------
    pixels : (H, W, 3) uint8 or float32
        Straight colours, defined everywhere: bytes where they came as bytes and none was resampled.
    alpha : (H, W) float32
        0 where the photograph does not reach.
    """

    pixels: NDArray[Any]
    alpha: Array


class _Window(NamedTuple):
    """What of the photograph is on the canvas, and where: slices of both, and the size that it gets."""

    source: tuple[slice, slice]
    target: tuple[slice, slice]
    size: tuple[int, int]  # width, height before what juts out is cut
    offset: tuple[int, int]  # of the resampled piece, what juts out: x, y
    border: tuple[int, int, int, int]  # top, bottom, left, right: the canvas that the photograph does not reach


def place(pixels: NDArray[Any], alpha: Array, layout: Layout) -> Placed:
    """Put a subject on a canvas.

    Parameters
    ----------
    pixels : (H, W, 3) uint8 or float32
        Straight colours.
    alpha : (H, W) float32
    layout : Layout

    Notes
    -----
    Scaling down takes the mean of the areas (OpenCV's INTER_AREA), up it is bicubic. Colours are multiplied by alpha
    before and divided by it afterwards, so that what the matte hides colours no edge.
    """
    import cv2

    window = _window(alpha.shape, layout)
    shape = (layout.height, layout.width)
    matte = np.zeros(shape, np.float32)
    matte[window.target] = np.clip(_resampled(alpha[window.source], window), 0, 1)
    if layout.scale == 1:
        placed = np.empty((*shape, 3), pixels.dtype)
        placed[window.target] = _cut(pixels[window.source], window)
    else:
        placed = np.empty((*shape, 3), np.float32)
        weight = np.ascontiguousarray(alpha[window.source])
        divisor = matte[window.target]
        seen = divisor > _FAINT
        for channel in range(3):
            plane = unit_float(np.ascontiguousarray(pixels[(*window.source, channel)]))
            # What is hidden gets colours that are sensible too, by themselves.
            colours = _resampled(plane, window)
            product = _resampled(cv2.multiply(plane, weight), window)
            np.divide(product, divisor, out=colours, where=seen)
            placed[(*window.target, channel)] = np.clip(colours, 0, 1)
    _spread(placed, window)
    return Placed(placed, matte)


def place_plane(plane: Array, layout: Layout, *, spread: bool = False) -> Array:
    """Put (H, W) or (H, W, C) float32 on a canvas: 0 beyond the photograph, or its edges spread."""
    window = _window(plane.shape, layout)
    placed = np.zeros((layout.height, layout.width, *plane.shape[2:]), np.float32)
    placed[window.target] = np.clip(_resampled(plane[window.source], window), 0, 1)
    if spread:
        _spread(placed, window)
    return placed


def _window(shape: tuple[int, ...], layout: Layout) -> _Window:
    """Return what of a photograph is on the canvas: whole pixels of it, so that no border is resampled twice."""
    axes = []
    for length, side, start in ((shape[0], layout.height, layout.top), (shape[1], layout.width, layout.left)):
        # A few pixels more than are seen: resampling looks at them.
        more = 0 if layout.scale == 1 else 2 + math.ceil(2 / layout.scale)
        first = max(0, math.floor(-start / layout.scale) - more)
        last = min(length, math.ceil((side - start) / layout.scale) + more)
        last = max(last, first + 1) if first < length else length
        first = min(first, last - 1)
        extent = max(1, round((last - first) * layout.scale))
        place = round(start + first * layout.scale)
        shown = max(0, place), min(side, place + extent)
        axes.append((slice(first, last), slice(*shown), extent, max(0, -place), (shown[0], side - shown[1])))
    (rows, down, tall, above, (top, bottom)), (columns, across, wide, before, (left, right)) = axes
    return _Window((rows, columns), (down, across), (wide, tall), (before, above), (top, bottom, left, right))


def _resampled(plane: Array, window: _Window) -> Array:
    import cv2

    height, width = plane.shape[:2]
    if (width, height) != window.size:
        smaller = window.size[0] <= width and window.size[1] <= height
        how = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
        plane = np.asarray(cv2.resize(plane, window.size, interpolation=how), np.float32)
    return _cut(plane, window)


def _cut(plane: NDArray[Any], window: _Window) -> NDArray[Any]:
    x, y = window.offset
    rows, columns = window.target
    return plane[y : y + rows.stop - rows.start, x : x + columns.stop - columns.start]


def _spread(plane: NDArray[Any], window: _Window) -> None:
    """Fill what the photograph does not reach with its nearest pixels, in place."""
    top, bottom, left, right = window.border
    rows, columns = window.target
    if left:
        plane[rows, :left] = plane[rows, left : left + 1]
    if right:
        plane[rows, columns.stop :] = plane[rows, columns.stop - 1 : columns.stop]
    if top:
        plane[:top] = plane[top : top + 1]
    if bottom:
        plane[rows.stop :] = plane[rows.stop - 1 : rows.stop]
