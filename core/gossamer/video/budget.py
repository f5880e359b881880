"""A frame's time: how small a model may see pictures, so that the rate is kept."""

from __future__ import annotations

import math
from collections import deque
from statistics import median

__all__ = ["SCALES", "Budget"]

SCALES = (1.0, 0.84, 0.71, 0.59, 0.5, 0.42, 0.35, 0.297, 0.25, 0.21, 0.177, 0.149, 0.125, 0.1)
"""Of a side: each is about 0.71 of the area before it."""

_SURE = 15  # frames, the last ones, whose median decides: what else the machine does makes single ones late at any size
_LOOK = 5  # that many at least
_CLEAR = 3  # fewer do where all of them say the same
_STEADY = 1.1  # times that differ by no more tell by so few that a smaller size is no gain
_FAR = 1.5  # of the budget: two such frames decide
_STRIDE = 4  # steps at once, at most
_CLIMB = 2  # of them back
_STEP = math.log(2) / 2  # of the logarithm of the area, a step
_FULL = 0.95  # of the budget: above it pictures become smaller
_ROOM = 0.85  # of the budget: what the next larger size is expected to take where it fits
_GROWTH = (1.1, math.sqrt(2))  # of the time, a step: that much at least, and what is expected where nothing is known
_PATIENCE = 15  # frames with room, before larger ones are tried; doubled whenever that was soon too much
_SOON = 4  # times the patience
_LONGEST = 480
_TICK = 1e-6  # seconds: no frame takes none
_SAVED = 0.05, 0.15  # of the time, a step, and at most: smaller pictures that save less cost edges for nothing
_VAIN = (120.0, 10.0)  # seconds of work until smaller ones are tried again: where that was clear, and where times sway


class Budget:
    """Chooses the scale of frames from the time that they took.

    It knows no clock: whoever works tells how long it took.

    Parameters
    ----------
    seconds : float
        What a frame may take; infinite: everything is seen at full size.
    smallest : float
        The smallest scale of a side, in (0, 1].

    Attributes
    ----------
    scale : float
        Of the next frame.
    """

    def __init__(self, seconds: float, smallest: float = 0.25) -> None:
        self._seconds = seconds
        self._scales = tuple(scale for scale in SCALES if scale >= smallest) or (1.0,)
        self._at, self._stride, self._climb = 0, 1, 1
        self._times: deque[float] = deque(maxlen=_SURE)  # at this scale
        self._fresh, self._held, self._calm = True, 0, 0
        self._larger: float | None = None  # what a frame took at the scale before, until it is known whether this helps
        self._smaller: float | None = None  # what one took at the scale that was left for this one
        self._growth = _GROWTH[1]
        self._returned: float | None = None  # what a frame took at the smaller scale that was no gain
        self._patience, self._fixed, self._proved = _PATIENCE, 0.0, 0.0
        self._tried = False  # whether this scale is tried as there seemed to be room for it

    @property
    def scale(self) -> float:
        """How large the next frame is seen: 1 = as it is."""
        return self._scales[self._at]

    def spent(self, seconds: float) -> None:
        """Tell what the last frame took; the first after a change is not counted: what is new has to warm up."""
        if self._fresh:
            self._fresh = False
            return
        self._times.append(max(seconds, _TICK))
        self._held += 1
        self._fixed, self._proved = max(0.0, self._fixed - seconds), max(0.0, self._proved - seconds)
        usual = median(self._times)
        self._calm = self._calm + 1 if usual * self._growth < _ROOM * self._seconds else 0
        is_clear = self._all_above(_CLEAR, _FULL) or self._all_above(2, _FAR)
        over = is_clear or usual > _FULL * self._seconds
        if self._larger is not None and over:
            helped = self._helped(self._larger)
            if helped is None:
                return
            if not helped:
                self._move(-self._stride)
                self._returned = usual
                return
        self._larger = None
        if len(self._times) < _LOOK and not is_clear:
            return
        if self._returned is not None:
            if self._returned < self._enough(usual):  # others came meanwhile, and it was a gain
                self._fixed = 0.0
            self._returned = None
        if self._smaller is not None:
            found = (usual / self._smaller) ** (1 / self._climb)
            self._growth = min(max(found, _GROWTH[0]), _GROWTH[1])
            self._smaller, self._calm = None, 0
        if over and self._at + 1 < len(self._scales) and not self._fixed:
            self._shrink(max(usual, self._times[-1]) if is_clear else usual)
        elif over and self._at > 0 and self._held > 2 * _SURE and not self._proved:
            self._prove(usual)
        elif self._calm >= self._patience and self._at > 0:
            self._enlarge(usual)

    def _all_above(self, count: int, part: float) -> bool:
        return len(self._times) >= count and min(list(self._times)[-count:]) > part * self._seconds

    def _helped(self, before: float) -> bool | None:
        """Return whether frames take less time than at the larger size; None: that cannot be told yet."""
        enough = self._enough(before)
        if max(self._times) < enough:
            return True
        if len(self._times) >= _CLEAR and enough < min(self._times) > max(self._times) / _STEADY:
            # The model sees pictures of one size, or what takes long is something else.
            self._fixed = _VAIN[0]
            return False
        if len(self._times) < _SURE:
            return None
        helped = median(self._times) < enough
        self._fixed = 0.0 if helped else _VAIN[1]
        return helped

    def _enough(self, larger: float) -> float:
        """Return what frames take at most, where the smaller size is a gain over a larger one."""
        return (1 - min(_SAVED[0] * self._stride, _SAVED[1])) * larger

    def _shrink(self, usual: float) -> None:
        if not self._tried or self._held > _SOON * self._patience:
            self._patience = _PATIENCE
        else:
            self._patience = min(2 * self._patience, _LONGEST)
        self._growth = _GROWTH[1]
        wanted = int(math.log(usual / self._seconds) / _STEP)
        self._stride = min(max(wanted, 1), _STRIDE, len(self._scales) - 1 - self._at)
        self._move(self._stride)
        self._larger = usual

    def _enlarge(self, usual: float) -> None:
        fits = int(math.log(_ROOM * self._seconds / usual) / math.log(self._growth))
        self._climb = min(max(fits, 1), _CLIMB, self._at)
        self._move(-self._climb)
        self._smaller, self._tried = usual, True

    def _prove(self, usual: float) -> None:
        """See some at full size: the rate is not kept at a smaller one, which may never have been a gain."""
        self._fixed = self._proved = _VAIN[0]
        self._stride = self._at
        self._move(-self._at)
        self._returned = usual

    def _move(self, steps: int) -> None:
        self._at += steps
        self._times.clear()
        self._fresh, self._held, self._calm = True, 0, 0
        self._larger, self._smaller, self._returned, self._tried = None, None, None, False
