"""Colours that are told by something other than an ICC profile, in every kind that can: kept or converted, and said."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pillow_heif
import pytest
import tifffile
from PIL import Image as Pillow
from PIL import ImageCms

from gossamer.image import Image, encode_image, read_image
from gossamer.image.colour import ADOBE_RGB, SRGB, Primaries, by_cicp, by_tables
from gossamer.image.profiles import icc_profile

COLOURS = np.array([[[200, 100, 50], [60, 120, 180], [128, 128, 128], [255, 255, 255], [0, 0, 0]]], np.uint8)
WIDE = np.repeat(np.repeat(COLOURS, 16, 0), 16, 1)  # blocks of 16 × 16, for the lossy kinds
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
# CSS Color 4's matrices to linear sRGB.
TO_SRGB = {
    "Display P3": [
        [1.2249401762805598, -0.22494017628055996, 0.0],
        [-0.042056954709688163, 1.0420569547096881, 0.0],
        [-0.019637554590334432, -0.078636045550631889, 1.0982736001409663],
    ],
    "Adobe RGB (1998)": [
        [1.3983557439607783, -0.3983557439607783, 0.0],
        [0.0, 1.0, 0.0],
        [0.0, -0.04292898929447326, 1.0429289892944733],
    ],
    "BT.2020": [
        [1.6604910021084345, -0.5876411387885495, -0.0728498633198846],
        [-0.1245504745215907, 1.1328998971259603, -0.0083494226043695],
        [-0.0181507633549053, -0.1005788980080075, 1.1187296613629127],
    ],
}


def light(number: np.ndarray) -> np.ndarray:
    return np.where(number <= 0.04045, number / 12.92, ((number + 0.055) / 1.055) ** 2.4)


def number(light: np.ndarray) -> np.ndarray:
    light = np.clip(light, 0, 1)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def as_srgb(image: Image) -> np.ndarray:
    """The picture's colours in sRGB, (H, W, 3) of 255, through its profile as any program would."""
    bytes_ = np.round(image.rgb * 255).astype(np.uint8)
    if image.icc_profile is None:
        return bytes_.astype(float)
    source = ImageCms.ImageCmsProfile(io.BytesIO(image.icc_profile))
    converted = ImageCms.profileToProfile(
        Pillow.fromarray(bytes_),
        source,
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=ImageCms.Flags.NOOPTIMIZE,
    )
    assert converted is not None
    return np.asarray(converted).astype(float)


def expected(pixels: np.ndarray, space: str) -> np.ndarray:
    value = pixels / 255
    linear = value ** (563 / 256) if space.startswith("Adobe") else light(value)
    return number(linear @ np.array(TO_SRGB[space]).T) * 255


def assert_kept(image: Image, space: str, pixels: np.ndarray, *, told: str, near: float = 0.0) -> None:
    """The numbers are the file's, a profile says what they are, and a note says so."""
    assert np.abs(image.rgb * 255 - pixels).max() <= near
    assert image.icc_profile is not None
    assert np.abs(as_srgb(image) - expected(np.round(image.rgb * 255), space)).max() < 1.1
    assert [line for line in image.warnings if f"{space} by {told}" in line and "kept" in line]


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(pixels: np.ndarray, *chunks: bytes, late: tuple[bytes, ...] = ()) -> bytes:
    height, width = pixels.shape[:2]
    bits, colour = 8 * pixels.itemsize, 2 if pixels.ndim == 3 else 0
    rows = b"".join(b"\0" + row.astype(pixels.dtype.newbyteorder(">")).tobytes() for row in pixels)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    parts = (header, *chunks, chunk(b"IDAT", zlib.compress(rows)), *late, chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def saved(format: str, **options: object) -> bytes:
    stream = io.BytesIO()
    Pillow.fromarray(WIDE).save(stream, format, **options)
    return stream.getvalue()


def adobe_exif(index: str | None = "R03", space: int = 65535) -> Pillow.Exif:
    exif = Pillow.Exif()
    exif[0x010F] = "Maker"  # Pillow writes none that has only what lies deeper
    inner = exif.get_ifd(0x8769)
    inner[0xA001] = space
    if index:
        inner[0xA005] = {1: index}
    return exif


def cicp(*values: int) -> bytes:
    return chunk(b"cICP", bytes(values))


ICCP = chunk(b"iCCP", b"p\0\0" + zlib.compress(PROFILE))
GAMMA = chunk(b"gAMA", struct.pack(">I", 45455))
ADOBE_CHRM = chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000))
SRGB_CHRM = chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000))

