"""Wide parts that a model half saw: decided by colours, as wholes, and left alone where these say nothing."""

from __future__ import annotations

from contextlib import closing
from fractions import Fraction

import cv2
import numpy as np
import pytest

from gossamer.matting import auto_alpha
from gossamer.matting.auto.doubt import wide_doubt
from gossamer.matting.signed_distance import unit_length
from gossamer.pipeline import refine
from gossamer.progress import Progress
from gossamer.settings import ModelChoice, Recipe
from gossamer.video import Frame, Video
from gossamer.video.finishing import Finisher
from gossamer.video.frames import clip_of_arrays
from tests.matting.auto.test_auto import HEIGHT, WIDTH, disc, drawn, mottled, sad, through_network

ORANGE, BROWN, TEAL = (0.8, 0.45, 0.2), (0.35, 0.2, 0.1), (0.15, 0.4, 0.5)
UNIT = unit_length((HEIGHT, WIDTH))


def figure(big: np.ndarray, size: int) -> None:
    """A head on shoulders that are cut off by the picture's lower edge."""
    middle = big.shape[1] // 2
    cv2.circle(big, (middle, int(size * 0.37)), int(size * 0.32), 255, -1)
    cv2.ellipse(big, (middle, size), (int(size * 0.45), int(size * 0.42)), 0, 0, 360, 255, -1)


def pictured(truth: np.ndarray) -> np.ndarray:
    """A subject in broad stripes of two colours before a third."""
    stripes = (np.arange(WIDTH) // 25 % 2 == 0)[None, :, None]
    fore = np.where(stripes, mottled(ORANGE, 1), mottled(BROWN, 3))
    return np.clip(truth[..., None] * fore + (1 - truth[..., None]) * mottled(TEAL, 2), 0, 1).astype(np.float32)


def half_seen(truth: np.ndarray, level: float) -> np.ndarray:
    """The mask of a network that was sure of the head, and of the shoulders unevenly and only to about that level."""
    fading = np.interp(np.arange(HEIGHT), (150, 190), (1, 0))[:, None]
    uneven = cv2.GaussianBlur(np.random.default_rng(5).standard_normal(truth.shape), (0, 0), 25)
    doubt = np.clip(level * (1 + 0.4 * uneven / uneven.std()), 0.05, 0.85)
    faint = cv2.GaussianBlur(truth, (0, 0), 4) * doubt
    return (through_network(truth, 160) * fading + faint * (1 - fading)).astype(np.float32)


@pytest.mark.parametrize("level", [0.35, 0.6])
def test_a_part_that_was_half_seen_becomes_the_subjects_to_its_very_edge(level: float) -> None:
    truth = drawn(figure)
    mask = half_seen(truth, level)
    alpha = auto_alpha(pictured(truth), mask)
    assert sad(alpha, truth) < 0.06 * sad(mask, truth)
    assert alpha[200:, 120:280].min() > 0.9


def test_what_was_only_suspected_stays_as_it_is() -> None:
    truth = drawn(figure)
    assert wide_doubt(pictured(truth), half_seen(truth, 0.12), UNIT) is None


def test_in_frames_of_clips_it_stays_half_seen() -> None:
    """It would come and go from frame to frame."""
    truth = drawn(figure)
    image, mask = pictured(truth), half_seen(truth, 0.4)
    inside = np.s_[200:, 120:280]
    clip = clip_of_arrays(HEIGHT, WIDTH)
    with closing(Finisher(clip, Recipe(), Video(), ModelChoice.of("none"), None)) as finisher:
        frame = Frame(0, Fraction(0), np.round(image * 255).astype(np.uint8))
        alpha = finisher.matte(frame, mask, False, Progress.of(None))
    assert auto_alpha(image, mask)[inside].min() > 0.9
    assert alpha[inside].min() < 0.6
    assert alpha.max() > 0.99


def test_whoever_holds_frames_can_say_so() -> None:
    truth = drawn(figure)
    image, mask = pictured(truth), half_seen(truth, 0.4)
    recipe = Recipe.of({"foreground": {"method": "none"}})
    for of_clip in (False, True):
        cutout = refine(image, mask, recipe, of_clip=of_clip)
        assert np.abs(cutout.alpha - auto_alpha(image, mask, of_clip=of_clip)).max() < 1e-6


def test_what_is_beside_it_and_was_hardly_seen_comes_along() -> None:
    truth = drawn(figure)
    mask = half_seen(truth, 0.4)
    mask[150:] *= np.interp(np.arange(WIDTH), (305, 315), (1, 0.1)).astype(np.float32)
    hardly = np.s_[270:, 315:320]
    assert truth[hardly].min() == 1
    assert mask[hardly].max() < 0.1
    assert auto_alpha(pictured(truth), mask)[hardly].min() > 0.9


def test_a_wall_of_its_colours_beside_it_that_was_not_seen_at_all_stays_out() -> None:
    truth = drawn(figure)
    wall = np.zeros_like(truth)
    wall[190:260, 300:345] = 1
    mask = half_seen(truth, 0.4)
    unseen = np.s_[205:220, 320:340]
    assert mask[unseen].max() < 0.02
    assert truth[unseen].max() == 0
    alpha = auto_alpha(pictured(np.maximum(truth, wall)), mask)
    assert alpha[250:, 120:280].min() > 0.9
    assert alpha[unseen].max() < 0.1


def test_the_backgrounds_colours_inside_it_stay_out() -> None:
    def between_arm_and_body(big: np.ndarray, size: int) -> None:
        figure(big, size)
        cv2.rectangle(big, (int(size * 0.78), int(size * 0.75)), (int(size * 0.88), int(size * 0.88)), 0, -1)

    truth = drawn(between_arm_and_body)
    mask = half_seen(drawn(figure), 0.4)
    alpha = auto_alpha(pictured(truth), mask)
    assert alpha[230:260, 238:260].mean() < 0.6
    assert sad(alpha, truth) < 0.3 * sad(mask, truth)


def test_colours_of_the_background_leave_a_doubt_as_it_is() -> None:
    """What a model half sees beside its subject, in the background's colours, is no part of it."""
    truth = drawn(disc)
    mask = np.maximum(through_network(truth, 160), half_seen(drawn(figure), 0.4) * np.float32(0.5))
    assert wide_doubt(pictured(truth), mask, UNIT) is None


def test_another_thing_that_was_half_seen_apart_from_the_subject_stays_so() -> None:
    def beside(big: np.ndarray, size: int) -> None:
        cv2.circle(big, (size // 4, size // 2), size // 6, 255, -1)

    def two(big: np.ndarray, size: int) -> None:
        beside(big, size)
        cv2.circle(big, (size, size // 2), size // 4, 255, -1)

    mask = through_network(drawn(two), 160)
    other = drawn(beside) > 0
    mask[cv2.dilate(other.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0] *= np.float32(0.4)
    assert wide_doubt(pictured(drawn(two)), mask, UNIT) is None


def test_lace_that_a_network_saw_as_grey_is_no_part_half_seen() -> None:
    def lace(big: np.ndarray, size: int) -> None:
        figure(big, size)
        for y in range(int(size * 0.6), size, 32):
            for x in range(0, big.shape[1], 32):
                cv2.circle(big, (x, y), 13, 0, -1)

    truth = drawn(lace)
    assert wide_doubt(pictured(truth), through_network(truth, 60), UNIT) is None


def test_a_subject_that_is_sure_nowhere_much_is_left_alone() -> None:
    truth = drawn(figure)
    assert wide_doubt(pictured(truth), through_network(truth, 160) * np.float32(0.5), UNIT) is None


def test_without_a_background_nothing_is_told_from_it() -> None:
    truth = drawn(figure)
    mask = np.maximum(half_seen(truth, 0.4), np.float32(0.06))
    assert wide_doubt(pictured(truth), mask, UNIT) is None
    assert wide_doubt(pictured(truth)[:12], mask[:12], UNIT) is None


def test_the_same_picture_gives_the_same_answer() -> None:
    truth = drawn(figure)
    image, mask = pictured(truth), half_seen(truth, 0.3)
    first = wide_doubt(image, mask, UNIT)
    cv2.setRNGSeed(7)
    second = wide_doubt(image, mask, UNIT)
    assert first is not None
    assert second is not None
    assert np.array_equal(first, second)
