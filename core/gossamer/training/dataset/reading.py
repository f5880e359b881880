"""A data set from whatever holds it, looked at before anything is trained on it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gossamer.errors import InputError
from gossamer.parallel.threads import thread_count
from gossamer.paths import source_path
from gossamer.progress import Progress, ProgressCallback
from gossamer.settings.dataset import Data
from gossamer.training.dataset.checking import Inspection, inspect
from gossamer.training.dataset.coco_file import in_coco, is_coco
from gossamer.training.dataset.examples import Dataset, Example
from gossamer.training.dataset.folders import in_folder
from gossamer.training.dataset.table import TABLE, in_table

__all__ = ["check_share", "find_examples", "look_into", "read_dataset"]

_TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
_NAMED = 3  # of those that are left out, in a message
_TICK = 0.05  # seconds between two chances to cancel


def read_dataset(
    source: str | os.PathLike[str],
    settings: Data | None = None,
    progress: Progress | ProgressCallback | None = None,
) -> Dataset:
    """Read a data set: find its pictures with their truth, look at each, and leave out what cannot be used.

    Parameters
    ----------
    source : path
        A folder of pictures with masks or of cut-outs, see :func:`~gossamer.training.dataset.folders.in_folder`; a
        file of COCO's; or a table, as CSV or JSON lines, or a folder with one that is called ``data.jsonl``.
    settings : Data, optional
    progress : callable, optional
        Called as ``progress(fraction, message)``; may raise to cancel.

    Returns
    -------
    Dataset

    Raises
    ------
    InputError
        There is nothing of that kind, or more than `settings.left_out` of it cannot be used.
    """
    chosen = settings or Data()
    steps = Progress.of(progress)
    whole = look_into(find_examples(source, chosen), steps)
    check_share(whole, chosen)
    return whole


def find_examples(source: str | os.PathLike[str], settings: Data) -> Dataset:
    """Return what a data set has, unread: the same as :func:`read_dataset` without a look at the pictures."""
    path = Path(os.path.abspath(source_path(source, "data set")))
    left_out: list[tuple[str, str]] = []
    passed_over: list[tuple[str, str]] = []
    if (path / TABLE).is_file() and not settings.masks:
        path /= TABLE
    if path.is_dir():
        examples, left_out = in_folder(path, settings)
    elif not path.exists():
        raise InputError(f"{path} does not exist.", "Give a folder of pictures with masks, a COCO file or a table.")
    elif path.suffix.lower() in _TABLES or (path.suffix.lower() == ".json" and not is_coco(path)):
        examples, passed_over = in_table(path, settings)
    elif path.suffix.lower() == ".json":
        examples, passed_over = in_coco(path, settings)
    else:
        raise InputError(
            f"{path.name} is no data set.", "Give a folder of pictures with masks, a COCO file (.json) or a table."
        )
    ordered = tuple(sorted(examples, key=lambda one: one.name))
    return Dataset(ordered, tuple(left_out), passed_over=tuple(passed_over))


def look_into(found: Dataset, progress: Progress) -> Dataset:
    """Return a data set of which every picture was looked at, without what cannot be used, however much that is."""
    examples: list[Example] = []
    left_out, notes = list(found.left_out), list(found.notes)
    for seen in _inspected(found.examples, progress):
        if seen.fault:
            left_out.append((seen.example.name, seen.fault))
            continue
        examples.append(seen.example)
        notes += [(seen.example.name, note) for note in seen.notes]
    return Dataset(tuple(examples), tuple(sorted(left_out)), tuple(notes), found.passed_over)


def _inspected(examples: Sequence[Example], progress: Progress) -> Iterator[Inspection]:
    """Yield what is seen of each example, in their order, on all cores."""
    from concurrent.futures import FIRST_COMPLETED, Future, wait

    threads = thread_count()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="gossamer-data")
    waiting = iter(examples)
    running: list[Future[Inspection]] = []
    done = 0
    try:
        while True:
            # No more than a few ahead: what is looked at is held in memory meanwhile.
            while len(running) < 2 * threads and (one := next(waiting, None)) is not None:
                running.append(pool.submit(inspect, one))
            if not running:
                break
            while not running[0].done():
                wait(running[:1], timeout=_TICK, return_when=FIRST_COMPLETED)
                progress(done / max(len(examples), 1), f"Looking at the pictures: {done} of {len(examples)}")
            yield running.pop(0).result()
            done += 1
            progress(done / len(examples), f"Looking at the pictures: {done} of {len(examples)}")
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def check_share(found: Dataset, settings: Data, what: str = "pictures") -> None:
    """Raise InputError where nothing is left, or more was left out than may be."""
    faults = found.left_out
    total = len(found.examples) + len(faults)
    named = "; ".join(f"{name}: {why.rstrip('.')}" for name, why in faults[:_NAMED])
    more = f"; and {len(faults) - _NAMED} more" if len(faults) > _NAMED else ""
    inverted = sum("seems to be inverted" in why for _, why in faults)
    remedy = "See them all with gossamer dataset check, correct them, or allow more with --left-out."
    if inverted * 2 > total:
        remedy = "White seems to be the background in these masks: add --white background."
    if not found.examples:
        reason = named or next((why.rstrip(".") for _, why in found.passed_over), "no picture has a mask")
        raise InputError(f"There is nothing to learn from: {reason}{more}.", remedy)
    if len(faults) > settings.left_out / 100 * total:
        share = 100 * len(faults) / total
        raise InputError(
            f"{len(faults)} of {total} {what} ({share:.0f} %) cannot be used, more than {settings.left_out:g} %: "
            f"{named}{more}.",
            remedy,
        )
