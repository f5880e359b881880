"""What people see while a command runs, on stderr: a progress bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from types import TracebackType

from gossamer.cli import terminal

__all__ = ["Console"]


class Console:
    """Shows announcements and progress on stderr.

    Parameters
    ----------
    quiet : bool
        Show nothing at all.
    """

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._bar = not quiet and sys.stderr.isatty()
        self._shown = False
        self._next = 0.0

    def __enter__(self) -> Console:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clear()

    def say(self, sentence: str) -> None:
        """Show one line, above the progress bar."""
        if not self._quiet:
            self._clear()
            terminal.tell(sentence)

    def progress(self, fraction: float, message: str) -> None:
        """Show the progress bar (a progress callback)."""
        now = time.monotonic()
        if not self._bar or (now < self._next and fraction < 1):
            return
        self._next = now + 0.1
        width = shutil.get_terminal_size().columns - 1
        filled = round(24 * fraction)
        line = f"[{'#' * filled}{'.' * (24 - filled)}] {100 * fraction:3.0f} %  {message}"
        terminal.draw("\r" + line[:width].ljust(width))
        self._shown = True

    def _clear(self) -> None:
        if self._shown:
            width = shutil.get_terminal_size().columns - 1
            terminal.draw("\r" + " " * width + "\r")
            self._shown = False
