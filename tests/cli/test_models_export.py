"""`gossamer models export` and `compare`, on real weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from gossamer.cli import models_compare, models_export
from gossamer.errors import InputError, ModelNotFound, OutputExists
from gossamer.sheets import difference_picture
from tests.cached_weights import weights_home


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GOSSAMER_HOME", str(weights_home()))
    monkeypatch.chdir(tmp_path)


@pytest.mark.long
def test_a_model_goes_to_both_formats_and_back(
    tmp_path: Path, photograph: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert models_export.run(["u2netp", "--to", "safetensors", "-o", "mine.safetensors", "--quiet"]) == 0
    assert models_export.run(["mine.safetensors", "--size", "64x96", "--json", "--quiet"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert (made["path"], made["network"]) == ("mine.onnx", "u2netp")
    assert made["difference"] <= 1e-3
    assert made["tried"][0] == {"batch": 1, "height": 96, "width": 64}
    with pytest.raises(OutputExists):
        models_export.run(["u2netp", "--to", "safetensors", "-o", "mine.safetensors", "--quiet"])

    # The same weights in torch and in the new graph, which takes the 320 x 320 of U²-Net too.
    command = ["mine.safetensors", "mine.onnx", str(photograph), "--json", "--quiet", "--device", "cpu"]
    assert models_compare.run(command) == 0
    (row,) = json.loads(capsys.readouterr().out)["pictures"]
    assert 255 * row["mean"] <= 0.02
    assert row["visible"] == 0
    assert row["other_side"] < 1e-4  # a pixel on the very edge
    assert [len(seconds) for seconds in row["seconds"]] == [1, 1]
    with PIL.Image.open(tmp_path / row["written"]) as picture:
        assert picture.width == 4 * 480 + 3 * 4


@pytest.mark.long
def test_the_table_names_the_pictures(photograph: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["u2netp", "u2netp", str(photograph), "--runtime", "onnx", "--device", "cpu", "--quiet"]
    assert models_compare.run(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[:3] == ["photo.jpg", "0.0000", "0.00"]
    with pytest.raises(OutputExists):
        models_compare.run(arguments)


def test_where_masks_differ_is_red_for_the_first_and_blue_for_the_second() -> None:
    rgb = np.full((60, 960, 3), 0.5, np.float32)
    first, second = np.zeros((60, 960), np.float32), np.zeros((60, 960), np.float32)
    first[30, 100] = 1  # one pixel each, in a picture that is shown at half its size
    second[30, 700] = 1
    picture = difference_picture(rgb, first, second)
    marked = picture[:, 3 * 484 :]
    assert marked.shape == (30, 480, 3)
    red, blue = marked[..., 0] - marked[..., 2] > 0.3, marked[..., 2] - marked[..., 0] > 0.3
    assert {int(column) // 10 for column in np.nonzero(red)[1]} <= {4, 5}
    assert red.any()
    assert {int(column) // 10 for column in np.nonzero(blue)[1]} <= {34, 35}
    assert blue.any()


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (["u2nett"], ModelNotFound, "u2netp"),
        (["silueta"], InputError, "only known as an ONNX graph"),
        (["u2netp", "-o", "x.pth"], InputError, r"does not end in \.onnx"),
        (["u2netp", "--size", "big"], InputError, "not a size such as"),
    ],
)
def test_what_cannot_be_exported_is_said(arguments: list[str], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        models_export.run([*arguments, "--quiet"])


def test_what_cannot_be_compared_is_said(photograph: Path) -> None:
    with pytest.raises(InputError, match="no folder"):
        models_compare.run(["u2netp", "u2netp", str(photograph), "-o", "absent"])
    with pytest.raises(InputError, match="the same name"):
        models_compare.run(["u2netp", "u2netp", str(photograph), str(photograph)])
