# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames, which client and worker speak in: standard library only, no gi.

A frame is the length of its header (four bytes, big endian), the header (a JSON object) and as many raw bytes
as the header's ``payload`` says.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Iterable

_LENGTH = struct.Struct(">I")
_MAX_HEADER = 1 << 20


def send(line: socket.socket, header: dict, parts: Iterable[bytes] = (), size: int = 0) -> None:
    """Send a frame, whose payload are these bytes, one after the other: `size` of them, all together."""
    text = json.dumps({**header, "payload": size}).encode()
    line.sendall(_LENGTH.pack(len(text)) + text)
    for part in parts:
        line.sendall(part)


def receive(line: socket.socket, most: int = 0) -> tuple[dict, Payload]:
    """Receive a frame's header; raises ValueError where it claims more bytes than what was asked for.

    The payload must be taken before anything else is received.
    """
    (length,) = _LENGTH.unpack(Payload(line, _LENGTH.size).take(_LENGTH.size))
    if length > _MAX_HEADER:
        raise ValueError("a header of an impossible size")
    header = json.loads(Payload(line, length).take(length))
    size = header.get("payload", 0)
    if not isinstance(size, int) or not 0 <= size <= most:
        raise ValueError("a payload of an impossible size")
    return header, Payload(line, size)


class Payload:
    """A frame's bytes, which are received when they are taken, in their order.

    A large picture is never here as a whole where its strips can be passed on: fresh memory takes longer than the
    bytes themselves.

    Attributes
    ----------
    left : int
        How many were not taken yet.
    """

    def __init__(self, line: socket.socket, size: int) -> None:
        self._line, self.left = line, size
        self._strip = bytearray()

    def take(self, size: int) -> bytes:
        """Return the next so many bytes; raises EOFError or OSError where they do not come."""
        if len(self._strip) < size:
            self._strip = bytearray(size)
        with memoryview(self._strip)[:size] as view:
            self._receive_into(view)
            return bytes(view)

    def keep(self, size: int) -> memoryview:
        """Return the same in memory of their own, for what stays."""
        view = memoryview(bytearray(size))
        self._receive_into(view)
        return view

    def _receive_into(self, view: memoryview) -> None:
        if len(view) > self.left:
            raise EOFError
        self.left -= len(view)
        while view:
            count = self._line.recv_into(view)
            if not count:
                raise EOFError
            view = view[count:]
