# SPDX-License-Identifier: GPL-3.0-or-later
"""The plug-in's end of the line to the gossamer worker: standard library only, no gi.

GIMP's own Python has no numpy and no gossamer, so the work is done by a worker process in the virtual
environment that ``gossamer gimp install`` wrote into ``worker.json``. It is started when nobody answers where
it is met (see system.py), stays for the next pictures, and ends by itself when it is no longer asked.

A frame is the length of its header (four bytes, big endian), the header (a JSON object) and as many raw bytes
as the header's ``payload`` says. See ``gossamer/worker/protocol.py`` for what is said.
"""

from __future__ import annotations

import json
import os
import re
import socket
import struct
import subprocess
import sys
import time
from dataclasses import dataclass

if __package__:
    from . import system
else:  # GIMP runs the plug-in from a folder
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import system

PROTOCOL = 1

_LENGTH = struct.Struct(">I")
_START = 60.0  # seconds that a worker gets to answer after its start, on a cold disk
_END = 60.0  # seconds that an outdated worker gets to finish what it has in hand
_ANSWER = 900.0  # seconds of silence after which a worker at work counts as dead
_LOG_LIMIT = 1 << 20
_FOREIGN = ("PYTHON", "GI_", "LD_", "GEGL_", "BABL_")
_AGAIN = "Open a terminal and type: gossamer gimp install"


class WorkerFailure(Exception):
    """The worker could not be started or reached, or refused; the text is for people."""


@dataclass(frozen=True)
class Settings:
    """What ``gossamer gimp install`` wrote down: whose Python runs the worker, and how."""

    python: str
    flags: tuple[str, ...]
    gossamer: str
    protocol: int

    @classmethod
    def read(cls, folder: str) -> Settings:
        """Read ``worker.json`` in the plug-in's folder."""
        path = os.path.join(folder, "worker.json")
        try:
            with open(path, encoding="utf-8") as file:
                data = json.load(file)
            settings = cls(data["python"], tuple(data["flags"]), data["gossamer"], data["protocol"])
        except FileNotFoundError:
            raise WorkerFailure(f"The plug-in does not know where Gossamer is installed. {_AGAIN}") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise WorkerFailure(f"{path} cannot be used ({error}). {_AGAIN}") from None
        if settings.protocol != PROTOCOL:
            raise WorkerFailure(f"The plug-in and Gossamer {settings.gossamer} do not fit together. {_AGAIN}")
        return settings


@dataclass(frozen=True)
class Picture:
    """Pixels, row by row: `dtype` is u8, u16 or float32, in the machine's byte order."""

    width: int
    height: int
    channels: int
    dtype: str
    data: bytes


@dataclass(frozen=True)
class Result:
    """What the worker answered: planes in the picture's dtype, and its report."""

    alpha: memoryview
    foreground: memoryview | None
    report: dict


def socket_path() -> str:
    """Return where the worker is met: in a folder of this user alone."""
    return os.path.join(system.runtime_folder(), "worker.sock")


