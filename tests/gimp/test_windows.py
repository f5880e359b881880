"""The plug-in in a GIMP with windows, used by keys as a person would; its pictures of the screen are kept."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image
import pytest

import gossamer
from gossamer.image import encode_image
from tests.cached_weights import cache_folder, weights_home
from tests.gimp.conftest import SCRIPTS, make_desk


class Story:
    """What the driver saw, step by step."""

    def __init__(self, share: Path) -> None:
        self.share = share
        self.steps: list[dict[str, Any]] = json.loads((share / "story.json").read_text())

    def mask(self, step: str) -> np.ndarray | None:
        (seen,) = (seen for seen in self.steps if seen["step"] == step)
        return np.fromfile(self.share / f"{step}.mask", np.uint8).reshape(300, 451) if seen["mask"] else None

    def screen(self, name: str) -> np.ndarray:
        with PIL.Image.open(self.share / f"{name}.png") as picture:
            return np.asarray(picture.convert("RGB"))


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, cat: np.ndarray) -> Story:
    desk = make_desk(tmp_path_factory.mktemp("gimp"))
    (desk.share / "cat.png").write_bytes(encode_image(cat.astype(np.float32) / 255, None, "png"))
    done = desk.box.run(
        ["/usr/bin/python3", str(SCRIPTS / "drive.py")], env={"SHARE": str(desk.share), "SCRIPTS": str(SCRIPTS)}
    )
    screens = cache_folder() / "gimp-screens"  # for people to look at, also after a failure
    screens.mkdir(exist_ok=True)
    for screen in desk.share.glob("*.png"):
        shutil.copy(screen, screens)
    assert "GUI-TEST-OK" in done.stdout, f"{done.stdout[-3000:]}\nThe screens are in {screens}."
    return Story(desk.share)


def test_from_the_menu_to_the_mask(story: Story, cat: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOSSAMER_HOME", str(weights_home()))
    assert story.mask("opened") is None
    mask = story.mask("done")
    assert mask is not None
    expected = gossamer.Pipeline(device="cpu").run(cat)
    assert np.abs(mask / 255 - expected.alpha).max() <= 0.51 / 255
    for step in story.steps:
        assert np.array_equal(np.fromfile(story.share / f"{step['step']}.pixels", np.uint8), cat.ravel())


def test_one_undo_takes_it_back_and_the_last_values_do_it_again(story: Story) -> None:
    done, again = story.mask("done"), story.mask("repeated")
    assert done is not None
    assert again is not None
    assert story.mask("undone") is None
    assert np.array_equal(again, done)


def test_a_painted_mask_is_replaced_and_one_undo_brings_it_back(story: Story) -> None:
    masks = [story.mask(step) for step in ("blackened", "replaced", "replacing-undone", "done")]
    black, replaced, back, done = (mask for mask in masks if mask is not None)
    assert black.max() == 0
    assert np.array_equal(replaced, done)
    assert np.array_equal(back, black)


def test_cancelling_the_dialog_changes_nothing(story: Story) -> None:
    before, after = story.mask("replacing-undone"), story.mask("cancelled")
    assert before is not None
    assert after is not None
    assert np.array_equal(before, after)


def test_the_screen_shows_the_dialog_and_the_cut_out(story: Story, cat: np.ndarray) -> None:
    search, dialog, result = (story.screen(name) for name in ("1-search", "2-dialog", "3-result"))
    assert np.mean(search != dialog) > 0.02
    mask = story.mask("done")
    assert mask is not None
    # Where the background was, the checkerboard shows; where the subject is, the picture: as GIMP draws them.
    top, left = _find(search, cat)
    rows, columns = slice(10, 290), slice(120, 400)  # on the screen at 100 %, whatever the scroll bars
    seen = result[top + 10 : top + 290, left + 120 : left + 400].astype(int)
    shown = np.abs(seen - cat[rows, columns]).max(axis=2) <= 2
    part = mask[rows, columns]
    assert shown[part == 255].mean() > 0.95
    assert (part == 0).sum() > 500
    assert shown[part == 0].mean() < 0.1


def _find(screen: np.ndarray, picture: np.ndarray) -> tuple[int, int]:
    """Return where the picture's top left corner would be on the screen, at 100 %."""
    score = cv2.matchTemplate(screen, np.ascontiguousarray(picture[50:200, 120:280]), cv2.TM_SQDIFF)
    _, _, (left, top), _ = cv2.minMaxLoc(score)
    return top - 50, left - 120
