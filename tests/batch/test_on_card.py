"""A batch on a card, for which torch's processor stands in: pictures that wait go through the network together."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gossamer.batch import engine
from gossamer.networks.torch_network import TorchNetwork
from gossamer.pipeline import remove_background
from gossamer.progress import Progress
from gossamer.settings import Recipe
from tests.batch.conftest import Batch, photograph
from tests.cached_weights import weights_home

COUNT = 5


def test_pictures_that_wait_go_together_and_come_out_as_alone(
    batch: Batch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_num_threads(1)
    file = weights_home() / "models" / "u2netp.onnx"
    read, sizes = TorchNetwork.read, []

    def slow(self: TorchNetwork, pixels: np.ndarray, reading: object, progress: Progress) -> np.ndarray:
        sizes.append(len(pixels))
        time.sleep(0.3)  # in which the others are read
        return read(self, pixels, reading, progress)

    monkeypatch.setattr(TorchNetwork, "takes_pictures", True)
    monkeypatch.setattr(TorchNetwork, "read", slow)
    monkeypatch.setattr(engine, "likely_device", lambda device, runtime: "cuda")
    paths = [photograph(tmp_path / "in" / f"{number}.png", number) for number in range(COUNT)]
    how = ["--model", str(file), "--architecture", "u2netp", "--runtime", "torch", "--device", "cpu"]
    how += ["--matting", "none", "--foreground", "blur_fusion", "--no-check", "--json"]
    shown = batch(tmp_path / "in", "--out", tmp_path / "out", *how, keyed=False)
    assert (shown.status, shown.summary["done"]) == (0, COUNT)
    assert sum(sizes) == COUNT
    assert len(sizes) < COUNT
    monkeypatch.setattr(TorchNetwork, "takes_pictures", False)
    recipe = Recipe.of({"matting": {"method": "none"}, "foreground": {"method": "blur_fusion"}})
    for path in paths:
        alone = remove_background(path, recipe, model=str(file), architecture="u2netp", runtime="torch", device="cpu")
        found = np.asarray(Image.open(tmp_path / "out" / path.name).convert("RGBA"))[..., 3] / 255
        assert np.abs(found - alone.alpha).max() <= 1.01 / 255


def test_without_a_card_or_a_model_there_is_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    from gossamer.settings import ModelChoice

    asked: list[str] = []
    monkeypatch.setattr(engine, "likely_device", lambda device, runtime: asked.append(device) or "cpu")
    assert engine._finders(ModelChoice(model="none")) == 1
    assert asked == []
    assert engine._finders(ModelChoice(device="cpu")) == 1