# -- EXIF ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("format", "options", "near"),
    [
        ("JPEG", {"quality": 100, "subsampling": 0}, 4),
        ("PNG", {}, 0),
        ("WEBP", {"lossless": True}, 0),
    ],
)
def test_adobe_rgb_by_exif(format: str, options: dict[str, object], near: float) -> None:
    data = saved(format, exif=adobe_exif().tobytes(), **options)
    told = "its EXIF"
    assert_kept(read_image(data), "Adobe RGB (1998)", WIDE, told=told, near=near)
    assert_kept(
        read_image(saved(format, exif=adobe_exif(None, 2).tobytes(), **options)),
        "Adobe RGB (1998)",
        WIDE,
        told=told,
        near=near,
    )
    with Pillow.open(io.BytesIO(data)) as picture:
        assert_kept(read_image(picture), "Adobe RGB (1998)", WIDE, told="its EXIF", near=near)
    profiled = read_image(saved(format, exif=adobe_exif(), icc_profile=PROFILE, **options))
    assert (profiled.icc_profile, profiled.warnings) == (PROFILE, ())
    plain = read_image(saved(format, exif=adobe_exif(None, 1), **options))
    assert (plain.icc_profile, plain.warnings) == (None, ())


def test_uncalibrated_without_more_goes_by_the_name_or_is_said(tmp_path) -> None:
    data = saved("JPEG", exif=adobe_exif(None), quality=100, subsampling=0)
    image = read_image(data)
    assert image.icc_profile is None
    assert image.warnings == (
        "The picture: its EXIF says that its colours are not sRGB, but not which; they are taken as sRGB.",
    )
    path = tmp_path / "_DSC1234.JPG"  # the DCF standard's way to name Adobe RGB
    path.write_bytes(data)
    assert_kept(read_image(path), "Adobe RGB (1998)", WIDE, told="its name and its EXIF", near=4)


