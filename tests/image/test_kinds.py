"""Rarer kinds of file: read exactly, or called a kind that is not read, never damaged when they are not."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

from gossamer.errors import InputError
from gossamer.image import read_image

RNG = np.random.default_rng(21)
RGBA = RNG.integers(0, 256, (19, 23, 4), np.uint8)
RGB = np.ascontiguousarray(RGBA[..., :3])
GREY = np.ascontiguousarray(RGBA[..., 0])
SMOOTH = np.dstack([np.add.outer(np.arange(64) * 2, np.arange(48) * 2)] * 3).astype(np.uint8) + np.array(
    [0, 9, 30], np.uint8
)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(rows: np.ndarray, width: int, bits: int, colour: int, *chunks: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, len(rows), bits, colour, 0, 0, 0)
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    parts = [chunk(b"IHDR", header), *chunks, chunk(b"IDAT", zlib.compress(raw)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def tiff(array: np.ndarray, **options: object) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, array, **options)
    return stream.getvalue()


def saved(picture: Pillow.Image, format: str, **options: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, format, **options)
    return stream.getvalue()


def with_tag(data: bytes, code: int, value: int) -> bytes:
    """A little-endian TIFF with another value in an entry of one number."""
    out = bytearray(data)
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    for i in range(count):
        place = start + 2 + 12 * i
        if struct.unpack_from("<H", data, place)[0] == code:
            struct.pack_into("<HII", out, place + 2, 4, 1, value)
            return bytes(out)
    raise LookupError(code)


def unknown(data: bytes, kind: str) -> None:
    with pytest.raises(InputError) as caught:
        read_image(data)
    assert caught.value.message == f"The picture is a kind of {kind} that Gossamer cannot read."
    assert "save it as" in caught.value.remedy.lower()


# -- PNG ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_transparent_shade_of_any_depth(bits: int) -> None:
    """Also from a PIL picture, and with rubbish in the bits of the shade that do not count."""
    white = 2**bits - 1
    shades = RNG.integers(0, white + 1, (9, 16))
    parts = shades.reshape(9, -1, 8 // bits)
    packed = sum(parts[..., i] << (8 - bits * (i + 1)) for i in range(8 // bits)).astype(np.uint8)
    for key in (0, 1, white):
        wanted = (shades != key).astype(np.float32)
        data = png(packed, 16, bits, 0, chunk(b"tRNS", struct.pack(">H", key)))
        for source in (data, Pillow.open(io.BytesIO(data))):
            image = read_image(source)
            assert image.alpha is not None
            assert np.array_equal(image.alpha, wanted)
            assert np.array_equal(image.pixels[..., 1], shades * (255 // white))
        spoilt = png(packed, 16, bits, 0, chunk(b"tRNS", struct.pack(">H", key | 0xFF00)))
        assert np.array_equal(read_image(spoilt).alpha, wanted)


def test_frames_and_chunks_that_inflate_are_no_hindrance() -> None:
    """zTXt and iTXt of 64 MB each, which Pillow takes for an attack and the picture for damaged."""
    text = chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(1 << 26)))
    image = read_image(png(RGB.reshape(19, -1), 23, 8, 2, text, chunk(b"iTXt", b"x\0\1\0\0\0" + text[12:-4]), text))
    assert np.array_equal(image.pixels, RGB)
    assert image.warnings == ()


def test_png_that_is_none() -> None:
    data = png(RGB.reshape(19, -1), 23, 8, 2)
    unknown(data[:8] + chunk(b"CgBI", bytes(4)) + data[8:], "PNG")  # Apple's own, for its telephones
    unknown(png(RGB.reshape(19, -1), 23, 8, 2, chunk(b"FUTR", b"")), "PNG")
    with pytest.raises(InputError, match="damaged or cut off"):
        read_image(png(GREY, 23, 8, 3))  # a palette is missing


# -- BMP ---------------------------------------------------------------------------------------------------


def bmp32(alpha: int, mask: int = 0xFF000000) -> bytes:
    rows = np.dstack([RGB[..., ::-1], np.full(GREY.shape, alpha, np.uint8)])[::-1].tobytes()
    info = struct.pack("<IiiHHIIiiII", 56, 23, 19, 1, 32, 3, len(rows), 0, 0, 0, 0)
    info += struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, mask)
    return struct.pack("<2sIHHI", b"BM", 70 + len(rows), 0, 0, 70) + info + rows


def test_bmp_with_an_alpha_that_nobody_has_set_is_opaque() -> None:
    for source in (bmp32(0), Pillow.open(io.BytesIO(bmp32(0)))):
        image = read_image(source)
        assert image.alpha is None
        assert np.array_equal(image.pixels, RGB)
    half = read_image(bmp32(128))
    assert half.alpha is not None
    assert np.allclose(half.alpha, 128 / 255)


def rle(runs: bytes, four: bool = False, size: tuple[int, int] = (4, 3)) -> bytes:
    palette = b"".join(bytes([i, 2 * i, 3 * i, 0]) for i in range(16 if four else 64)).ljust(
        1024 if not four else 64, b"\0"
    )
    offset = 54 + len(palette)
    info = struct.pack("<IiiHHIIiiII", 40, *size, 1, 4 if four else 8, 2 if four else 1, len(runs), 0, 0, 0, 0)
    return struct.pack("<2sIHHI", b"BM", offset + len(runs), 0, 0, offset) + info + palette + runs


def numbers(data: bytes) -> list[list[int]]:
    return read_image(data).pixels[::-1, :, 2].tolist()


def test_bmp_whose_unused_bytes_differ_says_so() -> None:
    pixels = np.random.default_rng(4).integers(0, 256, (4, 6, 4), np.uint8)
    for fourth, told in ((pixels[..., 3], 1), (0, 0), (255, 0)):
        pixels[..., 3] = fourth
        header = struct.pack("<IiiHHIIiiII", 40, 6, 4, 1, 32, 0, 96, 0, 0, 0, 0)
        image = read_image(b"BM" + struct.pack("<IHHI", 54 + 96, 0, 0, 54) + header + pixels.tobytes())
        assert image.alpha is None
        assert np.array_equal(image.pixels, pixels[::-1, :, 2::-1])
        assert len(image.warnings) == told


@pytest.mark.parametrize(
    ("bits", "masks"),
    [
        (16, (0x7C00, 0x3E0, 0x1F, 0x8000)),  # GIMP's A1 R5 G5 B5
        (16, (0x0F00, 0xF0, 0x0F, 0xF000)),
        (16, (0xF800, 0x7C0, 0x3E, 0x1)),
        (32, (0xFF, 0xFF00, 0xFF0000, 0xFF000000)),
        (32, (0xFF000000, 0xFF0000, 0xFF00, 0xFF)),
        (32, (0x3FF00000, 0xFFC00, 0x3FF, 0xC0000000)),
    ],
)
@pytest.mark.parametrize("down", [False, True])
def test_bmp_with_alpha_in_fields_of_any_bits(bits: int, masks: tuple[int, ...], down: bool) -> None:
    values = np.random.default_rng(3).integers(0, 1 << bits, (5, 7), np.uint64)
    most = [mask >> ((mask & -mask).bit_length() - 1) for mask in masks]
    parts = [((values & mask) >> ((mask & -mask).bit_length() - 1)) for mask in masks]
    wanted = np.stack([np.rint(part * 255 / top) for part, top in zip(parts, most, strict=True)], -1)
    rows = np.zeros((5, (7 * bits + 31) // 32 * 4), np.uint8)
    stored = values if down else values[::-1]
    rows[:, : 7 * bits // 8] = stored.astype("<u2" if bits == 16 else "<u4").view(np.uint8)
    header = struct.pack("<IiiHHIIiiII", 124, 7, -5 if down else 5, 1, bits, 3, rows.nbytes, 0, 0, 0, 0)
    header += struct.pack("<4I", *masks) + b"BGRs" + bytes(124 - 60)
    data = b"BM" + struct.pack("<IHHI", 138 + rows.nbytes, 0, 0, 138) + header + rows.tobytes()
    image = read_image(data)
    assert np.array_equal(image.pixels, wanted[..., :3])
    assert image.alpha is not None
    assert np.abs(image.alpha * 255 - wanted[..., 3]).max() < 1e-4


def test_run_lengths_of_bmp() -> None:
    """Runs, literals of odd length, ends of lines, jumps; the lowest row comes first."""
    runs = b"\3\5\1\6\0\0" + b"\0\3\7\x08\x09\0\0\0" + b"\0\2\2\0\2\x0a\0\1"
    assert numbers(rle(runs)) == [[5, 5, 5, 6], [7, 8, 9, 0], [0, 0, 10, 10]]
    four = b"\4\x12\0\0" + b"\0\3\x34\x50\0\0" + b"\4\x66\0\1"
    assert numbers(rle(four, True)) == [[1, 2, 1, 2], [3, 4, 5, 0], [6, 6, 6, 6]]
    assert numbers(rle(b"\x09\5\0\0" * 3 + b"\0\1")) == [[5] * 4] * 3  # beyond the row: cut, as everywhere
    early = read_image(rle(b"\4\5\0\0\0\1"))
    assert "ends before its last 2 rows" in early.warnings[0]
    for cut in (b"", b"\4\5", b"\4\5\0\0\4\5", b"\4\5\0\0\4\5\0\0\0\4\1"):
        with pytest.raises(InputError, match="damaged or cut off"):
            read_image(rle(cut))


def test_bmp_that_is_none() -> None:
    data = saved(Pillow.fromarray(RGB), "BMP")
    unknown(data[:30] + struct.pack("<I", 5) + data[34:], "BMP")  # a PNG inside
    unknown(data[:14] + struct.pack("<I", 99) + data[18:], "BMP")
    unknown(data[:28] + struct.pack("<H", 48) + data[30:], "BMP")


# -- GIF and WebP ------------------------------------------------------------------------------------------


def test_what_a_first_frame_does_not_cover_is_transparent() -> None:
    palette = Pillow.fromarray(RGB).quantize(64)
    gif = bytearray(saved(palette, "GIF"))
    struct.pack_into("<HH", gif, 6, 40, 30)
    webp = bytearray(
        saved(Pillow.fromarray(RGB), "WEBP", lossless=True, save_all=True, append_images=[Pillow.new("RGB", (23, 19))])
    )
    webp[24:30] = (39).to_bytes(3, "little") + (29).to_bytes(3, "little")
    for data, colours in ((gif, np.asarray(palette.convert("RGB"))), (webp, RGB)):
        image = read_image(bytes(data))
        assert (image.width, image.height) == (40, 30)
        assert image.alpha is not None
        assert image.alpha[:19, :23].min() == 1
        assert image.alpha.sum() == 19 * 23
        assert np.array_equal(image.pixels[:19, :23], colours)
        assert "does not cover" in image.warnings[-1]


def test_a_gif_whose_palette_has_shrunk_says_so() -> None:
    picture = Pillow.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8), "L").convert("P")
    whole = bytearray(saved(picture, "GIF"))
    assert whole[10] & 0x80
    assert read_image(bytes(whole)).warnings == ()
    colours = 2 << (whole[10] & 7)
    whole[10] &= 0xF8  # two colours are left, and what was the rest of the palette goes with it
    shrunk = bytes(whole[: 13 + 6] + whole[13 + 3 * colours :])
    (warning,) = read_image(shrunk).warnings
    assert "its palette lacks" in warning


def test_a_gif_of_one_colour_is_whole() -> None:
    for shade in (0, 3):
        flat = Pillow.new("P", (20, 10), shade)
        flat.putpalette([40, 50, 60] * 4)
        image = read_image(saved(flat, "GIF"))
        assert (image.pixels == [40, 50, 60]).all()


# -- TIFF --------------------------------------------------------------------------------------------------

COMPRESSIONS = ["tiff_lzw", "tiff_adobe_deflate", "packbits", "lzma", "zstd", None]


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
def test_tiff_of_all_modes(mode: str, compression: str | None) -> None:
    """What Pillow writes is what is read: odd widths and several strips, which libtiff's users get wrong."""
    picture = Pillow.fromarray(RGBA if mode in ("RGBA", "LA") else RGB).convert(mode if mode != "P" else "RGB")
    if mode == "P":
        picture = picture.quantize(40)
    data = saved(picture, "TIFF", compression=compression, tiffinfo={278: 5})
    image = read_image(data)
    plain = picture.convert({"1": "L", "CMYK": "RGB", "P": "RGB"}.get(mode, mode))
    wanted = np.asarray(plain)
    wanted = wanted[..., None] if wanted.ndim == 2 else wanted
    colours = 1 if wanted.shape[2] < 3 else 3
    assert (np.asarray(image.pixels) == wanted[..., :colours]).all()
    assert (image.alpha is not None) == (mode in ("LA", "RGBA"))
    if image.alpha is not None:
        assert np.array_equal(image.alpha, wanted[..., -1] / np.float32(255))
    assert image.bit_depth == 8


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_tiff_of_few_bits(bits: int) -> None:
    white = 2**bits - 1
    shades = RNG.integers(0, white + 1, (7, 16))
    parts = shades.reshape(7, -1, 8 // bits)
    packed = sum(parts[..., i] << (8 - bits * (i + 1)) for i in range(8 // bits)).astype(np.uint8)
    data = with_tag(with_tag(tiff(packed, metadata=None), 256, 16), 258, bits)
    assert np.array_equal(read_image(data).pixels[..., 0], shades * (255 // white))
    inverse = with_tag(data, 262, 0)
    assert np.array_equal(read_image(inverse).pixels[..., 0], (white - shades) * (255 // white))


@pytest.mark.parametrize("photometric", ["rgb", "ycbcr", "minisblack"])
@pytest.mark.parametrize("tiled", [False, True])
def test_jpeg_inside_tiff(photometric: str, tiled: bool) -> None:
    """Strips and tiles that are JPEGs, with shared tables and without, of colours that only a tag tells."""
    picture = Pillow.fromarray(SMOOTH if photometric != "minisblack" else SMOOTH[..., 0])
    size = 32 if tiled else 48
    bodies, tables = [], b""
    for top in range(0, 64, 32):
        for left in range(0, 48, size):
            part = Pillow.new(picture.mode, (size, 32))
            part.paste(picture, (-left, -top))
            options = {"keep_rgb": True} if photometric == "rgb" else {}
            bodies.append(saved(part, "JPEG", quality=95, subsampling=0, **options))
    starts = 8 + np.cumsum([0, *map(len, bodies)])
    samples = 1 if photometric == "minisblack" else 3
    tags = {256: [48], 257: [64], 258: [8] * samples, 259: [7], 277: [samples]}
    tags |= {262: [{"rgb": 2, "ycbcr": 6, "minisblack": 1}[photometric]]}
    lengths = [len(body) for body in bodies]
    tags |= (
        {322: [32], 323: [32], 324: starts[:-1], 325: lengths} if tiled else {273: starts[:-1], 278: [32], 279: lengths}
    )
    image = read_image(tiff_by_hand(tags, b"".join(bodies)))
    assert not tables
    wanted = np.asarray(picture).reshape(64, 48, -1)
    assert np.abs(np.asarray(image.pixels, int) - wanted).max() < 5
    own = saved(Pillow.fromarray(SMOOTH), "TIFF", compression="jpeg", quality=95)  # libtiff's: tables in a tag
    assert np.abs(np.asarray(read_image(own).pixels, int) - SMOOTH).max() < 8


def tiff_by_hand(tags: dict[int, list[int]], body: bytes) -> bytes:
    ifd = 8 + len(body)
    entries, lists = b"", b""
    for code, values in sorted(tags.items()):
        packed = struct.pack(f"<{len(values)}I", *values)
        if len(values) > 1:
            lists, packed = lists + packed, struct.pack("<I", ifd + 6 + 12 * len(tags) + len(lists))
        entries += struct.pack("<HHI", code, 4, len(values)) + packed
    return struct.pack("<2sHI", b"II", 42, ifd) + body + struct.pack("<H", len(tags)) + entries + bytes(4) + lists


def test_webp_and_fax_inside_tiff() -> None:
    body = saved(Pillow.fromarray(RGB), "WEBP", lossless=True)
    tags = {256: [23], 257: [19], 258: [8] * 3, 259: [50001], 262: [2], 273: [8], 277: [3], 278: [19], 279: [len(body)]}
    assert np.array_equal(read_image(tiff_by_hand(tags, body)).pixels, RGB)
    page = Pillow.fromarray((GREY > 128).astype(np.uint8) * 255).convert("1")
    for compression in ("group3", "group4"):
        data = saved(page, "TIFF", compression=compression)
        assert np.array_equal(read_image(data).pixels[..., 0], (GREY > 128) * 255)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        length = file.pages.first.databytecounts[0]
    for short in range(1, 4):  # without the code that ends it
        assert "lines may be missing" in read_image(with_tag(data, 279, length - short - 3)).warnings[0]


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("alpha", ["unassalpha", "assocalpha", "unspecified"])
def test_cmyk_with_more_channels(alpha: str, bits: int) -> None:
    inks = np.asarray(Pillow.fromarray(RGB).convert("CMYK"))
    more = np.full(GREY.shape, 255, np.uint8)
    more[:5] = 0
    pixels = np.dstack([inks, more])
    pixels = pixels if bits == 8 else pixels.astype(np.uint16) * np.uint16(257)
    image = read_image(tiff(pixels, photometric="separated", extrasamples=[alpha]))
    assert np.array_equal(np.round(image.rgb[5:] * 255), np.asarray(Pillow.fromarray(inks, "CMYK").convert("RGB"))[5:])
    assert "no colour profile" in image.warnings[-1]
    if alpha == "unspecified":
        assert image.alpha is None
        assert "extra channels" in image.warnings[0]
    else:
        assert image.alpha is not None
        assert np.array_equal(image.alpha, more / np.float32(255))


def test_tiff_of_several_widths_is_damaged() -> None:
    out = bytearray(tiff(RGB, photometric="rgb", byteorder="<"))
    with tifffile.TiffFile(io.BytesIO(bytes(out))) as file:
        struct.pack_into("<I", out, file.pages.first.tags[256].offset + 4, 3)
    with pytest.raises(InputError, match="damaged or cut off"):
        read_image(bytes(out))


def test_tiff_that_is_none() -> None:
    """Sound files that nothing here decodes."""
    unknown(with_tag(tiff(RGB, photometric="rgb"), 259, 34712), "TIFF")  # JPEG 2000
    unknown(with_tag(tiff(RGB, photometric="rgb"), 259, 50002), "TIFF")  # JPEG XL
    unknown(tiff(np.zeros((4, 5, 5), np.float32), photometric="separated", extrasamples=["unassalpha"]), "TIFF")
    unknown(with_tag(tiff(GREY.astype(np.uint16), metadata=None), 258, 12), "TIFF")
    unknown(tiff(np.zeros((4, 5, 3), np.complex64), photometric="rgb"), "TIFF")


# -- JPEG --------------------------------------------------------------------------------------------------


def test_jpeg_that_is_none() -> None:
    data = saved(Pillow.fromarray(RGB), "JPEG")
    frame = data.index(b"\xff\xc0")
    unknown(data[: frame + 4] + b"\x0c" + data[frame + 5 :], "JPEG")  # 12 bits
    unknown(data[:frame] + b"\xff\xc3" + data[frame + 2 :], "JPEG")  # lossless
    unknown(data[:frame] + b"\xff\xc5" + data[frame + 2 :], "JPEG")  # hierarchical


def test_much_beside_the_picture_is_left_out() -> None:
    """Metadata of 20 MB, between which profile and orientation still count."""
    exif = Pillow.Exif()
    exif[274] = 6
    data = saved(Pillow.fromarray(SMOOTH), "JPEG", quality=95, exif=exif)
    more = b"".join(b"\xff\xed\xff\xff" + bytes(65533) for _ in range(300))
    start = data.index(b"\xff\xdb")
    image = read_image(data[:start] + more + data[start:])
    assert np.array_equal(image.pixels, read_image(data).pixels)
    assert (image.width, image.height) == (64, 48)
