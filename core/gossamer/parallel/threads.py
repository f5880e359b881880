"""The threads that this process has, and how many it may use."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

from gossamer.errors import Cancelled
from gossamer.parallel.forks import PerProcess
from gossamer.platform import core_count

__all__ = ["in_a_thread", "rest_while_waiting", "thread_count"]

_T = TypeVar("_T")

_MOST = 1000  # threads, far more than ever work: none is made while one is idle
_threads = PerProcess(lambda: ThreadPoolExecutor(_MOST, thread_name_prefix="gossamer-work"))

_CGROUPS = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")


def in_a_thread(work: Callable[[], _T]) -> Future[_T]:
    """Begin `work` in a thread of this process's own, at once; Python waits for it when the process ends.

    The threads stay. OpenCV takes a lock of its own while a thread ends, which no ``join()`` waits for before Python
    3.13: in a process that was forked in that moment whatever called OpenCV waited for that lock for ever.

    Raises
    ------
    Cancelled
        The process is ending: no thread can be had any more, and nobody waits for what it would do.
    """
    try:
        return _threads().submit(_counting_as_here(work))
    except RuntimeError as error:
        if "shutdown" not in str(error):  # Python's words for that; else the system has no more threads
            raise
        raise Cancelled from None


def _counting_as_here(work: Callable[[], _T]) -> Callable[[], _T]:
    """Return `work` with as many threads of torch's as here, where torch is there.

    Each thread has a number of its own, and one that stays keeps what it was when it first computed: which of them
    takes a training up would decide how its sums are parted, and so their last bits.
    """
    torch: Any = sys.modules.get("torch")
    if not hasattr(torch, "get_num_threads"):
        return work
    here = torch.get_num_threads()

    def counted() -> _T:
        if torch.get_num_threads() != here:
            torch.set_num_threads(here)
        return work()

    return counted


def rest_while_waiting() -> None:
    """Let OpenMP's threads, which torch computes with, sleep while they wait for each other, where nobody has chosen.

    They spin otherwise, and where others use the cores as well a thread spins in place of the one that it waits for:
    U²-Net small took 25 s on two busy cores, and 0.7 s so. It counts for what is imported from now on. For our own
    processes alone: in one that forks, libgomp's sleeping threads now and then leave the child waiting for ever.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def thread_count() -> int:
    """Return how many cores this process may use: affinity and the quotas of its cgroups are respected."""
    cores = core_count()
    for quota in _quotas_at(int(monotonic()), _CGROUPS, _MEMBERSHIP):
        cores = min(cores, round(quota))
    return max(1, cores)


@functools.lru_cache(1)
def _quotas_at(second: int, cgroups: Path, membership: Path) -> tuple[float, ...]:
    """Return the quotas, looked up once a second at most: it is asked for every time that threads are wanted."""
    return tuple(_quotas())


def _quotas() -> Iterator[float]:
    """Yield the CPU quotas, in cores, of this process's cgroups (version 1 and 2) and of those above them."""
    # Inside a container the membership may be named as the host sees it: the root is always looked at as well.
    folders = {_CGROUPS, _CGROUPS / "cpu", _CGROUPS / "cpu,cpuacct"}
    try:
        for line in _MEMBERSHIP.read_text(encoding="utf-8").splitlines():
            _, controllers, place = line.split(":", 2)
            if controllers and "cpu" not in controllers.split(","):
                continue
            root = _CGROUPS / controllers
            below = root / place.strip("/")
            folders.update(folder for folder in (below, *below.parents) if folder.is_relative_to(root))
    except (OSError, ValueError):
        pass  # not Linux
    for folder in folders:
        try:
            quota, period = (folder / "cpu.max").read_text(encoding="ascii").split()
        except (OSError, ValueError):
            try:
                quota = (folder / "cpu.cfs_quota_us").read_text(encoding="ascii").strip()
                period = (folder / "cpu.cfs_period_us").read_text(encoding="ascii").strip()
            except (OSError, ValueError):
                continue
        if quota.isdecimal() and period.isdecimal() and int(period) > 0:  # "max" and -1: no limit
            yield int(quota) / int(period)