def test_exif_with_primaries_and_gamma() -> None:
    exif = adobe_exif(None)
    exif[0x013E], exif[0x013F] = (0.3127, 0.329), (0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
    exif.get_ifd(0x8769)[0xA500] = 2.2
    assert_kept(read_image(saved("PNG", exif=exif)), "Adobe RGB (1998)", WIDE, told="its EXIF")


@pytest.mark.parametrize("attribute", [b'photoshop:ICCProfile="Display P3"', b"<photoshop:ICCProfile>Display P3<"])
def test_the_name_of_a_profile_in_xmp(attribute: bytes) -> None:
    assert_kept(read_image(saved("WEBP", lossless=True, xmp=attribute)), "Display P3", WIDE, told="its XMP")
    other = read_image(saved("WEBP", lossless=True, xmp=attribute.replace(b"Display P3", b"ProPhoto RGB")))
    assert other.icc_profile is None
    assert "its XMP says that its colours are 'ProPhoto RGB'" in other.warnings[0]


# -- PNG ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [8, 16])
def test_png_chunks(bits: int) -> None:
    pixels = COLOURS if bits == 8 else COLOURS * np.uint16(257)
    p3 = read_image(png(pixels, cicp(12, 13, 0, 1)))
    assert_kept(p3, "Display P3", COLOURS, told="its cICP chunk", near=1e-4)
    adobe = read_image(png(pixels, GAMMA, ADOBE_CHRM))
    assert_kept(adobe, "Adobe RGB (1998)", COLOURS, told="its gAMA and cHRM chunks", near=1e-4)
    for told in ((GAMMA,), (GAMMA, SRGB_CHRM), (chunk(b"sRGB", b"\0"),), (cicp(1, 13, 0, 1),), (cicp(2, 2, 0, 1),)):
        image = read_image(png(pixels, *told))
        assert (image.icc_profile, image.warnings) == (None, ())
        assert np.abs(image.rgb * 255 - COLOURS).max() < 1e-4
    gamma18 = read_image(png(pixels, chunk(b"gAMA", struct.pack(">I", 55556))))
    assert np.abs(as_srgb(gamma18) - number((COLOURS / 255) ** 1.8) * 255).max() < 1.5
    assert "gamma 1.8 by its gAMA chunk; they" in gamma18.warnings[0]
    corners = read_image(png(pixels, ADOBE_CHRM))
    assert "by its cHRM chunk; they" in corners.warnings[0]
    grey = read_image(png(pixels[..., 0], chunk(b"gAMA", struct.pack(">I", 55556)), ADOBE_CHRM))
    assert "gamma 1.8 by its gAMA chunk; they" in grey.warnings[0]
    assert not read_image(png(pixels[..., 0], ADOBE_CHRM)).warnings
    with Pillow.open(io.BytesIO(png(COLOURS, chunk(b"gAMA", struct.pack(">I", 55556))))) as opened:
        assert "gamma 1.8 by its gAMA chunk; they" in read_image(opened).warnings[0]


def test_png_linear_light_becomes_srgb() -> None:
    pixels = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    image = read_image(png(pixels, chunk(b"gAMA", struct.pack(">I", 100000))))
    assert image.icc_profile is None
    assert np.abs(image.rgb[..., 1] - number(pixels / 65535)).max() < 1e-6
    assert "in linear light by its gAMA chunk; they are brought to the curve of sRGB" in image.warnings[0]
    image = read_image(png(COLOURS, cicp(12, 8, 0, 1)))  # the primaries stay, with a profile
    linear = (COLOURS / 255) @ np.array(TO_SRGB["Display P3"]).T
    assert np.abs(as_srgb(image) - number(linear) * 255).max() < 1.6


def test_the_order_in_which_png_chunks_count() -> None:
    """PNG, third edition: cICP, then iCCP, then sRGB, then gAMA and cHRM; EXIF after all of them."""
    srgb, exif = chunk(b"sRGB", b"\0"), chunk(b"eXIf", adobe_exif().tobytes()[6:])
    everything = (ICCP, srgb, GAMMA, ADOBE_CHRM, exif)
    assert_kept(read_image(png(COLOURS, cicp(12, 13, 0, 1), *everything)), "Display P3", COLOURS, told="its cICP chunk")
    assert read_image(png(COLOURS, *everything)).icc_profile == PROFILE
    chunked = read_image(png(COLOURS, *everything[1:]))
    assert chunked.icc_profile is None
    assert "Adobe RGB (1998) by its EXIF, but its sRGB chunk says sRGB, which counts" in chunked.warnings[0]
    assert "gAMA" in read_image(png(COLOURS, *everything[2:])).warnings[0]
    assert "EXIF" in read_image(png(COLOURS, exif)).warnings[0]
    assert "EXIF" in read_image(png(COLOURS, late=(exif,))).warnings[0]


@pytest.mark.parametrize(
    ("told", "what"),
    [
        (cicp(77, 13, 0, 1), "cICP chunk names no colour space"),
        (cicp(9, 16, 9, 1), "cICP chunk names no colour space"),
        (cicp(1), "cICP chunk is damaged"),
        (chunk(b"gAMA", bytes(4)), "its gAMA chunk names no colour space and is left out"),
        (chunk(b"cHRM", struct.pack(">8I", *([33000] * 8))), "its cHRM chunk names no colour space and is left out"),
        (
            chunk(b"gAMA", bytes(4)) + SRGB_CHRM,
            "its gAMA and cHRM chunks name no colour space and are left out",
        ),
        (chunk(b"iCCP", b"p\0\0" + zlib.compress(PROFILE)[:-9]), "iCCP chunk is damaged"),
        (ICCP[:-1] + b"\0", "iCCP chunk is damaged"),
    ],
    ids=["reserved", "not RGB", "short", "zero", "no triangle", "zero of two", "cut", "checksum"],
)
def test_png_chunks_that_make_no_sense_are_said(told: bytes, what: str) -> None:
    image = read_image(png(COLOURS, told))
    assert image.icc_profile is None
    assert len(image.warnings) == 1
    assert what in image.warnings[0]
    assert np.array_equal(image.pixels, COLOURS)


def test_png_of_video_range() -> None:
    ramp = np.arange(16, 236, dtype=np.uint8).reshape(11, 20)
    for pixels in (ramp, ramp * np.uint16(256)):
        image = read_image(png(pixels, cicp(1, 13, 0, 0)))
        assert np.abs(image.rgb[..., 0] - (ramp - 16.0) / 219).max() < 1e-6
        assert "video's range" in image.warnings[0]


def test_pil_pictures_carry_their_png_chunks() -> None:
    with Pillow.open(io.BytesIO(png(COLOURS, GAMMA, ADOBE_CHRM))) as picture:
        assert_kept(read_image(picture), "Adobe RGB (1998)", COLOURS, told="its gAMA and cHRM chunks")
    with Pillow.open(io.BytesIO(png(COLOURS, chunk(b"sRGB", b"\0"), ADOBE_CHRM))) as picture:
        assert read_image(picture).warnings == ()


# -- HDR ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("transfer", "code", "share"),
    [
        (16, 0.58068888, 1.0),  # PQ of 203 cd/m²: white
        (16, 0.50807842, 100 / 203),
        (16, 0.14994573, 1 / 203),
        (18, 0.75, 1.0),  # HLG's reference white
        (18, 0.5, 1000 * (1 / 12) ** 1.2 / 203),
    ],
)
def test_hdr_within_white_is_exact(transfer: int, code: float, share: float) -> None:
    """ITU-R BT.2408: paper white is 203 cd/m², in PQ 58 % and in HLG 75 %."""
    pixels = np.full((3, 4, 3), round(code * 65535), np.uint16)
    image = read_image(png(pixels, cicp(1, transfer, 0, 1)))
    assert image.icc_profile is None
    assert np.abs(image.rgb - number(np.array(share))).max() < 2e-3
    assert "(HDR); its brightness is mapped" in image.warnings[0]


