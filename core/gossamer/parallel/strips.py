"""Work in strips on every core, with progress and cancelling."""

from __future__ import annotations

import threading
from collections.abc import Callable, Set
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from types import TracebackType

from gossamer.parallel.threads import in_a_thread, thread_count
from gossamer.progress import Progress

__all__ = ["Strips"]

_TICK = 0.05  # seconds between two chances to cancel


class Strips:
    """Threads that share out rows, or anything else that is counted; use it in a ``with``.

    Parameters
    ----------
    threads : int, optional
        How many: as many as this process may use cores.
    """

    def __init__(self, threads: int | None = None) -> None:
        self._threads = threads or thread_count()
        self._crew: list[Future[None]] = []

    def __enter__(self) -> Strips:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        wait(self._crew)

    def each(self, work: Callable[[int, int], object], count: int, size: int, progress: Progress) -> None:
        """Call ``work(start, end)`` for strips of `size` that cover `count`, and return when all are done.

        Parameters
        ----------
        work : callable
            Must run without the GIL for threads to be of use, and write nothing that another strip uses.
        count, size : int
            Strips depend on these alone, never on the number of cores: nor does the result.
        progress : Progress
            Called at least every twentieth of a second; what it raises ends the work and passes through.
        """
        if count <= size:
            if count > 0:
                work(0, count)
            progress(1.0)
            return
        starts = range(0, count, size)
        waiting, done = iter(starts), []
        stop, turn = threading.Event(), threading.Lock()

        def drain() -> None:
            while not stop.is_set():
                with turn:
                    start = next(waiting, None)
                if start is None:
                    return
                work(start, min(count, start + size))
                done.append(start)

        self._crew = crew = [in_a_thread(drain) for _ in range(min(self._threads, len(starts)))]
        try:
            pending: Set[Future[None]] = set(crew)
            while pending:
                ended, pending = wait(crew, timeout=_TICK, return_when=FIRST_EXCEPTION)
                for future in ended:
                    future.result()
                progress(len(done) / len(starts))
        except BaseException:
            stop.set()
            wait(crew)
            raise
