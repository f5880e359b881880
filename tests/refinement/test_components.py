"""Holes, specks and the largest parts."""

from __future__ import annotations

import cv2
import numpy as np

from gossamer.refinement import clean_mask
from gossamer.settings.recipe import Refinement
from tests.refinement.shapes import Mask, disc, erf


def with_holes() -> Mask:
    """Soft holes of the radii 4 and 9 in a soft block that touches the left border, with a bay and a corner."""
    mask = np.zeros((160, 240), np.float32)
    mask[20:140, :200] = 1
    mask[20:26, :4] = 0  # at the border: not enclosed
    mask = cv2.GaussianBlur(mask, (0, 0), 1.5)
    y, x = np.mgrid[:160, :240]
    for cx, radius in ((60, 4), (120, 9)):
        mask *= 1 - (0.5 + 0.5 * erf((radius - np.hypot(x - cx, y - 80)) / 1.5)).astype(np.float32)
    return mask


def test_holes_up_to_the_area_are_filled_and_others_stay() -> None:
    mask = with_holes()
    filled = clean_mask(mask, Refinement(fill_holes=12))  # a disc of radius 6
    assert (filled[65:95, 45:75] > 1 - 1 / 255).all()  # with its soft skirt
    untouched = np.ones(mask.shape, bool)
    untouched[65:95, 45:75] = False
    np.testing.assert_array_equal(filled[untouched], mask[untouched])
    assert (clean_mask(mask, Refinement(fill_holes=30))[60:100, 40:140] > 0.99).all()
    np.testing.assert_array_equal(clean_mask(mask, Refinement(fill_holes=6)), mask)
    again = clean_mask(filled, Refinement(fill_holes=12))
    np.testing.assert_array_equal(again, filled)


def test_a_hole_behind_a_diagonal_wall_is_enclosed() -> None:
    mask = np.float32([[0, 0, 1, 0, 0], [0, 1, 0, 1, 0], [1, 0, 0, 0, 1], [0, 1, 0, 1, 0], [0, 0, 1, 0, 0]])
    filled = clean_mask(mask, Refinement(fill_holes=3))
    assert filled[1:4, 1:4].all()
    assert (filled[[0, 0, 4, 4], [0, 4, 0, 4]] == 0).all()


def with_specks() -> Mask:
    """A soft disc of radius 50, soft specks of the radii 3 and 8, and a faint one of radius 3."""
    mask = disc(50, 1.5, 301, 100)
    for centre, radius, strength in ((200, 3, 1.0), (250, 8, 1.0), (280, 3, 0.3)):
        mask = np.maximum(mask, np.float32(strength) * disc(radius, 1.5, 301, centre))
    return mask


def test_specks_up_to_the_area_go_with_their_skirts() -> None:
    mask = with_specks()
    cleaned = clean_mask(mask, Refinement(remove_specks=16 - 2))  # more than the soft area of the faint one
    assert cleaned[185:215, 185:215].max() < 1 / 255
    assert cleaned[272:290, 272:290].max() < 1 / 255
    np.testing.assert_array_equal(cleaned[:170, :170], mask[:170, :170])
    np.testing.assert_array_equal(cleaned[225:270, 225:270], mask[225:270, 225:270])
    np.testing.assert_array_equal(clean_mask(cleaned, Refinement(remove_specks=14)), cleaned)
    assert clean_mask(mask, Refinement(remove_specks=20))[230:270, 230:270].max() < 1 / 255


def test_a_speck_in_the_haze_of_the_subject_goes_without_it() -> None:
    mask = np.maximum(with_specks(), np.float32(0.1))
    cleaned = clean_mask(mask, Refinement(remove_specks=14))
    assert cleaned[190:210, 190:210].max() == 0
    near = np.hypot(*(np.mgrid[:301, :301] - 100)) < 60
    np.testing.assert_array_equal(cleaned[near], mask[near])


def test_keep_largest_keeps_so_many() -> None:
    mask = with_specks()
    one, two = (clean_mask(mask, Refinement(keep_largest=count)) for count in (1, 2))
    assert one[170:, 170:].max() < 1 / 255
    np.testing.assert_array_equal(one[:165, :165], mask[:165, :165])
    assert two[185:215, 185:215].max() < 1 / 255
    np.testing.assert_array_equal(two[225:270, 225:270], mask[225:270, 225:270])
    np.testing.assert_array_equal(clean_mask(two, Refinement(keep_largest=2)), two)
    faint = mask * np.float32(0.4)
    assert clean_mask(faint, Refinement(keep_largest=1)) is faint  # nothing is certain: nothing is largest
