"""The graph of Robust Video Matting with MobileNetV3 as its authors export it: told from all others; its weights."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gossamer.networks.onnx_messages import Field, fields_of, mapped, tensor_of, text_of

__all__ = ["Weights", "rvm_weights"]

Weights = tuple[NDArray[np.generic], NDArray[np.generic] | None]
"""Of a convolution, (outputs, inputs, side, side), and its bias, (outputs,)."""

_LARGEST, _MOST = 1 << 26, 4096  # bytes of a file and nodes of a graph: this one has 15 MB and 353

_GRAPH = 7  # of ModelProto
_NODE, _WEIGHTS, _OUTPUT = 1, 5, 12  # of GraphProto
_TAKES, _GIVES, _OPERATOR, _ATTRIBUTE = 1, 2, 4, 5  # of NodeProto

_PUBLISHED = "9732b1fd019a6807cc8dcc85baf104be46e639d871cf25c0fca5a913feb3455b"
"""What nodes, their attributes and wires, shapes of weights and other constants of that graph hash to."""


def rvm_weights(path: Path) -> list[Weights] | None:
    """Return the weights of its convolutions in the order in which they run, each once; None of any other graph.

    Parameters
    ----------
    path : Path
        An .onnx file, with its weights in it. Whoever else opens it says what is wrong with it.
    """
    try:
        if not 0 < path.stat().st_size <= _LARGEST:
            return None
        (graph,) = (each.inside for each in fields_of(mapped(path)) if each.number == _GRAPH)
        fields = list(islice(fields_of(graph), 4 * _MOST))
        nodes = [list(fields_of(each.inside)) for each in fields if each.number == _NODE]
        tensors = dict(tensor_of(each.inside) for each in fields if each.number == _WEIGHTS)
        outputs = [text_of(fields_of(each.inside), 1) for each in fields if each.number == _OUTPUT]
        if hashlib.sha256(b"\n".join(_told(nodes, tensors, outputs))).hexdigest() != _PUBLISHED:
            return None
        return list(_convolutions(nodes, tensors))
    except (OSError, MemoryError, IndexError, KeyError, TypeError, ValueError):
        return None


def _told(nodes: list[list[Field]], tensors: dict[bytes, NDArray[np.generic]], outputs: list[bytes]) -> Iterator[bytes]:
    """Yield all that decides what a graph computes, but for its weights and for what things are called."""
    learned = {bytes(each.inside) for node in nodes if text_of(node, _OPERATOR) == b"Conv" for each in node[1:3]}
    named = {
        name: f"{values.shape}".encode() + (b"" if name in learned else values.tobytes())
        for name, values in tensors.items()
    }
    for number, node in enumerate(nodes):
        takes = [bytes(each.inside) for each in node if each.number == _TAKES]
        for place, each in enumerate(each for each in node if each.number == _GIVES):
            named[bytes(each.inside)] = f"{number}.{place}".encode()
        attributes = sorted(bytes(each.inside) for each in node if each.number == _ATTRIBUTE)
        yield b" ".join([text_of(node, _OPERATOR), *(named.get(name, name) for name in takes), *attributes])
    for name in outputs:
        yield name + b" " + named[name]


def _convolutions(nodes: list[list[Field]], tensors: dict[bytes, NDArray[np.generic]]) -> Iterator[Weights]:
    seen = set[bytes]()
    for node in nodes:
        names = [bytes(each.inside) for each in node if each.number == _TAKES][1:]
        if text_of(node, _OPERATOR) == b"Conv" and names[0] not in seen:
            seen.add(names[0])
            yield tensors[names[0]].copy(), tensors[names[1]].copy() if len(names) > 1 else None
