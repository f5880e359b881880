"""The second look at big pictures: finer where the network is right, unchanged where it forgets the subject."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossamer.errors import Cancelled
from gossamer.progress import Progress
from gossamer.segmentation.detail import add_detail, cover
from gossamer.segmentation.model import SegmentationModel
from gossamer.weights.catalogue import InputSpec, OutputSpec
from tests.segmentation.networks import Painted

FED = InputSpec(size=(128, 128), resize="area", quantize="none", scale="255", mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
READ = OutputSpec(index=0, activation="none", normalise="none", resize="bilinear")


def subject(height: int = 700, width: int = 900) -> np.ndarray:
    """A white disc with rays that are finer than a pixel of a network of 128 x 128, on black."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    dy, dx = y - height / 2, x - width / 2
    radius, angle = np.hypot(dy, dx), np.arctan2(dy, dx)
    reach = 0.25 * height + 0.08 * height * (np.sin(60 * angle) > 0)
    return (radius < reach).astype(np.float32)


def picture(mask: np.ndarray) -> np.ndarray:
    return np.repeat((mask * 255).astype(np.uint8)[..., None], 3, axis=2)


def test_a_network_that_sees_right_sees_more_from_nearby() -> None:
    truth = subject()
    model = SegmentationModel("grey", Painted(lambda x: x), (FED, READ))
    far = model.predict(picture(truth))
    near = model.predict(picture(truth), detail=True)
    assert np.abs(near - truth).mean() < 0.75 * np.abs(far - truth).mean()
    edge = np.abs(np.hypot(*np.gradient(truth))) > 0
    assert np.abs(near - truth)[edge].mean() < np.abs(far - truth)[edge].mean()
    assert near.min() >= 0
    assert near.max() <= 1


def test_far_from_the_edge_nothing_changes() -> None:
    """Also where every tile has something to say, such as a spot that only the closer look shows."""
    truth = subject()
    spotted = truth.copy()
    spotted[20:24, 20:24] = 1
    model = SegmentationModel("grey", Painted(lambda x: np.where(x > 0.3, x, 0)), (FED, READ))
    far = model.predict(picture(spotted))
    near = model.predict(picture(spotted), detail=True)
    assert np.array_equal(near[:60, :60], far[:60, :60])


@pytest.mark.parametrize("forgetful", [lambda x: 1 - x, lambda x: np.zeros_like(x), lambda x: np.ones_like(x)])
def test_a_network_that_loses_sight_of_the_subject_changes_nothing(forgetful) -> None:
    truth = subject()
    whole = SegmentationModel("grey", Painted(lambda x: x), (FED, READ))
    lost = SegmentationModel("lost", Painted(forgetful), (FED, READ))
    mask = whole.predict(picture(truth))
    near = add_detail(picture(truth), mask, (128, 128), lambda crops, progress: [lost.predict(c) for c in crops])
    assert np.abs(near - mask).max() < 1e-6


def test_levels_of_a_tile_are_brought_to_the_first_masks() -> None:
    """Min-max and the like give each tile other blacks and whites than the whole picture."""
    truth = subject()
    whole = SegmentationModel("grey", Painted(lambda x: x), (FED, READ))
    pale = SegmentationModel("pale", Painted(lambda x: 0.1 + 0.8 * x), (FED, READ))
    mask = whole.predict(picture(truth))
    results = [
        add_detail(picture(truth), mask, (128, 128), lambda crops, progress, of=of: [of.predict(c) for c in crops])
        for of in (whole, pale)
    ]
    assert np.abs(results[0] - results[1]).max() < 0.02


def test_the_same_picture_gives_the_same_mask_in_bytes_and_floats() -> None:
    image = picture(subject())
    model = SegmentationModel("grey", Painted(lambda x: x), (FED, READ))
    masks = [model.predict(one, detail=True) for one in (image, image, image.astype(np.float32) / np.float32(255))]
    assert np.array_equal(masks[0], masks[1])
    assert np.array_equal(masks[0], masks[2])


def test_with_flips_a_mirrored_picture_gives_the_mirrored_mask() -> None:
    image = picture(subject(600, 600))
    model = SegmentationModel("grey", Painted(lambda x: x), (FED, READ))
    mask = model.predict(image, detail=True, flips=True)
    mirrored = model.predict(np.ascontiguousarray(image[:, ::-1]), detail=True, flips=True)
    assert np.abs(mirrored[:, ::-1] - mask).mean() < 1e-3


@pytest.mark.parametrize("shape", [(140, 130), (1, 1), (128, 128)])
def test_a_small_picture_is_not_looked_at_again(shape: tuple[int, int]) -> None:
    network = Painted(lambda x: x)
    model = SegmentationModel("grey", network, (FED, READ))
    model.predict(picture(subject(*shape)), detail=True)
    assert network.batches == [1]


@pytest.mark.parametrize("value", [0, 255])
def test_a_picture_without_an_edge_is_not_looked_at_again(value: int) -> None:
    network = Painted(lambda x: x)
    model = SegmentationModel("grey", network, (FED, READ))
    mask = model.predict(np.full((600, 600, 3), value, np.uint8), detail=True)
    assert network.batches == [1]
    assert np.allclose(mask, value / 255)


@pytest.mark.parametrize("shape", [(200, 20000), (20000, 200), (3, 30000)])
def test_extreme_shapes(shape: tuple[int, int]) -> None:
    truth = np.zeros(shape, np.float32)
    truth[:, : shape[1] // 3] = 1
    model = SegmentationModel("grey", Painted(lambda x: x), (FED, READ))
    near = model.predict(picture(truth), detail=True)
    assert near.shape == shape
    assert np.abs(near - truth).mean() < 0.02


def test_it_can_be_cancelled_at_any_tile() -> None:
    model = SegmentationModel("grey", Painted(lambda x: x), (FED, READ))
    fractions: list[float] = []

    def note(fraction: float, message: str) -> None:
        fractions.append(fraction)
        if message.startswith("Looking closer, 2"):
            raise Cancelled

    with pytest.raises(Cancelled):
        model.predict(picture(subject()), note, detail=True)
    assert fractions == sorted(fractions)
    assert 0.3 < fractions[-1] < 1


def test_progress_of_one_tile_after_another() -> None:
    truth = subject()
    fractions: list[float] = []
    steps = Progress(lambda fraction, message: fractions.append(fraction))
    model = SegmentationModel("grey", Painted(lambda x: x), (FED, READ))
    model.predict(picture(truth), steps, detail=True)
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1


@settings(deadline=None, max_examples=40)
@given(
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    share=st.floats(0.3, 0.9),
    density=st.sampled_from([0.0, 0.002, 0.05, 1.0]),
    seed=st.integers(0, 99),
)
def test_tiles_cover_every_edge_with_their_middles(
    height: int, width: int, share: float, density: float, seed: int
) -> None:
    edge = np.random.default_rng(seed).random((height, width)) < density
    tile = (int(np.ceil(height * share)), int(np.ceil(width * share)))
    boxes = cover(edge, tile)
    covered = np.zeros_like(edge)
    for box in boxes:
        assert 0 <= box.top <= height - tile[0]
        assert 0 <= box.left <= width - tile[1]
        assert (box.height, box.width) == tile
        covered[box.top : box.top + box.height, box.left : box.left + box.width] = True
    assert (edge & ~covered).sum() <= 0.01 * edge.sum()
    assert boxes == cover(edge, tile)
