"""Work that cannot be interrupted, with somebody waiting who may leave."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from gossamer.progress import Progress

__all__ = ["patiently"]

T = TypeVar("T")

_TICK = 0.05  # seconds between two chances to cancel


def patiently(work: Callable[[], T], progress: Progress, *, to_the_end: bool = True) -> T:
    """Run a single long call of a library in a thread, with a chance to cancel twenty times a second.

    Parameters
    ----------
    work : callable
        What takes long, in calls that leave the interpreter to others. After cancelling it runs to its end unheard, so
        give it a few seconds of work at most, and nothing that changes what somebody else sees.
    progress : Progress
        What it raises ends the waiting and passes through, as does what `work` raises.
    to_the_end : bool
        The process does not end before `work` does. OpenCV, torch and others abort it where their threads are cut off,
        so False is for work that has nothing to do with any of them.
    """
    results: list[T] = []
    errors: list[BaseException] = []
    done = threading.Event()  # not join(): Python before 3.13 takes a thread for ended whose join() was interrupted

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)
        finally:
            done.set()

    thread = threading.Thread(target=run, name="gossamer-patience", daemon=not to_the_end)
    thread.start()
    ended = False
    while not ended:
        ended = done.wait(_TICK)
        progress.tick()
    if errors:
        raise errors[0]
    return results[0]
