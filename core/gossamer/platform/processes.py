"""What differs between systems, in this one place: users, folders, sockets, processes, cores, forks.

No other file of the library names what exists on one system only (a test keeps it so). ``sys.platform`` is compared
as type checkers know it, so that mypy checks the other systems' lines as well (``mypy --platform win32``).
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

__all__ = [
    "application_folders",
    "core_count",
    "end_group",
    "has_local_sockets",
    "has_posix_shell",
    "in_forked_child",
    "is_of_this_user",
    "is_socket",
    "keep_rights",
    "keep_to_cores",
    "local_socket",
    "make_private_folder",
    "new_group",
    "privacy_fault",
    "runtime_folder",
    "write_private",
]


# Users and folders


def make_private_folder(folder: Path) -> None:
    """Make a folder, and those above it, for this user alone; raises OSError.

    On Windows a folder below the user's own is private by what it inherits.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def privacy_fault(folder: Path) -> str | None:
    """Return why a folder is not this user's alone, or None; raises OSError where it cannot be looked at.

    Returns
    -------
    {"kind", "owner", "open"} or None
        It is a link or no folder; somebody else's; open to others. On Windows, whose rights are not in the mode, only
        the first is looked at.
    """
    status = os.lstat(folder)
    if not stat.S_ISDIR(status.st_mode):
        return "kind"
    if sys.platform == "win32":
        return None
    if status.st_uid != os.getuid():
        return "owner"
    return "open" if status.st_mode & 0o077 else None


def runtime_folder() -> Path:
    """Return the folder, not yet made, in which this user's processes meet.

    On Windows that is ``gossamer`` in ``%LOCALAPPDATA%``; elsewhere in ``$XDG_RUNTIME_DIR``, or ``gossamer-<user id>``
    in the folder for temporary files where there is no such folder or it is not this user's.
    """
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "gossamer"
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(runtime):
        with contextlib.suppress(OSError):
            if os.stat(runtime).st_uid == os.getuid():
                return Path(runtime) / "gossamer"
    return Path(tempfile.gettempdir()) / f"gossamer-{os.getuid()}"


def application_folders(home: Path) -> Iterator[Path]:
    """Yield the folders, there or not, in which the user of a home keeps settings: the system's own first.

    On Linux those of Flatpak's and Snap's GIMP follow.
    """
    if sys.platform == "win32":
        yield Path(os.environ.get("APPDATA") or home / "AppData" / "Roaming")
    elif sys.platform == "darwin":
        yield home / "Library" / "Application Support"
    else:
        configured = os.environ.get("XDG_CONFIG_HOME", "")
        yield Path(configured) if os.path.isabs(configured) else home / ".config"
        yield home / ".var" / "app" / "org.gimp.GIMP" / "config"
        yield home / "snap" / "gimp" / "current" / ".config"


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only this user may read, whole or not at all; raises OSError."""
    # mkstemp makes it for this user alone on every system.
    handle, draft = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(draft, path)
    except BaseException:
        os.unlink(draft)
        raise


def keep_rights(path: Path, status: os.stat_result) -> None:
    """Give a new file the owner, group and mode of the one that it replaces, as far as this user may."""
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            os.chown(path, status.st_uid, status.st_gid)
    with contextlib.suppress(OSError):
        path.chmod(stat.S_IMODE(status.st_mode))


# Sockets


def has_local_sockets() -> bool:
    """Whether sockets can lie in the file system here (not in Python for Windows)."""
    return hasattr(socket, "AF_UNIX")


def local_socket() -> socket.socket:
    """Return a new socket of the kind that lies in the file system; see :func:`has_local_sockets`."""
    if sys.platform == "win32":
        raise OSError("This system has no sockets in the file system.")
    return socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)


def is_socket(path: Path) -> bool:
    """Whether a socket lies there; raises OSError where nothing does."""
    return stat.S_ISSOCK(os.lstat(path).st_mode)


def is_of_this_user(connection: socket.socket) -> bool:
    """Whether the process at the other end of a local socket is this user's.

    Linux and macOS are asked; elsewhere the private folder alone guards the socket.
    """
    if sys.platform == "darwin":
        # struct xucred, <sys/ucred.h>: version, user, count of groups, 16 groups.
        version, user = struct.unpack_from("Ii", connection.getsockopt(0, 1, struct.calcsize("Iih2x16i")))
        return bool(version == 0 and user == os.getuid())
    if sys.platform != "linux":
        return True
    size = struct.calcsize("3i")
    _, user, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return bool(user == os.getuid())


# Processes


def new_group() -> dict[str, Any]:
    """Return what makes ``subprocess.Popen`` start a process that Ctrl-C and the terminal's end do not reach."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    return {"start_new_session": True}


def end_group(process: subprocess.Popen[Any], *, force: bool = False) -> None:
    """Ask a process that was started with :func:`new_group`, and those that it started, to end; `force`: at once.

    On Windows, which knows no groups of processes in this sense, its own children are ended by ``taskkill``.
    """
    if sys.platform == "win32":
        command = ["taskkill", "/T", "/PID", str(process.pid)]
        subprocess.run(command + ["/F"] * force, check=False, capture_output=True)
        if force:
            process.kill()
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL if force else signal.SIGTERM)


def has_posix_shell() -> bool:
    """Whether what people type goes to a shell like sh, not to Windows' PowerShell."""
    return sys.platform != "win32"


def core_count() -> int:
    """Return how many cores this process may run on."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def keep_to_cores(number: int, count: int) -> None:
    """Keep this process to its part of the cores: that of the `number`-th (from 0) of `count` processes.

    Where there are fewer cores than processes, each has one, which others have as well. Done on Linux alone: elsewhere
    all of them use all cores.
    """
    if sys.platform == "linux":
        cores = sorted(os.sched_getaffinity(0))
        first = number * len(cores) // count
        last = max(first + 1, (number + 1) * len(cores) // count)
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, cores[first:last])


def in_forked_child(function: Callable[[], object]) -> None:
    """Call `function` in every process that is forked from this one from now on, before anything else runs there."""
    if sys.platform != "win32":
        os.register_at_fork(after_in_child=function)
