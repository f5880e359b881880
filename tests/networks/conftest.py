from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch

from gossamer.networks.state_dict import load_network
from tests.cached_weights import weights_home


@pytest.fixture(scope="session")
def models() -> Path:
    """Return the folder with the real weights."""
    return weights_home() / "models"


@pytest.fixture(scope="session")
def u2netp(models: Path) -> torch.nn.Module:
    """Return the small U²-Net with its real weights; not to be changed."""
    return load_network(models / "u2netp.onnx", "u2netp")


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Run torch on one thread: on small maps, threads that share a busy core mostly wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def batch(size: int, count: int = 2) -> np.ndarray:
    """Return real photographs, normalised as ImageNet's, (count, 3, size, size) float32."""
    pictures = [skimage.data.chelsea(), skimage.data.astronaut(), skimage.data.coffee()][:count]
    tensors = [
        torch.nn.functional.interpolate(
            torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 255, (size, size), mode="bilinear"
        )
        for picture in pictures
    ]
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return ((torch.cat(tensors) - mean[:, None, None]) / std[:, None, None]).numpy()