def test_highlights_are_bent_and_the_rest_is_left_alone() -> None:
    """BT.2390: at 1000 cd/m² of peak, what is below about 90 cd/m² stays, all above rises, and the peak is white."""
    codes = np.linspace(0, 0.7518271, 400)
    pixels = np.round(codes * 65535).astype(np.uint16)[None]
    image = read_image(png(pixels, cicp(1, 16, 0, 1)))
    root = codes ** (1 / 78.84375)
    nits = 10000 * (np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125)
    shown = image.rgb[0, :, 0]
    dim = nits < 90
    assert np.abs(shown[dim] - number(nits[dim] / 203)).max() < 1e-3
    assert (np.diff(shown) >= 0).all()
    assert (shown <= number(nits / 203) + 1e-3).all()
    assert shown[-1] == pytest.approx(1, abs=1e-3)


def test_hdr_keeps_hues_and_its_primaries() -> None:
    pixels = np.round(np.array([[[0.70, 0.60, 0.50], [0.3, 0.3, 0.3]]]) * 65535).astype(np.uint16)
    image = read_image(png(pixels, cicp(9, 16, 0, 1)))
    assert image.icc_profile is not None
    made = ImageCms.ImageCmsProfile(io.BytesIO(image.icc_profile))
    assert ImageCms.getProfileDescription(made).startswith("BT.2020 with sRGB's curve")
    shown = np.round(image.rgb[:, 1:] * 255)
    assert np.abs(as_srgb(image)[:, 1:] - expected(shown, "BT.2020")).max() < 1.1
    before = nits(np.array([0.70, 0.60, 0.50]))
    after = light(image.rgb[0, 0].astype(float))
    assert np.abs(after / after.max() - before / before.max()).max() < 2e-3


