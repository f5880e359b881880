"""Where live pictures come from: a camera, a pipe, or a clip that is played as if it were one."""

from __future__ import annotations

import os
import select
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from gossamer.errors import InputError
from gossamer.paths import check_readable
from gossamer.platform import BINARY, binary_stream, camera_of
from gossamer.settings.video import Live
from gossamer.video.clip import Clip, Frame
from gossamer.video.frames import clip_of_arrays
from gossamer.video.libav import libav, reading
from gossamer.video.opening import open_source
from gossamer.video.source import VideoSource

__all__ = ["Feed", "open_feed"]

_POLL = 0.05  # seconds between two looks at whether somebody left
_BLOCK = 1 << 20


class Feed(Protocol):
    """Frames, as they come."""

    clip: Clip
    warnings: list[str]

    def frames(self) -> Iterator[Frame]:
        """Yield them, once."""

    def close(self) -> None:
        """Let go of what they come from."""


def open_feed(name: str, settings: Live, left: threading.Event) -> tuple[Feed, bool]:
    """Open what live pictures come from; it waits until there is a first one.

    Parameters
    ----------
    name : str
        A camera, ``-`` for the standard input, the path of a pipe with a name, or of a clip.
    settings : Live
    left : Event
        Once it is set, a pipe is at its end.

    Returns
    -------
    feed : Feed
    timed : bool
        Whether frames tell themselves when they are to be shown, and would otherwise come as fast as they can be read.

    Raises
    ------
    InputError
        There is no such camera or file, or it holds no pictures.
    MissingExtra
        PyAV is not installed.
    """
    libav()
    camera = camera_of(name)
    if camera is not None:
        return _Stream.of_camera(*camera, settings), False
    raw = settings.read == "rgb24"
    if name == "-":
        pipe = _Pipe(binary_stream(0), left)
    else:
        check_readable(Path(name), "clip or camera")
        is_pipe = stat.S_ISFIFO(os.stat(name).st_mode)
        if not is_pipe and not raw:
            return open_source(Path(name), settings.video), True
        # Without waiting for whoever writes: that could not be left.
        pipe = _Pipe(os.open(name, os.O_RDONLY | BINARY | getattr(os, "O_NONBLOCK", 0)), left, own=True)
    shown = "The standard input" if name == "-" else name
    try:
        if raw:
            return _Raw(pipe, shown, settings), False
        return _Stream.of_pipe(pipe, shown, settings), True
    except BaseException:
        pipe.close()
        raise


class _Pipe:
    """A pipe that can be left while nothing comes; what PyAV takes for a file."""

    def __init__(self, descriptor: int, left: threading.Event, *, own: bool = False) -> None:
        self._descriptor, self._left, self._own = descriptor, left, own
        self._begun = False

    def read(self, size: int = -1) -> bytes:
        """Return some bytes, `size` at most; none at the end, or when somebody left."""
        size = _BLOCK if size < 0 else size
        while not self._left.is_set():
            try:
                if not select.select([self._descriptor], [], [], _POLL)[0]:
                    continue
            except (OSError, ValueError):  # Windows selects among sockets alone: there it waits
                pass
            with suppress(BlockingIOError):
                data = os.read(self._descriptor, size)
                if data or self._begun or not self._own:
                    self._begun = True
                    return data
            time.sleep(_POLL)  # nobody has opened it for writing yet
        return b""

    def whole(self, size: int) -> bytes:
        """Return `size` bytes, fewer at the end."""
        parts, missing = [], size
        while missing and (data := self.read(missing)):
            parts.append(data)
            missing -= len(data)
        return b"".join(parts)

    def close(self) -> None:
        if self._own:
            self._own = False
            os.close(self._descriptor)


class _Stream(VideoSource):
    """A container that cannot be wound back: its first frame, which was looked at, is given out as well."""

    _threads = "SLICE"  # frames decoded in threads come later by as many

    def __init__(self, container: Any, shown: str, settings: Live, pipe: _Pipe | None = None) -> None:
        self.warnings = []
        self._path, self._container, self._pipe = Path(shown), container, pipe
        if pipe is not None:
            self._otherwise = "Give the file itself, or send Matroska or MPEG-TS: an MP4's index may come at its end."
        self._kept: list[Any] = []
        self._running: Iterator[Any] | None = None
        try:
            with reading(self._path):
                self._open(libav(), settings.sides)
        except BaseException:
            self._container.close()
            raise

    @classmethod
    def of_pipe(cls, pipe: _Pipe, shown: str, settings: Live) -> _Stream:
        with reading(Path(shown)):
            container = libav().open(pipe, metadata_errors="replace")
        return cls(container, shown, settings, pipe)

    @classmethod
    def of_camera(cls, format: str, device: str, settings: Live) -> _Stream:
        av = libav()
        if format == "v4l2" and not os.path.exists(device):
            raise InputError(f"There is no camera {device}.", "Plug one in, or give another, a clip, a pipe or -.")
        wide, tall = settings.sides
        rate = {"framerate": f"{settings.rate:g}"} if settings.rate else {}
        size = {"video_size": f"{wide}x{tall}"} if wide and tall else {}
        failed: Exception | None = None
        for options in (rate | size, size, {}):  # not every camera has every rate and size: frames are scaled
            try:
                return cls(av.open(device, format=format, options=options), device, settings)
            except (av.error.FFmpegError, OSError, ValueError) as error:
                failed = error
        said = str(getattr(failed, "strerror", None) or failed)
        raise InputError(
            f"The camera {device} cannot be used: {said}.",
            "Close what else uses it, see that this user may read it, or give another, a clip, a pipe or -.",
        )

    def close(self) -> None:
        super().close()
        if self._pipe is not None:
            self._pipe.close()

    def _first_frame(self) -> Any:
        frame = super()._first_frame()
        self._kept = [frame]
        return frame

    def _rewind(self, time: Fraction) -> None:
        pass

    def _decoded(self) -> Iterator[Any]:
        if self._running is None:
            self._running = super()._decoded()
        while self._kept:
            yield self._kept.pop()
        for frame in self._running:  # noqa: UP028 - whoever stops here goes on later
            yield frame


class _Raw:
    """Pictures of three bytes a pixel, one after the other."""

    def __init__(self, pipe: _Pipe, shown: str, settings: Live) -> None:
        wide, tall = settings.sides
        assert wide is not None  # noqa: S101 - the settings see to it
        assert tall is not None  # noqa: S101
        self.clip = clip_of_arrays(tall, wide, Fraction(settings.rate or 30).limit_denominator(1001))
        self.warnings: list[str] = []
        self._pipe, self._shown = pipe, shown
        self._first = pipe.whole(self._size)
        if len(self._first) < self._size:
            raise InputError(
                f"{self._shown} holds not a single picture of {wide} x {tall}.", "Check the size, 3 bytes a pixel."
            )

    @property
    def _size(self) -> int:
        return self.clip.height * self.clip.width * 3

    def frames(self) -> Iterator[Frame]:
        data, number = self._first, 0
        while len(data) == self._size:
            pixels = np.frombuffer(data, np.uint8).reshape(self.clip.height, self.clip.width, 3)
            yield Frame(number, number / self.clip.rate, pixels)
            data, number = self._pipe.whole(self._size), number + 1
        if data:
            self.warnings.append(f"{self._shown} ends within a picture, which was left out.")

    def close(self) -> None:
        self._pipe.close()
