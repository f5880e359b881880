"""`gossamer refine` and `gossamer compare`."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import skimage.data

import gossamer as library
from tests.canvas.test_photographed import scene as shadowed
from tests.cli.conftest import Run


def pixels(path: Path) -> np.ndarray:
    return np.asarray(PIL.Image.open(path))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the photograph's mask is kept, once it was found."""
    return tmp_path_factory.mktemp("found") / "mask.png"


@pytest.fixture
def mask(gossamer: Run, photograph: Path, found: Path) -> Path:
    if not found.exists():
        assert gossamer("remove", photograph, found, "--mask-only", "--model", "u2netp", "--quiet").returncode == 0
    return Path(shutil.copy(found, photograph.with_name("mask.png")))


def test_refine_is_the_library_s(gossamer: Run, photograph: Path, mask: Path) -> None:
    done = gossamer("refine", photograph, mask, "out.png")
    assert done.returncode == 0, done.stderr
    expected = library.refine(photograph, pixels(mask))
    assert np.array_equal(pixels(photograph.with_name("out.png")), np.asarray(expected.to_pil()))
    assert not np.array_equal(pixels(photograph.with_name("out.png"))[..., 3], pixels(mask))


def test_refine_takes_the_options_of_remove(gossamer: Run, photograph: Path, mask: Path) -> None:
    options = ("--matting", "none", "--foreground", "none", "--background", "#00ff00")
    assert gossamer("refine", photograph, mask, "out.jpg", *options).returncode == 0
    assert np.abs(pixels(photograph.with_name("out.jpg"))[5, 5].astype(int) - [0, 255, 0]).max() <= 3
    assert gossamer("refine", photograph, mask, "m.png", "--matting", "none", "--mask-only").returncode == 0
    assert np.array_equal(pixels(photograph.with_name("m.png")), pixels(mask))


def test_a_photograph_s_shadow_is_a_layer_of_its_own(gossamer: Run, tmp_path: Path) -> None:
    image, alpha, _, shadow = shadowed()
    for name, plane in (("product.png", image), ("mask.png", alpha)):
        PIL.Image.fromarray(np.rint(plane * 255).astype(np.uint8)).save(tmp_path / name)
    made = ("refine", "product.png", "mask.png")
    done = gossamer(*made, "alone.png", "--shadow-layer", "shadow.png")
    assert done.returncode == 0, done.stderr
    assert (
        gossamer(*made, "none.png").returncode == gossamer(*made, "kept.png", "--foreground-shadow", "keep").returncode
    )
    assert np.array_equal(pixels(tmp_path / "alone.png"), pixels(tmp_path / "none.png"))
    layer = pixels(tmp_path / "shadow.png").astype(np.float32) / 255
    assert not layer[..., :3].any()
    outside = alpha < 0.01
    assert np.abs(layer[..., 3] - shadow)[outside].mean() < 0.01
    above, below, both = (
        PIL.Image.open(tmp_path / name).convert("RGBA") for name in ("alone.png", "shadow.png", "kept.png")
    )
    wall = PIL.Image.new("RGBA", above.size, (90, 160, 220, 255))
    stacked = PIL.Image.alpha_composite(PIL.Image.alpha_composite(wall, below), above)
    off = np.abs(np.asarray(stacked, np.int16) - np.asarray(PIL.Image.alpha_composite(wall, both), np.int16))
    assert off.max() <= 2


def test_a_shadow_s_layer_that_cannot_be(gossamer: Run, photograph: Path, mask: Path) -> None:
    made = ("refine", photograph, mask, "out.png", "--shadow-layer")
    for wrong, sentence in (
        (("shadow.jpg",), "JPEG cannot hold a shadow's alpha"),
        (("out.png",), "are the same file"),
        (("shadow.png", "--background", "white"), "goes beneath a cut-out that stands on nothing"),
        (("shadow.png", "--shadow", "drop"), "goes beneath a cut-out that stands on nothing"),
    ):
        done = gossamer(*made, *wrong)
        assert done.returncode
        assert sentence in done.stderr.decode()
        assert not photograph.with_name("out.png").exists()
    done = gossamer(*made, "shadow.png")  # a photograph whose background is not plain
    assert done.returncode == 0
    assert b"The photograph's shadow was not kept" in done.stderr
    assert not photograph.with_name("shadow.png").exists()


def test_a_cut_out_serves_as_a_mask(gossamer: Run, photograph: Path, mask: Path) -> None:
    rgba = np.dstack([skimage.data.chelsea(), pixels(mask)])
    PIL.Image.fromarray(rgba).save(photograph.with_name("cut.png"))
    assert gossamer("refine", photograph, "cut.png", "m.png", "--matting", "none", "--mask-only").returncode == 0
    assert np.array_equal(pixels(photograph.with_name("m.png")), pixels(mask))


def test_a_mask_of_another_size(gossamer: Run, photograph: Path) -> None:
    PIL.Image.new("L", (20, 30), 255).save(photograph.with_name("small.png"))
    done = gossamer("refine", photograph, "small.png", "out.png")
    assert done.returncode == 2
    assert b"20 x 30 pixels, but the picture is 451 x 300" in done.stderr
    assert not photograph.with_name("out.png").exists()


@pytest.mark.long
def test_compare_recipes_and_files(gossamer: Run, photograph: Path) -> None:
    photograph.with_name("plain.toml").write_text('[foreground]\nmethod = "none"\n')
    photograph.with_name("edges.json").write_text('{"matting": {"method": "closed_form"}}')
    recipes = ("--recipe", "plain.toml", "--recipe", "edges.json", "--model", "u2netp")
    done = gossamer("compare", "sheet.png", photograph, *recipes)
    assert done.returncode == 0, done.stderr
    sheet = pixels(photograph.with_name("sheet.png"))
    assert sheet.shape[1] == 4 * 328
    gossamer("remove", photograph, "a.png", "--model", "u2netp", "--foreground", "none")
    assert gossamer("compare", "files.jpg", "a.png", "--crops", "0").returncode == 0
    assert gossamer("compare", "sheet.png", "a.png").returncode == 3
    refused = gossamer("compare", "other.png", photograph)
    assert refused.returncode == 2
    assert b"no alpha" in refused.stderr
