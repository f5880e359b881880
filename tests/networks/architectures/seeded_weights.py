"""Weights and pictures that are the same everywhere: numpy's PCG64, seeded by the name of the weight."""

from __future__ import annotations

import hashlib
import zlib

import numpy as np
import torch
from torch import Tensor, nn

_KEPT = ("relative_position_index", "num_batches_tracked")
# What InSPyReNet normalises there are sums over whole pictures.
_AFTER_SUMS = ("conv_key.0.bn.running_var", "conv_value.0.bn.running_var")


def seed_weights(network: nn.Module) -> None:
    """Give every weight and running statistic a value that keeps the signal's size; deformable offsets span pixels."""
    state = network.state_dict()
    for name, value in state.items():
        leaf, shape = name.rsplit(".", 1)[-1], tuple(value.shape)
        if leaf in _KEPT:
            continue
        # MODNet has its backbone under two names.
        seed = zlib.crc32(name.replace("lr_branch.backbone.", "backbone.").encode())
        rng = np.random.Generator(np.random.PCG64(seed))
        if leaf == "running_var":
            drawn = rng.uniform(0.5, 1.5, shape)
            if name.endswith(_AFTER_SUMS):
                drawn = drawn * 1e6
        elif leaf.endswith("threshold"):
            drawn = rng.uniform(0.4, 0.6, shape)
        elif leaf == "running_mean":
            drawn = rng.normal(0, 0.2, shape)
        elif leaf == "bias":
            drawn = rng.normal(0, 0.1, shape)
        elif leaf == "relative_position_bias_table":
            drawn = rng.normal(0, 0.5, shape)
        elif len(shape) == 1:
            drawn = rng.uniform(0.5, 1.5, shape)
        else:
            drawn = rng.normal(0, 1 / np.sqrt(np.prod(shape[1:])), shape)
            if "offset_conv" in name:
                drawn = drawn * 2
        state[name] = torch.from_numpy(np.asarray(drawn, np.float32))
    network.load_state_dict(state)


def seeded_picture(count: int, height: int, width: int, seed: int = 0) -> Tensor:
    """Return normalised noise, (count, 3, height, width)."""
    rng = np.random.Generator(np.random.PCG64(seed))
    return torch.from_numpy(rng.normal(0, 1, (count, 3, height, width)).astype(np.float32))


def sampled(out: Tensor) -> list[float]:
    """Return eight values of (N, 1, h, w): corners, inner places, the first and the last of the batch."""
    n, _, h, w = out.shape
    last = n - 1
    places = [(0, 0, 0), (last, 0, w - 1), (last, h - 1, 0), (0, h - 1, w - 1)]
    places += [(last, h // 2, w // 3), (0, h // 3, w // 2), (0, 17, 31), (last, 50, 71)]
    return [out[i, 0, row, column].item() for i, row, column in places]


def state_digest(network: nn.Module) -> tuple[int, str]:
    """Return how many entries the state dict has and the SHA-256 over their names and shapes."""
    lines = sorted(f"{name} {'x'.join(map(str, value.shape))}" for name, value in network.state_dict().items())
    return len(lines), hashlib.sha256("\n".join(lines).encode()).hexdigest()
