"""What the service and its own worker processes tell each other: objects, each after its length.

Both ends are one program, the one the other's parent, and the pipe between them is nobody else's.
"""

from __future__ import annotations

import pickle
import struct
from typing import Any, BinaryIO

__all__ = ["receive", "send"]

_LENGTH = struct.Struct("<Q")


def send(stream: BinaryIO, thing: Any) -> None:
    """Write one object; raises OSError or ValueError where nobody reads."""
    data = pickle.dumps(thing, pickle.HIGHEST_PROTOCOL)
    stream.write(_LENGTH.pack(len(data)))
    stream.write(data)
    stream.flush()


def receive(stream: BinaryIO) -> Any:
    """Read one object; raises EOFError where the other end has gone."""
    (length,) = _LENGTH.unpack(_exactly(stream, _LENGTH.size))
    return pickle.loads(_exactly(stream, length))  # noqa: S301 - from our own process alone


def _exactly(stream: BinaryIO, count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise EOFError
    return data
