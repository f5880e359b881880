"""How much memory this process may still take, and giving back what is free."""

from __future__ import annotations

import ctypes
import functools
import mmap
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

__all__ = [
    "addresses_left",
    "available_memory",
    "bring_in",
    "physical_memory",
    "resident_memory",
    "return_memory",
    "share_heaps",
]

_CGROUPS = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")
_MEMINFO = Path("/proc/meminfo")
_UNLIMITED = 1 << 60  # version 1 writes a number near 2^63 for no limit


def available_memory() -> int | None:
    """Return the bytes that this process can still take: of the machine's memory, and of all limits set for it.

    Returns
    -------
    int or None
        None where the system does not tell.
    """
    left = [room for room in (_of_the_machine(), *_of_containers(), addresses_left()) if room is not None]
    return max(min(left), 0) if left else None


def addresses_left() -> int | None:
    """Return the bytes that the limits on this process's own addresses (``ulimit -v`` and ``-d``) leave it.

    A library takes far more of them than it uses of the memory: threads' stacks, room for buffers. Many know no other
    answer to having none left than to end the process.

    Returns
    -------
    int or None
        None where there is no limit, and where the system has none (macOS takes note of it, but does not enforce it;
        Windows has other ways).
    """
    if sys.platform != "linux":
        return None
    import resource

    left = []
    # Pages, <proc(5)>: size, resident, shared, text, lib, data. Of each kind the one that its limit counts.
    for kind, field in ((resource.RLIMIT_AS, 0), (resource.RLIMIT_DATA, 5)):
        most, _ = resource.getrlimit(kind)
        if most != resource.RLIM_INFINITY and (used := _pages(field)) is not None:
            left.append(max(most - used, 0))
    return min(left, default=None)


def bring_in(mapped: mmap.mmap) -> None:
    """Bring a mapped file into memory now, where the system can be asked to: else its pages come one by one in use."""
    populate = getattr(mmap, "MADV_POPULATE_READ", _MADV_POPULATE_READ) if sys.platform == "linux" else None
    with suppress(OSError, ValueError):  # a Linux before 5.14
        if populate is not None:
            mapped.madvise(populate)
        elif hasattr(mmap, "MADV_WILLNEED"):
            mapped.madvise(mmap.MADV_WILLNEED)


def return_memory() -> None:
    """Return the C library's free memory to the system, where the library is one that keeps it (glibc).

    What a network frees lies between what it keeps, so glibc holds on to all of it: 220 MB after U²-Net small, while
    the stages that come next ask the system for more.
    """
    if (trim := _of_the_c_library("malloc_trim")) is not None:
        trim(0)


def share_heaps() -> None:
    """Let all threads of this process take memory from two heaps, where the C library is one that makes more (glibc).

    It makes up to eight for each core, and each keeps what its threads gave back: after 120 different pictures of one
    megapixel a process held 440 MB with them and 330 MB so, the most was 570 to 610 and 435 MB, in the same time. For
    our own processes alone, before they start a thread: later it counts no more. Who chose (``MALLOC_ARENA_MAX``,
    ``GLIBC_TUNABLES``) is heard.
    """
    if "MALLOC_ARENA_MAX" in os.environ or "glibc.malloc.arena_max" in os.environ.get("GLIBC_TUNABLES", ""):
        return
    if (option := _of_the_c_library("mallopt")) is not None:
        option(_M_ARENA_MAX, 2)


_M_ARENA_MAX = -8  # malloc.h
_MADV_POPULATE_READ = 22  # mman.h


@functools.cache
def _of_the_c_library(name: str) -> Callable[..., int] | None:
    """Return a function of glibc's; None where the C library is another, as musl is, macOS's and Windows's."""
    try:
        function: Callable[..., int] = getattr(ctypes.CDLL(None), name)
    except (OSError, TypeError, AttributeError):  # no glibc; on Windows CDLL(None) is a TypeError
        return None
    return function


def _of_the_machine() -> int | None:
    try:
        for line in _MEMINFO.read_text(encoding="ascii").splitlines():
            name, _, value = line.partition(":")
            if name == "MemAvailable":
                return int(value.split()[0]) * 1024
    except (OSError, ValueError, IndexError):
        pass  # not Linux
    if sys.platform == "win32":
        return _of_windows()
    try:  # macOS compresses and swaps what others hold: all that is built in counts
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError, AttributeError):
        return None


def _of_windows() -> int | None:
    class Status(ctypes.Structure):
        _fields_ = (
            ("length", ctypes.c_uint32),
            ("load", ctypes.c_uint32),
            *((name, ctypes.c_uint64) for name in ("total", "free", "total_page", "free_page", "total_virtual")),
            *((name, ctypes.c_uint64) for name in ("free_virtual", "free_extended")),
        )

    status = Status(length=ctypes.sizeof(Status))
    library = getattr(ctypes, "windll", None)
    if library is None or not library.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
        return None
    return int(min(status.free, status.free_page))


def _of_containers() -> Iterator[int]:
    """Yield what the memory limits of this process's cgroups (version 1 and 2), and of those above, leave it."""
    # Inside a container the membership may be named as the host sees it: the root is always looked at as well.
    folders = {_CGROUPS, _CGROUPS / "memory"}
    try:
        for line in _MEMBERSHIP.read_text(encoding="utf-8").splitlines():
            _, controllers, place = line.split(":", 2)
            if controllers and "memory" not in controllers.split(","):
                continue
            root = _CGROUPS / controllers
            below = root / place.strip("/")
            folders.update(folder for folder in (below, *below.parents) if folder.is_relative_to(root))
    except (OSError, ValueError):
        pass  # not Linux
    for folder in folders:
        for limit, usage, cache in (
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ):
            most, used = _number(folder / limit), _number(folder / usage)
            if most is not None and used is not None and most < _UNLIMITED:
                # Files that were read count as used, but make room when it is needed.
                yield most - used + (_statistic(folder / "memory.stat", cache) or 0)


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):  # no such limit; "max"
        return None


def _statistic(path: Path, name: str) -> int | None:
    try:
        for line in path.read_text(encoding="ascii").splitlines():
            key, _, value = line.partition(" ")
            if key == name:
                return int(value)
    except (OSError, ValueError):
        pass
    return None


def physical_memory() -> int | None:
    """Return how many bytes of memory this machine has; None where that cannot be told."""
    if sys.platform == "win32":
        import ctypes

        class Status(ctypes.Structure):  # MEMORYSTATUSEX
            _fields_ = [("length", ctypes.c_ulong), ("load", ctypes.c_ulong), ("numbers", ctypes.c_ulonglong * 7)]

        status = Status(length=ctypes.sizeof(Status))
        known = ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))
        return int(status.numbers[0]) if known else None
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return None


def resident_memory() -> int | None:
    """Return how many bytes of memory this process has now; None where that cannot be told (not on Linux)."""
    return _pages(1)


def _pages(field: int) -> int | None:
    """Return one of the counts in /proc/self/statm, in bytes."""
    try:
        count = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[field])
        return count * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError, AttributeError):
        return None
