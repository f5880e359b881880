"""`gossamer finish`, `gossamer presets`, and --preset as scripts rely on them."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import skimage.data

from gossamer.image import read_image
from tests.canvas.bodies import disc, rectangle
from tests.cli.conftest import Run


@pytest.fixture
def cutout(tmp_path: Path) -> Path:
    """Return the path of a cut-out that another program might have written."""
    path = tmp_path / "cut.png"
    alpha = np.round(255 * disc(300, 451, 110, 4)).astype(np.uint8)
    PIL.Image.fromarray(np.dstack([skimage.data.chelsea(), alpha])).save(path)
    return path


def test_a_cut_out_for_a_shop(gossamer: Run, cutout: Path) -> None:
    done = gossamer("finish", "cut.png", "shop.jpg", "--preset", "amazon", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["width"] == report["height"] == pytest.approx(223 / 0.9, abs=3)  # none is enlarged
    assert any("1600 at least" in told for told in report["warnings"])
    picture = read_image(cutout.with_name("shop.jpg")).pixels
    assert (picture[:8] == 255).all()
    assert b"1600 at least" in done.stderr


def test_flags_and_recipes_win_over_the_preset(gossamer: Run, cutout: Path) -> None:
    cutout.with_name("r.toml").write_text('[canvas]\nsize = "150x150"\nfill = 50\n')
    done = gossamer(
        "finish", "cut.png", "out.png", "--preset", "ebay", "--recipe", "r.toml", "--canvas-fill", "60", "--quiet"
    )
    assert (done.returncode, done.stderr) == (0, b"")
    white = read_image(cutout.with_name("out.png")).pixels.min(2)
    assert white.shape == (150, 150)
    seen = np.flatnonzero((white < 250).any(0))
    assert seen[-1] - seen[0] + 1 == pytest.approx(90, abs=3)


def test_every_setting_of_canvas_shadow_and_output_is_a_flag(gossamer: Run, cutout: Path) -> None:
    done = gossamer(
        "finish", "cut.png", "all.jpg", "--background", "gradient:#ffffff,#cccccc", "--canvas-crop", "subject",
        "--canvas-margin", "5% 10%", "--canvas-size", "300x240", "--canvas-align", "bottom", "--canvas-too-small",
        "enlarge", "--canvas-sharpen", "50", "--canvas-dpi", "144", "--shadow", "contact", "--shadow-opacity", "70",
        "--shadow-tilt", "20", "--output-quality", "80", "--output-max-kb", "30", "--output-metadata", "keep",
        "--output-srgb",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    picture = read_image(cutout.with_name("all.jpg"))
    assert (picture.width, picture.height, picture.dpi) == (300, 240, (144, 144))
    assert cutout.with_name("all.jpg").stat().st_size <= 30_000


def test_pipes(gossamer: Run, cutout: Path) -> None:
    done = gossamer("finish", "-", "-", "--canvas-margin", "10px", "--quiet", stdin=cutout.read_bytes())
    assert done.returncode == 0, done.stderr
    assert PIL.Image.open(io.BytesIO(done.stdout)).size == pytest.approx((243, 243), abs=2)


@pytest.mark.long
def test_a_photograph_for_a_shop_at_once(gossamer: Run, photograph: Path) -> None:
    done = gossamer("remove", "photo.jpg", "out.jpg", "--preset", "google-merchant", "--model", "u2netp", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["width"] == report["height"]
    assert "canvas" in report["seconds"]
    assert any("cuts the subject off" in told for told in report["warnings"])  # the cat fills the frame
    assert any("of 500 at least" in told or "1500 pixels are advised" in told for told in report["warnings"])


def test_a_mask_for_a_shop(gossamer: Run, photograph: Path) -> None:
    mask = photograph.with_name("mask.png")
    PIL.Image.fromarray((255 * rectangle(300, 451, 60, 100, 200, 200)).astype(np.uint8)).save(mask)
    flags = ("--matting", "none", "--canvas-aspect", "4:5", "--canvas-margin", "10px")
    done = gossamer("refine", "photo.jpg", "mask.png", "out.png", *flags)
    assert done.returncode == 0, done.stderr
    picture = read_image(photograph.with_name("out.png"))
    assert (picture.width, picture.height) == (220, 275)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("finish", "photo.jpg", "o.png"), b"no transparency"),
        (("finish", "cut.png"), b"are required: OUT"),
        (("finish", "nowhere.png", "o.png"), b"nowhere.png"),
        (("finish", "cut.png", "o.jpg"), b"JPEG cannot hold a transparent background"),
        (("finish", "cut.png", "o.png", "--preset", "amzon"), b"Did you mean amazon"),
        (("finish", "cut.png", "o.png", "--canvas-margin", "60%"), b"Give less than 50% a side"),
        (("finish", "cut.png", "o.png", "--canvas-size", "20", "--canvas-margin", "10px"), b"no room on a canvas"),
        (("finish", "cut.png", "o.png", "--background", "blur"), b"blurred"),
        (("finish", "cut.png", "o.png", "--output-max-kb", "1"), b"more than 1"),
        (("finish", "empty.png", "o.png", "--preset", "ebay"), b"nothing in the matte"),
        (("finish", "cut.png", "o.png", "--matting", "none"), b"--matting"),
        (("presets", "show", "amzon"), b"Did you mean amazon"),
        (("presets",), b"required: ACTION"),
    ],
)
def test_what_cannot_be_is_told_and_nothing_is_written(
    gossamer: Run, cutout: Path, photograph: Path, arguments: tuple[str, ...], words: bytes
) -> None:
    PIL.Image.new("RGBA", (60, 60)).save(cutout.with_name("empty.png"))
    before = sorted(path.name for path in cutout.parent.iterdir())
    done = gossamer(*arguments)
    assert done.returncode in (2, 3), done.stderr
    assert words in done.stderr
    assert done.stderr.count(b"\n") == 1
    assert sorted(path.name for path in cutout.parent.iterdir()) == before


def test_a_premultiplied_file_is_said_to_be_one(gossamer: Run, cutout: Path) -> None:
    alpha = disc(200, 200, 60, 10)
    rgb = np.float32([0.9, 0.8, 0.7]) * alpha[..., None]
    PIL.Image.fromarray(np.round(255 * np.dstack([rgb, alpha])).astype(np.uint8)).save(cutout.with_name("pre.png"))
    done = gossamer("finish", "pre.png", "out.jpg", "--background", "white")
    assert b"look multiplied by its alpha" in done.stderr
    darkest = read_image(cutout.with_name("out.jpg")).pixels.min()
    assert darkest > 0.65 * 255  # no dark fringe
    told = gossamer("finish", "pre.png", "raw.jpg", "--background", "white", "--colours", "straight")
    assert b"multiplied" not in told.stderr


def test_presets_are_listed_and_shown(gossamer: Run) -> None:
    listed = gossamer("presets", "list")
    assert [line.split()[0] for line in listed.stdout.decode().splitlines()] == [
        "amazon", "google-merchant", "ebay", "shopify", "etsy", "walmart", "passport",
    ]  # fmt: skip
    shown = json.loads(gossamer("presets", "show", "amazon", "--json").stdout)
    assert shown["rules"]["min_fill"] == 85
    assert shown["source"].startswith("https://")
    plain = gossamer("presets", "show", "passport").stdout.decode()
    assert "canvas.size = 35x45mm" in plain
    assert "as of 20" in plain
