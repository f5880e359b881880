"""The subject of a picture as COCO has it: polygons, and runs of pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.errors import InputError

__all__ = ["Outlines", "decode_rle"]

_FINE = 4  # bits of a pixel's fraction in which corners are given


@dataclass(frozen=True)
class Outlines:
    """What COCO's annotations of one picture say of its subjects, all of which are foreground.

    Attributes
    ----------
    width, height : int
        The picture's size, as the annotations have it.
    shapes : tuple
        The ``segmentation`` of each: a list of polygons (x0, y0, x1, y1 ...), or a mapping with ``size`` and
        ``counts``.
    """

    width: int
    height: int
    shapes: tuple[Any, ...]

    def drawn(self, height: int, width: int) -> Array:
        """Return the mask, (H, W) float32 of 0 and 1.

        Raises
        ------
        InputError
            The picture has another size than the annotations say, or a shape is none of COCO's.
        """
        import cv2

        if (height, width) != (self.height, self.width):
            raise InputError(
                f"The picture is {width} x {height} pixels, but its annotations are for {self.width} x {self.height}.",
                "Use the pictures that were annotated.",
            )
        mask = np.zeros((height, width), np.uint8)
        for shape in self.shapes:
            if isinstance(shape, dict):
                mask |= decode_rle(shape, height, width)
                continue
            corners = [_corners(polygon) for polygon in shape]
            one = np.zeros_like(mask)
            for corner in corners:  # each alone: COCO's parts of one subject are united, not holes of each other
                cv2.fillPoly(one, [corner], 1, shift=_FINE)
            mask |= one
        return mask.astype(np.float32)


def decode_rle(rle: dict[str, Any], height: int, width: int) -> NDArray[np.uint8]:
    """Return COCO's run lengths as a mask, (H, W) of 0 and 1; the format is told in :mod:`gossamer.prompting.coco`.

    Parameters
    ----------
    rle : dict
        ``size`` [height, width] and ``counts``, a list of numbers or COCO's text.
    height, width : int
        What its size must be.

    Raises
    ------
    InputError
        It is of another size, or its runs do not fill that.
    """
    counts, size = rle.get("counts"), rle.get("size")
    runs: Sequence[int]
    if isinstance(counts, str):
        runs = _runs(counts)
    elif isinstance(counts, list) and all(isinstance(run, int) and run >= 0 for run in counts):
        runs = counts
    else:
        raise _no_runs("have no counts")
    if list(size or ()) != [height, width]:
        raise _no_runs(f"have the size {size} instead of [{height}, {width}]")
    if min(runs, default=0) < 0 or sum(runs) != height * width:
        raise _no_runs(f"do not fill {width} x {height} pixels")
    values = np.zeros(len(runs), np.uint8)
    values[1::2] = 1
    return np.ascontiguousarray(np.repeat(values, runs).reshape((height, width), order="F"))


def _runs(text: str) -> list[int]:
    """Return the numbers in COCO's text: groups of five bits, from the third on as differences to two before."""
    runs: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64:
            raise _no_runs("hold other characters than COCO writes")
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value = shift = 0
    if shift:
        raise _no_runs("are cut off")
    return runs


def _no_runs(fault: str) -> InputError:
    return InputError(f"The run lengths {fault}.", "Export the annotations again.")


def _corners(polygon: Any) -> NDArray[np.int32]:
    """Return a polygon's corners for OpenCV, whose pixels have their centres at whole numbers and COCO's at halves."""
    try:
        points = np.asarray(polygon, np.float64).reshape(-1, 2)
    except (TypeError, ValueError):
        points = np.zeros((0, 2))
    if len(points) < 3 or not np.isfinite(points).all() or np.abs(points).max() > 1e6:
        raise InputError("A polygon of its annotations has no three corners.", "Export the annotations again.")
    return np.rint((points - 0.5) * (1 << _FINE)).astype(np.int32)
