"""The plug-in in a GIMP with windows, used by keys as a person would; its pictures of the screen are kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image
import pytest

import gossamer
from tests.cached_weights import weights_home
from tests.gimp.conftest import driven, make_desk

BRUSHED, MARKED = ((240, 290), (260, 360)), ((330, 250), (400, 400))
"""Where the driver paints on the screen."""
BEFORE = ("layers", "visible", "selected", "selection", "dirty", "undo", "mask")


class Story:
    """What the driver saw, step by step."""

    def __init__(self, share: Path) -> None:
        self.share = share
        self.steps: list[dict[str, Any]] = json.loads((share / "story.json").read_text())

    def __getitem__(self, step: str) -> dict[str, Any]:
        (seen,) = (seen for seen in self.steps if seen["step"] == step)
        return seen

    def mask(self, step: str) -> np.ndarray:
        return np.fromfile(self.share / f"{step}.mask", np.uint8).reshape(300, 451)

    def pixels(self, step: str) -> np.ndarray:
        return np.fromfile(self.share / f"{step}.pixels", np.uint8).reshape(300, 451, 3)

    def screen(self, name: str) -> np.ndarray:
        with PIL.Image.open(self.share / f"{name}.png") as picture:
            return np.asarray(picture.convert("RGB"))


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, cat: np.ndarray) -> Story:
    shortcuts = {"plug-in-gossamer-remove-background": "j"}
    desk = driven(lambda: make_desk(tmp_path_factory.mktemp("gimp")), "drive.py", cat, lambda _: {}, shortcuts)
    return Story(desk.share)


@pytest.fixture(scope="module")
def cutout(cat: np.ndarray) -> gossamer.Cutout:
    """What the library makes of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GOSSAMER_HOME", str(weights_home()))
        return gossamer.Pipeline(model="u2netp", device="cpu").run(cat)


def test_the_dialog_fits_a_small_screen(story: Story) -> None:
    shape = story["geometry"]
    assert int(shape["HEIGHT"]) <= 700  # with everything unfolded; the title and a panel need the rest of 768
    assert int(shape["WIDTH"]) <= 700


def test_views_show_the_matte_on_the_canvas(story: Story, cat: np.ndarray, cutout: gossamer.Cutout) -> None:
    matte = cutout.alpha * 255  # the picture is so small that the preview is nearly exact
    looks = {1: lambda a: 255 - a, 3: None, 4: None, 5: None, 6: lambda a: 76.5 + 0.7 * a}
    for number, look in looks.items():
        seen = story.mask(f"view-{number}").astype(float)
        assert np.abs(seen - (look(matte) if look else matte)).mean() < 6, number
    overlay, ants, black, white, plane, onion, edge, original = (story[f"view-{number}"] for number in range(1, 9))
    assert overlay["visible"] == [True, False, True]
    for view in (black, white, plane, edge):
        assert view["visible"] == [True, True, True]
    assert onion["visible"] == [True, False, False]
    for view in (ants, original):
        assert view["visible"] == [False, False, True]
    assert ants["selected pixels"] == pytest.approx((matte >= 1).sum(), rel=0.05)
    assert not any(view["selection"] for view in (overlay, black, original))
    shown = story.mask("view-7")
    assert shown[(matte > 40) & (matte < 215)].mean() > 200
    assert shown[(matte < 1) | (matte > 254)].mean() < 20
    assert np.array_equal(np.unique(story.pixels("view-5")), [255])
    assert np.abs(story.pixels("view-3").astype(int) - cat)[cutout.alpha > 0.99].mean() < 2
    assert np.array_equal(story.pixels("view-6"), cat)  # the photograph shows through, no continued colours


def test_a_preset_keeps_what_is_set_under_a_name(story: Story) -> None:
    (kept,) = story["presets saved"]["presets"]
    assert kept["name"] == "Fine hair"
    assert kept["settings"]["matting"] == "auto"
    assert kept["settings"]["refinement-feather"] == 0
    assert np.array_equal(story.mask("preset-chosen"), story.mask("preset-saved"))
    assert np.abs(story.mask("preset-left").astype(int) - story.mask("preset-saved")).max() > 20
    assert story["presets deleted"]["presets"] == []


