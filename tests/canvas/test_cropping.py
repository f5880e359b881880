"""Crops around a subject, and their way back."""

from __future__ import annotations

import numpy as np
import pytest

from gossamer.canvas import Box, crop_box, paste_back
from gossamer.errors import InputError


def matte(top: int, left: int, bottom: int, right: int) -> np.ndarray:
    alpha = np.zeros((100, 160), np.float32)
    alpha[top:bottom, left:right] = 1
    return alpha


def test_a_box_has_its_margin_and_stays_in_the_picture() -> None:
    assert crop_box([matte(30, 40, 60, 90)], margin=10) == Box(35, 25, 95, 65)
    assert crop_box([matte(0, 40, 60, 160)], margin=50) == Box(0, 0, 160, 100)


def test_a_box_holds_the_subjects_of_all_frames() -> None:
    frames = [matte(30, 40, 60, 90), np.zeros((100, 160), np.float32), matte(50, 80, 70, 120)]
    assert crop_box(frames, margin=0) == Box(40, 30, 120, 70)


@pytest.mark.parametrize("subject", [(30, 40, 61, 93), (0, 0, 33, 41), (90, 150, 100, 160), (0, 0, 100, 160)])
def test_sides_are_multiples_and_the_subject_is_inside(subject: tuple[int, int, int, int]) -> None:
    box = crop_box([matte(*subject)], margin=0, multiple=16)
    assert box.width % 16 == box.height % 16 == 0
    assert 0 <= box.left <= box.right <= 160
    assert 0 <= box.top <= box.bottom <= 100
    top, left, bottom, right = subject
    assert box.left <= left
    assert box.right >= right
    if bottom - top <= 96:  # 100 is no multiple of 16: the largest that there is
        assert box.top <= top
        assert box.bottom >= bottom


def test_nothing_is_no_box() -> None:
    with pytest.raises(InputError, match="Nothing is in the matte"):
        crop_box([np.zeros((10, 10), np.float32)])


def test_a_crop_pasted_back_is_the_picture() -> None:
    picture = np.random.default_rng(0).random((100, 160, 3), np.float32)
    box = Box(35, 25, 95, 65)
    part = picture[25:65, 35:95]
    assert np.abs(paste_back(picture, part, box, feather=8) - picture).max() < 1e-6
    changed = paste_back(picture, 1 - part, box)
    assert np.abs(changed[25:65, 35:95] - (1 - part)).max() < 1e-6
    outside = np.ones((100, 160), bool)
    outside[25:65, 35:95] = False
    assert (changed[outside] == picture[outside]).all()


def test_a_crop_fades_out_where_the_picture_goes_on() -> None:
    black, white = np.zeros((100, 160, 3), np.float32), np.ones((100, 60, 3), np.float32)
    row = paste_back(black, white, Box(0, 0, 60, 100), feather=10)[:, :, 0]
    assert (row[:, :50] == 1).all()  # at the picture's own borders there is no seam
    assert np.abs(row[50, 50:60] - (9.5 - np.arange(10)) / 10).max() < 1e-6
    assert (row[:, 60:] == 0).all()


def test_a_mask_says_what_is_pasted_and_a_size_is_scaled() -> None:
    black, grey = np.zeros((100, 160, 3), np.float32), np.full((80, 120, 3), 0.5, np.float32)
    mask = np.zeros((80, 120), np.float32)
    mask[:40] = 1
    result = paste_back(black, grey, Box(20, 10, 80, 50), mask=mask)
    assert np.abs(result[12:28, 20:80] - 0.5).max() < 1e-6
    assert np.abs(result[32:50, 20:80]).max() < 1e-6


def test_a_box_outside_is_told() -> None:
    with pytest.raises(InputError, match="does not lie in the picture of 160 x 100"):
        paste_back(np.zeros((100, 160, 3)), np.zeros((5, 5, 3)), Box(150, 0, 170, 10))
