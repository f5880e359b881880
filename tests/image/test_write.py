"""Pictures to bytes as other programs read them, and bytes to files: whole or not at all."""

from __future__ import annotations

import io
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow
from PIL import ImageCms

from gossamer.errors import OutputError, OutputExists
from gossamer.image import check_output, encode_image, format_of, write_bytes

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
RGB = np.random.default_rng(3).random((21, 34, 3), dtype=np.float32)
ALPHA = RGB[::-1, :, 0].copy()


# -- encoding --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["png", "webp", "tiff", "jpeg"])
@pytest.mark.parametrize("with_alpha", [False, True])
def test_pillow_reads_profile_density_and_pixels(format: str, with_alpha: bool) -> None:
    if format == "jpeg" and with_alpha:
        with pytest.raises(OutputError, match="transparency"):
            encode_image(RGB, ALPHA, format)
        return
    smooth = cv2.resize(RGB[:3, :3], (34, 21))
    data = encode_image(smooth, ALPHA if with_alpha else None, format, icc_profile=SRGB, dpi=(300, 150))
    picture = Pillow.open(io.BytesIO(data))
    assert picture.mode == ("RGBA" if with_alpha else "RGB")
    assert picture.info["icc_profile"] == SRGB
    if format != "webp":
        assert picture.info["dpi"] == pytest.approx((300, 150), rel=1e-3)
    error = np.abs(np.asarray(picture)[..., :3] / 255 - smooth)
    assert error.max() < (0.03 if format == "jpeg" else 0.501 / 255)
    if with_alpha:
        assert np.abs(np.asarray(picture)[..., 3] / 255 - ALPHA).max() < 0.501 / 255
    picture.close()


@pytest.mark.parametrize("depth", [8, 16])
def test_rounding_is_half_up(depth: int) -> None:
    white = 2**depth - 1
    values = np.array([[0, 0.25, 0.499, 0.501, 0.75, 1.0, 1.499, 1.502, white - 0.502, white - 0.498, white]])
    wanted = np.array([[0, 0, 0, 1, 1, 1, 1, 2, white - 1, white, white]])
    data = encode_image(None, (values / white).astype(np.float32), "png", bit_depth=depth)
    assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED).tolist() == wanted.tolist()
    half = encode_image(None, np.array([[0.5]], np.float32), "png")  # 127.5
    assert cv2.imdecode(np.frombuffer(half, np.uint8), cv2.IMREAD_UNCHANGED)[0, 0] == 128


def test_depths() -> None:
    def kind(data: bytes) -> np.dtype:
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED).dtype

    assert kind(encode_image(RGB, ALPHA, "png", bit_depth=32)) == np.uint16
    assert kind(encode_image(RGB, ALPHA, "webp", bit_depth=16)) == np.uint8
    assert kind(encode_image(RGB, None, "jpeg", bit_depth=32)) == np.uint8
    with tifffile.TiffFile(io.BytesIO(encode_image(RGB, ALPHA, "tiff", bit_depth=16))) as tiff:
        page = tiff.pages.first
        assert (page.dtype, page.extrasamples) == (np.uint16, (2,))  # unassociated alpha
    with pytest.raises(ValueError, match="bit_depth"):
        encode_image(RGB, None, "png", bit_depth=12)


def test_a_grey_mask_is_a_grey_picture_without_profile() -> None:
    for format, mode in (("png", "L"), ("tiff", "L"), ("jpeg", "L")):
        picture = Pillow.open(io.BytesIO(encode_image(None, ALPHA, format, icc_profile=SRGB)))
        assert picture.mode == mode
        assert "icc_profile" not in picture.info
        picture.close()
    picture = Pillow.open(io.BytesIO(encode_image(None, ALPHA, "png", bit_depth=16)))
    assert picture.mode == "I;16"


def test_what_does_not_fit_is_refused() -> None:
    wide = np.zeros((1, 16384, 3), np.float32)
    with pytest.raises(OutputError, match=r"16384 × 1; webp holds at most 16383 each way. Write it as PNG"):
        encode_image(wide, None, "webp")
    with pytest.raises(OutputError, match="65535"):
        encode_image(np.zeros((65536, 1, 3), np.float32), None, "jpeg")
    with pytest.raises(OutputError, match="bmp is not a format"):
        encode_image(RGB, None, "bmp")
    with pytest.raises(ValueError, match="alpha"):
        encode_image(RGB, ALPHA[:, :3], "png")
    with pytest.raises(ValueError, match="must be given"):
        encode_image(None, None, "png")
    assert Pillow.open(io.BytesIO(encode_image(wide, None, "png"))).size == (16384, 1)