def test_the_brush_changes_what_it_went_over_and_nothing_else(story: Story, cat: np.ndarray) -> None:
    assert story["brush"]["undo"] is False  # strokes are no part of the history
    assert story["brush"]["selection"] is False  # nothing holds the brush back
    top, left = _find(story.screen("4-view-8"), cat)
    (across, down), (right, bottom) = ((x - left, y - top) for x, y in BRUSHED)
    far = np.ones((300, 451), np.uint8)
    cv2.line(far, (across, down), (right, bottom), 0, 1)
    far = cv2.distanceTransform(far, cv2.DIST_L2, 5) > 26 + 8  # of a brush of 51 pixels, and its band
    before, after = story.mask("brush").astype(int), story.mask("brushed").astype(int)
    assert np.array_equal(before[far], after[far])
    assert np.abs(before - after)[~far].max() > 20


def test_what_is_marked_white_belongs_to_the_subject(story: Story, cat: np.ndarray) -> None:
    top, left = _find(story.screen("4-view-8"), cat)
    (across, down), (right, bottom) = ((x - left, y - top) for x, y in MARKED)
    path = np.zeros((300, 451), np.uint8)
    cv2.line(path, (across, down), (right, bottom), 1, 9)
    assert story.mask("marked")[path > 0].min() > 250
    assert story["unpainted"] == {**story["before painting"], "step": "unpainted"}


def test_cancelling_leaves_everything_as_it_was(story: Story, cat: np.ndarray) -> None:
    for name in BEFORE:
        assert story["cancelled"][name] == story["opened"][name], name
    assert np.array_equal(story.pixels("cancelled"), cat)


def test_a_killed_preview_is_cleared_away_by_the_next(story: Story, cat: np.ndarray) -> None:
    assert story["killed"]["layers"] == [story["brush"]["layers"][0], "Preview", "Preview background", "cat.png"]
    for name in ("layers", "visible", "selected", "selected pixels", "channels", "undo", "mask"):
        assert story["cleared"][name] == story["before painting"][name], name
    assert np.array_equal(story.pixels("cleared"), cat)


def test_ok_is_exact_and_the_result_is_selected(story: Story, cat: np.ndarray, cutout: gossamer.Cutout) -> None:
    done = story["done"]
    assert done["layers"] == ["cat.png cut-out", "cat.png"]
    assert done["visible"] == [True, False]
    assert done["selected"] == ["cat.png cut-out"]
    assert np.abs(story.mask("done") / 255 - cutout.alpha).max() <= 0.51 / 255
    assert np.abs(story.pixels("done") / 255 - cutout.foreground).max() <= 0.51 / 255


def test_one_undo_takes_it_back(story: Story, cat: np.ndarray) -> None:
    for name in ("layers", "visible", "selected pixels", "undo", "mask"):
        assert story["undone"][name] == story["before painting"][name], name
    assert np.array_equal(story.pixels("undone"), cat)


def test_again_replaces_the_result_and_one_undo_brings_it_back(story: Story) -> None:
    assert story.mask("blackened").max() == 0
    assert story["repeated"]["layers"] == ["cat.png cut-out", "cat.png"]
    assert np.array_equal(story.mask("repeated"), story.mask("done"))
    assert story["repeating-undone"]["layers"] == ["cat.png cut-out", "cat.png"]
    assert story.mask("repeating-undone").max() == 0


def test_the_screen_shows_the_dialog_and_the_cut_out(story: Story, cat: np.ndarray) -> None:
    dialog, advanced, result = (story.screen(name) for name in ("2-dialog", "3-advanced", "5-result"))
    assert np.mean(advanced != dialog) > 0.02
    # Where the background was, the checkerboard shows; where the subject is, the picture: as GIMP draws them.
    top, left = _find(result, cat)
    rows, columns = slice(10, 290), slice(120, 370)  # on the screen at 100 %, whatever the scroll bars
    seen = result[top + 10 : top + 290, left + 120 : left + 370].astype(int)
    shown = np.abs(seen - cat[rows, columns]).max(axis=2) <= 2
    part = story.mask("done")[rows, columns]
    assert shown[part == 255].mean() > 0.9
    assert (part == 0).sum() > 500
    assert shown[part == 0].mean() < 0.1


def _find(screen: np.ndarray, picture: np.ndarray) -> tuple[int, int]:
    """Return where the picture's top left corner would be on the screen, at 100 %."""
    score = cv2.matchTemplate(screen, np.ascontiguousarray(picture[50:200, 120:280]), cv2.TM_SQDIFF)
    _, _, (left, top), _ = cv2.minMaxLoc(score)
    return top - 50, left - 120
