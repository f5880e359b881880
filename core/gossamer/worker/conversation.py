"""One client's conversation with the worker: a handshake, then requests, one after the other."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import time
from typing import Any, Protocol

from gossamer import __version__
from gossamer.errors import Cancelled, GossamerError, WorkerError
from gossamer.worker.cutter import Cutter
from gossamer.worker.inventory import Inventory
from gossamer.worker.protocol import (
    PROTOCOL,
    ConnectionClosed,
    ProtocolError,
    RemoveRequest,
    error_frame,
    part_with,
    receive_exactly,
    receive_header,
    send_frame,
)
from gossamer.worker.wording import remedy_in_gimp, warning_in_gimp

__all__ = ["Conversation", "Host"]

_IDLE = 300.0  # seconds that a client may be silent between two requests
_PATIENCE = 30.0  # seconds that a frame may take
_SLOWEST = 10e6  # bytes a second of a payload, on top of that
_UNREAD = 10.0  # seconds that a client may leave our news of its picture unread
_EVERY = 0.05  # seconds between progress frames

_log = logging.getLogger("gossamer.worker")


class Host(Protocol):
    """What a conversation needs of the worker that holds it."""

    def admits(self, connection: socket.socket, patience: float) -> bool:
        """Whether the process at the other end is this user's; see :meth:`gossamer.worker.meeting.Listener.admits`."""

    @property
    def inventory(self) -> Inventory:
        """Which models are here."""

    @property
    def cutter(self) -> Cutter:
        """Who does the work."""

    @property
    def stopping(self) -> bool:
        """Whether new requests are refused."""

    @property
    def cancelled(self) -> bool:
        """Whether work is to be given up."""

    def asked(self) -> None:
        """Note that somebody needs the worker."""

    def stop(self, *, cancel: bool) -> None:
        """End soon: with `cancel` at once, without it after the pictures in work."""


