"""Trimaps: fixed bands, and bands that adapt to the mask, its subject and the picture."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from gossamer import InputError
from gossamer.matting.trimap import trimap_from_mask


def disc(height: int, width: int, radius: float, centre: tuple[float, float] | None = None) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    cy, cx = centre or (height / 2, width / 2)
    return (np.hypot(y - cy, x - cx) < radius).astype(np.float32)


def unknown_near(trimap: np.ndarray, rows: slice, columns: slice) -> float:
    return float((trimap[rows, columns] == 0.5).sum())


def test_a_fixed_band_is_that_many_pixels_on_either_side():
    mask = np.zeros((60, 80), np.float32)
    mask[:, 40:] = 1
    trimap = trimap_from_mask(mask, band=7)
    expected = np.repeat([0.0, 0.5, 1.0], [33, 14, 33])
    np.testing.assert_array_equal(trimap, np.tile(expected, (60, 1)).astype(np.float32))


def test_uncertain_values_are_unknown():
    mask = np.zeros((50, 200), np.float32)
    mask[:, :60] = 1
    mask[20:30, 150:160] = 0.3
    for band in (3, None):
        trimap = trimap_from_mask(mask, band=band)
        assert (trimap[20:30, 150:160] == 0.5).all()
        assert (trimap[:, 40] == 1).all()
        assert (trimap[:15, 150:160] == 0).all()


@pytest.mark.long
def test_the_band_grows_with_the_picture():
    counts = []
    for factor in (1, 3):
        trimap = trimap_from_mask(disc(600 * factor, 800 * factor, 200 * factor))
        counts.append((trimap == 0.5).mean())
    assert counts[1] == pytest.approx(counts[0], rel=0.15)


def test_the_band_is_wider_where_the_mask_is_softer():
    """Left a hard edge, right one that takes 40 pixels: more is unknown than the ramp itself."""
    ramp = np.clip((300 - np.arange(400)) / 40 + 0.5, 0, 1)
    mask = np.tile(np.minimum((np.arange(400) >= 100).astype(np.float32), ramp.astype(np.float32)), (300, 1))
    trimap = trimap_from_mask(mask)
    hard, soft = (
        unknown_near(trimap, slice(100, 200), slice(0, 200)),
        unknown_near(trimap, slice(100, 200), slice(200, 400)),
    )
    ramp_alone = ((mask > 0.05) & (mask < 0.95))[100:200, 200:].sum()
    assert hard > 0
    assert soft > 4 * hard
    assert soft > ramp_alone


def test_the_band_is_wider_where_the_edge_is_intricate():
    mask = np.zeros((600, 800), np.float32)
    mask[:, 300:] = 1
    teeth = mask.copy()
    teeth[np.arange(600) % 16 < 8, 270:300] = 1
    outside = slice(0, 270)
    assert unknown_near(trimap_from_mask(teeth), slice(200, 400), outside) > 1.3 * unknown_near(
        trimap_from_mask(mask), slice(200, 400), slice(0, 300)
    )


@pytest.mark.parametrize("with_image", [False, True])
def test_thin_subjects_keep_a_known_core(with_image):
    mask = disc(600, 800, 4) + disc(600, 800, 100, (300, 150))
    mask[400:404, 500:700] = 1
    image = np.where(mask[..., None] > 0, np.float32(0.8), np.float32(0.2)) * np.ones(3, np.float32)
    trimap = trimap_from_mask(mask, image if with_image else None)
    count, labels = cv2.connectedComponents(mask.astype(np.uint8))
    assert count == 4
    for label in range(1, count):
        assert (trimap[labels == label] == 1).any()
    assert (trimap[mask == 0] != 1).all()
    assert (trimap[mask == 1] != 0).all()


def test_the_picture_widens_the_band_where_the_mask_is_wrong():
    """The mask lacks a bump of 12 pixels on the right side of the subject; on the left it is exact."""
    truth = np.zeros((600, 800), np.float32)
    truth[100:500, 200:500] = 1
    mask = truth.copy()
    truth[250:350, 500:512] = 1
    random = np.random.default_rng(5)
    image = np.where(truth[..., None] > 0, np.float32([0.8, 0.5, 0.2]), np.float32([0.2, 0.4, 0.6]))
    image = np.clip(image + 0.03 * random.standard_normal(image.shape), 0, 1).astype(np.float32)
    trimap = trimap_from_mask(mask, image)
    missing = (truth > 0) & (mask == 0)
    assert (trimap[missing] == 0.5).mean() > 0.97
    assert (trimap_from_mask(mask)[missing] == 0.5).mean() < 0.3
    assert (trimap[200:400, 150:250] == 0.5).mean() < 0.1


@pytest.mark.long
def test_a_large_picture():
    mask = disc(1500, 2000, 500)
    image = np.where(mask[..., None] > 0, np.float32(0.8), np.float32(0.2)) * np.ones(3, np.float32)
    trimap = trimap_from_mask(mask, image)
    assert trimap.shape == mask.shape
    assert (trimap[mask > 0] > 0).all()
    assert 0.002 < (trimap == 0.5).mean() < 0.1


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (3, 3), (17, 5), (100, 100)])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_masks_without_an_edge_have_no_band(shape, value):
    mask = np.full(shape, value, np.float32)
    image = np.full((*shape, 3), 0.5, np.float32)
    for trimap in (trimap_from_mask(mask), trimap_from_mask(mask, image), trimap_from_mask(mask, band=10)):
        np.testing.assert_array_equal(trimap, mask)


@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (2, 3), (3, 3), (17, 5), (66, 65)])
def test_small_masks(shape):
    random = np.random.default_rng(6)
    mask, image = random.random(shape).astype(np.float32), random.random((*shape, 3)).astype(np.float32)
    for trimap in (trimap_from_mask(mask), trimap_from_mask(mask, image)):
        assert trimap.shape == shape
        assert set(np.unique(trimap)) <= {0.0, 0.5, 1.0}


def test_wrong_input_is_refused():
    with pytest.raises(InputError, match="at least 1"):
        trimap_from_mask(np.zeros((4, 4), np.float32), band=0)
    with pytest.raises(InputError):
        trimap_from_mask(np.full((4, 4), np.nan, np.float32))
    with pytest.raises(InputError, match="Resize"):
        trimap_from_mask(np.zeros((4, 4), np.float32), np.zeros((4, 5, 3), np.float32))
