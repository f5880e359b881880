"""What commands write on their standard streams: nothing raw, and every way that the writing can fail, in one place."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from typing import Any, TextIO

from gossamer.errors import OutputError
from gossamer.spelling import visible

__all__ = [
    "ReaderGone",
    "check_stdout",
    "draw",
    "ready",
    "show",
    "show_json",
    "show_path",
    "show_text",
    "tell",
    "visible",
    "warn",
    "write_stdout",
]


class ReaderGone(OutputError):
    """Whoever read the standard output has ended: nobody is there to be told."""

    def __init__(self, message: str = "Nobody reads the standard output any more.", remedy: str = "") -> None:
        super().__init__(message, remedy)


def ready() -> None:
    """Make the standard streams safe to use where some of them are closed.

    The first file that a process opens gets the lowest free number: with stderr closed, what a library writes to stderr
    would end up in that file, which may be a picture.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            with suppress(OSError):
                os.set_inheritable(os.open(os.devnull, os.O_RDONLY if number == 0 else os.O_WRONLY), True)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")


def tell(sentence: str) -> None:
    """Write a line to stderr; where nobody can see it the work goes on without."""
    _put(sys.stderr, visible(sentence) + "\n")


def warn(sentence: str) -> None:
    """Write a warning to stderr."""
    tell(f"gossamer: warning: {sentence}")


def draw(text: str) -> None:
    """Write to stderr without ending the line, for a progress bar: `text` may hold carriage returns."""
    _put(sys.stderr, "\r".join(map(visible, text.split("\r"))))


def _put(stream: TextIO | None, text: str) -> None:
    with suppress(OSError, ValueError, AttributeError):
        assert stream is not None  # noqa: S101 - see ready()
        stream.write(text)
        stream.flush()


def check_stdout() -> None:
    """Raise OutputError, before the work, where the standard output is closed."""
    if sys.stdout is None:
        raise OutputError("Standard output is closed.", "Redirect it to a file, or leave it open.")


def show(line: str = "") -> None:
    """Write a line of the result to stdout.

    Raises
    ------
    ReaderGone
        A pipe that nobody reads any more.
    OutputError
        Closed, a full disk and so on.
    """
    _write(visible(line) + "\n")


def show_text(text: str) -> None:
    """Write a text of ours, of several lines, to stdout; raises as :func:`show`."""
    for line in text.splitlines():
        show(line)


def show_json(value: Any) -> None:
    """Write JSON to stdout, in ASCII; raises as :func:`show`."""
    _write(json.dumps(value, indent=2) + "\n")


def show_path(path: str | os.PathLike[str]) -> None:
    """Write a path to stdout: to a terminal as :func:`show` does, to a program exactly; raises as :func:`show`."""
    if sys.stdout is not None and sys.stdout.isatty():
        show(os.fspath(path))
    else:
        write_stdout(os.fsencode(path) + os.linesep.encode())


def write_stdout(data: bytes) -> None:
    """Write bytes to stdout; raises as :func:`show`."""
    check_stdout()
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except OSError as error:
        raise _failed(error) from error


def _write(text: str) -> None:
    check_stdout()
    encoding = sys.stdout.encoding or "utf-8"
    try:
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
        sys.stdout.flush()
    except OSError as error:
        raise _failed(error) from error


def _failed(error: OSError) -> OutputError:
    """Return what tells people why stdout could not be written; what is left for it goes nowhere, also at the end."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.stdout.flush()
    if isinstance(error, BrokenPipeError):
        return ReaderGone()
    return OutputError(
        f"Standard output could not be written: {error.strerror or error}.",
        "Redirect it to where there is room and it may be written.",
    )
