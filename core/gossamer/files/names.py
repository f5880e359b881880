"""Names of files: where they lead, and how a finished file gets one in a single step."""

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

from gossamer.errors import OutputError
from gossamer.files.drafts import BINARY, note
from gossamer.files.permissions import inherit

__all__ = ["exchange", "followed", "move", "move_into_place"]

_LINKS = 40  # as many as Linux follows
_RENAMES = {"linux": "renameat2", "darwin": "renamex_np"}
_HERE = -100  # AT_FDCWD: names are of the working folder


def followed(path: Path) -> Path:
    """Return where a name leads, link after link, but never along one that somebody else planted.

    Linux itself refuses those unless it is told not to; it is not asked when links are resolved beforehand.

    Raises
    ------
    OutputError
        For a link of another user in a folder that everyone may write to.
    """
    if sys.platform == "win32":
        return Path(os.path.realpath(path))
    here = Path(path.anchor) if path.anchor else Path(os.getcwd())
    rest, links = [part for part in path.parts if part != path.anchor], 0
    while rest:
        name = rest.pop(0)
        step = here.parent if name == ".." else here / name
        if name == ".." or not step.is_symlink():
            here = step
            continue
        links += 1
        if links > _LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
        _require_trusted(step, here)
        leads = Path(os.readlink(step))
        here = Path(leads.anchor) if leads.anchor else here
        rest[:0] = [part for part in leads.parts if part != leads.anchor]
    return here


def _require_trusted(link: Path, folder: Path) -> None:
    owner, around = link.lstat().st_uid, folder.stat()
    for_all = around.st_mode & stat.S_ISVTX and around.st_mode & stat.S_IWOTH
    if for_all and owner not in (os.geteuid(), around.st_uid):
        raise OutputError(
            f"{link} is a link that somebody else has put into a folder that everyone may write to.",
            "Give another name, or that of what it leads to.",
        )


def move_into_place(source: Path, target: Path, *, force: bool) -> None:
    """Move a finished file to its name, so that after a power failure it is there whole or not at all.

    With `force` it may replace one, whose permissions it gets.

    Raises
    ------
    OSError
        If that fails; FileExistsError if there is something of that name and `force` is not set.
    """
    with source.open("rb+") as file:
        if force and target.is_file():
            inherit(file.fileno(), target, target.stat())
        os.fsync(file.fileno())
    move(source, target, force)


def move(source: Path, target: Path, force: bool) -> None:
    """Move a file that is on the disk to its name in one step; raises as :func:`move_into_place`."""
    if force:
        source.replace(target)
    elif sys.platform == "win32":
        source.rename(target)  # which there replaces nothing
    elif not _renamed(source, target, "new"):
        try:
            os.link(source, target)
            source.unlink()
        except FileExistsError:
            raise
        except OSError:  # neither that nor hard links: some network file systems
            _claim(source, target)
    with suppress(OSError):
        descriptor = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)  # the name, too, outlasts a power failure
        finally:
            os.close(descriptor)


def _claim(source: Path, target: Path) -> None:
    """Take a name with an empty file, then replace that."""
    with note(target):
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | BINARY, 0o600))
        try:
            source.replace(target)
        except BaseException:
            target.unlink(missing_ok=True)
            raise


def exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one step; False, and nothing done, where the system cannot. Raises OSError."""
    return _renamed(one, other, "exchange")


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
