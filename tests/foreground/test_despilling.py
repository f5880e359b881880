from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossamer.errors import InputError
from gossamer.foreground import despill

LUMA = np.array([0.2126, 0.7152, 0.0722])
SOFT = np.full((1, 1), 0.5, np.float32)


def one(colour):
    return np.array(colour, np.float32).reshape(1, 1, 3)


def test_green_is_limited_to_the_average_and_luminance_stays():
    result = despill(one([0.3, 0.6, 0.2]), SOFT)[0, 0]
    assert result[1] == pytest.approx((result[0] + result[2]) / 2, abs=1e-6)
    assert result @ LUMA == pytest.approx(np.dot([0.3, 0.6, 0.2], LUMA), abs=1e-6)
    # Red and blue keep their distance: nothing but green and grey was changed.
    assert result[0] - result[2] == pytest.approx(0.1, abs=1e-6)


def test_blue_is_limited_to_the_maximum():
    result = despill(one([0.3, 0.5, 0.8]), SOFT, "blue", limit="maximum")[0, 0]
    assert result[2] == pytest.approx(result[1], abs=1e-6)
    assert result @ LUMA == pytest.approx(np.dot([0.3, 0.5, 0.8], LUMA), abs=1e-6)


@pytest.mark.parametrize("colour", [[0.6, 0.4, 0.2], [0.5, 0.5, 0.5], [0.9, 0.5, 0.8], [0, 0, 0], [1, 1, 1]])
def test_colours_without_green_spill_are_unchanged(colour):
    np.testing.assert_array_equal(despill(one(colour), SOFT), one(colour))


def test_strength_is_linear_and_zero_changes_nothing():
    start = one([0.3, 0.6, 0.2])
    full, half = despill(start, SOFT), despill(start, SOFT, strength=0.5)
    np.testing.assert_array_equal(despill(start, SOFT, strength=0), start)
    np.testing.assert_allclose(half, (start + full) / 2, atol=1e-6)


def test_a_colour_of_ones_own_generalises_green():
    start = np.random.default_rng(0).random((5, 6, 3), dtype=np.float32)
    alpha = np.full((5, 6), 0.5)
    np.testing.assert_allclose(despill(start, alpha, (0, 0.7, 0)), despill(start, alpha), atol=1e-6)
    screen = np.array([0.1, 0.7, 0.3], np.float32)
    result = despill(start, alpha, screen)
    hue = screen - screen.mean()
    assert (result @ hue).max() < 1e-6
    kept = start @ hue < 0
    np.testing.assert_array_equal(result[kept], start[kept])


def test_recovers_the_subject_from_a_screens_light():
    # A grey subject whose edges reflect the screen: they become grey again, a green shirt inside does not.
    alpha = np.zeros((60, 80), np.float32)
    alpha[10:50, 10:70] = 1
    alpha[9, 10:70] = 0.5
    foreground = np.full((60, 80, 3), 0.5, np.float32)
    foreground[:12, :, 1] = 0.7
    foreground[28:32, 38:42] = (0.1, 0.8, 0.1)
    result = despill(foreground, alpha, reach=4)
    assert np.ptp(result[9, 10:70], axis=1).max() < 1e-6
    np.testing.assert_array_equal(result[28:32, 38:42], foreground[28:32, 38:42])
    everywhere = despill(foreground, alpha, reach=math.inf)
    assert everywhere[30, 40, 1] <= 0.11 + 0.5


def test_reach_fades_out():
    alpha = np.ones((1, 50), np.float32)
    alpha[0, 0] = 0
    foreground = np.tile(np.array([0.2, 0.8, 0.2], np.float32), (1, 50, 1))
    excess = (despill(foreground, alpha, reach=10)[0] @ np.array([-0.5, 1, -0.5])).astype(float)
    assert excess[0] == pytest.approx(0, abs=1e-6)
    assert (np.diff(excess) >= -1e-6).all()
    assert excess[5] == pytest.approx(0.6 * 5 / 11, abs=0.02)
    np.testing.assert_allclose(excess[12:], 0.6, atol=1e-6)


def test_a_subject_without_edges_is_unchanged():
    foreground = np.tile(np.array([0.2, 0.8, 0.2], np.float32), (4, 5, 1))
    np.testing.assert_array_equal(despill(foreground, np.ones((4, 5))), foreground)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    colour=st.sampled_from(["green", "blue", (1, 0, 0), (0.2, 0.9, 0.4)]),
    strength=st.floats(0, 1),
)
def test_never_leaves_the_range_or_adds_spill(seed, colour, strength):
    start = np.random.default_rng(seed).random((3, 4, 3), dtype=np.float32)
    result = despill(start, np.full((3, 4), 0.7), colour, strength)
    assert result.min() >= 0
    assert result.max() <= 1
    named = {"green": (0, 1, 0), "blue": (0, 0, 1)}
    screen = np.array(named.get(colour, colour) if isinstance(colour, str) else colour)
    hue = screen - screen.mean()
    assert (np.maximum(result @ hue, 0) <= np.maximum(start @ hue, 0) + 1e-6).all()


@pytest.mark.parametrize(
    "settings",
    [
        {"colour": "pink"},
        {"colour": (1, 1, 1)},
        {"colour": (0, 0, 0)},
        {"colour": (1, 2)},
        {"colour": (0, np.nan, 0)},
        {"colour": (-1, 1, 0)},
        {"strength": 1.5},
        {"strength": math.nan},
        {"reach": -1},
        {"reach": math.nan},
        {"limit": "double"},
        {"limit": "maximum", "colour": (0.1, 1, 0.1)},
    ],
)
def test_bad_settings_are_refused_with_a_remedy(settings):
    with pytest.raises(InputError) as caught:
        despill(one([0.1, 0.9, 0.1]), SOFT, **settings)
    assert caught.value.remedy
