"""What the ways of fetching weights have in common: how they fail, and how they write."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, ParamSpec, TypeVar

from gossamer.errors import OutputError
from gossamer.progress import Progress
from gossamer.weights.catalogue import Variant
from gossamer.weights.secrets import without_secrets

__all__ = [
    "Proof",
    "Refused",
    "SourceFailed",
    "Transfer",
    "announced_size",
    "megabytes",
    "remove_quietly",
    "require_space",
    "writing",
]

_P = ParamSpec("_P")
_T = TypeVar("_T")


class SourceFailed(Exception):
    """A source could not give the weights; the text is the reason in a few words, without secrets."""

    def __init__(self, reason: str) -> None:
        super().__init__(without_secrets(reason))


class Refused(SourceFailed):
    """A server answered with an error; `status` is its HTTP status."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"HTTP {status} {reason}".strip())
        self.status = status


@dataclass(frozen=True)
class Proof:
    """What shows that a file is the right one.

    Attributes
    ----------
    bytes : int or None
        Its size, where that is known.
    digest : str
        In hexadecimal.
    kind : {"sha256", "md5"}
        Of the digest.
    """

    bytes: int | None
    digest: str
    kind: Literal["sha256", "md5"] = "sha256"

    @classmethod
    def of(cls, variant: Variant) -> Proof | None:
        """Return what the catalogue knows of a variant; None where it has no digest."""
        size = variant.bytes if variant.exact else None
        if variant.sha256:
            return cls(size, variant.sha256)
        return cls(size, variant.md5, "md5") if variant.md5 else None

    @property
    def label(self) -> str:
        """The digest's kind for people."""
        return {"sha256": "SHA-256", "md5": "MD5"}[self.kind]


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
    proof : Proof or None
        What the bytes must be; None while only the publisher knows.
    """

    model: str
    variant: Variant
    part: Path
    progress: Progress
    proof: Proof | None = None

    def report(self, done: int, total: int) -> None:
        """Tell how many of `total` bytes have come; may raise to cancel."""
        done = min(done, total)
        self.progress(done / total, f"Fetching {self.model} {done / 1e6:.1f} of {megabytes(total)}")


def megabytes(size: int) -> str:
    """Return a number of bytes for people, such as "178.6 MB"."""
    return f"{size / 1e6:.1f} MB"


def announced_size(variant: Variant) -> str:
    """Return the size of a variant for people: "178.6 MB", or "about 885 MB" where it is not known exactly."""
    return megabytes(variant.bytes) if variant.exact else f"about {variant.bytes / 1e6:.0f} MB"


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
        other = isinstance(error.filename, str) and error.filename not in (str(target), str(target.parent))
        place = f" ({error.filename})" if other and not Path(error.filename).name.startswith(".gossamer-") else ""
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        first = "Free some space" if full else "Have its permissions and its folder's changed"
        raise OutputError(
            f"{target} could not be written: {error.strerror or error}{place}.",
            f"{first}, or set GOSSAMER_HOME to a folder that can be written to.",
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
