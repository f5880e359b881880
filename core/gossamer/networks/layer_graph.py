"""ONNX graphs of convolutions, of U²-Net's kind, as layers that our own kernels know.

Of a graph that has anything else nothing is made, and ONNX Runtime runs it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.networks.onnx_messages import (
    FLOAT,
    Field,
    fields_of,
    mapped,
    number_of,
    numbers_of,
    tensor_of,
    text_of,
)

__all__ = ["Graph", "Layer", "Shape", "layers_of", "read_graph"]

_LARGEST = 1 << 29
_MOST = 4096
"""Bytes of a file and nodes of a graph: networks of this kind have 176 MB and some hundreds."""

_FLOATS = 1 << 31
"""Of a map."""

_FARTHEST = 64
"""Pixels that a kernel's inputs lie apart, or its outputs."""

_SMALL = 4096
"""Numbers of a constant that is kept: sizes of maps have four."""

_GRAPH = 7  # of ModelProto
_NODE, _WEIGHTS, _INPUT, _OUTPUT = 1, 5, 11, 12  # of GraphProto
_TAKES, _GIVES, _OPERATOR, _ATTRIBUTE = 1, 2, 4, 5  # of NodeProto
_NAME, _WHOLE, _TEXT, _TENSOR, _WHOLES = 1, 3, 4, 5, 8  # of AttributeProto
_HALF_PIXEL = (b"half_pixel", b"pytorch_half_pixel")

Shape = tuple[int, int, int]
"""Channels, height and width of a map."""


@dataclass(frozen=True)
class _Node:
    operator: str
    takes: tuple[str, ...]
    gives: str
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class Graph:
    """A graph as it was read.

    Attributes
    ----------
    nodes : tuple
        What leads to the output, each after those that it takes from.
    weights : mapping of str to array
        As the file has them.
    picture, mask : str
        Names of the input and of the output that is wanted.
    sides : tuple of int or None
        Height and width of the one size that it takes; None for any.
    file : memoryview
        Of which the weights are parts.
    """

    nodes: tuple[_Node, ...]
    weights: Mapping[str, NDArray[np.generic]]
    picture: str
    mask: str
    sides: tuple[int, int] | None
    file: memoryview

    def without_file(self) -> Graph:
        """Return the same without the file, which may then be replaced: of weights only the shapes are left."""
        weights = {
            name: value.copy() if value.size <= _SMALL else np.broadcast_to(np.zeros((), value.dtype), value.shape)
            for name, value in self.weights.items()
        }
        return replace(self, weights=weights, file=memoryview(b""))


@dataclass(frozen=True)
class Layer:
    """One step of a network.

    Attributes
    ----------
    kind : {"convolution", "pool", "resize", "join", "sigmoid"}
        Pool takes the largest of 2 x 2, resize is linear, join puts maps' channels one after another.
    takes : tuple of str
        Maps.
    gives : str
    shape : (int, int, int)
        Of what it gives.
    weights, bias : str
        Of a convolution, names; no bias is "".
    step, stride : int
        Of a convolution: how far its inputs lie apart, and its outputs.
    relu : bool
        What is below zero becomes zero.
    added : str
        A map that is added at last; "" for none.
    """

    kind: str
    takes: tuple[str, ...]
    gives: str
    shape: Shape
    weights: str = ""
    bias: str = ""
    step: int = 1
    stride: int = 1
    relu: bool = False
    added: str = ""


class _Unknown(Exception):
    """Something of which no layer is made."""


_BROKEN = (_Unknown, ArithmeticError, LookupError, StopIteration, TypeError, ValueError)
"""What comes of a graph of another kind, or of one that is none."""

_LAYERS = frozenset("Add Concat Conv MaxPool Relu Resize Sigmoid".split())
"""Operators of which layers are made, or parts of them."""


