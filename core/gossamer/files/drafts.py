"""What is being written, beside its goal, and what is left of it when its writer is killed.

It is named ``.gossamer-….tmp``, and its writer holds a lock on it, which the system lets go of with the process,
however that ends. So whoever next writes into the folder knows what nobody needs any more.
"""

from __future__ import annotations

import functools
import os
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gossamer.platform import BINARY, folders_have_locks, hold, is_abandoned, open_files_can_move

__all__ = ["Draft", "abandon", "draft", "note", "staging_folder", "sweep"]


_PREFIX, _DRAFT, _NOTE = ".gossamer-", ".tmp", ".claim"
_SETTLED = 1 << 24  # bytes that are brought to the disk at a time
_FORGOTTEN = 86400.0  # seconds after which what cannot be locked is nobody's any more


_open: set[Path] = set()  # what this process is writing


class Draft:
    """A new file that no sweep takes while it is open.

    Attributes
    ----------
    path : Path
    descriptor : int
        Open for reading and writing until `close`.
    """

    def __init__(self, folder: Path, mode: int, suffix: str) -> None:
        while True:
            self.path = folder / f"{_PREFIX}{secrets.token_hex(6)}{suffix}"
            # Less the umask, as for any new file.
            self.descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | BINARY, mode)
            self._open = True
            if hold(self.descriptor) and _is_still(self.path, self.descriptor):
                _open.add(self.path)
                return
            self.close()  # swept in the moment before it was locked

    def fill(self, data: bytes | Iterable[bytes]) -> None:
        """Write all that it shall hold, in one piece or in many, down to the disk."""
        with os.fdopen(self.descriptor, "wb", closefd=False) as file:
            unsettled = 0
            for piece in (data,) if isinstance(data, bytes) else data:
                file.write(piece)
                unsettled += len(piece)
                if unsettled >= _SETTLED:  # whoever gives the pieces is not kept waiting for all of it at the end
                    file.flush()
                    os.fsync(file.fileno())
                    unsettled = 0
            file.flush()
            os.fsync(file.fileno())

    def ready(self) -> Path:
        """Return its path, for it to be moved: Windows moves only what is closed, elsewhere it stays locked."""
        if not open_files_can_move():
            self.close()
        return self.path

    def discard(self) -> None:
        """Remove it, unless it was moved, and close it."""
        if not open_files_can_move():
            self.close()
        with suppress(OSError):
            self.path.unlink()
        self.close()

    def close(self) -> None:
        """Close it, and so let go of the lock."""
        if self._open:
            self._open = False
            _open.discard(self.path)
            with suppress(OSError):
                os.close(self.descriptor)


@contextmanager
def draft(folder: Path, mode: int) -> Iterator[Draft]:
    """Lend a new file in `folder`, of a mode less the umask; gone at the end unless it was moved."""
    _swept(str(folder))
    made = Draft(folder, mode, _DRAFT)
    try:
        yield made
    finally:
        made.discard()


@contextmanager
def note(target: Path) -> Iterator[None]:
    """Leave a note, meanwhile, that the name `target` is taken with an empty file: a sweep then removes that."""
    made = Draft(target.parent, 0o600, _NOTE)
    try:
        made.fill(os.fsencode(target.name))
        yield
    finally:
        made.discard()


@contextmanager
def staging_folder(folder: Path) -> Iterator[Path]:
    """Lend a new, private folder in `folder` for what is being made; gone at the end with all that is still in it.

    Raises
    ------
    OSError
        If it cannot be made.
    """
    _swept(str(folder))
    while True:
        staging = Path(tempfile.mkdtemp(prefix=_PREFIX, suffix=_DRAFT, dir=folder))
        descriptor = None
        with suppress(FileNotFoundError):  # swept in the moment before it is locked
            descriptor = os.open(staging, os.O_RDONLY) if folders_have_locks() else None
            if descriptor is None or (hold(descriptor) and _is_still(staging, descriptor)):
                break
        if descriptor is not None:
            os.close(descriptor)
    _open.add(staging)
    try:
        yield staging
    finally:
        _open.discard(staging)
        shutil.rmtree(staging, ignore_errors=True)
        if descriptor is not None:
            os.close(descriptor)


def abandon() -> None:
    """Remove whatever this process is writing, in whichever thread: just before it ends at once."""
    for path in list(_open):
        with suppress(OSError):
            if path.suffix == _NOTE:
                _take_back(path, path.lstat())
            _remove(path)


def sweep(folder: Path) -> None:
    """Remove what writers left in a folder who were killed: this user's, that nobody holds any more."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(_PREFIX) and entry.name.endswith((_DRAFT, _NOTE)):
                with suppress(OSError):
                    _remove_left(Path(entry.path))


@functools.lru_cache(maxsize=1024)
def _swept(folder: str) -> None:
    """Sweep a folder once in the life of a process."""
    sweep(Path(folder))


def _remove_left(path: Path) -> None:
    status = path.lstat()
    old = time.time() - status.st_mtime > _FORGOTTEN
    opened: list[int] = []
    try:
        if is_abandoned(path, opened, old=old) and (not opened or _is_still(path, opened[0])):
            if path.suffix == _NOTE:
                _take_back(path, status)
            _remove(path)
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _take_back(path: Path, status: os.stat_result) -> None:
    """Remove the empty file by which a killed writer took the name that a note tells."""
    name = os.fsdecode(path.read_bytes())
    target = path.parent / name
    if name and os.sep not in name and os.path.lexists(target):
        taken = target.lstat()
        if stat.S_ISREG(taken.st_mode) and taken.st_size == 0 and taken.st_ctime_ns >= status.st_mtime_ns:
            target.unlink()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink()


def _is_still(path: Path, descriptor: int) -> bool:
    """Tell whether an open file still has its name."""
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
