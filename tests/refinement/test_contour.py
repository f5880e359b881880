"""Shift, feather and smooth, measured on discs and edges."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from gossamer.refinement import adjust_alpha, clean_mask
from gossamer.settings.recipe import Refinement
from tests.refinement.shapes import Mask, disc, edge, length_of_contour, radii


@pytest.mark.long
@pytest.mark.parametrize("distance", [2.5, -2.5, 0.4, -0.7, 1.0, 7.3, -20.25])
@pytest.mark.parametrize("softness", [0, 1.5, 5])
def test_shift_moves_the_contour_and_keeps_its_softness(distance: float, softness: float) -> None:
    before = disc(60, softness)
    after = adjust_alpha(before, Refinement(shift_edge=distance))
    np.testing.assert_allclose(radii(after) - radii(before), distance, atol=0.11 if softness else 0.26)
    assert radii(after).mean() - radii(before).mean() == pytest.approx(distance, abs=0.1)
    widths = [radii(mask, 0.25).mean() - radii(mask, 0.75).mean() for mask in (before, after)]
    assert widths[1] == pytest.approx(widths[0], abs=0.15 if softness else 0.4)  # 0: one pixel wide at most


def test_shift_of_a_hard_edge_counts_fractions() -> None:
    mask = edge(0, 3, 20)  # its contour lies between pixels 9 and 10
    assert adjust_alpha(mask, Refinement(shift_edge=2.5))[1, 9:15].tolist() == [1, 1, 1, 0.5, 0, 0]
    assert adjust_alpha(mask, Refinement(shift_edge=-0.25))[1, 8:12].tolist() == [1, 0.75, 0, 0]


def test_shift_keeps_what_touches_the_border() -> None:
    mask = np.ones((30, 30), np.float32)
    mask[:, 20:] = 0
    shrunk = adjust_alpha(mask, Refinement(shift_edge=-5))
    assert (shrunk[:, :15] == 1).all()
    assert (shrunk[:, 15:] == 0).all()


def test_shifts_add_up() -> None:
    mask = disc(50, 3)
    twice = adjust_alpha(adjust_alpha(mask, Refinement(shift_edge=4)), Refinement(shift_edge=4))
    np.testing.assert_allclose(twice, adjust_alpha(mask, Refinement(shift_edge=8)), atol=0.02)


@pytest.mark.parametrize("sigma", [0.7, 2.0, 4.99, 7.9, 8.1, 17.0, 33.3])
def test_feather_is_a_gaussian_of_that_standard_deviation(sigma: float) -> None:
    found = adjust_alpha(edge(0), Refinement(feather=sigma))
    np.testing.assert_allclose(found, edge(sigma), atol=0.006 if sigma > 1 else 0.03)
    moments = np.diff(found[20].astype(float)), np.arange(239) - 119
    deviation = math.sqrt((moments[0] * moments[1] ** 2).sum() / moments[0].sum())
    assert deviation == pytest.approx(sigma, rel=0.03)


def test_the_narrowest_feather_and_smooth_change_nothing() -> None:
    mask = np.random.default_rng(1).random((30, 20), dtype=np.float32)
    for sigma in (1e-200, 1e-9, 0.01):
        np.testing.assert_array_equal(adjust_alpha(mask, Refinement(feather=sigma)), mask)
        np.testing.assert_allclose(clean_mask(mask, Refinement(smooth=sigma)), mask, atol=1e-6)


def test_feathers_of_any_width_agree_with_the_direct_gaussian() -> None:
    mask = np.random.default_rng(1).random((97, 131), dtype=np.float32).round()
    for sigma in (3.0, 9.0, 16.0):
        direct = cv2.GaussianBlur(mask, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
        np.testing.assert_allclose(adjust_alpha(mask, Refinement(feather=sigma)), direct, atol=0.01)


def jagged(size: int = 400, radius: float = 130) -> Mask:
    """A disc with the teeth of a mask that was enlarged by pixel repetition."""
    y, x = np.mgrid[: size // 8, : size // 8] * 8 + 3.5
    coarse = (np.hypot(x - size / 2, y - size / 2) < radius).astype(np.float32)
    return np.kron(coarse, np.ones((8, 8), np.float32))


@pytest.mark.parametrize("sigma", [4, 6, 12])
def test_smooth_rounds_a_jagged_contour_and_keeps_its_area(sigma: float) -> None:
    mask = jagged()
    found = clean_mask(mask, Refinement(smooth=sigma))
    around = 2 * math.pi * math.sqrt(mask.sum() / math.pi)
    assert length_of_contour(mask) > 1.2 * around
    assert length_of_contour(found) < 1.05 * around
    assert found.sum() == pytest.approx(mask.sum(), rel=0.002)
    soft = ((found > 0.02) & (found < 0.98)).sum()
    assert soft < 2.5 * around  # an antialiased edge, not a blurred one


@pytest.mark.parametrize(("softness", "sigma"), [(0, 3), (1.5, 3), (4, 3), (4, 8), (1.5, 20), (0, 20)])
def test_smooth_leaves_a_smooth_disc_and_its_softness_alone(softness: float, sigma: float) -> None:
    mask = disc(80, softness)
    found = clean_mask(mask, Refinement(smooth=sigma))
    np.testing.assert_allclose(radii(found), radii(mask), atol=0.3)
    width = radii(mask, 0.25).mean() - radii(mask, 0.75).mean()
    found_width = radii(found, 0.25).mean() - radii(found, 0.75).mean()
    assert found_width == pytest.approx(width, rel=0.2, abs=0.15)


def test_smooth_leaves_flat_grey_alone() -> None:
    mask = disc(80, 2)
    mask[:, :60] = 0.3
    found = clean_mask(mask, Refinement(smooth=3))
    np.testing.assert_allclose(found[:, :40], 0.3, atol=1e-4)
