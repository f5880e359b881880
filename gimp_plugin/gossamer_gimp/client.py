# SPDX-License-Identifier: GPL-3.0-or-later
"""The plug-in's end of the line to the gossamer worker: standard library only, no gi.

GIMP's own Python has no numpy and no gossamer, so the work is done by a worker process in the virtual
environment that ``gossamer gimp install`` wrote into ``worker.json``. It is started when nobody answers where
it is met (see system.py), stays for the next pictures, and ends by itself when it is no longer asked.

See frames.py for how a thing is said, and ``gossamer/worker/protocol.py`` for what is said.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

if __package__:
    from . import frames, launching, system
    from .exchanged import Finished, Picture, Result, result
    from .failure import WorkerFailure, with_remedy
    from .frames import Payload
    from .language import _
    from .log import Log
    from .record import PROTOCOL, Settings, version_numbers
else:  # GIMP runs the plug-in from a folder
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import frames
    import launching
    import system
    from exchanged import Finished, Picture, Result, result
    from failure import WorkerFailure, with_remedy
    from frames import Payload
    from language import _
    from log import Log
    from record import PROTOCOL, Settings, version_numbers

_START = 60.0  # seconds that a worker gets to answer after its start, on a cold disk
_END = 60.0  # seconds that an outdated worker gets to finish what it has in hand
_ANSWER = 900.0  # seconds of silence after which a worker at work counts as dead
_SIZES = {"u8": 1, "u16": 2, "float32": 4}
_MOST = 1 << 32  # bytes of a finished picture, whose size is the preset's


def socket_path() -> str:
    """Return where the worker is met: in a folder of this user alone."""
    return os.path.join(system.runtime_folder(), "worker.sock")


class Client:
    """A conversation with the worker; use it in a ``with``.

    Parameters
    ----------
    settings : Settings
        How to start the worker where none answers.
    path : str, optional
        The socket; :func:`socket_path` without it.
    status : callable, optional
        ``status(text)``: told what is waited for.

    Attributes
    ----------
    started : subprocess.Popen or None
        The worker, where this client started it; it outlives the client.
    reads_text : bool
        Whether it understands words for a subject; known since a picture was opened.
    """

    def __init__(self, settings: Settings, path: str | None = None, status=None) -> None:
        self._settings = settings
        self._path = path or socket_path()
        self._log = Log(os.path.join(os.path.dirname(self._path), "worker.log"))
        self._status = status or (lambda text: None)
        self.started: subprocess.Popen | None = None
        self._shapes: dict[int, tuple[int, int, str]] = {}
        self.reads_text = False
        self._sending = threading.Lock()
        self._closed = False
        self._said_before = 0
        self._line = self._connect()

    def __enter__(self) -> Client:
        """Return itself."""
        return self

    def __exit__(self, *_) -> None:
        """Hang up; a picture in work is given up."""
        self._line.close()

    def open(self, picture: Picture, existing_alpha="multiply") -> int:
        """Send a picture, once; return the number by which it is asked for.

        Parameters
        ----------
        picture : Picture
            RGB or RGBA.
        existing_alpha : {"multiply", "keep"}
            ``keep``: the alpha answered is the matte alone, and the picture's own comes with the colours.

        Raises
        ------
        WorkerFailure
            It went wrong; the text says why and what to do.
        """
        header = {
            "request": "open",
            "width": picture.width,
            "height": picture.height,
            "channels": picture.channels,
            "dtype": picture.dtype,
            "existing_alpha": existing_alpha,
        }
        size = picture.width * picture.height * picture.channels * _SIZES[picture.dtype]
        opened = self._answer("opened", header, picture.strips(), size)[0]
        number, self.reads_text = opened["picture"], bool(opened.get("reads_text"))
        self._shapes[number] = picture.width, picture.height, picture.dtype
        return number

    def segment(self, picture: int, *, progress=None, plane: bytes = b"", **wish) -> dict:
        """Have the subject of an opened picture found.

        Parameters
        ----------
        picture : int
        progress : callable, optional
            ``progress(fraction, text)``.
        plane : bytes
            Mask or scribbles, a byte a pixel.
        **wish
            ``model``, ``quality``, ``device``, ``options``, ``source``, ``box``, ``text``, ``limit``: see the protocol.

        Raises
        ------
        WorkerFailure
            It went wrong, or a model would have to be fetched (see its ``needs``).
        """
        return self._answer(
            "segmented", {"request": "segment", "picture": picture, **wish}, [plane], len(plane), progress
        )[0]

    def refine(
        self,
        picture: int,
        options: dict,
        *,
        foreground=False,
        background=False,
        shadow=False,
        rgba=False,
        scale=1.0,
        draft=False,
        region=None,
        dtype="",
        changes=False,
        progress=None,
        taking=None,
    ) -> Result:
        """Have the matte, and the subject's colours, of a picture whose subject was found.

        Parameters
        ----------
        picture : int
        options : dict
            Settings by their flat names.
        foreground : bool
            Ask for the subject's own colours too.
        background : bool
            Ask for what is behind it too, filled in.
        shadow : bool
            Ask for the photograph's shadow too: a plane as the alpha is, where there is one.
        rgba : bool
            Ask for both with four channels, whatever the picture has.
        scale : float
            Below 1: a preview, computed on so small a picture; its answer is of the picture's size all the same.
        draft : bool
            Make do with a rougher preview where the better one would take long.
        region : sequence of int, optional
            Left, top, width and height of the part that is wanted.
        dtype : str
            Of the answer; without it the picture's.
        changes : bool
            Of a preview: have those parts of the matte alone that differ from the last one.
        progress : callable, optional
            ``progress(fraction, text)``.
        taking : callable, optional
            ``taking(name, size, take)``: called when all is computed, with "foreground", then "background", as far as
            they come; ``take(some)`` returns the next bytes, which must be `size` together. What it returns is in the
            result, instead of them.

        Raises
        ------
        WorkerFailure
            It went wrong; the text says why and what to do.
        """
        header = {"request": "refine", "picture": picture, "options": options, "foreground": foreground}
        header |= {"background": background, "shadow": shadow, "rgba": rgba, "changes": changes}
        header |= {"scale": scale, "draft": draft, "region": None if region is None else list(region), "dtype": dtype}
        width, height, own = self._shapes[picture]
        if region is not None:
            width, height = region[2:]
        plane = width * height * _SIZES[dtype or own]
        answer, payload = self._answer("result", header, progress=progress, most=10 * plane)
        with self._taking(payload):
            found = result(answer, payload, width, height, _SIZES[dtype or own], taking)
            if found is None:
                raise WorkerFailure(with_remedy(_("The worker's answer has a wrong size.")))
            return found

    def brush(self, picture: int, region=None, plane: bytes = b"", *, progress=None) -> None:
        """Have the matte solved again below a stroke, for all answers to come; without one, have them all forgotten.

        Parameters
        ----------
        picture : int
        region : sequence of int, optional
            Left, top, width and height of `plane`.
        plane : bytes
            A byte a pixel, not 0 where the brush went.
        progress : callable, optional
            ``progress(fraction, text)``.
        """
        header = {"request": "brush", "picture": picture, "region": None if region is None else list(region)}
        self._answer("brushed", header, [plane], len(plane), progress)

    def finish(self, picture: int, options: dict, preset: str, *, progress=None) -> Finished:
        """Have the finished picture that a preset's shop asks for.

        Parameters
        ----------
        picture : int
        options : dict
            Settings by their flat names.
        preset : str
        progress : callable, optional
            ``progress(fraction, text)``.
        """
        header = {"request": "finish", "picture": picture, "options": options, "preset": preset}
        answer, payload = self._answer("finished", header, progress=progress, most=_MOST)
        width, height, channels = (answer[name] for name in ("width", "height", "channels"))
        with self._taking(payload):
            if payload.left != width * height * channels * _SIZES[self._shapes[picture][2]]:
                raise WorkerFailure(with_remedy(_("The worker's answer has a wrong size.")))
            return Finished(width, height, channels, payload.keep(payload.left), answer["report"])

    def clip(self, width: int, height: int, *, progress=None, **wish) -> None:
        """Begin to have frames cut out; `wish` as for :meth:`segment`, and ``dtype``."""
        self._answer("begun", {"request": "clip", "width": width, "height": height, **wish}, progress=progress)

    def frame(self, data: bytes, size: int, *, progress=None) -> tuple[list[memoryview], list[str]]:
        """Send a clip's next frame, RGBA of `size` bytes, or b"" after the last; return those cut out, and warnings."""
        answer, payload = self._answer("framed", {"request": "frame"}, [data], len(data), progress, most=_MOST)
        with self._taking(payload):
            if payload.left != answer["count"] * size:
                raise WorkerFailure(with_remedy(_("The worker's answer has a wrong size.")))
            return [payload.keep(size) for _frame in range(answer["count"])], answer["warnings"]

    def close(self, picture: int) -> None:
        """Have an opened picture forgotten."""
        self._answer("closed", {"request": "close", "picture": picture})
        del self._shapes[picture]

    def fetch(self, model: str, *, accept_licence=False, progress=None) -> dict:
        """Have a model fetched, to which the user has agreed; return what :meth:`models` says of it."""
        header = {"request": "fetch", "model": model, "accept_licence": accept_licence}
        return self._answer("fetched", header, progress=progress)[0]

    def models(self) -> dict:
        """Return what the worker knows of models: ``models``, and ``automatic``, what each quality takes."""
        return self._answer("models", {"request": "models"})[0]

    def cancel(self) -> None:
        """Have what is in work given up: whoever waits for it gets a failure of the kind Cancelled. For any thread."""
        try:
            self._send({"request": "cancel"})
        except OSError:
            pass  # gone: that is heard by whoever waits

    def hang_up(self) -> None:
        """End the conversation, from any thread: whoever waits for an answer gets a failure."""
        try:
            self._line.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be asked any more."""
        return self._closed

    def ping(self) -> dict:
        """Ask for a sign of life: ``pid`` and ``busy``."""
        return self._answer("pong", {"request": "ping"})[0]

    def shutdown(self) -> None:
        """Ask the worker to end, and wait until it has."""
        _shut_down(self._line)

    def _connect(self) -> socket.socket:
        line = self._reach()
        greeting = None if line is None else self._greet(line)
        if greeting is not None and "protocol" in greeting and self._is_outdated(greeting):
            self._status(_("Ending an older worker"))
            _shut_down(line)
            line = greeting = None
        if greeting is None:
            self._status(_("Starting the worker"))
            line, greeting = self._start()
        if "protocol" not in greeting:
            line.close()
            raise WorkerFailure(f"{greeting.get('message')} {greeting.get('remedy')}")
        if greeting.get("protocol") != PROTOCOL:
            line.close()
            version = greeting.get("gossamer", "?")
            why = _("The plug-in does not fit the worker, which is of Gossamer {version}.").format(version=version)
            raise WorkerFailure(with_remedy(why))
        line.settimeout(_ANSWER)
        return line

    def _is_outdated(self, greeting: dict) -> bool:
        old = version_numbers(greeting.get("gossamer")) < version_numbers(self._settings.gossamer)
        return old or (isinstance(greeting["protocol"], int) and greeting["protocol"] < PROTOCOL)

    def _reach(self) -> socket.socket | None:
        """Connect, or return None where nobody listens."""
        folder = os.path.dirname(self._path)
        try:
            private = system.is_private(folder)
        except FileNotFoundError:
            return None
        if not private:
            why = _("The folder {folder} is not private to you. Remove it and try again.")
            raise WorkerFailure(why.format(folder=folder))
        try:
            return system.connect(self._path, _START)
        except OSError as error:
            why = _("The worker cannot be reached at {place}: {error}.").format(place=self._path, error=error)
            raise WorkerFailure(why) from None

    def _greet(self, line: socket.socket) -> dict | None:
        """Shake hands; None where the other side ended just now."""
        try:
            frames.send(line, {"gossamer": self._settings.gossamer, "protocol": PROTOCOL})
            return frames.receive(line)[0]
        except TimeoutError:
            line.close()
            why = _("A process at {place} accepts pictures but does not answer. End it and try again.")
            raise WorkerFailure(why.format(place=self._path)) from None
        except (EOFError, OSError, ValueError, AttributeError):
            line.close()
            return None

    def _start(self) -> tuple[socket.socket, dict]:
        """Start a worker and return the line to it; where another starter was quicker, to that one's."""
        self.started, before = launching.launch(self._settings, self._path, self._log)
        until = time.monotonic() + _START
        while time.monotonic() < until:
            line = self._reach()
            greeting = None if line is None else self._greet(line)
            if line is not None and greeting is not None:
                return line, greeting
            if self.started.poll():
                why = _("The worker could not start (exit status {status}).").format(status=self.started.returncode)
                raise WorkerFailure(with_remedy(why) + self._log.said(before))
            time.sleep(0.05)
        self.started.kill()
        self.started.wait()
        why = _("The worker did not answer within {seconds} seconds.").format(seconds=f"{_START:g}")
        raise WorkerFailure(why + self._log.said(before))

    def _send(self, header: dict, parts: Iterable[bytes] = (), size: int = 0) -> None:
        with self._sending:
            frames.send(self._line, header, parts, size)

    def _answer(
        self, wanted: str, header: dict, parts: Iterable[bytes] = (), size: int = 0, progress=None, most: int = 0
    ) -> tuple[dict, Payload]:
        """Ask for something, by `size` bytes in parts; return its answer, which may have at `most` so many."""
        self._said_before = self._log.size()
        try:
            self._send(header, parts, size)
        except OSError:
            pass  # turned away before it had read everything: its answer says why
        while True:
            answer, payload = self._receive(most)
            if answer.get("type") == wanted:
                return answer, payload
            with self._taking(payload):
                payload.keep(payload.left)  # of what nobody waits for
            if answer.get("type") == "progress" and progress is not None:
                progress(answer["fraction"], answer["message"])

    def _receive(self, most: int = 0) -> tuple[dict, Payload]:
        """Receive one frame; an error frame is raised."""
        with self._hearing():
            try:
                header, payload = frames.receive(self._line, most)
            except ValueError:
                raise EOFError from None
        if header.get("type") == "error":
            self._closed = bool(header.get("fatal"))
            text = f"{header.get('message', '')} {header.get('remedy', '')}".strip()
            raise WorkerFailure(text, str(header.get("kind", "")), header.get("needs"))
        return header, payload

    @contextmanager
    def _hearing(self) -> Iterator[None]:
        """Say in a sentence what goes wrong while something is received."""
        try:
            yield
        except TimeoutError:
            self._closed = True
            why = _("The worker has not answered for {seconds} seconds.").format(seconds=f"{_ANSWER:g}")
            raise WorkerFailure(why + self._log.said()) from None
        except (EOFError, OSError):
            self._closed = True
            # A library that finds no memory may end the process; what it says then is in the log alone.
            why = _("The worker ended in the middle of the work. Try again: it starts anew.")
            raise WorkerFailure(why + self._log.said(self._said_before)) from None

    @contextmanager
    def _taking(self, payload: Payload) -> Iterator[None]:
        """Have a payload taken, all of it: what is left of it would be heard as the next answer."""
        try:
            with self._hearing():
                yield
        finally:
            if payload.left:
                self._closed = True


def _shut_down(line: socket.socket) -> None:
    """Ask a worker to end; its hanging up says that it has."""
    try:
        line.settimeout(_END)
        frames.send(line, {"request": "shutdown"})
        while line.recv(1 << 12):
            pass
    except TimeoutError:
        raise WorkerFailure(_("An older worker is still busy with another picture. Try again later.")) from None
    except OSError:
        pass
    finally:
        line.close()
