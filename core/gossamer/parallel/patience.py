"""Work that cannot be interrupted, with somebody waiting who may leave."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from gossamer.errors import Cancelled
from gossamer.parallel.threads import in_a_thread
from gossamer.progress import Progress

__all__ = ["Begun", "patiently", "while_waited_for"]

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


def while_waited_for(work: Callable[[Callable[[float], None]], T], progress: Progress) -> T:
    """Do as :func:`patiently`, for work that asks between its parts whether somebody waits still.

    Parameters
    ----------
    work : callable
        Called with ``reached(fraction)``, which it calls in whichever threads it has: the fraction, 0 to 1, is told to
        `progress` by the thread that waits, and once that has left the call raises Cancelled, so that the work ends.
    progress : Progress
        As for :func:`patiently`.
    """
    latest, left = [0.0], threading.Event()

    def reached(fraction: float) -> None:
        latest[0] = max(latest[0], fraction)
        if left.is_set():
            raise Cancelled

    begun = Begun(lambda: work(reached))
    try:
        return begun.result(progress, lambda: progress(latest[0]))
    except BaseException:
        left.set()
        raise


class Begun(Generic[T]):
    """Work that goes on in another thread: several can be begun before the result of the first is asked for.

    Parameters
    ----------
    work : callable
        As for :func:`patiently`.
    """

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._results: list[T] = []
        self._errors: list[BaseException] = []
        self._done = threading.Event()
        context = contextvars.copy_context()  # what is set for this thread, such as a limit on pixels, holds there too
        in_a_thread(lambda: context.run(self._run))

    def result(self, progress: Progress, tell: Callable[[], object] | None = None) -> T:
        """Wait for the result, with a chance to cancel twenty times a second; raises what the work raised.

        Parameters
        ----------
        progress : Progress
        tell : callable, optional
            Called instead of its ``tick()``.
        """
        ended = False
        while not ended:
            ended = self._done.wait(_TICK)
            (tell or progress.tick)()
        if self._errors:
            raise self._errors[0]
        return self._results[0]

    def end(self) -> None:
        """Wait until it has ended, whatever came of it: for what is short, and would else go on after a cancel."""
        self._done.wait()

    def _run(self) -> None:
        try:
            self._results.append(self._work())
        except BaseException as error:
            self._errors.append(error)
        finally:
            self._done.set()
