"""What several programs and users share: tables in JSON, folders, and locks."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gossamer.errors import OutputError
from gossamer.files.drafts import draft
from gossamer.files.names import followed, move
from gossamer.platform import BINARY, folders_have_locks, share, wait_for

if TYPE_CHECKING:
    from filelock import BaseFileLock

__all__ = ["change_json", "folder_lock", "lock_alone", "lock_file", "make_folder", "read_json"]


def read_json(path: Path) -> dict[str, Any]:
    """Return what a table in JSON holds: nothing where there is no file, or an empty one.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it is not a table in JSON.
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return {}
    if not text.strip():
        return {}
    try:
        found = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError("not a table")
    return found


def change_json(path: Path, change: Callable[[dict[str, Any]], dict[str, Any]], patience: float) -> None:
    """Read a table, change it and write it, while nobody else does; who may use its folder may use it.

    Parameters
    ----------
    path : Path
        Its folder must exist.
    change : callable
        Gets what the table holds and returns what it shall hold.
    patience : float
        Seconds to wait for others who do the same.

    Raises
    ------
    OSError, ValueError
        As :func:`read_json`, and if it cannot be written; what is there is then left as it is. TimeoutError (an
        OSError) when others take too long.
    """
    with lock_file(path.with_name(f".{path.stem}.lock")).acquire(timeout=patience):
        data = json.dumps(change(read_json(path)), indent=1).encode()
        target = followed(path)
        with draft(target.parent, 0o600) as made:
            made.fill(data)
            share(made.path)
            move(made.ready(), target, True)


def lock_alone(path: Path, busy: str, remedy: str) -> BaseFileLock:
    """Return a lock that is held, and that the system lets go of with the process.

    Parameters
    ----------
    path : Path
        Its file; the folder must exist.
    busy, remedy : str
        What is said where another process holds it.

    Raises
    ------
    OutputError
        Another process holds it.
    OSError
        It cannot be made.
    """
    import filelock

    lock = lock_file(path)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise OutputError(busy, remedy) from None
    return lock


def lock_file(path: Path) -> BaseFileLock:
    """Return a lock that everybody can take who may write into its folder, which must exist; raises OSError."""
    import filelock

    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | BINARY, 0o600))
        share(path)
    return filelock.FileLock(path, mode=stat.S_IMODE(path.stat().st_mode))


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Work on a folder while nobody else does, without a file for that; on Windows everybody may."""
    if not folders_have_locks():
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        wait_for(descriptor)
        yield
    finally:
        os.close(descriptor)


def make_folder(path: Path) -> None:
    """Make a folder where there is none, for those who may use the folder that it is in; raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        path.mkdir()
        share(path)
    if not path.is_dir():
        raise NotADirectoryError(20, "Not a directory", str(path))
