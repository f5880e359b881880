"""What is read at all: the kinds of picture, told by their first bytes, and the largest size."""

from __future__ import annotations

import logging
import os
import re
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar

from gossamer.errors import InputError

__all__ = [
    "READABLE",
    "at_most",
    "check_delivered",
    "check_length",
    "check_size",
    "damaged",
    "kind_of",
    "most_bytes",
    "quiet",
    "silence",
    "unknown_kind",
]

READABLE = "Give a JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF, HEIC or EXR picture."
_MAX_PIXELS = 300_000_000
_SMALL, _PIXELS_A_BYTE = 1 << 22, 5000  # pixels that may be in any number of bytes; and above that
_STARTS = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"v/1\x01", "EXR"),
)
_AVIF = (b"avif", b"avis")
_HEIF = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs")


def kind_of(head: bytes) -> str | None:
    """Return the Pillow name of the format that begins with `head` (at least 64 bytes), or None."""
    for start, kind in _STARTS:
        if head.startswith(start):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp":
        brands = [head[8:12], *(head[i : i + 4] for i in range(16, min(len(head), 64), 4))]
        for brand in brands:
            if brand in _AVIF:
                return "AVIF"
            if brand in _HEIF:
                return "HEIF"
    return None


def check_size(width: int, height: int, label: str) -> None:
    """Refuse a picture without pixels or with more than the limit.

    The limit is 300 million pixels; the environment variable ``GOSSAMER_MAX_PIXELS`` sets another.
    """
    if width < 1 or height < 1:
        raise InputError(f"{label} has no pixels ({width} × {height}).", "Give a picture of at least 1 × 1.")
    limit = _limit()
    if width * height > limit:
        raise InputError(
            f"{label} is {width} × {height}, more than the limit of {limit:,} pixels.",
            "Make it smaller, or set GOSSAMER_MAX_PIXELS to a larger number of pixels.",
        )


_own_limit: ContextVar[int | None] = ContextVar("gossamer_pixels", default=None)


@contextmanager
def at_most(pixels: int) -> Iterator[None]:
    """Refuse, while inside and in this thread, pictures with more pixels than these, where the limit is not lower."""
    token = _own_limit.set(pixels)
    try:
        yield
    finally:
        _own_limit.reset(token)


def _limit() -> int:
    own = _own_limit.get()
    return _general_limit() if own is None else min(own, _general_limit())


def _general_limit() -> int:
    text = os.environ.get("GOSSAMER_MAX_PIXELS", "").strip()
    try:
        return int(text) if text else _MAX_PIXELS
    except ValueError:
        raise InputError(
            f"GOSSAMER_MAX_PIXELS is {text!r}, which is not a whole number.",
            "Set it to a number of pixels, such as 300000000.",
        ) from None


def most_bytes() -> int:
    """Return how many bytes a file of the largest picture may have: four floats a pixel, and something beside."""
    return 16 * _limit() + (1 << 26)


def check_length(length: int, label: str) -> None:
    """Refuse a file of more bytes than the largest picture has; raises InputError."""
    if length > most_bytes():
        raise InputError(
            f"{label} is larger than any picture within the limit on pixels.",
            "Make it smaller, or set GOSSAMER_MAX_PIXELS to a larger number of pixels.",
        )


def check_delivered(width: int, height: int, length: int, label: str) -> None:
    """Refuse a large picture in so few bytes that it can only be one colour, or a trap for memory.

    The kinds that compress without bound (WebP, AVIF, HEIC, EXR, GIF, BMP by run lengths) have no other limit.

    Parameters
    ----------
    length : int
        Bytes of the file.
    """
    if width * height > max(_SMALL, _PIXELS_A_BYTE * length):
        raise InputError(
            f"{label} says that it is {width} × {height}, but its {length:,} bytes hold no picture of that size.",
            "Get a complete copy, or make it smaller.",
        )


def damaged(label: str) -> InputError:
    """Return the error for a file of which pixels are missing or wrong."""
    return InputError(
        f"{label} is damaged or cut off and cannot be read.",
        "Get a complete copy, or open it in an image editor and save it again.",
    )


def unknown_kind(label: str, kind: str) -> InputError:
    """Return the error for a file that is sound, as far as can be seen, but of a kind that no decoder here knows."""
    remedy = "Save it as an 8- or 16-bit RGB TIFF without compression, or as PNG."
    return InputError(
        f"{label} is a kind of {kind} that Gossamer cannot read.",
        remedy if kind == "TIFF" else "Open it in an image editor and save it as an ordinary PNG or JPEG.",
    )


class _OwnThread(logging.Filter):
    """Drops what this thread logs; other threads' records pass."""

    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.get_ident()

    def filter(self, record: logging.LogRecord) -> bool:
        return record.thread != self._thread


_lock = threading.Lock()
_users = 0
_opencv_level = 0
_SILENT = 0  # OpenCV's LOG_LEVEL_SILENT
_python_warnings = warnings.catch_warnings()


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the decoders' own warnings away from stderr and from Python's warnings, while inside.

    What matters of them comes back as an InputError or in ``Image.warnings``. Log level and warning filters
    are the process's: the first user changes them, the last one puts them back, so that threads may overlap.
    """
    global _opencv_level, _python_warnings, _users
    import cv2

    set_level = getattr(cv2, "setLogLevel", None) or cv2.utils.logging.setLogLevel  # up to OpenCV 4.12, or since
    logger, own = logging.getLogger("tifffile"), _OwnThread()
    with _lock:
        _users += 1
        if _users == 1:
            _python_warnings = warnings.catch_warnings()
            _python_warnings.__enter__()
            warnings.filterwarnings("ignore", module=r"PIL\.|tifffile|pillow_heif")
            _opencv_level = set_level(_SILENT)
    logger.addFilter(own)
    try:
        yield
    finally:
        logger.removeFilter(own)
        with _lock:
            _users -= 1
            if _users == 0:
                set_level(_opencv_level)
                _python_warnings.__exit__(None, None, None)


_deaf = threading.Lock()
_LIBTIFF = re.compile(rb"^\s*(?:Fax|LZW|ZIP|PixarLog|JPEG|OJPEG|ZSTD|LZMA|TIFF)\w*: (?!Warning)", re.M)


@contextmanager
def silence() -> Iterator[None]:
    """Keep what libtiff prints to stderr away from it, while inside, and raise ValueError if it tells of an error.

    For one thread at a time. Only for Pillow's libtiff, which cannot be told to be quiet, and there only for the rare
    kinds that nothing else here decodes: what other threads print at the same time is lost too.
    """
    with _deaf, tempfile.TemporaryFile() as said:
        try:
            kept = os.dup(2)
        except OSError:  # there is no stderr
            yield
            return
        try:
            os.dup2(said.fileno(), 2)
            yield
        finally:
            with suppress(OSError):
                os.dup2(kept, 2)
            os.close(kept)
        said.seek(0)
        if _LIBTIFF.search(said.read(1 << 16)):
            raise ValueError("libtiff has met an error")
