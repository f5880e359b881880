"""Where live pictures go: a pipe, a video device that other programs take for a camera, or a window."""

from __future__ import annotations

import errno
import os
import select
import stat
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gossamer.errors import OutputError, OutputExists
from gossamer.platform import BINARY, binary_stream, is_video_device
from gossamer.settings.video import Live
from gossamer.video.clip import Clip
from gossamer.video.libav import libav, writing_to
from gossamer.video.tags import ColourTags
from gossamer.video.window import Window, check_windows

__all__ = ["WINDOW", "Outlet", "check_outlet", "open_outlet"]

WINDOW = "window"

_BT601, _BT709, _HD = 5, 1, 720  # swscale's numbers; the rows from which players take what says nothing as BT.709


class Outlet(Protocol):
    """Shows pictures."""

    def encoded(self, rgb: NDArray[np.uint8], time: Fraction) -> bytes:
        """Return what is to be sent of a picture, (H, W, 3), that is shown at a time in seconds."""

    def send(self, data: bytes) -> bool:
        """Send it, waiting for whoever takes it; False where nobody is there any more."""

    def attended(self) -> bool:
        """Return whether somebody is still there, while there is nothing to send."""

    def end(self) -> None:
        """Send what is left, and close."""

    def abandon(self) -> None:
        """Close without."""


def check_outlet(name: str, settings: Live) -> None:
    """Raise, before the work, where pictures cannot be shown.

    Raises
    ------
    InputError
        There are no windows, as :class:`gossamer.video.window.Window` says.
    OutputError
        There is no such pipe or device.
    OutputExists
        It is a file.
    """
    if name == WINDOW:
        check_windows()
    elif name != "-" and not os.path.exists(name):
        raise OutputError(
            f"There is no pipe or device {name}.",
            "Give - and read it with another program, or make a pipe (mkfifo) or a device (v4l2loopback) first.",
        )
    elif name != "-" and os.path.isdir(name):
        raise OutputError(f"{name} is a folder.", "Give -, a pipe, a video device or window.")
    elif name != "-" and stat.S_ISREG(os.stat(name).st_mode):
        raise OutputExists(
            f"{name} is a file, and a camera goes to a pipe, a device or a window.",
            "Give - and redirect it, or cut the clip with gossamer video.",
        )


def open_outlet(name: str, settings: Live, clip: Clip) -> Outlet:
    """Open where pictures of a clip's size go; a pipe waits for its reader. Raises as :func:`check_outlet`."""
    if name == WINDOW:
        return Window(clip)
    check_outlet(name, settings)
    if is_video_device(name):
        return _Device(name, clip)
    if name == "-":
        descriptor = binary_stream(1)
    else:
        try:
            descriptor = os.open(name, os.O_WRONLY | BINARY)
        except OSError as error:
            raise OutputError(
                f"{name} cannot be written: {error.strerror or error}.", "Check its permissions."
            ) from None
    pipe = _Pipe(descriptor, name, own=name != "-")
    if settings.write in ("rgb24", "yuv420p"):
        return _RawPipe(pipe, settings.write)
    return _ContainerPipe(pipe, "mpegts" if settings.write == "mpegts" else "matroska", clip)


class _Pipe:
    def __init__(self, descriptor: int, name: str, own: bool) -> None:
        self._descriptor, self._name, self._own = descriptor, name, own

    def send(self, data: bytes) -> bool:
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            if error.errno in (errno.EPIPE, errno.EINVAL):  # Windows says EINVAL
                return False
            shown = "Standard output" if self._name == "-" else self._name
            raise OutputError(
                f"{shown} could not be written: {error.strerror or error}.", "Send it somewhere else."
            ) from None
        return True

    def attended(self) -> bool:
        if not hasattr(select, "poll"):  # Windows tells it of what is sent alone
            return True
        asked = select.poll()
        asked.register(self._descriptor, 0)  # what went wrong is told in any case
        return not any(events & (select.POLLERR | select.POLLHUP | select.POLLNVAL) for _, events in asked.poll(0))

    def close(self) -> None:
        if self._own:
            self._own = False
            os.close(self._descriptor)


class _RawPipe:
    def __init__(self, pipe: _Pipe, layout: str) -> None:
        self._pipe, self._layout = pipe, layout

    def encoded(self, rgb: NDArray[np.uint8], time: Fraction) -> bytes:
        if self._layout == "rgb24":
            return rgb.tobytes()
        return bytes(_yuv(_even(rgb), _guessed(rgb)).to_ndarray().tobytes())

    def send(self, data: bytes) -> bool:
        return self._pipe.send(data)

    def attended(self) -> bool:
        return self._pipe.attended()

    def end(self) -> None:
        self._pipe.close()

    abandon = end


