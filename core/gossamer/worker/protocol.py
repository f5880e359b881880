"""What client and worker say to each other: frames over a connection (see gossamer/worker/meeting.py).

A frame is the length of its header as four bytes (big endian), the header as a JSON object in UTF-8, and then
as many raw bytes as the header's ``payload`` says (none without it). Numbers in the raw bytes are in the
machine's own byte order: both ends are on one machine.

The client's first frame is ``{"gossamer": version, "protocol": number}``; the worker answers with the
same of its own, ``"type": "hello"`` and its ``pid``. Where the protocol numbers differ, the answer's type is
``error``, and the only request that is then accepted is ``shutdown``: frames, this handshake and ``shutdown``
never change. After it the client sends requests, one at a time:

``{"request": "remove", "width", "height", "channels", "dtype", "model", "device", "options", "foreground",
"existing_alpha", "payload"}``
    with the picture's rows as payload. Answered by any number of ``progress`` frames (``fraction``,
    ``message``), then one ``result`` (``width``, ``height``, ``dtype``, ``foreground`` = its channels or 0,
    ``report``), whose payload is the alpha and then the foreground, in the request's dtype.
``{"request": "models"}``
    Answered by ``{"type": "models", "models": [{"id", "title", "licence", "installed"}]}``.
``{"request": "ping"}``
    Answered by ``{"type": "pong", "busy", "pid"}``, also while others' pictures are worked on.
``{"request": "shutdown"}``
    Answered by ``{"type": "bye"}``; the worker finishes what it works on, ends, and closes the connection.

Any request may be answered by ``{"type": "error", "message", "remedy", "kind", "fatal"}``; after a fatal one
the worker closes the connection. A client cancels by closing the connection.

The worker hangs up on a client that asks for nothing for five minutes, or takes longer for a frame than half a minute
and a second for each ten megabytes. Where more than sixteen clients come, those that have asked for nothing the longest
make way; only where a picture of each is in work is the next one told to come again.
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.errors import GossamerError, InputError, WorkerError
from gossamer.remedies import without_flags

__all__ = [
    "DTYPES",
    "MAX_HEADER",
    "MAX_PIXELS",
    "PROTOCOL",
    "ConnectionClosed",
    "ProtocolError",
    "RemoveRequest",
    "error_frame",
    "from_unit",
    "part_with",
    "receive_exactly",
    "receive_header",
    "send_frame",
    "to_unit",
]

PROTOCOL = 1
MAX_HEADER = 1 << 20
MAX_PIXELS = 1 << 29
DTYPES: Mapping[str, type[Any]] = {"u8": np.uint8, "u16": np.uint16, "float32": np.float32}

_LENGTH = struct.Struct(">I")
_REMEDY = "Open a terminal and type: gossamer gimp install"


class ProtocolError(WorkerError):
    """A frame that is not what it should be: the connection cannot be used any more."""

    def __init__(self, message: str, remedy: str = _REMEDY) -> None:
        super().__init__(message, remedy)


class ConnectionClosed(WorkerError):
    """The other side closed the connection."""

    def __init__(self) -> None:
        super().__init__("The connection was closed.")


def send_frame(connection: socket.socket, header: Mapping[str, Any], *payload: NDArray[Any]) -> None:
    """Send one frame; the size of the payload is put into the header."""
    parts = [np.ascontiguousarray(array) for array in payload]
    full = {**header, "payload": sum(array.nbytes for array in parts)}
    text = json.dumps(full, allow_nan=False).encode()
    connection.sendall(_LENGTH.pack(len(text)) + text)
    for array in parts:
        if array.nbytes:
            connection.sendall(array.data.cast("B"))


def receive_header(connection: socket.socket, until: float) -> tuple[dict[str, Any], int]:
    """Receive a frame's header and the size of the payload that follows it.

    Parameters
    ----------
    connection : socket
    until : float
        The time, as of ``time.monotonic()``, by which all of it must be there.

    Raises
    ------
    ConnectionClosed
        The other side closed the connection before the frame, or in it.
    TimeoutError
        It takes longer.
    ProtocolError
        The bytes are no frame.
    """
    (length,) = _LENGTH.unpack(receive_exactly(connection, _LENGTH.size, until).tobytes())
    if not 2 <= length <= MAX_HEADER:
        raise ProtocolError(f"A frame's header cannot have {length} bytes.")
    text = receive_exactly(connection, length, until).tobytes()
    try:
        header = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError):
        raise ProtocolError("A frame's header is not JSON.") from None
    if not isinstance(header, dict):
        raise ProtocolError("A frame's header is not a JSON object.")
    payload = header.get("payload", 0)
    if not _is_int(payload) or payload < 0:
        raise ProtocolError(f"A frame's payload cannot have {payload!r} bytes.")
    return header, payload


def receive_exactly(connection: socket.socket, size: int, until: float) -> NDArray[np.uint8]:
    """Receive `size` bytes, all of them by the time `until`; else as :func:`receive_header`."""
    data = np.empty(size, np.uint8)
    view = data.data
    done = 0
    while done < size:
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connection.settimeout(left)
        count = connection.recv_into(view[done:])
        if count == 0:
            raise ConnectionClosed
        done += count
    return data


def error_frame(error: GossamerError, *, fatal: bool = False) -> dict[str, Any]:
    """Return the header that tells a client of an error."""
    return {
        "type": "error",
        "message": error.message,
        "remedy": without_flags(error.remedy),  # who reads it has a window before them
        "kind": type(error).__name__,
        "fatal": fatal,
    }


def part_with(connection: socket.socket, error: GossamerError) -> None:
    """Say why the conversation ends, then take in for a moment what is on its way: closing over it could lose that."""
    with contextlib.suppress(OSError):
        connection.settimeout(2.0)
        send_frame(connection, error_frame(error, fatal=True))
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(0.2)
        until = time.monotonic() + 1.0
        while time.monotonic() < until and connection.recv(1 << 16):
            pass


@dataclass(frozen=True)
class RemoveRequest:
    """A request to cut out one picture, checked.

    Attributes
    ----------
    width, height : int
        The picture's size.
    channels : {3, 4}
        RGB, or RGB and straight alpha.
    dtype : {"u8", "u16", "float32"}
        Of the picture and of the answer; 255, 65535 and 1.0 are white.
    options : Mapping
        Settings by their flat names, see :func:`gossamer.settings.parameters.parameters`.
    model, device : str
        As :class:`gossamer.Pipeline` takes them; an empty device is the worker's own.
    foreground : bool
        Answer with the foreground's colours too.
    existing_alpha : {"multiply", "keep"}
        ``multiply``: the picture's alpha multiplies the answered alpha. ``keep``: the answered alpha is the
        matte alone, and the picture's alpha comes back, bit for bit, as fourth channel of the foreground (for
        a host that multiplies the two itself, as a layer mask does).
    """

    width: int
    height: int
    channels: int
    dtype: str
    options: Mapping[str, Any]
    model: str
    device: str
    foreground: bool
    existing_alpha: str

    @classmethod
    def of(cls, header: Mapping[str, Any]) -> RemoveRequest:
        """Check a request's header.

        Raises
        ------
        ProtocolError
            A field is missing, of a wrong type or impossible.
        """
        request = cls(
            width=header.get("width", 0),
            height=header.get("height", 0),
            channels=header.get("channels", 3),
            dtype=header.get("dtype", "u8"),
            options=header.get("options", {}),
            model=header.get("model", "auto"),
            device=header.get("device", ""),
            foreground=header.get("foreground", False),
            existing_alpha=header.get("existing_alpha", "multiply"),
        )
        checks = {
            "width": _is_int(request.width) and request.width >= 1,
            "height": _is_int(request.height) and request.height >= 1,
            "channels": _is_int(request.channels) and request.channels in (3, 4),
            "dtype": isinstance(request.dtype, str) and request.dtype in DTYPES,
            "options": isinstance(request.options, dict),
            "model": isinstance(request.model, str) and bool(request.model),
            "device": isinstance(request.device, str),
            "foreground": isinstance(request.foreground, bool),
            "existing_alpha": request.existing_alpha in ("multiply", "keep"),
        }
        for name, good in checks.items():
            if not good:
                raise ProtocolError(f"The request's {name} cannot be used.")
        if request.width * request.height > MAX_PIXELS:
            raise ProtocolError(f"The picture has more than {MAX_PIXELS >> 20} million pixels.", "Scale it down.")
        return request

    @property
    def payload(self) -> int:
        """How many bytes the picture has."""
        return self.width * self.height * self.channels * np.dtype(DTYPES[self.dtype]).itemsize


def to_unit(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return floats clipped to [0, 1].

    Raises
    ------
    InputError
        A float is NaN or infinite.
    """
    if not np.isfinite(pixels).all():
        raise InputError(
            "The picture holds numbers that are not finite.",
            "Repair it, or change it to 8 or 16 bits a channel.",
        )
    unit: NDArray[np.float32] = np.clip(pixels, 0, 1)
    return unit


def from_unit(values: NDArray[np.float32], dtype: str) -> NDArray[Any]:
    """Return float32 in [0, 1] as `dtype`, rounded to the nearest."""
    if dtype == "float32":
        return values.astype(np.float32, copy=False)
    scaled = values * np.float32(np.iinfo(DTYPES[dtype]).max)
    scaled += np.float32(0.5)
    return scaled.astype(DTYPES[dtype])


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
