"""Real workers in processes of their own, and the plug-in's own client to talk to them."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data

from gossamer import __version__
from gossamer_gimp import system
from gossamer_gimp.client import Client, Picture, Result, Settings
from tests.cached_weights import weights_home

SLOW = {"matting": "closed_form", "matting_band": 60}

Start = Callable[..., "Worker"]


class Worker:
    """A running worker process."""

    def __init__(self, path: Path, *arguments: str, **environment: str) -> None:
        self.path = path
        self.log = path.parent.parent / f"{path.parent.name}.log"
        self.lines: list[Line] = []
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-m", "gossamer", "worker", "--socket", str(path), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "GOSSAMER_HOME": str(weights_home()), **environment},
            )

    def wait_until_it_serves(self) -> Worker:
        for _ in range(600):
            if f"process {self.process.pid}" in self.log.read_text():
                return self
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.05)
        raise AssertionError("the worker does not serve")

    def client(self) -> Client:
        return Client(settings(), str(self.path))

    def line(self) -> Line:
        self.lines.append(Line(self.path))
        return self.lines[-1]

    def hang_up(self) -> None:
        while self.lines:
            self.lines.pop().close()

    def end(self) -> int:
        self.hang_up()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


class Line:
    """A bare connection that can say what no client of ours would."""

    def __init__(self, path: Path) -> None:
        line = system.connect(str(path), 60)
        assert line is not None
        self.socket = line

    def say(self, header: Any, payload: bytes = b"") -> Line:
        if payload and "payload" not in header:
            header = {**header, "payload": len(payload)}
        text = json.dumps(header).encode()
        self.socket.sendall(struct.pack(">I", len(text)) + text + payload)
        return self

    def greet(self, protocol: Any = 2) -> dict[str, Any]:
        return self.say({"gossamer": __version__, "protocol": protocol}).hear()

    def hear(self) -> dict[str, Any]:
        (length,) = struct.unpack(">I", self._exactly(4))
        header = json.loads(self._exactly(length))
        header["data"] = self._exactly(header["payload"])
        return header

    def is_closed(self) -> bool:
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self.socket.close()

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = self.socket.recv(size - len(data))
            assert part, "the worker hung up"
            data += part
        return data

    def ask(self, width: int, height: int, data: bytes, options: Any = None) -> Line:
        """Open a picture, have its subject found, and ask for its matte."""
        self.say({"request": "open", "width": width, "height": height}, data)
        assert self.hear()["type"] == "opened"
        self.say({"request": "segment", "picture": 1, "model": "u2netp"})
        while self.hear()["type"] == "progress":
            pass
        return self.say({"request": "refine", "picture": 1, "options": options or {}})


def ask_slowly(worker: Worker, array: np.ndarray) -> Line:
    line = worker.line()
    line.greet()
    height, width = array.shape[:2]
    line.ask(width, height, array.tobytes(), SLOW)
    while "Refining" not in line.hear().get("message", ""):
        pass
    return line


def cut_out(
    client: Client,
    picture: Picture,
    options: Any = None,
    *,
    model: str = "u2netp",
    foreground: bool = False,
    existing_alpha: str = "multiply",
    progress: Any = None,
) -> Result:
    """Have one picture cut out, from opening it to closing it."""
    number = client.open(picture, existing_alpha)
    try:
        first = progress and (lambda fraction, text: progress(0.7 * fraction, text))
        then = progress and (lambda fraction, text: progress(0.7 + 0.3 * fraction, text))
        client.segment(number, model=model, options=options or {}, progress=first)
        return client.refine(number, options or {}, foreground=foreground, progress=then)
    finally:
        client.close(number)


def settings(**changed: Any) -> Settings:
    return Settings(**{"python": sys.executable, "flags": ("-I",), "gossamer": __version__, "protocol": 2, **changed})


def picture(array: np.ndarray) -> Picture:
    dtype = {np.uint8: "u8", np.uint16: "u16", np.float32: "float32"}[array.dtype.type]
    return Picture(array.shape[1], array.shape[0], array.shape[2], dtype, array.tobytes())


@pytest.fixture(scope="module", params=["unix", pytest.param("tcp", marks=pytest.mark.long)])
def way(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where client and worker meet, in this process and in those that it starts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GOSSAMER_SOCKET", request.param)
        yield request.param


@pytest.fixture
def start(tmp_path: Path, way: str) -> Iterator[Start]:
    """Return a function that starts a worker: ``start(*arguments, path=..., **environment)``."""
    started: list[Worker] = []

    def go(*arguments: str, path: Path | None = None, **environment: str) -> Worker:
        started.append(Worker(path or tmp_path / "private" / "w.sock", *arguments, **environment))
        return started[-1]

    yield go
    for worker in started:
        worker.end()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, way: str) -> Iterator[Worker]:
    """One warm worker for tests that leave it as it was."""
    worker = Worker(tmp_path_factory.mktemp("worker") / "private" / "w.sock").wait_until_it_serves()
    yield worker
    assert worker.end() == 0


@pytest.fixture(scope="session")
def photograph() -> np.ndarray:
    """A woman before a busy background: (256, 256, 3) uint8."""
    return np.ascontiguousarray(skimage.data.astronaut()[::2, ::2])


@pytest.fixture(scope="session")
def slow_picture() -> np.ndarray:
    """A picture that closed-form matting works on for seconds: (1024, 1024, 3) uint8."""
    return np.ascontiguousarray(skimage.data.astronaut().repeat(2, 0).repeat(2, 1))
