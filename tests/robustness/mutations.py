"""Small pictures of every kind that is read, and ways to spoil them that keep enough structure to get far inside."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from random import Random

import cv2
import numpy as np
import tifffile
from PIL import Image, ImageCms

from gossamer.image import encode_image

Mutation = Callable[[bytes, Random], bytes]

NUMBERS = (
    0,
    1,
    2,
    3,
    4,
    7,
    8,
    12,
    15,
    16,
    17,
    31,
    32,
    64,
    100,
    127,
    128,
    200,
    255,
    256,
    1000,
    4096,
    32767,
    32768,
    65535,
)
LARGE = (*NUMBERS, 65536, 100_000, 1_000_000, 20_000_000, 2**31 - 1, 2**31, 2**32 - 16, 2**32 - 1)
SHAPE = (24, 33)


def shades() -> np.ndarray:
    """Noise without black and without mid-grey, so that rows that nobody delivered show. (H, W, 4) uint8."""
    noise = np.random.default_rng(11).integers(150, 240, (*SHAPE, 4), np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 0.8)


def _pillow(picture: Image.Image, format: str, **options: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, format, **options)
    return stream.getvalue()


def _tiff(array: np.ndarray, **options: object) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, array, **options)
    return stream.getvalue()


def _exif() -> bytes:
    exif = Image.Exif()
    exif[0x0112], exif[0x011A], exif[0x011B] = 6, 300.0, 300.0
    inner = exif.get_ifd(0x8769)
    inner[0xA001], inner[0xA005] = 65535, {1: "R03"}
    return exif.tobytes()


def _rle(four: bool) -> bytes:
    """A BMP by run lengths: every row runs, a literal and an end."""
    high, wide = SHAPE
    row = (
        b"".join(bytes([3, 0x21 + i]) for i in range(8)) + b"\0\x04" + (b"\x12\x34" if four else b"\1\2\3\4") + b"\5\7"
    )
    pixels = (row + b"\0\0") * high + b"\0\1"
    bits, kind = (4, 2) if four else (8, 1)
    palette = bytes(40 + (i * 37) % 200 for i in range(4 << bits))
    offset = 54 + len(palette)
    head = struct.pack("<2sIHHI", b"BM", offset + len(pixels), 0, 0, offset)
    head += struct.pack("<IiiHHIIiiII", 40, wide, high, 1, bits, kind, len(pixels), 2835, 2835, 0, 0)
    return head + palette + pixels


def _bmp_v5(icc: bytes) -> bytes:
    high, wide = SHAPE
    pixels = np.ascontiguousarray(shades()[..., [2, 1, 0, 3]]).tobytes()
    info = struct.pack("<IiiHHIIiiII", 124, wide, high, 1, 32, 3, len(pixels), 2835, 2835, 0, 0)
    info += struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) + b"DEBM" + bytes(48)
    info += struct.pack("<4I", 4, 124 + len(pixels), len(icc), 0)
    return struct.pack("<2sIHHI", b"BM", 14 + 124 + len(pixels), 0, 0, 138) + info + pixels + icc


def seeds() -> dict[str, bytes]:
    """Return whole pictures by name."""
    rgba = shades()
    rgb = np.ascontiguousarray(rgba[..., :3])
    grey, deep = rgb[..., 0], rgba.astype(np.uint16) * np.uint16(257)
    whole_tiles = np.pad(deep, ((0, 8), (0, 15), (0, 0)), "edge")  # not with zeros, as writers do
    floats = rgba.astype(np.float32) / np.float32(255)
    picture, whole = Image.fromarray(rgb), Image.fromarray(rgba)
    second = Image.fromarray(np.ascontiguousarray(rgb[::-1]))
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    palette = picture.quantize(16)
    found = {
        "png": _pillow(picture, "PNG", icc_profile=icc, dpi=(300, 300), exif=_exif()),
        "png-alpha": _pillow(whole, "PNG"),
        "png-palette": _pillow(palette, "PNG", transparency=3, bits=4),
        "png-grey4": _pillow(Image.fromarray(grey).quantize(16), "PNG", bits=4),
        "png16": encode_image(floats[..., :3], None, "png", bit_depth=16),
        "png16-alpha": encode_image(floats[..., :3], floats[..., 3], "png", bit_depth=16),
        "png-animated": _pillow(picture, "PNG", save_all=True, append_images=[second]),
        "jpeg": _pillow(picture, "JPEG", quality=90, exif=_exif(), icc_profile=icc),
        "jpeg-progressive": _pillow(picture, "JPEG", quality=90, progressive=True, subsampling=0),
        "jpeg-restarts": _pillow(picture, "JPEG", quality=80, restart_marker_blocks=2),
        "jpeg-grey": _pillow(Image.fromarray(grey), "JPEG"),
        "jpeg-cmyk": _pillow(picture.convert("CMYK"), "JPEG"),
        "webp": _pillow(picture, "WEBP", exif=_exif(), icc_profile=icc),
        "webp-lossless": _pillow(whole, "WEBP", lossless=True, exact=True),
        "webp-animated": _pillow(picture, "WEBP", save_all=True, append_images=[second]),
        "gif": _pillow(picture.quantize(32), "GIF", transparency=2),
        "gif-interlaced": _pillow(picture.quantize(200), "GIF", interlace=1),
        "gif-animated": _pillow(palette, "GIF", save_all=True, append_images=[second]),
        "bmp": _pillow(picture, "BMP"),
        "bmp-palette": _pillow(palette, "BMP"),
        "bmp-rle8": _rle(False),
        "bmp-rle4": _rle(True),
        "bmp-v5": _bmp_v5(icc),
        "avif": _pillow(picture, "AVIF", exif=_exif()),
        "avif-alpha": _pillow(whole, "AVIF"),
        "tiff": _pillow(picture, "TIFF", icc_profile=icc, dpi=(300, 300), exif=_exif()),
        "tiff-lzw": _pillow(picture, "TIFF", compression="tiff_lzw"),
        "tiff-deflate": _pillow(whole, "TIFF", compression="tiff_adobe_deflate"),
        "tiff-packbits": _pillow(picture, "TIFF", compression="packbits"),
        "tiff-jpeg": _pillow(picture, "TIFF", compression="jpeg"),
        "tiff-fax": _pillow(picture.convert("1"), "TIFF", compression="group4"),
        "tiff-palette": _pillow(palette, "TIFF"),
        "tiff-cmyk": _pillow(picture.convert("CMYK"), "TIFF"),
        "tiff-cmyka": _tiff(np.dstack([rgba, grey]), photometric="separated", extrasamples=["unassalpha"]),
        "tiff16": _tiff(deep[..., :3], photometric="rgb", rowsperstrip=7),
        "tiff16-deflate": encode_image(floats[..., :3], floats[..., 3], "tiff", bit_depth=16),
        "tiff16-lzw": cv2.imencode(".tif", deep[..., :3], [cv2.IMWRITE_TIFF_COMPRESSION, 5])[1].tobytes(),
        "tiff16-tiled": _tiff(
            whole_tiles, photometric="rgb", tile=(16, 16), compression="zlib", extrasamples=["unassalpha"]
        ),
        "tiff16-planar": _tiff(
            np.ascontiguousarray(np.moveaxis(deep[..., :3], -1, 0)), photometric="rgb", planarconfig="separate"
        ),
        "tiff32": encode_image(floats[..., :3], None, "tiff", bit_depth=32),
        "tiff-big": _tiff(deep[..., 0], bigtiff=True, byteorder=">"),
    }
    try:
        import pillow_heif
    except ImportError:
        return found
    for name, mode, array in (("heic", "RGB", rgb), ("heic10", "RGB;16", deep[..., :3])):
        stream = io.BytesIO()
        flat = np.ascontiguousarray(array).tobytes()
        pillow_heif.encode(mode, (SHAPE[1], SHAPE[0]), flat, stream, quality=80, exif=_exif())
        found[name] = stream.getvalue()
    return found


# -- of any kind -------------------------------------------------------------------------------------------


def _place(data: bytes | bytearray, random: Random) -> int:
    """A place after the first bytes, which tell the kind; more often near the beginning."""
    return random.randrange(2, min(len(data), 256 if random.random() < 0.5 else len(data)))


def flip_bits(data: bytes, random: Random) -> bytes:
    out = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 5))):
        out[_place(out, random)] ^= 1 << random.randrange(8)
    return bytes(out)


def set_number(data: bytes, random: Random) -> bytes:
    out, size, order = bytearray(data), random.choice((1, 2, 4)), random.choice(("little", "big"))
    value = random.choice(LARGE) % (1 << 8 * size)
    place = min(_place(out, random), len(out) - size)
    out[place : place + size] = value.to_bytes(size, order)  # type: ignore[arg-type]
    return bytes(out)


def cut(data: bytes, random: Random) -> bytes:
    return data[: _place(data, random)]


def splice(data: bytes, random: Random) -> bytes:
    """Take bytes out, put some in twice, or put noise over them: zeros would look like missing rows."""
    start = _place(data, random)
    end = min(len(data), start + random.choice((1, 2, 4, 16, 64, 256)))
    middle = random.choice((b"", data[start:end] * 2, random.randbytes(end - start)))
    return data[:start] + middle + data[end:]


# -- PNG ---------------------------------------------------------------------------------------------------


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(body, zlib.crc32(kind)))


def png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    found, place = [], 8
    while place + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        found.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + length]))
        place += 12 + length
    return found


def png(chunks: list[tuple[bytes, bytes]]) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*each) for each in chunks)


def png_edit(data: bytes, random: Random) -> bytes:
    """Change chunks, with good checksums: header, order, what inflates, colours."""
    chunks = png_chunks(data)
    which = random.randrange(len(chunks))
    kind, body = chunks[which]
    how = random.randrange(7)
    if how == 0 or (how == 1 and not body):
        place = random.randrange(13)
        header = bytearray(chunks[0][1])
        header[place] = random.choice(NUMBERS) % 256
        chunks[0] = (b"IHDR", bytes(header))
    elif how == 1:
        changed = bytearray(body)
        changed[random.randrange(len(changed))] = random.randrange(256)
        chunks[which] = (kind, bytes(changed))
    elif how == 2:
        chunks.insert(random.randrange(1, len(chunks)), chunks[which])
    elif how == 3:
        del chunks[which]
    elif how == 4:
        for i, (name, stream) in enumerate(chunks):
            if name == b"IDAT":
                raw = zlib.decompress(stream)
                share = random.choice((0.1, 0.5, 0.95, 1.5))
                chunks[i] = (name, zlib.compress((raw * 2)[: int(len(raw) * share)]) + random.choice((b"", b"more")))
                break
    else:
        told = random.choice(
            (
                (b"gAMA", struct.pack(">I", random.choice(LARGE))),
                (b"cHRM", struct.pack(">8I", *(random.choice(LARGE) for _ in range(8)))),
                (b"cICP", bytes(random.choice((0, 1, 2, 9, 12, 13, 16, 18, 255)) for _ in range(4))),
                (b"iCCP", b"x\0\0" + zlib.compress(bytes(random.choice((0, 100, 1 << 22))))),
                (b"zTXt", b"x\0\0" + zlib.compress(bytes(1 << 22))),
                (b"eXIf", random.randbytes(40)),
                (b"tRNS", random.randbytes(random.choice((1, 2, 6, 300)))),
                (b"acTL", struct.pack(">II", random.choice(LARGE), 0)),
            )
        )
        chunks.insert(random.randrange(1, len(chunks)), told)
    return png(chunks)


# -- TIFF --------------------------------------------------------------------------------------------------

TAGS = (254, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 282, 284, 301, 317, 318, 319, 320, 322, 323, 324)
MORE_TAGS = (*TAGS, 325, 330, 332, 338, 339, 347, 530, 532, 700, 34665, 34675, 50706)


def tiff_edit(data: bytes, random: Random) -> bytes:
    """Change an entry of the directory, or where the next one is."""
    out, order = bytearray(data), "<" if data[:1] == b"I" else ">"
    if data[2:4] in (b"+\0", b"\0+"):
        (start,) = struct.unpack_from(order + "Q", data, 8)
        (count,) = struct.unpack_from(order + "Q", data, start)
        first, entry, value = start + 8, 20, 12
    else:
        (start,) = struct.unpack_from(order + "I", data, 4)
        (count,) = struct.unpack_from(order + "H", data, start)
        first, entry, value = start + 2, 12, 8
    if random.random() < 0.1:
        struct.pack_into(order + "I", out, first + count * entry, random.choice((start, 8, *LARGE)) % (1 << 32))
        return bytes(out)
    place = first + entry * random.randrange(count)
    how = random.randrange(4)
    if how == 0:
        struct.pack_into(order + "H", out, place, random.choice(MORE_TAGS))
    elif how == 1:
        struct.pack_into(order + "H", out, place + 2, random.randrange(1, 18))
    elif how == 2:
        struct.pack_into(order + "I", out, place + 4, random.choice(LARGE))
    else:
        form = random.choice("HI")
        number = random.choice(LARGE) % (1 << 8 * struct.calcsize(form))
        struct.pack_into(order + form, out, place + value, number)
    return bytes(out)


# -- JPEG --------------------------------------------------------------------------------------------------


def jpeg_parts(data: bytes) -> list[bytes]:
    """Split into segments; a scan is one with its data."""
    parts, place = [data[:2]], 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        (length,) = struct.unpack_from(">H", data, place + 2)
        end = place + 2 + length
        if data[place + 1] == 0xDA:
            while end + 1 < len(data) and not (data[end] == 0xFF and data[end + 1] not in (0, *range(0xD0, 0xD8))):
                end += 1
        parts.append(data[place:end])
        place = end
    return [*parts, data[place:]]


def jpeg_edit(data: bytes, random: Random) -> bytes:
    """Change, repeat or leave out a segment; end early, with the marker."""
    parts = jpeg_parts(data)
    which = random.randrange(1, len(parts) - 1) if len(parts) > 2 else 0
    how = random.randrange(6)
    if how == 0:
        del parts[which]
    elif how == 1:
        parts.insert(which, parts[which] * random.choice((1, 3, 200)))
    elif how == 2:
        for i, part in enumerate(parts):
            if part[1:2] in (b"\xc0", b"\xc2"):
                frame = bytearray(part)
                frame[random.randrange(4, len(frame))] = random.choice(NUMBERS) % 256
                parts[i] = bytes(frame)
    elif how == 3:
        whole = b"".join(parts)
        return whole[: random.randrange(len(whole) // 2, len(whole))] + b"\xff\xd9"
    elif how == 4:
        parts.insert(which, b"\xff" + bytes([random.randrange(1, 255)]) + struct.pack(">H", 10) + random.randbytes(8))
    else:
        part = bytearray(parts[which])
        part[random.randrange(2, len(part)) if len(part) > 2 else 0] = random.randrange(256)
        parts[which] = bytes(part)
    return b"".join(parts)


# -- boxes and chunks --------------------------------------------------------------------------------------


def box_edit(data: bytes, random: Random) -> bytes:
    """Change a number after the name of a box of AVIF or HEIC, or the length before it."""
    names = (b"meta", b"iprp", b"ipco", b"ipma", b"colr", b"ispe", b"pixi", b"av1C", b"hvcC", b"iloc", b"pitm", b"iinf")
    place = data.find(random.choice(names))
    if place < 4:
        return set_number(data, random)
    out, size = bytearray(data), random.choice((1, 2, 4))
    at = max(4, place + random.choice((-4, -4, 4, 5, 8, 10, 12, 14, 16, 18)))
    at = min(at, len(out) - size)
    out[at : at + size] = (random.choice(LARGE) % (1 << 8 * size)).to_bytes(size, "big")
    return bytes(out)


def riff_edit(data: bytes, random: Random) -> bytes:
    """Change the chunks of WebP, the length of the whole made right."""
    chunks, place = [], 12
    while place + 8 <= len(data):
        (length,) = struct.unpack_from("<I", data, place + 4)
        chunks.append(bytearray(data[place : place + 8 + length + length % 2]))
        place += 8 + length + length % 2
    which = random.randrange(len(chunks))
    how = random.randrange(4)
    if how == 0:
        del chunks[which]
    elif how == 1:
        chunks.insert(which, bytearray(chunks[which]))
    elif how == 2:
        chunk = chunks[which]
        chunk[min(len(chunk) - 1, 8 + random.randrange(16))] = random.randrange(256)
    else:
        del chunks[which][len(chunks[which]) // 2 :]
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


_BY_KIND: dict[str, Mutation] = {
    "png": png_edit,
    "tiff": tiff_edit,
    "jpeg": jpeg_edit,
    "avif": box_edit,
    "heic": box_edit,
    "webp": riff_edit,
}
_ANY: tuple[Mutation, ...] = (flip_bits, set_number, cut, splice)


def mutate(name: str, data: bytes, random: Random) -> bytes:
    """Spoil a seed by one to three mutations, of its kind or of any; the first bytes still tell its kind."""
    kind = name.split("-")[0].rstrip("0123456789")
    own = _BY_KIND.get(kind)
    out = data
    for number in range(random.choice((1, 1, 1, 2, 3))):
        # What knows the structure comes first: later it may be gone.
        change = own if own is not None and number == 0 and random.random() < 0.6 else random.choice(_ANY)
        out = change(out, random)
        if len(out) < 16:
            break
    return out
