"""Work that cannot be interrupted, with somebody waiting who may leave."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from gossamer.progress import Progress

__all__ = ["Begun", "patiently"]

T = TypeVar("T")

_TICK = 0.05  # seconds between two chances to cancel


def patiently(work: Callable[[], T], progress: Progress) -> T:
    """Run a single long call of a library in a thread, with a chance to cancel twenty times a second.

    Parameters
    ----------
    work : callable
        What takes long, in calls that leave the interpreter to others. After cancelling it runs to its end unheard, so
        give it a few seconds of work at most, and nothing that changes what somebody else sees. The process does not
        end before it does: OpenCV, torch and others abort one where their threads are cut off.
    progress : Progress
        What it raises ends the waiting and passes through, as does what `work` raises.
    """
    return Begun(work).result(progress)


class Begun(Generic[T]):
    """Work that goes on in a thread of its own: several can be begun before the result of the first is asked for.

    Parameters
    ----------
    work : callable
        As for :func:`patiently`.
    """

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._results: list[T] = []
        self._errors: list[BaseException] = []
        # Not join(): Python before 3.13 takes a thread for ended whose join() was interrupted.
        self._done = threading.Event()
        threading.Thread(target=self._run, name="gossamer-patience", daemon=False).start()

    def result(self, progress: Progress) -> T:
        """Wait for the result, with a chance to cancel twenty times a second; raises what the work raised."""
        ended = False
        while not ended:
            ended = self._done.wait(_TICK)
            progress.tick()
        if self._errors:
            raise self._errors[0]
        return self._results[0]

    def _run(self) -> None:
        try:
            self._results.append(self._work())
        except BaseException as error:
            self._errors.append(error)
        finally:
            self._done.set()
