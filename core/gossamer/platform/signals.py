"""Signals that ask this process to end: Ctrl-C and SIGTERM; on Windows Ctrl-Break, too."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import TypeAlias

__all__ = ["catch_ends", "hear_ends", "ignore_interrupts"]

_ENDS = [signal.SIGINT, signal.SIGTERM]
if sys.platform == "win32":
    _ENDS.append(signal.SIGBREAK)

_Handler: TypeAlias = Callable[[int, FrameType | None], None]


def catch_ends(stop: Callable[[], object]) -> Callable[[], None]:
    """Call `stop`, in the main thread, for every signal that asks for the end; return what puts the handlers back.

    Only the main thread may call it. A process that is forked meanwhile ends as any other does.
    """
    return _handled(_of_this_process(lambda _: stop()))


def hear_ends(
    stop: Callable[[FrameType | None], object], late: Callable[[], object], patience: float
) -> Callable[[], None]:
    """Do as :func:`catch_ends`, and call `late` where that has led to nothing.

    Signals are heard in the main thread only, and only between two steps of the interpreter: not while a library
    computes or reads there. What `stop` raises may also be swallowed, as it is in whatever Python calls by itself. So
    a thread hears of the signal as well.

    Parameters
    ----------
    stop : callable
        Called with what the main thread is about: its frame.
    late : callable
        Called in that thread `patience` seconds after a signal, unless the handlers were put back by then, or others
        have taken their place.
    patience : float
    """
    handler = _of_this_process(stop)
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    over = threading.Event()

    def wait() -> None:
        with reader:
            while heard := reader.recv(1):
                if signal.getsignal(heard[0]) is handler and not over.wait(patience):
                    late()

    before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    restore_handlers = _handled(handler)
    _hearing.add(over)
    with contextlib.suppress(RuntimeError):  # no room for one more thread: the main thread hears it all the same
        threading.Thread(target=wait, name="ends", daemon=True).start()

    def restore() -> None:
        over.set()
        _hearing.discard(over)
        restore_handlers()
        signal.set_wakeup_fd(before)
        writer.close()

    return restore


def ignore_interrupts() -> None:
    """Leave Ctrl-C, which reaches all processes of a terminal, to the one that started this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _handled(handler: _Handler) -> Callable[[], None]:
    """Give a handler to all signals that ask for the end; return what puts those back that there were."""
    before = {number: signal.signal(number, handler) for number in _ENDS}

    def restore() -> None:
        for number, old in before.items():
            # None: what another library has set in C, which Python cannot put back.
            signal.signal(number, signal.SIG_DFL if old is None else old)

    return restore


def _of_this_process(stop: Callable[[FrameType | None], object]) -> _Handler:
    """Return a handler that calls `stop` here; a process that was forked from this one ends as the system does it."""
    here = os.getpid()

    def handler(number: int, frame: FrameType | None) -> None:
        if os.getpid() == here:
            stop(frame)
            return
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)

    return handler


_hearing: set[threading.Event] = set()


if sys.platform != "win32":

    def _forking() -> None:
        """Keep signals waiting until a forked process has none of its parent's ears: the parent would hear them."""
        if _hearing:
            signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)

    def _forked_parent() -> None:
        if _hearing:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDS)

    def _forked_child() -> None:
        if _hearing:
            _hearing.clear()
            with contextlib.suppress(ValueError):
                signal.set_wakeup_fd(-1)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDS)

    os.register_at_fork(before=_forking, after_in_parent=_forked_parent, after_in_child=_forked_child)
