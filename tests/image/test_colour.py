"""Colour spaces of pictures that are read: kept, or converted through their profile, or said to be lost."""

from __future__ import annotations

import io
import itertools
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow
from PIL import ImageCms

from gossamer.image import read_image

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def profile(kind: bytes, space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    """An ICC profile made by hand."""
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", 5) + b"made\0" + bytes(78),
        b"cprt": b"text" + bytes(4) + b"none\0",
        b"wtpt": b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061),
        **tags,
    }
    table, body = b"", b""
    start = 128 + 4 + 12 * len(tags)
    for name, value in tags.items():
        table += name + struct.pack(">II", start + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    header = struct.pack(">II4s4s4s4s", start + len(body), 0, bytes([2, 0x20, 0, 0]), kind, space, connection)
    header += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061) + bytes(48)
    return header + struct.pack(">I", len(tags)) + table + body


# Grey of which the numbers are proportional to light, and inks of which any one gives L* = 60, none 100.
LINEAR_GREY = profile(b"mntr", b"GRAY", b"XYZ ", {b"kTRC": b"curv" + bytes(4) + struct.pack(">IH", 1, 256)})
RAMP = bytes(range(256))
NODES = b"".join(bytes([{0: 255, 1: 153}.get(sum(inks), 0), 128, 128]) for inks in itertools.product((0, 1), repeat=4))
MATRIX = struct.pack(">9i", *(65536 * x for x in (1, 0, 0, 0, 1, 0, 0, 0, 1)))
INKS = profile(
    b"prtr",
    b"CMYK",
    b"Lab ",
    {b"A2B0": b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + MATRIX + RAMP * 4 + NODES + RAMP * 3},
)
L60 = 144.6  # sRGB of L* = 60: Y = (76 / 116)**3 = 0.2812


def to_srgb(light: np.ndarray) -> np.ndarray:
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def saved(picture: Pillow.Image, format: str, **options: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, format, **options)
    return stream.getvalue()


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
def test_an_rgb_profile_and_the_numbers_are_kept(format: str) -> None:
    picture = Pillow.new("RGB", (16, 16), (200, 100, 50))
    options = {"lossless": True} if format == "WEBP" else {"quality": 95} if format != "TIFF" else {}
    image = read_image(saved(picture, format, icc_profile=SRGB, **options))
    assert image.icc_profile == SRGB
    assert np.abs(image.rgb * 255 - (200, 100, 50)).max() <= (0.001 if format in ("PNG", "TIFF", "WEBP") else 2)
    assert image.warnings == ()


def test_sixteen_bit_tiff_keeps_its_profile() -> None:
    stream = io.BytesIO()
    tifffile.imwrite(stream, np.full((2, 3, 3), 40000, np.uint16), photometric="rgb", iccprofile=SRGB)
    assert read_image(stream.getvalue()).icc_profile == SRGB


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_grey_with_a_profile_becomes_srgb(format: str) -> None:
    ramp = np.arange(256, dtype=np.uint8).reshape(8, 32)
    wanted = to_srgb(ramp / 255) * 255
    image = read_image(saved(Pillow.fromarray(ramp), format, icc_profile=LINEAR_GREY))
    assert image.icc_profile is None
    assert image.warnings == ()
    assert np.abs(image.rgb * 255 - wanted[..., None]).max() < 1.5
    assert np.array_equal(image.rgb[..., 0], image.rgb[..., 2])
    both = Pillow.merge("LA", (Pillow.fromarray(ramp), Pillow.fromarray(ramp[::-1].copy())))
    image = read_image(saved(both, "PNG", icc_profile=LINEAR_GREY))
    assert np.abs(image.rgb * 255 - wanted[..., None]).max() < 1.5
    assert np.array_equal(image.alpha, ramp[::-1] / np.float32(255))


def test_sixteen_bit_grey_with_a_profile_says_what_is_lost() -> None:
    stream = io.BytesIO()
    tifffile.imwrite(stream, np.full((2, 3), 40000, np.uint16), iccprofile=LINEAR_GREY)
    image = read_image(stream.getvalue())
    assert image.icc_profile is None
    assert np.array_equal(image.rgb, np.full((2, 3, 3), np.float32(40000 / 65535)))
    assert image.warnings == (
        "The picture: its colour profile is not one for RGB and is left out; the numbers stay as they are.",
    )


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_cmyk_goes_through_its_profile(format: str) -> None:
    """Also the Adobe kind of JPEG, which stores inks inverted."""
    for inks, wanted in (((255, 0, 0, 0), L60), ((0, 0, 0, 255), L60), ((0, 0, 0, 0), 255.0)):
        data = saved(Pillow.new("CMYK", (16, 16), inks), format, icc_profile=INKS)
        image = read_image(data)
        assert image.icc_profile is None
        assert image.warnings == ()
        assert np.abs(image.rgb * 255 - wanted).max() < 2.5


def test_cmyk_without_a_profile_that_fits() -> None:
    picture = Pillow.new("CMYK", (16, 16), (255, 0, 0, 0))
    for options, why in (
        ({}, "has no colour profile"),
        ({"icc_profile": b"rubbish" * 30}, "cannot be used"),
        ({"icc_profile": SRGB}, "cannot be used"),
    ):
        image = read_image(saved(picture, "TIFF", **options))
        assert np.array_equal(image.rgb[0, 0], (0, 1, 1))
        assert image.icc_profile is None
        assert why in image.warnings[0]


def test_lab_becomes_srgb() -> None:
    picture = Pillow.new("LAB", (4, 4), (153, 128, 128))
    for image in (read_image(picture), read_image(saved(picture, "TIFF"))):
        assert np.abs(image.rgb * 255 - L60).max() < 2
        assert (image.icc_profile, image.warnings) == (None, ())


def test_a_broken_profile_is_left_out_with_a_warning() -> None:
    picture = Pillow.new("RGB", (3, 3), (1, 2, 3))
    image = read_image(saved(picture, "PNG", icc_profile=b"rubbish" * 30))
    assert image.icc_profile is None
    assert np.array_equal(image.rgb[0, 0], np.array([1, 2, 3], np.float32) / 255)
    assert "left out" in image.warnings[0]


def test_an_rgb_profile_on_a_grey_picture_is_kept() -> None:
    image = read_image(saved(Pillow.new("L", (3, 3), 90), "JPEG", icc_profile=SRGB))
    assert image.icc_profile == SRGB
