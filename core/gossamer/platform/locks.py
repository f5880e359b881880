"""Locks on open files and folders, which end with the process that has them."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

__all__ = ["BINARY", "folders_have_locks", "hold", "is_abandoned", "open_files_can_move", "wait_for"]

BINARY = getattr(os, "O_BINARY", 0)
"""For :func:`os.open`: on Windows, bytes as they are."""


def folders_have_locks() -> bool:
    """Whether a folder can be locked (not on Windows, which opens none)."""
    return sys.platform != "win32"


def open_files_can_move() -> bool:
    """Whether what is open can be renamed or removed (not on Windows)."""
    return sys.platform != "win32"


def hold(descriptor: int) -> bool:
    """Lock an open file for as long as it is open; False where somebody else has it.

    True, too, where nothing can be locked: on Windows, where what is open cannot be removed, and on file systems
    without locks.
    """
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def wait_for(descriptor: int) -> None:
    """Lock an open folder, waiting for whoever has it; where a file system has no locks, there is none."""
    if sys.platform != "win32":
        import fcntl

        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:
            return


def is_abandoned(path: Path, descriptor_of: list[int], *, old: bool) -> bool:
    """Whether this user's file or folder has nobody any more who holds it.

    Parameters
    ----------
    path : Path
    descriptor_of : list of int
        Gets the open and now locked file or folder, to be closed by the caller.
    old : bool
        What counts where nothing can be locked: whether it is so old that its writer must be gone.

    Raises
    ------
    OSError
        It cannot be looked at.
    """
    if sys.platform == "win32":
        return old
    import fcntl

    status = path.lstat()
    is_folder = stat.S_ISDIR(status.st_mode)
    if status.st_uid != os.geteuid() or not (is_folder or stat.S_ISREG(status.st_mode)):
        return False
    descriptor = os.open(path, (os.O_RDONLY if is_folder else os.O_RDWR) | os.O_NONBLOCK | BINARY)
    descriptor_of.append(descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return old
    return True
