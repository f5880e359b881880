"""What a step learns from follows from its number, and alpha goes with the picture whatever is done to it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from gossamer.training.augmentation import augmented, cut
from gossamer.training.feeding import Feed, fed_alpha, general_count
from gossamer.weights.catalogue import architecture
from tests.training import tiny

SPEC = architecture("u2net").input


def test_a_batch_follows_from_its_number_alone_also_in_threads() -> None:
    pictures, settings = tiny.lessons(), tiny.settings(general=0.5)
    feed = Feed(pictures.train, pictures.general, settings, SPEC)
    again = Feed(pictures.train, pictures.general, settings, SPEC)
    late = again.batch(3)
    ahead = list(feed.batches(0, 5))
    np.testing.assert_array_equal(ahead[3].pictures, late.pictures)
    np.testing.assert_array_equal(ahead[3].truths, late.truths)
    assert ahead[3].names == late.names
    assert not np.array_equal(ahead[0].pictures, ahead[1].pictures)
    other = Feed(pictures.train, pictures.general, tiny.settings(general=0.5, seed=1), SPEC)
    assert not np.array_equal(other.batch(3).pictures, late.pictures)


def test_every_picture_comes_once_before_any_comes_again_beside_the_general_ones() -> None:
    pictures, settings = tiny.lessons(), tiny.settings(general=0.25)
    feed = Feed(pictures.train, pictures.general, settings, SPEC)
    batches = [feed.batch(step) for step in range(4)]
    assert general_count(settings, 2) == 1
    own = [name for batch in batches for name in batch.names[:3]]
    assert Counter(own) == Counter(2 * [one.name for one in pictures.train])
    assert {batch.names[3] for batch in batches} == {one.name for one in pictures.general}


def test_processes_share_what_one_would_have() -> None:
    pictures, settings = tiny.lessons(), tiny.settings()
    whole = Feed(pictures.train, (), settings, SPEC).batch(1)
    for process in (0, 1):
        part = Feed(pictures.train, (), settings, SPEC, process=process, processes=2).batch(1)
        np.testing.assert_array_equal(part.pictures, whole.pictures[process::2])


def test_what_the_base_is_asked_about_is_cut_as_it_is_told_and_nothing_else_is() -> None:
    pictures = tiny.lessons()

    def fed(**changed: Any) -> NDArray[np.float32]:
        settings = tiny.settings(
            **{"general": 0.5, "crop": 0.0, "rotation": 0.0, "light": 0.0, "pepper": 0.0, **changed}
        )
        return Feed(pictures.train, pictures.general, settings, SPEC).batch(0).pictures

    whole, cut_off = fed(general_crop=0.0), fed(general_crop=0.9)
    np.testing.assert_array_equal(cut_off[:2], whole[:2])
    assert all((one != other).mean() > 0.5 for one, other in zip(cut_off[2:], whole[2:], strict=True))
    np.testing.assert_array_equal(fed(general_crop=0.9, general_truth="masks"), whole)


@dataclass(frozen=True)
class Unknown(tiny.Ellipse):
    """A picture of which nobody has said what its subject is."""

    maskless: bool = True


@pytest.mark.parametrize(("truth", "held"), [("masks", 2), ("base", 4)])
def test_general_masks_teach_where_there_are_any_and_the_base_where_there_are_none(truth: str, held: int) -> None:
    """Of two general pictures with masks and two without, those that are held against the base are the last ones."""
    general = [tiny.Ellipse(90), Unknown(91), tiny.Ellipse(92), Unknown(93)]
    settings = tiny.settings(batch=8, general=0.5, general_truth=truth)
    feed = Feed(tiny.lessons().train, general, settings, SPEC)
    for step in range(3):
        batch = feed.batch(step)
        assert batch.held == held
        last = set(batch.names[-held:])
        assert last == {one.name for one in general if truth == "base" or isinstance(one, Unknown)}
        parts = [
            Feed(tiny.lessons().train, general, settings, SPEC, process=one, processes=3).batch(step)
            for one in range(3)
        ]
        assert sum(part.held for part in parts) == held
        assert {name for part in parts for name in part.names[len(part.names) - part.held :]} == last


def soft() -> np.ndarray:
    """A large soft alpha: what is done to it by other means differs by what interpolation does, not more."""
    noise = np.random.default_rng(3).random((9, 12)).astype(np.float32)
    return np.clip(cv2.resize(noise, (240, 180), interpolation=cv2.INTER_CUBIC), 0, 1)


@pytest.mark.parametrize("changes", [{"rotation": 90.0}, {"flip": 1.0}, {"crop": 0.8}, {"tiles": 1.0}])
def test_alpha_goes_where_the_picture_goes(changes: dict[str, float]) -> None:
    """A picture that is its alpha is it still."""
    alpha = soft()
    rgb = np.rint(np.dstack([alpha] * 3) * 255).astype(np.uint8)
    settings = tiny.settings(**{"light": 0.0, "pepper": 0.0, **changes})
    for seed in range(8):
        random = np.random.default_rng(seed)
        part, truth = cut(rgb, alpha, 100, settings, random)
        part, truth = augmented(part, truth, settings, random)
        assert part.shape == (*truth.shape, 3)
        assert np.abs(part[..., 0] / 255 - truth).max() < 1.5 / 255
        if changes.get("tiles"):
            assert truth.shape == (100, 100)


def test_light_changes_the_picture_and_not_its_alpha() -> None:
    alpha = soft()
    rgb = np.full((*alpha.shape, 3), 100, np.uint8)
    settings = tiny.settings(light=0.5, pepper=0.0, flip=0.0, rotation=0.0)
    levels = set()
    for seed in range(12):
        lit, truth = augmented(rgb, alpha, settings, np.random.default_rng(seed))
        np.testing.assert_array_equal(truth, alpha)
        assert lit.min() == lit.max()  # an even picture stays even
        levels.add(int(lit[0, 0, 0]))
    assert 50 <= min(levels) < 90
    assert 110 < max(levels) <= 150


def test_in_a_letterbox_alpha_lies_where_the_picture_does() -> None:
    family = architecture("isnet_anime").input
    alpha = np.ones((100, 200), np.float32)
    fed = fed_alpha(alpha, family)
    assert fed.shape == (1024, 1024)
    assert fed[256:768].min() == 1
    assert fed[:255].max() == fed[769:].max() == 0
