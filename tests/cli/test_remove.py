"""`gossamer remove` as scripts rely on it."""

from __future__ import annotations

import io
import json
import stat
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import skimage.data

import gossamer as library
from tests.cached_weights import weights_home
from tests.cli.conftest import Run


def pixels(source: Path | bytes) -> np.ndarray:
    return np.asarray(PIL.Image.open(io.BytesIO(source) if isinstance(source, bytes) else source))


@pytest.mark.long
def test_the_main_job(process: Run, photograph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = process("remove", "photo.jpg", "--model", "u2netp")
    assert done.returncode == 0, done.stderr
    assert done.stdout == b""
    written = photograph.with_name("photo-cutout.png")
    assert b"photo-cutout.png" in done.stderr
    monkeypatch.setenv("GOSSAMER_HOME", str(weights_home()))
    cutout = library.remove_background(photograph, model="u2netp")
    assert np.array_equal(pixels(written), np.asarray(cutout.to_pil()))
    assert 0.2 < cutout.report.coverage < 0.9
    assert stat.S_IMODE(written.stat().st_mode) & 0o444
    assert sorted(path.name for path in photograph.parent.iterdir()) == ["photo-cutout.png", "photo.jpg"]


@pytest.mark.long
def test_an_existing_output_needs_force(gossamer: Run, photograph: Path) -> None:
    precious = photograph.with_name("photo-cutout.png")
    precious.write_bytes(b"precious")
    refused = gossamer("remove", "photo.jpg", "--model", "u2netp")
    assert refused.returncode == 3
    assert b"--force" in refused.stderr
    assert precious.read_bytes() == b"precious"
    assert gossamer("remove", "photo.jpg", "--model", "u2netp", "--force").returncode == 0
    assert pixels(precious).shape == (300, 451, 4)


@pytest.mark.long
def test_pipes(gossamer: Run, process: Run, photograph: Path) -> None:
    done = process("remove", "-", "-", "--model", "u2netp", "--quiet", stdin=photograph.read_bytes())
    assert (done.returncode, done.stderr) == (0, b"")
    named = gossamer("remove", "photo.jpg", "out.png", "--model", "u2netp", "--quiet")
    assert (named.returncode, named.stderr, named.stdout) == (0, b"", b"")
    assert np.array_equal(pixels(done.stdout), pixels(photograph.with_name("out.png")))
    with_report = gossamer("remove", "-", "--model", "u2netp", "--json", "--quiet", stdin=photograph.read_bytes())
    assert json.loads(with_report.stderr)["output"] == "-"


def test_the_report(gossamer: Run, photograph: Path) -> None:
    done = gossamer("remove", photograph, "out.webp", "--model", "u2netp", "--json", "--device", "cpu")
    report = json.loads(done.stdout)
    assert report["model"] == "u2netp"
    assert report["device"] == "cpu"
    assert report["warnings"] == []
    assert (report["width"], report["height"]) == (451, 300)
    assert {"read", "load", "segment", "foreground", "encode", "write", "total"} <= set(report["seconds"])
    alpha = pixels(photograph.with_name("out.webp"))[..., 3]
    assert abs(report["coverage"] - alpha.mean() / 255) < 0.01


@pytest.mark.long
def test_mask_only(gossamer: Run, photograph: Path) -> None:
    assert gossamer("remove", photograph, "--mask-only", "--model", "u2netp").returncode == 0
    assert gossamer("remove", photograph, "cut.png", "--model", "u2netp").returncode == 0
    mask = pixels(photograph.with_name("photo-mask.png"))
    assert mask.ndim == 2
    assert np.array_equal(mask, pixels(photograph.with_name("cut.png"))[..., 3])


@pytest.mark.long
@pytest.mark.parametrize("out", ["out.jpg", "out.png", "out.tif"])
def test_a_colour_behind(gossamer: Run, photograph: Path, out: str) -> None:
    done = gossamer("remove", photograph, out, "--background", "#ff00ff", "--model", "u2netp")
    assert done.returncode == 0, done.stderr
    picture = pixels(photograph.with_name(out))
    assert picture.shape == (300, 451, 3)
    assert np.abs(picture[5, 5].astype(int) - [255, 0, 255]).max() <= 3


@pytest.mark.long
def test_a_picture_and_a_blur_behind(gossamer: Run, photograph: Path) -> None:
    PIL.Image.new("RGB", (100, 100), (10, 200, 30)).save(photograph.with_name("sky.png"))
    assert gossamer("remove", photograph, "a.png", "--background", "sky.png", "--model", "u2netp").returncode == 0
    assert pixels(photograph.with_name("a.png"))[5, 5].tolist() == [10, 200, 30]
    assert gossamer("remove", photograph, "b.png", "--background", "blur", "--model", "u2netp").returncode == 0
    blurred, original = pixels(photograph.with_name("b.png")), pixels(photograph)
    corner = np.s_[:60, :60]
    assert blurred[corner].std() < original[corner].std()


@pytest.mark.long
def test_every_stage_option(gossamer: Run, photograph: Path) -> None:
    for foreground in ("none", "blur_fusion", "multilevel"):
        done = gossamer(
            "remove", photograph, f"{foreground}.png", "--model", "u2netp",
            "--foreground", foreground, "--matting", "closed_form", "--matting-band", 6,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    assert gossamer("remove", photograph, "m.png", "--model", "u2netp", "--matting", "from_mask").returncode == 0
    none, fused = (pixels(photograph.with_name(f"{name}.png")) for name in ("none", "blur_fusion"))
    assert np.array_equal(none[..., :3], pixels(photograph))
    assert np.array_equal(none[..., 3], fused[..., 3])
    assert not np.array_equal(none[..., :3], fused[..., :3])


@pytest.mark.long
def test_a_recipe_file_and_flags_that_win(gossamer: Run, photograph: Path) -> None:
    photograph.with_name("r.toml").write_text('[background]\nfill = "#0000ff"\n[foreground]\nmethod = "none"\n')
    assert gossamer("remove", photograph, "a.png", "--recipe", "r.toml", "--model", "u2netp").returncode == 0
    assert pixels(photograph.with_name("a.png"))[5, 5].tolist() == [0, 0, 255]
    flags = ("--background", "transparent")
    assert gossamer("remove", photograph, "b.png", "--recipe", "r.toml", *flags, "--model", "u2netp").returncode == 0
    assert pixels(photograph.with_name("b.png")).shape[2] == 4


@pytest.mark.long
def test_auto_says_which_model_and_why(gossamer: Run, photograph: Path) -> None:
    done = gossamer("remove", photograph)
    assert done.returncode == 0
    assert b"isnet-general-use: the best model that is installed" in done.stderr
    report = json.loads(gossamer("remove", photograph, "b.png", "--json").stdout)
    assert report["model"] == "isnet-general-use"


@pytest.mark.long
def test_sixteen_bits_and_the_profile_survive(gossamer: Run, tmp_path: Path) -> None:
    import cv2
    from PIL import ImageCms

    deep = skimage.data.chelsea().astype(np.uint16) * 257 + 3
    ok, png = cv2.imencode(".png", deep[..., ::-1])
    assert ok
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    (tmp_path / "deep.tif").write_bytes(_tiff_with_profile(deep, profile))
    (tmp_path / "deep.png").write_bytes(png.tobytes())
    for name in ("deep.tif", "deep.png"):
        done = gossamer("remove", name, f"{name}-out.png", "--foreground", "none", "--model", "u2netp")
        assert done.returncode == 0, done.stderr
        result = cv2.imread(str(tmp_path / f"{name}-out.png"), cv2.IMREAD_UNCHANGED)
        assert result.dtype == np.uint16
        assert np.array_equal(result[..., 2::-1], deep)
    assert _profile_of(tmp_path / "deep.tif-out.png") == profile


def _profile_of(path: Path) -> bytes:
    with PIL.Image.open(path) as picture:
        return picture.info["icc_profile"]


def _tiff_with_profile(picture: np.ndarray, profile: bytes) -> bytes:
    import tifffile

    buffer = io.BytesIO()
    tifffile.imwrite(buffer, picture, photometric="rgb", iccprofile=profile)
    return buffer.getvalue()


@pytest.mark.long
def test_an_existing_alpha_multiplies_the_result(gossamer: Run, photograph: Path) -> None:
    rgba = np.dstack([skimage.data.chelsea(), np.full((300, 451), 255, np.uint8)])
    rgba[:, :225, 3] = 0
    PIL.Image.fromarray(rgba).save(photograph.with_name("half.png"))
    gossamer("remove", "half.png", "out.png", "--model", "u2netp")
    PIL.Image.fromarray(rgba[..., :3]).save(photograph.with_name("whole.png"))
    gossamer("remove", "whole.png", "whole-out.png", "--model", "u2netp")
    half, whole = pixels(photograph.with_name("out.png")), pixels(photograph.with_name("whole-out.png"))
    assert half[:, :225, 3].max() == 0
    assert np.array_equal(half[:, 225:], whole[:, 225:])


@pytest.mark.long
def test_exif_orientation_is_applied(gossamer: Run, tmp_path: Path) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    PIL.Image.fromarray(skimage.data.chelsea()).save(tmp_path / "turned.jpg", exif=exif)
    assert gossamer("remove", "turned.jpg", "--model", "u2netp").returncode == 0
    assert pixels(tmp_path / "turned-cutout.png").shape == (451, 300, 4)


def test_a_screen_is_keyed_without_any_weights(gossamer: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOSSAMER_HOME", str(tmp_path / "nothing"))
    screen = np.full((120, 160, 3), (20, 170, 60), np.uint8)
    screen[40:80, 50:110] = (200, 150, 120)
    PIL.Image.fromarray(screen).save(tmp_path / "screen.png")
    done = gossamer("remove", tmp_path / "screen.png", tmp_path / "cut.png", "--matting", "key", "--model", "none")
    assert done.returncode == 0, done.stderr
    cut = pixels(tmp_path / "cut.png")
    assert cut[60, 80].tolist() == [200, 150, 120, 255]
    assert cut[10, 10, 3] == 0
    refused = gossamer("remove", tmp_path / "screen.png", tmp_path / "no.png", "--model", "none")
    assert refused.returncode == 2
    assert b"Without a model only the matting key" in refused.stderr
