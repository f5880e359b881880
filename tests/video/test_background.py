from __future__ import annotations

import numpy as np
import pytest

from gossamer.video.background import tipped, weighed
from gossamer.video.holding import Past, Steady
from gossamer.video.motion import motion_between, reduced

HEIGHT, WIDTH = 180, 320
THING = (slice(60, 130), slice(245, 300))  # of the ground, in the first frame
LEG = (slice(110, 170), slice(20, 60))  # likewise


def texture(seed: int) -> np.ndarray:
    import cv2

    noise = np.random.default_rng(seed).uniform(0, 255, (60, 100, 3)).astype(np.float32)
    return np.clip(cv2.resize(noise, (600, 360), interpolation=cv2.INTER_CUBIC), 0, 255).astype(np.uint8)


def moved(plane: np.ndarray, by: float) -> np.ndarray:
    """Return a plane moved to the right, as large as a frame."""
    import cv2

    move = np.array([[1, 0, by], [0, 1, 0]], np.float32)
    return np.asarray(cv2.warpAffine(plane, move, (WIDTH, HEIGHT)))


def placed(part: tuple[slice, slice]) -> np.ndarray:
    plane = np.zeros((HEIGHT, WIDTH), np.float32)
    plane[part] = 1
    return plane


def softened(plane: np.ndarray) -> np.ndarray:
    import cv2

    return np.asarray(cv2.GaussianBlur(plane, (0, 0), 1.5), np.float32)


def clip(
    count: int = 14, subject: float = 2.0, ground: float = -1.0
) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """Return frames of a box before a ground, its mattes, and a thing and a leg that move as the ground."""
    behind, front = texture(1), texture(2)
    box = softened(placed((slice(30, 150), slice(90, 190))))
    frames, mattes, things, legs = [], [], [], []
    for number in range(count):
        alpha = moved(box, subject * number)
        colours = moved(front, subject * number).astype(np.float32)
        light = moved(behind[:, 100:], ground * number).astype(np.float32)
        if ground > 0:  # what comes in at the side has to be something
            light = moved(np.roll(behind, 60, 1), ground * number).astype(np.float32)
        frames.append(
            np.clip(colours * alpha[..., None] + light * (1 - alpha[..., None]) + 0.5, 0, 255).astype(np.uint8)
        )
        mattes.append(alpha)
        things.append(moved(softened(placed(THING)), ground * number))
        legs.append(moved(softened(placed(LEG)), ground * number))
    return frames, mattes, things, legs


def held(
    frames: list[np.ndarray], mattes: list[np.ndarray], past: Past | None = None, *, tips: bool = True
) -> list[np.ndarray]:
    steady: Steady[int] = Steady(0.9, past, tips=tips)
    found = [
        one for n, (frame, matte) in enumerate(zip(frames, mattes, strict=True)) for one in steady.add(n, frame, matte)
    ]
    return [one.alpha for one in [*found, *steady.rest()]]


def doubted(things: list[np.ndarray]) -> list[np.ndarray]:
    """Return what a model makes of a thing that it takes for the subject in two frames of three."""
    return [thing * (0.1 if number % 3 == 0 else 0.85) for number, thing in enumerate(things)]


def mean_in(mattes: list[np.ndarray], places: list[np.ndarray]) -> float:
    return float(np.mean([matte[place > 0.95].mean() for matte, place in zip(mattes, places, strict=True)]))


@pytest.mark.long
def test_what_is_doubted_and_goes_along_with_the_background_goes() -> None:
    frames, mattes, things, _ = clip()
    kept = [np.maximum(a, b) for a, b in zip(mattes, doubted(things), strict=True)]
    result = held(frames, kept)
    assert mean_in(kept, things) > 0.55
    assert mean_in(result, things) < 0.15
    assert max(mean_in([one], [place]) for one, place in zip(result, things, strict=True)) < 0.2  # all of them
    untipped = held(frames, kept, tips=False)
    assert mean_in(untipped, things) > 0.55  # as before a screen
    for found, before, true in zip(result, untipped, mattes, strict=True):  # the subject stays, its soft edge too
        off = np.abs(found - before)
        assert off[softened(true) > 0.01].mean() < 0.003
        assert np.quantile(off[true > 0.5], 0.99) < 0.02  # but for sharp corners


@pytest.mark.long
def test_what_a_model_comes_to_doubt_fades() -> None:
    frames, mattes, things, _ = clip(26, subject=1.0, ground=-0.5)
    level = [1.0 if number < 12 else 0.5 for number in range(26)]
    kept = [np.maximum(a, one * b) for a, one, b in zip(mattes, level, things, strict=True)]
    means = [mean_in([one], [place]) for one, place in zip(held(frames, kept), things, strict=True)]
    assert means[0] > 0.99
    assert means[-1] < 0.05
    assert np.diff(means).max() < 0.01
    assert np.diff(means).min() > -0.4  # over some frames


@pytest.mark.long
def test_what_a_model_is_sure_of_stays_though_it_goes_along_with_the_background() -> None:
    frames, mattes, _, legs = clip()
    kept = [np.maximum(a, 0.99 * b) for a, b in zip(mattes, legs, strict=True)]
    result = held(frames, kept)
    assert mean_in(result, legs) > 0.98
    off = [np.abs(a - b)[place > 0.01].mean() for a, b, place in zip(result, kept, legs, strict=True)]
    assert max(off) < 0.02  # with its edges


