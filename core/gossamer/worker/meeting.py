"""Where client and worker meet: a socket in a private folder, or a port of this machine and a secret in a file there.

A socket in the file system is reached by whoever may enter its folder. A port is reached by every user of the machine,
and after the worker's end anybody may sit at it. So the file tells the port together with a secret, by which both sides
prove, before anything else is said, that they can read it:

- the worker sends 32 random bytes, W;
- the client sends 32 of its own, C, and the HMAC-SHA256 of ``b"client" + W + C`` under the secret;
- the worker sends that of ``b"worker" + W + C``.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
import socket
import time
from pathlib import Path
from typing import Literal, TypeAlias

from gossamer.errors import WorkerError
from gossamer.platform import has_local_sockets, is_of_this_user, is_socket, local_socket, write_private
from gossamer.worker.protocol import ProtocolError, receive_exactly

__all__ = ["MARK", "WAYS", "Listener", "Way"]

Way: TypeAlias = Literal["auto", "unix", "tcp"]
WAYS: tuple[Way, ...] = ("auto", "unix", "tcp")
"""``unix``: a socket in the file system; ``tcp``: a port and a secret; ``auto``: the first where the system has it.

``GOSSAMER_SOCKET`` chooses where nobody else does. Clients see what lies at the path.
"""

MARK = "gossamer worker"
"""What the file that tells the port begins with."""

_LONGEST = 100  # bytes of a socket's path: 107 on Linux, 103 on macOS
_NONCE, _PROOF = 32, 32


class Listener:
    """The worker's end; use it in a ``with``. Only one process may have one at a path.

    Parameters
    ----------
    path : Path
        Of the socket, or of the file that tells the port; its folder must be private.
    way : {"auto", "unix", "tcp"}
    waiting : int
        How many clients may wait to be accepted.

    Raises
    ------
    WorkerError
        There is no such way, or not on this system; the path is too long or taken by something else.
    """

    def __init__(self, path: Path, way: str = "auto", waiting: int = 16) -> None:
        self._path = path
        self._secret = b""
        self.socket = self._bound(_chosen(way))
        self.socket.listen(waiting)
        self.socket.setblocking(False)

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let nobody come any more."""
        self.socket.close()
        self._path.unlink(missing_ok=True)

    def admits(self, connection: socket.socket, patience: float) -> bool:
        """Whether the process at the other end is this user's: for a port it must prove that within so many seconds.

        Raises
        ------
        ConnectionClosed, OSError
            The other side has gone, or stands still.
        """
        if not self._secret:
            return is_of_this_user(connection)
        until = time.monotonic() + patience
        mine = secrets.token_bytes(_NONCE)
        connection.settimeout(patience)
        connection.sendall(mine)
        answer = bytes(receive_exactly(connection, _NONCE + _PROOF, until))
        both = mine + answer[:_NONCE]
        if not hmac.compare_digest(answer[_NONCE:], hmac.digest(self._secret, b"client" + both, "sha256")):
            raise ProtocolError("A process that does not know the secret has come to the worker's port.", "")
        connection.sendall(hmac.digest(self._secret, b"worker" + both, "sha256"))
        return True

    def _bound(self, way: Way) -> socket.socket:
        if way == "unix" and len(os.fsencode(self._path)) > _LONGEST:
            raise WorkerError(f"The path {self._path} is too long for a socket.", "Give a shorter path.")
        if os.path.lexists(self._path):
            if not is_socket(self._path) and not _is_ours(self._path):
                raise WorkerError(f"{self._path} is no socket.", "Remove it, or give another path for the socket.")
            self._path.unlink()  # we hold the lock: whoever left it behind is gone
        if way == "unix":
            listener = local_socket()
            listener.bind(os.fspath(self._path))  # nobody else can reach it before the chmod: its folder is private
            os.chmod(self._path, 0o600)
            return listener
        listener = socket.create_server(("127.0.0.1", 0))
        self._secret = secrets.token_bytes(32)
        record = {"port": listener.getsockname()[1], "secret": self._secret.hex()}
        write_private(self._path, f"{MARK}\n{json.dumps(record)}\n".encode())
        return listener


def _chosen(way: str) -> Way:
    wanted = os.environ.get("GOSSAMER_SOCKET") or "auto" if way == "auto" else way
    for known in WAYS:
        if wanted == known:
            break
    else:
        raise WorkerError(f"There is no way {wanted!r} to meet the worker.", f"Choose one of: {', '.join(WAYS)}.")
    if known == "unix" and not has_local_sockets():
        raise WorkerError("This system has no Unix sockets.", "Choose the way tcp.")
    if known == "auto":
        return "unix" if has_local_sockets() else "tcp"
    return known


def _is_ours(path: Path) -> bool:
    """Whether a file is one that a worker has written."""
    try:
        with path.open("rb") as file:
            return file.read(len(MARK)) == MARK.encode()
    except OSError:
        return False
