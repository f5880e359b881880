"""Pictures that cannot be read: one clear sentence with a remedy, and silence on stderr."""

from __future__ import annotations

import io
import logging
import os
import struct
import subprocess
import sys
import threading
import tracemalloc
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import PIL
import pillow_heif
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from gossamer.errors import InputError, MissingExtra
from gossamer.image import encode_image, read_image
from tests.image.exr import exr_bytes

PICTURE = np.random.default_rng(5).random((60, 80, 3), dtype=np.float32)
BYTES = (PICTURE * 255).astype(np.uint8)


def pillow_bytes(format: str, **options: object) -> bytes:
    stream = io.BytesIO()
    Pillow.fromarray(BYTES).save(stream, format, **options)
    return stream.getvalue()


def opencv_lzw() -> bytes:
    return cv2.imencode(".tif", (BYTES * np.uint16(257)), [cv2.IMWRITE_TIFF_COMPRESSION, 5])[1].tobytes()


def heic() -> bytes:
    stream = io.BytesIO()
    pillow_heif.encode("RGB", (80, 60), BYTES.tobytes(), stream, quality=90)
    return stream.getvalue()


def damaged(data: bytes) -> bytes:
    """Zeros over the middle third."""
    third = len(data) // 3
    return data[:third] + bytes(third) + data[2 * third :]


WHOLE: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: pillow_bytes("JPEG"),
    "png": lambda: pillow_bytes("PNG"),
    "png16": lambda: encode_image(PICTURE, None, "png", bit_depth=16),
    "webp": lambda: pillow_bytes("WEBP", lossless=True),
    "bmp": lambda: pillow_bytes("BMP"),
    "gif": lambda: pillow_bytes("GIF"),
    "avif": lambda: pillow_bytes("AVIF"),
    "heic": heic,
    "exr": lambda: exr_bytes({name: PICTURE[..., place] for place, name in enumerate("RGB")}),
    "tiff": lambda: pillow_bytes("TIFF"),
    "tiff-lzw": lambda: pillow_bytes("TIFF", compression="tiff_lzw"),
    "tiff16": lambda: encode_image(PICTURE, None, "tiff", bit_depth=16),
    "tiff32": lambda: encode_image(PICTURE, None, "tiff", bit_depth=32),
    "tiff16-lzw": opencv_lzw,
}


def refusal(source: object) -> InputError:
    """Return the error that `read_image` raises, which is two sentences and names no internals."""
    with pytest.raises(InputError) as caught:
        read_image(source)  # type: ignore[arg-type]
    error = caught.value
    assert error.exit_code == 2
    assert error.message.endswith(".")
    assert error.remedy.endswith(".")
    assert "Traceback" not in str(error)
    assert "\n" not in str(error)
    return error


