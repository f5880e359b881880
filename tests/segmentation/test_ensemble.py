"""Several models combined, with answers that can be worked out by hand; flips and batches beside single runs."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossamer.errors import Cancelled, InputError
from gossamer.segmentation.ensemble import Ensemble, combine_masks
from gossamer.segmentation.model import SegmentationModel
from gossamer.weights.catalogue import InputSpec, OutputSpec
from tests.segmentation.networks import Painted

FED = InputSpec(
    size=(64, 64), resize="bilinear", quantize="none", scale="255", mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)
)
READ = OutputSpec(index=0, activation="none", normalise="none", resize="bilinear")


def masks(*values: float) -> list[np.ndarray]:
    return [np.full((3, 5), value, np.float32) for value in values]


@pytest.mark.parametrize(
    ("values", "combine", "expected"),
    [
        ((0.2, 0.6, 1.0), "mean", 0.6),
        ((0.2, 0.6, 1.0), "max", 1.0),
        ((0.2, 0.6, 1.0), "vote", 0.8),  # two of three: theirs alone counts
        ((0.0, 0.1, 1.0), "vote", 0.05),
        ((0.1, 0.2, 0.8, 1.0), "vote", 0.9),  # a draw, mean 0.525
        ((0.0, 0.1, 0.5, 0.7), "vote", 0.05),  # a draw, mean 0.325
        ((0.3,), "vote", 0.3),
    ],
)
def test_known_combinations(values: tuple[float, ...], combine: str, expected: float) -> None:
    combined = combine_masks(masks(*values), combine)
    np.testing.assert_allclose(combined.mask, expected, atol=1e-6)
    np.testing.assert_allclose(combined.disagreement, max(values) - min(values), atol=1e-6)


@settings(deadline=None, max_examples=30)
@given(count=st.integers(1, 6), height=st.integers(1, 200), seed=st.integers(0, 99))
def test_combinations_stay_between_their_masks_and_of_one_that_is_alone_nothing_changes(
    count: int, height: int, seed: int
) -> None:
    several = list(np.random.default_rng(seed).random((count, height, 7), dtype=np.float32))
    for combine in ("mean", "max", "vote"):
        mask = combine_masks(several, combine).mask
        assert (mask >= np.min(several, axis=0) - 1e-6).all()
        assert (mask <= np.max(several, axis=0) + 1e-6).all()
        assert np.array_equal(combine_masks(several[:1], combine).mask, several[0])


def test_a_model_that_is_quite_wrong_is_outvoted_and_seen() -> None:
    right = np.zeros((40, 40), np.float32)
    right[10:30, 10:30] = 1
    combined = combine_masks([right, 1 - right, right], "vote")
    assert np.array_equal(combined.mask, right)
    assert (combined.disagreement == 1).all()


def test_bad_combinations_are_refused() -> None:
    with pytest.raises(InputError, match="no combination 'median'"):
        combine_masks(masks(0, 1), "median")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="one size"):
        combine_masks([*masks(0), np.zeros((2, 2), np.float32)])
    with pytest.raises(InputError, match="no models"):
        Ensemble([])


def test_an_ensemble_is_used_as_a_model_is() -> None:
    bright = SegmentationModel("bright", Painted(lambda x: x), (FED, READ), ("be careful",))
    dark = SegmentationModel("dark", Painted(lambda x: 1 - x), (FED, READ), ("be careful",))
    both = Ensemble([bright, dark], "max")
    assert (both.id, both.device, both.warnings) == ("bright+dark (max)", "cpu", ("be careful",))
    picture = np.full((64, 64, 3), 0.25, np.float32)
    combined = both.predict_all(picture)
    np.testing.assert_allclose(combined.mask, 0.75, atol=1e-6)
    np.testing.assert_allclose(combined.disagreement, 0.5, atol=1e-6)
    assert np.array_equal(both.predict(picture), combined.mask)
    assert np.array_equal(both.predict_batch([picture])[0], combined.mask)
    seen: list[float] = []
    both.predict(picture, lambda fraction, message: seen.append(fraction))
    assert seen == sorted(seen)
    assert seen[-1] == 1

    def stop(fraction: float, message: str) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        both.predict(picture, stop)


def test_flips_are_the_mean_with_the_mirrored_picture() -> None:
    """A network that sees more on its left sees the same on both sides with flips."""
    slope = np.linspace(1, 0, 64, dtype=np.float32)
    model = SegmentationModel("left", Painted(lambda x: x * slope), (FED, READ))
    picture = np.full((64, 64, 3), 0.5, np.float32)
    np.testing.assert_allclose(model.predict(picture, flips=True), 0.25, atol=1e-6)
    rng = np.random.default_rng(0)
    noise = rng.random((50, 70, 3), dtype=np.float32)
    mirrored = model.predict(np.ascontiguousarray(noise[:, ::-1]), flips=True)
    np.testing.assert_allclose(mirrored[:, ::-1], model.predict(noise, flips=True), atol=1e-6)


def test_flips_know_that_a_letterbox_need_not_be_symmetric() -> None:
    """A picture of odd width lies half a pixel off the middle, and its mirror image on the other side."""
    spec = dataclasses.replace(FED, resize="letterbox")
    model = SegmentationModel("same", Painted(lambda x: x), (spec, READ))
    picture = np.zeros((64, 33, 3), np.float32)
    picture[:, :11] = 1
    np.testing.assert_allclose(model.predict(picture, flips=True), picture[..., 0], atol=1e-6)


def test_batches_give_what_single_pictures_give_in_the_order_given() -> None:
    network = Painted(lambda x: x**2)
    sized = dataclasses.replace(FED, size=None, multiple=32)
    model = SegmentationModel("square", network, (sized, READ))
    rng = np.random.default_rng(0)
    shapes = [(64, 96), (40, 40), (64, 96), (64, 96), (33, 50), (64, 96)]
    pictures = [rng.integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in shapes]
    together = model.predict_batch(pictures, batch_size=3)
    assert sorted(network.batches) == [1, 2, 3]  # 4 of 64 x 96 as 3 and 1, and 2 of 32 x 32
    for mask, picture in zip(together, pictures, strict=True):
        assert mask.shape == picture.shape[:2]
        assert np.array_equal(mask, model.predict(picture))
    assert model.predict_batch([]) == []


def test_what_all_found_and_what_only_the_first_did() -> None:
    first, second, third = (np.full((2, 2), value, np.float32) for value in (0.8, 0.5, 0.25))
    assert combine_masks([first, second, third], "min").mask == pytest.approx(0.25)
    assert combine_masks([first, second, third], "subtract").mask == pytest.approx(0.8 * 0.5)
    assert combine_masks([first], "subtract").mask == pytest.approx(0.8)
    assert combine_masks([first, second, third], "min").disagreement == pytest.approx(0.55)
