"""The service in this process, and real ones in processes of their own."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import skimage.data

pytest.importorskip("fastapi")
pytest.importorskip("prometheus_client")
httpx = pytest.importorskip("httpx")

from starlette.testclient import TestClient  # noqa: E402

from gossamer.service import app  # noqa: E402
from gossamer.settings.service import Service  # noqa: E402
from tests.cached_weights import weights_home  # noqa: E402

Client = Callable[..., TestClient]


def png(array: np.ndarray) -> bytes:
    made = io.BytesIO()
    PIL.Image.fromarray(array).save(made, "PNG")
    return made.getvalue()


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(PIL.Image.open(io.BytesIO(data)))


@pytest.fixture(scope="session")
def screen() -> np.ndarray:
    """A red square on a green screen, of which the matting key is certain: (96, 128, 3) uint8."""
    picture = np.empty((96, 128, 3), np.uint8)
    picture[:] = (0, 177, 64)
    picture[24:72, 40:88] = (200, 30, 40)
    return picture


KEYED = {"model": "none", "matting": "key"}


@pytest.fixture(scope="session")
def photograph() -> np.ndarray:
    """A woman before a busy background: (256, 256, 3) uint8."""
    return np.ascontiguousarray(skimage.data.astronaut()[::2, ::2])


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """Return a function that makes a client of a service with these settings."""
    monkeypatch.setenv("GOSSAMER_HOME", str(weights_home()))
    opened: list[TestClient] = []

    def go(**settings: Any) -> TestClient:
        made = TestClient(app(Service(**{"model": "u2netp", **settings})), base_url="http://127.0.0.1")
        opened.append(made.__enter__())
        return opened[-1]

    yield go
    for each in opened:
        each.__exit__(None, None, None)


class Server:
    """A running ``gossamer serve``."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.log = folder / f"serve-{time.monotonic_ns()}.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gossamer", "serve", "--port", "0", "--model", "u2netp", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "GOSSAMER_HOME": str(weights_home())},
            )
        for _ in range(1200):
            found = re.search(r"Serving at (http://\S+)", self.log.read_text())
            if found:
                self.url = found[1]
                return
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.05)
        raise AssertionError("the service does not serve")

    def end(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    started: list[Server] = []

    def go(*arguments: str) -> Server:
        started.append(Server(tmp_path, *arguments))
        return started[-1]

    yield go
    for each in started:
        each.end()
