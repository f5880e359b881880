"""How long each stage takes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Clock"]


class Clock:
    """Wall-clock seconds of each stage: ``with clock("read"): ...``; a stage within another counts for itself alone.

    Parameters
    ----------
    seconds : dict, optional
        Of the stages before, to which it adds.
    """

    def __init__(self, seconds: dict[str, float] | None = None) -> None:
        self.seconds: dict[str, float] = {} if seconds is None else seconds
        self._within = [0.0]  # of the stages around what runs: seconds of those in them

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Count the time of what is within for a stage."""
        start = time.perf_counter()
        self._within.append(0.0)
        try:
            yield
        finally:
            took = time.perf_counter() - start
            self.seconds[stage] = round(self.seconds.get(stage, 0.0) + took - self._within.pop(), 4)
            self._within[-1] += took
