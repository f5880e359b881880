"""The plug-in's client where the worker cannot be had; what it does with a good one is in test_server.py."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gossamer.platform import local_socket
from gossamer.worker.server import private_folder
from gossamer_gimp import client as module
from gossamer_gimp.client import Client, Picture, WorkerFailure
from gossamer_gimp.system import child_environment
from tests.worker.conftest import settings


def python(folder: Path, body: str) -> str:
    """Return a program that stands for a Python with a broken gossamer."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "private" / "w.sock")


def test_a_worker_that_dies_is_quoted(tmp_path: Path, path: str) -> None:
    program = python(tmp_path, "echo a secret of long ago >&2; exit 1")
    with pytest.raises(WorkerFailure):
        Client(settings(python=program), path)
    program = python(tmp_path, 'for n in 1 2 3 4 5 6 7 8; do echo "line $n: $*" >&2; done; exit 3')
    with pytest.raises(WorkerFailure) as caught:
        Client(settings(python=program), path)
    text = str(caught.value)
    assert "exit status 3" in text
    assert "gossamer gimp install" in text
    assert f"line 8: -I -m gossamer worker --socket {path}" in text
    assert "line 2" not in text
    assert "long ago" not in text
    assert stat.S_IMODE(os.stat(tmp_path / "private").st_mode) == 0o700
    assert stat.S_IMODE(os.stat(tmp_path / "private" / "worker.log").st_mode) == 0o600