@pytest.mark.parametrize("kind", WHOLE)
def test_a_file_that_is_cut_off(kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = WHOLE[kind]()
    read_image(data)
    path = tmp_path / f"photo.{kind}"
    for share in (0.03, 0.5, 0.9):
        path.write_bytes(data[: max(12, int(len(data) * share))])
        error = refusal(path)
        assert error.message == f"{path} is damaged or cut off and cannot be read."
        assert "Get a complete copy" in error.remedy
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", ["png", "png16", "tiff16", "exr"])
def test_a_file_with_zeros_in_the_middle(kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert "damaged or cut off" in str(refusal(damaged(WHOLE[kind]())))
    assert capfd.readouterr() == ("", "")


@pytest.mark.long
@pytest.mark.parametrize("kind", [k for k in WHOLE if k != "heic"])
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_whatever_is_in_a_file_it_is_read_or_refused(kind: str, data: st.DataObject) -> None:
    """Random bytes at random places: never another exception than InputError."""
    content = bytearray(WHOLE[kind]())
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.one_of(st.integers(4, 200), st.integers(4, len(content) - 1)))
        content[min(place, len(content) - 1)] = data.draw(st.integers(0, 255))
    try:
        image = read_image(bytes(content))
    except InputError:
        return
    assert np.isfinite(image.rgb).all()
    assert image.rgb.min() >= 0
    assert image.rgb.max() <= 1


def test_files_that_are_no_pictures(tmp_path: Path) -> None:
    text, empty = tmp_path / "notes.txt", tmp_path / "empty.png"
    text.write_text("Not a picture.\n" * 10)
    empty.touch()
    assert str(refusal(text)).startswith(f"{text} is not a picture of a kind that Gossamer reads. Give a JPEG")
    assert str(refusal(empty)) == f"{empty} is empty. Get a complete copy."
    assert str(refusal(tmp_path)) == f"{tmp_path} is a folder, not a picture. Name one picture file in it."
    assert "does not exist. Check its name" in str(refusal(tmp_path / "no.png"))
    assert "could not be read: Not a directory" in str(refusal(text / "x.png"))
    assert "is a device, not a file" in str(refusal("/dev/zero"))
    assert "not a possible file name" in str(refusal("a\0b.png"))
    assert "is not a picture" in str(refusal(b"GIF"))
    assert str(refusal(b"")) == "The picture is empty. Get a complete copy."
    assert "is empty" in str(refusal(io.BytesIO()))
    with text.open() as file:
        assert "binary mode" in str(refusal(file))
    assert "cannot be made of int" in str(refusal(3))
    assert "is not a picture" in str(refusal(b"RIFF\x10\0\0\0WAVEfmt "))
    assert "is not a picture" in str(refusal(b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom"))


def test_a_file_without_permission(tmp_path: Path) -> None:
    """In a process that is not root: root may read everything."""
    path = tmp_path / "secret.png"
    path.write_bytes(pillow_bytes("PNG"))
    path.chmod(0)
    code = (
        "import os, sys, gossamer.image as g, gossamer.errors as e, cv2\n"
        "if os.getuid() == 0: os.setuid(65534)\n"
        "try: g.read_image(sys.argv[1])\n"
        "except e.InputError as error: print(error)\n"
    )
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.getuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    found = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == f"{path} may not be read. Check its permissions."


# -- size ------------------------------------------------------------------------------------------------


def huge_png(depth: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 100_000, 100_000, depth, 2, 0, 0, 0)
    rows = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + rows + chunk(b"IEND", b"")


def huge_bmp() -> bytes:
    data = bytearray(pillow_bytes("BMP"))
    struct.pack_into("<ii", data, 18, 100_000, 100_000)
    return bytes(data)


def huge_tiff(kind: str) -> bytes:
    data = bytearray(WHOLE[kind]())
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as tiff:
        for code in (256, 257):
            tag = tiff.pages.first.tags[code]
            struct.pack_into("<HII", data, tag.offset + 2, 4, 1, 100_000)
    return bytes(data)


def huge_jpeg() -> bytes:
    data = bytearray(pillow_bytes("JPEG"))
    struct.pack_into(">HH", data, data.index(b"\xff\xc0") + 5, 65_000, 65_000)
    return bytes(data)


@pytest.mark.parametrize(
    "data",
    [huge_png(8), huge_png(16), huge_bmp(), huge_tiff("tiff"), huge_tiff("tiff16"), huge_jpeg()],
    ids=["png", "png16", "bmp", "tiff", "tiff16", "jpeg"],
)
def test_a_header_that_promises_too_much_is_not_believed(data: bytes) -> None:
    read_image(BYTES)
    tracemalloc.start()
    try:
        error = refusal(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "more than the limit of 300,000,000 pixels" in error.message
    assert "GOSSAMER_MAX_PIXELS" in error.remedy
    assert peak < 30e6


def test_the_limit_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOSSAMER_MAX_PIXELS", "4799")
    for source in (*(make() for make in WHOLE.values()), BYTES, Pillow.fromarray(BYTES)):
        assert "80 × 60, more than the limit of 4,799 pixels" in str(refusal(source))
    monkeypatch.setenv("GOSSAMER_MAX_PIXELS", "4800")
    assert read_image(BYTES).width == 80
    monkeypatch.setenv("GOSSAMER_MAX_PIXELS", "many")
    assert "GOSSAMER_MAX_PIXELS is 'many'" in str(refusal(BYTES))


def test_pillows_own_limit_neither_stops_nor_warns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pillow, "MAX_IMAGE_PIXELS", 1000)
    monkeypatch.setattr("gossamer.image.decode._STRIP", 800)  # as a strip is to Pillow's true limit
    assert all(read_image(make()).width == 80 for kind, make in WHOLE.items() if kind != "webp")
    # From Pillow 13 on its class for WebP asks for the limit itself: at least it is said, and not called damage.
    if int(PIL.__version__.split(".")[0]) < 13:
        assert read_image(WHOLE["webp"]()).width == 80
    else:
        assert "larger than Pillow reads. Convert it to PNG." in str(refusal(WHOLE["webp"]()))
    assert Pillow.MAX_IMAGE_PIXELS == 1000


# -- arrays and others -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("array", "why"),
    [
        (np.zeros((0, 5, 3), np.uint8), "has no pixels (5 × 0)"),
        (np.zeros((5, 5, 2), np.uint8), "shape (5, 5, 2)"),
        (np.zeros((1, 5, 5, 3), np.float32), "Give (H, W), (H, W, 3) or (H, W, 4)."),
        (np.zeros(5, np.uint8), "shape (5,)"),
        (np.zeros((5, 5, 3), np.int64), "An array of int64"),
        (np.zeros((5, 5, 3), bool), "An array of bool"),
        (np.zeros((5, 5, 3), complex), "An array of complex128"),
        (np.full((5, 5, 3), 200.0), "values from 200 to 200, not from 0 to 1. Divide 8-bit values by 255"),
        (np.full((5, 5), -0.1, np.float32), "values from -0.1"),
        (np.full((5, 5), np.nan, np.float32), "not numbers (NaN, infinity)"),
    ],
    ids=str,
)
def test_arrays_that_are_no_pictures(array: np.ndarray, why: str) -> None:
    assert why in str(refusal(array))


def test_numbers_of_255_in_an_array_of_16_bits_are_not_black_in_silence() -> None:
    dark = np.full((4, 5, 3), 200, np.uint16)
    assert "give uint8" in read_image(dark).warnings[0]
    for array in (np.zeros((4, 5, 3), np.uint16), dark * 2, dark.astype(np.uint8), dark // 200):
        assert read_image(array).warnings == ()


def test_pil_pictures_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(pillow_bytes("PNG")[:2000])
    with Pillow.open(tmp_path / "x.png") as cut:
        assert "damaged or cut off" in str(refusal(cut))
    assert "outside 0 to 65535" in str(refusal(Pillow.fromarray(np.full((2, 2), 70000, np.int32))))


def test_heic_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(MissingExtra, match=r"Reading HEIC pictures needs .* pip install 'gossamer\[heif\]'"):
        read_image(heic())


def test_camera_raw_is_not_its_preview() -> None:
    stream = io.BytesIO()
    tifffile.imwrite(stream, BYTES, photometric="rgb", extratags=[(50706, "B", 4, b"\1\4\0\0", True)])
    assert "camera raw" in str(refusal(stream.getvalue()))


def test_only_the_first_of_several_is_used_and_that_is_said() -> None:
    frames = [Pillow.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    for format, options, what in (
        ("GIF", {}, "3 frames"),
        ("PNG", {}, "3 frames"),
        ("WEBP", {"lossless": True}, "3 frames"),
        ("AVIF", {"quality": 100}, "3 frames"),
        ("TIFF", {}, "3 pages"),
    ):
        stream = io.BytesIO()
        frames[0].save(stream, format, save_all=True, append_images=frames[1:], **options)
        image = read_image(stream.getvalue())
        assert image.warnings == (f"The picture: it has {what}; only the first is used.",)
        assert np.abs(image.rgb - (1, 0, 0)).max() < 0.02
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream) as tiff:
        for page in range(2):
            tiff.write(np.full((4, 4, 3), page * 1000, np.uint16), photometric="rgb")
    image = read_image(stream.getvalue())
    assert image.warnings == ("The picture: it has 2 pages; only the first is used.",)
    assert image.rgb.max() == 0


# -- side effects ----------------------------------------------------------------------------------------


def test_the_process_is_left_as_it_was() -> None:
    level, filters = cv2.utils.logging.getLogLevel(), list(warnings.filters)
    sources = [make()[:-50] for make in WHOLE.values()] + [make() for make in WHOLE.values()]

    def work() -> None:
        for source in sources:
            try:
                read_image(source)
            except InputError:
                continue

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cv2.utils.logging.getLogLevel() == level
    assert list(warnings.filters) == filters
    assert logging.getLogger("tifffile").filters == []


def short_files() -> dict[str, bytes]:
    """Return files of which the last rows never came, and which Pillow takes as whole."""
    pixels = np.random.default_rng(1).integers(1, 255, (64, 64, 3), np.uint8)

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    def png(colour: int, rows: np.ndarray, *more: bytes) -> bytes:
        head = chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, colour, 0, 0, 0))
        body = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows)))
        return b"".join((b"\x89PNG\r\n\x1a\n", head, *more, body, chunk(b"IEND", b"")))

    jpeg = io.BytesIO()
    Pillow.fromarray(pixels).save(jpeg, "JPEG")
    tiff = io.BytesIO()
    Pillow.fromarray(pixels).save(tiff, "TIFF", compression=None)
    high = bytearray(tiff.getvalue())
    for kind in (3, 4):
        at = high.find(struct.pack("<HHI", 257, kind, 1))
        if at >= 0:
            high[at + 8 : at + 12] = struct.pack("<I", 96)
    return {
        "png": png(2, pixels[:63]),
        "grey": png(0, pixels[:32, :, 0]),
        "palette": png(3, pixels[:32, :, 0], chunk(b"PLTE", bytes(range(256)) * 3)),
        "jpeg": jpeg.getvalue()[: len(jpeg.getvalue()) // 2] + b"\xff\xd9",
        "tiff": bytes(high),
    }


@pytest.mark.parametrize("kind", ["png", "grey", "palette", "jpeg", "tiff"])
def test_rows_that_pillow_leaves_out_in_silence_are_missed(kind: str, tmp_path: Path) -> None:
    data = short_files()[kind]
    (path := tmp_path / "short").write_bytes(data)
    loaded = Pillow.open(path)
    try:
        loaded.load()
    except OSError:  # a newer Pillow sees it
        loaded = Pillow.open(path)
    for source in (data, Pillow.open(io.BytesIO(data)), Pillow.open(path), loaded):
        with pytest.raises(InputError, match="cut off"):
            read_image(source)


def test_a_loaded_picture_without_a_file_is_warned_of(tmp_path: Path) -> None:
    picture = Pillow.open(io.BytesIO(short_files()["png"]))
    picture.load()
    assert "cut short" in read_image(picture).warnings[0]
    # Bars above and below, and what was never in a file, are nobody's loss.
    framed = np.zeros((40, 40, 3), np.uint8)
    framed[10:30] = 200
    stream = io.BytesIO()
    Pillow.fromarray(framed).save(stream, "PNG")
    for source in (Pillow.open(stream), Pillow.fromarray(framed)):
        source.load()
        assert read_image(source).warnings == ()
    dark = np.vstack([framed[10:30], np.zeros((9, 40, 3), np.uint8)])
    Pillow.fromarray(dark).save(tmp_path / "dark.png")
    for source in (Pillow.open(tmp_path / "dark.png"), Pillow.fromarray(dark)):
        assert read_image(source).warnings == ()
        assert np.array_equal(read_image(source).pixels, dark)


@pytest.mark.parametrize(("format", "end"), [("JPEG", 2), ("PNG", 12)])
def test_a_picture_that_lacks_its_end_marker_is_one_also_by_pillow(format: str, end: int, tmp_path: Path) -> None:
    whole = pillow_bytes(format)
    path = tmp_path / f"picture.{format.lower()}"
    path.write_bytes(whole[:-end])
    for source in (path, whole[:-end], Pillow.open(io.BytesIO(whole[:-end]))):
        found = read_image(source)
        assert np.array_equal(found.pixels, read_image(whole).pixels)
        # Of PNG Pillow itself reads as much, so there is nothing to be said where it was given.
        assert format == "PNG" or "its end is missing" in found.warnings[0]
    cut = whole[: len(whole) // 2]
    path.write_bytes(cut)
    for source in (path, cut, Pillow.open(io.BytesIO(cut))):
        with pytest.raises(InputError, match="cut off"):
            read_image(source)