def read_graph(path: Path, output: int) -> Graph | None:
    """Read an .onnx file; None where it is of another kind, or cannot be read: who opens it then says what is wrong.

    Parameters
    ----------
    path : Path
        The file, with its weights in it.
    output : int
        Which of its outputs is the mask.
    """
    try:
        if not 0 < path.stat().st_size <= _LARGEST:
            return None
        file = mapped(path)
        (graph,) = (each.inside for each in fields_of(file) if each.number == _GRAPH)
        fields = list(islice(fields_of(graph), 4 * _MOST + 1))
        if len(fields) > 4 * _MOST:
            return None
        weights = dict(_tensor(each.inside) for each in fields if each.number == _WEIGHTS)
        inputs = [list(fields_of(each.inside)) for each in fields if each.number == _INPUT]
        inputs = [each for each in inputs if _str(text_of(each, 1)) not in weights]  # old files name weights here too
        outputs = [_str(text_of(list(fields_of(each.inside)), 1)) for each in fields if each.number == _OUTPUT]
        nodes = [_node(list(fields_of(each.inside))) for each in fields if each.number == _NODE]
        if len(inputs) != 1 or len(nodes) > _MOST:
            return None
        mask = outputs[output]
        kind, sides = _told(inputs[0])
        if kind != FLOAT:
            return None
        return Graph(tuple(_leading(nodes, mask)), weights, _str(text_of(inputs[0], 1)), mask, sides, file)
    except (*_BROKEN, OSError, MemoryError):
        return None


def layers_of(graph: Graph, height: int, width: int) -> list[Layer] | None:
    """Return what a graph does to a picture of this size, in order; None where it is of another kind.

    Layers that give no map of their own (a ReLU after a convolution, a sum with what it gives) are part of those.
    """
    try:
        return list(_Reading(graph, (3, height, width)).layers())
    except _BROKEN:
        return None


