"""Alpha where the truth is known: what is to be solved is, and what is thin, soft or right already stays."""

from __future__ import annotations

import threading
import time

import cv2
import numpy as np
import pytest

from gossamer import InputError
from gossamer.matting import auto_alpha
from gossamer.matting.auto import alpha as auto_stage
from gossamer.matting.signed_distance import signed_distance

HEIGHT, WIDTH = 300, 400


def mottled(colour: tuple[float, float, float], seed: int, shape: tuple[int, int] = (HEIGHT, WIDTH)) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal((*shape, 3)).astype(np.float32)
    return np.float32(colour) + cv2.GaussianBlur(noise, (0, 0), 3) * 0.2


def composite(truth: np.ndarray) -> np.ndarray:
    """An orange, mottled subject before a blue-green, mottled background."""
    fore, back = mottled((0.8, 0.45, 0.2), 1, truth.shape), mottled((0.15, 0.4, 0.5), 2, truth.shape)
    return np.clip(truth[..., None] * fore + (1 - truth[..., None]) * back, 0, 1).astype(np.float32)


def drawn(paint, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """What `paint` draws four times too large, averaged down."""
    big = np.zeros((height * 4, width * 4), np.uint8)
    paint(big, height * 4)
    return cv2.resize(big, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def disc(big: np.ndarray, size: int) -> None:
    cv2.circle(big, (big.shape[1] // 2, size // 2), int(size * 0.28), 255, -1)


def hairy(
    big: np.ndarray, size: int, seed: int, count: int, reaches: tuple[float, float], bend: float, wide: int
) -> None:
    """A disc with hairs that reach so many radii far, and bend by up to an angle."""
    disc(big, size)
    random, middle, radius = np.random.default_rng(seed), np.array([big.shape[1] / 2, size / 2]), size * 0.28
    for angle in np.linspace(0, 2 * np.pi, count, endpoint=False):
        reach, bent = radius * random.uniform(*reaches), angle + random.uniform(-bend, bend)
        ends = [
            middle + radius * np.array([np.cos(angle), np.sin(angle)]),
            middle + reach * np.array([np.cos(bent), np.sin(bent)]),
        ]
        cv2.line(big, *(tuple(int(v) for v in end) for end in ends), 255, wide)


def furry(big: np.ndarray, size: int) -> None:
    hairy(big, size, 1, 180, (1.03, 1.12), 0.05, 5)


def wispy(big: np.ndarray, size: int) -> None:
    """Hundreds of fine hairs that reach far, over a wide zone."""
    hairy(big, size, 5, 700, (1.05, 1.5), 0.12, 2)


def wheel(big: np.ndarray, size: int) -> None:
    middle, radius = (big.shape[1] // 2, size // 2), int(size * 0.4)
    cv2.circle(big, middle, radius, 255, size // 40)
    cv2.circle(big, middle, size // 25, 255, -1)
    for angle in np.linspace(0, 2 * np.pi, 18, endpoint=False):
        end = (int(middle[0] + radius * np.cos(angle)), int(middle[1] + radius * np.sin(angle)))
        cv2.line(big, middle, end, 255, 5)


def mesh(big: np.ndarray, size: int) -> None:
    """Wires that cross below a rim."""
    left, right = (big.shape[1] - size) // 2 + size // 8, (big.shape[1] + size) // 2 - size // 8
    for place in range(-size, 2 * size, 36):
        cv2.line(big, (left, place), (right, place + size // 2), 255, 16)
        cv2.line(big, (left, place), (right, place - size // 2), 255, 16)
    for top, bottom, value in ((0, size // 6, 0), (size // 6, size // 3, 255), (size - size // 6, size, 0)):
        cv2.rectangle(big, (left, top), (right, bottom), value, -1)


def through_network(truth: np.ndarray, side: int) -> np.ndarray:
    """What a model's mask is at best: the truth at the network's size, enlarged."""
    small = cv2.GaussianBlur(cv2.resize(truth, (side, side), interpolation=cv2.INTER_AREA), (0, 0), 0.6)
    return np.clip(cv2.resize(small, truth.shape[::-1], interpolation=cv2.INTER_LINEAR), 0, 1)


def rough(truth: np.ndarray) -> np.ndarray:
    """What a promptable model gives: small, smooth, enlarged and thresholded."""
    small = cv2.resize((truth > 0.5).astype(np.float32), (256, 192), interpolation=cv2.INTER_AREA)
    large = cv2.resize(cv2.GaussianBlur(small, (0, 0), 1.5), truth.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return (large > 0.5).astype(np.float32)


def sad(alpha: np.ndarray, truth: np.ndarray) -> float:
    return float(np.abs(alpha - truth).sum())


@pytest.mark.parametrize(
    "mask",
    [
        rough,
        lambda a: (signed_distance(a) > -4).astype(np.float32),
        lambda a: (signed_distance(a) > 4).astype(np.float32),
    ],
    ids=["rough", "too wide", "too narrow"],
)
def test_fur_is_solved_from_masks_that_were_drawn(mask):
    truth = drawn(furry)
    hint = mask(truth)
    assert sad(auto_alpha(composite(truth), hint), truth) < 0.35 * sad(hint, truth)


def test_fur_is_solved_from_the_mask_of_a_model():
    truth = drawn(furry)
    mask = through_network(truth, 100)
    assert sad(auto_alpha(composite(truth), mask), truth) < 0.6 * sad(mask, truth)


def test_wispy_hair_is_softer_than_a_model_draws_it():
    """Models draw what is half hair as all or nothing; the colours tell how much of it there is."""
    truth = drawn(wispy)
    mask = np.clip((cv2.GaussianBlur(truth, (0, 0), 0.8) - 0.45) * 1.6 + 0.5, 0, 1)
    assert sad(auto_alpha(composite(truth), mask), truth) < 0.56 * sad(mask, truth)


def test_thin_parts_of_a_mask_stay():
    truth = drawn(wheel)
    mask = through_network(truth, 320)
    alpha = auto_alpha(composite(truth), mask)
    spokes = (mask > 0.5) & (
        drawn(lambda big, size: cv2.circle(big, (big.shape[1] // 2, size // 2), int(size * 0.36), 255, -1)) > 0.5
    )
    assert np.minimum(alpha, mask)[spokes].sum() > 0.95 * mask[spokes].sum()
    assert sad(alpha, truth) < sad(mask, truth)


@pytest.mark.parametrize("own", [None, (0.85, 0.85, 0.9)], ids=["of hair", "of wire"])
def test_only_the_picture_tells_a_strand_that_a_model_drew_like_a_wire_from_one(own):
    """A strand has the hair's colours, and is as faint as they are in it; a wire has its own, and stays."""

    def stranded(big: np.ndarray, size: int) -> None:
        hairy(big, size, 3, 40, (1.3, 1.6), 0.2, 2)

    truth, body = drawn(stranded), drawn(disc)
    strands = (truth > 0.05) & (cv2.dilate(body, np.ones((7, 7))) == 0)
    mask = np.where(strands, np.clip(3 * truth, 0, 1), truth).astype(np.float32)
    image = composite(truth)
    if own is not None:
        truth, image = mask, np.where(strands[..., None], (1 - mask[..., None]) * image, image)
        image = np.where(strands[..., None], image + mask[..., None] * np.float32(own), image).astype(np.float32)
    alpha = auto_alpha(image, mask)
    if own is None:
        assert sad(alpha[strands], truth[strands]) < 0.75 * sad(mask[strands], truth[strands])
    else:
        assert alpha[strands].sum() > 0.95 * mask[strands].sum()


def test_whiskers_that_differ_little_from_the_background_stay():
    """Samples and votes say background there; the mask of a model that saw them says more (from_mask keeps 8 %)."""

    def whiskered(big: np.ndarray, size: int) -> None:
        disc(big, size)
        middle = (big.shape[1] // 2, size // 2)
        for angle in np.linspace(0, 2 * np.pi, 16, endpoint=False):
            end = (int(middle[0] + size * 0.46 * np.cos(angle)), int(middle[1] + size * 0.46 * np.sin(angle)))
            cv2.line(big, middle, end, 255, 4)

    truth, body, back = drawn(whiskered), drawn(disc), mottled((0.15, 0.4, 0.5), 2)
    fore = np.where(body[..., None] > 0.5, mottled((0.8, 0.45, 0.2), 1), back + np.float32(0.1))
    image = np.clip(truth[..., None] * fore + (1 - truth[..., None]) * back, 0, 1).astype(np.float32)
    mask = np.clip(through_network(truth, 320) * np.float32(1.6), 0, 1)
    alpha = auto_alpha(image, mask)
    outside = (mask > 0.5) & (cv2.dilate(body, np.ones((9, 9))) == 0)
    assert np.minimum(alpha, mask)[outside].sum() > 0.98 * mask[outside].sum()
    assert sad(alpha, truth) < sad(mask, truth)


def test_glass_stays_soft_beside_a_solid_part():
    """Nothing of the subject's own colours speaks for more than the model saw."""
    glass = drawn(disc) * np.float32(0.35)
    label = np.zeros_like(glass)
    label[130:170, 170:230] = 1
    truth = np.maximum(glass, label)
    back = mottled((0.15, 0.4, 0.5), 2)
    colour = np.where(label[..., None] > 0, np.float32((0.8, 0.2, 0.1)), np.float32((0.9, 0.9, 0.95)))
    image = np.clip(truth[..., None] * colour + (1 - truth[..., None]) * back, 0, 1).astype(np.float32)
    alpha = auto_alpha(image, truth)
    inside = (cv2.erode(glass, np.ones((15, 15))) > 0.3) & (cv2.dilate(label, np.ones((25, 25))) == 0)
    assert np.abs(alpha - truth)[inside].max() < 0.02


def test_glass_stays_soft_before_what_has_the_colour_of_its_rim():
    """A rim that is nearly opaque is no witness that all of its colour is solid."""
    shape = drawn(disc)
    rim = shape - cv2.erode(shape, np.ones((13, 13), np.uint8))
    label = np.zeros_like(shape)
    label[130:170, 170:230] = 1
    truth = np.maximum(np.maximum(shape * np.float32(0.45), rim * np.float32(0.87)), label)
    back = mottled((0.15, 0.4, 0.5), 2)
    back[100:125] += np.float32((0.65, 0.4, 0.3))
    colour = np.where(label[..., None] > 0, np.float32((0.8, 0.3, 0.2)), np.float32(0.8))
    image = np.clip(truth[..., None] * colour + (1 - truth[..., None]) * back, 0, 1).astype(np.float32)
    mask = through_network(truth, 300)
    assert sad(auto_alpha(image, mask), truth) < 1.02 * sad(mask, truth)


def test_glass_stays_soft_though_it_becomes_opaque_towards_its_rim():
    """Its rim is a witness, and beside a contour alpha is raised: a thing that is grey nearly everywhere is glass."""
    shape = drawn(disc)
    soft = cv2.GaussianBlur(shape, (0, 0), 6)
    truth = np.minimum(shape * (np.float32(0.35) + np.float32(2.8) * soft * (1 - soft)), 1)
    colour, back = np.float32((0.6, 0.5, 0.75)), mottled((0.15, 0.4, 0.5), 2)
    back[:, 180:230] = mottled((0.6, 0.5, 0.75), 5)[:, 180:230]
    image = np.clip(truth[..., None] * colour + (1 - truth[..., None]) * back, 0, 1)
    mask = through_network(truth, 300)
    assert sad(auto_alpha(image, mask), truth) < sad(mask, truth)


@pytest.mark.parametrize(("noise", "difference", "worst"), [(0.02, 0.04, 1.02), (0.05, 0.06, 1.25)])
def test_a_contour_between_alike_colours_is_not_speckled_by_noise(noise, difference, worst):
    """Each pixel's alpha would have its share of the noise, as often as colours differ by less."""
    truth, back = drawn(disc), mottled((0.6, 0.5, 0.4), 1)
    image = back - truth[..., None] * np.float32(difference)
    image += np.random.default_rng(3).standard_normal(image.shape).astype(np.float32) * np.float32(noise)
    mask = through_network(truth, 150)
    assert sad(auto_alpha(np.clip(image, 0, 1), mask), truth) < worst * sad(mask, truth)


@pytest.mark.parametrize("level", [0.15, 0.25])
def test_an_outline_before_what_is_nearly_as_dark_stays(level):
    """It is like the background, and much less like the rest; but darker than any mixture of them."""
    truth = drawn(disc)
    fill = cv2.erode(truth, np.ones((5, 5), np.uint8))
    back = mottled((level, level, level), 2)
    image = truth[..., None] * fill[..., None] * np.float32((0.9, 0.7, 0.6)) + (1 - truth[..., None]) * back
    mask = through_network(truth, 150)
    line = (truth > 0.9) & (fill < 0.5)
    alpha = auto_alpha(image.astype(np.float32), mask)
    assert alpha[line].mean() > 0.8 * mask[line].mean()  # half of it or less without that
    assert sad(alpha, truth) < 1.15 * sad(mask, truth)


def test_an_outline_stays_also_where_it_lies_before_something_as_dark():
    """No colour tells it there; but the drawing has it all around."""
    truth = drawn(disc)
    fill = cv2.erode(truth, np.ones((5, 5), np.uint8))
    level = np.where(np.arange(HEIGHT) < HEIGHT // 2, np.float32(0.03), np.float32(0.2))
    back = mottled((0, 0, 0), 2) * np.float32(0.3) + level[:, None, None]
    image = truth[..., None] * fill[..., None] * np.float32((0.9, 0.7, 0.6)) + (1 - truth[..., None]) * back
    mask = through_network(truth, 150)
    line = (truth > 0.9) & (fill < 0.5)
    line[HEIGHT // 2 - 20 :] = False
    alpha = auto_alpha(np.clip(image, 0, 1).astype(np.float32), mask)
    assert alpha[line].mean() > 0.9 * mask[line].mean()


def test_smoke_beside_something_solid_stays_soft():
    solid = drawn(lambda big, size: cv2.circle(big, (size // 2, size // 2), size // 8, 255, -1))
    smoke = cv2.GaussianBlur(drawn(disc), (0, 0), 25) * np.float32(0.8)
    truth = np.maximum(smoke, solid)
    colour = np.where(solid[..., None] > 0.5, np.float32((0.7, 0.2, 0.6)), np.float32(0.9))
    image = np.clip(truth[..., None] * colour + (1 - truth[..., None]) * mottled((0.5, 0.55, 0.6), 2), 0, 1)
    mask = through_network(truth, 300)
    assert sad(auto_alpha(image, mask), truth) < 1.02 * sad(mask, truth)


def test_the_gaps_of_a_mesh_stay():
    """Too small for samples and windows, which would fill them: the mask knows better."""
    truth = drawn(mesh)
    image = truth[..., None] * np.float32((0.55, 0.55, 0.5)) + (1 - truth[..., None]) * mottled((0.45, 0.5, 0.4), 2)
    mask = through_network(truth, 400)
    gaps = (mask < 0.5) & (cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8)) > 0.5)
    assert np.count_nonzero(gaps) > 5000
    alpha = auto_alpha(np.clip(image, 0, 1), mask)
    assert np.maximum(alpha - mask, 0)[gaps].mean() < 0.02
    assert sad(alpha, truth) < 0.6 * sad(mask, truth)


def test_smoke_without_any_solid_part_is_left_alone():
    truth = cv2.GaussianBlur(drawn(disc), (0, 0), 25) * np.float32(0.8)
    image = np.clip(truth[..., None] * np.float32(0.9) + (1 - truth[..., None]) * mottled((0.15, 0.4, 0.5), 2), 0, 1)
    assert np.abs(auto_alpha(image, truth) - truth).max() < 1 / 255


def test_what_a_model_doubts_becomes_solid_where_it_has_the_subjects_colours():
    truth = drawn(disc)
    mask = truth.copy()
    mask[150:, :] *= np.float32(0.6)
    alpha = auto_alpha(composite(truth), mask)
    assert sad(alpha, truth) < 0.3 * sad(mask, truth)


def test_what_a_model_doubts_is_not_removed_where_colours_say_nothing():
    """A region of its own colour, held for half a subject: no evidence either way."""
    truth = drawn(disc)
    image, mask = composite(truth), truth.copy()
    half = (truth > 0) & (np.arange(HEIGHT)[:, None] >= 150)
    image[half] = np.float32((0.2, 0.05, 0.2))
    mask[half] *= np.float32(0.5)
    deep = half & (signed_distance(truth) > 25) & (np.arange(HEIGHT)[:, None] >= 180)
    assert auto_alpha(image, mask)[deep].min() > 0.49


def test_an_exact_mask_stays_nearly_exact():
    truth = drawn(furry)
    assert np.abs(auto_alpha(composite(truth), truth) - truth).mean() < 0.004


def test_a_contour_that_enlarging_blurred_becomes_as_sharp_as_a_large_picture():
    truth = drawn(disc, 1200, 1600)
    mask = through_network(truth, 320)
    alpha = auto_alpha(composite(truth), mask)
    assert sad(alpha, truth) < 0.3 * sad(mask, truth)
    soft = np.count_nonzero((alpha > 0.1) & (alpha < 0.9))
    assert soft < 0.5 * np.count_nonzero((mask > 0.1) & (mask < 0.9))


def test_far_from_the_contour_a_large_mask_is_untouched():
    truth = drawn(disc, 1000, 1300)
    mask = through_network(truth, 320)
    mask[:40, :40] = np.float32(0.003)
    alpha = auto_alpha(composite(truth), mask)
    assert (alpha[:40, :40] == mask[:40, :40]).all()
    assert alpha[500, 650] == mask[500, 650]


@pytest.mark.parametrize("value", [0.0, 0.4, 1.0])
def test_a_mask_without_an_edge_is_the_answer(value):
    mask = np.full((50, 60), value, np.float32)
    assert (auto_alpha(mottled((0.5, 0.5, 0.5), 1, (50, 60)).clip(0, 1), mask) == mask).all()


@pytest.mark.parametrize("shape", [(1, 1), (2, 5), (3, 3), (9, 200), (70, 71)])
def test_any_size_is_answered(shape):
    random = np.random.default_rng(3)
    alpha = auto_alpha(random.random((*shape, 3), np.float32), random.random(shape, np.float32))
    assert alpha.shape == shape
    assert alpha.dtype == np.float32
    assert alpha.min() >= 0
    assert alpha.max() <= 1


def test_nothing_is_changed_in_place_and_the_answer_is_always_the_same():
    truth = drawn(furry)
    image, mask = composite(truth), through_network(truth, 100)
    before = image.copy(), mask.copy()
    image.flags.writeable = mask.flags.writeable = False
    first, second = auto_alpha(image, mask), auto_alpha(image, mask)
    assert (first == second).all()
    assert (image == before[0]).all()
    assert (mask == before[1]).all()


def test_another_size_is_refused_with_a_remedy():
    with pytest.raises(InputError, match="Resize the mask"):
        auto_alpha(np.zeros((20, 20, 3), np.uint8), np.zeros((20, 21), np.uint8))


def test_progress_rises_and_can_stop_the_work():
    truth = drawn(furry)
    image, mask = composite(truth), through_network(truth, 100)
    seen: list[float] = []
    auto_alpha(image, mask, progress=lambda fraction, message: seen.append(fraction))
    assert seen == sorted(seen)
    assert seen[-1] == 1

    class Stopped(Exception):
        pass

    def stop(fraction: float, message: str) -> None:
        if fraction > 0.3:
            raise Stopped

    with pytest.raises(Stopped):
        auto_alpha(image, mask, progress=stop)


def test_what_was_begun_beside_it_ends_with_a_cancelled_matte(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stop(Exception):
        pass

    begun, ended, read = threading.Event(), threading.Event(), auto_stage._read

    def slow(*arguments):
        begun.set()
        time.sleep(0.3)
        found = read(*arguments)
        ended.set()
        return found

    def stop(fraction: float, message: str) -> None:
        if begun.is_set():
            raise Stop

    monkeypatch.setattr(auto_stage, "_read", slow)
    truth = drawn(furry)
    with pytest.raises(Stop):
        auto_alpha(composite(truth), truth, progress=stop)
    assert ended.is_set()
