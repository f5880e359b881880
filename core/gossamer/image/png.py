"""PNG on all cores: strips are filtered and deflated by themselves and joined into one zlib stream.

A strip's deflate blocks end at a byte and never look back before the strip, so that strips may be made in any order
and the file is still one ordinary stream, a chunk a strip. These recipes are known to do well:

- Paeth's filter and run-length matching for detail: nothing but runs is worth looking for there;
- the filter "average", which halves the noise that it predicts from, and run-length matching for noise;
- the filter "up" for smooth ramps, such as the hidden colours of a cut-out and its soft alpha, with matching of runs,
  nearby, which is best for what is quite flat, or far back, for what comes again: text, patterns, rows much alike.

Which is smallest is tried on a sample of each strip. A file follows from its pixels alone: with the kernels it is the
same to the byte on every processor, without them wherever zlib is the same. To choose a filter for each row by the size
of its residuals, as encoders do that compress but once, gives larger files than the best of these for the whole strip.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from gossamer.image.deflate import MOST, RUNS, SOME, checksums, codec
from gossamer.native import COUNT, PLACE, function
from gossamer.parallel.strips import Strips
from gossamer.progress import Progress

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Rows", "encode_png", "png_chunk"]

Rows: TypeAlias = "Callable[[int, int, NDArray[Any]], object]"
"""``rows(top, bottom, out)`` writes these rows of the picture into `out`, (bottom - top, W, C) uint8 or uint16."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # of so many channels
_STRIP = 5 << 17  # bytes deflated at a time: large beside deflate's window of 32 KiB, few of them in memory
_BLOCK = 1 << 18  # bytes filtered at a time: stays in the cache with its intermediate results
_PARTS, _PART = 4, 1 << 12  # on so many parts of a strip, of so many bytes, the recipes are tried
_ADLER = 65521


class _Recipe(NamedTuple):
    """A row filter by its number in the PNG standard, and the window in which its residuals are matched."""

    filter: int
    window: int


_UP, _AVERAGE, _PAETH = 2, 3, 4
_RECIPES = (
    _Recipe(_PAETH, RUNS),
    _Recipe(_AVERAGE, RUNS),
    _Recipe(_UP, RUNS),
    _Recipe(_UP, SOME),
    _Recipe(_UP, MOST),
)


class _Strip(NamedTuple):
    """A part of the zlib stream, with the checksum and length of what it inflates to."""

    data: bytes
    adler: int
    length: int


