"""FFmpeg's libraries through PyAV: there or not, and what their errors mean for people."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gossamer.errors import GossamerError, InputError, OutputError, import_failure
from gossamer.paths import remedy_of

__all__ = ["libav", "reading", "writing_to"]


def libav() -> Any:
    """Return the package ``av``; raises MissingExtra."""
    try:
        import av
    except ImportError as error:
        raise import_failure(error, "Reading and writing video", "video") from None
    av.logging.set_level(None)  # what went wrong is told by exceptions; its lines would tear a progress bar
    return av


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn FFmpeg's complaints about a file that is read into InputError."""
    av = libav()
    try:
        yield
    except GossamerError:
        raise
    except av.error.FileNotFoundError:
        raise InputError(f"There is no file {path}.", "Check the path.") from None
    except (av.error.InvalidDataError, av.error.EOFError):
        raise _damaged(path) from None
    except av.error.DecoderNotFoundError:
        raise InputError(f"This FFmpeg cannot decode {path}.", "Convert it to H.264 or ProRes first.") from None
    except (av.error.FFmpegError, OSError) as error:
        if getattr(error, "errno", None) == errno.EIO:  # as FFmpeg calls a Matroska file that ends in its header
            raise _damaged(path) from None
        raise InputError(
            f"{path} cannot be read: {error.strerror or error}.", "Check its permissions, or convert it first."
        ) from None


def _damaged(path: Path) -> InputError:
    return InputError(
        f"{path} is damaged, cut off, or no video that FFmpeg knows.",
        "Play it to see, and copy or record it anew; a recording that was cut off needs a repair tool first.",
    )


@contextmanager
def writing_to(path: Path, kept: str = "") -> Iterator[None]:
    """Turn FFmpeg's complaints about a file that is written into OutputError; `kept` says what is finished."""
    av = libav()
    try:
        yield
    except GossamerError:
        raise
    except (av.error.FFmpegError, OSError) as error:
        number = getattr(error, "errno", None)
        if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            said = "the disk is full" if number != errno.EFBIG else "no larger file may be written"
            raise OutputError(f"{path} could not be written: {said}.", f"Make room. {kept}".rstrip()) from None
        remedy = remedy_of(error, "Choose another format or size.") if isinstance(error, OSError) else ""
        said = str(getattr(error, "strerror", None) or error)
        raise OutputError(
            f"{path} could not be written: {said}.", f"{remedy or 'Choose another format or size.'} {kept}".rstrip()
        ) from None
