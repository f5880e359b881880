"""Who may use a file: those who might use the one that it replaces, or its folder, and never more."""

from __future__ import annotations

import errno
import os
import stat
import sys
from contextlib import suppress
from pathlib import Path

__all__ = ["inherit", "share"]

_ACL = "system.posix_acl_access"
_NO_ACL = (errno.ENODATA, errno.ENOTSUP) if sys.platform == "linux" else ()


def inherit(descriptor: int, path: Path, old: os.stat_result) -> None:
    """Give a private file the owner and the permissions of the one that it replaces, or fewer."""
    if sys.platform == "win32":
        return
    mode = stat.S_IMODE(old.st_mode)
    for owner in (old.st_uid, -1):
        with suppress(OSError):
            os.fchown(descriptor, owner, old.st_gid)
            break
    new = os.fstat(descriptor)
    if new.st_gid != old.st_gid:
        mode &= ~0o070  # what was meant for one group is not for another
    if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
        mode &= 0o777
    if sys.platform == "linux" and not _inherits_list(descriptor, path):
        mode &= ~0o070  # with a list, these bits are about all that it names
    with suppress(OSError):
        os.fchmod(descriptor, mode)


def _inherits_list(descriptor: int, path: Path) -> bool:
    """Copy a file's access control list, or the lack of one: the folder's default may allow more than that."""
    try:
        try:
            os.setxattr(descriptor, _ACL, os.getxattr(path, _ACL))
        except OSError as error:
            if error.errno not in _NO_ACL:
                raise
            os.removexattr(descriptor, _ACL)
    except OSError as error:
        return error.errno in _NO_ACL
    return True


def share(path: Path) -> None:
    """Let those use a file or a folder who may use the folder that it is in, as far as the system allows."""
    with suppress(OSError):
        around, own = path.parent.stat(), path.stat()
        mode = stat.S_IMODE(around.st_mode) & (0o3777 if stat.S_ISDIR(own.st_mode) else 0o666)
        if own.st_gid != around.st_gid:
            try:
                os.chown(path, -1, around.st_gid)
            except (OSError, AttributeError):
                mode &= ~0o070  # what was meant for one group is not for another
        os.chmod(path, mode)
