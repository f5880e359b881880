"""A hot folder: pictures that come while the batch runs are taken as soon as they have stopped growing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from gossamer.batch.journal import Failure
from gossamer.batch.plan import Item, Plan, Planner
from gossamer.batch.sources import Source, Unusable, find_sources
from gossamer.batch.targets import check_targets
from gossamer.errors import GossamerError

__all__ = ["watched"]

_LOOK = 1.0  # seconds between two looks into the folders
_SETTLED = 2.0  # seconds for which a file must not have changed

Stamp = tuple[int, int]


def watched(
    given: Iterable[str],
    out: Path,
    planner: Planner,
    refuse: Callable[[Unusable], object],
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Item | None]:
    """Yield what comes into folders, without end; None where there is nothing at present.

    Parameters
    ----------
    given : iterable of str
        What is watched: as for :func:`~gossamer.batch.sources.find_sources`.
    out : Path
    planner : Planner
        It leaves what is done.
    refuse : callable
        Told of what cannot be taken.
    clock : callable
        Seconds that go on while nobody sets the time of day.
    """
    given = list(given)
    taken: dict[Path, Stamp] = {}
    targets: list[tuple[str, Source]] = []
    growing: dict[Path, tuple[Stamp, float]] = {}
    refused: set[Path] = set()
    number, looked = 0, clock() - _LOOK
    while True:
        if clock() - looked < _LOOK:
            yield None
            continue
        looked = clock()
        try:
            found = find_sources(given, out)
        except GossamerError:  # the folder is gone, and may come back
            yield None
            continue
        for unusable in found.unusable:
            if unusable.path not in refused and _has_settled(unusable.path, growing, clock()):
                refused.add(unusable.path)
                refuse(unusable)
        for source in found.sources:
            stamp = _stamp(source.path)
            if stamp is None or taken.get(source.path) == stamp:
                continue
            if not _has_settled(source.path, growing, clock()):
                continue
            growing.pop(source.path, None)
            taken[source.path] = stamp
            number += 1
            plan = Plan()
            try:
                target = planner.target(source, number)
                pair = target, source
                targets = [each for each in targets if each[1].path != source.path]
                check_targets([*targets, pair], out)
                forbidden = planner.decide(source, target, plan)
            except GossamerError as error:
                refuse(Unusable(source.path, source.name, Failure.of(error), is_skipped=False))
                continue
            if forbidden is not None:
                message = f"The output {target} exists already."
                refuse(Unusable(source.path, source.name, Failure(message, "Give it another name."), is_skipped=False))
                continue
            targets.append(pair)
            yield from plan.items
        yield None


def _has_settled(path: Path, growing: dict[Path, tuple[Stamp, float]], now: float) -> bool:
    """Tell whether a file has been the same for long enough, and remember how it was."""
    stamp = _stamp(path)
    if stamp is None:
        growing.pop(path, None)
        return False
    before = growing.get(path)
    if before is None or before[0] != stamp:
        growing[path] = stamp, now
        return False
    return now - before[1] >= _SETTLED


def _stamp(path: Path) -> Stamp | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns
