"""The chunks of a PNG file: looked through before anything is decoded, and what they say beside the pixels."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from typing import Any

from gossamer.image.colour import SRGB, Colour, Primaries, by_chromaticities, by_cicp, gamma, png_chunks
from gossamer.image.limits import check_size, unknown_kind

__all__ = ["PngFile", "read_chunks"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_MOST_CHUNKS = 1_000_000
_MOST_PROFILE = 1 << 26  # bytes: sixteen times the largest profiles of printers
_DEFLATE = 1032  # bytes at most out of one: a match of 258 bytes in two bits
_INFLATED = 1 << 20  # bytes at a time
_FULL_RANGE, _RGB = 1, 0


@dataclass
class PngFile:
    """What a PNG file holds beside its pixels.

    Attributes
    ----------
    clean : bytes
        A PNG file of the pixels alone: header, palette, transparent colour and pixels, nothing else, whole and
        with good checksums. Decoders have nothing to complain of in it (libpng does so to stderr, past Python),
        and nothing that inflates but the pixels.
    colour : Colour or None
        What its chunks say by numbers.
    dpi : tuple of float or None
        Dots per inch.
    key : tuple of int or None
        The transparent colour of a picture without alpha or palette: one number, or three.
    frames : int
        Of an animation, or 1.
    """

    width: int
    height: int
    bits: int
    colour_type: int
    interlaced: bool
    clean: bytes = b""
    icc_profile: bytes | None = None
    colour: Colour | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None
    key: tuple[int, ...] | None = None
    frames: int = 1
    narrow: bool = False
    closed: bool = True
    notes: list[str] = field(default_factory=list)
    pixels: list[memoryview] = field(default_factory=list, repr=False)

    @property
    def channels(self) -> int:
        """Numbers a pixel, in the file."""
        return _CHANNELS[self.colour_type]

    @property
    def passes(self) -> list[tuple[int, int]]:
        """Bytes a row, with the filter's number, and rows: of the picture, or of each pass of Adam7's that has any."""
        bits = self.bits * self.channels
        grids = _ADAM7 if self.interlaced else ((0, 0, 1, 1),)
        sizes = [
            ((self.width - x + across - 1) // across, (self.height - y + down - 1) // down)
            for x, y, across, down in grids
        ]
        return [(1 + (width * bits + 7) // 8, height) for width, height in sizes if width > 0 and height > 0]

    @property
    def raw_length(self) -> int:
        """Bytes that the pixels inflate to."""
        return sum(length * rows for length, rows in self.passes)

    def check_whole(self) -> bool:
        """Inflate the pixels, keeping nothing, to see whether they are as many as the header says.

        Returns
        -------
        bool
            Whether there is nothing more, in the stream or after it.

        Raises
        ------
        ValueError, zlib.error
            If there are fewer, a row has an unknown filter, or the checksum is wrong.
        """
        rows = _Rows(self.passes)
        inflate = _inflater()
        for part in self.pixels:
            rest: bytes | memoryview = part
            while not inflate.eof and len(rest):
                rows.take(inflate.decompress(rest, _INFLATED))
                rest = inflate.unconsumed_tail
                if rows.more > _INFLATED:
                    return False
        while not inflate.eof:
            block = inflate.decompress(inflate.unconsumed_tail, _INFLATED)
            if not block:
                raise ValueError("the stream has no end")
            rows.take(block)
        if rows.left:
            raise ValueError("the pixels end too early")
        return not rows.more and not inflate.unused_data

    def plain(self) -> bytes:
        """Return `clean` with a stream of just the pixels, where :meth:`check_whole` found more than them."""
        inflate, left, raw = _inflater(), self.raw_length, bytearray()
        for part in self.pixels:
            raw += inflate.decompress(part, left - len(raw)) if len(raw) < left else b""
        while len(raw) < left and (block := inflate.decompress(inflate.unconsumed_tail, left - len(raw))):
            raw += block
        first = self.clean.index(b"IDAT", len(_SIGNATURE) + 25) - 4  # after IHDR
        return self.clean[:first] + _chunk(b"IDAT", zlib.compress(raw, 1)) + _chunk(b"IEND", b"")


class _Rows:
    """Counts the bytes of rows, and looks at the number of each row's filter."""

    def __init__(self, passes: list[tuple[int, int]]) -> None:
        self._passes = list(passes)
        self._place = 0  # in the current pass
        self.more = 0  # bytes beyond the last pass
        self.left = True

    def take(self, block: bytes) -> None:
        start = 0
        while self._passes and start < len(block):
            length, rows = self._passes[0]
            count = min(len(block) - start, length * rows - self._place)
            first = start + -self._place % length
            if len(filters := block[first : start + count : length]) and max(filters) > 4:
                raise ValueError("an unknown filter")
            self._place += count
            start += count
            if self._place == length * rows:
                self._passes.pop(0)
                self._place = 0
        self.more += len(block) - start
        self.left = bool(self._passes)


