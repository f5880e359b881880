"""Which files belong together, and what a file stands for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray

from gossamer.errors import InputError
from gossamer.evaluation import find_pairs, read_opacity


def fill(folder: Path, *names: str) -> Path:
    folder.mkdir()
    for name in names:
        PIL.Image.new("L", (4, 3)).save(folder / name)
    return folder


def test_names_without_suffix_or_ending(tmp_path: Path) -> None:
    truth = fill(tmp_path / "truth", "a.png", "b.jpg", "c_alpha.png", "d-mask.png", "Ünï.png", "mask.png")
    predictions = fill(
        tmp_path / "predictions", "a.webp", "b-cutout.png", "c.png", "d_matte.png", "Ünï-MASK.png", "mask.png"
    )
    (predictions / "notes.txt").write_text("no picture")
    (predictions / ".hidden.png").write_text("no picture")
    (predictions / "folder.png").mkdir()
    pairing = find_pairs(predictions, truth)
    assert pairing.missing == ()
    assert {pair.name: pair.prediction.name for pair in pairing.pairs} == {
        "a": "a.webp",
        "b": "b-cutout.png",
        "c_alpha": "c.png",
        "d-mask": "d_matte.png",
        "mask": "mask.png",
        "Ünï": "Ünï-MASK.png",
    }


def test_the_same_stem_wins_over_an_ending(tmp_path: Path) -> None:
    truth = fill(tmp_path / "truth", "a.png")
    predictions = fill(tmp_path / "predictions", "a.png", "a-mask.png")
    pairing = find_pairs(predictions, truth)
    assert pairing.pairs[0].prediction.name == "a.png"
    assert pairing.missing == (f"{predictions / 'a-mask.png'} has no truth.",)


def test_missing_partners_are_named_both_ways(tmp_path: Path) -> None:
    truth = fill(tmp_path / "truth", "a.png", "b.png", "c.png")
    predictions = fill(tmp_path / "predictions", "a.png", "b.png", "x.png")
    trimaps = fill(tmp_path / "trimaps", "a_trimap.png")
    assert find_pairs(predictions, truth).missing == (
        f"{truth / 'c.png'} has no prediction.",
        f"{predictions / 'x.png'} has no truth.",
    )
    pairing = find_pairs(predictions, truth, trimaps)
    assert [(pair.name, pair.trimap) for pair in pairing.pairs] == [("a", trimaps / "a_trimap.png")]
    assert pairing.missing[-1] == f"{truth / 'b.png'} has no trimap."


def test_two_files(tmp_path: Path) -> None:
    one, other = fill(tmp_path / "one", "x.png"), fill(tmp_path / "other", "y.png")
    (pair,) = find_pairs(one / "x.png", other / "y.png", one / "x.png").pairs
    assert (pair.name, pair.prediction, pair.trimap) == ("y", one / "x.png", one / "x.png")


def test_what_cannot_be_paired(tmp_path: Path) -> None:
    truth = fill(tmp_path / "truth", "a.png", "b.png")
    with pytest.raises(InputError, match="does not exist"):
        find_pairs(tmp_path / "none", truth)
    with pytest.raises(InputError, match="holds no pictures"):
        find_pairs(fill(tmp_path / "empty"), truth)
    with pytest.raises(InputError, match=r"No picture in .* has a partner"):
        find_pairs(fill(tmp_path / "strangers", "x.png"), truth)
    with pytest.raises(InputError, match=r"a\.png has 2 possible predictions: a\.jpg, a\.png"):
        find_pairs(fill(tmp_path / "twice", "a.png", "a.jpg"), truth)
    with pytest.raises(InputError, match=r"a\.png would belong to a-mask\.png and to a_alpha\.png"):
        find_pairs(fill(tmp_path / "once", "a.png"), fill(tmp_path / "both", "a-mask.png", "a_alpha.png"))


def test_what_a_file_stands_for(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    grey = random.integers(0, 256, (6, 8)).astype(np.uint8)
    colour = random.integers(0, 256, (6, 8, 3)).astype(np.uint8)

    def read(pixels: NDArray[np.uint8], name: str = "x.png") -> NDArray[np.float32]:
        PIL.Image.fromarray(pixels).save(tmp_path / name)
        return read_opacity(tmp_path / name)

    expected = grey.astype(np.float32) / np.float32(255)
    assert np.array_equal(read(grey), expected)
    assert np.array_equal(read(np.dstack([grey] * 3)), expected)
    assert np.array_equal(read(np.dstack([colour, grey])), expected)
    opaque = np.full((6, 8), 255, np.uint8)
    assert np.array_equal(read(np.dstack([grey] * 3 + [opaque])), expected)  # a mask saved with an alpha channel
    assert np.array_equal(read(np.dstack([colour, opaque])), np.ones((6, 8)))  # a cut-out with nothing cut
    with pytest.raises(InputError, match="colour picture without alpha"):
        read(colour)
    smooth = np.tile(np.linspace(0, 255, 8, dtype=np.uint8), (6, 1))
    assert np.abs(read(np.dstack([smooth] * 3), "x.jpg") - smooth / 255).max() < 0.05
    PIL.Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    np.testing.assert_allclose(read_opacity(tmp_path / "deep.png"), expected, atol=1e-7)