def leaning(count: int = 14, speed: float = 2.0) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return frames of somebody whose upper half goes on while the feet stand, and mattes; what is between bends."""
    import cv2

    ground, front = texture(1)[:HEIGHT, 100 : 100 + WIDTH].astype(np.float32), texture(2)
    body = softened(placed((slice(20, 165), slice(90, 190))))
    down, across = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    along = np.interp(down, (70, 120), (speed, 0)).astype(np.float32)
    frames, mattes = [], []
    for number in range(count):
        place = across - along * number
        alpha = cv2.remap(body, place, down, cv2.INTER_LINEAR)
        light = cv2.remap(front, place, down, cv2.INTER_LINEAR).astype(np.float32)
        shown = light * alpha[..., None] + ground * (1 - alpha[..., None])
        frames.append(np.clip(shown + 0.5, 0, 255).astype(np.uint8))
        mattes.append(alpha)
    return frames, mattes


@pytest.mark.long
@pytest.mark.parametrize("speed", [1.2, 2.0, 4.0])
def test_a_foot_on_the_ground_stays_though_a_model_doubts_it(speed: float) -> None:
    frames, mattes = leaning(speed=speed)
    foot = placed((slice(125, 160), slice(95, 185)))
    kept = [alpha * (1 - 0.15 * softened(foot)) for alpha in mattes]
    result, untipped = held(frames, kept), held(frames, kept, tips=False)
    assert all(np.array_equal(a, b) for a, b in zip(result, untipped, strict=True))
    assert mean_in(result, [foot] * len(result)) > 0.83


@pytest.mark.long
@pytest.mark.parametrize("speed", [0.0, -1.0])
def test_one_motion_tells_nothing(speed: float) -> None:
    frames, mattes, things, _ = clip(subject=speed, ground=speed)
    kept = [np.maximum(a, b) for a, b in zip(mattes, doubted(things), strict=True)]
    result = held(frames, kept)
    assert mean_in(result, things) > 0.9 * mean_in(kept, things)


def test_evidence_is_there_where_something_goes_along_and_never_across_a_cut() -> None:
    frames, mattes, things, _ = clip(2)
    small = [reduced(frame) for frame in frames]
    back, forth = motion_between(small[1], small[0], (mattes[1], mattes[0]))
    for motion, matte, thing in ((back, mattes[1], things[1]), (forth, mattes[0], things[0])):
        assert motion.along is not None
        assert motion.along.shape == (HEIGHT // 2, WIDTH // 2, 2)
        share = motion.along[..., 0] / np.maximum(motion.along[..., 1], 0.05)
        assert np.median(share[(thing > 0.95)[::2, ::2]]) > 0.8
        assert np.median(share[(matte > 0.99)[::2, ::2]]) < 0.1
    other = reduced(texture(7)[:HEIGHT, :WIDTH])
    assert motion_between(other, small[0], (mattes[1], mattes[0]))[0].along is None
    nothing = np.zeros_like(mattes[0])
    assert motion_between(small[1], small[0], (nothing, nothing))[0].along is None  # no subject, no motion of it


def left(matte: np.ndarray, gathered: np.ndarray) -> np.ndarray:
    """Return what is left of a matte in one frame."""
    goes, doubt = weighed(matte, gathered)
    return np.asarray(matte * tipped(matte, goes * doubt))


def test_doubts_are_tipped_as_far_as_evidence_goes() -> None:
    half = np.full((40, 60), 0.5, np.float32)
    told = np.ones((20, 30), np.float32)
    assert np.array_equal(left(half, np.dstack([0 * told, told])), half)
    assert np.array_equal(left(half, np.dstack([0 * told, 0 * told])), half)
    assert left(half, np.dstack([told, told])).max() < 0.001  # odds of 1 to 1,100
    assert np.array_equal(left(np.ones_like(half), np.dstack([told, told])), np.ones_like(half))


def test_what_hangs_together_is_doubted_as_a_whole() -> None:
    matte = np.zeros((80, 200), np.float32)
    matte[20:60, 20:180] = 1  # half of it in doubt
    matte[20:60, 20:90] = 0.7
    apart = matte.copy()
    apart[:, 84:96] = 0
    told = np.ones((40, 100), np.float32)
    goes = np.dstack([told, told])
    _, whole = weighed(matte, goes)
    assert whole[15:25, 15:85].min() > 0.99
    _, halves = weighed(apart, goes)
    assert halves[15:25, 15:35].min() > 0.99
    assert halves[15:25, 75:85].max() < 0.01  # the other half is another thing, of which the model is sure


def test_where_nothing_varies_what_is_kept_around_tells() -> None:
    matte = np.full((80, 80), 0.8, np.float32)
    told = np.full((40, 40), 5, np.float32)  # of five frames
    told[16:24, 16:24] = 0  # flat
    goes, _ = weighed(matte, np.dstack([told, told]))
    assert goes.min() > 0.99
    stays, _ = weighed(matte, np.dstack([0 * told, told]))
    assert stays.max() == 0


@pytest.mark.long
def test_it_goes_on_where_another_one_stopped() -> None:
    frames, mattes, things, _ = clip(20)
    kept = [np.maximum(a, b) for a, b in zip(mattes, doubted(things), strict=True)]
    whole = held(frames, kept)
    first: Steady[int] = Steady(0.9)
    done = [one.alpha for n in range(15) for one in first.add(n, frames[n], kept[n])]
    assert first.past is not None
    past = Past.of(first.past.arrays())
    assert past is not None
    assert past.along[..., 0].max() > 0.5
    rest = held(frames[len(done) :], kept[len(done) :], past)
    assert all(np.array_equal(a, b) for a, b in zip([*done, *rest], whole, strict=True))
