"""Deflate for strips that are joined into one stream: ISA-L's where it is installed, else zlib's.

The residuals of PNG's filters want next to no matching: a match far back takes more bits than the few literals that
it stands for. Zlib has a strategy for that. ISA-L, which is several times as fast, has not, but can do with a window
of four bytes, if only in a call that deflates all of its input and ends the stream. So that end is taken off again.
Up to 128 KiB become a single deflate block, whose first bit says that it is the last. The next one may begin at the
next byte when an empty stored block is put between them, which takes a byte more where the last byte has fewer than
three bits left for its header. How many are left is seen from the code that ends the block: all after it is zeros.

Plain streams of ISA-L's in place of that, with its smallest window of half a KiB, make a cut-out's PNG take 18 % longer
to encode and 5 % larger, a noisy picture's 45 % longer (medians of the processor's time over alternated pairs).

The same data does not always give the same bytes with ISA-L (up to 2.32 at least): its first step for levels 1 and 2
on x86 (``.write_first_byte`` of ``igzip_icf_body_h1_gr_bt.asm``) enters the second position into its table of what was
seen under a hash of its own state's address, instead of that of the data. So it depends on where the stack of the
thread lies, which the system draws by lot, whether a repetition is found: of 400 places, ten gave other bytes than the
rest, the same ones each time. What it inflates to is right.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

from gossamer.native import COUNT, PLACE, function

__all__ = ["MOST", "RUNS", "SOME", "Codec", "codec"]

RUNS, SOME, MOST = 2, 9, 15
"""Windows, their binary logarithms: runs of a pixel of up to four bytes; half a KiB; all that deflate allows."""

_REPEATS = 100  # to 1: where there is hardly anything but repeats, zlib says it shorter, and is quick as well
_BLOCK = 1 << 17  # bytes: as many literals as ISA-L takes into one deflate block
_ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)  # of the code lengths in a block's head
_HEAD = 600  # bytes: no longer is the head of a block
_END = 256  # the symbol that ends a block


class Codec(NamedTuple):
    """What deflates, and the checksums that come with it."""

    deflated: Callable[[memoryview, int, bool], bytes]
    """``deflated(data, window, last)`` returns raw deflate blocks that end at a byte."""

    worth: float
    """The part of the size that runs alone give which true matching must reach on a sample to be chosen."""

    adler32: Callable[..., int]
    crc32: Callable[..., int]


@functools.cache
def codec() -> Codec:
    """Return ISA-L's igzip, or zlib where that is not installed."""
    try:
        from isal import isal_zlib
    except ImportError:
        return Codec(_zlib, 0.85, zlib.adler32, zlib.crc32)  # matching takes it twice as long
    return Codec(_isal, 0.97, isal_zlib.adler32, isal_zlib.crc32)


def _zlib(data: memoryview, window: int, last: bool) -> bytes:
    strategy = zlib.Z_RLE if window == RUNS else zlib.Z_DEFAULT_STRATEGY
    # The level matters to true matching alone. The fifth takes half as long again as the fourth for files 3 % smaller.
    return _whole(zlib.compressobj(4, zlib.DEFLATED, -MOST, 9, strategy), data, last)


def _isal(data: memoryview, window: int, last: bool) -> bytes:
    result = _quick(data, window, last)
    if len(result) * _REPEATS > len(data):
        return result
    return min(result, _whole(zlib.compressobj(6, zlib.DEFLATED, -MOST, 9), data, last), key=len)


def _quick(data: memoryview, window: int, last: bool) -> bytes:
    from isal import igzip_lib, isal_zlib

    if window > RUNS:  # the second level takes as long as the first here, and the third four times that for no less
        return _whole(isal_zlib.compressobj(2, zlib.DEFLATED, -window, 9), data, last)
    parts: list[bytes | memoryview] = []
    for start in range(0, len(data), _BLOCK):
        piece = data[start : start + _BLOCK]
        block = igzip_lib.compress(piece, 1, igzip_lib.COMP_DEFLATE, igzip_lib.MEM_LEVEL_EXTRA_LARGE, window)
        if last and start + _BLOCK >= len(data):
            parts.append(block)
        elif (left := _bits_left(block)) is not None:
            parts += [bytes([block[0] - 1]), memoryview(block)[1:], b"\0\0\xff\xff" if left >= 3 else b"\0\0\0\xff\xff"]
        else:  # ISA-L is free to make more than one block, or one without codes of its own
            parts.append(_whole(isal_zlib.compressobj(1, zlib.DEFLATED, -SOME, 9), piece, False))
    return b"".join(parts)


def _whole(stream: Any, data: memoryview, last: bool) -> bytes:
    return b"".join((stream.compress(data), stream.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)))


def _bits_left(block: bytes) -> int | None:
    """Return how many bits of its last byte a deflate stream does not use; None where it is hard to tell.

    That is where it is not a single block with codes of its own, or its end has a code of zeros alone: with no other
    could the same bits be read as that code and a number of zeros in two ways.
    """
    if (compiled := _compiled_bits_left()) is not None:
        found = compiled(block, len(block))
        return found if found >= 0 else None
    bits = int.from_bytes(block[:_HEAD], "little")
    if bits & 7 != 0b101:
        return None
    symbols, given = 257 + (bits >> 3 & 31), 4 + (bits >> 13 & 15)
    sizes = [0] * len(_ORDER)
    for number, symbol in enumerate(_ORDER[:given]):
        sizes[symbol] = bits >> 17 + 3 * number & 7
    read = {_code(sizes, symbol): symbol for symbol, size in enumerate(sizes) if size}
    bits >>= 17 + 3 * given
    lengths: list[int] = []
    while len(lengths) < symbols:
        starts = ((size, bits & (1 << size) - 1) for size in range(1, 8))
        symbol = next(read[start] for start in starts if start in read)
        bits >>= sizes[symbol]
        if symbol < 16:
            lengths.append(symbol)
            continue
        extra, least = {16: (2, 3), 17: (3, 3), 18: (7, 11)}[symbol]
        lengths += [lengths[-1] if symbol == 16 else 0] * (least + (bits & (1 << extra) - 1))
        bits >>= extra
    size, code = _code(lengths[:symbols], _END)
    tail = int.from_bytes(block[-4:], "little")
    return next((left for left in range(8) if code and tail >> 32 - left - size == code), None)


def _code(sizes: list[int], symbol: int) -> tuple[int, int]:
    """Return a symbol's code in the canonical Huffman code of these sizes: how many bits; they, the first lowest."""
    size, code = sizes[symbol], 0
    for shorter in range(1, size):
        code = (code + sizes.count(shorter)) << 1
    code += sizes[:symbol].count(size)
    return size, int(f"{code:0{size}b}"[::-1], 2)


def _compiled_bits_left() -> Any:
    return function("bits_left", PLACE, COUNT, result=COUNT)
