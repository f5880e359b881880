"""SHA-256 of files, remembered, so that large weights are not read again at every start."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

from gossamer.errors import ModelError
from gossamer.models.folders import home
from gossamer.progress import Progress

__all__ = ["Unreadable", "checked_digest", "file_digest", "remember"]

_BLOCK = 1 << 22
_P = ParamSpec("_P")
_T = TypeVar("_T")


class Unreadable(ModelError):
    """A file of weights could not be read; `reason` says why in a few words."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} could not be read: {reason}.", "Check its permissions and the disk.")
        self.reason = reason


def file_digest(path: Path, progress: Progress, message: str) -> str:
    """Return the SHA-256 of a file in hexadecimal; raises Unreadable."""
    digest = hashlib.sha256()
    size, done = max(_stamp(path)[0], 1), 0
    with _reading(path, path.open, "rb") as file:
        while block := _reading(path, file.read, _BLOCK):
            digest.update(block)
            done += len(block)
            progress(done / size, message)
    return digest.hexdigest()


def checked_digest(path: Path, progress: Progress, message: str) -> str:
    """Return the SHA-256 of a file, from memory where its size and time of change are still the same."""
    known = _memory().get(str(path))
    if known is not None and known[:2] == _stamp(path):
        return str(known[2])
    digest = file_digest(path, progress, message)
    remember(path, digest)
    return digest


def remember(path: Path, digest: str) -> None:
    """Note that `path`, as it is now, has this SHA-256."""
    memory = _memory()
    memory[str(path)] = [*_stamp(path), digest]
    memory = {name: entry for name, entry in memory.items() if os.path.exists(name)}
    # A folder that cannot be written to only costs another reading the next time.
    with contextlib.suppress(OSError):
        folder = home()
        folder.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(prefix=".verified-", suffix=".json", dir=folder)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(memory, file, indent=1)
            os.replace(draft, folder / "verified.json")
        except BaseException:
            os.unlink(draft)
            raise


def _stamp(path: Path) -> list[int]:
    status = _reading(path, path.stat)
    return [status.st_size, status.st_mtime_ns]


def _reading(path: Path, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Call a function that reads from `path`; only its OSError is translated, not those of callbacks."""
    try:
        return function(*args, **kwargs)
    except OSError as error:
        raise Unreadable(path, error.strerror or str(error)) from error


def _memory() -> dict[str, list[int | str]]:
    """Return what is remembered: path -> [size, mtime_ns, sha256]; a damaged file remembers nothing."""
    try:
        raw = json.loads((home() / "verified.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(raw, dict):
        return {}
    return {name: entry for name, entry in raw.items() if isinstance(entry, list) and len(entry) == 3}
