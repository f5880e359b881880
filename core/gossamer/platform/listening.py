"""Sockets that others connect to."""

from __future__ import annotations

import socket
import sys

__all__ = ["listen"]


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens at an address, which nobody else listens at; raises OSError."""
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    made = socket.socket(family, kind)
    try:
        # On POSIX a port is free at once after its process has ended; on Windows this would share it with others.
        if sys.platform != "win32":
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(128)
    except BaseException:
        made.close()
        raise
    return made