def nits(code: np.ndarray) -> np.ndarray:
    root = code ** (1 / 78.84375)
    return 10000 * ((root - 0.8359375) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125)


# -- AVIF and HEIC -----------------------------------------------------------------------------------------


def with_nclx(data: bytes, primaries: int, transfer: int) -> bytes:
    at = data.index(b"colrnclx") + 8
    return data[:at] + struct.pack(">HH", primaries, transfer) + data[at + 4 :]


def heic(bits: int = 8, **options: object) -> bytes:
    stream = io.BytesIO()
    pixels, mode = (WIDE, "RGB") if bits == 8 else (WIDE * np.uint16(257), "RGB;16")
    pillow_heif.encode(mode, (WIDE.shape[1], WIDE.shape[0]), pixels.tobytes(), stream, quality=-1, **options)
    return stream.getvalue()


def test_numbers_of_avif() -> None:
    data = saved("AVIF", quality=100, subsampling="4:4:4")
    assert_kept(read_image(with_nclx(data, 12, 13)), "Display P3", WIDE, told="its nclx box", near=6)
    hdr = read_image(with_nclx(data, 9, 16))
    assert hdr.icc_profile is not None
    assert "BT.2020 PQ by its nclx box (HDR)" in hdr.warnings[0]
    assert "BT.2020 HLG" in read_image(with_nclx(data, 9, 18)).warnings[0]
    for plain in ((1, 13), (2, 2), (1, 1), (1, 6)):
        image = read_image(with_nclx(data, *plain))
        assert (image.icc_profile, image.warnings) == (None, ())
    assert "name no colour space" in read_image(with_nclx(data, 200, 13)).warnings[0]
    assert read_image(saved("AVIF", quality=100, icc_profile=PROFILE)).icc_profile == PROFILE


def test_adobe_rgb_by_exif_in_avif_and_heic() -> None:
    block = adobe_exif().tobytes()
    for data, near in ((saved("AVIF", quality=100, subsampling="4:4:4", exif=block), 6), (heic(exif=block), 8)):
        said = read_image(with_nclx(data, 1, 13))  # as Pillow and avifenc write of their own accord
        assert said.icc_profile is None
        assert said.warnings == (
            "The picture: its colours are Adobe RGB (1998) by its EXIF, but its nclx box says sRGB, which counts.",
        )
        unsaid = read_image(with_nclx(data, 2, 2))
        assert_kept(unsaid, "Adobe RGB (1998)", WIDE, told="its EXIF", near=near)
        assert_kept(read_image(with_nclx(data, 12, 13)), "Display P3", WIDE, told="its nclx box", near=near)


@pytest.mark.parametrize("bits", [8, 10])
def test_numbers_of_heic(bits: int) -> None:
    data = heic(bits, color_primaries=12, transfer_characteristics=13)
    assert_kept(read_image(data), "Display P3", WIDE, told="its nclx box", near=8)
    hdr = read_image(heic(bits, color_primaries=9, transfer_characteristics=16))
    assert "BT.2020 PQ by its nclx box (HDR)" in hdr.warnings[0]
    plain = read_image(heic(bits, color_primaries=1, transfer_characteristics=13))
    assert (plain.icc_profile, plain.warnings) == (None, ())


def test_a_profile_counts_more_than_numbers() -> None:
    """Where a file of either kind has both."""
    data = heic(8, color_primaries=12, transfer_characteristics=13, icc_profile=PROFILE)
    assert read_image(data).icc_profile == PROFILE


