"""JPEG files: the pixels, the notes and the errors of Pillow's ordinary way, in half its time."""

from __future__ import annotations

import io
import sys
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageCms, ImageFile, ImageOps
from PIL.JpegImagePlugin import JpegImageFile

from gossamer.errors import InputError
from gossamer.image import jpeg
from gossamer.image.decode import Decoded, decode, decode_pillow
from gossamer.image.jpeg import jpeg_rgb

RNG = np.random.default_rng(3)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
LAB = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
SIZES = [(1, 1), (7, 5), (333, 217), (16, 1), (1, 33)]


def pixels(width: int, height: int) -> np.ndarray:
    return cv2.GaussianBlur(RNG.integers(0, 256, (height, width, 3), np.uint8), (0, 0), 1.0)


def jpeg_bytes(array: np.ndarray, mode: str = "RGB", **options: object) -> bytes:
    stream = io.BytesIO()
    Pillow.fromarray(array).convert(mode).save(stream, "JPEG", **{"quality": 90, **options})
    return stream.getvalue()


def with_segment(data: bytes, marker: int, body: bytes) -> bytes:
    return data[:2] + bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2, "big") + body + data[2:]


def ordinary(data: bytes) -> Decoded:
    return decode_pillow(JpegImageFile(io.BytesIO(data), ""), "x")


def assert_same(found: Decoded, expected: Decoded) -> None:
    assert found.rgb.dtype == np.uint8
    assert found.rgb.flags.c_contiguous
    assert np.array_equal(found.rgb, expected.rgb)
    assert found.alpha is None
    assert (found.bit_depth, found.icc_profile, found.dpi) == (8, expected.icc_profile, expected.dpi)
    assert found.warnings == expected.warnings


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("progressive", [False, True], ids=["baseline", "progressive"])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_colours_are_pillows(size: tuple[int, int], progressive: bool, subsampling: str) -> None:
    data = jpeg_bytes(pixels(*size), subsampling=subsampling, progressive=progressive, dpi=(300, 150))
    reference = np.asarray(Pillow.open(io.BytesIO(data)))
    assert np.array_equal(jpeg_rgb(data), reference)
    found = decode(data, "x")
    assert np.array_equal(found.rgb, reference)
    assert found.dpi == (300.0, 150.0)
    assert_same(found, ordinary(data))


@pytest.mark.parametrize("transform", [None, 0, 1])
@pytest.mark.parametrize("keep_rgb", [False, True])
def test_adobe_transform(transform: int | None, keep_rgb: bool) -> None:
    """Files that hold RGB or YCbCr, and Adobe's segment, true or not, that says which."""
    data = jpeg_bytes(pixels(40, 30), keep_rgb=keep_rgb, subsampling=0)
    if transform is not None:
        data = with_segment(data, 0xEE, b"Adobe\0\x64\0\0\0\0" + bytes([transform]))
    assert np.array_equal(jpeg_rgb(data), np.asarray(Pillow.open(io.BytesIO(data))))
    assert_same(decode(data, "x"), ordinary(data))


@pytest.mark.parametrize("restart", [0, 3])
def test_restart_markers_and_bytes_after_the_end(restart: int) -> None:
    data = jpeg_bytes(pixels(100, 90), restart_marker_blocks=restart) + b"\0" * 50 + b"left over"
    assert jpeg_rgb(data) is not None
    assert_same(decode(data, "x"), ordinary(data))


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("orientation", range(10))
def test_every_orientation(orientation: int, size: tuple[int, int]) -> None:
    exif = Pillow.Exif()
    exif[274] = orientation
    data = jpeg_bytes(pixels(*size), exif=exif.tobytes(), dpi=(300, 150))
    assert jpeg_rgb(data) is not None
    found = decode(data, "x")
    assert np.array_equal(found.rgb, np.asarray(ImageOps.exif_transpose(Pillow.open(io.BytesIO(data)))))
    assert found.dpi == ((150.0, 300.0) if 5 <= orientation <= 8 else (300.0, 150.0))
    assert_same(found, ordinary(data))


def test_profiles_and_notes() -> None:
    for profile, notes in ((SRGB, 0), (LAB, 1), (b"short", 1)):
        data = jpeg_bytes(pixels(20, 10), icc_profile=profile)
        found = decode(data, "x")
        assert jpeg_rgb(data) is not None
        assert len(found.warnings) == notes
        assert found.icc_profile == (None if notes else SRGB)
        assert_same(found, ordinary(data))
    several = io.BytesIO()
    first, second = (Pillow.fromarray(pixels(20, 10)) for _ in range(2))
    first.save(several, "MPO", save_all=True, append_images=[second])
    assert_same(decode(several.getvalue(), "x"), ordinary(several.getvalue()))


