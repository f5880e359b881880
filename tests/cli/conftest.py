"""The real command line, in processes of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import PIL.Image
import pytest
import skimage.data

from tests.cached_weights import weights_home

Run = Callable[..., subprocess.CompletedProcess[bytes]]


@pytest.fixture
def gossamer(tmp_path: Path) -> Run:
    """Return a function that runs `gossamer ARGUMENTS` in tmp_path with the shared real weights."""

    def run(*arguments: object, stdin: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, "-m", "gossamer", *map(str, arguments)],
            input=stdin,
            capture_output=True,
            cwd=tmp_path,
            env={**os.environ, "GOSSAMER_HOME": str(weights_home()), **environment},
            timeout=300,
            check=False,
        )

    return run


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Iterator[Run]:
    """Return a function that does as `gossamer` does, in this process: for the many ways to be refused."""
    from gossamer.cli import main

    handler = signal.getsignal(signal.SIGTERM)

    def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[bytes]:
        command = list(map(str, arguments))
        with monkeypatch.context() as patched:
            patched.chdir(tmp_path)
            for name, value in {"GOSSAMER_HOME": str(weights_home()), **environment}.items():
                patched.setenv(name, value)
            status = main(command)
        return subprocess.CompletedProcess(command, status, *capfdbinary.readouterr())

    yield run
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    """Return the path of a real photograph: 451 x 300, JPEG."""
    path = tmp_path / "photo.jpg"
    PIL.Image.fromarray(skimage.data.chelsea()).save(path, quality=95)
    return path
