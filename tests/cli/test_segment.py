"""`gossamer segment`, and `gossamer remove` with a prompt, as scripts rely on them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from gossamer.cli import remove, segment
from gossamer.errors import InputError, OutputExists
from tests.prompting.coco import decode_rle

BOX = "105,55,195,145"


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the path of a picture of a disc, on a machine without any weights."""
    for name in ("GOSSAMER_HOME", "HF_HUB_CACHE", "U2NET_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "none" / name))
    monkeypatch.chdir(tmp_path)
    picture = np.full((200, 300, 3), (70, 120, 70)) + np.random.default_rng(2).normal(0, 8, (200, 300, 3))
    picture[disc()] += (130, -60, -30)
    PIL.Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def disc() -> np.ndarray:
    y, x = np.mgrid[:200, :300]
    return (x - 150) ** 2 + (y - 100) ** 2 < 1600


def iou(mask: np.ndarray) -> float:
    return (mask & disc()).sum() / (mask | disc()).sum()


def test_segment_writes_masks_json_and_a_preview(scene: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert segment.run(["photo.png", "out", "--box", BOX, "--json"]) == 0
    report = json.loads(Path("out.json").read_text())
    assert json.loads(capsys.readouterr().out) == report
    subject = report["subjects"][0]
    assert (report["model"], report["found"], len(report["subjects"])) == ("grabcut", True, 1)
    mask = np.asarray(PIL.Image.open(subject["mask"])) > 127
    assert iou(mask) > 0.97
    assert np.array_equal(decode_rle(subject["rle"]), mask)
    assert subject["area"] == mask.sum()
    assert subject["prompt_box"] == [105, 55, 195, 145]
    assert all(abs(edge - wanted) <= 3 for edge, wanted in zip(subject["box"], (111, 61, 190, 140), strict=True))
    with PIL.Image.open("out-preview.png") as preview:
        assert preview.size == (300, 200)


def test_segment_replaces_nothing_unasked(scene: Path) -> None:
    Path("out.json").write_text("precious")
    with pytest.raises(OutputExists):
        segment.run(["photo.png", "out", "--box", BOX, "--quiet"])
    assert Path("out.json").read_text() == "precious"
    assert segment.run(["photo.png", "out", "--box", BOX, "--quiet", "--force", "--no-preview"]) == 0
    assert not Path("out-preview.png").exists()


def test_remove_with_a_box_in_percent(scene: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert remove.run(["photo.png", "--box", "35%,27.5%,65%,72.5%", "--point", "50%,50%", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["model"] == "grabcut"
    assert any("colours alone" in warning for warning in report["warnings"])
    alpha = np.asarray(PIL.Image.open("photo-cutout.png"))[..., 3]
    assert iou(alpha > 127) > 0.97


def test_remove_with_a_rough_mask_and_a_prompt_file(scene: Path) -> None:
    rough = np.zeros((200, 300), np.uint8)
    rough[62:138, 112:188] = 255
    PIL.Image.fromarray(rough).save("rough.png")
    remove.run(["photo.png", "a.png", "--prompt-mask", "rough.png", "--prompt-model", "grabcut", "--quiet"])
    assert iou(np.asarray(PIL.Image.open("a.png"))[..., 3] > 127) > 0.9
    Path("prompt.json").write_text(json.dumps({"box": [105, 55, 195, 145], "mask": "rough.png"}))
    remove.run(["photo.png", "b.png", "--prompt", "prompt.json", "--quiet"])
    assert iou(np.asarray(PIL.Image.open("b.png"))[..., 3] > 127) > 0.9


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--box", "1,2,3"], "3 numbers, not 4"),
        (["--box", "a,b,c,d"], "not made of numbers"),
        (["--box", "10%,2,3,4"], "mixes pixels and percent"),
        (["--box", BOX, "--point", "50%,50%"], "Some coordinates are pixels"),
        (["--box", "400,0,500,100"], "outside the picture"),
        (["--text", " "], "text is empty"),
        (["--not-point", "5,5"], "only says what is not meant"),
        (["--prompt-mask", "nowhere.png"], "does not exist"),
        (["--prompt", "nowhere.json"], "cannot be read"),
        (["--text", "disc", "--prompt-model", "grabcut"], "does not read text"),
        (["--box", BOX, "--box-threshold", "3"], "box_threshold cannot be 3"),
        (["--box", BOX, "--disagreement", "d.png"], "disagrees with nobody"),
        (["--box", BOX, "--prompt-model", "sam9"], "no prompt model 'sam9'"),
        (["--box", "30,20,nan,100"], "not finite"),
        (["--best-only"], "--best-only is for prompts"),
        (["--prompt-model", "grabcut"], "--prompt-model is for prompts"),
        (["--box-threshold", "0.3"], "--box-threshold is for prompts"),
    ],
)
def test_bad_prompts(scene: Path, flags: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        remove.run(["photo.png", *flags, "--quiet"])
    assert not Path("photo-cutout.png").exists()


def test_segment_needs_a_prompt(scene: Path) -> None:
    with pytest.raises(InputError, match="Nothing says what to find"):
        segment.run(["photo.png"])