class Conversation:
    """A client's connection and what is said over it.

    Attributes
    ----------
    busy : bool
        Whether a picture is being received, worked on or sent back.
    working : bool
        Whether a picture is being worked on or sent back.
    heard : float
        When it last asked for something, as of ``time.monotonic()``.
    """

    def __init__(self, connection: socket.socket, server: Host) -> None:
        self._connection = connection
        self._server = server
        self._next = 0.0
        self._last: tuple[float, str] | None = None
        self.busy = self.working = False
        self.heard = time.monotonic()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def hang_up(self) -> None:
        """End the conversation from another thread: its next read finds the end."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def attend(self) -> None:
        """Talk to the client until one of the two has enough."""
        try:
            if not self._server.admits(self._connection, _PATIENCE):
                return
            understood = self._handshake()
            while not self._server.stopping and self._request(understood):
                pass
            if self._server.stopping:
                # Held open to the end: its closing tells whoever asked for the shutdown that we are gone.
                self._connection.settimeout(None)
                self._connection.recv(1)
        except ProtocolError as error:
            _log.warning("A client was turned away: %s", error.message)
            part_with(self._connection, error)
        except (ConnectionClosed, OSError):
            pass  # the client has gone, or stood still for too long

    def _handshake(self) -> bool:
        hello, payload = receive_header(self._connection, time.monotonic() + _PATIENCE)
        self._connection.settimeout(_PATIENCE)
        if payload:
            raise ProtocolError("A greeting carries no payload.")
        mine: dict[str, Any] = {"gossamer": __version__, "protocol": PROTOCOL, "pid": os.getpid()}
        if hello.get("protocol") == PROTOCOL:
            send_frame(self._connection, {"type": "hello", **mine})
            return True
        if "protocol" not in hello:
            raise ProtocolError("The greeting names no protocol.")
        mismatch = WorkerError(
            f"The plug-in speaks protocol {hello['protocol']!r}, "
            f"but this worker (gossamer {__version__}) speaks protocol {PROTOCOL}.",
            "Open a terminal and type: gossamer gimp install",
        )
        send_frame(self._connection, {**error_frame(mismatch), **mine})
        return False

    def _request(self, understood: bool) -> bool:
        """Answer one request; return whether to wait for the next."""
        self._connection.settimeout(_IDLE)
        self._connection.recv(1, socket.MSG_PEEK)
        header, payload = receive_header(self._connection, time.monotonic() + _PATIENCE)
        self._connection.settimeout(_PATIENCE)
        self.heard = time.monotonic()
        self._server.asked()
        what = header.get("request")
        if what == "shutdown":
            _log.info("A client asks for the end.")
            send_frame(self._connection, {"type": "bye"})
            self._server.stop(cancel=False)
            return False
        if not understood:
            raise ProtocolError("The protocols differ: only a shutdown can be asked for.")
        if what == "remove":
            self._remove(header, payload)
        elif payload:
            raise ProtocolError("This request carries no payload.")
        elif what == "ping":
            send_frame(self._connection, {"type": "pong", "busy": self._server.cutter.busy, "pid": os.getpid()})
        elif what == "models":
            send_frame(self._connection, _models(self._server.inventory))
        else:
            raise ProtocolError(f"There is no request {str(what)[:40]!r}.")
        return True

    def _remove(self, header: dict[str, Any], payload: int) -> None:
        request = RemoveRequest.of(header)
        if payload != request.payload:
            raise ProtocolError(f"The picture has {payload} bytes instead of {request.payload}.")
        self.busy = True
        try:
            data = receive_exactly(self._connection, payload, time.monotonic() + _PATIENCE + payload / _SLOWEST)
            self._connection.settimeout(_PATIENCE)
            self.working = True
            answer = self._server.cutter.run(request, data, self._progress)
            planes = [answer.alpha] + ([] if answer.foreground is None else [answer.foreground])
            size = {"width": request.width, "height": request.height, "dtype": request.dtype}
            channels = 0 if answer.foreground is None else answer.foreground.shape[2]
            warnings = [warning_in_gimp(warning) for warning in answer.report["warnings"]]
            report = {**answer.report, "warnings": warnings}
            result = {"type": "result", **size, "foreground": channels, "report": report}
            self._connection.settimeout(_PATIENCE + sum(plane.nbytes for plane in planes) / _SLOWEST)
            send_frame(self._connection, result, *planes)
            _log.info("%d x %d: %s", request.width, request.height, answer.report)
        except (ProtocolError, ConnectionClosed):
            raise
        except GossamerError as error:
            _log.warning("%s: %s", type(error).__name__, error)
            send_frame(self._connection, {**error_frame(error), "remedy": remedy_in_gimp(error)})
        except MemoryError:
            short = WorkerError("There is not enough memory for this picture.", "Close programs, or scale it down.")
            send_frame(self._connection, error_frame(short))
        except OSError:
            raise
        except Exception as error:
            _log.exception("A fault in the worker")
            fault = WorkerError(
                f"The worker failed: {type(error).__name__}: {error}.",
                "Please report it, with the worker's log.",
            )
            send_frame(self._connection, error_frame(fault))
        finally:
            self.busy = self.working = False
            self.heard = time.monotonic()
            self._server.asked()

    def _progress(self, fraction: float, message: str) -> None:
        """Tell the client, where there is news; stop the work when it has gone or the worker is to end."""
        if self._server.cancelled:
            raise Cancelled("The worker was ended.", "Try again: it starts anew.")
        self._check_still_there()
        now = time.monotonic()
        news = (round(fraction, 3), message)
        changed = self._last is None or message != self._last[1]
        if changed or (now >= self._next and news != self._last):
            self._next, self._last = now + _EVERY, news
            self._connection.settimeout(_UNREAD)  # others wait for their turn
            try:
                send_frame(self._connection, {"type": "progress", "fraction": news[0], "message": message})
            except OSError:
                raise ConnectionClosed from None
            finally:
                self._connection.settimeout(_PATIENCE)

    def _check_still_there(self) -> None:
        self._connection.setblocking(False)  # MSG_DONTWAIT would be waited for: a timeout is set
        try:
            gone = not self._connection.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            gone = False
        except OSError:
            gone = True
        finally:
            self._connection.settimeout(_PATIENCE)
        if gone:
            _log.info("The client has gone: its picture is given up.")
            raise ConnectionClosed


def _models(inventory: Inventory) -> dict[str, Any]:
    from gossamer.weights.catalogue import load_catalogue

    installed = inventory.installed()
    return {
        "type": "models",
        "models": [
            {"id": card.id, "title": card.title, "licence": card.licence, "installed": card.id in installed}
            for card in load_catalogue().values()
        ],
    }
