# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames, which client and worker speak in: standard library only, no gi.

A frame is the length of its header (four bytes, big endian), the header (a JSON object) and as many raw bytes
as the header's ``payload`` says.
"""

from __future__ import annotations

import json
import socket
import struct

_LENGTH = struct.Struct(">I")
_MAX_HEADER = 1 << 20


def send(line: socket.socket, header: dict, *payload: bytes) -> None:
    """Send a frame, whose payload are these bytes, one after the other."""
    text = json.dumps({**header, "payload": sum(map(len, payload))}).encode()
    line.sendall(_LENGTH.pack(len(text)) + text)
    for part in payload:
        line.sendall(part)


def receive(line: socket.socket, most: int = 0) -> tuple[dict, bytearray]:
    """Receive a frame; raises ValueError where it claims to be larger than what was asked for."""
    (length,) = _LENGTH.unpack(_exactly(line, _LENGTH.size))
    if length > _MAX_HEADER:
        raise ValueError("a header of an impossible size")
    header = json.loads(_exactly(line, length))
    size = header.get("payload", 0)
    if not isinstance(size, int) or not 0 <= size <= most:
        raise ValueError("a payload of an impossible size")
    return header, _exactly(line, size)


def _exactly(line: socket.socket, size: int) -> bytearray:
    data = bytearray(size)
    view = memoryview(data)
    while view:
        count = line.recv_into(view)
        if not count:
            raise EOFError
        view = view[count:]
    return data