def test_a_worker_that_never_answers_is_ended(tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_START", 0.5)
    program = python(tmp_path, f"echo $$ > {tmp_path}/pid; echo thinking; exec sleep 60")
    with pytest.raises(WorkerFailure, match=r"did not answer within 0.5 seconds(.|\n)*thinking"):
        Client(settings(python=program), path)
    pid = int((tmp_path / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_python_that_is_gone(path: str) -> None:
    with pytest.raises(WorkerFailure, match=r"is gone: /nowhere/python.*gossamer gimp install"):
        Client(settings(python="/nowhere/python"), path)


def test_a_python_that_is_none(tmp_path: Path, path: str) -> None:
    (tmp_path / "python").write_text("no program")
    with pytest.raises(WorkerFailure, match="could not be started"):
        Client(settings(python=str(tmp_path / "python")), path)


class Impostor:
    """A process that sits at the socket and is no worker."""

    def __init__(self, path: str, answer: bytes) -> None:
        private_folder(Path(path).parent)
        self.listener = local_socket()
        self.listener.bind(path)
        self.listener.listen(1)
        self.thread = threading.Thread(target=self._answer, args=(answer,))
        self.thread.start()

    def _answer(self, answer: bytes) -> None:
        line, _ = self.listener.accept()
        with line:
            line.recv(1 << 16)
            line.sendall(answer)
            line.recv(1 << 16)

    def __enter__(self) -> Impostor:
        return self

    def __exit__(self, *_: Any) -> None:
        self.thread.join(10)
        self.listener.close()


def test_a_newer_worker_of_another_protocol(path: str) -> None:
    hello = b'{"type": "error", "message": "m", "remedy": "r", "gossamer": "99.1", "protocol": 99}'
    with Impostor(path, len(hello).to_bytes(4, "big") + hello):
        with pytest.raises(WorkerFailure, match=r"of Gossamer 99\.1.*gossamer gimp install"):
            Client(settings(), path)


def test_a_worker_that_is_ended_by_a_library_is_quoted_with_what_it_said_since(path: str) -> None:
    log = Path(path).parent / "worker.log"

    class Ended(Impostor):
        def _answer(self, answer: bytes) -> None:
            line, _ = self.listener.accept()
            with line, log.open("a") as file:
                line.recv(1 << 16)
                line.sendall(answer)
                file.write("a warning of long ago\n")
                file.flush()
                line.recv(1 << 16)
                file.write("terminate called after throwing an instance of 'std::bad_alloc'\n")

    frame = json.dumps({"type": "hello", "gossamer": settings().gossamer, "protocol": 2, "payload": 0}).encode()
    with Ended(path, len(frame).to_bytes(4, "big") + frame), Client(settings(), path) as client:
        while not log.exists() or not log.stat().st_size:
            time.sleep(0.01)
        with pytest.raises(WorkerFailure) as caught:
            client.ping()
    text = str(caught.value)
    assert text.startswith("The worker ended in the middle of the work. Try again: it starts anew.\n\nThe worker said:")
    assert text.endswith("'std::bad_alloc'")
    assert "long ago" not in text


def test_a_worker_that_ends_while_colours_come_is_told_of(path: str) -> None:
    def frame(header: dict[str, Any], payload: bytes = b"", missing: int = 0) -> bytes:
        text = json.dumps({**header, "payload": len(payload) + missing}).encode()
        return len(text).to_bytes(4, "big") + text + payload

    class Broken(Impostor):
        def _answer(self, answer: bytes) -> None:
            line, _ = self.listener.accept()
            result = {"type": "result", "foreground": 3, "background": 0, "report": {}}
            with line:
                for said in (
                    frame({"type": "hello", "gossamer": settings().gossamer, "protocol": 2}),
                    frame({"type": "opened", "picture": 1}),
                    frame(result, bytes(300), 100),
                ):
                    line.recv(1 << 16)
                    line.sendall(said)

    taken: list[bytes] = []

    def taking(name: str, size: int, take: Callable[[int], bytes]) -> None:
        taken.append(take(200))
        taken.append(take(size - 200))

    with Broken(path, b""), Client(settings(), path) as client:
        number = client.open(Picture(10, 10, 3, "u8", bytes(300)))
        with pytest.raises(WorkerFailure, match="The worker ended in the middle of the work"):
            client.refine(number, {}, foreground=True, taking=taking)
        assert client.is_closed
    assert taken == [bytes(200)]


def test_a_process_that_does_not_answer(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_START", 0.3)
    with Impostor(path, b""), pytest.raises(WorkerFailure, match="does not answer"):
        Client(settings(), path)


def test_a_child_has_nothing_of_gimp_s_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONHOME", "PYTHONPATH", "GI_TYPELIB_PATH", "LD_LIBRARY_PATH", "GEGL_PATH", "BABL_PATH"):
        monkeypatch.setenv(name, "/gimp")
    monkeypatch.setenv("GOSSAMER_HOME", "/models")
    environment = child_environment()
    assert not [name for name in environment if name.startswith(("PYTHON", "GI_", "LD_", "GEGL_", "BABL_"))]
    assert environment["GOSSAMER_HOME"] == "/models"
    assert environment["PATH"] == os.environ["PATH"]


def test_the_log_does_not_grow_for_ever(tmp_path: Path, path: str) -> None:
    log = private_folder(tmp_path / "private") / "worker.log"
    log.write_bytes(b"x" * (2 << 20))
    with pytest.raises(WorkerFailure):
        Client(settings(python=python(tmp_path, "echo oh; exit 1")), path)
    assert log.read_bytes() == b"oh\n"


def test_the_client_needs_the_standard_library_alone() -> None:
    program = f"import runpy; runpy.run_path({module.__file__!r})"
    subprocess.run([sys.executable, "-I", "-S", "-c", program], check=True)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_client_ends_with_who_started_it(tmp_path: Path) -> None:
    folder = str(Path(module.__file__).parent)
    child = f"import os, sys, time; sys.path.insert(0, {folder!r}); import system; system.end_with(os.getppid())"
    child += "; print(os.getpid(), flush=True); time.sleep(60)"
    starter = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {child!r}]); time.sleep(60)"
    parent = subprocess.Popen([sys.executable, "-c", starter], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    until = time.monotonic() + 10
    while is_running(pid):
        assert time.monotonic() < until
        time.sleep(0.05)


def test_an_answer_is_not_believed_to_be_larger_than_what_was_asked_for(path: str) -> None:
    frame = b'{"type": "hello", "gossamer": "99.1", "protocol": 2, "payload": 900000000000}'
    with Impostor(path, len(frame).to_bytes(4, "big") + frame), pytest.raises(WorkerFailure):
        Client(settings(python="/nowhere/python"), path)