def test_format_of() -> None:
    names = ["a.png", "b.WebP", "c.tif", "d.TIFF", "e.jpg", "x/f.jpeg"]
    assert [format_of(name) for name in names] == ["png", "webp", "tiff", "tiff", "jpeg", "jpeg"]
    for name, why in (("a.gif", "ends in .gif"), ("a", "has no suffix"), ("a.png.txt", "ends in .txt")):
        with pytest.raises(OutputError, match=f"{why}.* .png .webp .tif .tiff .jpg .jpeg"):
            format_of(name)


# -- files -----------------------------------------------------------------------------------------------


def test_a_new_file_has_the_usual_mode_and_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    write_bytes(path, b"one")
    umask = os.umask(0)
    os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask
    with pytest.raises(OutputExists, match=r"x\.png exists already\. Give another name or add --force\."):
        write_bytes(path, b"two")
    assert path.read_bytes() == b"one"
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    with pytest.raises(OutputExists):
        write_bytes(tmp_path / "dangling", b"two")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["dangling", "x.png"]


def test_force_replaces_keeps_the_mode_and_follows_links(tmp_path: Path) -> None:
    path, link = tmp_path / "x.png", tmp_path / "sub" / "link.png"
    write_bytes(path, b"one", force=True)
    path.chmod(0o640)
    link.parent.mkdir()
    link.symlink_to("../x.png")
    write_bytes(link, b"two", force=True)
    assert link.is_symlink()
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o640
    assert len(list(tmp_path.rglob("*"))) == 3


def test_a_long_name_is_no_trouble_and_a_longer_one_an_error(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 251 + ".png")
    write_bytes(path, b"one")
    assert path.read_bytes() == b"one"
    with pytest.raises(OutputError, match="Give a shorter name"):
        write_bytes(tmp_path / ("x" * 252 + ".png"), b"one")
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_system_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: object, target: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    write_bytes(tmp_path / "x.png", b"one")
    assert (tmp_path / "x.png").read_bytes() == b"one"
    with pytest.raises(OutputExists):
        write_bytes(tmp_path / "x.png", b"two")
    assert [p.name for p in tmp_path.iterdir()] == ["x.png"]


def test_somebody_faster_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file comes into being between the first look and the last step."""
    path, fsync = tmp_path / "x.png", os.fsync

    def meanwhile(descriptor: int) -> None:
        path.write_bytes(b"theirs")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", meanwhile)
    with pytest.raises(OutputExists):
        write_bytes(path, b"ours")
    assert path.read_bytes() == b"theirs"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        for name, force in (("x.png", True), ("new.png", False)):
            with pytest.raises(OutputError, match=r"could not be written: File too large\. Give"):
                write_bytes(tmp_path / name, bytes(100_000), force=force)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1
    with pytest.raises(OutputError, match=r"/dev/full could not be written: No space left.*Make room"):
        write_bytes("/dev/full", bytes(100_000), force=True)


def test_an_interrupt_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    (tmp_path / "x.png").write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", interrupt)
    for force in (True, False):
        with pytest.raises(KeyboardInterrupt):
            write_bytes(tmp_path / ("x.png" if force else "new.png"), b"new", force=force)
    assert (tmp_path / "x.png").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.long
def test_a_killed_writer_leaves_the_old_or_the_new_whole(tmp_path: Path) -> None:
    path, size = tmp_path / "x.png", 3_000_000
    path.write_bytes(b"a" * size)
    code = (
        "import sys, gossamer.image as g\nprint('go', flush=True)\n"
        f"while True:\n for c in b'bc': g.write_bytes(sys.argv[1], bytes([c]) * {size}, force=True)\n"
    )
    for wait in (0.0, 0.011, 0.023, 0.05):
        with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(wait)
            writer.send_signal(signal.SIGKILL)
        content = path.read_bytes()
        assert len(content) == size
        assert len(set(content)) == 1


def test_folders_that_cannot_take_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match=r"The folder .*/no does not exist\."):
        write_bytes(tmp_path / "no" / "x.png", b"")
    with pytest.raises(OutputError, match=r"/file is a file, not a folder\."):
        write_bytes(tmp_path / "file" / "x.png", b"")
    for force in (True, False):
        with pytest.raises(OutputError, match="is a folder"):
            write_bytes(tmp_path, b"", force=force)
    with pytest.raises(OutputError, match="could not be written"):
        write_bytes("/proc/x.png", b"")


def test_check_output(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    check_output(path)
    path.write_bytes(b"")
    check_output(path, force=True)
    with pytest.raises(OutputExists, match="--force"):
        check_output(path)
    (tmp_path / "folder.png").mkdir()
    for bad, why in (
        (tmp_path / "folder.png", "is a folder"),
        (tmp_path / "x.gif", "ends in .gif"),
        (tmp_path / "no" / "x.png", "does not exist"),
    ):
        with pytest.raises(OutputError, match=why):
            check_output(bad, True)
