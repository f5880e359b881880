"""The matting stage: lengths that follow the picture, thin things that stay, losses that are told."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

import gossamer
from gossamer.matting.signed_distance import signed_distance
from gossamer.matting.stage import band_pixels
from gossamer.matting.thin_parts import loss_warnings, thin_parts
from gossamer.matting.trimap import trimap_from_mask
from gossamer.settings.parameters import recipe_from_flat
from gossamer.settings.recipe import Matting

METHODS = ["closed_form", "from_mask", "guided", "knn", "learning_based"]


def kept(mask: np.ndarray, alpha: np.ndarray) -> float:
    """Return how much of what a disc of 0.4 % of the diagonal does not fit into is left."""
    radius = max(2, round(0.004 * float(np.hypot(*mask.shape))))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    thin = np.clip(mask - cv2.morphologyEx(mask, cv2.MORPH_OPEN, disc), 0, 1) * (mask > 0.5)
    return float((np.minimum(alpha, mask) * thin).sum() / (mask * thin).sum())


def box_on_ropes(size: int = 240) -> tuple[np.ndarray, np.ndarray]:
    """Return a picture and its exact mask: a box that hangs on a rope, a second rope and two birds far away."""
    mask = np.zeros((size, size), np.float32)
    cv2.rectangle(mask, (80, 120), (170, 200), 1, -1)
    cv2.line(mask, (10, 0), (90, 125), 1, 3, cv2.LINE_AA)
    cv2.line(mask, (160, 125), (239, 20), 1, 2, cv2.LINE_AA)
    for x in (110, 140):
        cv2.ellipse(mask, (x, 40), (6, 2), 15, 0, 360, 1, -1, cv2.LINE_AA)
    y, x = np.mgrid[:size, :size] / size
    sky = np.stack([0.5 + 0.3 * y, 0.6 + 0.2 * x, 0.9 - 0.2 * y], axis=2)
    sky += 0.01 * np.random.default_rng(1).standard_normal(sky.shape)
    return np.clip(mask[..., None] * [0.2, 0.15, 0.1] + (1 - mask[..., None]) * sky, 0, 1).astype(np.float32), mask


@pytest.mark.long
@pytest.mark.parametrize("method", METHODS)
def test_ropes_and_birds_stay(method: str) -> None:
    picture, mask = box_on_ropes()
    cutout = gossamer.refine(picture, mask, gossamer.Recipe.of({"matting": {"method": method}}))
    assert kept(mask, cutout.alpha) > 0.98
    assert cutout.report.warnings == ()


@pytest.mark.long
@pytest.mark.parametrize(
    ("settings", "module", "sentence"),
    [
        (
            {"matting": {"method": "learning_based"}},
            "gossamer.matting.learning",
            "Learning-based matting had not settled after 2 iterations, so its alpha may be inexact. Choose a narrower "
            "matting band, or the matting closed_form.",
        ),
        (
            {"matting": {"method": "knn"}},
            "gossamer.matting.knn",
            "KNN matting had not settled after 2 iterations, so its alpha may be inexact. Choose a narrower matting "
            "band, or the matting closed_form.",
        ),
        (
            {"foreground": {"method": "closed_form"}},
            "gossamer.foreground.levin",
            "Closed-form colours had not settled after 2 iterations, so they may be inexact. Choose the foreground "
            "method soft_band.",
        ),
    ],
    ids=["learning_based", "knn", "colours"],
)
def test_a_solution_that_had_not_settled_is_told(
    settings: dict[str, dict[str, str]],
    module: str,
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(f"{module}._MOST", 2)
    picture, mask = box_on_ropes()
    assert gossamer.refine(picture, mask, gossamer.Recipe.of(settings)).report.warnings == (sentence,)
    assert caplog.messages == []
    trimap = trimap_from_mask(mask, band=6)
    {
        "gossamer.matting.learning": lambda: gossamer.matting.learning_based_alpha(picture, trimap),
        "gossamer.matting.knn": lambda: gossamer.matting.knn_alpha(picture, trimap),
        "gossamer.foreground.levin": lambda: gossamer.foreground.estimate_foreground(picture, mask, "closed_form"),
    }[module]()
    assert caplog.messages == [sentence]


@pytest.mark.parametrize("band", [2, 10, 25])
def test_what_an_explicit_band_swallows_stays_as_well(band: int) -> None:
    picture, mask = box_on_ropes()
    recipe = gossamer.Recipe.of({"matting": {"method": "closed_form", "band": band}})
    assert kept(mask, gossamer.refine(picture, mask, recipe).alpha) > 0.98


def test_soft_ridges_are_thin_too() -> None:
    """What a small network sees of a rope: a blur, 0.8 at its crest."""
    mask = np.zeros((300, 400), np.float32)
    cv2.line(mask, (20, 20), (380, 280), 1, 3)
    mask = cv2.GaussianBlur(mask, (0, 0), 1.4)
    cv2.circle(mask, (80, 220), 50, 1, -1)
    found = thin_parts(mask)
    ridge = mask > 0.65
    ridge[160:, :140] = False
    assert found[ridge].mean() > 0.95
    assert not found[190:250, 50:110].any()


def test_corners_and_solid_things_are_not_thin() -> None:
    mask = np.zeros((600, 800), np.float32)
    mask[100:300, 100:500] = 1
    cv2.circle(mask, (650, 450), 60, 1, -1)
    assert not thin_parts(mask).any()


def test_thin_parts_of_large_masks_are_those_of_small_ones() -> None:
    _, mask = box_on_ropes()
    large = cv2.resize(mask, (1680, 1680), interpolation=cv2.INTER_LINEAR)
    small = cv2.resize(thin_parts(mask).astype(np.uint8), (1680, 1680), interpolation=cv2.INTER_NEAREST) > 0
    both = thin_parts(large)
    sure = (large > 0.6) & (cv2.erode(small.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0)
    assert both[sure].mean() > 0.95
    assert both[1000:1300, 650:1100].mean() < 0.01


def test_a_fixed_band_leaves_a_core_in_what_is_thinner() -> None:
    mask = np.zeros((200, 300), np.float32)
    mask[50:150, 20:120] = 1
    mask[90:102, 120:290] = 1  # 12 pixels, narrower than the band is wide
    trimap = trimap_from_mask(mask, band=10)
    assert (trimap[95:97, 180:280] == 1).all()
    assert (trimap[:85, 180:280] != 0.5).any()
    np.testing.assert_array_equal(trimap[98, 20:60], np.repeat(np.float32([0.5, 1]), [10, 30]))


def test_losses_are_told_as_a_share_and_as_islands() -> None:
    mask = np.zeros((200, 200), np.float32)
    mask[20:120, 20:120] = 1
    mask[150:170, 150:170] = 1
    alpha = mask.copy()
    assert loss_warnings(alpha, mask) == []
    alpha[150:170, 150:170] = 0.2
    (island,) = loss_warnings(alpha, mask)
    assert "an island" in island
    alpha[20:40, 20:120] = 0
    share, _ = loss_warnings(alpha, mask)
    assert "lost 23%" in share
    assert "Choose" in share


@pytest.mark.parametrize("ground", [(0.55, 0.45, 0.25), None])
def test_keying_tells_where_it_keeps_what_is_no_screen(ground: tuple[float, ...] | None) -> None:
    """A sky counts as a screen, and the savanna below it is kept; before a screen alone there is nothing to tell."""
    mask = np.zeros((240, 320), np.float32)
    cv2.circle(mask, (160, 120), 50, 1, -1, cv2.LINE_AA)
    behind = np.full((240, 320, 3), (0.2, 0.4, 0.9), np.float32)
    if ground:
        behind[120:] = ground
    behind += 0.004 * np.random.default_rng(3).standard_normal(behind.shape).astype(np.float32)
    photo = np.clip(mask[..., None] * [0.4, 0.1, 0.1] + (1 - mask[..., None]) * behind, 0, 1).astype(np.float32)
    cutout = gossamer.refine(photo, mask, recipe_from_flat({"matting": "key"}))
    told = [warning for warning in cutout.report.warnings if "kept much" in warning]
    assert bool(told) is bool(ground)


def test_a_loss_is_in_the_report() -> None:
    """A mask that is sure of a patch which the picture says is background: matting drops it, and says so."""
    mask = np.zeros((300, 400), np.float32)
    mask[60:240, 60:200] = 1
    picture = np.where(mask[..., None] > 0, np.float32([0.8, 0.2, 0.1]), np.float32([0.1, 0.3, 0.7]))
    wrong = mask.copy()
    wrong[120:180, 200:228] = 1
    recipe = gossamer.Recipe.of({"matting": {"method": "closed_form", "band": 40}})
    cutout = gossamer.refine(picture, wrong, recipe)
    lost = ((wrong > 0) & (cutout.alpha < 0.5)).sum() / wrong.sum()
    assert lost > 0.05
    assert f"Matting lost {lost:.0%}" in " ".join(cutout.report.warnings)


def test_the_default_band_grows_with_the_picture_and_a_given_one_does_not() -> None:
    small, large = (600, 800), (4200, 5600)
    assert [band_pixels(Matting(), shape) for shape in (small, large)] == [10, 70]
    assert [band_pixels(Matting(band=10), shape) for shape in (small, large)] == [10, 10]
    assert [band_pixels(Matting(band=20, unit="relative"), shape) for shape in (small, large)] == [20, 140]
    assert [band_pixels(Matting(band=10, unit="auto"), shape) for shape in (small, large)] == [10, 70]
    assert [band_pixels(Matting(band=12, unit="auto"), shape) for shape in (small, large)] == [12, 12]


@pytest.mark.parametrize(
    ("given", "unit"),
    [
        ({}, "auto"),
        ({"matting": "closed_form"}, "auto"),
        ({"matting_band": 10}, "px"),
        ({"matting_band": 10, "matting_unit": "relative"}, "relative"),
        ({"matting.band": 10}, "px"),
    ],
)
def test_what_a_band_counts_depends_on_whether_it_was_given(given: dict[str, object], unit: str) -> None:
    recipe = recipe_from_flat(given)
    assert recipe.matting.unit == unit
    assert gossamer.Recipe.of(recipe.model_dump()) == recipe
    assert recipe_from_flat({"foreground": "none"}, recipe).matting == recipe.matting


def test_two_sizes_of_one_picture_look_alike() -> None:
    picture, mask = box_on_ropes(480)
    mask = cv2.GaussianBlur(mask, (0, 0), 1)
    size = (1440, 1440)
    large = np.clip(cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC), 0, 1), cv2.resize(mask, size)
    trimaps = [trimap_from_mask(m, band=band_pixels(Matting(), m.shape)) for m in (mask, large[1])]
    bands = [float((trimap == 0.5).mean()) for trimap in trimaps]
    assert bands[1] == pytest.approx(bands[0], rel=0.15)
    assert signed_distance(mask).max() > 20


@pytest.mark.parametrize("method", ["from_mask", "closed_form", "knn"])
def test_a_mask_that_is_sure_of_nothing_is_left_as_it_is(method: str) -> None:
    picture, mask = box_on_ropes()
    faint = (mask > 0.5) * np.uint8(128)
    cutout = gossamer.refine(picture, faint, recipe_from_flat({"matting": method}))
    np.testing.assert_allclose(cutout.alpha, faint / np.float32(255), atol=1e-6)
    assert any("nowhere sure of a foreground (at most 0.50" in warning for warning in cutout.report.warnings)
