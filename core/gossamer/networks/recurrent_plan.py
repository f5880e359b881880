"""Robust Video Matting in our kernels: its weights as they read them, and what they do with frames of one size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.native import COUNT, PLACE, layer_function
from gossamer.networks.layer_kernels import ACROSS, BLOCK, KINDS, OPERATION
from gossamer.networks.layer_plan import TILES, arranged, tiles_scratch
from gossamer.networks.recurrent_graph import Weights
from gossamer.networks.recurrent_layers import FINE, MAPS, STEPS, Filter, Step

__all__ = ["FrameSize", "RecurrentPlan", "packed_weights", "planned_frames"]

_TOGETHER = 65536
"""Numbers of pixels that a convolution of 1 x 1 goes through at once, for all of its outputs: a core's cache holds
them."""

_MOST = 252  # pixels of them; whole for every kernel, which take 12 or 6 at a time
_BAND = 6  # rows of the guided filter, which sees one more on either side
_CHUNK = 120  # pixels of a row that it goes through at once, see native/recurrent.h
_BEYOND = 64  # floats behind the last map that kernels may read, and do not use
_FIELDS = {"from": "takes", "to": "gives", "added": "added", "shared": "shared", "first": "gate"}


@dataclass(frozen=True)
class FrameSize:
    """What a plan is for.

    Attributes
    ----------
    height, width : int
        Of frames.
    ratio : float
        How small the network sees them.
    deep : bool
        Whether their numbers are float32, else bytes.
    """

    height: int
    width: int
    ratio: float
    deep: bool

    def sides(self, level: int) -> tuple[int, int]:
        """Return height and width of maps of a level, see :mod:`gossamer.networks.recurrent_layers`."""
        if level < 0:
            return (self.height, self.width) if level == FINE else (1, 1)
        ratio = np.float32(self.ratio)
        high, wide = (int(np.float32(side) * ratio) for side in (self.height, self.width))
        return -(-high // 2**level), -(-wide // 2**level)


@dataclass(frozen=True)
class RecurrentPlan:
    """The work for frames of one size.

    Attributes
    ----------
    operations : (n,) of OPERATION
    shares : (n + 1,) float64
        How much of all work is done when each begins, and at the end.
    places : mapping of str to int
        Where maps that are given and taken begin, in floats.
    frame : int
        How many floats a frame takes there.
    floats : int
        Of memory for maps.
    scratch : int
        Floats that each thread needs for itself.
    """

    operations: NDArray[Any]
    shares: NDArray[np.float64]
    places: Mapping[str, int]
    frame: int
    floats: int
    scratch: int


def packed_weights(weights: Sequence[Weights]) -> tuple[Array, list[tuple[int, int]]]:
    """Return all weights as kernels read them, and where those of each step with some begin, and their bias.

    Parameters
    ----------
    weights : sequence
        Of :func:`~gossamer.networks.recurrent_graph.rvm_weights`.
    """
    parts: list[Array] = []
    places: list[tuple[int, int]] = []
    end = 0
    for step in STEPS:
        if step.weights is None:
            continue
        place = [end, end]
        for number, part in enumerate(_packed(step.weights, weights)):
            place[number] = end
            parts.append(np.r_[part.ravel(), np.zeros(-part.size % BLOCK, np.float32)].astype(np.float32))
            end += len(parts[-1])
        places.append((place[0], place[1]))
    return np.concatenate(parts), places


def _packed(told: Filter, weights: Sequence[Weights]) -> tuple[Array, ...]:
    """Return a step's weights as its kernel reads them, and its bias."""
    if told.kind == "refined":
        return (_refiner(weights[told.number :]),)
    values, given = weights[told.number]
    outputs, inputs = told.size
    rows, columns = values.shape[2:]
    full = np.zeros((outputs, inputs, rows * columns), np.float32)
    full[np.ix_(told.outputs, told.inputs)] = values.reshape(*values.shape[:2], -1)
    bias = np.zeros(outputs, np.float32)
    if given is not None:
        bias[told.outputs] = given
    laid = np.ascontiguousarray(full.transpose(1, 2, 0))
    if told.kind == "tiles":
        made = np.empty(36 * inputs * outputs, np.float32)
        layer_function("layer_weights", PLACE, COUNT, COUNT, PLACE)(laid, inputs, outputs, made)
        return made, bias
    if told.kind == "channelwise":
        return laid[0].reshape(-1, outputs // BLOCK, BLOCK).transpose(1, 0, 2), bias
    if told.kind == "mixed":
        panels = [laid[:, 0, start : start + ACROSS].ravel() for start in range(0, outputs, ACROSS)]
        return np.concatenate(panels), bias
    return laid, bias


def _refiner(weights: Sequence[Weights]) -> Array:
    """Return the weights of the guided filter, see ``refined_rows`` of native/recurrent.h."""
    project, means, one, two, three = weights
    parts = [_beside(project, BLOCK)]
    parts.append(np.tile(np.asarray(means[0], np.float32).reshape(-1, 9).T, 4))  # 4 guides, 4 known, products, squares
    parts += [_beside(one, BLOCK), _beside(two, BLOCK)]
    slopes, bias = three
    assert bias is not None  # noqa: S101 - the graph has one
    parts.append(_beside((slopes[3:], bias[3:]), BLOCK))  # of alpha, the last of four
    return np.concatenate(parts).astype(np.float32)


def _beside(layer: Weights, outputs: int) -> Array:
    """Return a convolution of 1 x 1 as (inputs + 1, outputs): its bias comes last."""
    values, bias = layer
    found = np.zeros((values.shape[1] + 1, outputs), np.float32)
    found[:-1, : len(values)] = values[:, :, 0, 0].T
    found[-1, : len(values)] = bias
    return found


def planned_frames(size: FrameSize, places: Sequence[tuple[int, int]]) -> RecurrentPlan:
    """Plan the work for frames of a size; `places` are :func:`packed_weights`'."""
    wholes, floats = _places(size)
    located = {name: _located(name, wholes, size) for name in MAPS}
    weights = iter(places)
    rows, scratch = [], 0
    for step in STEPS:
        told = {"kind": KINDS.index(step.kind), "added": -1, **_operation(step, size)}
        for name, of in _FIELDS.items():
            if getattr(step, of):
                told[name] = located[getattr(step, of)]
        if step.weights is not None:
            told["weights"], told["bias"] = next(weights)
        rows.append(tuple(told.get(name, 0) for name in OPERATION.names or ()))
        scratch = max(scratch, _scratch(step, size))
    operations = np.array(rows, OPERATION)
    pixels = np.array([np.prod(size.sides(MAPS[step.gives].level)) for step in STEPS], np.float64)
    work = np.cumsum(pixels * (64.0 + operations["inputs"] * operations["outputs"]))
    given = ["frame", "told", "alpha", *(f"{when}{level}" for when in ("before", "after") for level in range(1, 5))]
    return RecurrentPlan(
        operations,
        np.r_[0.0, work] / work[-1],
        {name: located[name] for name in given},
        _floats("frame", size),
        floats + _BEYOND,
        scratch,
    )


def _floats(name: str, size: FrameSize) -> int:
    high, wide = size.sides(MAPS[name].level)
    if name == "frame":
        return high * wide * 3 if size.deep else -(-high * wide * 3 // 4)
    return high * wide * MAPS[name].channels


def _whole(name: str) -> str:
    while MAPS[name].inside:
        name = MAPS[name].inside
    return name


def _places(size: FrameSize) -> tuple[dict[str, int], int]:
    """Return where maps lie that are in no others: what is no longer needed makes way for what comes."""
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    uses = [(name, at) for at, step in enumerate(STEPS) for name in _names(step)]
    given = [("frame", -1), ("told", -1), *((f"before{level}", -1) for level in range(1, 5))]
    wanted = [("alpha", len(STEPS)), *((f"after{level}", len(STEPS)) for level in range(1, 5))]
    for name, at in (*given, *uses, *wanted):
        whole = _whole(name)
        first.setdefault(whole, at)
        last[whole] = at
    return arranged([(first[name], last[name], _floats(name, size), name) for name in first])


def _names(step: Step) -> tuple[str, ...]:
    return tuple(name for name in (step.takes, step.gives, step.added, step.shared, step.gate) if name)


def _located(name: str, wholes: Mapping[str, int], size: FrameSize) -> int:
    """Return where a map begins."""
    start = 0
    while MAPS[name].inside:
        high, wide = size.sides(MAPS[name].level)
        start += MAPS[name].start * high * wide
        name = MAPS[name].inside
    return wholes[name] + start


def _operation(step: Step, size: FrameSize) -> dict[str, int]:
    """Return what a kernel has to know beside where its maps and weights are."""
    takes, gives = MAPS[step.takes], MAPS[step.gives]
    height, width = size.sides(takes.level)
    high, wide = size.sides(gives.level)
    told = {"height": height, "width": width, "high": high, "wide": wide, "relu": step.becomes}
    if step.weights is not None:
        told["outputs"], told["inputs"] = step.weights.size
    blocks = gives.channels // BLOCK
    if step.kind == "tiles":
        assert step.weights is not None  # noqa: S101 - it is a convolution
        tiles, depth = -(-high // 4) * -(-wide // 4), int(step.weights.inputs[-1]) + 1
        return {**told, "items": -(-tiles // TILES), "tiles": tiles, "size": TILES, "step": 1, "depth": depth}
    if step.kind == "mixed":
        assert step.weights is not None  # noqa: S101 - it is a convolution
        together = min(_MOST, max(12, _TOGETHER // step.weights.size[1] // 12 * 12))
        return {**told, "items": -(-high * wide // together), "size": together, "across": ACROSS}
    if step.kind == "channelwise":
        return {**told, "items": blocks * high, "size": step.side, "first": step.apart, "step": step.stride}
    if step.kind == "refined":
        return {**told, "items": -(-height // _BAND), "size": _BAND}
    if step.kind == "blocked":
        return {**told, "items": height, "first": step.first, "inputs": takes.channels}
    if step.kind == "plain":
        return {**told, "items": height, "outputs": gives.channels}
    items = {
        **{"shrunk": high, "first": high, "fine": high, "halved": gives.channels * high},
        **{"average": blocks, "dense": blocks},
    }.get(step.kind, blocks * high)
    return {**told, "items": items, "step": step.stride, "depth": int(size.deep)}


def _scratch(step: Step, size: FrameSize) -> int:
    """Return how many floats a thread needs for itself."""
    _, width = size.sides(MAPS[step.takes].level)
    if step.kind == "tiles" and step.weights is not None:
        return tiles_scratch(step.weights.size[1], step.weights.size[0])
    if step.kind == "mixed":
        return 12 * ACROSS
    if step.kind == "refined":
        return 3 * (width + 2) * BLOCK + _CHUNK * (2 * BLOCK + 24)
    return 2 * width if step.kind == "fine" else 0
