"""The strips and tiles of a TIFF file: decompressed, each to as many bytes as it must have and never to more."""

from __future__ import annotations

import io
import lzma
import struct
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gossamer.image.jpeg_file import read_segments
from gossamer.image.limits import silence, unknown_kind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gossamer.image.tiff_file import TiffPicture

__all__ = ["BY_US", "DEFLATE", "JPEG", "LZMA", "LZW", "NONE", "OLD_DEFLATE", "PACKBITS", "WEBP", "ZSTD", "samples"]

NONE, LZW, JPEG, DEFLATE, PACKBITS, OLD_DEFLATE = 1, 5, 7, 8, 32773, 32946
LZMA, ZSTD, WEBP = 34925, 50000, 50001
BY_US = {NONE, LZW, JPEG, DEFLATE, PACKBITS, OLD_DEFLATE, LZMA, ZSTD, WEBP}
_PICTURES = (JPEG, WEBP)  # of which each strip or tile is a picture of its own
_FLAT_ROWS, _FLAT_BYTES, _FLAT_WIDTH = 1 << 19, 1 << 28, 1 << 20  # OpenCV's limits on a picture, and half of them
_LZMA_MEMORY = 1 << 28
_RGB, _YCBCR = 2, 6


def samples(tiff: TiffPicture) -> NDArray[Any]:
    """Decode the numbers of a picture; (H, W, C), those of less than 8 bits as bytes.

    Raises
    ------
    InputError
        If they are compressed, or of a type, that is not read here.
    ValueError, zlib.error, lzma.LZMAError
        If a strip or tile is damaged or too short.
    """
    page = tiff.page
    compression, predictor, bits = int(page.compression), int(page.predictor), page.bitspersample
    dtype = np.dtype(np.uint8 if bits in (1, 2, 4) else page.dtype)
    fits = dtype.kind in "uf" and (bits in (1, 2, 4) or dtype.itemsize * 8 == bits)
    whole = bits >= 8 and compression not in _PICTURES
    if not fits or predictor not in ((1,) if not whole else (1, 2, 3) if dtype.kind == "f" else (1, 2)):
        raise unknown_kind(tiff.label, "TIFF")
    planes, down, across = tiff.grid
    width, height = tiff.segment
    depth = 1 if tiff.planar else page.samplesperpixel
    if compression in _PICTURES and (dtype != np.uint8 or bits != 8 or depth > 4):
        raise unknown_kind(tiff.label, "TIFF")
    out = np.empty((planes, page.imagelength, page.imagewidth, depth), dtype)
    blocks = _pictures(tiff, depth) if compression in _PICTURES else _blocks(tiff, depth, dtype)
    for number, block in enumerate(blocks):
        plane, place = divmod(number, down * across)
        top, left = place // across * height, place % across * width
        target = out[plane, top : top + height, left : left + width]
        target[...] = block[: target.shape[0], : target.shape[1]]
    return np.moveaxis(out[..., 0], 0, -1) if tiff.planar else out[0]


# -- strips and tiles that are bytes -----------------------------------------------------------------------


def _blocks(tiff: TiffPicture, depth: int, dtype: np.dtype[Any]) -> Iterator[NDArray[Any]]:
    """Yield the numbers of each strip or tile, (h, w, C)."""
    bits, width = tiff.page.bitspersample, tiff.segment[0]
    for body in _bodies(tiff):
        if bits < 8:
            rows = np.unpackbits(np.frombuffer(body, np.uint8).reshape(-1, tiff.row_bytes()), axis=1)
            parts = rows[:, : width * depth * bits].reshape(len(rows), width, depth, bits)
            yield np.packbits(parts, axis=-1)[..., 0] >> (8 - bits)
        else:
            yield _numbers(body, (-1, width, depth), dtype, tiff.order, int(tiff.page.predictor))


def _bodies(tiff: TiffPicture) -> Iterator[bytes]:
    compression, wanted = int(tiff.page.compression), tiff.lengths()
    if compression in (LZW, PACKBITS, ZSTD):
        yield from _by_libtiff(tiff, wanted)
        return
    for body, length in zip(tiff.bodies(), wanted, strict=True):
        if compression == NONE:
            yield body[:length]
            continue
        inflate: Any = lzma.LZMADecompressor(memlimit=_LZMA_MEMORY) if compression == LZMA else zlib.decompressobj()
        found = inflate.decompress(body, length)
        if len(found) < length:
            raise ValueError("a strip or tile is too short")
        yield found


def _numbers(
    body: bytes, shape: tuple[int, int, int], dtype: np.dtype[Any], order: Literal["<", ">"], predictor: int
) -> NDArray[Any]:
    """Return the numbers in the bytes of a strip or tile."""
    if predictor == 3:  # differences of bytes, those of most weight first
        width, depth = shape[1:]
        parts = np.frombuffer(body, np.uint8).reshape(-1, width * dtype.itemsize, depth)
        parts = np.add.accumulate(parts, axis=1, dtype=np.uint8).reshape(len(parts), dtype.itemsize, -1)
        whole = np.ascontiguousarray(parts.swapaxes(1, 2)).view(dtype.newbyteorder(">"))
        return whole.reshape(shape).astype(dtype)
    values = np.frombuffer(body, dtype.newbyteorder(order)).reshape(shape)
    if predictor == 2:
        whole_numbers = np.dtype(f"u{dtype.itemsize}")
        native = values.astype(dtype, copy=False).view(whole_numbers)
        return np.add.accumulate(native, axis=1, dtype=whole_numbers).view(dtype)
    return values


