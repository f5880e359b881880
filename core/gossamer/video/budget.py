"""A frame's time: how small a model may see pictures, so that the rate is kept."""

from __future__ import annotations

import math

__all__ = ["SCALES", "Budget"]

SCALES = (1.0, 0.84, 0.71, 0.59, 0.5, 0.42, 0.35, 0.297, 0.25, 0.21, 0.177, 0.149, 0.125, 0.1)
"""Of a side: each is about 0.71 of the area before it."""

_LOOK = 3  # frames whose mean decides
_FAR = 1.5  # of the budget: two such frames decide
_STRIDE = 4  # steps at once, at most
_STEP = math.log(2) / 2  # of the logarithm of the area, a step
_FULL = 0.95  # of the budget: above it pictures become smaller
_ROOM = 0.6  # below it larger ones fit: 1.41 times the area stays under the budget
_PATIENCE = 15  # frames with room, before larger ones are tried; doubled whenever that was too much
_LONGEST = 480
_HELPS = 0.95  # of the time before: a smaller picture that saves less costs edges for nothing


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
        self._at = 0
        self._times: list[float] = []
        self._before: float | None = None  # what a frame took when it was larger
        self._patience, self._calm, self._fixed = _PATIENCE, 0, 0
        self._stride, self._tried, self._fresh = 1, False, True

    @property
    def scale(self) -> float:
        """How large the next frame is seen: 1 = as it is."""
        return self._scales[self._at]

    def spent(self, seconds: float) -> None:
        """Tell what the last frame took; the first after a change is not counted: what is new has to warm up."""
        if self._fresh:
            self._fresh = False
            return
        self._times = [*self._times[1 - _LOOK :], seconds]
        self._fixed = max(0, self._fixed - 1)
        mean = sum(self._times) / len(self._times)
        self._calm = self._calm + 1 if mean < _ROOM * self._seconds else 0
        far = len(self._times) > 1 and min(self._times) > _FAR * self._seconds
        if len(self._times) < _LOOK and not far:
            return
        if self._before is not None and mean > _HELPS * self._before:
            # The model sees pictures of one size, or what takes long is something else.
            self._move(-self._stride)
            self._fixed = _LONGEST
        elif mean > _FULL * self._seconds and self._at + 1 < len(self._scales) and not self._fixed:
            if self._tried:
                self._patience = min(2 * self._patience, _LONGEST)
            wanted = int(math.log(mean / self._seconds) / _STEP)
            self._stride = min(max(wanted, 1), _STRIDE, len(self._scales) - 1 - self._at)
            self._move(self._stride)
            self._before = mean
        elif self._calm >= self._patience and self._at > 0:
            self._move(-1)
            self._tried = True
        else:
            self._before = None
            self._tried = self._tried and self._calm < self._patience

    def _move(self, steps: int) -> None:
        self._at += steps
        self._times, self._calm, self._before, self._fresh, self._tried = [], 0, None, True, False