@dataclass
class _Reading:
    """Goes through a graph: numbers that are known (sizes of maps) are worked out, of the rest layers are made."""

    graph: Graph
    size: Shape
    numbers: dict[str, NDArray[Any]] = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)
    same: dict[str, str] = field(default_factory=dict)
    made: dict[str, Layer] = field(default_factory=dict)  # by what they give, in order

    def layers(self) -> Iterator[Layer]:
        self.shapes[self.graph.picture] = self.size
        self.uses = Counter(name for node in self.graph.nodes for name in node.takes)
        for node in self.graph.nodes:
            self._step(node)
        if self.same.get(self.graph.mask, self.graph.mask) not in self.made:
            raise _Unknown
        last = self.made.pop(self.same.get(self.graph.mask, self.graph.mask))
        yield from self.made.values()
        yield replace(last, gives=self.graph.mask)

    def _step(self, node: _Node) -> None:
        if node.operator == "Constant":
            self.numbers[node.gives] = np.asarray(node.attributes["value"])
        elif node.operator == "Shape" and not node.attributes:
            self.numbers[node.gives] = np.array([1, *self.shapes[self._name(node.takes[0])]], np.int64)
        elif all(name in self.numbers or name in self.graph.weights or not name for name in node.takes):
            values = [self._number(name) if name else None for name in node.takes]
            self.numbers[node.gives] = _computed(node, values)
        elif node.operator == "Cast":  # to half precision, or back: all is computed in float32
            name = self._name(node.takes[0])
            self.same[node.gives] = name
            self.uses[name] += self.uses[node.gives] - 1  # what is used under one name is used under the other
        else:
            if node.operator not in _LAYERS:
                raise _Unknown(node.operator)
            getattr(self, f"_{node.operator.lower()}")(node)

    def _name(self, name: str) -> str:
        return self.same.get(name, name)

    def _number(self, name: str) -> NDArray[Any]:
        found = self.numbers.get(name)
        return found if found is not None else np.asarray(self.graph.weights[name])

    def _make(self, kind: str, node: _Node, shape: Shape, **more: Any) -> None:
        if min(shape) < 1 or shape[0] * shape[1] * shape[2] > _FLOATS:
            raise _Unknown
        takes = more.pop("takes", None) or (self._name(node.takes[0]),)
        self.made[node.gives] = Layer(kind, takes, node.gives, shape, **more)
        self.shapes[node.gives] = shape

    def _conv(self, node: _Node) -> None:
        told = node.attributes
        shape = self.graph.weights[node.takes[1]].shape
        channels, height, width = self.shapes[self._name(node.takes[0])]
        step, stride = tuple(told.get("dilations", (1, 1))), tuple(told.get("strides", (1, 1)))
        pads = (step[0],) * 4 if shape[2:] == (3, 3) else (0,) * 4
        plain = len(set(step)) == len(set(stride)) == 1 and told.get("group", 1) == 1
        plain = plain and 0 < step[0] <= _FARTHEST and 0 < stride[0] <= _FARTHEST
        if (
            not plain
            or shape[2:] not in ((1, 1), (3, 3))
            or shape[1] != channels
            or tuple(told.get("pads", (0,) * 4)) != pads
            or told.get("auto_pad", b"NOTSET") != b"NOTSET"
        ):
            raise _Unknown
        high, wide = ((side - 1) // stride[0] + 1 for side in (height, width))
        bias = node.takes[2] if len(node.takes) > 2 else ""
        if bias and self.graph.weights[bias].shape != shape[:1]:
            raise _Unknown
        size = (shape[0], high, wide)
        self._make("convolution", node, size, weights=node.takes[1], bias=bias, step=step[0], stride=stride[0])

    def _relu(self, node: _Node) -> None:
        self._part(node, self._name(node.takes[0]), relu=True)

    def _add(self, node: _Node) -> None:
        first, second = (self._name(name) for name in node.takes)
        order = list(self.made)
        # The later one is what the other is added to.
        if first not in self.made or (second in self.made and order.index(second) > order.index(first)):
            first, second = second, first
        if self.shapes[first] != self.shapes[second] or self.made[first].added:
            raise _Unknown
        self._part(node, first, added=second)

    def _part(self, node: _Node, name: str, **more: Any) -> None:
        """Make of a convolution whose result nobody else takes one that does more."""
        layer = self.made[name]
        if layer.kind != "convolution" or self.uses[name] != 1 or (layer.added and "relu" in more):
            raise _Unknown
        del self.made[name]
        self.made[node.gives] = replace(layer, gives=node.gives, **more)
        self.shapes[node.gives] = layer.shape

    def _maxpool(self, node: _Node) -> None:
        told = node.attributes
        channels, height, width = self.shapes[self._name(node.takes[0])]
        if tuple(told["kernel_shape"]) != (2, 2) or tuple(told.get("strides", (1, 1))) != (2, 2):
            raise _Unknown
        if any(told.get("pads", (0,))) or tuple(told.get("dilations", (1, 1))) != (1, 1):
            raise _Unknown
        up = 1 if told.get("ceil_mode", 0) else 0
        self._make("pool", node, (channels, (height + up) // 2, (width + up) // 2))

    def _resize(self, node: _Node) -> None:
        told = node.attributes
        channels, height, width = self.shapes[self._name(node.takes[0])]
        if (
            told.get("mode") != b"linear"
            or told.get("coordinate_transformation_mode", b"half_pixel") not in _HALF_PIXEL
        ):
            raise _Unknown
        if len(node.takes) > 3:
            count, depth, high, wide = (int(each) for each in self._number(node.takes[3]))
        else:
            count, depth, high, wide = (
                int(side * scale)
                for side, scale in zip((1, channels, height, width), self._number(node.takes[2]), strict=True)
            )
        # What is made one pixel wide is where the two ways of counting differ.
        if (count, depth) != (1, channels) or (high == 1 < height) or (wide == 1 < width):
            raise _Unknown
        self._make("resize", node, (channels, high, wide))

    def _concat(self, node: _Node) -> None:
        takes = tuple(self._name(name) for name in node.takes)
        shapes = [self.shapes[name] for name in takes]
        if node.attributes.get("axis") != 1 or len({shape[1:] for shape in shapes}) != 1:
            raise _Unknown
        self._make("join", node, (sum(shape[0] for shape in shapes), *shapes[0][1:]), takes=takes)

    def _sigmoid(self, node: _Node) -> None:
        self._make("sigmoid", node, self.shapes[self._name(node.takes[0])])


def _computed(node: _Node, values: list[NDArray[Any] | None]) -> NDArray[Any]:
    """Return what a node makes of known numbers, which are sizes of maps."""
    first = values[0]
    if first is None:
        raise _Unknown
    if node.operator == "Cast":
        return first.astype(np.int64) if first.dtype.kind == "i" else first
    if node.operator == "Unsqueeze":
        return first.reshape(-1)
    if node.operator == "Concat":
        return np.concatenate([np.asarray(value).reshape(-1) for value in values])
    if node.operator == "Gather" and first.ndim == 1:
        return np.asarray(first[np.asarray(values[1])])
    if node.operator == "Slice" and first.ndim == 1:
        start, end = (int(np.asarray(value).reshape(-1)[0]) for value in values[1:3])
        step = int(np.asarray(values[4]).reshape(-1)[0]) if len(values) > 4 else 1
        if step == 1:
            return first[start:end]
    raise _Unknown(node.operator)


def _leading(nodes: list[_Node], wanted: str) -> Iterator[_Node]:
    """Yield the nodes of which an output comes, in their order, each after those that it takes from.

    Some converters write casts at the end. Raises ValueError where nodes take from each other in a circle.
    """
    makers = {node.gives: at for at, node in enumerate(nodes)}
    before = [[makers[name] for name in node.takes if name in makers] for node in nodes]
    leading, left = set[int](), [makers[wanted]]
    while left:
        at = left.pop()
        if at not in leading:
            leading.add(at)
            left += before[at]
    done = set[int]()
    for start in sorted(leading):
        path = [start]
        while path:
            at = path[-1]
            missing = next((each for each in before[at] if each not in done), None)
            if missing is not None:
                if len(path) > len(nodes):
                    raise ValueError("a circle")
                path.append(missing)
                continue
            path.pop()
            if at not in done:
                done.add(at)
                yield nodes[at]


def _node(fields: list[Field]) -> _Node:
    takes = tuple(_str(each.inside) for each in fields if each.number == _TAKES)
    attributes = dict(_attribute(list(fields_of(each.inside))) for each in fields if each.number == _ATTRIBUTE)
    return _Node(_str(text_of(fields, _OPERATOR)), takes, _str(text_of(fields, _GIVES)), attributes)


def _attribute(fields: list[Field]) -> tuple[str, Any]:
    name = _str(text_of(fields, _NAME))
    for each in fields:
        if each.number == _TENSOR:
            return name, tensor_of(each.inside)[1].copy()  # no part of the file, which is let go
        if each.number == _TEXT:
            return name, bytes(each.inside)
    if wholes := numbers_of(fields, _WHOLES):
        return name, wholes
    return name, number_of(fields, _WHOLE)


def _tensor(message: memoryview) -> tuple[str, NDArray[np.generic]]:
    name, numbers = tensor_of(message)
    return _str(name), numbers


def _told(value: list[Field]) -> tuple[int, tuple[int, int] | None]:
    """Return an input's type of numbers, and height and width where they are fixed (ValueInfoProto)."""
    kind = next(each.inside for each in value if each.number == 2)
    tensor = list(fields_of(next(each.inside for each in fields_of(kind) if each.number == 1)))
    shape = next(each.inside for each in tensor if each.number == 2)
    sides = [number_of(list(fields_of(each.inside)), 1) for each in fields_of(shape) if each.number == 1]
    if len(sides) != 4:
        raise ValueError("no batch of pictures")
    return number_of(tensor, 1), (sides[2], sides[3]) if all(sides[2:]) else None


def _str(text: bytes | memoryview) -> str:
    return bytes(text).decode("utf-8", "surrogateescape")
