"""What a forked process must have of its own: locks, threads, and what a library keeps for them.

Of a process that forks (gunicorn with preload, Celery, multiprocessing on Linux before Python 3.14) only the thread
that did so goes on in the child. Locks that other threads held stay held there for good, and whoever waits for a thread
of a pool waits for ever: ONNX Runtime's, Python's, and those of OpenMP, which torch and numba use. OpenMP keeps its
threads for each thread that asked for them, so that in a child whatever uses it runs on a new one.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
import threading
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Any, Generic, TypeVar

from gossamer.platform import in_forked_child

__all__ = ["Lock", "PerProcess"]

_T = TypeVar("_T")


class PerProcess(Generic[_T]):
    """Something that serves only the process that made it: a forked one makes its own when it first wants it.

    Parameters
    ----------
    make : callable
        Makes it.
    made : optional
        The first one, where it is there already.
    """

    def __init__(self, make: Callable[[], _T], made: _T | None = None) -> None:
        self._make = make
        self._made = made
        self._making = threading.Lock()
        _all.add(self)

    def __call__(self) -> _T:
        """Return this process's own, making it where it has none yet; raises what `make` raises."""
        with self._making:
            if self._made is None:
                self._made = self._make()
            return self._made

    def forked(self) -> None:
        """Forget what the parent had: called in a child, when no other thread runs there."""
        if self._made is not None:
            # Never freed in this process: that would wait for the parent's threads.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._made))
        self._made = None
        self._making = threading.Lock()


class Lock:
    """A lock that is free in a forked process, whoever held it in the parent; use it in a ``with``."""

    def __init__(self) -> None:
        self._own: PerProcess[Any] = PerProcess(threading.Lock)

    def acquire(self, timeout: float = -1) -> bool:
        """Take it; return whether that was possible within `timeout` seconds (-1: wait for as long as it takes)."""
        return bool(self._own().acquire(timeout=timeout))

    def release(self) -> None:
        """Give it back; in a process that was forked while its thread held it nothing is left to give."""
        with contextlib.suppress(RuntimeError):
            self._own().release()

    def locked(self) -> bool:
        """Whether somebody has it."""
        return bool(self._own().locked())

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _renew() -> None:
    for each in list(_all):
        each.forked()
    _renew_numba()


def _renew_numba() -> None:
    """Let numba's OpenMP threads start anew, where they were started: it ends a child that uses the parent's.

    The same call starts them in the first place; it notes the process.
    """
    pool, parallel = (sys.modules.get(f"numba.np.ufunc.{name}") for name in ("omppool", "parallel"))
    if pool is not None and hasattr(pool, "launch_threads") and getattr(parallel, "_is_initialized", False):
        ctypes.CFUNCTYPE(None, ctypes.c_int)(pool.launch_threads)(sys.modules["numba"].get_num_threads())


_all: weakref.WeakSet[PerProcess[Any]] = weakref.WeakSet()
in_forked_child(_renew)