class _ContainerPipe:
    """H.264 that can be decoded picture by picture as it comes."""

    def __init__(self, pipe: _Pipe, format: str, clip: Clip) -> None:
        self._pipe, self._written, self._last = pipe, list[bytes](), -1
        self._path, self._tags = Path(f"camera.{format}"), clip.tags
        self._base = Fraction(1, 90000 if format == "mpegts" else 1000)
        # A cluster of Matroska is written when it is over: short ones are soon there.
        options = {"flush_packets": "1"} | ({"live": "1", "cluster_time_limit": "20"} if format == "matroska" else {})
        with writing_to(self._path):
            self._container = libav().open(self, "w", format=format, options=options)
            fast = {"preset": "ultrafast", "tune": "zerolatency", "crf": "20"}
            self._stream = self._container.add_stream("libx264", rate=clip.rate, options=fast)
            context = self._stream.codec_context
            context.width, context.height = -(-clip.width // 2) * 2, -(-clip.height // 2) * 2
            context.pix_fmt, context.time_base, context.gop_size = "yuv420p", self._base, 30
            context.sample_aspect_ratio = clip.aspect
            clip.tags.put_on(context)

    def write(self, data: bytes) -> int:
        """Keep what PyAV has for the pipe."""
        self._written.append(bytes(data))
        return len(data)

    def encoded(self, rgb: NDArray[np.uint8], time: Fraction) -> bytes:
        frame = _yuv(_even(rgb), self._tags.swscale, self._tags)
        frame.time_base = self._base
        frame.pts = self._last = max(self._last + 1, round(time / self._base))
        with writing_to(self._path):
            for packet in self._stream.encode(frame):
                self._container.mux(packet)
        return self._taken()

    def _taken(self) -> bytes:
        data, self._written = b"".join(self._written), []
        return data

    def send(self, data: bytes) -> bool:
        return self._pipe.send(data)

    def attended(self) -> bool:
        return self._pipe.attended()

    def end(self) -> None:
        with writing_to(self._path):
            for packet in self._stream.encode():
                self._container.mux(packet)
            self._container.close()
        self._pipe.send(self._taken())
        self._pipe.close()

    def abandon(self) -> None:
        with suppress(Exception):
            self._container.close()
        self._pipe.close()


class _Device:
    """A device of v4l2loopback: what is written to it, other programs see as a camera."""

    def __init__(self, name: str, clip: Clip) -> None:
        self._path, self._number = Path(name), 0
        with writing_to(self._path):
            self._container = libav().open(name, "w", format="v4l2")
            self._stream = self._container.add_stream("rawvideo", rate=clip.rate)
            context = self._stream.codec_context
            context.width, context.height = -(-clip.width // 2) * 2, -(-clip.height // 2) * 2
            context.pix_fmt = "yuv420p"

    def encoded(self, rgb: NDArray[np.uint8], time: Fraction) -> bytes:
        frame = _yuv(_even(rgb), _guessed(rgb))
        frame.pts, self._number = self._number, self._number + 1
        with writing_to(self._path):
            for packet in self._stream.encode(frame):
                self._container.mux(packet)
        return b""

    def send(self, data: bytes) -> bool:
        return True

    def attended(self) -> bool:
        return True

    def end(self) -> None:
        with writing_to(self._path):
            self._container.close()

    def abandon(self) -> None:
        with suppress(Exception):
            self._container.close()


def _even(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture with even sides: a copy of the last row or column makes them so."""
    height, width = rgb.shape[:2]
    if height % 2 or width % 2:
        rgb = np.pad(rgb, [(0, height % 2), (0, width % 2), (0, 0)], mode="edge")
    return np.ascontiguousarray(rgb)


def _guessed(rgb: NDArray[np.uint8]) -> int:
    return _BT709 if rgb.shape[0] >= _HD else _BT601


def _yuv(rgb: NDArray[np.uint8], matrix: int, tags: ColourTags | None = None) -> Any:
    from av.video.reformatter import ColorRange

    frame = (
        libav()
        .VideoFrame.from_ndarray(rgb, format="rgb24")
        .reformat(
            format="yuv420p",
            src_colorspace=matrix,
            dst_colorspace=matrix,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
        )
    )
    if tags is not None:
        frame.colorspace, frame.color_range = tags.matrix, 1
        frame.color_primaries, frame.color_trc = tags.primaries, tags.transfer
    return frame
