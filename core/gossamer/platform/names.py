"""Names of files, as far as systems differ in them: renames that replace nothing, exchanges, planted links."""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

__all__ = [
    "exchange",
    "has_drives_and_devices",
    "is_planted",
    "links_are_followed_for_others",
    "rename_new",
    "settle_names",
]

_RENAMES = {"linux": "renameat2", "darwin": "renamex_np"}
_HERE = -100  # AT_FDCWD: names are of the working folder


def has_drives_and_devices() -> bool:
    r"""Whether ``C:``, ``\`` and ``nul`` mean something in a file's name; elsewhere they are letters as any."""
    return sys.platform == "win32"


def links_are_followed_for_others() -> bool:
    """Whether a link that somebody else put into a shared folder leads this user on (not on Windows)."""
    return sys.platform != "win32"


def is_planted(link: Path, folder: Path) -> bool:
    """Whether somebody else has put a link into a folder that everyone may write to; raises OSError."""
    if sys.platform == "win32":
        return False
    owner, around = link.lstat().st_uid, folder.stat()
    for_all = around.st_mode & stat.S_ISVTX and around.st_mode & stat.S_IWOTH
    return bool(for_all) and owner not in (os.geteuid(), around.st_uid)


def rename_new(source: Path, target: Path) -> bool:
    """Rename a file in one step where nothing has the new name; False, and nothing done, where the system cannot.

    Raises
    ------
    OSError
        If that fails; FileExistsError if there is something of that name.
    """
    if sys.platform == "win32":
        source.rename(target)  # which there replaces nothing
        return True
    return _renamed(source, target, "new")


def exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one step; False, and nothing done, where the system cannot. Raises OSError."""
    return _renamed(one, other, "exchange")


def settle_names(folder: Path) -> None:
    """Let the names in a folder outlast a power failure, where a program can ask for that."""
    with suppress(OSError):  # Windows opens no folders
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _renamed(source: Path, target: Path, how: Literal["new", "exchange"]) -> bool:
    """Rename as :func:`os.rename` cannot: never over another, or both at once. False where the system cannot."""
    function = _rename_function()
    if function is None:
        return False
    names = os.fsencode(source), os.fsencode(target)
    if sys.platform == "darwin":  # RENAME_EXCL, RENAME_SWAP
        failed = function(*names, {"new": 4, "exchange": 2}[how])
    else:  # RENAME_NOREPLACE, RENAME_EXCHANGE
        failed = function(_HERE, names[0], _HERE, names[1], {"new": 1, "exchange": 2}[how])
    code = ctypes.get_errno()
    if failed and code not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EPERM):
        raise OSError(code, os.strerror(code), str(target))
    return not failed


@functools.cache
def _rename_function() -> Any:
    try:
        function = getattr(ctypes.CDLL(None, use_errno=True), _RENAMES[sys.platform])
    except (KeyError, OSError, AttributeError):
        return None
    place = () if sys.platform == "darwin" else (ctypes.c_int,)
    function.argtypes = [*place, ctypes.c_char_p, *place, ctypes.c_char_p, ctypes.c_uint]
    return function
