"""Reading and writing pictures: every kind with known numbers, exactly."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pillow_heif
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image as Pillow
from PIL import ImageCms

from gossamer.errors import InputError
from gossamer.image import Image, encode_image, read_image

RNG = np.random.default_rng(7)
RGBA16 = RNG.integers(0, 65536, (19, 23, 4), dtype=np.uint16)
RGBA8 = (RGBA16 >> 8).astype(np.uint8)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def pillow_bytes(array: np.ndarray, format: str, **options: object) -> bytes:
    stream = io.BytesIO()
    (array if isinstance(array, Pillow.Image) else Pillow.fromarray(array)).save(stream, format, **options)
    return stream.getvalue()


def tiff_bytes(array: np.ndarray, **options: object) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, array, **options)
    return stream.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_bytes(array: np.ndarray, colour: int, *extra: bytes) -> bytes:
    """A PNG made by hand: 8 or 16 bits, chunks `extra` before the pixels."""
    height, width = array.shape[:2]
    big = array.astype(array.dtype.newbyteorder(">"))
    rows = b"".join(b"\0" + row.tobytes() for row in big)
    header = struct.pack(">IIBBBBB", width, height, 8 * array.itemsize, colour, 0, 0, 0)
    parts = (chunk(b"IHDR", header), *extra, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def same(image: Image, array: np.ndarray) -> bool:
    """Whether `image` holds exactly the integers of `array`, (H, W), (H, W, 2), (H, W, 3) or (H, W, 4)."""
    white = np.float32(np.iinfo(array.dtype).max)
    planes = array if array.ndim == 3 else array[..., None]
    colours = planes[..., :3] if planes.shape[2] >= 3 else np.repeat(planes[..., :1], 3, axis=2)
    alpha = planes[..., -1] if planes.shape[2] in (2, 4) else None
    assert image.rgb.dtype == np.float32
    assert image.rgb.flags.c_contiguous
    assert not image.rgb.flags.writeable
    assert (image.alpha is None) == (alpha is None)
    exact = np.array_equal(image.rgb, colours / white)
    return exact and (alpha is None or np.array_equal(image.alpha, alpha / white))


# -- eight bits ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("format", "channels", "options"),
    [
        ("PNG", 1, {}),
        ("PNG", 2, {}),
        ("PNG", 3, {}),
        ("PNG", 4, {}),
        ("BMP", 3, {}),
        ("WEBP", 3, {"lossless": True}),
        ("WEBP", 4, {"lossless": True, "exact": True}),
        ("TIFF", 1, {}),
        ("TIFF", 3, {"compression": "tiff_lzw"}),
        ("TIFF", 4, {"compression": "tiff_adobe_deflate"}),
        ("GIF", 1, {}),
    ],
)
def test_eight_bits_are_exact(tmp_path: Path, format: str, channels: int, options: dict[str, object]) -> None:
    array = RGBA8[..., 0] if channels == 1 else RGBA8[..., [0, 3]] if channels == 2 else RGBA8[..., :channels]
    path = tmp_path / f"a photo.{format.lower()}"
    path.write_bytes(pillow_bytes(array, format, **options))
    image = read_image(path)
    assert same(image, array)
    assert (image.bit_depth, image.name, image.warnings) == (8, "a photo", ())
    assert (image.height, image.width) == (19, 23)


def test_lossy_kinds_are_what_pillow_decodes() -> None:
    smooth = cv2.resize(RGBA8[:4, :4, :3], (64, 48))
    jpeg, avif, webp = (pillow_bytes(smooth, kind, quality=90) for kind in ("JPEG", "AVIF", "WEBP"))
    for data in (jpeg, avif, webp):
        assert same(read_image(data), np.asarray(Pillow.open(io.BytesIO(data))))
        assert np.abs(read_image(data).rgb * 255 - smooth).mean() < 6


def test_every_kind_of_source_gives_the_same_picture(tmp_path: Path) -> None:
    data = pillow_bytes(RGBA8, "PNG")
    path = tmp_path / "x.png"
    path.write_bytes(data)
    with path.open("rb") as file:
        sources = [str(path), path, data, bytearray(data), io.BytesIO(data), file, Pillow.open(path), RGBA8]
        images = [read_image(source) for source in sources]
    assert all(same(image, RGBA8) for image in images)
    assert [image.name for image in images] == ["x", "x", "image", "image", "image", "x", "x", "image"]
    assert read_image(images[0]) is images[0]


def test_palettes_and_transparent_colours() -> None:
    palette = Pillow.fromarray(np.array([[0, 1, 2]], np.uint8), "P")
    palette.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    colours = np.array([[[10, 20, 30], [40, 50, 60], [70, 80, 90]]], np.uint8)
    assert same(read_image(pillow_bytes(palette, "PNG")), colours)
    shades = np.array([[[0], [128], [255]]], np.uint8)
    with_alpha = pillow_bytes(palette, "PNG", transparency=bytes(shades.ravel()))
    assert same(read_image(with_alpha), np.dstack([colours, shades]))
    key = np.array([[[255], [0], [255]]], np.uint8)
    assert same(read_image(pillow_bytes(palette, "GIF", transparency=1)), np.dstack([colours, key]))

    grey = np.array([[7, 8, 9]], np.uint8)
    assert same(read_image(pillow_bytes(grey, "PNG", transparency=8)), np.dstack([grey, key[..., 0]]))
    assert same(read_image(pillow_bytes(colours, "PNG", transparency=(40, 50, 60))), np.dstack([colours, key]))
    one_bit = Pillow.fromarray(np.array([[0, 255, 0]], np.uint8)).convert("1")
    assert same(read_image(pillow_bytes(one_bit, "PNG")), np.array([[0, 255, 0]], np.uint8))
    assert same(read_image(one_bit), np.array([[0, 255, 0]], np.uint8))


# -- more than eight bits --------------------------------------------------------------------------------


@pytest.mark.parametrize(("colour", "channels"), [(0, 1), (4, 2), (2, 3), (6, 4)])
def test_sixteen_bit_png_is_exact(colour: int, channels: int) -> None:
    array = RGBA16[..., 0] if channels == 1 else RGBA16[..., :channels]
    icc = chunk(b"iCCP", b"p\0\0" + zlib.compress(SRGB))
    image = read_image(png_bytes(array, colour, icc if channels > 2 else b"", chunk(b"tEXt", b"a\0b")))
    assert same(image, array)
    assert image.bit_depth == 16
    assert image.icc_profile == (SRGB if channels > 2 else None)


def test_sixteen_bit_png_with_a_transparent_colour() -> None:
    rgb, grey = RGBA16[..., :3], RGBA16[..., 0]
    opaque = np.full(grey.shape, 65535, np.uint16)
    opaque[3, 4] = 0
    image = read_image(png_bytes(rgb, 2, chunk(b"tRNS", rgb[3, 4].astype(">u2").tobytes())))
    assert same(image, np.dstack([rgb, opaque]))
    once = np.arange(grey.size, dtype=np.uint16).reshape(grey.shape)
    image = read_image(png_bytes(once, 0, chunk(b"tRNS", struct.pack(">H", once[3, 4]))))
    assert same(image, np.dstack([once, opaque]))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"byteorder": ">"},
        {"compression": "zlib", "predictor": 2, "rowsperstrip": 5},
        {"tile": (16, 16), "compression": "zlib"},
        {"planarconfig": "separate"},
        {"planarconfig": "separate", "byteorder": ">", "compression": "zlib", "tile": (16, 16)},
        {"bigtiff": True},
    ],
    ids=str,
)
def test_sixteen_bit_tiff_is_exact(channels: int, options: dict[str, object]) -> None:
    array = RGBA16[..., 0] if channels == 1 else RGBA16[..., :channels]
    kind = {"photometric": "rgb" if channels > 2 else "minisblack", **options}
    if channels in (2, 4):
        kind["extrasamples"] = ["unassalpha"]
    if channels == 1:
        kind.pop("planarconfig", None)
    stored = np.moveaxis(array, -1, 0) if "planarconfig" in kind else array
    if channels == 2 and "planarconfig" not in kind:
        kind["planarconfig"] = "contig"
    image = read_image(tiff_bytes(stored, **kind))
    assert same(image, array)
    assert image.bit_depth == 16
    assert image.warnings == ()


@pytest.mark.parametrize("predictor", [1, 2])
def test_lzw_tiff_of_sixteen_bits(predictor: int) -> None:
    """What tifffile alone does not decode: interleaved, grey, and planes one after the other."""
    options = [cv2.IMWRITE_TIFF_COMPRESSION, 5, cv2.IMWRITE_TIFF_PREDICTOR, predictor]
    for order in ([2, 1, 0], [2, 1, 0, 3]):
        data = cv2.imencode(".tif", RGBA16[..., order], options)[1].tobytes()
        assert same(read_image(data), RGBA16[..., : len(order)])
    grey = pillow_bytes(RGBA16[..., 0], "TIFF", compression="tiff_lzw", tiffinfo={317: predictor})
    assert same(read_image(grey), RGBA16[..., 0])

    bodies = []
    for plane in range(3):
        one = np.ascontiguousarray(RGBA16[..., plane])
        data = pillow_bytes(one, "TIFF", compression="tiff_lzw", tiffinfo={317: predictor, 278: 19})
        with tifffile.TiffFile(io.BytesIO(data)) as tiff:
            page = tiff.pages.first
            bodies.append(data[page.dataoffsets[0] :][: page.databytecounts[0]])
    starts = [8, 8 + len(bodies[0]), 8 + len(bodies[0]) + len(bodies[1])]
    tags = {256: [23], 257: [19], 258: [16] * 3, 259: [5], 262: [2], 273: starts, 277: [3], 278: [19]}
    tags |= {279: [len(body) for body in bodies], 284: [2], 317: [predictor]}
    assert same(read_image(tiff_by_hand(tags, b"".join(bodies))), RGBA16[..., :3])


def tiff_by_hand(tags: dict[int, list[int]], body: bytes) -> bytes:
    ifd = 8 + len(body)
    entries, lists = b"", b""
    for code, values in tags.items():
        packed = struct.pack(f"<{len(values)}I", *values)
        if len(values) > 1:
            lists, packed = lists + packed, struct.pack("<I", ifd + 6 + 12 * len(tags) + len(lists))
        entries += struct.pack("<HHI", code, 4, len(values)) + packed
    return struct.pack("<2sHI", b"II", 42, ifd) + body + struct.pack("<H", len(tags)) + entries + bytes(4) + lists


def test_tiff_kinds_of_alpha_and_grey() -> None:
    straight = RGBA16.copy()
    straight[..., 3] |= 0x4000
    factor = straight[..., 3:] / 65535
    premultiplied = straight.copy()
    premultiplied[..., :3] = np.round(straight[..., :3] * factor)
    data = tiff_bytes(premultiplied, photometric="rgb", extrasamples=["assocalpha"])
    image = read_image(data)
    assert np.abs(image.rgb - straight[..., :3] / 65535).max() < 0.5 / 65535 / factor.min() * 1.01
    assert np.array_equal(image.alpha, straight[..., 3] / np.float32(65535))
    clear = tiff_bytes(np.zeros((2, 2, 4), np.uint16), photometric="rgb", extrasamples=["assocalpha"])
    assert np.array_equal(read_image(clear).rgb, np.zeros((2, 2, 3)))

    image = read_image(tiff_bytes(RGBA16, photometric="rgb", extrasamples=["unspecified"]))
    assert same(image, RGBA16[..., :3])
    assert "extra channels" in image.warnings[0]
    assert same(read_image(tiff_bytes(RGBA16[..., 0], photometric="miniswhite")), np.uint16(65535) - RGBA16[..., 0])
    assert same(read_image(Pillow.fromarray(RGBA16[..., 0])), RGBA16[..., 0])
    assert same(read_image(Pillow.fromarray(RGBA16[..., 0].astype(np.int32))), RGBA16[..., 0])


def test_float_tiff_is_exact() -> None:
    values = RNG.random((9, 11, 4), dtype=np.float32)
    data = encode_image(values[..., :3], values[..., 3], "tiff", bit_depth=32, dpi=(300, 150))
    image = read_image(data)
    assert np.array_equal(image.rgb, values[..., :3])
    assert np.array_equal(image.alpha, values[..., 3])
    assert (image.bit_depth, image.dpi, image.warnings) == (32, (300.0, 150.0), ())
    lzw = [cv2.IMWRITE_TIFF_COMPRESSION, 5, cv2.IMWRITE_TIFF_PREDICTOR, 3]
    image = read_image(cv2.imencode(".tif", values[..., 2::-1], lzw)[1].tobytes())
    assert np.array_equal(image.rgb, values[..., :3])
    half = values[..., :3].astype(np.float16)
    image = read_image(tiff_bytes(half, photometric="rgb"))
    assert np.array_equal(image.rgb, half.astype(np.float32))
    assert image.bit_depth == 16


def test_floats_outside_the_range_are_told() -> None:
    values = np.full((4, 5, 3), 0.5, np.float32)
    values[0, 0], values[1, 1], values[2, 2] = (-1, 2, np.inf), np.nan, -np.inf
    image = read_image(tiff_bytes(values, photometric="rgb"))
    assert image.rgb[0, 0].tolist() == [0, 1, 1]
    assert image.rgb[1, 1].tolist() == [0, 0, 0]
    assert image.rgb[2, 2].tolist() == [0, 0, 0]
    assert image.rgb[3].min() == image.rgb[3].max() == 0.5
    assert [w.split(": ")[1] for w in image.warnings] == [
        "3 values are not numbers (NaN) and are taken as 0.",
        "6 values lie outside 0 to 1 and are clipped.",
    ]


@pytest.mark.filterwarnings("error")
def test_signalling_nan_where_white_is_zero_is_told_by_us_alone() -> None:
    values = np.full((4, 5), 0.25, np.float32)
    values.view(np.uint32)[1, 1] = 0x7F800001  # to compute with it is "invalid", other than with a quiet one
    image = read_image(tiff_bytes(values, photometric="miniswhite"))
    assert image.rgb[0, 0].tolist() == [0.75] * 3
    assert image.rgb[1, 1].tolist() == [0, 0, 0]
    assert "values are not numbers (NaN) and are taken as 0." in image.warnings[0]


def test_heic_of_eight_and_ten_bits() -> None:
    flat = np.zeros((64, 48, 3), np.uint16)
    flat[:32], flat[32:] = (60000, 20000, 5000), (1000, 30000, 50000)
    ten = io.BytesIO()
    pillow_heif.encode("RGB;16", (48, 64), flat.tobytes(), ten, quality=-1, icc_profile=SRGB)
    image = read_image(ten.getvalue())
    assert (image.bit_depth, image.height, image.width, image.icc_profile) == (16, 64, 48, SRGB)
    assert np.abs(image.rgb - flat / 65535).max() < 2.5 / 1023
    eight = io.BytesIO()
    shade = np.full((64, 48, 1), 77, np.uint8)
    rgba = np.dstack([(flat >> 8).astype(np.uint8), shade])
    pillow_heif.encode("RGBA", (48, 64), rgba.tobytes(), eight, quality=-1)
    image = read_image(eight.getvalue())
    assert image.bit_depth == 8
    assert np.abs(image.rgb * 255 - rgba[..., :3]).max() < 3
    assert np.abs(image.alpha * 255 - 77).max() < 2


# -- arrays ----------------------------------------------------------------------------------------------


def test_arrays() -> None:
    assert same(read_image(RGBA16), RGBA16)
    assert same(read_image(RGBA16.astype(">u2")), RGBA16)
    assert same(read_image(RGBA8[..., 0]), RGBA8[..., 0])
    assert same(read_image(RGBA8[..., :1]), RGBA8[..., 0])
    assert same(read_image(RGBA8[::-1, ::2, :3]), RGBA8[::-1, ::2, :3])
    floats = RNG.random((5, 6, 3))
    own = floats.astype(np.float32)
    image = read_image(own)
    assert np.shares_memory(image.rgb, own)
    assert own.flags.writeable
    assert np.array_equal(read_image(floats).rgb, own)
    assert np.array_equal(read_image(own[..., 0]).rgb[..., 2], own[..., 0])
    for wrong in (np.nan, np.inf, -np.inf):
        with pytest.raises(InputError, match="not numbers"):
            read_image(np.where(own > 0.5, np.float32(wrong), own))


# -- orientation -----------------------------------------------------------------------------------------

# Which corner (a upper left, b upper right, c lower left, d lower right) the first and the second row of the
# file hold: the EXIF standard's table.
STORED = {1: "ab/cd", 2: "ba/dc", 3: "dc/ba", 4: "cd/ab", 5: "ac/bd", 6: "bd/ac", 7: "db/ca", 8: "ca/db"}
COLOURS = {"a": (250, 10, 20), "b": (20, 240, 30), "c": (10, 30, 230), "d": (240, 240, 40)}


def corners(orientation: int) -> np.ndarray:
    high, wide = (16, 24) if orientation < 5 else (24, 16)
    rows = [[np.full((high, wide, 3), COLOURS[x], np.uint8) for x in row] for row in STORED[orientation].split("/")]
    return np.vstack([np.hstack(row) for row in rows])


def oriented(kind: str, orientation: int) -> bytes:
    array = corners(orientation)
    exif = Pillow.Exif()
    exif[274] = orientation
    tag = [(274, "H", 1, orientation, True)]
    if kind == "tiff16":
        return tiff_bytes(array * np.uint16(257), photometric="rgb", extratags=tag)
    if kind == "png16":
        return png_bytes(array * np.uint16(257), 2, chunk(b"eXIf", exif.tobytes()[6:]))
    if kind == "TIFF":
        return pillow_bytes(array, kind, tiffinfo={274: orientation}, compression="tiff_lzw")
    if kind == "HEIF":
        stream, (height, width) = io.BytesIO(), array.shape[:2]
        pixels = array.tobytes()
        pillow_heif.encode("RGB", (width, height), pixels, stream, quality=-1, exif=exif.tobytes())
        return stream.getvalue()
    extra: dict[str, object] = {"AVIF": {"quality": 100}, "JPEG": {"quality": 95, "subsampling": 0}}.get(kind, {})
    return pillow_bytes(array, kind, exif=exif.tobytes(), **({"lossless": True} if kind == "WEBP" else extra))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "tiff16", "png16", "HEIF"])
def test_orientation_is_applied_once(kind: str, orientation: int) -> None:
    image = read_image(oriented(kind, orientation))
    assert (image.height, image.width) == (32, 48)
    found = [image.rgb[y, x] * 255 for y in (5, -6) for x in (5, -6)]
    assert np.abs(np.array(found) - [COLOURS[x] for x in "abcd"]).max() < 9


def test_orientation_turns_16_bit_lzw_and_pil_pictures() -> None:
    grey = np.arange(12, dtype=np.uint16).reshape(3, 4) * np.uint16(5000)
    for compression in ("tiff_lzw", None):
        data = pillow_bytes(grey, "TIFF", tiffinfo={274: 6}, compression=compression)
        assert same(read_image(data), np.rot90(grey, -1))
    image = read_image(Pillow.open(io.BytesIO(oriented("JPEG", 6))))
    assert (image.height, image.width) == (32, 48)


# -- round trips -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("format", "depth"), [("png", 8), ("png", 16), ("webp", 8), ("tiff", 8), ("tiff", 16)])
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_round_trip_is_exact_also_under_alpha_zero(format: str, depth: int, data: st.DataObject) -> None:
    kind = np.uint8 if depth == 8 else np.uint16
    array = data.draw(hnp.arrays(kind, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(4))))
    array[0, 0, 3] = 0
    image = read_image(array)
    assert same(read_image(encode_image(image.rgb, image.alpha, format, bit_depth=depth)), array)
    assert same(read_image(encode_image(image.rgb, None, format, bit_depth=depth)), array[..., :3])
    assert same(
        read_image(encode_image(None, image.alpha, format, bit_depth=depth)),
        array[..., 3] if format != "webp" else np.repeat(array[..., 3:], 3, axis=2),
    )