def _by_libtiff(tiff: TiffPicture, wanted: list[int]) -> Iterator[bytes]:
    """Yield the bytes of each segment, decompressed by libtiff as if they were strips of grey pictures.

    So everything is read that libtiff can decompress, whatever its numbers and channels mean.
    """
    row, compression = tiff.row_bytes(), int(tiff.page.compression)
    # OpenCV lets libtiff's errors pass in pictures of 8 bits, not in such of 16: pairs of bytes, or of rows.
    pair = row if row % 2 == 0 else 2 * row
    if pair // 2 >= _FLAT_WIDTH:
        raise unknown_kind(tiff.label, "TIFF")
    bodies = tiff.bodies()
    first = 0
    while first < len(wanted):
        last, total = first + 1, wanted[first]
        paired = total % pair == 0 and compression != ZSTD
        # Only the last strip of a picture may be lower than the others.
        while (
            last < len(wanted)
            and wanted[last] <= wanted[last - 1] == wanted[first]
            and total + wanted[last] <= min(_FLAT_BYTES, _FLAT_ROWS * row)
            and (wanted[last] % pair == 0 or not paired)
        ):
            total += wanted[last]
            last += 1
        some = [next(bodies) for _ in range(first, last)]
        line = pair if paired else row
        data = _bare(line, total // line, wanted[first] // line, compression, some, 16 if paired else 8)
        flat = _flat(data, paired)
        if flat.size != total:
            raise ValueError("libtiff cannot decompress it")
        place = 0
        for length in wanted[first:last]:
            yield flat[place : place + length].tobytes()
            place += length
        first = last


def _flat(data: bytes, paired: bool) -> NDArray[np.uint8]:
    """Return the bytes of a picture that :func:`_bare` made, one after the other."""
    if paired:
        import cv2

        found: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        return np.empty(0, np.uint8) if found is None else found.astype("<u2", copy=False).reshape(-1).view(np.uint8)
    from PIL import TiffImagePlugin

    with silence():
        return np.asarray(TiffImagePlugin.TiffImageFile(io.BytesIO(data), "")).reshape(-1)


def _bare(line: int, height: int, rows: int, compression: int, bodies: list[bytes], bits: int) -> bytes:
    """Return a TIFF file of compressed strips, grey, of lines of so many bytes, and nothing else."""
    body = b"".join(bodies)
    lengths = [len(each) for each in bodies]
    starts = 8 + np.cumsum([0, *lengths[:-1]])
    tags: dict[int, Any] = {
        256: line * 8 // bits,
        257: height,
        258: bits,
        259: compression,
        262: 1,
        273: starts,
        277: 1,
    }
    tags |= {278: rows, 279: lengths}
    ifd = 8 + len(body) + len(body) % 2
    entries, lists = b"", b""
    for code, value in tags.items():
        values = np.atleast_1d(value).astype("<u4").tobytes()
        entries += struct.pack("<HHI", code, 4, len(values) // 4)
        if len(values) > 4:
            entries += struct.pack("<I", ifd + 6 + 12 * len(tags) + len(lists))
            lists += values
        else:
            entries += values
    head = struct.pack("<2sHI", b"II", 42, ifd)
    return head + body + bytes(len(body) % 2) + struct.pack("<H", len(tags)) + entries + bytes(4) + lists


# -- strips and tiles that are pictures --------------------------------------------------------------------


def _pictures(tiff: TiffPicture, depth: int) -> Iterator[NDArray[np.uint8]]:
    """Yield the pixels of each strip or tile, decoded by Pillow."""
    width, height = tiff.segment
    lengths = tiff.lengths()
    for body, length in zip(tiff.bodies(), lengths, strict=True):
        pixels = _webp(body) if int(tiff.page.compression) == WEBP else _jpeg(tiff, body, depth)
        pixels = pixels if pixels.ndim == 3 else pixels[..., None]
        if pixels.shape[0] < min(height, length // tiff.row_bytes()) or pixels.shape[1] < width:
            raise ValueError("a strip or tile is too small")
        if pixels.shape[2] < depth:
            raise ValueError("a strip or tile has too few channels")
        yield pixels[:height, :width, :depth]


def _webp(body: bytes) -> NDArray[np.uint8]:
    from PIL.WebPImagePlugin import WebPImageFile

    return np.asarray(WebPImageFile(io.BytesIO(body), ""))


def _jpeg(tiff: TiffPicture, body: bytes, depth: int) -> NDArray[np.uint8]:
    """Decode a strip or tile with the tables that all of them share, to RGB where it is YCbCr."""
    from PIL.JpegImagePlugin import JpegImageFile

    from gossamer.image.jpeg import check_end

    tables = tiff.tag(347)
    shared = bytes(tables)[2:].removesuffix(b"\xff\xd9") if tables else b""
    adobe = b""
    if depth == 3:  # which the numbers are is said by a tag, not by the JPEG
        transform = {_RGB: 0, _YCBCR: 1}[int(tiff.page.photometric)]
        adobe = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0" + bytes([transform])
    # Adobe's segment comes first, and any other of that kind is none of a TIFF's.
    jpeg = read_segments(b"\xff\xd8" + adobe + shared + body[2:], tiff.label)
    pixels = np.asarray(JpegImageFile(io.BytesIO(jpeg.clean), ""))
    check_end(jpeg, pixels)
    return pixels