def test_other_colours_stay_with_pillow() -> None:
    for mode in ("L", "CMYK"):
        data = jpeg_bytes(pixels(33, 21), mode)
        assert jpeg_rgb(data) is None
        assert_same(decode(data, "x"), ordinary(data))
    assert jpeg_rgb(b"\xff\xd8\xff nothing") is None


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("truncated_allowed", [False, True])
def test_cut_off_files(
    progressive: bool, truncated_allowed: bool, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Refused unless all pixels are there, or the process told Pillow to take them as it does."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", truncated_allowed)
    data = jpeg_bytes(pixels(333, 217), progressive=progressive)
    whole, read = decode(data, "x"), []
    for end in (len(data) - 1, len(data) - 2, len(data) - 3, len(data) * 3 // 4, len(data) // 2, 700, 300, 40, 3):
        for tail in (b"", b"\0" * 9):
            cut = data[:end] + tail
            if not truncated_allowed and len(data) - end <= 2:
                found = decode(cut, "x")
                assert found.warnings == ["x: its end is missing, but all of its pixels are there."]
                found.warnings = []
                assert_same(found, whole)
                continue
            try:
                expected = ordinary(cut) if truncated_allowed else None
            except Exception:
                expected = None
            if expected is None:
                with pytest.raises(InputError, match="x is damaged or cut off and cannot be read"):
                    decode(cut, "x")
            else:
                read.append((len(data) - end, tail))
                assert_same(decode(cut, "x"), expected)
    assert len(read) >= 10 or not truncated_allowed
    assert capfd.readouterr() == ("", "")


@pytest.mark.long
def test_a_picture_that_lacks_its_end_is_whole_or_refused() -> None:
    """Whatever is read has the pixels of the whole file, to the last bit."""
    rng = np.random.default_rng(8)
    missing: dict[int, int] = {}
    for number in range(60):
        height, width = (int(side) for side in rng.integers(9, 120, 2))
        options: dict[str, object] = {
            "quality": int(rng.integers(20, 98)),
            "progressive": bool(number % 2),
            "subsampling": int(rng.integers(0, 3)),
            "restart_marker_blocks": 5 if number % 3 == 0 else 0,
        }
        data = jpeg_bytes(pixels(width, height), **options)
        whole = decode(data, "x")
        for cut in (0, 1, 2, 3, 5, 9, 40):
            for tail in (b"", b"\0" * 7, b"\0" * 3000, b"\xff"):
                try:
                    found = decode(data[: len(data) - 2 - cut] + tail, "x")
                except InputError:
                    continue
                missing[cut] = missing.get(cut, 0) + 1
                assert np.array_equal(found.rgb, whole.rgb), (number, cut, tail)
                assert found.warnings == ["x: its end is missing, but all of its pixels are there."]
    assert missing[0] >= 230
    assert not missing.keys() & {5, 9, 40}


def test_a_jpeg_file_of_which_a_scan_is_missing_is_refused_without_its_end() -> None:
    data = jpeg_bytes(pixels(90, 70), progressive=True)
    last = data.rindex(b"\xff\xda")
    for cut in (last, data.rindex(b"\xff\xda", 0, last)):
        with pytest.raises(InputError, match="damaged or cut off"):
            decode(data[:cut], "x")
        assert "its last scans are missing" in decode(data[:cut] + b"\xff\xd9", "x").warnings[0]


@pytest.mark.parametrize("progressive", [False, True])
def test_damaged_files(progressive: bool, capfd: pytest.CaptureFixture[str]) -> None:
    """Wrong bytes anywhere, the end marker in place: what Pillow makes of it, and not a word of libjpeg's.

    But what ends before its pixels do, which Pillow fills with grey, is refused, or told where only detail is missing.
    """
    whole = jpeg_bytes(pixels(120, 90), progressive=progressive)
    middle = len(whole) // 2
    cases = [
        whole[:middle] + b"\xff\xd9",
        whole[:middle] + whole[middle + 50 :],
        whole[:-2] + b"\x12" * 99 + whole[-2:],
    ]
    for _ in range(60):
        data = bytearray(whole)
        start = int(RNG.integers(2, len(data) - 40))
        data[start : start + 32] = RNG.bytes(32)
        cases.append(bytes(data))
    refused = early = 0
    for data in cases:
        try:
            expected = ordinary(data)
        except Exception:
            refused += 1
            with pytest.raises(InputError):
                decode(data, "x")
        else:
            if data is cases[0] or (np.abs(expected.rgb[-1, -1].astype(int) - 128) <= 1).all():
                with pytest.raises(InputError, match="damaged or cut off"):
                    decode(data, "x")
                early += 1
                continue
            found = decode(data, "x")
            told = [line for line in found.warnings if progressive and "last scans are missing" in line]
            found.warnings = [line for line in found.warnings if line not in told]
            assert_same(found, expected)
    assert 0 < refused < len(cases)
    assert early > 0
    assert capfd.readouterr() == ("", "")


def test_without_simplejpeg_pillow_decodes(monkeypatch: pytest.MonkeyPatch) -> None:
    data = jpeg_bytes(pixels(50, 40))
    expected = decode(data, "x")
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "simplejpeg", None)
        assert jpeg_rgb(data) is None
        assert_same(decode(data, "x"), expected)
    monkeypatch.setattr(jpeg, "_MOST_PIXELS", 1999)
    assert jpeg_rgb(data) is None
    assert_same(decode(data, "x"), expected)


def test_threads_do_not_mix() -> None:
    files = [jpeg_bytes(pixels(200 + 10 * i, 150)) for i in range(8)] * 4
    expected = [ordinary(data).rgb for data in files]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(jpeg_rgb, files))
    assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))
