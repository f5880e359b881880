"""The backdrop of a picture where it is plain: paper, a studio's wall, a coloured screen, evenly lit or not."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.matting.signed_distance import unit_length
from gossamer.resampling import bilinear, shrink, wide_blur

__all__ = ["Screen", "behind_place", "between", "find_screen", "tint_apart"]

AREA = 60_000  # pixels at which it is looked for
WHOLLY = 0.99  # of such a pixel that must lie where it is expected
SAMPLE = 8_000  # pixels that the surface is fitted to, and that noise is measured on
FEWEST = 50  # pixels that say something about a backdrop
SHADES = 16  # levels of each channel in which the most frequent colour is looked for
VIVID = 6.0  # how much more a pure green or blue counts as a screen
CALM = 2.0  # sigma in units over which colours are averaged before they are compared
LIGHTS, TINTS = 0.25, 0.1  # how far in light and in tint a backdrop may be from one colour anywhere
ROUNDS = 6
SPREAD = 4.0  # standard deviations that belong to the backdrop
LEAST = 0.008  # what is this near belongs to it in any case
UNEVEN = 0.08  # how far a screen's light may leave the fitted surface
FOLLOWED, CLOSELY = 12.0, 3.0  # sigmas in units over which it is followed; the second along lamps and shadows
SHADED, WIDE = 0.4, 4.0  # how far their light may be off, and half the width in units that they take at least
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
    share : float
        Of what was asked about, how much is it.
    seen : (h, w) bool
        Which of the pixels that were asked about are it.
    other : (h, w, 3) float32 or None
        Of a backdrop of several colours: where two meet the other one's, elsewhere its own.
    """

    field: Array
    noise: float
    rough: float
    share: float
    seen: NDArray[np.bool_]
    other: Array | None = None


