"""APNG files, written one whole picture after the other.

FFmpeg's own encoder writes what has changed, to be blended over what was there. Pillow does not blend alphas as the
format says, so that what is half transparent comes out of it too faint; a whole picture is read alike everywhere.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

from gossamer.video.libav import libav

__all__ = ["write_apng"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MOST = 0xFFFF  # of a delay's numerator


def write_apng(target: Path, size: tuple[int, int], pixels: str, pictures: Iterable[tuple[int, Any]], last: int) -> int:
    """Write an animated PNG that repeats for ever.

    Parameters
    ----------
    target : Path
    size : (int, int)
        Width and height.
    pixels : str
        FFmpeg's name of their format: ``"rgba"``, ``"rgb24"`` or ``"gray"``.
    pictures : iterable of (int, av.VideoFrame)
        When each is shown, in milliseconds, and the picture.
    last : int
        How long the last one is shown, in milliseconds.

    Returns
    -------
    int
        How many there are.

    Raises
    ------
    av.error.FFmpegError, OSError
        It cannot be written.
    """
    encoder = libav().CodecContext.create("png", "w")
    encoder.width, encoder.height = size
    encoder.pix_fmt, encoder.time_base, encoder.thread_count = pixels, Fraction(1, 1000), 1
    encoder.options = {"pred": "mixed"}
    count = sequence = control = 0
    with target.open("wb") as file:
        file.write(_SIGNATURE)
        for frame, delay in _lasting(pictures, last):
            given = frame.reformat(format=pixels)
            given.pts = count
            chunks = list(_chunks(b"".join(bytes(packet) for packet in encoder.encode(given))))
            if not count:
                for kind, data in chunks:
                    if kind not in (b"IDAT", b"IEND"):
                        _put(file, kind, data)
                control = file.tell()
                _put(file, b"acTL", struct.pack(">II", 0, 0))  # how many there are is written at the end
            shown = (delay, 1000) if delay <= _MOST else (min(round(delay / 1000), _MOST), 1)
            _put(file, b"fcTL", struct.pack(">IIIIIHHBB", sequence, *size, 0, 0, *shown, 0, 0))
            sequence += 1
            for data in (data for kind, data in chunks if kind == b"IDAT"):
                if count:
                    _put(file, b"fdAT", struct.pack(">I", sequence) + data)
                    sequence += 1
                else:
                    _put(file, b"IDAT", data)
            count += 1
        _put(file, b"IEND", b"")
        if count:
            file.seek(control)
            _put(file, b"acTL", struct.pack(">II", count, 0))
    return count


def _lasting(pictures: Iterable[tuple[int, Any]], last: int) -> Iterator[tuple[Any, int]]:
    """Yield each picture, and how long it is shown."""
    before: tuple[int, Any] | None = None
    for at, frame in pictures:
        if before is not None:
            yield before[1], at - before[0]
        before = at, frame
    if before is not None:
        yield before[1], last


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the chunks of a PNG: what kind, and what is in it."""
    place = len(_SIGNATURE)
    while place < len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        yield kind, data[place + 8 : place + 8 + length]
        place += 12 + length


def _put(file: BinaryIO, kind: bytes, data: bytes) -> None:
    file.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))
