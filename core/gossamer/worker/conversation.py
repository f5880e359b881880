"""One client's conversation with the worker: a handshake, then requests, one after the other."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import time
from collections.abc import Iterator
from itertools import chain
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gossamer import __version__
from gossamer.errors import Cancelled, GossamerError, WorkerError, is_lack_of_memory, memory_remedy
from gossamer.worker.clips import OpenedClip
from gossamer.worker.cutter import Cutter
from gossamer.worker.inventory import Inventory, NotHere
from gossamer.worker.pictures import OpenedPicture, Shelf
from gossamer.worker.protocol import (
    PROTOCOL,
    ConnectionClosed,
    ProtocolError,
    error_frame,
    part_with,
    receive_header,
    receive_into,
    send_frame,
)
from gossamer.worker.requests import (
    BrushRequest,
    ClipRequest,
    FetchRequest,
    FinishRequest,
    OpenRequest,
    RefineRequest,
    SegmentRequest,
)
from gossamer.worker.wording import remedy_in_gimp, warning_in_gimp

__all__ = ["Conversation", "Host"]

_IDLE = 300.0  # seconds that a client may be silent between two requests
_AT_WORK = 3600.0  # the same, where it has a picture open: somebody sits before a dialog
_PATIENCE = 30.0  # seconds that a frame may take
_SLOWEST = 4e6  # bytes a second of a payload, on top of that: GIMP may have them on its swap
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
    def shelf(self) -> Shelf:
        """How many pictures may be open."""

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
        self._opened: dict[int, tuple[OpenedPicture, int]] = {}  # and the room that it takes
        self._number = 0
        self._clip: tuple[OpenedClip, int] | None = None  # likewise
        self.busy = self.working = False
        self.heard = time.monotonic()

    @property
    def holding(self) -> bool:
        """Whether it has a picture or a clip open."""
        return bool(self._opened or self._clip)

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
        finally:
            for number in list(self._opened):
                self._close(number)
            self._close_clip()

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
        self._connection.settimeout(_AT_WORK if self.holding else _IDLE)
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
        if what == "open":
            with self._answering():
                self._open(OpenRequest.of(header), payload)
        elif what == "segment":
            self._segment(SegmentRequest.of(header), payload)
        elif what == "brush":
            self._brush(BrushRequest.of(header), payload)
        elif what == "frame":
            self._frame(payload)
        elif payload:
            raise ProtocolError("This request carries no payload.")
        elif what == "refine":
            with self._answering():
                self._refine(RefineRequest.of(header))
        elif what == "finish":
            with self._answering():
                self._finish(FinishRequest.of(header))
        elif what == "clip":
            with self._answering():
                self._begin_clip(ClipRequest.of(header))
        elif what == "fetch":
            with self._answering():
                self._fetch(FetchRequest.of(header))
        elif what == "close":
            self._close(header.get("picture"))
            send_frame(self._connection, {"type": "closed"})
        elif what == "ping":
            send_frame(self._connection, {"type": "pong", "busy": self._server.cutter.busy, "pid": os.getpid()})
        elif what == "models":
            with self._answering():
                models = self._server.inventory.overview(self._server.cutter.device)
                send_frame(self._connection, {"type": "models", **models})
        elif what != "cancel":  # which has come too late: its work was answered already
            raise ProtocolError(f"There is no request {str(what)[:40]!r}.")
        return True

    def _open(self, request: OpenRequest, payload: int) -> None:
        if payload != request.payload:
            raise ProtocolError(f"The picture has {payload} bytes instead of {request.payload}.")
        try:
            room = self._server.shelf.take(request, len(self._opened))
        except WorkerError as error:  # its bytes are on their way and will not be read
            raise ProtocolError(error.message, error.remedy) from None
        try:
            picture = OpenedPicture(request, self._received(payload))
        except BaseException:
            self._server.shelf.give_back(room)
            raise
        self._number += 1
        self._opened[self._number] = picture, room
        reads = self._server.inventory.reads_text()
        send_frame(self._connection, {"type": "opened", "picture": self._number, "reads_text": reads})

    def _segment(self, request: SegmentRequest, payload: int) -> None:
        picture = self._picture(request.picture)
        height, width = picture.shape
        if payload != (height * width if request.with_plane else 0):
            raise ProtocolError(f"The plane has {payload} bytes, which is not the picture's size.")
        import cv2

        with self._answering():
            plane = self._received(payload)
            self.working = True
            found = self._server.cutter.segment(picture, request, plane, self._progress)
            warnings = [warning_in_gimp(warning) for warning in found.warnings]
            coverage = cv2.mean(found.mask)[0]
            answer = {"type": "segmented", "model": found.model, "coverage": coverage, "warnings": warnings}
            send_frame(self._connection, {**answer, "about": self._server.inventory.about(found.model)})
            _log.info("%d x %d: %s %s", width, height, found.model or request.source, found.seconds)

    def _brush(self, request: BrushRequest, payload: int) -> None:
        picture = self._picture(request.picture)
        if payload != request.payload:
            raise ProtocolError(f"The stroke has {payload} bytes, which is not its region's size.")
        with self._answering():
            plane = self._received(payload)
            self.working = True
            self._server.cutter.brush(picture, request, plane, self._progress)
            send_frame(self._connection, {"type": "brushed"})

    def _begin_clip(self, request: ClipRequest) -> None:
        self.working = True
        self._close_clip()
        room = self._server.shelf.take(OpenedClip.room(request), 0)
        try:
            self._clip = self._server.cutter.clip(request, self._progress), room
        except BaseException:
            self._server.shelf.give_back(room)
            raise
        send_frame(self._connection, {"type": "begun"})

    def _frame(self, payload: int) -> None:
        """Take a clip's next frame, or hear that there are no more."""
        if self._clip is None or payload not in (0, self._clip[0].request.payload):
            raise ProtocolError(f"No clip is begun whose frames have {payload} bytes.")
        clip = self._clip[0]
        with self._answering():
            data = self._received(payload) if payload else None
            self.working = True
            ready = self._server.cutter.frames(clip, data, self._progress)
            warnings = [warning_in_gimp(warning) for warning in clip.warnings]
            if data is None:
                self._close_clip()
            size = sum(one.nbytes for one in ready)
            self._connection.settimeout(_PATIENCE + size / _SLOWEST)
            send_frame(self._connection, {"type": "framed", "count": len(ready), "warnings": warnings}, ready, size)

    def _close_clip(self) -> None:
        if self._clip is not None:
            clip, room = self._clip
            self._clip = None
            clip.close()
            self._server.shelf.give_back(room)

    def _finish(self, request: FinishRequest) -> None:
        self.working = True
        picture = self._picture(request.picture)
        pixels, report = self._server.cutter.finish(picture, request, self._progress)
        high, wide, channels = pixels.shape
        warnings = [warning_in_gimp(warning) for warning in report["warnings"]]
        finished = {
            "type": "finished",
            "width": wide,
            "height": high,
            "channels": channels,
            "dtype": picture.request.dtype,
            "report": {**report, "warnings": warnings},
        }
        self._connection.settimeout(_PATIENCE + pixels.nbytes / _SLOWEST)
        send_frame(self._connection, finished, pixels, pixels.nbytes)

    def _refine(self, request: RefineRequest) -> None:
        self.working = True
        picture = self._picture(request.picture)
        answer = self._server.cutter.refine(picture, request, self._progress)
        coloured = [plane for plane in (answer.foreground, answer.background) if plane is not None]
        parts: list[NDArray[Any]] = [answer.alpha]
        if answer.boxes is not None:
            parts = [
                np.ascontiguousarray(answer.alpha[top : top + tall, left : left + across])
                for left, top, across, tall in answer.boxes
            ]
        if answer.shadow is not None:
            parts.append(answer.shadow)
        high, wide = answer.alpha.shape
        channels, behind = (0 if one is None else one.shape[2] for one in (answer.foreground, answer.background))
        warnings = [warning_in_gimp(warning) for warning in answer.report["warnings"]]
        result = {
            "type": "result",
            "left": answer.left,
            "top": answer.top,
            "width": wide,
            "height": high,
            "dtype": request.dtype or picture.request.dtype,
            "foreground": channels,
            "background": behind,
            "shadow": 0 if answer.shadow is None else 1,
            **({} if answer.boxes is None else {"boxes": answer.boxes}),
            "report": {**answer.report, "warnings": warnings},
        }
        size = sum(part.nbytes for part in parts) + sum(colours.nbytes for colours in coloured)
        self._connection.settimeout(_PATIENCE + size / _SLOWEST)
        send_frame(self._connection, result, chain(parts, *coloured), size)
        if request.scale == 1:
            _log.info("%d x %d: %s", wide, high, answer.report)

    def _fetch(self, request: FetchRequest) -> None:
        self.working = True
        card = self._server.cutter.fetch(request, self._progress)
        send_frame(self._connection, {"type": "fetched", **self._server.inventory.told(card)})

    def _picture(self, number: int) -> OpenedPicture:
        if number not in self._opened:
            raise ProtocolError(f"There is no open picture {number}.")
        return self._opened[number][0]

    def _close(self, number: object) -> None:
        if isinstance(number, int) and number in self._opened:
            picture, room = self._opened.pop(number)
            picture.close()
            self._server.shelf.give_back(room)

    def _received(self, payload: int) -> NDArray[np.uint8]:
        data = np.empty(payload, np.uint8)  # the system gives the memory as it is filled: not for what never comes
        receive_into(self._connection, data.data, time.monotonic() + _PATIENCE + payload / _SLOWEST)
        self._connection.settimeout(_PATIENCE)
        return data

    @contextlib.contextmanager
    def _answering(self) -> Iterator[None]:
        """Tell the client what goes wrong in the work that it asked for; the next request is served."""
        self.busy = True
        self._last = None
        try:
            yield
        except (ProtocolError, ConnectionClosed):
            raise
        except NotHere as error:
            self._tell({**error_frame(error), "remedy": remedy_in_gimp(error), "needs": error.needs})
        except GossamerError as error:
            _log.warning("%s: %s", type(error).__name__, error)
            self._tell({**error_frame(error), "remedy": remedy_in_gimp(error)})
        except OSError:
            raise
        except Exception as error:
            if is_lack_of_memory(error):
                short = WorkerError(
                    "There is not enough memory for this picture.", memory_remedy("Close programs, or scale it down.")
                )
                self._tell(error_frame(short))
                return
            _log.exception("A fault in the worker")
            fault = WorkerError(
                f"The worker failed: {type(error).__name__}: {error}.",
                "Please report it, with the worker's log.",
            )
            self._tell(error_frame(fault))
        finally:
            self.busy = self.working = False
            self.heard = time.monotonic()
            self._server.asked()

    def _tell(self, frame: dict[str, Any]) -> None:
        self._connection.settimeout(_PATIENCE)
        send_frame(self._connection, frame)

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
        """Notice that the client has gone, or wants no more of what is in work."""
        self._connection.setblocking(False)  # MSG_DONTWAIT would be waited for: a timeout is set
        try:
            first = self._connection.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            first = b""
        finally:
            self._connection.settimeout(_PATIENCE)
        if not first:
            _log.info("The client has gone: its picture is given up.")
            raise ConnectionClosed
        header, payload = receive_header(self._connection, time.monotonic() + _PATIENCE)
        self._connection.settimeout(_PATIENCE)
        if header.get("request") != "cancel" or payload:
            raise ProtocolError("While a request is in work, only a cancel can be asked for.")
        raise Cancelled("It was cancelled.", "Start it again when you like.")
