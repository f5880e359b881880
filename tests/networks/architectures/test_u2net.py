"""U²-Net and IS-Net beside numbers measured from their authors' own code (xuebinqin/U-2-Net, xuebinqin/DIS)."""

from __future__ import annotations

import hashlib
import math

import pytest
import torch

from gossamer.networks.architectures.networks import build

pytestmark = pytest.mark.usefixtures("one_thread")


def seeded(network: torch.nn.Module) -> torch.nn.Module:
    """Set every weight to a number that only its name and place decide, on every machine."""
    for name, tensor in network.state_dict().items():
        if not tensor.is_floating_point():
            continue
        phase = int(hashlib.sha256(name.encode()).hexdigest()[:6], 16) / 2**24
        waves = torch.sin(torch.arange(tensor.numel(), dtype=torch.float64) * 1.7 + 2 * math.pi * phase)
        if name.endswith("running_var"):
            values = 1 + 0.5 * waves
        elif "bn_s1.weight" in name:
            values = 1 + 0.3 * waves
        elif name.endswith("weight"):
            values = waves * math.sqrt(2 / (tensor.numel() / tensor.shape[0]))
        else:
            values = 0.2 * waves
        tensor.copy_(values.reshape(tensor.shape))
    return network


def pictures(height: int, width: int) -> torch.Tensor:
    waves = torch.arange(2 * 3 * height * width, dtype=torch.float64)
    return (torch.sin(waves * 0.013) + 0.5 * torch.cos(waves * 0.71)).reshape(2, 3, height, width).float()


# Made with the authors' classes U2NET, U2NETP (first output) and ISNetDIS (first side output), whose weights were set
# by `seeded`: the digest of the names and shapes of their state dict, and probabilities of the second picture.
AUTHORS = {
    "u2net": (
        "bc4da5825d16dca6d2f5e1918decccd1dd746582b1610ef654da4b4638a5cff7",
        [
            0.469441,
            0.467329,
            0.470559,
            0.470921,
            0.470154,
            0.477251,
            0.469089,
            0.465279,
            0.473449,
            0.48048,
            0.472469,
            0.462611,
            0.474917,
            0.471611,
            0.46081,
            0.457166,
            0.482449,
            0.467034,
            0.468087,
            0.475675,
            0.469557,
            0.470759,
            0.465434,
            0.465187,
        ],
    ),
    "u2netp": (
        "33d6979d83673620ff7cb5f16d08e5fe10ab798590ede27dab64640c830325b3",
        [
            0.462199,
            0.476398,
            0.478488,
            0.479287,
            0.480354,
            0.495324,
            0.461442,
            0.463319,
            0.478415,
            0.478618,
            0.477562,
            0.480779,
            0.466844,
            0.463769,
            0.458081,
            0.471256,
            0.477344,
            0.469272,
            0.45657,
            0.462844,
            0.466853,
            0.460489,
            0.467176,
            0.464103,
        ],
    ),
    "isnet": (
        "892760dd3cb368a358b7115f35c1e80f52873f97a9068c00b39a98396792a0fd",
        [
            0.464031,
            0.467695,
            0.470709,
            0.467462,
            0.461054,
            0.455158,
            0.462315,
            0.460435,
            0.468204,
            0.47195,
            0.469218,
            0.465963,
            0.468791,
            0.461349,
            0.457806,
            0.457842,
            0.465675,
            0.467909,
            0.464036,
            0.470262,
            0.46318,
            0.459588,
            0.460381,
            0.471028,
        ],
    ),
}


@pytest.mark.long
@pytest.mark.parametrize("name", AUTHORS)
def test_names_and_outputs_are_the_authors(name: str) -> None:
    digest, expected = AUTHORS[name]
    network = seeded(build(name))
    entries = sorted((key, tuple(value.shape)) for key, value in network.state_dict().items())
    assert hashlib.sha256("\n".join(f"{key} {shape}" for key, shape in entries).encode()).hexdigest() == digest
    with torch.inference_mode():
        found = network(pictures(67, 96))
        for layer in network.modules():
            if hasattr(layer, "fold"):
                layer.fold()
        folded = network(pictures(67, 96))
    assert found.shape == (2, 1, 67, 96)
    assert found[1, 0, ::22, ::19].flatten().tolist() == pytest.approx(expected, abs=3e-6)
    assert float((found - folded).abs().max()) < 3e-6


@pytest.mark.parametrize("size", [(1, 1), (33, 2)])
def test_sizes_that_no_pooling_divides(size: tuple[int, int]) -> None:
    network = seeded(build("u2netp"))
    with torch.inference_mode():
        assert network(pictures(*size)).shape == (2, 1, *size)
