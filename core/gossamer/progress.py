"""Progress and cancelling: one callable, passed down, that may raise to stop the work."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from gossamer.arguments import check_call

__all__ = ["Progress", "ProgressCallback"]

ProgressCallback: TypeAlias = Callable[[float, str], object]
"""Called as ``callback(fraction, message)``: fraction of the whole job in [0, 1] and what is being done.

It is called at least ten times a second during long stages, also without progress, so that it can raise
:class:`gossamer.Cancelled` (or any exception of the host's) to stop the work.
"""


class Progress:
    """A callback together with the part of the job that it stands for.

    Parameters
    ----------
    callback : callable or None
        See :data:`ProgressCallback`; None reports to nobody.
    start, end : float
        The part of the whole job, in [0, 1], that fractions 0 to 1 given to this object cover.
    """

    def __init__(self, callback: ProgressCallback | None = None, start: float = 0.0, end: float = 1.0) -> None:
        self._callback = callback
        self._start = start
        self._end = end
        self._message = ""
        self._latest = [(start, "")]  # of the whole job, shared with its parts

    @classmethod
    def of(cls, progress: Progress | ProgressCallback | None) -> Progress:
        """Return `progress` as a Progress, whatever of the three it is; raises InputError where it is none of them."""
        if isinstance(progress, Progress):
            return progress
        check_call(progress, "progress", "progress(fraction, message)")
        return cls(progress)

    def __call__(self, fraction: float, message: str = "") -> None:
        """Report `fraction` (0 to 1, of this part); may raise to cancel."""
        fraction = min(max(fraction, 0.0), 1.0)
        self._message = message or self._message
        self._latest[0] = self._start + (self._end - self._start) * fraction, self._message
        if self._callback is not None:
            self._callback(*self._latest[0])

    def tick(self) -> None:
        """Report the job's last state again, whichever part it is from: a chance to cancel where there is no news."""
        if self._callback is not None:
            self._callback(*self._latest[0])

    def part(self, start: float, end: float) -> Progress:
        """Return a Progress for the part from `start` to `end` (0 to 1) of this one."""
        span = self._end - self._start
        part = Progress(self._callback, self._start + span * start, self._start + span * end)
        part._message, part._latest = self._message, self._latest
        return part