def test_resolution_is_kept_by_every_kind_that_has_one() -> None:
    exif = Pillow.Exif()
    exif[0x011A], exif[0x011B], exif[0x0128] = 300.0, 150.0, 2
    block = exif.tobytes()
    for data in (
        heic(exif=block),
        saved("WEBP", exif=block),
        saved("AVIF", exif=block),
        saved("PNG", exif=block),
        saved("JPEG", exif=block),
        saved("TIFF", dpi=(300, 150)),
        saved("PNG", dpi=(300, 150)),
        saved("JPEG", dpi=(300, 150)),
    ):
        assert read_image(data).dpi == pytest.approx((300, 150), abs=0.02)
    exif[0x0128] = 3  # dots per centimetre
    assert read_image(heic(exif=exif.tobytes())).dpi == pytest.approx((762, 381))
    exif[0x0112] = 6  # turned: so is the resolution
    assert read_image(saved("WEBP", exif=exif.tobytes())).dpi == pytest.approx((381, 762))
    assert read_image(heic(exif=exif.tobytes())).dpi == pytest.approx((381, 762))


# -- TIFF and BMP ------------------------------------------------------------------------------------------

RATIONALS = {
    318: [(3127, 10000), (3290, 10000)],
    319: [(680, 1000), (320, 1000), (265, 1000), (690, 1000), (150, 1000), (60, 1000)],
}


def tiff(pixels: np.ndarray, tables: np.ndarray | None = None, *tags: int) -> bytes:
    extra = [(code, "2I", len(RATIONALS[code]), [v for pair in RATIONALS[code] for v in pair], True) for code in tags]
    if tables is not None:
        extra.append((301, "H", tables.size, tables.astype(np.uint16).tobytes(), True))
    stream = io.BytesIO()
    tifffile.imwrite(stream, pixels, photometric="rgb", extratags=extra)
    return stream.getvalue()


@pytest.mark.parametrize("bits", [8, 16])
def test_tags_of_tiff(bits: int) -> None:
    pixels = COLOURS if bits == 8 else COLOURS * np.uint16(257)
    assert_kept(read_image(tiff(pixels, None, 318, 319)), "Display P3", COLOURS, told="its tags", near=1e-4)

    ramp = np.linspace(0, 1, 1 << bits)
    image = read_image(tiff(pixels, 65535 * ramp**1.5))
    assert np.abs(as_srgb(image) - number((COLOURS / 255) ** 1.5) * 255).max() < 1.6
    assert "a curve of its own by its tags" in image.warnings[0]
    image = read_image(tiff(pixels, np.concatenate([65535 * ramp] * 3)))
    assert image.icc_profile is None
    assert np.abs(image.rgb - number(COLOURS / 255)).max() < 1e-5
    image = read_image(tiff(pixels, 65535 * light(ramp)))
    assert (image.icc_profile, image.warnings) == (None, ())


@pytest.mark.parametrize("bits", [8, 16])
def test_exif_in_tiff(bits: int) -> None:
    pixels = COLOURS if bits == 8 else COLOURS * np.uint16(257)
    stream = io.BytesIO()
    tifffile.imwrite(stream, pixels, photometric="rgb", byteorder="<", extratags=[(34664, "I", 1, 0, True)])
    data = bytearray(stream.getvalue() + bytes(stream.tell() % 2))
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as file:
        tag = file.pages.first.tags[34664]  # the writer refuses the number of this tag's neighbour, which is EXIF's
        struct.pack_into("<H", data, tag.offset, 34665)
        struct.pack_into("<I", data, tag.valueoffset, len(data))
    place = len(data) + 2 + 2 * 12 + 4
    data += struct.pack("<HHHIIHHIII", 2, 0xA001, 3, 1, 65535, 0xA005, 4, 1, place, 0)
    data += struct.pack("<HHHI4sI", 1, 1, 2, 4, b"R03\0", 0)
    assert_kept(read_image(bytes(data)), "Adobe RGB (1998)", COLOURS, told="its EXIF", near=1e-4)


def bmp(info: bytes, more: bytes = b"") -> bytes:
    """Version 4 or 5 of the header, after its first 40 bytes and its masks."""
    rows = b"".join(row.tobytes() + bytes(-row.size % 4) for row in COLOURS[::-1, :, ::-1])
    size = 40 + 16 + len(info)
    head = struct.pack("<IiiHHIIiiII", size, COLOURS.shape[1], 1, 1, 24, 0, len(rows), 0, 0, 0, 0) + bytes(16) + info
    return struct.pack("<2sIHHI", b"BM", 14 + size + len(rows) + len(more), 0, 0, 14 + size) + head + rows + more


