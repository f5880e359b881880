"""The thumbnails of a whole batch, of a few pictures at a time: only what is asked of them stays in memory."""

from __future__ import annotations

import os
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from itertools import islice
from pathlib import Path
from threading import Event
from typing import TypeVar

from gossamer.batch.journal import FOLDER
from gossamer.batch.report.rows import Row
from gossamer.batch.report.thumbnails import Thumbnails, forget_others, kept_thumbnails, key_of
from gossamer.errors import Cancelled
from gossamer.files import make_folder
from gossamer.parallel.patience import Begun
from gossamer.parallel.threads import thread_count
from gossamer.progress import Progress

__all__ = ["gathered", "thumbnails_folder"]

T = TypeVar("T")

_NAME = "thumbnails"
_TOGETHER = 4  # pictures at a time, at most: a large one takes some hundred megabytes


@contextmanager
def thumbnails_folder(out: Path) -> Iterator[Path]:
    """Lend the folder in which a batch's thumbnails are kept; one for now alone where that may not be written to.

    Parameters
    ----------
    out : Path
        Where the batch's journal lies.
    """
    kept = out / FOLDER / _NAME
    with suppress(OSError):
        make_folder(kept)
    if os.access(kept, os.W_OK | os.X_OK):
        yield kept
        return
    with tempfile.TemporaryDirectory(prefix="gossamer-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def gathered(
    folder: Path, rows: Sequence[Row], ask: Callable[[Thumbnails], T], steps: Progress, *, sweep: bool = False
) -> Iterator[T]:
    """Ask something of the thumbnails of each row; those that are not kept yet are made.

    Parameters
    ----------
    folder : Path
        Where they are kept.
    rows : sequence of Row
    ask : callable
        What is wanted of each.
    steps : Progress
        May raise to cancel, within a twentieth of a second.
    sweep : bool
        Remove what is kept of other pictures: of those that were changed since, and of those that are no more.
    """
    if sweep:
        forget_others(folder, {key_of(row.source, row.output, row.shadow) for row in rows})
    begun: deque[Begun[Thumbnails]] = deque()
    waiting, together = iter(rows), min(thread_count(), _TOGETHER)
    left = Event()

    def go_on() -> None:
        if left.is_set():
            raise Cancelled

    try:
        for number in range(len(rows)):
            for row in islice(waiting, together - len(begun)):
                # To their ends, as OpenCV aborts the process where its threads are cut off: which is at the next step.
                work = partial(kept_thumbnails, folder, row.source, row.output, go_on, row.shadow)
                begun.append(Begun(work))
            steps(number / len(rows), f"Picture {number + 1} of {len(rows)}")
            yield ask(begun.popleft().result(steps))
        steps(1.0)
    finally:
        left.set()
