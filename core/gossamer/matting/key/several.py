"""A coloured screen of several colours: a floor before a wall, two rolls of cloth side by side."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.colours import screen_channel
from gossamer.matting.key.screen import AREA, Screen, find_screen, tint_apart
from gossamer.matting.signed_distance import unit_length

__all__ = ["NOISY", "find_others", "joined"]

MOST = 3  # backdrops together
PART = 0.3  # of what is left of a border that one must take
OTHER = 0.05  # how far in tint another backdrop is from those before: what differs in light alone is one
# Another's colours are averaged into where one ends: there what has its tint belongs to it as well.
ALIKE, BESIDE = 0.5 * OTHER, 60.0  # how near in tint, and units from where it is surely seen
FINE = 2.0  # units: finer things of its tint may be hair before the other
NOISY = 0.06  # a standard deviation above is no screen's
SIDES, ALONG = 2, 0.04  # sides of the picture that it reaches, and how much of each
MEETING = 2.0  # units from where two meet: pixels there may be mixed of both
MIXED = 3.0  # pixels at which a screen is looked for that are mixed there, and say nothing of either


def find_others(small: Array, first: Screen, expected: NDArray[np.bool_]) -> list[Array]:
    """Return the colours of further backdrops in the channel of a coloured one, (3,) float32 each.

    Parameters
    ----------
    small : (h, w, 3) float32
    first : Screen
        The one that was found, in all of the picture.
    expected : (h, w) bool
        Where backdrops are looked for: the picture's border, or what a mask leaves.
    """
    colours = [np.median(small[first.seen], axis=0)]
    channel = screen_channel(colours[0])
    left = expected & ~first.seen
    while channel is not None and len(colours) < MOST and left.any():
        found = find_screen(small, left)
        if found is None or found.share < PART or found.noise > NOISY or not _reaches(found.seen):
            break
        colour = np.median(small[found.seen], axis=0)
        if screen_channel(colour) == channel and all(tint_apart(colour, one) > OTHER for one in colours):
            colours.append(colour)
        left = left & ~found.seen
    return colours[1:]


def joined(small: Array, colours: list[Array]) -> Screen | None:
    """Find several backdrops of known colours; each place has that which is nearest, and where two meet both.

    Parameters
    ----------
    small : (h, w, 3) float32
    colours : list of (3,) float32
    """
    import cv2

    everywhere = np.ones(small.shape[:2], bool)
    found = [find_screen(small, everywhere, colour) for colour in colours]
    seen = [one.seen for one in found if one is not None]
    if len(seen) < len(colours):
        return None
    tints = np.stack([tint_apart(small, colour) for colour in colours])
    nearest = tints.argmin(axis=0)
    unit = unit_length(small.shape)
    square = np.ones((2 * round(FINE * unit) + 3,) * 2, np.uint8)
    away = []
    for number, one in enumerate(seen):
        its = one & (nearest == number)
        more = (nearest == number) & (one | (tints[number] < ALIKE)) & (_away(its) < BESIDE * unit)
        away.append(_away(its | (cv2.morphologyEx(more.view(np.uint8), cv2.MORPH_OPEN, square) > 0)))
    order = np.argsort(np.stack(away), axis=0, kind="stable")
    far = np.zeros(small.shape[:2], np.float32)  # from where another one is
    for number in range(len(colours)):
        far += _away(order[0] != number)
    pure = far > MIXED * max(math.sqrt(far.size / AREA), 1.0)
    own = [find_screen(small, pure & (order[0] == number), one, shaded=True) for number, one in enumerate(colours)]
    parts = [one for one in own if one is not None]
    if len(parts) < len(colours):
        return None
    fields = np.stack([one.field for one in parts])
    field = np.take_along_axis(fields, order[:1, ..., None], axis=0)[0]
    meets = far < MEETING * unit + 2
    other = np.where(meets[..., None], np.take_along_axis(fields, order[1:2, ..., None], axis=0)[0], field)
    return Screen(
        field,
        max(one.noise for one in parts),
        max(one.rough for one in parts),
        sum(float(np.count_nonzero(one.seen)) for one in parts) / everywhere.size,
        np.logical_or.reduce([one.seen for one in parts]),
        other,
    )


def _away(place: NDArray[np.bool_]) -> Array:
    """Return the distance to a place in pixels."""
    import cv2

    return np.asarray(cv2.distanceTransform((~place).astype(np.uint8), cv2.DIST_L2, 5), np.float32)


def _reaches(seen: NDArray[np.bool_]) -> bool:
    """Return whether something reaches several sides of the picture: a subject is cut off by one at most, mostly."""
    sides = seen[0], seen[-1], seen[:, 0], seen[:, -1]
    return sum(float(side.mean()) > ALONG for side in sides) >= SIDES
