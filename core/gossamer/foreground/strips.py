"""Work in strips of rows on every core, with progress and cancelling."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from gossamer.progress import Progress

__all__ = ["in_strips"]

_TICK = 0.05  # seconds between two chances to cancel


def in_strips(work: Callable[[int, int], object], height: int, rows: int, progress: Progress) -> None:
    """Call ``work(top, bottom)`` for strips of `rows` rows that cover `height`, on as many threads as cores.

    Parameters
    ----------
    work : callable
        Must run without the GIL for this to be of use, and write nothing that another strip writes.
    height, rows : int
        The strips depend on these alone, never on the number of cores: nor does the result.
    progress : Progress
        Reported to at least every twentieth of a second; whatever it raises ends the work and passes through.
    """
    tops = range(0, height, rows)
    workers = min(len(tops), _cores())
    with ThreadPoolExecutor(max(1, workers), thread_name_prefix="gossamer-strip") as pool:
        pending: set[Future[object]] = {pool.submit(work, top, min(height, top + rows)) for top in tops}
        try:
            while pending:
                done, pending = wait(pending, timeout=_TICK, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
                progress(1.0 - len(pending) / len(tops))
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1
