"""What client and worker say to each other: frames over a connection (see gossamer/worker/meeting.py).

A frame is the length of its header as four bytes (big endian), the header as a JSON object in UTF-8, and then
as many raw bytes as the header's ``payload`` says (none without it). Numbers in the raw bytes are in the
machine's own byte order: both ends are on one machine.

The client's first frame is ``{"gossamer": version, "protocol": number}``; the worker answers with the
same of its own, ``"type": "hello"`` and its ``pid``. Where the protocol numbers differ, the answer's type is
``error``, and the only request that is then accepted is ``shutdown``: frames, this handshake and ``shutdown``
never change. After it the client sends requests, one at a time; each is an object with the field ``request``
(what gossamer/worker/requests.py checks), and its answer the frame of the type that is named here:

``open`` (width, height, channels, dtype, existing_alpha; payload: the picture's rows)
    ``opened`` with ``picture``, the number by which the client asks for it from now on, and ``reads_text``: whether a
    model for the source ``text`` is here. It is sent once.
``segment`` (picture, model, quality, device, options, source, box, text, limit; payload: a plane of bytes or none)
    ``segmented`` with ``model``, ``about`` it (what ``models`` says, or null), ``coverage`` and ``warnings``: the
    worker has the subject's mask. The same wish again costs nothing. Nothing is fetched for it: where weights are
    missing, the error has ``needs``, what ``models`` says of that model.
``refine`` (picture, options, scale, draft, changes, region, foreground, background, shadow, rgba, dtype)
    ``result`` (``left``, ``top``, ``width``, ``height``, ``dtype``, ``foreground``, ``background`` and ``shadow`` =
    their channels or 0, ``report``), whose payload is the alpha, the alpha of the photograph's shadow, then the
    subject's colours and what is behind it, at the picture's size whatever the scale: below 1 it is a preview,
    computed on a smaller picture. Where ``changes`` of one are asked
    for and an earlier one is there, the payload begins with those parts of the alpha that differ, one after the other:
    ``boxes`` has their left, top, width and height. Colours have the picture's channels, four where ``rgba`` is wished.
``brush`` (picture, region; payload: a plane of bytes of the region's size)
    ``brushed``: where the plane is not 0 the matte is solved again, for every ``refine`` that follows, until the
    subject is another one. Without a region: all that was brushed is forgotten.
``finish`` (picture, options, preset)
    ``finished`` (``width``, ``height``, ``channels``, ``dtype``, ``report``), whose payload is the picture as the
    preset's shop wants it: canvas, margins, shadow and background.
``clip`` (width, height, dtype, model, quality, device, options)
    ``begun``: frames of that size can be sent, RGBA of 8 or 16 bits; a client has one clip at a time. For weights that
    are missing it is as for ``segment``.
``frame`` (payload: a frame's rows; none after the last)
    ``framed`` with ``count`` and ``warnings``; its payload are so many frames cut out, RGBA with straight alpha, in
    their order. A matte is held still with those after it, so they come some frames later, the last ones after a
    ``frame`` without a payload, which ends the clip.
``close`` (picture)
    ``closed``. The end of the connection closes all.
``models``
    ``models`` with ``models`` (``id``, ``title``, ``licence``, ``licence_url``, ``commercial``, ``accepted``,
    ``bytes``, ``installed``, ``wants_card``) and ``automatic``, the ids that each quality would take.
``fetch`` (model, accept_licence)
    ``fetched`` with what ``models`` says of the model: the client has asked its user before.
``ping``
    ``pong`` with ``busy`` and ``pid``, also while others' pictures are worked on.
``cancel``
    No answer of its own: what is in work for this client, if anything still is, is answered by an error of the kind
    ``Cancelled``.
``shutdown``
    ``bye``; the worker finishes what it works on, ends, and closes the connection.

While the worker is at ``segment``, ``refine``, ``brush``, ``finish``, ``clip``, ``frame`` or ``fetch`` it sends any
number of ``progress`` frames (``fraction``, ``message``). Any request may be answered by ``{"type": "error",
"message", "remedy", "kind", "fatal"}``; after a fatal one the worker closes the connection.

The worker hangs up on a client that asks for nothing for five minutes (an hour, where it has a picture open), or takes
longer for a frame than half a minute and a second for each four megabytes. Where more than sixteen clients come, those
that have asked for nothing the longest make way; only where a picture of each is in work is the next one told to come
again.
"""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import struct
import time
from collections.abc import Iterable, Mapping
from typing import Any

from gossamer.errors import GossamerError, WorkerError
from gossamer.remedies import without_flags

__all__ = [
    "MAX_HEADER",
    "PROTOCOL",
    "ConnectionClosed",
    "ProtocolError",
    "error_frame",
    "part_with",
    "receive_exactly",
    "receive_header",
    "receive_into",
    "send_frame",
]

PROTOCOL = 2
MAX_HEADER = 1 << 20

_log = logging.getLogger("gossamer.worker")

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


def send_frame(connection: socket.socket, header: Mapping[str, Any], parts: Iterable[Any] = (), size: int = 0) -> None:
    """Send one frame; its payload are contiguous buffers, one after the other: `size` bytes, all together.

    The parts may be made as they are sent. The connection's timeout is that of the whole frame.

    Raises
    ------
    ConnectionClosed
        A part could not be made: nothing else can be said over this connection, whose other end waits for the rest.
    OSError
        The other side has gone, or reads too slowly.
    """
    patience = connection.gettimeout()
    until = None if patience is None else time.monotonic() + patience
    text = json.dumps({**header, "payload": size}, allow_nan=False).encode()
    connection.sendall(_LENGTH.pack(len(text)) + text)
    try:
        for part in parts:
            view = memoryview(part)
            if until is not None:
                connection.settimeout(max(until - time.monotonic(), 1e-3))
            if view.nbytes:
                connection.sendall(view.cast("B"))
    except OSError:
        raise
    except Exception:
        _log.exception("An answer broke off")
        raise ConnectionClosed from None
    connection.settimeout(patience)


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
    (length,) = _LENGTH.unpack(receive_exactly(connection, _LENGTH.size, until))
    if not 2 <= length <= MAX_HEADER:
        raise ProtocolError(f"A frame's header cannot have {length} bytes.")
    text = receive_exactly(connection, length, until)
    try:
        header = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError):
        raise ProtocolError("A frame's header is not JSON.") from None
    if not isinstance(header, dict):
        raise ProtocolError("A frame's header is not a JSON object.")
    payload = header.get("payload", 0)
    if not isinstance(payload, int) or isinstance(payload, bool) or payload < 0:
        raise ProtocolError(f"A frame's payload cannot have {payload!r} bytes.")
    return header, payload


def receive_exactly(connection: socket.socket, size: int, until: float) -> bytearray:
    """Receive `size` bytes, all of them by the time `until`; else as :func:`receive_header`."""
    data = bytearray(size)
    receive_into(connection, memoryview(data), until)
    return data


def receive_into(connection: socket.socket, memory: memoryview, until: float) -> None:
    """Receive as many bytes as the memory has; else as :func:`receive_exactly`."""
    done = 0
    while done < len(memory):
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connection.settimeout(left)
        count = connection.recv_into(memory[done:])
        if count == 0:
            raise ConnectionClosed
        done += count


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
