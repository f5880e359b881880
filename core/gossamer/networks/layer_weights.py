"""Weights of convolutions as our kernels read them: in one array, each layer's where it needs them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.native import COUNT, PLACE, layer_function
from gossamer.networks.layer_graph import Graph, Layer
from gossamer.networks.layer_kernels import ACROSS, BLOCK
from gossamer.networks.onnx_messages import let_go

__all__ = ["Kind", "Kinds", "Packed", "is_blocked", "kinds_of", "places_of", "write_weights"]

_KEPT = 1 << 14
"""Products of inputs and outputs up to which weights are transformed once: four times as many stay in memory then,
which a cache holds. Beyond that they are transformed for each picture, which costs a thirtieth of what they are for."""

Kind = str
"""How a convolution is computed: "tiles" and "outputs" by Winograd's algorithm, with weights that are transformed once
or each time; "first" from a picture, "narrow" to one map, and "point" between plain maps."""


Kinds = Mapping[str, tuple[Layer, Kind]]
"""Convolutions of a network, by what they give."""


class Packed(NamedTuple):
    """Where a convolution's weights and bias begin, in floats."""

    weights: int
    bias: int


def is_blocked(channels: int) -> bool:
    """Return whether maps of so many channels lie in blocks of 16, and not channel by channel."""
    return channels % BLOCK == 0


def kinds_of(graph: Graph, layers: Sequence[Layer] | None) -> Kinds | None:
    """Return how each convolution of a network is computed; None where one is not computed here."""
    kinds: dict[str, tuple[Layer, Kind]] = {}
    for layer in layers or ():
        if layer.kind == "convolution":
            kind = _kind_of(layer, graph.weights[layer.weights].shape)
            if kind is None:
                return None
            kinds[layer.gives] = layer, kind
    return kinds or None


def _kind_of(layer: Layer, shape: tuple[int, ...]) -> Kind | None:
    """Return how a convolution is computed, whose weights have this shape; None where it is not computed here."""
    outputs, inputs, rows, _ = shape
    from_blocks, to_blocks, plain = is_blocked(inputs), is_blocked(outputs), layer.step == layer.stride == 1
    if rows == 3 and from_blocks and to_blocks and layer.stride == 1:
        return "tiles" if inputs * outputs <= _KEPT else "outputs"
    if rows == 3 and to_blocks and not from_blocks and layer.step == 1:
        return "first"
    more = layer.relu or layer.added
    if rows == 3 and from_blocks and plain and not more:
        return "narrow"
    return "point" if rows == 1 and plain and not (more or from_blocks or to_blocks) else None


def places_of(graph: Graph, kinds: Kinds) -> tuple[dict[str, Packed], int]:
    """Return where each convolution's weights lie, by what it gives, and how many floats there are in all."""
    places: dict[str, Packed] = {}
    end = 0
    for name, (layer, kind) in kinds.items():
        outputs, inputs, rows, columns = graph.weights[layer.weights].shape
        count = inputs * outputs * (36 if kind == "tiles" else rows * columns)
        places[name] = Packed(end, end + _rounded(count))
        end = places[name].bias + _rounded(outputs)
    return places, end


def write_weights(graph: Graph, kinds: Kinds, to: Array) -> None:
    """Write all weights to where :func:`places_of` says, (floats,) float32."""
    places, _ = places_of(graph, kinds)
    for name, (layer, kind) in kinds.items():
        place, weights = places[name], graph.weights[layer.weights]
        outputs, inputs = weights.shape[:2]
        if layer.bias:
            to[place.bias : place.bias + outputs] = graph.weights[layer.bias]
        at = place.weights
        for part in _parts(kind, weights.reshape(outputs, inputs, -1)):
            if kind == "tiles":
                count = 36 * inputs * outputs
                layer_function("layer_weights", PLACE, COUNT, COUNT, PLACE)(
                    np.ascontiguousarray(part, np.float32), inputs, outputs, to[at : at + count]
                )
            else:
                count = part.size
                to[at : at + count].reshape(part.shape)[...] = part
            at += count
        let_go(graph.file)  # or all of it would lie in memory twice


def _parts(kind: Kind, weights: NDArray[np.generic]) -> Iterator[NDArray[np.generic]]:
    """Yield weights, (outputs, inputs, places), as a kernel reads them."""
    if kind == "narrow":
        yield weights.transpose(0, 2, 1)
    elif kind == "point":
        yield weights
    elif kind == "outputs":
        for start in range(0, len(weights), ACROSS):
            yield weights[start : start + ACROSS].transpose(1, 2, 0)
    else:
        yield weights.transpose(1, 2, 0)


def _rounded(count: int) -> int:
    return -(-count // BLOCK) * BLOCK
