"""Deflate for strips that are joined into one stream: by our kernel, else by zlib.

The residuals of PNG's filters want next to no matching: a match far back takes more bits than the few literals that
it stands for. So a window is chosen: nothing but runs of a byte or a pixel, or what comes again nearby, or far back.
The kernel (``native/deflate.c``) makes blocks of up to 128 KiB with codes of their own, and of the same data always
the same bytes, on every processor. Zlib has a strategy for runs as well. It takes four to twelve times as long and is
there for where nothing could be compiled.

ISA-L's igzip is about as quick, but its bytes differ now and then (up to 2.32 at least): its first step for levels 1
and 2 on x86 (``.write_first_byte`` of ``igzip_icf_body_h1_gr_bt.asm``) enters the second position into its table of
what was seen under a hash of its own state's address, which the system draws by lot, in place of that of the data.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gossamer.native import COUNT, PLACE, function

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MOST", "RUNS", "SOME", "Codec", "checksums", "codec"]

RUNS, SOME, MOST = 0, 9, 15
"""Windows: runs of a byte or a pixel alone; the binary logarithms of half a KiB and of all that deflate allows."""

_SCRATCH = (8 + 4) << 14  # bytes: the tokens of a block, and places that were seen
_LEAST = 65532  # bytes in a block of the kernel's at least, but for the last; a stored one has three more at most
_HEAD = 6  # bytes: no longer is the head of a stored block


class Codec(NamedTuple):
    """What deflates."""

    deflated: Callable[[NDArray[np.uint8], int, int, bool], bytes]
    """``deflated(data, window, pixel, last)`` returns raw deflate blocks that end at a byte; `pixel` is in bytes."""

    size: Callable[[NDArray[np.uint8], int, int], int]
    """``size(data, window, pixel)`` returns how many bytes that has, give or take a few."""

    worth: float
    """The part of the size that runs alone give which true matching must reach on a sample to be chosen."""


def codec() -> Codec:
    """Return the compiled one, or zlib where there is none."""
    if _compiled_deflate() is None:
        return Codec(_zlib, _zlib_size, 0.85)  # matching takes it twice as long
    return Codec(_own, _own_size, 0.97)


@functools.cache
def checksums() -> Any:
    """Return the module whose ``adler32`` and ``crc32`` are used: ISA-L's, or zlib where that is not installed."""
    try:
        from isal import isal_zlib
    except ImportError:
        return zlib
    return isal_zlib


def _own(data: NDArray[np.uint8], window: int, pixel: int, last: bool) -> bytes:
    heads = 2 * (data.size // _LEAST + 1) + 1
    out = np.empty(data.size + _HEAD * heads + 8, np.uint8)  # it writes eight bytes at a time
    return out[: _deflate(data, window, pixel, last, out)].tobytes()


def _own_size(data: NDArray[np.uint8], window: int, pixel: int) -> int:
    return _deflate(data, window, pixel, True, None)


def _deflate(data: NDArray[np.uint8], window: int, pixel: int, last: bool, out: NDArray[np.uint8] | None) -> int:
    reach = 0 if window == RUNS else 1 << window
    size: int = _compiled_deflate()(data, data.size, pixel, reach, last, np.empty(_SCRATCH, np.uint8), out)
    return size


def _zlib(data: NDArray[np.uint8], window: int, pixel: int, last: bool) -> bytes:
    strategy = zlib.Z_RLE if window == RUNS else zlib.Z_DEFAULT_STRATEGY
    # The level matters to true matching alone. The fifth takes half as long again as the fourth for files 3 % smaller.
    stream = zlib.compressobj(4, zlib.DEFLATED, -MOST, 9, strategy)
    return stream.compress(data.data) + stream.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)


def _zlib_size(data: NDArray[np.uint8], window: int, pixel: int) -> int:
    return len(_zlib(data, window, pixel, True))


def _compiled_deflate() -> Any:
    return function("deflate", PLACE, COUNT, COUNT, COUNT, COUNT, PLACE, PLACE, result=COUNT)
