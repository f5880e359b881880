"""Despill: take a green or blue screen's light off the foreground."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from gossamer.arrays import Array, distances
from gossamer.errors import InputError
from gossamer.foreground.checks import check_pair

__all__ = ["despill"]

_SCREENS = {"green": (0.0, 1.0, 0.0), "blue": (0.0, 0.0, 1.0)}
_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)  # ITU-R BT.709
_SOLID = 0.998


def despill(
    foreground: ArrayLike,
    alpha: ArrayLike,
    colour: Literal["green", "blue"] | ArrayLike = "green",
    strength: float = 1.0,
    *,
    limit: Literal["average", "maximum"] = "average",
    reach: float | None = None,
) -> Array:
    """Remove the tint that a coloured screen leaves on the foreground's edges.

    The usual limit rules of keyers: the screen's channel may not exceed the average (or the maximum) of the
    other two, e.g. ``g <= (r + b) / 2``; what exceeds it is spill and is replaced by grey of the same luminance
    (BT.709), so that edges neither darken nor glow.

    Parameters
    ----------
    foreground : (H, W, 3) array-like
        Straight colours in [0, 1], e.g. what :func:`estimate_foreground` gives.
    alpha : (H, W) array-like
        1 where the foreground is.
    colour : {"green", "blue"} or (r, g, b)
        The screen's colour. For a colour of your own, spill is what the pixel's colour has of the screen's
        hue, which for pure green is the average rule.
    strength : float
        0 leaves everything as it is, 1 removes all spill.
    limit : {"average", "maximum"}
        What the screen's channel is limited to. The maximum is gentler (it keeps yellows and cyans); it needs a
        screen of one channel.
    reach : float, optional
        How many pixels into the solid subject spill is removed, fading out; soft pixels are always treated in
        full. Default: 2 % of the diagonal. ``math.inf`` treats the whole subject alike.

    Returns
    -------
    (H, W, 3) float32
        Colours in [0, 1]; pixels without spill, and solid ones out of reach, are unchanged.

    Raises
    ------
    InputError
        A wrong shape, size or range, a colour without hue, `strength` outside [0, 1], a negative `reach`, or
        the maximum rule with a mixed colour.
    """
    colours, matte = check_pair(foreground, alpha)
    screen = _screen(colour)
    if not 0.0 <= strength <= 1.0:
        raise InputError(f"The strength cannot be {strength!r}.", "Give a number from 0 to 1.")
    if reach is None:
        reach = 0.02 * float(np.hypot(*matte.shape))
    if not reach >= 0:
        raise InputError(f"The reach cannot be {reach!r}.", "Give a number of pixels, 0 or more.")
    hue = screen - screen.mean()
    hue /= hue @ hue
    if limit == "average":
        # For green: g - (r + b) / 2. Taking it off along the hue leaves the pixel with none of it.
        spill = colours @ hue
        away = hue / (hue @ hue)
    elif limit == "maximum":
        if np.count_nonzero(screen) != 1:
            raise InputError("The maximum rule needs a screen of one channel.", "Take the average rule.")
        channel = int(np.argmax(screen))
        others = [index for index in range(3) if index != channel]
        spill = colours[:, :, channel] - np.maximum(colours[:, :, others[0]], colours[:, :, others[1]])
        away = (screen > 0).astype(np.float32)
    else:
        raise InputError(f"There is no limit {limit!r}.", "Take average or maximum.")
    spill = np.maximum(spill, 0) * _nearness(matte, reach) * np.float32(strength)
    # Grey of the lost luminance; not so much that a channel would leave [0, 1].
    result: Array = colours - spill[:, :, None] * away
    grey = np.minimum(spill * float(away @ _LUMA), np.maximum(1 - result.max(2), 0))
    result += grey[:, :, None]
    np.clip(result, 0, 1, out=result)
    return result


def _screen(colour: object) -> Array:
    """Return the screen's colour as (3,) float32 with some hue, its largest channel 1."""
    named = _SCREENS.get(colour) if isinstance(colour, str) else colour
    try:
        screen = np.asarray(named, dtype=np.float32)
    except (TypeError, ValueError):
        screen = np.empty(0, np.float32)
    if screen.shape != (3,) or not np.isfinite(screen).all() or screen.min() < 0:
        raise InputError(f"{colour!r} is no screen colour.", "Give green, blue or three numbers from 0 to 1.")
    if screen.max() - screen.min() <= 0.01 * screen.max():
        raise InputError(f"The screen colour {colour!r} is a grey.", "Give a colour with some hue.")
    largest: Array = screen / screen.max()
    return largest


def _nearness(alpha: Array, reach: float) -> Array:
    """Return 1 in soft pixels, falling to 0 over `reach` pixels into the solid foreground."""
    if np.isinf(reach):
        return np.ones_like(alpha)
    solid = alpha >= _SOLID
    if solid.all():
        return np.zeros_like(alpha)
    near: Array = np.clip(1 - distances(solid) / np.float32(reach + 1), 0, 1).astype(np.float32)
    return near