def encode_png(
    rows: Rows,
    shape: tuple[int, int, int],
    bits: int,
    *,
    chunks: Iterable[bytes] = (),
    threads: int | None = None,
) -> bytes:
    """Encode a picture that is made while it is encoded, a strip at a time.

    Parameters
    ----------
    rows : callable
        ``rows(top, bottom, out)`` writes these rows into `out`, (bottom - top, W, C) uint8 or uint16. It is called
        from several threads at once, for every row once or twice.
    shape : tuple of int
        Height, width and channels: 1 (grey), 2 (grey and alpha), 3 (RGB) or 4 (RGBA).
    bits : int
        8 or 16 bits a channel.
    chunks : iterable of bytes
        Whole chunks that come before the pixels, see :func:`png_chunk`.
    threads : int, optional
        How many strips are made at a time: as many as this process may use cores. It changes no byte.

    Returns
    -------
    bytes

    References
    ----------
    Portable Network Graphics (PNG) Specification (Third Edition), W3C 2025. M. Adler, "pigz", for the joining of
    deflate streams.
    """
    height, width, channels = shape
    step = max(1, _STRIP // (1 + width * channels * bits // 8))
    tops = range(0, height, step)
    strips: dict[int, _Strip] = {}

    def make(first: int, last: int) -> None:
        for number in range(first, last):
            top = tops[number]
            strips[number] = _strip(rows, top, min(top + step, height), shape, bits)

    if threads == 1:  # whoever asks for that has threads of its own
        make(0, len(tops))
    else:
        with Strips(threads) as crew:
            crew.each(make, len(tops), 1, Progress())
    header = struct.pack(">IIBBBBB", width, height, bits, _COLOUR_TYPES[channels], 0, 0, 0)
    parts = [_SIGNATURE, *_chunk(b"IHDR", header), *chunks]
    adler = 1
    for number in range(len(tops)):
        each = strips[number]
        adler = _joined_adler(adler, each.adler, each.length)
        first = b"\x78\x5e" if number == 0 else b""  # the zlib header: 32 KiB window, a fast level
        last = struct.pack(">I", adler) if number == len(tops) - 1 else b""
        parts += _chunk(b"IDAT", first, each.data, last)
    parts += _chunk(b"IEND")
    return b"".join(parts)


def png_chunk(kind: bytes, body: bytes) -> bytes:
    """Return a whole chunk: length, kind, body and checksum."""
    return b"".join(_chunk(kind, body))


def _chunk(kind: bytes, *body: bytes) -> list[bytes]:
    crc32 = checksums().crc32
    check = crc32(kind)
    for part in body:
        check = crc32(part, check)
    return [struct.pack(">I", sum(map(len, body))), kind, *body, struct.pack(">I", check)]


def _strip(rows: Rows, top: int, bottom: int, shape: tuple[int, int, int], bits: int) -> _Strip:
    """Filter and deflate the rows from `top` to `bottom`."""
    height, width, channels = shape
    # One more row above and one more pixel to the left, black at the picture's border: what the filters look at.
    padded = np.zeros((bottom - top + 1, (width + 1) * channels), np.uint8 if bits == 8 else np.uint16)
    inside = padded[:, channels:].reshape(bottom - top + 1, width, channels)
    if top > 0:
        rows(top - 1, bottom, inside)
    else:
        rows(0, bottom, inside[1:])
    if bits == 16:
        padded = padded.astype(">u2").view(np.uint8)
    pixel = channels * bits // 8
    recipe = _choose(padded, pixel)
    filtered = _filtered(padded, pixel, recipe.filter)
    data = codec().deflated(filtered.reshape(-1), recipe.window, pixel, bottom == height)
    return _Strip(data, checksums().adler32(filtered.data), filtered.size)


def _choose(padded: NDArray[np.uint8], pixel: int) -> _Recipe:
    """Return the recipe that is smallest on parts of the strip along its diagonal."""
    count, across = len(padded) - 1, padded.shape[1] // pixel
    width = min(across, max(1, _PART // pixel))
    rows = min(count, max(1, _PART // (width * pixel)))
    stacked = np.empty((_PARTS, rows + 1, width * pixel), np.uint8)
    for part, odd in zip(stacked, range(1, 2 * _PARTS, 2), strict=True):
        top, left = ((room * odd) // (2 * _PARTS) for room in (count - rows, across - width))
        part[:] = padded[top : top + rows + 1, left * pixel : (left + width) * pixel]
    stacked = stacked.reshape(-1, width * pixel)
    own = np.arange(1, len(stacked)) % (rows + 1) > 0  # not the first row of a part, guessed from the part above it
    filtered = {kind: _filtered(stacked, pixel, kind)[own].reshape(-1) for kind in {each.filter for each in _RECIPES}}

    def cost(each: _Recipe) -> float:
        size = codec().size(filtered[each.filter], each.window, pixel)
        return size if each.window == RUNS else size / codec().worth

    return min(_RECIPES, key=cost)


def _filtered(padded: NDArray[np.uint8], pixel: int, kind: int) -> NDArray[np.uint8]:
    """Return the rows but the first as the stream holds them: the filter's number, then the residuals modulo 256."""
    count, length = padded.shape[0] - 1, padded.shape[1] - pixel
    out = np.empty((count, 1 + length), np.uint8)
    if (compiled := _compiled_filter()) is not None:
        compiled(padded, count, padded.shape[1], pixel, kind, out)
        return out
    out[:, 0] = kind
    step = max(1, _BLOCK // length)
    for top in range(0, count, step):
        part = padded[top : min(top + step, count) + 1]
        left, above = part[1:, :-pixel], part[:-1, pixel:]
        if kind == _UP:
            guess = above
        elif kind == _AVERAGE:
            guess = (left & above) + ((left ^ above) >> 1)  # without a ninth bit
        else:
            guess = _paeth(left, above, part[:-1, :-pixel])
        np.subtract(part[1:, pixel:], guess, out=out[top : top + step, 1:])
    return out


def _compiled_filter() -> Any:
    return function("filter", PLACE, COUNT, COUNT, COUNT, COUNT, PLACE)


def _paeth(left: NDArray[np.uint8], above: NDArray[np.uint8], corner: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return Paeth's prediction: whichever of the three is nearest to left + above - corner.

    In eight bits throughout. With p = left + above - corner, |p - left| is |above - corner| and |p - above| is
    |left - corner|. The corner is nearest only where it lies strictly between the other two: there |p - corner| is
    the difference of these distances, and |left - above| their sum; elsewhere it is the other way round.
    """
    import cv2

    to_left, to_above = cv2.absdiff(above, corner), cv2.absdiff(left, corner)
    difference = cv2.absdiff(to_left, to_above)
    guess = above.copy()
    cv2.copyTo(left, cv2.compare(to_left, to_above, cv2.CMP_LE), guess)
    # Sum > larger + difference, for smaller > difference; where cv2.add stops at 255 neither can be true.
    limit = cv2.add(cv2.max(to_left, to_above), difference)
    cv2.copyTo(corner, cv2.compare(cv2.absdiff(left, above), limit, cv2.CMP_GT), guess)
    return guess


def _joined_adler(first: int, second: int, length: int) -> int:
    """Return the Adler-32 checksum of two pieces one after the other, `length` bytes in the second."""
    low = (first & 0xFFFF) + (second & 0xFFFF) - 1
    high = (first >> 16) + (second >> 16) + length % _ADLER * ((first & 0xFFFF) - 1)
    return high % _ADLER << 16 | low % _ADLER
