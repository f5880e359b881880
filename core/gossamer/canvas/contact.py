"""Contact shadows: how much of an overcast sky the subject hides from the ground that it stands on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.progress import Progress

__all__ = ["Ground", "depth_of", "ground_shadow"]

_DIRECTIONS = 400  # of light
_FINE = 12  # heights between one and twice of it are so many slices
_FLATTEST = 0.995  # of a direction's sine: light from the horizon itself would need an endless ground
_LOW, _HIGH = 0.1, 0.3  # of the height: up to here a leg stands where its foot is; from here on it may be anywhere
_SOLID = 0.5


@dataclass(frozen=True, eq=False)
class Ground:
    """The shadow on the ground as it is seen from straight above.

    Attributes
    ----------
    hidden : (D, W) float32
        The part of the sky's light that does not get there, in [0, 1]; rows go towards the camera.
    left, back : int
        How far the first column lies left of the silhouette's, the first row behind the subject's middle, in pixels.
    """

    hidden: Array
    left: int
    back: int


def ground_shadow(
    silhouette: Array, reach: tuple[int, int], depth: float, progress: Progress, *, foot: float = 0.0
) -> Ground:
    """Return the shadow of a silhouette that is taken as a body, under a sky that is equally bright everywhere.

    Parameters
    ----------
    silhouette : (H, W) float32
        The alpha of the subject's box, its last row on the ground; small: 100 to 200 pixels.
    reach : tuple of int
        How many pixels of the ground are wanted to the sides, and before and behind.
    depth : float
        How deep the body is, of its width: 1 = round; see :func:`depth_of`.
    progress : Progress
        May raise to cancel.
    foot : float
        How deep all is that it stands on: what is narrower and low, as a table's leg, stands at the near side of that.

    Notes
    -----
    The body is a pile of slices: every run of a row is an ellipse. Of each of many directions, spread so that they
    weigh as the cosine law has it (Malley's method: equally over the disc below the hemisphere), the shadow is the
    union of the slices, each moved by its height. Their mean is the light that is lost: the ambient occlusion.
    """
    slices = _slices(silhouette, depth, foot)
    across, deep = reach
    wide = silhouette.shape[1] + 2 * across
    total = np.zeros((2 * deep + 1, wide), np.float32)
    union = np.empty(total.shape, np.uint8)
    number = np.arange(_DIRECTIONS) + 0.5
    sine = np.sqrt(number / _DIRECTIONS) * _FLATTEST
    turn = number * (np.pi * (3 - np.sqrt(5)))  # the golden angle: no two lie in a row
    steep = sine / np.sqrt(1 - sine**2)
    for one in range(_DIRECTIONS):
        union[:] = 0
        along, towards = steep[one] * np.cos(turn[one]), steep[one] * np.sin(turn[one])
        for plane, at, height in slices:
            x, z = across + at + round(height * along), deep - plane.shape[0] // 2 + round(height * towards)
            _raise(union, plane, x, z)
        total += union
        if one % 16 == 0:
            progress(one / _DIRECTIONS)
    total /= np.float32(255 * _DIRECTIONS)
    return Ground(total, across, deep)


def depth_of(width: float, height: float, depth: float) -> float:
    """Return how deep a part of a body is: what is wide, as a car or somebody who lies, is no deeper than high."""
    return min(depth * width, height)


def _slices(silhouette: Array, depth: float, foot: float) -> list[tuple[NDArray[np.uint8], int, float]]:
    """Return slices from the ground up: (D, W) bytes, their first column and height."""
    rows = silhouette[::-1]
    slices: list[tuple[NDArray[np.uint8], int, float]] = []
    low = 0
    while low < len(rows):
        high = min(len(rows), low + max(1, low // _FINE))
        height = (low + high) / 2
        near = np.clip((_HIGH - height / len(rows)) / (_HIGH - _LOW), 0, 1) * foot
        plane, first = _body(rows[low:high].max(0), depth, len(rows), float(near))
        if plane is not None:
            slices.append((plane, first, height))
        low = high
    return slices


def _body(profile: Array, depth: float, height: float, foot: float) -> tuple[NDArray[np.uint8] | None, int]:
    """Return a slice of the body that has a profile, and its first column."""
    solid = np.flatnonzero(np.diff(np.concatenate([[0], (profile >= _SOLID).astype(np.int8), [0]])))
    runs = solid.reshape(-1, 2)
    if not len(runs):
        return None, 0
    first, last = int(runs[0, 0]), int(runs[-1, 1])
    half, middle = np.zeros(last - first), np.zeros(last - first)
    for start, end in runs:
        places, run = np.arange(start, end) + 0.5 - (start + end) / 2, slice(start - first, end - first)
        deep = depth_of(end - start, height, depth)
        half[run] = deep / (end - start) * np.sqrt(((end - start) / 2) ** 2 - places**2)
        middle[run] = max(0.0, (foot - deep) / 2)
    reach = int(np.ceil((half + middle).max()))
    away = np.abs(np.arange(-reach, reach + 1)[:, None] - middle[None, :])
    covered = np.clip(half[None, :] + 0.5 - away, 0, 1) * profile[None, first:last]
    return np.round(255 * covered).astype(np.uint8), first


def _raise(union: NDArray[np.uint8], plane: NDArray[np.uint8], x: int, z: int) -> None:
    """Take the maximum of `union` and of a plane whose corner lies at (x, z), where both are."""
    top, left = max(z, 0), max(x, 0)
    bottom, right = min(z + plane.shape[0], union.shape[0]), min(x + plane.shape[1], union.shape[1])
    if top < bottom and left < right:
        part = union[top:bottom, left:right]
        np.maximum(part, plane[top - z : bottom - z, left - x : right - x], out=part)
