"""How a command ends that somebody asks to end: within half a second, with one line, and nothing half-written."""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from gossamer.errors import Cancelled
from gossamer.platform import hear_ends

__all__ = ["Leaving", "at_once", "failure", "leave"]

_PATIENCE = 0.3  # seconds in which the main thread may tidy up and leave by itself


class Leaving:
    """Whether a command was asked to end, and what is done about it.

    Parameters
    ----------
    as_json : bool
        Whether a failure is told on standard output, too.

    Attributes
    ----------
    as_json : bool
    is_asked : bool
        Somebody wants the command to end.
    is_over : bool
        To be set when it is too late for that: the result is written, or a failure about to be told.
    """

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.is_asked = False
        self.is_over = False

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Listen meanwhile for those who ask this process to end, where this is its main thread."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        restore = hear_ends(self._asked, self._end, _PATIENCE)
        try:
            yield
        finally:
            restore()

    def _asked(self, frame: FrameType | None) -> None:
        if self.is_over:
            return
        self.is_asked = True
        if _is_import(frame):
            # Some packages take an interrupted import for a fault of theirs, and say so; nothing is in work here.
            self._end()
        raise KeyboardInterrupt

    def _end(self) -> None:
        """End the process at once, past a main thread that does not leave."""
        if (drafts := sys.modules.get("gossamer.files")) is not None:
            drafts.abandon()
        if not self.is_over:
            line, status = "gossamer: Cancelled.\n", Cancelled.exit_code
            with suppress(Exception):
                if sys.stderr.isatty():  # where a bar of progress may stand
                    line = f"\r{'':{shutil.get_terminal_size().columns - 1}}\r{line}"
            with suppress(OSError):
                os.write(2, line.encode())  # not by the streams, whose locks the main thread may have
                if self.as_json:
                    os.write(1, f"{json.dumps(failure('Cancelled.', '', status), indent=2)}\n".encode())
        os._exit(Cancelled.exit_code)


def failure(message: str, remedy: str, status: int) -> dict[str, Any]:
    """Return what is told of a failure in JSON."""
    return {"error": {"message": message, "remedy": remedy, "exit_status": status}}


def leave(status: int) -> None:
    """End the process at once where work goes on that cannot be stopped, for which Python would wait."""
    if any(thread.name.startswith("gossamer-") for thread in threading.enumerate()):
        at_once(status)


def at_once(status: int) -> None:
    """End the process without taking apart what it has loaded, for which some packages take a second."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):  # None, closed, or its reader is gone
            stream.flush()
    os._exit(status)


def _is_import(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False
