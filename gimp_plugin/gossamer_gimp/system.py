# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs between systems, in this one place: where a worker is met and how it starts, where Pythons are found.

The library has the other end of it in gossamer/platform.py and gossamer/worker/meeting.py, which the plug-in cannot
import: it is installed by itself, for GIMP's own Python. Tests hold the two together.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time

if __package__:
    from .language import _
else:  # GIMP runs the plug-in from a folder
    from language import _

MARK = b"gossamer worker"
"""What the file begins with that tells a worker's port."""

_FOREIGN = ("PYTHON", "GI_", "LD_", "GEGL_", "BABL_")
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


def child_environment() -> dict[str, str]:
    """Return the environment for a process that is not GIMP: without what GIMP's own libraries need."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}


def data_folder() -> str:
    """Return the folder in which Set-up… puts what it makes, of this user alone and not GIMP's."""
    home = os.path.expanduser("~")
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or os.path.join(home, "AppData", "Local")
    elif sys.platform == "darwin":
        base = os.path.join(home, "Library", "Application Support")
    else:
        told = os.environ.get("XDG_DATA_HOME", "")
        base = told if os.path.isabs(told) else os.path.join(home, ".local", "share")
    return os.path.join(base, "gossamer", "gimp")


def python_of(environment: str) -> str:
    """Return the Python of a virtual environment."""
    parts = ("Scripts", "python.exe") if sys.platform == "win32" else ("bin", "python")
    return os.path.join(environment, *parts)


def python_commands() -> list[str]:
    """Return where Pythons can be that are worth a look, the best first; GIMP's own is among the last."""
    if sys.platform == "win32":
        names, folders = ("python.exe",), _registered_pythons()
    else:
        names = ("python3.13", "python3.12", "python3.11", "python3.14", "python3")
        folders = ["/opt/homebrew/bin", "/usr/local/bin"]
        folders += [f"/Library/Frameworks/Python.framework/Versions/3.{minor}/bin" for minor in (13, 12, 11, 14)]
    search = os.pathsep.join([os.environ.get("PATH", os.defpath), *folders])
    found = [shutil.which(name, path=search) for name in names]
    found += [shutil.which(name, path=folder) for folder in folders for name in names]
    found += [getattr(sys, "_base_executable", ""), sys.executable]
    return list(dict.fromkeys(path for path in found if path and not _is_only_a_shop(path)))


def _registered_pythons() -> list[str]:
    """Return the folders of the Pythons that Windows knows of, as PEP 514 has it, the newest first."""
    import winreg

    found = []
    for root in (winreg.HKEY_CURRENT_USER, winreg.HKEY_LOCAL_MACHINE):
        try:
            with winreg.OpenKey(root, r"Software\Python\PythonCore") as core:
                for number in range(winreg.QueryInfoKey(core)[0]):
                    name = winreg.EnumKey(core, number)
                    try:
                        folder = winreg.QueryValue(core, rf"{name}\InstallPath")
                    except OSError:
                        continue
                    version = tuple(int(part) for part in name.partition("-")[0].split(".") if part.isdecimal())
                    found.append((version, folder))
        except OSError:
            continue
    return [folder for _, folder in sorted(found, reverse=True)]


def _is_only_a_shop(path: str) -> bool:
    """Whether a python.exe of Windows is the empty one that opens the shop instead."""
    try:
        return sys.platform == "win32" and "windowsapps" in path.lower() and os.stat(path).st_size == 0
    except OSError:
        return sys.platform == "win32" and "windowsapps" in path.lower()


def python_advice() -> str:
    """Return how a Python is got on this system."""
    if sys.platform == "win32":
        return _("Install Python from python.org or the Microsoft Store, or uv, and try again.")
    if sys.platform == "darwin":
        return _("Install Python from python.org or with Homebrew, or uv, and try again.")
    if is_sandboxed():
        return _("GIMP runs in a sandbox that has none: use a GIMP 3 from your system's packages or its AppImage.")
    return _("Install Python with your system's package manager, or uv, and try again.")


def venv_advice() -> str:
    """Return how a Python comes to be able to make environments on this system."""
    if sys.platform == "linux" and shutil.which("apt-get") and not is_sandboxed():
        return _("Type in a terminal: sudo apt install python3-venv")
    return python_advice()


def in_group() -> dict:
    """Return what makes ``subprocess.Popen`` start a process without a window that :func:`end_group` can end."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    return {"start_new_session": True}


def end_group(child: subprocess.Popen) -> None:
    """End a process that was started :func:`in_group`, and those that it has started."""
    if child.poll() is not None:
        return
    try:
        if sys.platform == "win32":
            command = ["taskkill", "/T", "/F", "/PID", str(child.pid)]
            subprocess.run(command, check=False, capture_output=True, creationflags=subprocess.CREATE_NO_WINDOW)
        else:
            os.killpg(child.pid, signal.SIGKILL)
    except OSError:
        pass
    child.kill()


def is_running(pid: int) -> bool:
    """Whether there is such a process."""
    if sys.platform == "win32":  # where os.kill would end it
        import ctypes

        handle = ctypes.windll.kernel32.OpenProcess(0x1000, False, pid)  # to ask for what everybody may know
        if handle:
            ctypes.windll.kernel32.CloseHandle(handle)
        return bool(handle)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def is_sandboxed() -> bool:
    """Whether GIMP runs in a sandbox that shows it another system than the user's."""
    return os.path.exists("/.flatpak-info") or bool(os.environ.get("SNAP"))


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


def end_with(parent: int, last=lambda: None) -> None:
    """End this process soon after the one that started it, GIMP, and call `last` before.

    What waits for the worker would not notice.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_WATCH)
        last()
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
