"""What the ways of fetching weights have in common: how they fail, and how they write."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

from gossamer.errors import OutputError
from gossamer.models.catalogue import Variant
from gossamer.progress import Progress

__all__ = ["SourceFailed", "Transfer", "megabytes", "remove_quietly", "require_space", "writing"]

_P = ParamSpec("_P")
_T = TypeVar("_T")


class SourceFailed(Exception):
    """A source could not give the weights; the text is the reason in a few words."""


@dataclass(frozen=True)
class Transfer:
    """One file of weights on its way.

    Attributes
    ----------
    model : str
        Id of the model, for messages.
    variant : Variant
        What is fetched.
    part : pathlib.Path
        Where the bytes are gathered: it ends in ``.part`` and lies beside the final file.
    progress : Progress
    """

    model: str
    variant: Variant
    part: Path
    progress: Progress

    def report(self, done: int, total: int) -> None:
        """Tell how many of `total` bytes have come; may raise to cancel."""
        done = min(done, total)
        self.progress(done / total, f"Fetching {self.model} {done / 1e6:.1f} of {megabytes(total)}")


def megabytes(size: int) -> str:
    """Return a number of bytes for people, such as "178.6 MB"."""
    return f"{size / 1e6:.1f} MB"


def require_space(folder: Path, size: int) -> None:
    """Raise OutputError where the disk of `folder` has not `size` bytes free."""
    free = shutil.disk_usage(folder).free
    if free < size:
        raise OutputError(
            f"{folder} has {megabytes(free)} free and the model needs {megabytes(size)} there.",
            "Free some space, or set GOSSAMER_HOME to a folder on another disk.",
        )


def writing(target: Path, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Call a function that writes to `target`, or makes it; its OSError becomes OutputError."""
    try:
        return function(*args, **kwargs)
    except OSError as error:
        raise OutputError(
            f"{target} could not be written: {error.strerror or error}.",
            "Free some space, or set GOSSAMER_HOME to a folder that can be written to.",
        ) from error


def remove_quietly(path: Path) -> None:
    """Remove a file or a folder with all that is in it, as far as that is possible."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        try:
            path.unlink(missing_ok=True)
        except OSError:
            return
