"""Pictures that Pillow would reduce to 8 bits: 16-bit PNG, 16-bit and float TIFF, HEIC."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from gossamer.errors import InputError, MissingExtra
from gossamer.image.limits import check_size

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image
    from tifffile import TiffPage

__all__ = ["Raw", "orientation_of", "png_is_deep", "read_heif", "read_png", "read_tiff"]

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}
_REMEDY_TIFF = "Save it as an 8- or 16-bit RGB TIFF without compression, or as PNG."


@dataclass
class Raw:
    """Decoded pixels with what the file says about them.

    Attributes
    ----------
    pixels : ndarray
        (H, W, C) with C 1 (grey), 2 (grey and alpha), 3 or 4: unsigned integers or floats, RGB order.
    white : float
        The value that means 1.
    """

    pixels: NDArray[Any]
    white: float
    bit_depth: int
    orientation: int = 1
    premultiplied: bool = False
    icc_profile: bytes | None = None
    dpi: tuple[float, float] | None = None
    warnings: list[str] = field(default_factory=list)


def _opencv(data: bytes, channels: int) -> NDArray[Any]:
    """Decode at full depth; (H, W, C) with the colours in RGB order."""
    import cv2

    pixels: NDArray[Any] | None = cv2.imdecode(
        np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
    )
    if pixels is None:
        raise ValueError("OpenCV cannot decode it")
    if pixels.ndim == 2:
        return pixels[..., None]
    if channels == 2:  # OpenCV spreads grey and alpha to four channels
        return pixels[..., [0, 3]]
    if pixels.shape[2] == 3:
        return pixels[..., ::-1]
    red = pixels[..., 2].copy()
    pixels[..., 2] = pixels[..., 0]
    pixels[..., 0] = red
    return pixels


def orientation_of(exif: Callable[[], Image.Exif]) -> int:
    """Return the orientation, 1 to 8, in what `exif` returns; 1 where the block is broken."""
    try:
        orientation = int(exif().get(0x0112, 1))
    except (SyntaxError, ValueError, TypeError, LookupError, struct.error, OSError, ZeroDivisionError):
        return 1
    return orientation if 1 <= orientation <= 8 else 1


# -- PNG -------------------------------------------------------------------------------------------------


def png_is_deep(data: bytes) -> bool:
    """Return whether `data` is a PNG of 16 bits a channel."""
    return data[:8] == _PNG_SIGNATURE and data[12:16] == b"IHDR" and data[24:25] == b"\x10"


def read_png(data: bytes, label: str) -> Raw:
    """Read a 16-bit PNG; its tRNS colour becomes alpha."""
    from PIL import Image, PngImagePlugin

    channels = _PNG_CHANNELS[data[25]]
    width, height = struct.unpack(">II", data[16:24])
    check_size(width, height, label)
    header = PngImagePlugin.PngImageFile(io.BytesIO(data))

    # libpng writes its complaints to stderr, past Python: give it nothing to complain about. Chunks that do
    # not carry pixels stay out, and completeness and checksums are looked at here first.
    kept: list[bytes | memoryview] = [_PNG_SIGNATURE]
    key, notes, position, kind = None, [], 8, b""
    view = memoryview(data)
    while kind != b"IEND":
        (length,) = struct.unpack_from(">I", data, position)
        kind, chunk = data[position + 4 : position + 8], view[position + 8 : position + 8 + length]
        end = position + 12 + length
        if kind in (b"IHDR", b"IDAT", b"IEND"):
            if zlib.crc32(chunk, zlib.crc32(kind)) != struct.unpack_from(">I", data, end - 4)[0]:
                raise ValueError(f"wrong checksum in {kind!r}")
            kept.append(view[position:end])
        if kind == b"tRNS":
            key = np.frombuffer(chunk, ">u2").astype(np.uint16)
        elif kind == b"acTL":
            notes.append("it is animated; only its first frame is used")
        elif kind == b"eXIf":
            header.info["exif"] = bytes(chunk)  # Pillow has not seen it where it comes after the pixels
        position = end
    pixels = _opencv(b"".join(kept), channels)
    if key is not None and channels in (1, 3) and key.size == channels:
        opaque = np.any(pixels != key, axis=-1, keepdims=True)
        pixels = np.concatenate([pixels, opaque * np.uint16(65535)], axis=-1, dtype=np.uint16)
    icc, dpi = header.info.get("icc_profile"), header.info.get("dpi")
    # The base class's: PngImageFile.getexif would decode the pixels.
    orientation = orientation_of(lambda: Image.Image.getexif(header))
    return Raw(pixels, 65535.0, 16, orientation, False, icc, dpi, notes)


# -- TIFF ------------------------------------------------------------------------------------------------


def _tag(page: TiffPage, code: int) -> Any:
    tag = page.tags.get(code)
    return None if tag is None else tag.value


def _tiff_dpi(page: TiffPage) -> tuple[float, float] | None:
    unit = {2: 1.0, 3: 2.54}.get(int(_tag(page, 296) or 2))
    try:
        x, y = (a / b for a, b in (_tag(page, 282), _tag(page, 283)))
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (x * unit, y * unit) if unit and x > 0 and y > 0 else None


def _bare_tiff(page: TiffPage, data: bytes, plane: int | None) -> bytes:
    """Return a TIFF of the compressed pixels of `page`, or of one of its planes, and nothing else.

    OpenCV turns some TIFFs upright by their tag and not others, warns of tags, and reads no planes.
    """
    offsets, lengths, samples = page.dataoffsets, page.databytecounts, page.samplesperpixel
    if plane is not None:
        count, samples = len(offsets) // samples, 1
        offsets, lengths = (x[plane * count : (plane + 1) * count] for x in (offsets, lengths))
    body = b"".join(data[start : start + n] for start, n in zip(offsets, lengths, strict=True))
    starts = 8 + np.cumsum([0, *lengths[:-1]])
    tags: dict[int, Any] = {256: page.imagewidth, 257: page.imagelength, 258: [page.bitspersample] * samples}
    tags |= {259: int(page.compression), 262: 1 if samples == 1 else 2, 277: samples}
    tags |= {317: int(page.predictor), 339: [int(page.sampleformat)] * samples}
    if samples == 4:
        tags[338] = 2
    if page.is_tiled:
        tags |= {322: page.tilewidth, 323: page.tilelength, 324: starts, 325: lengths}
    else:
        tags |= {278: page.rowsperstrip, 273: starts, 279: lengths}
    order = page.parent.byteorder  # also that of the numbers in the segments
    ifd = 8 + len(body) + len(body) % 2
    entries, lists = b"", b""
    for code, value in sorted(tags.items()):
        values = np.atleast_1d(value).astype(order + "u4").tobytes()
        entries += struct.pack(order + "HHI", code, 4, len(values) // 4)
        if len(values) > 4:
            entries += struct.pack(order + "I", ifd + 6 + 12 * len(tags) + len(lists))
            lists += values
        else:
            entries += values
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, ifd)
    return head + body + bytes(len(body) % 2) + struct.pack(order + "H", len(tags)) + entries + bytes(4) + lists


def _tiff_pixels(page: TiffPage, data: bytes, label: str) -> NDArray[Any]:
    """Return the pixels of `page` as (H, W, C)."""
    planar = int(page.planarconfig) == 2 and page.samplesperpixel > 1
    unknown = InputError(f"{label} is a kind of TIFF that Gossamer cannot read.", _REMEDY_TIFF)
    try:
        pixels = np.asarray(page.asarray())
    except (ValueError, KeyError, NotImplementedError) as error:
        if "imagecodecs" not in str(error):
            raise
        # tifffile alone reads no LZW; OpenCV does, of 1, 3 or 4 channels, not half floats or 12 bits.
        odd = page.dtype == np.float16 or page.bitspersample not in (8, 16, 32, 64)
        if odd or (page.samplesperpixel not in (1, 3, 4) and not planar):
            raise unknown from error
        if planar:
            each = [_opencv(_bare_tiff(page, data, plane), 1) for plane in range(page.samplesperpixel)]
            return np.concatenate(each, axis=-1)
        return _opencv(_bare_tiff(page, data, None), page.samplesperpixel)
    if pixels.ndim == 2:
        return pixels[..., None]
    if pixels.ndim != 3:
        raise unknown
    return np.moveaxis(pixels, 0, -1) if planar else pixels


def read_tiff(data: bytes, label: str, notes: list[str]) -> Raw | None:
    """Read a TIFF of more than 8 bits a channel; None for one that Pillow reads, and without loss.

    The header is checked for both kinds: size, completeness, camera raw; `notes` gets what is left out.
    """
    import tifffile
    from PIL import Image

    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        page = tiff.pages.first
        photometric, samples, bits = int(page.photometric), page.samplesperpixel, page.bitspersample
        preview = bool(int(_tag(page, 254) or 0) & 1) and 330 in page.tags
        if preview or 50706 in page.tags or photometric in (32803, 34892) or data[8:10] == b"CR":
            raise InputError(
                f"{label} is a camera raw file, not a developed picture.",
                "Develop it in a raw converter and save it as 16-bit TIFF or PNG.",
            )
        check_size(page.imagewidth, page.imagelength, label)
        segments = list(zip(page.dataoffsets, page.databytecounts, strict=False))
        if not segments or any(not count or offset + count > len(data) for offset, count in segments):
            raise ValueError("the pixels end too early")
        full = sum(not int(_tag(other, 254) or 0) & 5 for other in tiff.pages)  # neither thumbnails nor masks
        if full > 1:
            notes.append(f"it has {full} pages; only the first is used")
        kind = np.dtype(page.dtype).kind if page.dtype is not None else "?"
        # Pillow's TIFF class heeds the process's limit on pixels, which is not ours: see decode.py.
        limit = 2 * Image.MAX_IMAGE_PIXELS if Image.MAX_IMAGE_PIXELS else float("inf")
        fits = page.imagewidth * page.imagelength <= limit
        if photometric not in (0, 1, 2) or (kind != "f" and (bits < 8 or (bits == 8 and fits))):
            return None
        if kind not in "uf":
            raise InputError(f"{label} holds signed numbers, which are not colours.", _REMEDY_TIFF)

        pixels = _tiff_pixels(page, data, label)
        white = 1.0 if kind == "f" else float(2**bits - 1)
        if photometric == 0:  # white is zero
            pixels = (1.0 - pixels) if kind == "f" else np.subtract(int(white), pixels, dtype=pixels.dtype)
        colours = 3 if photometric == 2 else 1
        marks = [int(mark) for mark in page.extrasamples]
        premultiplied = False
        if samples > colours:
            marks = marks or [2]  # OpenCV writes RGBA without saying what the fourth channel is
            alpha = next((i for i, mark in enumerate(marks) if mark in (1, 2)), None)
            if len(marks) > 1 or alpha is None:
                notes.append("its extra channels are not used")
            keep = [*range(colours)] if alpha is None else [*range(colours), colours + alpha]
            premultiplied = alpha is not None and marks[alpha] == 1
            pixels = pixels if keep == [*range(samples)] else pixels[..., keep]
        icc = _tag(page, 34675)
        return Raw(
            pixels,
            white,
            8 if bits == 8 else 16 if bits <= 16 else 32,
            int(_tag(page, 274) or 1),
            premultiplied,
            bytes(icc) if icc else None,
            _tiff_dpi(page),
            notes,
        )


# -- HEIC ------------------------------------------------------------------------------------------------


def read_heif(data: bytes, label: str) -> Raw:
    """Read a HEIC picture at its own depth; libheif has turned it upright already."""
    try:
        import pillow_heif
    except ImportError as error:
        raise MissingExtra("Reading HEIC pictures", "heif") from error

    heif = pillow_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=False, hdr_to_16bit=False)
    width, height = heif.size
    check_size(width, height, label)
    pixels = np.asarray(heif)
    bits = int(heif.info.get("bit_depth", 8))
    return Raw(
        pixels if pixels.ndim == 3 else pixels[..., None],
        float(2**bits - 1),
        8 if bits <= 8 else 16,
        1,
        bool(heif.premultiplied_alpha),
        heif.info.get("icc_profile") or None,
    )
