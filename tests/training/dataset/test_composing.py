from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gossamer.training.dataset import Example, compose
from gossamer.training.dataset.backgrounds import KINDS, backgrounds_in
from gossamer.training.dataset.composing import subject_of
from tests.training.dataset.scenes import blob, save_cutout, save_mask, save_picture, scene, textured


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cutouts")


@pytest.fixture(scope="module")
def straight(folder: Path) -> Example:
    """A cut-out with straight colours, black where nothing is seen, as our own tools write it."""
    alpha = blob(4)
    front = np.rint(textured(8) * 255).astype(np.uint8)
    save_cutout(folder / "straight.png", np.where(alpha[..., None] > 0, front, 0).astype(np.uint8), alpha)
    return Example("straight", "a", folder / "straight.png", None, "cut-out")


@pytest.fixture(scope="module")
def kept(folder: Path) -> Example:
    """A cut-out that still has the photograph in its colours: a dark subject before bright green."""
    alpha = blob(4)
    front, back = np.float32([0.2, 0.15, 0.1]), np.float32([0.2, 0.9, 0.3])
    grain = np.random.default_rng(0).normal(0, 0.03, (*alpha.shape, 3)).astype(np.float32)
    picture = alpha[..., None] * front + (1 - alpha[..., None]) * back + grain
    save_cutout(folder / "kept.png", np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8), alpha)
    return Example("kept", "a", folder / "kept.png", None, "cut-out")


def test_straight_colours_stay_as_they_are(straight: Example) -> None:
    colours, alpha = subject_of(straight, 1024)
    seen = alpha > 0.02
    assert np.abs(colours - textured(8))[seen].max() < 0.003
    assert colours[alpha == 0].min() > 0.05  # and beyond them nothing is black


def test_the_old_background_does_not_come_along(kept: Example) -> None:
    colours, alpha = subject_of(kept, 1024)
    edge = (alpha > 0.1) & (alpha < 0.9)
    assert np.count_nonzero(edge) > 100
    # Taken as they are, the colours at the edge are off by a quarter in green.
    assert kept.load()[0][edge][:, 1].mean() / 255 - 0.15 > 0.25
    assert abs(float(colours[edge][:, 1].mean()) - 0.15) < 0.05


@pytest.mark.parametrize("kind", KINDS)
def test_composites_are_the_subject_over_the_background(folder: Path, straight: Example, kind: str) -> None:
    save_picture(folder / "backgrounds" / "wall.jpg", scene(9)[0])
    pictures = backgrounds_in(folder / "backgrounds")
    rgb, alpha = compose(straight, pictures, 3, kind=kind)
    again, same = compose(straight, pictures, 3, kind=kind)
    assert np.array_equal(rgb, again)
    assert np.array_equal(alpha, same)
    other, _ = compose(straight, pictures, 4, kind=kind)
    assert not np.array_equal(rgb, other)
    assert rgb.dtype == np.uint8
    assert alpha.dtype == np.float32
    assert rgb.shape == (96, 128, 3)
    inside, outside = alpha > 0.99, alpha < 0.01
    assert inside.sum() > 300
    # The subject's own colours are in it, wherever it was put.
    subject = textured(8)[blob(4) > 0.99]
    assert np.abs(rgb[inside].mean(axis=0) / 255 - subject.mean(axis=0)).max() < 0.04
    assert rgb[outside].std() > 0.5


def test_near_backgrounds_have_the_subjects_colours(straight: Example) -> None:
    subject = textured(8)[blob(4) > 0.99].mean(axis=0)

    def apart(kind: str) -> float:
        found = []
        for seed in range(12):
            rgb, alpha = compose(straight, (), seed, kind=kind)
            found.append(np.abs(rgb[alpha < 0.01].mean(axis=0) / 255 - subject).mean())
        return float(np.mean(found))

    assert apart("near") < 0.5 * apart("gradient")


def test_a_subject_that_is_cut_off_stays_at_its_border(folder: Path) -> None:
    rgb, alpha = scene(4)
    save_cutout(folder / "bust.png", rgb[:60], alpha[:60])
    bust = Example("bust", "a", folder / "bust.png", None, "cut-out")
    for seed in range(6):
        made = compose(bust, (), seed)[1]
        assert (made[-1] > 0.5).mean() > 0.1
        assert made[0].max() < 0.5


def test_a_picture_with_a_matte_gives_its_subject_too(folder: Path) -> None:
    rgb, alpha = scene(5)
    save_picture(folder / "pair.png", rgb)
    save_mask(folder / "pair-mask.png", alpha)
    pair = Example("pair", "a", folder / "pair.png", folder / "pair-mask.png", "folder")
    made, matte = compose(pair, (), 1, longest=64)
    assert made.shape == (48, 64, 3)
    assert matte.max() == 1