def child_environment() -> dict[str, str]:
    """Return the environment for a process that is not GIMP: without what GIMP's own libraries need."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}


class Client:
    """A conversation with the worker; use it in a ``with``.

    Parameters
    ----------
    settings : Settings
        How to start the worker where none answers.
    path : str, optional
        The socket; :func:`socket_path` without it.
    status : callable, optional
        ``status(text)``: told what is waited for.

    Attributes
    ----------
    started : subprocess.Popen or None
        The worker, where this client started it; it outlives the client.
    """

    def __init__(self, settings: Settings, path: str | None = None, status=None) -> None:
        self._settings = settings
        self._path = path or socket_path()
        self._log = os.path.join(os.path.dirname(self._path), "worker.log")
        self._status = status or (lambda text: None)
        self.started: subprocess.Popen | None = None
        self._line = self._connect()

    def __enter__(self) -> Client:
        """Return itself."""
        return self

    def __exit__(self, *_) -> None:
        """Hang up; a picture in work is given up."""
        self._line.close()

    def remove(
        self,
        picture: Picture,
        options: dict,
        *,
        model="auto",
        foreground=False,
        existing_alpha="multiply",
        progress=None,
    ) -> Result:
        """Cut the subject out.

        Parameters
        ----------
        picture : Picture
            RGB or RGBA.
        options : dict
            Settings by their flat names.
        model : str
            An id of the catalogue, or ``auto``.
        foreground : bool
            Ask for the subject's own colours too.
        existing_alpha : {"multiply", "keep"}
            ``keep``: the alpha answered is the matte alone, and the picture's own comes with the colours.
        progress : callable, optional
            ``progress(fraction, text)``.

        Raises
        ------
        WorkerFailure
            It went wrong; the text says why and what to do.
        """
        header = {
            "request": "remove",
            "width": picture.width,
            "height": picture.height,
            "channels": picture.channels,
            "dtype": picture.dtype,
            "model": model,
            "options": options,
            "foreground": foreground,
            "existing_alpha": existing_alpha,
        }
        try:
            self._send(header, picture.data)
        except OSError:
            pass  # turned away before it had read everything: its answer says why
        while True:
            answer, payload = self._receive()
            if answer.get("type") == "result":
                break
            if answer.get("type") == "progress" and progress is not None:
                progress(answer["fraction"], answer["message"])
        plane = picture.width * picture.height * {"u8": 1, "u16": 2, "float32": 4}[picture.dtype]
        if len(payload) != plane * (1 + answer["foreground"]):
            raise WorkerFailure(f"The worker's answer has a wrong size. {_AGAIN}")
        view = memoryview(payload)
        return Result(view[:plane], view[plane:] if answer["foreground"] else None, answer["report"])

    def models(self) -> list[dict]:
        """Return what the worker knows of models: ``id``, ``title``, ``licence``, ``installed``."""
        self._send({"request": "models"})
        return self._receive()[0]["models"]

    def ping(self) -> dict:
        """Ask for a sign of life: ``pid`` and ``busy``."""
        self._send({"request": "ping"})
        return self._receive()[0]

    def shutdown(self) -> None:
        """Ask the worker to end, and wait until it has."""
        _shut_down(self._line)

    def _connect(self) -> socket.socket:
        line = self._reach()
        greeting = None if line is None else self._greet(line)
        if greeting is not None and "protocol" in greeting and self._is_outdated(greeting):
            self._status("Ending an older worker")
            _shut_down(line)
            line = greeting = None
        if greeting is None:
            self._status("Starting the worker")
            line, greeting = self._start()
        if "protocol" not in greeting:
            line.close()
            raise WorkerFailure(f"{greeting.get('message')} {greeting.get('remedy')}")
        if greeting.get("protocol") != PROTOCOL:
            line.close()
            version = greeting.get("gossamer", "?")
            raise WorkerFailure(f"The plug-in does not fit the worker, which is of Gossamer {version}. {_AGAIN}")
        line.settimeout(_ANSWER)
        return line

    def _is_outdated(self, greeting: dict) -> bool:
        return _numbers(greeting.get("gossamer")) < _numbers(self._settings.gossamer)

    def _reach(self) -> socket.socket | None:
        """Connect, or return None where nobody listens."""
        folder = os.path.dirname(self._path)
        try:
            private = system.is_private(folder)
        except FileNotFoundError:
            return None
        if not private:
            raise WorkerFailure(f"The folder {folder} is not private to you. Remove it and try again.")
        try:
            return system.connect(self._path, _START)
        except OSError as error:
            raise WorkerFailure(f"The worker cannot be reached at {self._path}: {error}.") from None

    def _greet(self, line: socket.socket) -> dict | None:
        """Shake hands; None where the other side ended just now."""
        try:
            _send(line, {"gossamer": self._settings.gossamer, "protocol": PROTOCOL})
            return _receive(line)[0]
        except TimeoutError:
            line.close()
            raise WorkerFailure(
                f"A process at {self._path} accepts pictures but does not answer. End it and try again."
            ) from None
        except (EOFError, OSError):
            line.close()
            return None

    def _start(self) -> tuple[socket.socket, dict]:
        """Start a worker and return the line to it; where another starter was quicker, to that one's."""
        python = self._settings.python
        if not os.path.exists(python):
            sandbox = os.path.exists("/.flatpak-info")
            why = " (GIMP runs in a sandbox that may hide it)" if sandbox else ""
            raise WorkerFailure(f"The Python that Gossamer was installed in is gone{why}: {python}. {_AGAIN}")
        command = [python, *self._settings.flags, "-m", "gossamer", "worker", "--socket", self._path]
        try:
            os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
            with self._open_log() as log:
                before = log.seek(0, os.SEEK_END)
                self.started = child = subprocess.Popen(
                    command,
                    env=child_environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    **system.detached(),
                )
        except OSError as error:
            raise WorkerFailure(f"The worker could not be started with {python}: {error}. {_AGAIN}") from None
        until = time.monotonic() + _START
        while time.monotonic() < until:
            line = self._reach()
            greeting = None if line is None else self._greet(line)
            if line is not None and greeting is not None:
                return line, greeting
            if child.poll():
                why = f"The worker could not start (exit status {child.returncode})."
                raise WorkerFailure(f"{why} {_AGAIN}{self._said(before)}")
            time.sleep(0.05)
        child.kill()
        child.wait()
        raise WorkerFailure(f"The worker did not answer within {_START:g} seconds.{self._said(before)}")

    def _open_log(self):
        log = system.open_log(self._log)
        if log.seek(0, os.SEEK_END) > _LOG_LIMIT:
            log.truncate(0)
        return log

    def _said(self, start: int = 0) -> str:
        """Return the last lines of the worker's log, for an error's text."""
        try:
            with open(self._log, "rb") as log:
                log.seek(max(start, log.seek(0, os.SEEK_END) - 2000))
                lines = log.read().decode("utf-8", "replace").strip().splitlines()
        except OSError:
            lines = []
        return "\n\nThe worker said:\n" + "\n".join(lines[-6:]) if lines else ""

    def _send(self, header: dict, payload: bytes = b"") -> None:
        _send(self._line, header, payload)

    def _receive(self) -> tuple[dict, bytearray]:
        """Receive one frame; an error frame is raised."""
        try:
            header, payload = _receive(self._line)
        except TimeoutError:
            raise WorkerFailure(f"The worker has not answered for {_ANSWER:g} seconds.{self._said()}") from None
        except (EOFError, OSError, ValueError):
            raise WorkerFailure(f"The worker ended in the middle of the work. Try again.{self._said()}") from None
        if header.get("type") == "error":
            raise WorkerFailure(f"{header.get('message', '')} {header.get('remedy', '')}".strip())
        return header, payload


def _send(line: socket.socket, header: dict, payload: bytes = b"") -> None:
    text = json.dumps({**header, "payload": len(payload)}).encode()
    line.sendall(_LENGTH.pack(len(text)) + text)
    if payload:
        line.sendall(payload)


def _receive(line: socket.socket) -> tuple[dict, bytearray]:
    (length,) = _LENGTH.unpack(_exactly(line, _LENGTH.size))
    header = json.loads(_exactly(line, length))
    return header, _exactly(line, header.get("payload", 0))


def _exactly(line: socket.socket, size: int) -> bytearray:
    data = bytearray(size)
    view = memoryview(data)
    while view:
        count = line.recv_into(view)
        if not count:
            raise EOFError
        view = view[count:]
    return data


def _shut_down(line: socket.socket) -> None:
    """Ask a worker to end; its hanging up says that it has."""
    try:
        line.settimeout(_END)
        _send(line, {"request": "shutdown"})
        while line.recv(1 << 12):
            pass
    except TimeoutError:
        raise WorkerFailure("An older worker is still busy with another picture. Try again later.") from None
    except OSError:
        pass
    finally:
        line.close()


def _numbers(version: object) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", str(version))[:3])
