"""The worker's process: a private socket, one thread a client, and an end when nobody needs it."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import selectors
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout

from gossamer import __version__
from gossamer.errors import WorkerError
from gossamer.platform import catch_ends, make_private_folder, privacy_fault, runtime_folder
from gossamer.worker.conversation import Conversation
from gossamer.worker.cutter import Cutter
from gossamer.worker.inventory import Inventory
from gossamer.worker.meeting import Listener
from gossamer.worker.pictures import Shelf
from gossamer.worker.protocol import PROTOCOL, part_with

__all__ = ["default_socket", "private_folder", "serve"]

_CLIENTS = 16
_GRACE = 10.0  # seconds that a cancelled picture gets to notice

_log = logging.getLogger("gossamer.worker")


def default_socket() -> Path:
    """Return the path of the socket that client and worker meet at when nobody says another.

    That is ``worker.sock`` in :func:`gossamer.platform.runtime_folder`.
    """
    return runtime_folder() / "worker.sock"


def private_folder(folder: Path) -> Path:
    """Make `folder` for this user alone, or check that it is.

    Raises
    ------
    WorkerError
        It cannot be made, is no folder, belongs to somebody else, or others may enter it.
    """
    try:
        make_private_folder(folder)
        fault = privacy_fault(folder)
    except OSError as error:
        raise WorkerError(
            f"The folder {folder} cannot be made: {error.strerror}.", "Give another path for the socket."
        ) from None
    if fault == "open":
        raise WorkerError(
            f"Others may enter the folder {folder}.",
            f"Give another path for the socket, or take their rights away: chmod 700 '{folder}'",
        )
    if fault is not None:
        raise WorkerError(f"{folder} is not a folder of yours.", "Remove it, or give another path for the socket.")
    return folder


def serve(socket_path: Path | None, *, idle_seconds: float = 600, device: str = "auto", way: str = "auto") -> None:
    """Serve cut-outs over a private socket until nobody has asked for `idle_seconds`.

    Returns at once, having said so in the log, where another worker serves this socket already. Ends cleanly
    on SIGTERM and SIGINT (when called in the main thread): work is cancelled and the socket removed. The log
    goes to stderr.

    Parameters
    ----------
    socket_path : Path or None
        The socket, or the file that tells the port; its folder is made for this user alone. None is
        :func:`default_socket`.
    idle_seconds : float
        The time without requests after which the worker ends.
    device : {"auto", "cpu", "cuda"}
        Where models run when a request does not say.
    way : {"auto", "unix", "tcp"}
        A socket in the file system, or a port of this machine with a secret; see :data:`gossamer.worker.meeting.WAYS`.

    Raises
    ------
    WorkerError
        The folder is not private, the path is too long or taken by something else, or the system lacks this way.
    """
    if not math.isfinite(idle_seconds) or idle_seconds <= 0:
        raise WorkerError(f"The worker cannot wait for {idle_seconds:g} seconds.", "Give a positive number of seconds.")
    path = (socket_path or default_socket()).absolute()
    private_folder(path.parent)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    _log.addHandler(handler)
    _log.setLevel(logging.INFO)
    try:
        with FileLock(f"{path}.lock", timeout=0):
            with Listener(path, way, _CLIENTS) as listener:
                _Server(path, idle_seconds, device, listener).run()
    except Timeout:
        _log.info("Another worker serves %s already: nothing to do.", path)
    finally:
        _log.removeHandler(handler)


class _Server:
    """Accepts clients and knows when to end. Only the holder of the socket's lock may run one."""

    def __init__(self, path: Path, idle_seconds: float, device: str, listener: Listener) -> None:
        self._path = path
        self._idle = idle_seconds
        self._listener = listener
        self._inventory = Inventory()
        self._cutter = Cutter(self._inventory, device)
        self._shelf = Shelf()
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
            self._serve()

    def _serve(self) -> None:
        _log.info(
            "gossamer %s (protocol %d) serves %s as process %d",
            __version__,
            PROTOCOL,
            self._path,
            os.getpid(),
        )
        restore = self._catch_signals()
        try:
            self._accept_until_done(self._listener.socket)
        finally:
            self._listener.close()
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

    def admits(self, connection: socket.socket, patience: float) -> bool:
        """Whether the process at the other end is this user's."""
        return self._listener.admits(connection, patience)

    @property
    def inventory(self) -> Inventory:
        """Which models are here."""
        return self._inventory

    @property
    def cutter(self) -> Cutter:
        """Who does the work."""
        return self._cutter

    @property
    def shelf(self) -> Shelf:
        """How many pictures may be open."""
        return self._shelf

    def asked(self) -> None:
        """Note that somebody needs the worker."""
        self._asked = time.monotonic()

    def _catch_signals(self) -> Callable[[], None]:
        if threading.current_thread() is not threading.main_thread():
            return lambda: None
        return catch_ends(lambda: self.stop(cancel=True))

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
            if any(client.busy or client.holding for client in self._clients):
                self._asked = time.monotonic()
        return self._asked + self._idle - time.monotonic()

    def _welcome(self, listener: socket.socket) -> None:
        try:
            connection, _ = listener.accept()
        except OSError:
            return  # gone again
        connection.setblocking(True)
        if not self._makes_room():
            threading.Thread(target=self._refuse, args=(connection,), name="gossamer refusal", daemon=True).start()
            return
        client = Conversation(connection, self)
        thread = threading.Thread(target=self._attend, args=(client,), name="gossamer client", daemon=True)
        with self._changed:
            self._clients[client] = thread
        thread.start()

    def _refuse(self, connection: socket.socket) -> None:
        full = WorkerError("Too many programs use the worker at once.", "Try again in a moment.")
        with connection, contextlib.suppress(OSError, WorkerError):
            if self._listener.admits(connection, 2.0):
                part_with(connection, full)

    def _makes_room(self) -> bool:
        """Part, where there are too many clients, from the one that has asked for nothing the longest."""
        with self._changed:
            if len(self._clients) < _CLIENTS:
                return True
            idle = [client for client in self._clients if not client.working]
            if not idle:
                return False
            # One that has a picture here, or is sending one, goes after those that only hold the line.
            oldest = min(idle, key=lambda client: (client.busy or client.holding, client.heard))
            del self._clients[oldest]
        _log.info("A client that asked for nothing made way for another.")
        oldest.hang_up()
        return True

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
