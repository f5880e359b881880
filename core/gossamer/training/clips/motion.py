"""Smooth motion by lot: where something is in each frame, between two poses.

Stills become clips so, and clips move a little more, as in the training of Robust Video Matting (Lin et al., WACV 2022,
section 4.1): turned by up to 10°, moved by up to a tenth, 0.9 to 1.1 times as large, sheared by up to 5°, and from one
pose to the other evenly, slower at one end or at both, there and back, or in one step.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Motion", "drawn_frames", "drawn_motion", "easing"]

Matrix = NDArray[np.float64]
_ANGLE, _MOVED, _GROWN, _SHEARED = 10.0, 0.1, 0.1, 5.0
_SPEEDS = (0.5, 1.0, 2.0, 3.0, 4.0, 5.0)
_PAUSED = 0.03  # of all sequences

_EASINGS: tuple[Callable[[float], float], ...] = (
    lambda x: x,
    lambda x: x * x,
    lambda x: x * (2 - x),
    lambda x: x * x * (3 - 2 * x),
    lambda x: 0.5 - 0.5 * math.cos(2 * math.pi * x),
    lambda x: float(x >= 0.5),
)
_SHARES = (0.25, 0.15, 0.15, 0.2, 0.2, 0.05)


@dataclass(frozen=True)
class Motion:
    """A way from one pose to another.

    Attributes
    ----------
    first, last : tuple of float
        Angle in degrees, moves across and down in parts of the side, size, shears across and down in degrees.
    ease : callable
        Which part of the way is done at which part of the time.
    """

    first: tuple[float, ...]
    last: tuple[float, ...]
    ease: Callable[[float], float]

    def at(self, time: float, width: float, height: float) -> Matrix:
        """Return the pose at a time, 0 to 1, as (3, 3): what it does to points of a picture around its middle."""
        share = self.ease(time)
        angle, across, down, grown, *shears = (
            one + (other - one) * share for one, other in zip(self.first, self.last, strict=True)
        )
        turn, (lean, rise) = math.radians(angle), (math.tan(math.radians(one)) for one in shears)
        cos, sin = grown * math.cos(turn), grown * math.sin(turn)
        pose = np.array([[cos, -sin, across * width], [sin, cos, down * height], [0, 0, 1.0]])
        pose = pose @ np.array([[1, lean, 0], [rise, 1, 0], [0, 0, 1.0]])
        middle = np.array([[1, 0, width / 2], [0, 1, height / 2], [0, 0, 1.0]])
        moved: Matrix = middle @ pose @ np.linalg.inv(middle)
        return moved


def drawn_motion(lots: np.random.Generator, strength: float = 1.0) -> Motion:
    """Return a motion by lot; with a strength of 0 nothing moves."""

    def pose() -> tuple[float, ...]:
        angle, across, down, grown, lean, rise = (lots.uniform(-1, 1, 6) * strength).tolist()
        moved = across * _MOVED, down * _MOVED
        return angle * _ANGLE, *moved, 1 + grown * _GROWN, lean * _SHEARED, rise * _SHEARED

    return Motion(pose(), pose(), easing(lots))


def easing(lots: np.random.Generator) -> Callable[[float], float]:
    """Return by lot how the way from one pose to the other is gone."""
    return _EASINGS[int(lots.choice(len(_EASINGS), p=_SHARES))]


def drawn_frames(there: int, wanted: int, lots: np.random.Generator) -> list[int]:
    """Return which frames of a clip are shown, by lot: from anywhere, at another speed, either way, maybe with a pause.

    Parameters
    ----------
    there : int
        How many the clip has; a shorter one goes back and forth.
    wanted : int
    lots : Generator

    Returns
    -------
    list of int
        `wanted` numbers.
    """
    speed = float(lots.choice([one for one in _SPEEDS if one <= 1 or one * (wanted - 1) < there]))
    room = there - 1 - int((wanted - 1) * speed)
    start = int(lots.integers(max(0, room) + 1))
    frames = [_folded(start + int(place * speed), there) for place in range(wanted)]
    if lots.random() < 0.5:
        frames.reverse()
    paused, place, pause = lots.random() < _PAUSED, *lots.random(2)
    if paused and wanted > 2:
        begun = int(place * (wanted - 1))
        for one in range(begun + 1, min(wanted, begun + 2 + int(pause * (wanted - begun - 1)))):
            frames[one] = frames[begun]
    return frames


def _folded(place: int, count: int) -> int:
    """Return a place beyond the end as many places before it, and so on."""
    around = place % max(1, 2 * (count - 1))
    return min(around, max(1, 2 * (count - 1)) - around) if count > 1 else 0
