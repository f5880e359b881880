"""The worker's process: a private Unix socket, one thread a client, and an end when nobody needs it."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import selectors
import signal
import socket
import stat
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout

from gossamer import __version__
from gossamer.errors import WorkerError
from gossamer.worker.conversation import Conversation
from gossamer.worker.cutter import Cutter
from gossamer.worker.protocol import PROTOCOL, error_frame, send_frame

__all__ = ["default_socket", "private_folder", "serve"]

_CLIENTS = 16
_GRACE = 10.0  # seconds that a cancelled picture gets to notice

_log = logging.getLogger("gossamer.worker")


def default_socket() -> Path:
    """Return the path of the socket that client and worker meet at when nobody says another.

    That is ``$XDG_RUNTIME_DIR/gossamer/worker.sock``, or ``gossamer-<user id>/worker.sock`` in the folder for
    temporary files where there is no such folder or it is not ours.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(runtime):
        with contextlib.suppress(OSError):
            if os.stat(runtime).st_uid == os.getuid():
                return Path(runtime) / "gossamer" / "worker.sock"
    return Path(tempfile.gettempdir()) / f"gossamer-{os.getuid()}" / "worker.sock"


def private_folder(folder: Path) -> Path:
    """Make `folder` for this user alone, or check that it is.

    Raises
    ------
    WorkerError
        It cannot be made, is no folder, belongs to somebody else, or others may enter it.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = os.lstat(folder)
    except OSError as error:
        raise WorkerError(
            f"The folder {folder} cannot be made: {error.strerror}.", "Give another path: --socket PATH"
        ) from None
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise WorkerError(f"{folder} is not a folder of yours.", "Remove it, or give another path: --socket PATH")
    if status.st_mode & 0o077:
        raise WorkerError(f"Others may enter the folder {folder}.", f"Type: chmod 700 '{folder}'")
    return folder


def serve(socket_path: Path | None, *, idle_seconds: float = 600, device: str = "auto") -> None:
    """Serve cut-outs over a private Unix socket until nobody has asked for `idle_seconds`.

    Returns at once, having said so in the log, where another worker serves this socket already. Ends cleanly
    on SIGTERM and SIGINT (when called in the main thread): work is cancelled and the socket removed. The log
    goes to stderr.

    Parameters
    ----------
    socket_path : Path or None
        The socket; its folder is made for this user alone. None is :func:`default_socket`.
    idle_seconds : float
        The time without requests after which the worker ends.
    device : {"auto", "cpu", "cuda"}
        Where models run when a request does not say.

    Raises
    ------
    WorkerError
        The folder is not private, the path is too long or taken by something else, or the system has no Unix
        sockets.
    """
    if not hasattr(socket, "AF_UNIX"):
        raise WorkerError("The worker needs Unix sockets, which this system lacks.", "Use Linux or macOS.")
    if not math.isfinite(idle_seconds) or idle_seconds <= 0:
        raise WorkerError(f"The worker cannot wait for {idle_seconds:g} seconds.", "Give --idle a positive number.")
    path = (socket_path or default_socket()).absolute()
    if len(os.fsencode(path)) > 100:  # 107 bytes on Linux, 103 on macOS
        raise WorkerError(f"The path {path} is too long for a socket.", "Give a shorter path: --socket PATH")
    private_folder(path.parent)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    _log.addHandler(handler)
    _log.setLevel(logging.INFO)
    try:
        with FileLock(f"{path}.lock", timeout=0):
            _Server(path, idle_seconds, Cutter(device)).run()
    except Timeout:
        _log.info("Another worker serves %s already: nothing to do.", path)
    finally:
        _log.removeHandler(handler)


class _Server:
    """Accepts clients and knows when to end. Only the holder of the socket's lock may run one."""

    def __init__(self, path: Path, idle_seconds: float, cutter: Cutter) -> None:
        self._path = path
        self._idle = idle_seconds
        self._cutter = cutter
        self._stop = threading.Event()  # no more requests
        self._cancel = threading.Event()  # and those in work are given up
        self._changed = threading.Lock()
        self._clients: dict[Conversation, threading.Thread] = {}
        self._asked = time.monotonic()
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)

    def run(self) -> None:
        """Serve until it is time to end."""
        with self._wake_in, self._wake_out:
            self._serve(self._listen())

    def _serve(self, listener: socket.socket) -> None:
        _log.info(
            "gossamer %s (protocol %d) serves %s as process %d",
            __version__,
            PROTOCOL,
            self._path,
            os.getpid(),
        )
        restore = self._catch_signals()
        try:
            self._accept_until_done(listener)
        finally:
            listener.close()
            self._path.unlink(missing_ok=True)
            self._finish()
            restore()
            _log.info("The worker ends.")

    def stop(self, *, cancel: bool) -> None:
        """End soon: with `cancel` at once, without it after the pictures in work."""
        if cancel:
            self._cancel.set()
        self._stop.set()
        with contextlib.suppress(OSError):
            self._wake_in.send(b"x")

    @property
    def cancelled(self) -> bool:
        """Whether work is to be given up."""
        return self._cancel.is_set()

    @property
    def stopping(self) -> bool:
        """Whether new requests are refused."""
        return self._stop.is_set()

    @property
    def cutter(self) -> Cutter:
        """Who does the work."""
        return self._cutter

    def asked(self) -> None:
        """Note that somebody needs the worker."""
        self._asked = time.monotonic()

    def _listen(self) -> socket.socket:
        if os.path.lexists(self._path):
            if not stat.S_ISSOCK(os.lstat(self._path).st_mode):
                raise WorkerError(f"{self._path} is no socket.", "Remove it, or give another path: --socket PATH")
            self._path.unlink()  # we hold the lock: whoever left it behind is gone
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(os.fspath(self._path))  # nobody else can reach it before the chmod: its folder is private
        os.chmod(self._path, 0o600)
        listener.listen(_CLIENTS)
        listener.setblocking(False)
        return listener

    def _catch_signals(self) -> Callable[[], None]:
        if threading.current_thread() is not threading.main_thread():
            return lambda: None
        before = {
            number: signal.signal(number, lambda *_: self.stop(cancel=True))
            for number in (signal.SIGTERM, signal.SIGINT)
        }

        def restore() -> None:
            for number, handler in before.items():
                signal.signal(number, handler)

        return restore

    def _accept_until_done(self, listener: socket.socket) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(listener, selectors.EVENT_READ)
            selector.register(self._wake_out, selectors.EVENT_READ)
            while not self._stop.is_set():
                left = self._idle_left()
                if left <= 0:
                    _log.info("Nobody asked for %g seconds.", self._idle)
                    self._stop.set()
                    break
                for key, _ in selector.select(left):
                    if key.fileobj is listener:
                        self._welcome(listener)

    def _idle_left(self) -> float:
        with self._changed:
            if any(client.busy for client in self._clients):
                self._asked = time.monotonic()
        return self._asked + self._idle - time.monotonic()

    def _welcome(self, listener: socket.socket) -> None:
        try:
            connection, _ = listener.accept()
        except OSError:
            return  # gone again
        connection.setblocking(True)
        if not _is_ours(connection):
            connection.close()
            return
        if len(self._clients) >= _CLIENTS:
            full = WorkerError("Too many programs use the worker at once.", "Try again in a moment.")
            with connection, contextlib.suppress(OSError):
                send_frame(connection, error_frame(full, fatal=True))
            return
        client = Conversation(connection, self)
        thread = threading.Thread(target=self._attend, args=(client,), name="gossamer client", daemon=True)
        with self._changed:
            self._clients[client] = thread
        thread.start()

    def _attend(self, client: Conversation) -> None:
        try:
            client.attend()
        finally:
            with self._changed:
                self._clients.pop(client, None)
            client.close()

    def _finish(self) -> None:
        """Let what is in work finish, or give it up, and part from the clients."""
        until = time.monotonic() + _GRACE
        while any(client.busy for client in list(self._clients)):
            if self.cancelled and time.monotonic() > until:
                _log.warning("A picture in work did not stop in %g seconds.", _GRACE)
                break
            time.sleep(0.02)
        with self._changed:
            left = dict(self._clients)
        for client, thread in left.items():
            client.hang_up()
            thread.join(timeout=1.0)


def _is_ours(connection: socket.socket) -> bool:
    """Whether the process at the other end is this user's.

    Only Linux is asked; elsewhere the private folder alone guards the socket.
    """
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    size = struct.calcsize("3i")
    _, user, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return bool(user == os.getuid())
