"""The backdrop of a picture where it is plain: paper, a studio's wall, a coloured screen, evenly lit or not."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.matting.signed_distance import unit_length
from gossamer.resampling import wide_blur

__all__ = ["Screen", "behind_rows", "find_screen"]

SAMPLE = 20_000  # pixels that the surface is fitted to
FEWEST = 50  # pixels that say something about a backdrop
SHADES = 16  # levels of each channel in which the most frequent colour is looked for
VIVID = 6.0  # how much more a pure green or blue counts as a screen
CALM = 2.0  # sigma in units over which colours are averaged before they are compared
LIGHTS, TINTS = 0.25, 0.1  # how far in light and in tint a backdrop may be from one colour anywhere
ROUNDS = 6
SPREAD = 4.0  # standard deviations that belong to the backdrop
LEAST = 0.008  # what is this near belongs to it in any case
UNEVEN = 0.08  # how far a screen's light may leave the fitted surface
FOLLOWED = 12.0  # sigma in units over which it is followed
HELD = 0.05  # weight of the surface where nothing of the backdrop is near


class Screen(NamedTuple):
    """A plain backdrop.

    Attributes
    ----------
    field : (h, w, 3) float32
        Its colour behind every place of the picture.
    noise : float
        Standard deviation of the picture's colours around it, at the field's size.
    rough : float
        Root mean square of what a smooth surface leaves of it.
    seen : (h, w) bool
        Which of the pixels that were asked about are it.
    """

    field: Array
    noise: float
    rough: float
    seen: NDArray[np.bool_]


def find_screen(
    image: Array, where: NDArray[np.bool_], colour: Array | None = None, uneven: float = UNEVEN
) -> Screen | None:
    """Find the plain backdrop of a picture; None where there is none.

    The most frequent colour is the beginning; a surface of the second degree is fitted to what is like it, again and
    again without what does not belong, and where the backdrop is seen its slow changes are followed.

    Parameters
    ----------
    image : (h, w, 3) float32
        RGB in [0, 1]; of a size that is quick to work at.
    where : (h, w) bool
        Where it is expected.
    colour : (3,) float32, optional
        What it is known to be, about.
    uneven : float
        How far its light may leave a smooth surface.
    """
    import cv2

    asked = np.flatnonzero(where)
    if len(asked) < FEWEST:
        return None
    height, width = where.shape
    unit = unit_length(where.shape)
    calm = np.asarray(cv2.GaussianBlur(image, (0, 0), CALM * unit), np.float32)
    y, x = (np.linspace(-1, 1, size, dtype=np.float32) for size in (height, width))
    sample = asked if len(asked) <= SAMPLE else np.random.default_rng(0).choice(asked, SAMPLE, replace=False)
    terms, seen = _terms(x[sample % width], y[sample // width]), calm.reshape(-1, 3)[sample]
    first = _most_frequent(seen) if colour is None else colour
    light, tint = _apart(seen - first, first)
    near = (light < LIGHTS) & (tint < TINTS)
    reach = LIGHTS, TINTS
    fitted: NDArray[np.float32] | None = None
    for _ in range(ROUNDS):
        if np.count_nonzero(near) < FEWEST:
            break
        fitted = np.linalg.lstsq(terms[near], seen[near], rcond=None)[0]
        guess = terms @ fitted
        light, tint = _apart(seen - guess, guess)
        reach = _reach(light[near], tint[near], reach)
        near = (light < reach[0]) & (tint < reach[1])
    if fitted is None:
        return None
    surface = np.clip(_terms(*np.meshgrid(x, y)) @ fitted, 0, 1).astype(np.float32)
    light, tint = _apart(calm - surface, surface)
    its = where & (light < max(reach[0], uneven)) & (tint < reach[1])
    if not its.any():
        return None
    rough, field = float(np.sqrt(np.mean(np.square((calm - surface)[its])))), surface
    for _ in range(2):
        field = surface + _followed(calm - surface, its, unit)
        light, tint = _apart(calm - field, surface)
        reach = _reach(light[its], tint[its], (uneven, TINTS))
        its = where & (light < reach[0]) & (tint < reach[1])
        if not its.any():
            return None
    noise = float(np.sqrt(np.mean(np.square((image - field)[its]))))
    return Screen(np.clip(field, 0, 1), noise, rough, its)


def _reach(light: Array, tint: Array, most: tuple[float, float]) -> tuple[float, float]:
    """Return how far the backdrop's colours reach from where it is taken to be, by how far they do so now."""
    now = max(SPREAD * _sigma(light), LEAST), max(SPREAD * _sigma(tint), LEAST)
    return min(now[0], most[0]), min(now[1], most[1])


def _apart(rest: Array, surface: Array) -> tuple[Array, Array]:
    """Split differences from a backdrop into what light of its own colour explains, and what it does not.

    Light falls unevenly, but smoke and glass before a green screen are not green.
    """
    along = surface / np.maximum(np.linalg.norm(surface, axis=-1, keepdims=True), np.float32(1e-3))
    light = (rest * along).sum(axis=-1)
    return np.abs(light), np.linalg.norm(rest - light[..., None] * along, axis=-1)


def _terms(x: Array, y: Array) -> Array:
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)


def _sigma(off: Array) -> float:
    """Return a standard deviation from magnitudes, whatever lies far out (the median of a normal one's is 0.67)."""
    return 1.48 * float(np.median(off))


def _most_frequent(colours: Array) -> Array:
    """Return the most frequent of (N, 3) colours, about."""
    cells = np.clip(colours * SHADES, 0, SHADES - 1).astype(np.intp)
    vivid = np.maximum(colours[:, 1:].max(axis=1) - np.sort(colours, axis=1)[:, 1], 0)
    votes = 1 + VIVID * vivid  # of green and blue, as screens are
    count = np.bincount(np.ravel_multi_index(tuple(cells.T), (SHADES,) * 3), votes, SHADES**3)
    smooth: NDArray[np.float64] = np.pad(
        count.reshape((SHADES,) * 3).astype(float), 1
    )  # a colour may lie between two cells
    for axis in range(3):
        smooth = smooth + (np.roll(smooth, 1, axis) + np.roll(smooth, -1, axis)) / 2
    best = np.unravel_index(int(smooth[1:-1, 1:-1, 1:-1].argmax()), count.reshape((SHADES,) * 3).shape)
    return ((np.array(best) + 0.5) / SHADES).astype(np.float32)


def _followed(rest: Array, its: NDArray[np.bool_], unit: float) -> Array:
    """Return the slow part of what a surface leaves of the backdrop, fading to nothing away from it."""
    weight = its.astype(np.float32)
    summed = wide_blur(np.dstack([rest * weight[..., None], weight]), FOLLOWED * unit)
    return summed[..., :3] / (summed[..., 3:] + np.float32(HELD))


def behind_rows(field: Array, first: int, last: int, height: int, width: int) -> Array:
    """Return rows of a backdrop (h, w, 3) at the size of its picture, (last - first, width, 3)."""
    import cv2

    if field.shape[:2] == (height, width):
        return field[first:last]
    rows = (np.arange(first, last, dtype=np.float32) + np.float32(0.5)) * np.float32(field.shape[0] / height) - 0.5
    columns = (np.arange(width, dtype=np.float32) + np.float32(0.5)) * np.float32(field.shape[1] / width) - 0.5
    across, down = np.meshgrid(columns.astype(np.float32), rows.astype(np.float32))
    return np.asarray(cv2.remap(field, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)
