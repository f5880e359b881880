"""The real command line, inside this process or, where a test is about processes, in one of its own."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import PIL.Image
import pytest
import skimage.data

from gossamer.cli import main
from gossamer.files import drafts
from gossamer.warm import warm
from tests.cached_weights import weights_home

Run = Callable[..., subprocess.CompletedProcess[bytes]]


@pytest.fixture
def gossamer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> Iterator[Run]:
    """Return a function that does in tmp_path, in this process, what `gossamer ARGUMENTS` does in a new one."""
    ends = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def run(*arguments: object, stdin: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
        command = list(map(str, arguments))
        as_in_a_new_process()
        capfdbinary.readouterr()
        with monkeypatch.context() as patched, mock.patch.dict(os.environ, _environment(environment)):
            patched.chdir(tmp_path)
            patched.setattr(sys, "argv", ["gossamer", *command])
            patched.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
            try:
                status = main()
            finally:
                for number, handler in ends.items():
                    signal.signal(number, handler)
        return subprocess.CompletedProcess(command, status, *capfdbinary.readouterr())

    yield run
    as_in_a_new_process()


def as_in_a_new_process() -> None:
    """Forget what a process keeps from one command to the next: networks, and which folders have been swept."""
    warm.unload()
    drafts._swept.cache_clear()


@pytest.fixture
def process(tmp_path: Path) -> Run:
    """Return a function that runs `gossamer ARGUMENTS` in a process of its own: where that is what matters."""

    def run(*arguments: object, stdin: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, "-m", "gossamer", *map(str, arguments)],
            input=stdin,
            capture_output=True,
            cwd=tmp_path,
            env={**os.environ, **_environment(environment)},
            timeout=300,
            check=False,
        )

    return run


def _environment(more: dict[str, str]) -> dict[str, str]:
    """Return what a command finds in its environment, with the shared real weights."""
    return {"GOSSAMER_HOME": str(weights_home()), **more}


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    """Return the path of a real photograph: 451 x 300, JPEG."""
    path = tmp_path / "photo.jpg"
    PIL.Image.fromarray(skimage.data.chelsea()).save(path, quality=95)
    return path
