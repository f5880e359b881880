"""A tiny ViTMatte with seeded weights, of transformers' own classes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from gossamer.matting.vitmatte.network import VitMatte
from tests.matting.tiny_vitmatte import write_model


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Threads cost networks this small more time than they save."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "tiny-vitmatte")


@pytest.fixture(scope="module")
def model(folder: Path) -> VitMatte:
    return VitMatte.load(folder, device="cpu")


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test see the machine's own models, or fetch any."""
    monkeypatch.setenv("GOSSAMER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GOSSAMER_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("U2NET_HOME", str(tmp_path / "rembg"))
    for name in ("GOSSAMER_MODEL_PATH", "GOSSAMER_MIRROR", "COMFYUI_PATH", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