def _inflater() -> Any:
    try:
        from isal import isal_zlib
    except ImportError:
        return zlib.decompressobj()
    return isal_zlib.decompressobj()


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(body, zlib.crc32(kind)))


def read_chunks(data: bytes, label: str) -> PngFile:
    """Look through the chunks of a PNG file.

    Raises
    ------
    InputError
        If it is too large, or of a kind that is not read.
    ValueError, struct.error
        If it is damaged, cut off, or holds fewer bytes than its pixels can be deflated to.
    """
    width, height, bits, colour_type, compression, filtering, interlace = struct.unpack_from(">IIBBBBB", data, 16)
    if data[12:16] == b"CgBI":
        raise unknown_kind(label, "PNG")
    if data[:8] != _SIGNATURE or data[8:16] != b"\0\0\0\x0dIHDR" or bits not in _DEPTHS.get(colour_type, ()):
        raise ValueError("no PNG header")
    check_size(width, height, label)
    if compression or filtering or interlace > 1:
        raise ValueError("an unknown way of compression")
    png = PngFile(width, height, bits, colour_type, bool(interlace))
    told = _Told()
    kept: list[bytes | memoryview] = [_SIGNATURE]
    view, position = memoryview(data), 8
    for _ in range(_MOST_CHUNKS):
        if position + 8 <= len(data):
            (length,) = struct.unpack_from(">I", data, position)
            kind, end = data[position + 4 : position + 8], position + 12 + length
        if position + 8 > len(data) or end > len(data):
            if not png.pixels:
                raise ValueError("cut off")
            png.closed = False
            kept.append(_chunk(b"IEND", b""))
            break
        body = view[position + 8 : end - 4]
        sound = zlib.crc32(body, zlib.crc32(kind)) == struct.unpack_from(">I", data, end - 4)[0]
        if not kind[:1].islower():
            if not sound or (kind == b"IHDR") != (position == 8):
                raise ValueError(f"wrong checksum in {kind!r}")
            if kind not in (b"IHDR", b"PLTE", b"IDAT", b"IEND"):
                raise unknown_kind(label, "PNG")
            if kind != b"PLTE" or colour_type == 3:
                kept.append(view[position:end])
            if kind == b"IDAT":
                png.pixels.append(body)
        elif not png.pixels or kind in (b"eXIf", b"iTXt"):
            _ancillary(png, told, kind, bytes(body), sound)
            if kind == b"tRNS" and sound and bits < 16:
                kept.append(_transparency(png, bytes(body)))
        position = end
        if kind == b"IEND":
            break
    else:
        raise ValueError("chunks without end")
    if colour_type == 3 and not any(bytes(part[4:8]) == b"PLTE" for part in kept[1:]):
        raise ValueError("no palette")
    deflated = sum(len(part) for part in png.pixels)
    if png.raw_length > _DEFLATE * deflated:
        raise ValueError("the pixels end too early")
    png.clean = b"".join(kept)
    _settle(png, told)
    return png


@dataclass
class _Told:
    """The chunks on colours, before it is seen which of them counts."""

    cicp: tuple[int, ...] | None = None
    srgb: bool = False
    gamma: int | None = None
    chromaticities: tuple[int, ...] | None = None