def find_screen(
    image: Array,
    where: NDArray[np.bool_],
    colour: Array | None = None,
    uneven: float = UNEVEN,
    *,
    shaded: bool = False,
    roughest: float = math.inf,
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
    shaded : bool
        Whether lamps and shadows may fall on it: then wide areas of its tint are it, too, however bright.
    roughest : float
        What a smooth surface may leave of it at most (:attr:`Screen.rough`): a rougher one counts as none.
    """
    import cv2

    height, width = where.shape
    factor = min(math.sqrt(AREA / where.size), 1.0)
    size = max(round(width * factor), 1), max(round(height * factor), 1)
    few, there = shrink(image, size), shrink(where.astype(np.float32), size) > WHOLLY
    unit = unit_length(where.shape) * factor
    calm = np.asarray(cv2.GaussianBlur(few, (0, 0), CALM * unit), np.float32)
    fitted = _fitted(calm, there, colour)
    if fitted is None:
        return None
    surface, reach = fitted
    light, tint = _apart(calm - surface, surface)
    its = there & (light < max(reach[0], uneven)) & (tint < reach[1])
    if not its.any():
        return None
    rough, field = float(np.sqrt(np.mean(np.square((calm - surface)[its])))), surface
    if rough > roughest:
        return None
    for _ in range(2):
        field = surface + _followed(calm - surface, its, unit)
        light, tint = _apart(calm - field, surface)
        reach = _reach(light[its], tint[its], (uneven, TINTS))
        its = there & (light < reach[0]) & (tint < reach[1])
        if not its.any():
            return None
    if shaded:
        wide = (there & (tint < reach[1]) & (light < SHADED)).astype(np.uint8)
        side = 2 * max(round(WIDE * unit), 1) + 1
        its |= cv2.morphologyEx(wide, cv2.MORPH_OPEN, np.ones((side, side), np.uint8)) > 0
        for sigma in (FOLLOWED, CLOSELY):
            field = field + _followed(calm - field, its, unit, sigma)
    share = np.count_nonzero(its) / np.count_nonzero(there)
    field = np.clip(bilinear(field, height, width), 0, 1)
    seen = where & (cv2.resize(its.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0)
    return Screen(field, _noise(image, field, seen), rough, share, seen)


def _fitted(image: Array, where: NDArray[np.bool_], colour: Array | None) -> tuple[Array, tuple[float, float]] | None:
    """Return the surface of the second degree that most of a backdrop lies on, and how far the backdrop reaches."""
    asked = np.flatnonzero(where)
    if len(asked) < FEWEST:
        return None
    height, width = where.shape
    y, x = (np.linspace(-1, 1, side, dtype=np.float32) for side in (height, width))
    sample = asked if len(asked) <= SAMPLE else np.random.default_rng(0).choice(asked, SAMPLE, replace=False)
    terms, seen = _terms(x[sample % width], y[sample // width]), image.reshape(-1, 3)[sample]
    first = _most_frequent(seen) if colour is None else colour
    light, tint = _apart(seen - first, first)
    near, reach = (light < LIGHTS) & (tint < TINTS), (LIGHTS, TINTS)
    fitted: NDArray[np.float32] | None = None
    for _ in range(ROUNDS):
        if np.count_nonzero(near) < FEWEST:
            break
        # The normal equations: six unknowns, well scaled.
        some = terms[near].astype(np.float64)
        fitted = np.linalg.solve(some.T @ some + 1e-6 * np.eye(6), some.T @ seen[near]).astype(np.float32)
        guess = terms @ fitted
        light, tint = _apart(seen - guess, guess)
        reach = _reach(light[near], tint[near], reach)
        near = (light < reach[0]) & (tint < reach[1])
    if fitted is None:
        return None
    return np.clip(_terms(*np.meshgrid(x, y)) @ fitted, 0, 1).astype(np.float32), reach


def _noise(image: Array, field: Array, seen: NDArray[np.bool_]) -> float:
    """Return the standard deviation of a picture's colours around its backdrop, where that is seen."""
    places = np.flatnonzero(seen)
    if not len(places):
        return 0.0
    places = places[:: max(len(places) // SAMPLE, 1)]
    off = image.reshape(-1, 3)[places] - field.reshape(-1, 3)[places]
    return float(np.sqrt(np.mean(off * off)))


def _reach(light: Array, tint: Array, most: tuple[float, float]) -> tuple[float, float]:
    """Return how far the backdrop's colours reach from where it is taken to be, by how far they do so now."""
    now = max(SPREAD * _sigma(light), LEAST), max(SPREAD * _sigma(tint), LEAST)
    return min(now[0], most[0]), min(now[1], most[1])


def _apart(rest: Array, surface: Array) -> tuple[Array, Array]:
    """Split differences from a backdrop into what light of its own colour explains, and what it does not.

    Light falls unevenly, but smoke and glass before a green screen are not green.
    """
    # Colour by colour: numpy is slow along axes of three.
    length = np.maximum(_length(*(surface[..., c] for c in range(3))), np.float32(1e-3))
    along, seen = ([plane[..., c] for c in range(3)] for plane in (surface, rest))
    along = [plane / length for plane in along]
    light = seen[0] * along[0] + seen[1] * along[1] + seen[2] * along[2]
    return np.abs(light), _length(*(one - light * other for one, other in zip(seen, along, strict=True)))


def tint_apart(colours: Array, backdrop: Array) -> Array:
    """Return how far colours, (..., 3), are from a backdrop's, (3,), in tint alone, however bright they are."""
    tint: Array = _apart(colours - backdrop, np.broadcast_to(backdrop, colours.shape))[1]
    return tint


def _length(red: Array, green: Array, blue: Array) -> Array:
    result: Array = np.sqrt(red * red + green * green + blue * blue)
    return result


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


def _followed(rest: Array, its: NDArray[np.bool_], unit: float, sigma: float = FOLLOWED) -> Array:
    """Return the slow part of what a surface leaves of the backdrop, fading to nothing away from it."""
    weight = its.astype(np.float32)
    summed = wide_blur(np.dstack([rest * weight[..., None], weight]), sigma * unit)
    return summed[..., :3] / (summed[..., 3:] + np.float32(HELD))


def behind_place(field: Array, place: tuple[slice, slice], height: int, width: int) -> Array:
    """Return a part of a backdrop (h, w, 3) at the size of its picture, (height, width)."""
    import cv2

    if field.shape[:2] == (height, width):
        return field[place]
    down, across = (
        (np.arange(part.start, part.stop, dtype=np.float32) + np.float32(0.5)) * np.float32(few / many)
        - np.float32(0.5)
        for part, few, many in zip(place, field.shape, (height, width), strict=False)
    )
    x, y = np.meshgrid(across, down)
    return np.asarray(cv2.remap(field, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)


def between(image: Array, behind: Array, other: Array | None) -> Array:
    """Return a backdrop as it is behind each pixel, where two that meet may be mixed in one: the mixture next to it.

    Parameters
    ----------
    image, behind : (h, w, 3) float32
    other : (h, w, 3) float32 or None
        The other backdrop, where one is near; else the same as `behind`.
    """
    if other is None:
        return behind
    step = other - behind
    length = np.einsum("...i,...i->...", step, step)
    if not length.any():
        return behind
    share = np.einsum("...i,...i->...", image - behind, step) / np.maximum(length, np.float32(1e-6))
    result: Array = behind + np.clip(share, 0, 1)[..., None] * step
    return result
