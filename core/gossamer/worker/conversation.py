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
from gossamer.worker.protocol import (
    PROTOCOL,
    ConnectionClosed,
    ProtocolError,
    RemoveRequest,
    error_frame,
    receive_exactly,
    receive_header,
    send_frame,
)

__all__ = ["Conversation", "Host"]

_PATIENCE = 60.0  # seconds that a client may stand still in the middle of a frame
_EVERY = 0.05  # seconds between progress frames

_log = logging.getLogger("gossamer.worker")


class Host(Protocol):
    """What a conversation needs of the worker that holds it."""

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
    """

    def __init__(self, connection: socket.socket, server: Host) -> None:
        self._connection = connection
        self._server = server
        self._next = 0.0
        self._last: tuple[float, str] | None = None
        self.busy = False

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
            self._connection.settimeout(_PATIENCE)
            understood = self._handshake()
            while not self._server.stopping and self._request(understood):
                pass
            if self._server.stopping:
                # Held open to the end: its closing tells whoever asked for the shutdown that we are gone.
                self._connection.settimeout(None)
                self._connection.recv(1)
        except ProtocolError as error:
            _log.warning("A client was turned away: %s", error.message)
            self._part_with(error)
        except (ConnectionClosed, OSError):
            pass  # the client has gone, or stood still for too long

    def _handshake(self) -> bool:
        hello, payload = receive_header(self._connection)
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
            "Install the plug-in again: gossamer gimp install",
        )
        send_frame(self._connection, {**error_frame(mismatch), **mine})
        return False

    def _request(self, understood: bool) -> bool:
        """Answer one request; return whether to wait for the next."""
        self._connection.settimeout(None)  # between requests a client may take its time
        try:
            self._connection.recv(1, socket.MSG_PEEK)
        finally:
            self._connection.settimeout(_PATIENCE)
        header, payload = receive_header(self._connection)
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
            send_frame(self._connection, _models())
        else:
            raise ProtocolError(f"There is no request {str(what)[:40]!r}.")
        return True

    def _remove(self, header: dict[str, Any], payload: int) -> None:
        request = RemoveRequest.of(header)
        if payload != request.payload:
            raise ProtocolError(f"The picture has {payload} bytes instead of {request.payload}.")
        self.busy = True
        try:
            data = receive_exactly(self._connection, payload)
            answer = self._server.cutter.run(request, data, self._progress)
            planes = [answer.alpha] + ([] if answer.foreground is None else [answer.foreground])
            size = {"width": request.width, "height": request.height, "dtype": request.dtype}
            channels = 0 if answer.foreground is None else answer.foreground.shape[2]
            result = {"type": "result", **size, "foreground": channels, "report": answer.report}
            send_frame(self._connection, result, *planes)
            _log.info("%d x %d: %s", request.width, request.height, answer.report)
        except (ProtocolError, ConnectionClosed):
            raise
        except GossamerError as error:
            _log.warning("%s: %s", type(error).__name__, error)
            send_frame(self._connection, error_frame(error))
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
            self.busy = False
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
            try:
                send_frame(self._connection, {"type": "progress", "fraction": news[0], "message": message})
            except OSError:
                raise ConnectionClosed from None

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

    def _part_with(self, error: ProtocolError) -> None:
        """Say why, then take in what is on its way for a moment: closing over it could lose our words."""
        with contextlib.suppress(OSError):
            send_frame(self._connection, error_frame(error, fatal=True))
            self._connection.shutdown(socket.SHUT_WR)
            self._connection.settimeout(0.2)
            until = time.monotonic() + 1.0
            while time.monotonic() < until and self._connection.recv(1 << 16):
                pass


def _models() -> dict[str, Any]:
    from gossamer.weights import store
    from gossamer.weights.catalogue import load_catalogue

    cards = load_catalogue().values()
    return {
        "type": "models",
        "models": [
            {
                "id": card.id,
                "title": card.title,
                "licence": card.licence,
                "installed": store.look(card)[0] is not None,
            }
            for card in cards
        ],
    }
