"""What stands before a coloured screen and has a green of its own: told from glass and smoke by how its light varies.

A leaf before a green screen and brown glass there can have the same colour. But where light falls unevenly on something
opaque its colours grow darker and brighter together: they lie on a line through black. Where something lets more or
less of a screen through they lie on a line through the screen's colour. Where nothing varies, nothing is told.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array

__all__ = ["shaded"]

CALM = 1.0  # sigma in pixels of the blur before colours are compared
CELLS = 48  # to a side of the table of tints
SAME = 0.05  # of its brightness: what a colour may be off its thing's tint
EXACT, NOISY = 0.012, 2.0  # what they may be off on average: of their brightness, and standard deviations of noise
LIKELIER = 4.0  # times nearer must the line through black be than the one through the screen's colour
FAINTEST = 0.2  # alpha of what is looked at
ROOM = 0.04  # what colours and screens may be off
VIVID = 0.35  # of the strongest channel, the weakest of a colour that is neither glass nor smoke
UNKNOWN = 0.05  # of its brightness: what a screen may be off where it is hidden
ELSEWHERE = 0.15  # of its brightness: how far that colour is from all of the subject
SAMPLE = 4000  # of its pixels that are looked at
OWN = 0.08  # of its brightness: how far a thing's tint must be from that of any screen
FEWEST = 2  # discs that are left of the things of one tint without their edges
MOST = 6  # tints in a picture
WIDE = 6  # discs that something takes at least
SIDES, ALONG = 2, 0.04  # sides of the picture that a thing does not reach, and how much of each: screens do


def shaded(
    small: Array,
    field: Array,
    where: NDArray[np.bool_],
    opaque: NDArray[np.bool_],
    noise: float,
    disc: NDArray[np.uint8],
    channel: int,
) -> NDArray[np.bool_]:
    """Return which of the places through which a screen seems to shine are opaque things in uneven light.

    Parameters
    ----------
    small : (h, w, 3) float32
        The picture.
    field : (h, w, 3) float32
        The screen behind it.
    where : (h, w) bool
        The places that are asked about.
    opaque : (h, w) bool
        What is known to be subject, whose colours may show faintly elsewhere: in its hair, or where it moves.
    noise : float
        Standard deviation of the picture's colours.
    disc : (n, n) uint8
        What is narrower says nothing.
    channel : int
        The screen's.
    """
    import cv2

    result, least = np.zeros(where.shape, bool), WIDE * int(np.count_nonzero(disc))
    calm = np.asarray(cv2.GaussianBlur(small, (0, 0), CALM), np.float32)
    noise = noise / (2 * np.sqrt(np.pi) * CALM)
    screens, subject = _tints(field[::8, ::8].reshape(-1, 3)), _sample(_tints(calm[opaque]))
    left = where.copy()
    for _ in range(MOST):
        if np.count_nonzero(left) < least:
            break
        tint = _most_frequent(calm[left])
        own = left & (_off(calm, tint) < SAME + 3 * noise / np.maximum(_length(calm), 1e-3))
        left &= ~own
        # What is narrow may be a strip of something that fades out, where its colours happen to be alike.
        own = cv2.morphologyEx(own.astype(np.uint8), cv2.MORPH_OPEN, disc) > 0
        if np.linalg.norm(screens - tint, axis=1).min() < OWN or _reaches(own):
            continue
        inner = cv2.erode(own.astype(np.uint8), disc) > 0  # at its edge it is mixed with what is beside it
        if np.count_nonzero(inner) < FEWEST * np.count_nonzero(disc):
            continue
        for thing in _things(own, least):
            inside = inner & thing
            if inside.any() and _is_shaded(calm[inside], field[inside], subject, noise, channel):
                result |= thing
    return result


def _things(own: NDArray[np.bool_], least: int) -> Iterator[NDArray[np.bool_]]:
    """Yield the larger of the parts that places fall into."""
    import cv2

    _, labels = cv2.connectedComponents(own.astype(np.uint8), connectivity=8, ltype=cv2.CV_32S)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0  # what is no thing
    for number in np.flatnonzero(sizes >= least):
        yield labels == number


def _is_shaded(colours: Array, behind: Array, subject: Array, noise: float, channel: int) -> bool:
    """Tell whether colours (N, 3) lie on a line through black rather than on one through what is behind them."""
    through_black = _rest(colours)
    if through_black > (NOISY * noise) ** 2 + (EXACT * float(_length(colours).mean())) ** 2:
        return False
    # Where a screen is hidden it is known less exactly, and must not be what varies.
    through_screen = min(_rest(colours - behind), _rest(colours - behind.mean(axis=0)))
    known = (UNKNOWN * float(np.linalg.norm(behind.mean(axis=0)))) ** 2
    if through_screen > max(LIKELIER * through_black, known):
        return True
    return _is_vivid(colours.mean(axis=0), behind.mean(axis=0), subject, channel)


def _is_vivid(colour: Array, behind: Array, subject: Array, channel: int) -> bool:
    """Tell whether what lets so much of a screen through would be of no colour, or of one that nothing here has."""
    others = [one for one in range(3) if one != channel]
    excess = [float(one[channel] - one[others].max()) for one in (colour, behind)]
    alpha = max(1 - max(excess[0], 0.0) / max(excess[1], 0.02), 0.02)
    own, room = behind + (colour - behind) / alpha, ROOM / alpha
    if own.min() < -room or own.max() > 1 + room:
        return True
    if alpha < FAINTEST or float(own.min()) > VIVID * float(own.max()):
        return False
    return not len(subject) or float(np.linalg.norm(subject - _tints(own), axis=1).min()) > ELSEWHERE


def _rest(lines: Array) -> float:
    """Return the mean square of what the best line through the origin leaves of (N, 3) vectors."""
    moments = lines.T.astype(np.float64) @ lines / len(lines)
    values = np.linalg.eigvalsh(moments)
    return float(values[:2].sum())


def _most_frequent(colours: Array) -> Array:
    """Return the most frequent tint of (N, 3) colours, a vector of length 1."""
    share = colours / np.maximum(colours.sum(axis=1, keepdims=True), np.float32(1e-3))
    cells = np.clip((share[:, :2] * CELLS).astype(np.intp), 0, CELLS - 1)
    count = np.bincount(cells[:, 0] * CELLS + cells[:, 1], minlength=CELLS * CELLS).reshape(CELLS, CELLS)
    padded = np.pad(count, 1)
    summed = np.sum([padded[y : y + CELLS, x : x + CELLS] for y in range(3) for x in range(3)], axis=0)
    red, green = np.unravel_index(int(np.argmax(summed)), summed.shape)
    near = (np.abs(cells - [red, green]) <= 1).all(axis=1)
    result: Array = _tints(colours[near].mean(axis=0, keepdims=True))[0]
    return result


def _tints(colours: Array) -> Array:
    result: Array = colours / np.maximum(np.linalg.norm(colours, axis=-1, keepdims=True), np.float32(1e-3))
    return result


def _sample(colours: Array) -> Array:
    return colours[:: max(len(colours) // SAMPLE, 1)]


def _length(colours: Array) -> Array:
    result: Array = np.sqrt(np.einsum("...i,...i->...", colours, colours))
    return result


def _off(colours: Array, tint: Array) -> Array:
    """Return how far colours are off the line through black of a tint, of their brightness."""
    along = np.asarray(colours @ tint, np.float32)
    rest = _length(colours - along[..., None] * tint)
    result: Array = rest / np.maximum(along, np.float32(1e-3))
    return result


def _reaches(seen: NDArray[np.bool_]) -> bool:
    sides = seen[0], seen[-1], seen[:, 0], seen[:, -1]
    return sum(float(side.mean()) > ALONG for side in sides) >= SIDES
