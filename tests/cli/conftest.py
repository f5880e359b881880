"""The real command line, in processes of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
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
def photograph(tmp_path: Path) -> Path:
    """Return the path of a real photograph: 451 x 300, JPEG."""
    path = tmp_path / "photo.jpg"
    PIL.Image.fromarray(skimage.data.chelsea()).save(path, quality=95)
    return path