def _transparency(png: PngFile, body: bytes) -> bytes:
    """Return a tRNS chunk as Pillow understands it: it compares the shade with pixels already spread to 8 bits."""
    if png.key is not None:  # the bits that count, and no others
        spread = 255 // (2**png.bits - 1) if png.bits in (2, 4) else 1
        body = struct.pack(f">{len(png.key)}H", *(value * spread for value in png.key))
    return _chunk(b"tRNS", body)


def _ancillary(png: PngFile, told: _Told, kind: bytes, body: bytes, sound: bool) -> None:
    """Take in a chunk that is not needed for the pixels; one that is broken counts as absent, and is told."""
    if kind not in _TAKEN:
        return
    if not sound:
        png.notes.append(f"its {kind.decode('ascii')} chunk is damaged and left out")
        return
    try:
        _take(png, told, kind, body)
    except (struct.error, ValueError, IndexError, zlib.error):
        png.notes.append(f"its {kind.decode('ascii')} chunk is damaged and left out")


_TAKEN = (b"tRNS", b"acTL", b"eXIf", b"pHYs", b"iCCP", b"cICP", b"sRGB", b"gAMA", b"cHRM", b"iTXt")


def _take(png: PngFile, told: _Told, kind: bytes, body: bytes) -> None:
    if kind == b"tRNS" and png.colour_type in (0, 2):
        count = png.channels
        values = struct.unpack_from(f">{count}H", body)
        png.key = tuple(value & (2**png.bits - 1) for value in values)
    elif kind == b"acTL":
        (png.frames,) = struct.unpack_from(">I", body)
    elif kind == b"eXIf":
        png.exif = body
    elif kind == b"iTXt" and body.startswith(b"XML:com.adobe.xmp\0\0\0"):
        png.xmp = body
    elif kind == b"pHYs":
        x, y, unit = struct.unpack(">IIB", body)
        png.dpi = (x * 0.0254, y * 0.0254) if unit == 1 else None
    elif kind == b"iCCP":
        start = body.index(b"\0", 0, 80) + 2
        inflate = zlib.decompressobj()
        profile = inflate.decompress(body[start:], _MOST_PROFILE)
        if not inflate.eof:
            raise ValueError("the profile has no end")
        png.icc_profile = profile
    elif kind == b"cICP":
        told.cicp = struct.unpack(">4B", body)
    elif kind == b"sRGB":
        told.srgb = True
    elif kind == b"gAMA":
        (told.gamma,) = struct.unpack(">I", body)
    elif kind == b"cHRM":
        told.chromaticities = struct.unpack(">8I", body)


def _settle(png: PngFile, told: _Told) -> None:
    """Choose what counts: cICP, then iCCP, then sRGB, then gAMA and cHRM (PNG, third edition, section 4.3)."""
    if told.cicp is not None:
        primaries, transfer, matrix, full_range = told.cicp
        try:
            if matrix != _RGB or full_range > _FULL_RANGE:
                raise ValueError("not RGB")
            png.colour = by_cicp(primaries, transfer, "its cICP chunk")
            png.narrow = full_range != _FULL_RANGE
        except ValueError:
            png.notes.append("its cICP chunk names no colour space and is left out")
        else:
            if png.colour is not None:
                png.icc_profile = None
                return
    if png.icc_profile is not None:
        return
    if told.srgb:
        png.colour = SRGB.told_by("its sRGB chunk")
        return
    chromaticities = told.chromaticities if png.channels + (png.colour_type == 3) > 2 else None
    if told.gamma is None and chromaticities is None:
        return
    source = png_chunks(told.gamma, chromaticities)
    try:
        curve = None if told.gamma is None else gamma(100000 / told.gamma)
        corners = None
        if chromaticities is not None:
            pairs = [value / 100000 for value in chromaticities]
            corners = Primaries(*zip(pairs[::2], pairs[1::2], strict=True))
        png.colour = by_chromaticities(corners, curve, source)
    except (ValueError, ZeroDivisionError):
        verbs = ("names", "is") if source.endswith("chunk") else ("name", "are")
        png.notes.append(f"{source} {verbs[0]} no colour space and {verbs[1]} left out")