def test_colours_in_the_header_of_bmp() -> None:
    xyz = np.array([[0.4865709, 0.2289746, 0.0], [0.2656677, 0.6917385, 0.0451134], [0.1982173, 0.0792869, 1.0439444]])
    ends = np.round(xyz * (1 << 30)).astype("<i4").tobytes()  # Display P3's red, green and blue
    image = read_image(bmp(bytes(4) + ends + struct.pack("<3I", *[round(2.2 * 65536)] * 3)))
    assert np.array_equal(image.pixels, COLOURS)
    wanted = number(((COLOURS / 255) ** 2.2) @ np.array(TO_SRGB["Display P3"]).T) * 255
    assert np.abs(as_srgb(image) - wanted).max() < 1.6
    assert "Display P3 of gamma 2.2 by its header" in image.warnings[0]

    for plain in (b"BGRs" + bytes(48), b" niW" + bytes(48), bytes(52)):
        assert read_image(bmp(plain)).warnings == ()
        assert read_image(bmp(plain)).icc_profile is None
    rows = -(-COLOURS.shape[1] * 3 // 4) * 4
    embedded = bmp(b"DEBM" + bytes(48) + struct.pack("<4I", 4, 124 + rows, len(PROFILE), 0), PROFILE)
    assert read_image(embedded).icc_profile == PROFILE
    linked = read_image(bmp(b"KNIL" + bytes(48) + struct.pack("<4I", 4, 124 + rows, 4, 0), b"a\0\0\0"))
    assert "in another file" in linked.warnings[0]


def test_a_profile_in_gif() -> None:
    data = saved("GIF")
    palette = 13 + (3 << ((data[10] & 7) + 1))
    blocks = b"".join(bytes([len(part)]) + part for part in (PROFILE[i : i + 255] for i in range(0, len(PROFILE), 255)))
    extension = b"\x21\xff\x0bICCRGBG1012" + blocks + b"\0"
    assert read_image(data[:palette] + extension + data[palette:]).icc_profile == PROFILE


# -- profiles that are made --------------------------------------------------------------------------------


@pytest.mark.parametrize("numbers", [(1, 13), (12, 13), (9, 14), (11, 17), (5, 5), (4, 4), (22, 7), (10, 17), (8, 13)])
def test_made_profiles_keep_greys_neutral_and_are_understood(numbers: tuple[int, int]) -> None:
    space = by_cicp(*numbers, "")
    assert space is not None
    made = icc_profile(space)
    assert made == icc_profile(space)
    profile = ImageCms.ImageCmsProfile(io.BytesIO(made))
    assert space.name in ImageCms.getProfileDescription(profile)
    grey = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    converted = ImageCms.profileToProfile(Pillow.fromarray(grey), profile, ImageCms.createProfile("sRGB"))
    shades = np.asarray(converted).astype(int)
    assert np.ptp(shades, axis=2).max() <= 1
    assert (np.diff(shades[0, :, 0]) >= 0).all()
    assert shades[0, 0].tolist() == [0, 0, 0]
    assert shades[0, -1].tolist() == [255, 255, 255]


def test_a_kept_space_goes_through_writing_and_reading() -> None:
    first = read_image(png(COLOURS, cicp(12, 13, 0, 1)))
    for format in ("png", "tiff", "webp"):
        again = read_image(encode_image(first.rgb, None, format, icc_profile=first.icc_profile))
        assert again.icc_profile == first.icc_profile
        assert np.array_equal(again.pixels, COLOURS)


def test_spaces_that_are_none() -> None:
    with pytest.raises(ValueError, match="outside the primaries"):
        Primaries((0.9, 0.05), *SRGB.primaries[1:]).matrix()
    with pytest.raises(ValueError, match="no rising curve"):
        by_tables(None, [np.arange(256, 0, -1).astype(np.uint16)], "")
    assert not ADOBE_RGB.is_srgb
    assert SRGB.is_srgb
