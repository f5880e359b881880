# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs between systems for the plug-in's client, in this one place: where a worker is met, and how it starts.

The library has the other end of it in gossamer/platform.py and gossamer/worker/meeting.py, which the plug-in cannot
import: it is installed by itself, for GIMP's own Python. Tests hold the two together.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time

MARK = b"gossamer worker"
"""What the file begins with that tells a worker's port."""

_NONCE, _PROOF = 32, 32
_WATCH = 0.3  # seconds between looks at whether GIMP is still there
_GREETING = 10.0  # seconds that whoever sits at a port gets to prove that it is the worker


def runtime_folder() -> str:
    """Return the folder in which this user's processes meet."""
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA") or os.path.join(os.path.expanduser("~"), "AppData", "Local")
        return os.path.join(local, "gossamer")
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(runtime):
        try:
            if os.stat(runtime).st_uid == os.getuid():
                return os.path.join(runtime, "gossamer")
        except OSError:
            pass
    return os.path.join(tempfile.gettempdir(), f"gossamer-{os.getuid()}")


def is_private(folder: str) -> bool:
    """Whether a folder is this user's alone; on Windows, whose rights are not in the mode, whether it is a folder."""
    found = os.lstat(folder)
    if not stat.S_ISDIR(found.st_mode):
        return False
    return sys.platform == "win32" or (found.st_uid == os.getuid() and not found.st_mode & 0o077)


def open_log(path: str):
    """Open a log to add to; for this user alone, and not through a link."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
    return os.fdopen(os.open(path, flags, 0o600), "ab")


def detached() -> dict:
    """Return what makes ``subprocess.Popen`` start a process that outlives this one and keeps no folder in use."""
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
        return {"creationflags": flags, "cwd": os.path.expanduser("~")}
    return {"start_new_session": True, "cwd": "/"}


def end_with(parent: int) -> None:
    """End this process soon after the one that started it, GIMP: what waits for the worker would not notice."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_WATCH)
        os._exit(1)  # hangs up on the worker, which then gives up our picture

    if sys.platform != "win32":  # there the number stays when the process has gone
        threading.Thread(target=watch, name="gossamer watch", daemon=True).start()


def connect(path: str, timeout: float) -> socket.socket | None:
    """Return a line to the worker that is met at `path`, or None where none is; raises OSError.

    There lies a socket, or a file that tells a port and the secret that both sides prove to know.
    """
    record = _record(path)
    if record is None and not hasattr(socket, "AF_UNIX"):
        return None
    family = socket.AF_INET if record else socket.AF_UNIX
    line = socket.socket(family, socket.SOCK_STREAM)
    try:
        line.settimeout(timeout)
        line.connect(("127.0.0.1", record[0]) if record else path)
        if record:
            line.settimeout(min(timeout, _GREETING))
            if not _proved(line, record[1]):
                line.close()
                return None
            line.settimeout(timeout)
    except (FileNotFoundError, ConnectionRefusedError):
        line.close()
        return None
    except OSError:
        line.close()
        if record:  # the port is somebody else's by now
            return None
        raise
    return line


def _record(path: str) -> tuple[int, bytes] | None:
    """Return the port and the secret that a file tells, or None where it is no such file."""
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return None
        with open(path, "rb") as file:
            mark, _, rest = file.read(4096).partition(b"\n")
        if mark != MARK:
            return None
        said = json.loads(rest)
        return int(said["port"]), bytes.fromhex(said["secret"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _proved(line: socket.socket, secret: bytes) -> bool:
    """Prove to the worker that this is a client, and return whether the other side is the worker."""
    theirs, mine = _exactly(line, _NONCE), secrets.token_bytes(_NONCE)
    line.sendall(mine + hmac.digest(secret, b"client" + theirs + mine, "sha256"))
    proof = _exactly(line, _PROOF)
    return hmac.compare_digest(proof, hmac.digest(secret, b"worker" + theirs + mine, "sha256"))


def _exactly(line: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = line.recv(size - len(data))
        if not part:
            raise ConnectionResetError("the other side hung up")
        data += part
    return data
