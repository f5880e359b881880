from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.weights.server import Site, serve


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home for Gossamer, on a machine where no other program has weights."""
    for name in (
        "GOSSAMER_MODEL_PATH",
        "GOSSAMER_MIRROR",
        "GOSSAMER_OFFLINE",
        "COMFYUI_PATH",
        "HF_ENDPOINT",
        "HF_HUB_OFFLINE",
        "HF_TOKEN",
        "HF_TOKEN_PATH",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GOSSAMER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "huggingface"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("TRANSPARENT_BACKGROUND_FILE_PATH", str(tmp_path))
    monkeypatch.setenv("U2NET_HOME", str(tmp_path / "rembg"))
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    return tmp_path / "home"


@pytest.fixture
def models(home: Path) -> Path:
    """The folder that weights are fetched into."""
    folder = home / "models"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def site() -> Iterator[Site]:
    with serve() as site:
        yield site
