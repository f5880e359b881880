"""Files that are made to take memory or time, or that lack pixels: one sentence, at once, and nothing on stderr."""

from __future__ import annotations

import functools
import io
import lzma
import os
import struct
import subprocess
import sys
import tracemalloc
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

from gossamer.errors import InputError
from gossamer.image import encode_image, read_image
from gossamer.image.limits import check_delivered

RGB = np.random.default_rng(31).integers(40, 220, (64, 48, 3), np.uint8)
SMOOTH = cv2.GaussianBlur(RGB, (0, 0), 2.0)
DEEP = RGB.astype(np.uint16) * np.uint16(257)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(size: tuple[int, int], raw: bytes, bits: int = 8, colour: int = 2, interlace: int = 0, *more: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, bits, colour, 0, 0, interlace))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(more) + chunk(b"IDAT", zlib.compress(raw, 9)) + chunk(b"IEND", b"")


def saved(picture: Pillow.Image, format: str, **options: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, format, **options)
    return stream.getvalue()


def tiff(array: np.ndarray, **options: object) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, array, **{"photometric": "rgb", "metadata": None, **options})
    return stream.getvalue()


def by_hand(tags: dict[int, int], body: bytes, following: int = 0) -> bytes:
    entries = b"".join(struct.pack("<HHII", code, 4, 1, value) for code, value in sorted(tags.items()))
    head = struct.pack("<2sHI", b"II", 42, 8 + len(body))
    return head + body + struct.pack("<H", len(tags)) + entries + struct.pack("<I", following)


def taller(data: bytes, height: int) -> bytes:
    """The same TIFF, which says that it is higher."""
    out = bytearray(data)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        struct.pack_into("<HII", out, file.pages.first.tags[257].offset + 2, 4, 1, height)
    return bytes(out)


def refused(data: bytes, why: str = "is damaged or cut off and cannot be read. Get a complete copy") -> None:
    with pytest.raises(InputError) as caught:
        read_image(data)
    assert why in str(caught.value)


# -- pixels that are missing -------------------------------------------------------------------------------

ROW = b"\0" + b"\x80" * 192


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("interlace", [0, 1])
@pytest.mark.parametrize("rows", [0, 1, 32, 63, 63.99])
def test_png_whose_stream_ends_early_and_well(rows: float, interlace: int, bits: int, capfd) -> None:
    deep = bits // 8
    raw = (b"\0" + b"\x80" * 192 * deep) * 64
    whole = png((64, 64), raw, bits) if not interlace else adam7(bits)
    assert read_image(whole).pixels.min() > 0
    inside = zlib.decompress(whole[whole.index(b"IDAT") + 4 : -16])
    refused(png((64, 64), inside[: int(len(inside) * rows / 64)], bits, 2, interlace))
    more = png((64, 64), inside + b"\0" * 500, bits, 2, interlace)  # more than enough is no fault
    assert np.array_equal(read_image(more).pixels, read_image(whole).pixels)
    trailing = whole.replace(chunk(b"IEND", b""), chunk(b"IDAT", b"more") + chunk(b"IEND", b""))
    assert np.array_equal(read_image(trailing).pixels, read_image(whole).pixels)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("colour", [0, 3])
