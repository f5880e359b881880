"""What holds for all controls: neutral defaults, point operations, units, any mask, bad input, settings."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gossamer.errors import Cancelled, InputError
from gossamer.refinement import adjust_alpha, clean_mask, refine_mask
from gossamer.settings.parameters import parameters, recipe_from_flat
from gossamer.settings.recipe import Recipe, Refinement
from tests.refinement.shapes import Mask, disc, radii


@pytest.mark.parametrize("run", [clean_mask, adjust_alpha, refine_mask])
def test_the_defaults_return_the_mask_itself(run: Callable[..., Mask]) -> None:
    mask = np.random.default_rng(0).random((20, 30), dtype=np.float32)
    assert run(mask, Refinement()) is mask


def test_each_function_looks_at_its_own_fields_alone() -> None:
    mask = disc(50)
    before = Refinement(invert=True, threshold=0.5, fill_holes=9, remove_specks=9, keep_largest=1, smooth=3)
    after = Refinement(black_point=0.1, white_point=0.9, shift_edge=2, feather=2, contrast=20)
    assert adjust_alpha(mask, before) is mask
    assert clean_mask(mask, after) is mask
    both = Refinement(**(before.model_dump(exclude_defaults=True) | after.model_dump(exclude_defaults=True)))
    np.testing.assert_array_equal(refine_mask(mask, both), adjust_alpha(clean_mask(mask, both), both))


def test_the_input_is_never_written_to() -> None:
    mask = disc(60)
    mask[30:33, 30:33] = 1
    mask.setflags(write=False)
    everything = Refinement(
        invert=True, threshold=0.4, fill_holes=5, remove_specks=5, keep_largest=1, smooth=2,
        black_point=0.1, white_point=0.9, shift_edge=-1.5, feather=12, contrast=30,
    )  # fmt: skip
    refine_mask(mask, everything)
    for name, value in everything.model_dump(exclude_defaults=True).items():
        refine_mask(mask, Refinement(**{name: value}))


def test_invert_and_threshold() -> None:
    mask = np.float32([[0, 0.25, 0.5, 0.75, 1]])
    assert clean_mask(mask, Refinement(invert=True)).tolist() == [[1, 0.75, 0.5, 0.25, 0]]
    assert clean_mask(mask, Refinement(threshold=0.5)).tolist() == [[0, 0, 1, 1, 1]]
    assert clean_mask(mask, Refinement(threshold=1)).tolist() == [[0, 0, 0, 0, 1]]
    assert clean_mask(mask, Refinement(threshold=0.7, invert=True)).tolist() == [[1, 1, 0, 0, 0]]  # inverted first


def test_black_and_white_points_are_levels() -> None:
    mask = np.float32([[0, 0.2, 0.25, 0.5, 0.6, 0.8, 1]])
    found = adjust_alpha(mask, Refinement(black_point=0.2, white_point=0.6))
    np.testing.assert_allclose(found, [[0, 0, 0.125, 0.75, 1, 1, 1]], atol=1e-6)
    assert found[0, [0, 1, 4, 5, 6]].tolist() == [0, 0, 1, 1, 1]


def test_contrast_narrows_the_edge_about_its_middle() -> None:
    soft = disc(70, 4)
    hard = adjust_alpha(soft, Refinement(contrast=60))
    np.testing.assert_allclose(radii(hard), radii(soft), atol=0.06)
    inside = (hard > 0.01) & (hard < 0.99)
    np.testing.assert_allclose(hard[inside], ((soft - 0.5) / 0.4 + 0.5)[inside], atol=1e-5)
    full = adjust_alpha(np.float32([[0, 0.49, 0.5, 0.51, 1]]), Refinement(contrast=100))
    assert full.tolist() == [[0, 0, 0.5, 1, 1]]


@pytest.mark.parametrize(
    "lengths",
    [{"shift_edge": 1.5}, {"feather": 2.0}, {"smooth": 1.2}, {"fill_holes": 4.0}, {"remove_specks": 4.0}],
)
def test_percent_scales_with_the_picture(lengths: dict[str, float]) -> None:
    small, large = (
        np.maximum(disc(60 * k, 3 * k, 240 * k) - disc(5 * k, 1.5 * k, 240 * k), disc(5 * k, 1.5 * k, 240 * k, 20 * k))
        for k in (1, 2)
    )
    found = [adjust_alpha(clean_mask(mask, wanted), wanted) for mask in (small, large)
             for wanted in [Refinement(unit="percent", **lengths)]]  # fmt: skip
    reduced = cv2.resize(found[1], (240, 240), interpolation=cv2.INTER_AREA)
    assert np.abs(reduced - found[0]).mean() < 0.002
    assert np.abs(found[0] - small).mean() > 0.001
    pixels = {name: value / 100 * math.hypot(240, 240) for name, value in lengths.items()}
    np.testing.assert_allclose(refine_mask(small, Refinement(**pixels)), found[0], atol=1e-5)


controls = st.fixed_dictionaries(
    {},
    optional={
        "invert": st.booleans(),
        "threshold": st.floats(0, 1),
        "fill_holes": st.floats(0, 30),
        "remove_specks": st.floats(0, 30),
        "keep_largest": st.integers(0, 3),
        "smooth": st.floats(0, 12),
        "black_point": st.floats(0, 0.5),
        "white_point": st.floats(0.51, 1),
        "shift_edge": st.floats(-12, 12),
        "feather": st.floats(0, 30),
        "contrast": st.floats(0, 100),
    },
)


@st.composite
def masks(draw: st.DrawFn) -> Mask:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    mask = rng.random((draw(st.integers(1, 40)), draw(st.integers(1, 40))), dtype=np.float32)
    return draw(st.sampled_from([mask, mask.round(), np.clip(mask * 3 - 1, 0, 1)]))


@settings(max_examples=60, deadline=None)
@given(masks(), controls)
def test_any_mask_stays_a_mask(mask: Mask, wanted: dict[str, float]) -> None:
    found = refine_mask(mask, Refinement(**wanted))
    assert found.shape == mask.shape
    assert found.dtype == np.float32
    assert found.min() >= 0
    assert found.max() <= 1


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([(1, 1), (1, 300), (280, 1), (17, 270)]), st.sampled_from([0.0, 1.0]), controls)
@example((1, 1), 1.0, {"black_point": 0.44738646905293644})
def test_empty_and_full_masks_stay(shape: tuple[int, int], value: float, wanted: dict[str, float]) -> None:
    wanted.pop("invert", None)
    found = refine_mask(np.full(shape, value, np.float32), Refinement(**wanted))
    assert (found == value).all()


@settings(max_examples=40, deadline=None)
@given(masks(), st.floats(-9, 9), st.floats(-9, 9))
def test_more_shift_is_more_mask(mask: Mask, one: float, other: float) -> None:
    less, more = (adjust_alpha(mask, Refinement(shift_edge=value)) for value in sorted((one, other)))
    assert (more - less).min() >= -1e-6


@settings(max_examples=30, deadline=None)
@given(masks(), st.floats(0.01, 1), st.floats(0.01, 1))
def test_a_higher_threshold_is_less_mask(mask: Mask, one: float, other: float) -> None:
    more, less = (clean_mask(mask, Refinement(threshold=value)) for value in sorted((one, other)))
    assert (more >= less).all()
    np.testing.assert_array_equal(clean_mask(more, Refinement(threshold=max(0.5, one))), more)


@settings(max_examples=30, deadline=None)
@given(masks(), st.floats(1, 20))
def test_filled_holes_only_add_and_removed_specks_only_take(mask: Mask, size: float) -> None:
    filled = clean_mask(mask, Refinement(fill_holes=size))
    assert (filled[filled != mask] == 1).all()
    cleaned = clean_mask(mask, Refinement(remove_specks=size))
    assert (cleaned[cleaned != mask] == 0).all()
    if mask.max() > 0.5:
        kept = clean_mask(mask, Refinement(keep_largest=1))
        assert cv2.connectedComponents((kept > 0.5).astype(np.uint8), connectivity=8)[0] == 2


def test_tiles_leave_no_seams() -> None:
    mask = np.random.default_rng(3).random((300, 530), dtype=np.float32)
    mask = np.clip(cv2.GaussianBlur(mask, (0, 0), 2) * 8 - 3.5, 0, 1)
    for name, value in (("shift_edge", 6.4), ("feather", 3.0), ("smooth", 2.0)):
        whole = refine_mask(mask, Refinement(**{name: value}))
        part = refine_mask(mask[100:, 60:], Refinement(**{name: value}))
        np.testing.assert_allclose(part[40:, 40:], whole[140:, 100:], atol=1e-5)


@pytest.mark.parametrize("bad", [np.zeros((2, 3, 3)), np.full((3, 3), np.nan), np.full((3, 3), 2.0), np.zeros((0, 4))])
def test_bad_masks_are_refused(bad: NDArray[np.float64]) -> None:
    with pytest.raises(InputError):
        refine_mask(bad, Refinement(feather=1))
    with pytest.raises(InputError):
        refine_mask(bad, Refinement())


def test_a_mask_of_eight_bits_is_read() -> None:
    found = refine_mask(np.array([[0, 51, 255]], np.uint8), Refinement(invert=True))
    np.testing.assert_allclose(found, [[1, 0.8, 0]], atol=1e-6)


def test_raising_in_progress_stops_the_work_and_leaves_no_thread() -> None:
    mask = np.random.default_rng(0).random((600, 600), dtype=np.float32)
    calls = []

    def stop(fraction: float, message: str) -> None:
        calls.append((fraction, message))
        if fraction > 0.1:
            raise Cancelled

    with pytest.raises(Cancelled):
        adjust_alpha(mask, Refinement(shift_edge=20), progress=stop)
    assert calls[0] == (0.0, "Shifting the edge")
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("gossamer-tile")]


def test_progress_rises_to_one() -> None:
    seen: list[float] = []
    refine_mask(disc(60), Refinement(smooth=2, feather=2, contrast=10), progress=lambda f, _: seen.append(f))
    assert seen == sorted(seen)
    assert seen[-1] == 1


def test_the_names_and_neutral_defaults_are_kept() -> None:
    found = {item.name: item.default for item in parameters() if item.stage == "refinement"}
    assert found == {
        "refinement_unit": "px",
        "refinement_invert": False,
        "refinement_threshold": 0,
        "refinement_fill_holes": 0,
        "refinement_remove_specks": 0,
        "refinement_keep_largest": 0,
        "refinement_smooth": 0,
        "refinement_black_point": 0,
        "refinement_white_point": 1,
        "refinement_shift_edge": 0,
        "refinement_feather": 0,
        "refinement_contrast": 0,
    }
    assert recipe_from_flat({"refinement-shift-edge": "-1.5"}) == Recipe(refinement=Refinement(shift_edge=-1.5))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"refinement_unit": "percent", "refinement_feather": 20}, ["refinement.feather", "at most 5"]),
        ({"refinement_unit": "percent", "refinement_shift_edge": -20}, ["refinement.shift_edge", "at most 5"]),
        ({"refinement_black_point": 0.6, "refinement_white_point": 0.6}, ["refinement.white_point", "0.6"]),
        ({"refinement_smooth": -1}, ["refinement.smooth"]),
    ],
)
def test_impossible_settings_are_named(values: dict[str, object], words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        recipe_from_flat(values)
    for word in words:
        assert word in str(caught.value)
