"""A checkpoint as BiMatting's authors write it: their names and shapes, filled from seeds."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

_CHANNELS = (16, 32, 64, 32, 64, 128, 64, 64, 128, 64, 128, 256, 128, 128, 256, 128, 256, 1024)
Shapes = Iterator[tuple[str, tuple[int, ...]]]


def bimatting_checkpoint() -> dict[str, Tensor]:
    """Return the state dict, float32."""
    made = {name: _drawn(name, shape) for name, shape in _shapes()}
    # So that the sparse mask is neither empty nor everywhere, and alpha lies between 0 and 1.
    made["project_mat.conv.weight"] *= 0.5
    made["project_mat.conv.weight"][3].abs_()
    made["project_mat.conv.bias"][3] = -0.25
    made["decoder.decode0.conv_1x1.6.bias"] += 0.3
    return made


def _drawn(name: str, shape: tuple[int, ...]) -> Tensor:
    rng, leaf = np.random.default_rng(zlib.crc32(name.encode())), name.rsplit(".", 1)[-1]
    if leaf == "num_batches_tracked":
        return torch.tensor(0)
    if leaf == "running_var":
        drawn = rng.uniform(0.5, 1.5, shape) * (50 if "feature" in name else 5)
    elif leaf == "running_mean":
        drawn = rng.normal(0, 0.2, shape)
    elif leaf == "bias":
        drawn = rng.normal(0, 0.3 if len(shape) == 4 else 0.1, shape)
    elif leaf == "weight" and len(shape) == 1:
        drawn = rng.uniform(0.2, 1.5, shape)
    elif name == "refiner.box_filter.weight":
        drawn = np.full(shape, 1 / 9)
    else:
        drawn = rng.normal(0, 1 / np.sqrt(np.prod(shape[1:])), shape)
    return torch.from_numpy(np.asarray(drawn, np.float32))


def _shapes() -> Shapes:
    feature = "backbone.feature"
    yield f"{feature}.0.conv1.weight", (16, 3, 3, 3)
    yield from _norm(f"{feature}.0.bn1", 16)
    for number, (into, out) in enumerate(itertools.pairwise(_CHANNELS), start=1):
        block = f"{feature}.{number}"
        for move in ("move11", "move12", "move13", "move21"):
            yield f"{block}.{move}.bias", (1, into, 1, 1)
        yield from _convolution(f"{block}.binary_3x3", into, into, 3, bias=False)
        yield from _norm(f"{block}.bn1", into)
        yield f"{block}.prelu1.weight", (into,)
        if into == out:
            yield from _convolution(f"{block}.binary_pw", into, out, 1, bias=False)
            yield from _norm(f"{block}.bn2", out)
        for part in range(1, 0 if into == out else max(1, out // into) + 1):
            yield from _convolution(f"{block}.binary_pw_down{part}", into, min(into, out), 1, bias=False)
            yield from _norm(f"{block}.bn2_{part}", min(into, out))
        for move in ("move22", "move23"):
            yield f"{block}.{move}.bias", (1, out, 1, 1)
        yield f"{block}.prelu2.weight", (out,)
    yield from _tail("aspp.aspp1", 1024, 128, 1)
    yield "aspp.aspp2.1.bias", (1, 1024, 1, 1)
    yield from _convolution("aspp.aspp2.3", 1024, 128, 1, bias=False)
    yield from _gates("decoder.decode4.gru", 64, {"": 3}, biased=False)
    yield from _tail("decoder.decode4.conv", 128, 16, 3)
    for level, into, out in (("decode3", 195, 80), ("decode2", 115, 40), ("decode1", 59, 32)):
        yield from _tail(f"decoder.{level}.conv", into, out, 3)
        yield from _tail(f"decoder.{level}.conv_1x1", into, out, 1)
        yield from _gates(f"decoder.{level}.gru", out // 2, {"": 3, "_1x1": 1}, biased=True)
    for part, side in (("conv", 3), ("conv_1x1", 1)):
        place = f"decoder.decode0.{part}"
        yield f"{place}.0.bias", (1, 35, 1, 1)
        yield from _convolution(f"{place}.2", 35, 16, side, bias=False)
        yield from _norm(f"{place}.3", 16)
        yield f"{place}.5.weight", (16, 16, side, side)
        yield from _norm(f"{place}.6", 16)
    for name, out in (("project_mat", 4), ("project_seg", 1)):
        yield f"{name}.conv.weight", (out, 16, 1, 1)
        yield f"{name}.conv.bias", (out,)
    yield "refiner.box_filter.weight", (4, 1, 3, 3)
    yield from _tail("refiner.conv", 24, 16, 1)
    yield from _tail("refiner.conv", 16, 16, 1, first=6)
    yield "refiner.conv.12.weight", (4, 16, 1, 1)
    yield "refiner.conv.12.bias", (4,)


def _tail(place: str, into: int, out: int, side: int, first: int = 0) -> Shapes:
    yield f"{place}.{first}.bias", (1, into, 1, 1)
    yield from _convolution(f"{place}.{first + 2}", into, out, side, bias=False)
    yield from _norm(f"{place}.{first + 3}", out)
    yield f"{place}.{first + 4}.bias", (1, out, 1, 1)
    yield f"{place}.{first + 5}.weight", (out,)


def _gates(place: str, channels: int, sides: dict[str, int], biased: bool) -> Shapes:
    for ending, side in sides.items():
        for name, out in (("ih", 2 * channels), ("hh", channels)):
            gate = f"{place}.{name}{ending}"
            yield f"{gate}.0.bias", (1, 2 * channels, 1, 1)
            yield from _convolution(f"{gate}.2", 2 * channels, out, side, bias=True)
            if biased:
                yield f"{gate}.3.bias", (1, out, 1, 1)


def _convolution(place: str, into: int, out: int, side: int, bias: bool) -> Shapes:
    yield f"{place}.weight", (out, into, side, side)
    if bias:
        yield f"{place}.bias", (out,)
    yield f"{place}.channel_threshold", (1, into, 1, 1)


def _norm(place: str, channels: int) -> Shapes:
    for name in ("weight", "bias", "running_mean", "running_var"):
        yield f"{place}.{name}", (channels,)
    yield f"{place}.num_batches_tracked", ()
