"""Digests of files, remembered, so that large weights are not read again at every start.

``verified.json`` in Gossamer's folder holds them. It also holds what publishers said of files for which the
catalogue has no digest.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeAlias, TypeVar

from gossamer.errors import ModelError
from gossamer.files import change_json, read_json
from gossamer.progress import Progress
from gossamer.weights.catalogue import HuggingFaceSource
from gossamer.weights.folders import home, table_fault

__all__ = [
    "Published",
    "Unreadable",
    "checked_digest",
    "file_digest",
    "memory_fault",
    "published",
    "remember",
    "remember_published",
]

_BLOCK = 1 << 22
_PATIENCE = 2.0  # seconds
_PUBLISHER = "huggingface:"
_P = ParamSpec("_P")
_T = TypeVar("_T")
_Kind: TypeAlias = Literal["sha256", "md5"]


class Unreadable(ModelError):
    """A file of weights could not be read; `reason` says why in a few words."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} could not be read: {reason}.", "Check its permissions and the disk.")
        self.reason = reason


@dataclass(frozen=True)
class Published:
    """What a publisher says of a file.

    Attributes
    ----------
    bytes : int
    sha256 : str
    commit : str
        The commit that was fetched, empty where the server did not say it.
    """

    bytes: int
    sha256: str
    commit: str = ""


def file_digest(path: Path, progress: Progress, message: str, kind: _Kind = "sha256") -> str:
    """Return the SHA-256, or MD5, of a file in hexadecimal; raises Unreadable."""
    # MD5 is only for what has nothing better, and then only against broken downloads.
    digest = hashlib.new(kind, usedforsecurity=kind != "md5")
    size, done = max(_stamp(path)[0], 1), 0
    with _reading(path, path.open, "rb") as file:
        while block := _reading(path, file.read, _BLOCK):
            digest.update(block)
            done += len(block)
            progress(done / size, message)
    return digest.hexdigest()


def checked_digest(path: Path, progress: Progress, message: str, kind: _Kind = "sha256") -> str:
    """Return the digest of a file, from memory where its size and time of change are still the same."""
    known = _memory().get(str(path))
    if isinstance(known, list) and known[:2] == _stamp(path) and known[3:] == _tail(kind):
        return str(known[2])
    digest = file_digest(path, progress, message, kind)
    remember(path, digest, kind)
    return digest


def remember(path: Path, digest: str, kind: _Kind = "sha256") -> None:
    """Note that `path`, as it is now, has this digest."""
    _note(str(path), [*_stamp(path), digest, *_tail(kind)])


def published(source: HuggingFaceSource) -> Published | None:
    """Return what the publisher said of a file when it was last fetched."""
    entry = _memory().get(_key(source))
    try:
        return Published(**entry) if isinstance(entry, dict) else None
    except TypeError:
        return None


def remember_published(source: HuggingFaceSource, said: Published) -> None:
    """Note what the publisher says of a file."""
    _note(_key(source), asdict(said))


def memory_fault() -> str | None:
    """Return what keeps digests from being remembered, and what to do, in a sentence or two; None if nothing does.

    A folder that nobody may write to is no fault: it may be meant so.
    """
    if wrong := table_fault(_file()):
        return f"{wrong[0]} {wrong[1]} Until then weights are read in full each time."
    return None


def _key(source: HuggingFaceSource) -> str:
    return f"{_PUBLISHER}{source.repo}/{source.filename}"


def _tail(kind: _Kind) -> list[str]:
    return [] if kind == "sha256" else [kind]


def _note(name: str, entry: object) -> None:
    def noted(memory: dict[str, Any]) -> dict[str, Any]:
        memory = {**_sound(memory), name: entry}
        return {key: value for key, value in memory.items() if key.startswith(_PUBLISHER) or os.path.exists(key)}

    # A folder that cannot be written to, or a lock that is held for too long, only costs another reading the next
    # time. What cannot be read is not written over, see `memory_fault`.
    with suppress(OSError, ValueError):
        home().mkdir(parents=True, exist_ok=True)
        change_json(_file(), noted, _PATIENCE)


def _stamp(path: Path) -> list[int]:
    status = _reading(path, path.stat)
    return [status.st_size, status.st_mtime_ns]


def _reading(path: Path, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Call a function that reads from `path`; only its OSError is translated, not those of callbacks."""
    try:
        return function(*args, **kwargs)
    except OSError as error:
        raise Unreadable(path, error.strerror or str(error)) from error


def _memory() -> dict[str, Any]:
    """Return what is remembered: path -> [size, mtime_ns, digest]; a damaged file remembers nothing."""
    try:
        return _sound(read_json(_file()))
    except (OSError, ValueError):
        return {}


def _file() -> Path:
    return home() / "verified.json"


def _sound(raw: dict[str, Any]) -> dict[str, Any]:
    return {
        name: entry
        for name, entry in raw.items()
        if (isinstance(entry, list) and len(entry) in (3, 4))
        or (isinstance(entry, dict) and name.startswith(_PUBLISHER))
    }
