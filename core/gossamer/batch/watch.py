"""A hot folder: pictures that come while the batch runs are taken as soon as they have stopped growing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from gossamer.batch.addresses import Where
from gossamer.batch.journal import Failure
from gossamer.batch.plan import Item, Plan, Planner
from gossamer.batch.sources import Unusable, find_sources
from gossamer.batch.targets import check_targets, same_name
from gossamer.errors import GossamerError, OutputExists

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
    taken: dict[Where, Stamp] = {}
    names: dict[str, Where] = {}
    growing: dict[Where, tuple[Stamp, float]] = {}
    number, looked = 0, clock() - _LOOK

    def is_known(path: Where) -> bool:
        return path in taken and _stamp(path) in (None, taken[path])

    while True:
        if clock() - looked < _LOOK:
            yield None
            continue
        looked = clock()
        try:
            found = find_sources(given, out, is_known)
        except GossamerError:  # the folder is gone, and may come back
            yield None
            continue
        for unusable in found.unusable:
            if not is_known(unusable.path) and _has_settled(unusable.path, growing, clock()):
                taken[unusable.path] = growing.pop(unusable.path)[0]
                refuse(unusable)
        for source in found.sources:
            if is_known(source.path) or not _has_settled(source.path, growing, clock()):
                continue
            taken[source.path] = growing.pop(source.path)[0]
            number += 1
            plan = Plan()
            try:
                target = planner.target(source, number)
                own = planner.names(target)
                check_targets([(name, source) for name in own], out)
                for name in own:
                    other = names.setdefault(same_name(name), source.path)
                    if other != source.path:
                        raise OutputExists(f"Its output {name} is that of {other}.", "Give it another name.")
                if (taken_name := planner.decide(source, target, plan)) is not None:
                    raise OutputExists(f"The output {taken_name} exists already.", "Give it another name.")
            except GossamerError as error:
                refuse(Unusable(source.path, source.name, Failure.of(error), is_skipped=False))
                continue
            yield from plan.items
        yield None


def _has_settled(path: Where, growing: dict[Where, tuple[Stamp, float]], now: float) -> bool:
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


def _stamp(path: Where) -> Stamp | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns
