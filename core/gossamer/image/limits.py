"""What is read at all: the kinds of picture, told by their first bytes, and the largest size."""

from __future__ import annotations

import logging
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from gossamer.errors import InputError

__all__ = ["READABLE", "check_size", "kind_of", "quiet"]

READABLE = "Give a JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF or HEIC picture."
_MAX_PIXELS = 300_000_000
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
    text = os.environ.get("GOSSAMER_MAX_PIXELS", "").strip()
    try:
        limit = int(text) if text else _MAX_PIXELS
    except ValueError:
        raise InputError(
            f"GOSSAMER_MAX_PIXELS is {text!r}, which is not a whole number.",
            "Set it to a number of pixels, such as 300000000.",
        ) from None
    if width * height > limit:
        raise InputError(
            f"{label} is {width} × {height}, more than the limit of {limit:,} pixels.",
            "Make it smaller, or set GOSSAMER_MAX_PIXELS to a larger number of pixels.",
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
