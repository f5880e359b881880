"""Array contracts and resampling, compared with the libraries that the models' authors use."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt
from skimage.transform import resize

from gossamer.arrays import as_mask, as_rgb, box_around, distances, normalise
from gossamer.errors import InputError
from gossamer.resampling import bilinear, skimage_resize


@pytest.mark.long
@settings(deadline=None, max_examples=30)
@given(height=st.integers(1, 900), width=st.integers(1, 700), seed=st.integers(0, 99))
def test_skimage_resize_equals_skimage(height: int, width: int, seed: int) -> None:
    picture = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    expected = resize(picture, (320, 320), mode="constant")
    ours = skimage_resize(picture, 320, 320) / 255
    np.testing.assert_allclose(ours, expected, atol=2e-6)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 5), (31, 17), (600, 400)])
def test_bilinear_equals_torch(height: int, width: int) -> None:
    picture = np.random.default_rng(1).random((height, width, 3), dtype=np.float32)
    tensor = torch.from_numpy(picture).permute(2, 0, 1)[None]
    expected = torch.nn.functional.interpolate(tensor, (97, 203), mode="bilinear")[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(bilinear(picture, 97, 203), expected, atol=5e-5)


def test_normalise_does_not_invent_a_subject_in_a_flat_prediction() -> None:
    flat = np.full((4, 4), 0.25, np.float32)
    assert np.array_equal(normalise(flat), flat)
    assert np.array_equal(normalise(np.float32([[0.2, 0.4]])), np.float32([[0, 1]]))


def test_integer_pictures_are_scaled_exactly() -> None:
    deep = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    assert np.array_equal(np.rint(as_mask(deep) * 65535), deep)
    assert as_rgb(np.full((1, 1, 3), 255, np.uint8)).max() == 1
    assert as_mask(np.array([[True, False]])).tolist() == [[1, 0]]


def test_a_good_picture_is_not_copied() -> None:
    picture = np.zeros((2, 2, 3), np.float32)
    assert as_rgb(picture) is picture


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((4, 4)), "shape (4, 4)"),
        (np.zeros((0, 4, 3)), "no pixels"),
        (np.full((2, 2, 3), 2.0), "from 2 to 2"),
        (np.full((2, 2, 3), np.nan), "NaN"),
        (np.full((2, 2, 3), np.inf), "inf"),
        (np.zeros((2, 2, 3), np.int64), "int64"),
    ],
)
def test_bad_pictures_are_refused(array: np.ndarray, words: str) -> None:
    with pytest.raises(InputError) as caught:
        as_rgb(array)
    assert words in str(caught.value)


def test_a_mask_of_another_size_names_both_sizes() -> None:
    with pytest.raises(InputError, match=r"5 x 4 pixels, but the picture is 7 x 6"):
        as_mask(np.zeros((4, 5)), (6, 7, 3))


def test_a_box_holds_what_is_there_and_a_margin_that_ends_at_the_border() -> None:
    there = np.zeros((9, 7), bool)
    there[3, 2] = there[5, 6] = True
    rows, columns = box_around(there, 3)
    assert (np.arange(9)[rows].tolist(), np.arange(7)[columns].tolist()) == ([*range(9)], [*range(7)])
    rows, columns = box_around(there, 1)
    assert (np.arange(9)[rows].tolist(), np.arange(7)[columns].tolist()) == ([2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6])


def test_distances_are_exact_whatever_the_number_of_threads() -> None:
    random = np.random.default_rng(4)
    inside = random.random((300, 400)) > 0.0005
    expected = distance_transform_edt(inside)
    threads = cv2.getNumThreads()
    try:
        for number in (1, 2, 3):
            cv2.setNumThreads(number)
            found = distances(inside)
            assert found.dtype == np.float32
            assert np.array_equal(found, expected.astype(np.float32))
    finally:
        cv2.setNumThreads(threads)