def test_png_of_few_bits_whose_stream_ends_early_and_well(colour: int, bits: int) -> None:
    """Also by palette, where what is missing is not black."""
    palette = (chunk(b"PLTE", bytes(range(60, 66))),) if colour == 3 else ()
    whole = (b"\0" + b"\x01" * (8 * bits)) * 40
    assert read_image(png((64, 40), whole, bits, colour, 0, *palette)).height == 40
    for rows in (1, 20, 39):
        refused(png((64, 40), whole[: len(whole) * rows // 40], bits, colour, 0, *palette))
    blank = png((64, 40), (b"\0" + bytes(8 * bits)) * 40, bits, colour, 0, *palette)
    assert read_image(blank).pixels[0, 0].tolist() == ([60, 61, 62] if colour == 3 else [0, 0, 0])


def adam7(bits: int) -> bytes:
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    raw = b""
    for x, y, across, down in passes:
        width, height = (64 - x + across - 1) // across, (64 - y + down - 1) // down
        raw += (b"\0" + b"\x80" * (width * 3 * bits // 8)) * height
    return png((64, 64), raw, bits, 2, 1)


def test_pictures_that_are_black_are_whole() -> None:
    for bits in (8, 16):
        assert read_image(png((64, 64), bytes(64 * (1 + 24 * bits)), bits)).pixels.max() == 0
    assert read_image(saved(Pillow.new("1", (30, 20)), "PNG")).pixels.max() == 0
    assert read_image(saved(Pillow.new("RGBA", (30, 20)), "PNG")).alpha.max() == 0
    for grey in (127, 128, 129):  # what libjpeg puts where something is missing
        for mode in ("L", "RGB", "CMYK"):
            for options in ({}, {"progressive": True}):
                read_image(saved(Pillow.new("L", (50, 40), grey).convert(mode), "JPEG", **options))
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits", None):
        assert read_image(saved(Pillow.new("RGB", (33, 20)), "TIFF", compression=compression)).pixels.max() == 0


TIFFS = {
    "bytes": lambda: tiff(RGB, rowsperstrip=16),
    "bytes, deflate": lambda: tiff(RGB, rowsperstrip=16, compression="zlib"),
    "16 bits": lambda: tiff(DEEP, rowsperstrip=16),
    "16 bits, deflate": lambda: tiff(DEEP, rowsperstrip=16, compression="zlib", predictor=2),
    "float": lambda: tiff(RGB.astype(np.float32) / 255, rowsperstrip=16),
    "float, deflate": lambda: encode_image(RGB.astype(np.float32) / 255, None, "tiff", bit_depth=32),
    "tiles": lambda: tiff(DEEP, tile=(16, 16)),
    "planes": lambda: tiff(np.ascontiguousarray(np.moveaxis(DEEP, -1, 0)), planarconfig="separate", rowsperstrip=16),
    "lzw": lambda: saved(Pillow.fromarray(RGB), "TIFF", compression="tiff_lzw", tiffinfo={278: 16}),
    "lzw, odd": lambda: saved(Pillow.fromarray(RGB[:, :47]), "TIFF", compression="tiff_lzw", tiffinfo={278: 16}),
    "lzw, 16 bits": lambda: cv2.imencode(".tif", DEEP, [cv2.IMWRITE_TIFF_COMPRESSION, 5])[1].tobytes(),
    "packbits": lambda: saved(Pillow.fromarray(RGB[:, :47]), "TIFF", compression="packbits", tiffinfo={278: 16}),
    "one strip": lambda: saved(Pillow.fromarray(RGB), "TIFF", compression="tiff_adobe_deflate", tiffinfo={278: 9999}),
    "lzma": lambda: saved(Pillow.fromarray(RGB), "TIFF", compression="lzma", tiffinfo={278: 9999}),
    "zstd": lambda: saved(Pillow.fromarray(RGB), "TIFF", compression="zstd", tiffinfo={278: 9999}),
    "jpeg": lambda: saved(Pillow.fromarray(SMOOTH), "TIFF", compression="jpeg"),
    "palette": lambda: saved(Pillow.fromarray(RGB).quantize(60), "TIFF"),
    "cmyk": lambda: saved(Pillow.fromarray(RGB).convert("CMYK"), "TIFF", compression="tiff_lzw"),
}


@pytest.mark.parametrize("kind", TIFFS)
def test_tiff_that_says_it_is_higher_than_its_strips(kind: str, capfd) -> None:
    data = TIFFS[kind]()
    assert read_image(data).height == 64
    for height in (65, 80, 256):
        refused(taller(data, height))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", [kind for kind in TIFFS if kind not in ("jpeg",)])
def test_tiff_with_a_short_strip(kind: str, capfd) -> None:
    """The last strip or tile is said to be 4 bytes, and of those that are not compressed one byte less."""
    data = TIFFS[kind]()
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages.first
        tag = page.tags.get(279) or page.tags[325]
        size = 2 if tag.dtype == 3 else 4
        place, last = tag.valueoffset + (tag.count - 1) * size, page.databytecounts[-1]
        plain = int(page.compression) == 1
    for count in (4, last // 2, *((last - 1,) if plain else ())):
        out = bytearray(data)
        out[place : place + size] = count.to_bytes(size, "little")
        refused(bytes(out))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"restart_marker_blocks": 3}, {"subsampling": 0}], ids=str
)
def test_jpeg_that_ends_early_with_its_marker(options: dict[str, object], capfd) -> None:
    data = saved(Pillow.fromarray(SMOOTH), "JPEG", quality=95, **options)
    scan = data.index(b"\xff\xda") + 14
    first_end = data.index(b"\xff\xc4", scan) if "progressive" in options else len(data) - 2
    for share in (0.0, 0.3, 0.6, 0.9):
        refused(data[: scan + int((first_end - scan) * share)] + b"\xff\xd9")
    taller_ = bytearray(data)
    frame = data.index(b"\xff\xc2" if "progressive" in options else b"\xff\xc0")
    struct.pack_into(">H", taller_, frame + 5, 200)
    refused(bytes(taller_))
    if "progressive" in options:  # in a later scan, and between scans, which a file may end with
        refused(data[: (first_end + len(data)) // 2] + b"\xff\xd9")
        scans = data[: data.index(b"\xff\xc4", first_end + 4)]
        assert "fine detail may be" in read_image(scans + b"\xff\xd9").warnings[0]
    assert capfd.readouterr() == ("", "")


def test_gif_that_ends_early_and_well() -> None:
    """Its codes end by the book, after some of the rows; interlaced ones too."""
    picture = Pillow.fromarray(RGB).quantize(200)
    for interlace in (0, 1):
        whole = saved(picture, "GIF", interlace=interlace)
        start = whole.index(b"\x2c", 13 + 768) + 11
        fewer = saved(picture.crop((0, 0, 48, 40)), "GIF", interlace=0)
        body = fewer[fewer.index(b"\x2c", 13 + 768) + 11 :]
        refused(whole[:start] + body)


def test_files_cut_short() -> None:
    picture = Pillow.fromarray(RGB)
    for format in ("BMP", "WEBP", "GIF", "AVIF", "PNG", "TIFF"):
        data = saved(picture, format)
        for length in (len(data) // 2, len(data) - (13 if format == "PNG" else 9)):
            refused(data[:length])


def test_a_png_file_without_its_end_is_read_where_all_pixels_are_there() -> None:
    for picture in (
        Pillow.fromarray(RGB),
        Pillow.fromarray(RGB).convert("P"),
        Pillow.fromarray(RGB[..., 0] * np.uint16(257)),
    ):
        data = saved(picture, "PNG")
        whole = read_image(data)
        for cut in range(1, 13):
            found = read_image(data[:-cut])
            assert np.array_equal(found.rgb, whole.rgb)
            assert found.warnings == ("The picture: its end is missing, but all of its pixels are there.",)
        text = chunk(b"tEXt", b"Comment\0" + bytes(99))
        found = read_image(data[:-12] + text[:50])
        assert np.array_equal(found.rgb, whole.rgb)
        for cut in (13, 14, 20, 40):
            refused(data[:-cut])
    header, *_ = saved(Pillow.fromarray(RGB), "PNG").partition(b"IDAT")
    refused(header[:-4])
    split = png((4, 2), bytes(26), 8, 2).partition(b"IDAT")
    raw = zlib.compress(bytes(26))
    refused(split[0][:-4] + chunk(b"IDAT", raw[:-1]))


# -- memory and time ---------------------------------------------------------------------------------------


def test_png_of_a_few_bytes_and_289_million_pixels() -> None:
    for bits, colour in ((8, 0), (16, 2), (1, 0)):
        refused(png((17000, 17000), bytes(17001), bits, colour))


def test_a_directory_that_comes_back_to_itself() -> None:
    tags = {256: 8, 257: 8, 258: 8, 259: 1, 262: 2, 273: 8, 277: 3, 278: 8, 279: 192}
    image = read_image(by_hand(tags, bytes(range(192)), following=200))
    assert (image.width, image.height, image.warnings) == (8, 8, ())
    two = by_hand(tags, bytes(range(192)), following=200 + 2 + 12 * 9 + 4)
    two += struct.pack("<HI", 0, 200)  # a second directory, empty, that leads back to the first
    assert "2 pages" in read_image(two).warnings[0]


def test_pages_are_counted_to_a_thousand() -> None:
    one = tiff(RGB[:4, :4])
    many = bytearray(one)
    (place,) = struct.unpack_from("<I", one, 4)
    (count,) = struct.unpack_from("<H", one, place)
    entry = place + 2 + 12 * count
    for _ in range(60000):
        struct.pack_into("<I", many, entry, len(many))
        entry = len(many) + 2
        many += struct.pack("<HI", 0, 0)
    assert read_image(bytes(many)).warnings == ("The picture: it has at least 1000 pages; only the first is used.",)


def test_frames_of_gif_are_counted_to_a_thousand() -> None:
    frame = b"\x2c" + struct.pack("<4HB", 0, 0, 1, 1, 0) + b"\2\2\x4c\1\0"
    data = saved(Pillow.new("P", (1, 1)), "GIF")[:-1]
    assert "3 frames" in read_image(data + frame * 2 + b";").warnings[0]
    assert "at least 1000 frames" in read_image(data + frame * 5000 + b";").warnings[0]


def test_many_scans() -> None:
    data = saved(Pillow.fromarray(SMOOTH), "JPEG", progressive=True)
    scan = data.rindex(b"\xff\xda")
    read_image(data[:-2] + data[scan:-2] * 5 + data[-2:])
    refused(data[:-2] + data[scan:-2] * 2000 + data[-2:], "has more than 100 scans")


def test_jpeg_that_says_more_than_its_bytes_can_be() -> None:
    data = bytearray(saved(Pillow.fromarray(SMOOTH), "JPEG"))
    struct.pack_into(">HH", data, data.index(b"\xff\xc0") + 5, 17000, 17000)
    refused(bytes(data))


def test_run_lengths_of_a_very_wide_bmp() -> None:
    head = struct.pack("<2sIHHI", b"BM", 1084, 0, 0, 1078)
    info = struct.pack("<IiiHHIIiiII", 40, 20_000_000, 1, 1, 8, 1, 6, 0, 0, 256, 0)
    refused(head + info + bytes(1024) + b"\1\0\0\0\0\1", "20000000 × 1, but its 1,084 bytes hold no picture")


def lossless_webp(width: int, height: int) -> bytes:
    """A canvas of one colour, which WebP holds in a few bytes, made larger."""
    small = saved(Pillow.new("RGB", (1, 1), (1, 2, 3)), "WEBP", lossless=True)
    out = bytearray(small)
    (bits,) = struct.unpack_from("<I", out, 21)
    struct.pack_into("<I", out, 21, bits & ~0xFFFFFFF | (width - 1) | (height - 1) << 14)
    return bytes(out)


def test_kinds_that_compress_without_bound() -> None:
    refused(lossless_webp(16000, 16000), "16000 × 16000, but its")
    gif = bytearray(saved(Pillow.new("P", (10, 10)), "GIF"))
    struct.pack_into("<HH", gif, 6, 20000, 10000)
    refused(bytes(gif), "20000 × 10000, but its")
    check_delivered(2000, 2000, 10, "x")  # small ones may be anything
    check_delivered(20000, 10000, 1 << 16, "x")
    with pytest.raises(InputError, match="x says that it is"):
        check_delivered(20000, 10000, 1 << 15, "x")


BOMBS = {
    "strip": lambda: by_hand(
        {256: 100, 257: 100, 258: 16, 259: 8, 262: 2, 273: 8, 277: 3, 278: 100, 279: len(zeros())}, zeros()
    ),
    "lzma strip": lambda: by_hand(
        {256: 100, 257: 100, 258: 8, 259: 34925, 262: 1, 273: 8, 277: 1, 278: 100, 279: len(xz())}, xz()
    ),
    "profile": lambda: png((64, 64), ROW * 64, 8, 2, 0, chunk(b"iCCP", b"p\0\0" + zeros())),
    "text": lambda: png((64, 64), ROW * 64, 8, 2, 0, chunk(b"zTXt", b"p\0\0" + zeros())),
    "pixels": lambda: png((64, 64), ROW * 64).replace(
        chunk(b"IDAT", zlib.compress(ROW * 64, 9)), chunk(b"IDAT", zeros(ROW * 64))
    ),
    "channels": lambda: by_hand(
        {256: 17000, 257: 17000, 258: 16, 259: 1, 262: 1, 273: 8, 277: 60000, 278: 17000, 279: 4}, b"abcd"
    ),
    "tile": lambda: by_hand(
        {256: 9, 257: 9, 258: 8, 259: 8, 262: 1, 277: 1, 322: 1 << 16, 323: 1 << 16, 324: 8, 325: len(zeros())}, zeros()
    ),
}


@functools.cache
def zeros(start: bytes = b"") -> bytes:
    deflate, block = zlib.compressobj(1), bytes(1 << 20)
    return deflate.compress(start) + b"".join(deflate.compress(block) for _ in range(600)) + deflate.flush()


@functools.cache
def xz() -> bytes:
    packer, block = lzma.LZMACompressor(preset=0), bytes(1 << 20)
    return b"".join(packer.compress(block) for _ in range(600)) + packer.flush()


@pytest.mark.long
@pytest.mark.parametrize("kind", BOMBS)
def test_what_inflates_to_600_megabytes_takes_no_memory(kind: str, tmp_path: Path) -> None:
    """In a process that may not take 400 MB more than it has when it begins to read."""
    (tmp_path / "x").write_bytes(BOMBS[kind]())
    code = (
        "import resource, sys\n"
        "from gossamer.errors import InputError\n"
        "from gossamer.image import read_image\n"
        "import numpy as np, cv2, tifffile, PIL.Image\n"
        "read_image(np.zeros((4, 4, 3), np.uint8))\n"
        "now = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (now + 400_000_000,) * 2)\n"
        "try: print(read_image(sys.argv[1]).pixels.shape)\n"
        "except InputError as error: print(error)\n"
    )
    if not Path("/proc/self/statm").exists():
        pytest.skip("this system does not say how much memory a process has")
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "x")], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "memory" not in done.stdout
    assert done.stdout.startswith("(64, 64, 3)" if kind in ("profile", "text", "pixels") else ("(", str(tmp_path)))


def greedy_exif(length: int) -> bytes:
    """A block of which each of many tags claims nearly all."""
    count = min(4000, (length - 100) // 12)
    entries = b"".join(struct.pack("<HHII", 50000 + i, 7, length - 50, 8) for i in range(count))
    block = struct.pack("<2sHIH", b"II", 42, 8, count) + entries + bytes(4)
    return block.ljust(length, b"\0")


def test_exif_that_claims_far_more_than_there_is() -> None:
    """240 MB and more, of blocks of 60 to 200 KB: nothing is copied that is not asked for."""
    picture = Pillow.fromarray(SMOOTH)
    benign = struct.pack("<2sHIHHHIII", b"II", 42, 8, 1, 0x0128, 3, 1, 2, 0)
    avif = saved(picture, "AVIF", exif=benign.ljust(200_000, b"\0"))
    place = avif.index(benign)
    jpeg, webp = saved(picture, "JPEG"), saved(picture, "WEBP", exif=benign.ljust(200_000, b"\0"))
    exif = b"Exif\0\0" + greedy_exif(60_000)
    sources = {
        "JPEG": jpeg[:2] + b"\xff\xe1" + struct.pack(">H", 2 + len(exif)) + exif + jpeg[2:],
        "PNG": png((64, 64), ROW * 64, 8, 2, 0, chunk(b"eXIf", greedy_exif(200_000))),
        "WEBP": webp[: webp.index(benign)] + greedy_exif(200_000) + webp[webp.index(benign) + 200_000 :],
        "AVIF": avif[:place] + greedy_exif(200_000) + avif[place + 200_000 :],
        "TIFF": greedy_exif(200_000),
    }
    for kind, data in sources.items():
        tracemalloc.start()
        try:
            if kind in ("AVIF", "TIFF"):  # which decoders would read, so that they must not see it
                refused(data)
            else:
                assert read_image(data).warnings == ()
            assert tracemalloc.get_traced_memory()[1] < 20e6, kind
        finally:
            tracemalloc.stop()


def test_a_file_larger_than_any_picture_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.png"
    with path.open("wb") as file:
        file.write(saved(Pillow.fromarray(RGB), "PNG"))
        file.truncate(200_000_000)  # with a hole: it takes no room
    monkeypatch.setenv("GOSSAMER_MAX_PIXELS", "5000000")
    with pytest.raises(InputError, match="larger than any picture within the limit on pixels"):
        read_image(path)


def test_a_buffer_at_its_end_is_to_be_rewound() -> None:
    stream = io.BytesIO()
    Pillow.fromarray(RGB).save(stream, "PNG")
    with pytest.raises(InputError) as caught:
        read_image(stream)
    assert str(caught.value) == "The file image has been read to its end. Rewind it: file.seek(0)."
    stream.seek(0)
    assert np.array_equal(read_image(stream).pixels, RGB)


def test_what_libtiff_says_of_a_rare_kind_is_not_heard_and_counts(capfd: pytest.CaptureFixture[str]) -> None:
    """Several threads, of which each finds stderr where it was."""
    page = Pillow.fromarray(RGB[..., 0] > 128)
    whole = saved(page, "TIFF", compression="group3")
    place = whole.index(b"\0\x01") if b"\0\x01" in whole[8:200] else 40
    spoilt = [whole[:i] + b"\x03\x07\x0b" + whole[i + 3 :] for i in range(place, place + 60, 3)]
    packed = saved(Pillow.fromarray(RGB), "TIFF", compression="zstd")
    spoilt += [packed[:i] + b"\xff\xff" + packed[i + 2 :] for i in range(20, 400, 20)]

    def read(data: bytes) -> str:
        try:
            read_image(data)
        except InputError as error:
            return error.message
        return ""

    with ThreadPoolExecutor(4) as pool:
        said = set(pool.map(read, spoilt))
    assert said >= {"The picture is damaged or cut off and cannot be read."}
    os.write(2, b"heard\n")
    assert capfd.readouterr() == ("", "heard\n")


def test_a_file_that_was_read_in_part_is_to_be_rewound_and_a_closed_one_opened(tmp_path: Path) -> None:
    stream = io.BytesIO(saved(Pillow.fromarray(RGB), "PNG"))
    stream.read(100)
    with pytest.raises(InputError, match=r"at byte 100\. Rewind it: file\.seek\(0\)"):
        read_image(stream)
    stream.close()
    with (tmp_path / "out.png").open("wb") as writing:
        for source in (stream, writing):
            with pytest.raises(InputError, match=r"cannot be read .*Open it with open\(path, 'rb'\)"):
                read_image(source)


class Endless(io.RawIOBase):
    """A stream that begins as a picture does, and has no end."""

    def __init__(self, head: bytes) -> None:
        self._head, self.read_so_far = head, 0

    def read(self, size: int = -1) -> bytes:
        assert size >= 0, "all of it"
        data = self._head[self.read_so_far : self.read_so_far + size].ljust(size, b"\0")
        self.read_so_far += size
        return data


def test_a_stream_without_an_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    text = Endless(b"no picture")
    with pytest.raises(InputError, match="not a picture of a kind"):
        read_image(text)
    assert text.read_so_far <= 64
    monkeypatch.setenv("GOSSAMER_MAX_PIXELS", "1000")
    begun = Endless(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(InputError, match="larger than any picture"):
        read_image(begun)
    assert begun.read_so_far < 100 << 20
