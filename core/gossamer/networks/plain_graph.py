"""ONNX graphs of U²-Net's kind without the detours between their branches that slow them on a processor.

ONNX Runtime lays feature maps out in blocks of channels, and keeps them so from one convolution to the next as long as
it knows all that lies between. Exporters leave two things there that it does not know, and every map that comes by is
copied into the plain layout and back:

- Casts to half precision and back, in files whose weights are stored so: a processor computes in float32 anyway. With
  the casts goes their rounding, so that the masks are those of float32.
- ``pytorch_half_pixel`` of a Resize, which differs from ``half_pixel`` only for maps that are made one pixel wide.

It also computes every output, and those that only serve training are no mask.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from gossamer.networks.onnx_messages import FLOAT, HALF, Field, fields_of, mapped, number_of, text_of

__all__ = ["without_detours"]

_LARGEST = 1 << 29
"""Bytes of a file; networks of this kind have 176 MB at most."""

_MOST = 4096
"""Nodes of a graph; networks of this kind have some hundreds, and what is done for each is not for millions."""

_KNOWN = frozenset(b"Add Cast Concat Constant Conv Gather MaxPool Relu Resize Shape Sigmoid Slice Unsqueeze".split())
"""What these networks are made of. Of other operators some would mind what is changed here."""

_VARINT, _BYTES = 0, 2  # wire types

# Numbers of fields: of ModelProto, GraphProto, NodeProto, AttributeProto, TensorProto, ValueInfoProto.
_GRAPH = 7
_NODE, _WEIGHTS, _INPUT, _OUTPUT, _BETWEEN = 1, 5, 11, 12, 13
_TAKES, _GIVES, _OPERATOR, _ATTRIBUTE = 1, 2, 4, 5
_INTEGER, _TEXT, _TENSOR = 3, 4, 5
_DIMENSION, _DATA_TYPE, _TENSOR_NAME, _RAW = 1, 2, 8, 9

_Part = bytes | memoryview


def without_detours(path: Path, output: int) -> bytes | None:
    """Return an .onnx file without them; None where it has none, is of another kind, or cannot be read.

    Parameters
    ----------
    path : Path
        The file, with its weights in it.
    output : int
        Which of its outputs is the mask: the only one that is left.

    Returns
    -------
    bytes or None
        A whole model, for ``onnxruntime.InferenceSession``.
    """
    if not 0 < path.stat().st_size <= _LARGEST:
        return None
    whole: list[_Part] = []  # joined once: each copy is of as many bytes as the file
    try:
        model = list(fields_of(mapped(path)))
        (graph,) = (field for field in model if field.number == _GRAPH)
        plain = _plain_graph(graph.inside, output)
        if plain is None:
            return None
        for field in model:
            whole += _message(_GRAPH, plain) if field is graph else [field.written]
        return b"".join(whole)
    except (IndexError, TypeError, ValueError):  # who opens the file says what is wrong with it
        return None
    except (MemoryError, OSError):  # no room for it twice; ONNX Runtime may have enough for it once
        return None


def _plain_graph(graph: memoryview, output: int) -> list[_Part] | None:
    """Return a GraphProto without detours, in parts; None where it has none, or is not of the kind."""
    fields = list(islice(fields_of(graph), 4 * _MOST + 1))  # beside nodes, their weights and the maps between them
    nodes = [list(fields_of(field.inside)) for field in fields if field.number == _NODE]
    if len(fields) > 4 * _MOST or len(nodes) > _MOST or not all(text_of(node, _OPERATOR) in _KNOWN for node in nodes):
        return None
    outputs = [text_of(list(fields_of(field.inside)), 1) for field in fields if field.number == _OUTPUT]
    wanted = outputs[output]
    leading = _leading(nodes, wanted)
    halved = any(
        number_of(list(fields_of(field.inside)), _DATA_TYPE) == HALF for field in fields if field.number == _WEIGHTS
    )
    names: dict[bytes, bytes] = {}
    if halved:
        found = _passed(fields, nodes, wanted)
        if found is None:
            return None
        names = found
    parts: list[_Part] = []
    changed = halved or len(outputs) > 1
    left = iter(zip(nodes, leading, strict=True))
    for field in fields:
        if field.number == _NODE:
            node, leads = next(left)
            if not leads or (halved and text_of(node, _OPERATOR) == b"Cast"):
                continue
            plain = b"".join(_plain_node(node, names, halved))
            changed |= plain != field.written
            parts.append(plain)
        elif field.number == _WEIGHTS and halved:
            parts += _message(_WEIGHTS, _in_float32(field.inside))
        elif field.number == _OUTPUT:
            parts += [field.written] if text_of(list(fields_of(field.inside)), 1) == wanted else []
        elif field.number != _BETWEEN:  # types and sizes of what lies between, which are found anew
            parts.append(field.written)
    return parts if changed else None


def _leading(nodes: Sequence[Sequence[Field]], wanted: bytes) -> list[bool]:
    """Return for each node whether an output comes of it: ONNX Runtime also runs what leads nowhere."""
    makers = {bytes(field.inside): at for at, node in enumerate(nodes) for field in node if field.number == _GIVES}
    leading, left = [False] * len(nodes), [wanted]
    while left:
        at = makers.get(left.pop())
        if at is not None and not leading[at]:
            leading[at] = True
            left += [bytes(field.inside) for field in nodes[at] if field.number == _TAKES]
    return leading


def _passed(fields: Sequence[Field], nodes: Sequence[Sequence[Field]], wanted: bytes) -> dict[bytes, bytes] | None:
    """Return new names for what casts gave, and for what a last one took; None where all cannot be in float32."""
    types = {
        text_of(list(fields_of(field.inside)), 1): _type_of(field.inside)
        for field in fields
        if field.number in (_INPUT, _OUTPUT, _BETWEEN)
    }
    inputs = [text_of(list(fields_of(field.inside)), 1) for field in fields if field.number == _INPUT]
    casts = [node for node in nodes if text_of(node, _OPERATOR) == b"Cast"]
    if {types[name] for name in (*inputs, wanted)} != {FLOAT} or not all(_is_of_floats(one, types) for one in casts):
        return None
    before = {text_of(cast, _GIVES): text_of(cast, _TAKES) for cast in casts}

    def first(name: bytes) -> bytes:
        for _ in before:  # converters write them in any order; who writes a circle is refused elsewhere
            if name not in before:
                break
            name = before[name]
        return name

    last = first(wanted)
    if last in inputs:
        return None
    names = {name: first(name) for name in before}
    return {old: wanted if new == last else new for old, new in names.items()} | {last: wanted}


def _is_of_floats(cast: Iterable[Field], types: dict[bytes, int]) -> bool:
    """Return whether a Cast makes floats of floats."""
    made = [number_of(list(fields_of(field.inside)), _INTEGER) for field in cast if field.number == _ATTRIBUTE]
    return types.get(text_of(cast, _TAKES)) in (FLOAT, HALF) and made[0] in (FLOAT, HALF)


def _plain_node(node: Iterable[Field], names: dict[bytes, bytes], halved: bool) -> list[_Part]:
    """Return a NodeProto, as a field, that takes what casts took before it, and resizes in the way that is known."""
    operator = text_of(node, _OPERATOR)
    parts: list[_Part] = []
    for field in node:
        if field.number in (_TAKES, _GIVES):
            name = bytes(field.inside)
            parts += _message(field.number, [names.get(name, name)])
        elif field.number == _ATTRIBUTE and operator == b"Resize":
            parts += _message(_ATTRIBUTE, _known_resize(field.inside))
        elif field.number == _ATTRIBUTE and operator == b"Constant" and halved:
            parts += _message(_ATTRIBUTE, _in_float32_inside(field.inside))
        else:
            parts.append(field.written)
    return _message(_NODE, parts)


def _known_resize(attribute: memoryview) -> list[_Part]:
    """Return an AttributeProto of a Resize, in parts, whose way to count pixels is the known one."""
    parts: list[_Part] = []
    for field in fields_of(attribute):
        strange = field.number == _TEXT and bytes(field.inside) == b"pytorch_half_pixel"
        parts += _message(_TEXT, [b"half_pixel"]) if strange else [field.written]
    return parts


def _in_float32_inside(attribute: memoryview) -> list[_Part]:
    """Return an AttributeProto, in parts, whose tensor is not in half precision."""
    parts: list[_Part] = []
    for field in fields_of(attribute):
        parts += _message(_TENSOR, _in_float32(field.inside)) if field.number == _TENSOR else [field.written]
    return parts


def _in_float32(tensor: memoryview) -> list[_Part]:
    """Return a TensorProto, in parts, in float32 where it was in half precision.

    Raises ValueError where its numbers do not lie in it as they lie in memory.
    """
    fields = list(fields_of(tensor))
    if number_of(fields, _DATA_TYPE) != HALF:
        return [tensor]
    if not {field.number for field in fields} <= {_DIMENSION, _DATA_TYPE, _TENSOR_NAME, _RAW}:
        raise ValueError("weights that are written in another way")
    parts: list[_Part] = []
    for field in fields:
        if field.number == _DATA_TYPE:
            parts.append(bytes((_DATA_TYPE << 3 | _VARINT, FLOAT)))
        elif field.number == _RAW:
            parts += _message(_RAW, [np.frombuffer(field.inside, "<f2").astype("<f4").tobytes()])
        else:
            parts.append(field.written)
    return parts


def _type_of(value: memoryview) -> int:
    """Return the data type of a ValueInfoProto's tensor; 0 where it says none."""
    for number in (2, 1):  # TypeProto, then its tensor_type
        found = [field.inside for field in fields_of(value) if field.number == number]
        if not found:
            return 0
        value = found[0]
    return number_of(list(fields_of(value)), 1)


def _message(number: int, parts: Sequence[_Part]) -> list[_Part]:
    """Return bytes in parts as a field, in parts."""
    written, size = bytearray([number << 3 | _BYTES]), sum(map(len, parts))  # numbers here are below 16
    while size > 127:
        written.append(size & 127 | 128)
        size >>= 7
    written.append(size)
    return [bytes(written), *parts]
