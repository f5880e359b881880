"""The thumbnails of a whole batch, of one picture after the other: only what is asked of them stays in memory."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from gossamer.batch.journal import FOLDER
from gossamer.batch.report.rows import Row
from gossamer.batch.report.thumbnails import Thumbnails, forget_others, kept_thumbnails, key_of
from gossamer.files import make_folder
from gossamer.parallel.patience import patiently
from gossamer.progress import Progress

__all__ = ["gathered", "thumbnails_folder"]

T = TypeVar("T")

_NAME = "thumbnails"


@contextmanager
def thumbnails_folder(out: Path) -> Iterator[Path]:
    """Lend the folder in which a batch's thumbnails are kept; one for now alone where OUT may not be written to."""
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
        forget_others(folder, {key_of(row.source, row.output) for row in rows})
    for number, row in enumerate(rows):
        steps(number / len(rows), f"Picture {number + 1} of {len(rows)}")
        work = partial(kept_thumbnails, folder, row.source, row.output)
        # What is kept is read at once; what is not is made in a thread, so that whoever waits may leave.
        yield ask(patiently(work, steps) if not _is_kept(folder, row) else work())
    steps(1.0)


def _is_kept(folder: Path, row: Row) -> bool:
    return (folder / f"{key_of(row.source, row.output)}.json").exists()
