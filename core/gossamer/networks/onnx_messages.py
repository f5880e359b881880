"""ONNX files as protocol buffers (onnx/onnx.proto), of which so little is read here that it takes no package."""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "FLOAT",
    "HALF",
    "INTEGER",
    "Field",
    "fields_of",
    "let_go",
    "mapped",
    "number_of",
    "numbers_of",
    "tensor_of",
    "text_of",
    "varint",
]

FLOAT, INTEGER, HALF = 1, 7, 10
"""Types of tensors (TensorProto.DataType): float32, int64, float16."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types
_LAID_OUT = {FLOAT: "<f4", HALF: "<f2", INTEGER: "<i8", 6: "<i4"}
_DIMENSION, _DATA_TYPE, _NAME, _RAW = 1, 2, 8, 9  # of TensorProto
_MOST_DIMENSIONS = 8


class Field(NamedTuple):
    """A field of a message: its number, its value (a whole number, or bytes), and all that it is written as."""

    number: int
    value: int | memoryview
    written: memoryview

    @property
    def inside(self) -> memoryview:
        """Its bytes; raises ValueError where it is a number."""
        if isinstance(self.value, int):
            raise ValueError("a number, where there should be a message")
        return self.value


def mapped(path: Path) -> memoryview:
    """Return a file's bytes, which come from the disk as they are read; raises OSError or, of none, ValueError."""
    with path.open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def let_go(view: memoryview) -> None:
    """Let the system take back what was read of a file that :func:`mapped` gave: it comes from there again."""
    if hasattr(mmap, "MADV_DONTNEED"):
        view.obj.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]


def fields_of(message: memoryview) -> Iterator[Field]:
    """Yield the fields of a message; raises IndexError or ValueError where it is none."""
    at = 0
    while at < len(message):
        start = at
        key, at = varint(message, at)
        kind = key & 7
        if kind == _VARINT:
            value, at = varint(message, at)
            yield Field(key >> 3, value, message[start:at])
            continue
        if kind == _BYTES:
            size, at = varint(message, at)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError("no field")
        if at + size > len(message):
            raise ValueError("cut off")
        yield Field(key >> 3, message[at : at + size], message[start : at + size])
        at += size


def varint(message: memoryview, at: int) -> tuple[int, int]:
    """Return a number of seven bits a byte, the lowest first, and where it ends; raises ValueError beyond 64 bits."""
    value = 0
    for shift in range(0, 64, 7):
        byte = message[at]
        value |= (byte & 127) << shift
        at += 1
        if byte < 128:
            return value, at
    raise ValueError("no number")


def text_of(message: Iterable[Field], number: int) -> bytes:
    """Return the first text of a message under a number; "" where it has none."""
    return next((bytes(field.inside) for field in message if field.number == number), b"")


def number_of(message: Iterable[Field], number: int) -> int:
    """Return the first whole number of a message under a number; 0 where it has none."""
    return next((field.value for field in message if field.number == number and isinstance(field.value, int)), 0)


def numbers_of(message: Iterable[Field], number: int) -> tuple[int, ...]:
    """Return all whole numbers of a message under a number, one by one or packed, with their signs."""
    found: list[int] = []
    for field in message:
        if field.number != number:
            continue
        if isinstance(field.value, int):
            found.append(field.value)
            continue
        at = 0
        while at < len(field.value):
            value, at = varint(field.value, at)
            found.append(value)
    return tuple(value - (1 << 64) if value >> 63 else value for value in found)


def tensor_of(message: memoryview) -> tuple[bytes, NDArray[np.generic]]:
    """Return the name and the numbers of a TensorProto, which stay in the file where they lie there as in memory.

    Raises ValueError where they are of another type, or written in another way.
    """
    fields = list(fields_of(message))
    shape = numbers_of(fields, _DIMENSION)
    laid_out = _LAID_OUT.get(number_of(fields, _DATA_TYPE))
    known = {field.number for field in fields} <= {_DIMENSION, _DATA_TYPE, _NAME, _RAW}
    if laid_out is None or not known or len(shape) > _MOST_DIMENSIONS or any(side < 0 for side in shape):
        raise ValueError("numbers that are written in another way")
    raw = next((field.inside for field in fields if field.number == _RAW), memoryview(b""))
    return text_of(fields, _NAME), np.frombuffer(raw, laid_out).reshape(shape)
