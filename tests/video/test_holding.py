from __future__ import annotations

import numpy as np
import pytest

from gossamer.video.holding import Past, Steady
from gossamer.video.motion import motion_between, reduced

HEIGHT, WIDTH = 120, 200


def texture(seed: int, height: int = 400, width: int = 600) -> np.ndarray:
    import cv2

    noise = np.random.default_rng(seed).uniform(0, 255, (height // 6, width // 6, 3)).astype(np.float32)
    return np.clip(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC), 0, 255).astype(np.uint8)


def scene(
    count: int, speed: float, flicker: float, seed: int = 0
) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """Return frames, true mattes and flickering ones: a textured box that moves over another texture."""
    import cv2

    behind, front = texture(1), texture(2)
    random = np.random.default_rng(seed)
    frames, truths, seen = [], [], []
    for number in range(count):
        move = np.array([[1, 0, 60 + speed * number], [0, 1, 30]], np.float32)
        alpha = cv2.warpAffine(np.ones((60, 70), np.float32), move, (WIDTH, HEIGHT))
        box = cv2.warpAffine(front[:60, :70], move, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)
        ground = behind[100 : 100 + HEIGHT, 100 : 100 + WIDTH]
        frames.append((box * alpha[..., None] + ground * (1 - alpha[..., None]) + 0.5).astype(np.uint8))
        truths.append(alpha)
        blobs = cv2.resize(random.normal(0, flicker, (6, 10)).astype(np.float32), (WIDTH, HEIGHT))
        seen.append(np.clip(alpha * 0.8 + 0.1 + blobs, 0, 1))
    return frames, truths, seen


def held(frames: list[np.ndarray], mattes: list[np.ndarray], strength: float = 0.8) -> list[np.ndarray]:
    steady: Steady[int] = Steady(strength)
    found = []
    for number, (frame, matte) in enumerate(zip(frames, mattes, strict=True)):
        found += list(steady.add(number, frame, matte))
    found += list(steady.rest())
    assert [one.thing for one in found] == list(range(len(frames)))
    return [one.alpha for one in found]


def flicker_of(mattes: list[np.ndarray], truths: list[np.ndarray]) -> float:
    """Return dtSSD."""
    found, true = np.diff(np.stack(mattes), axis=0), np.diff(np.stack(truths), axis=0)
    return 100 * float(np.sqrt(np.mean((found - true) ** 2)))


@pytest.mark.long
@pytest.mark.parametrize("speed", [0.0, 1.7])
def test_flicker_goes_and_the_shape_stays(speed: float) -> None:
    frames, truths, seen = scene(16, speed, 0.08)
    result = held(frames, seen)
    assert flicker_of(result, truths) < 0.4 * flicker_of(seen, truths)
    still = [truth * 0.8 + 0.1 for truth in truths]
    before, after = (np.mean([np.abs(a - t).mean() for a, t in zip(one, still, strict=True)]) for one in (seen, result))
    assert after < before
    # Without flicker nothing smears: the edges stay where they are, as sharp as they were.
    still = [truth * 0.8 + 0.1 for truth in truths]
    assert max(np.abs(a - t).max() for a, t in zip(held(frames, still), still, strict=True)) < (
        0.02 if speed == 0 else 0.35
    )
    assert np.mean([np.abs(a - t).mean() for a, t in zip(held(frames, still), still, strict=True)]) < 0.004


def test_a_cut_is_no_reason_to_remember() -> None:
    frames, _, seen = scene(8, 0.0, 0.0)
    other = [texture(9)[:HEIGHT, :WIDTH] for _ in range(8)]
    nothing = [np.zeros((HEIGHT, WIDTH), np.float32) for _ in range(8)]
    result = held([*frames, *other], [*seen, *nothing])
    assert max(float(alpha.max()) for alpha in result[8:]) == 0
    assert max(np.abs(a - t).max() for a, t in zip(result[:8], seen, strict=True)) < 0.02


def test_what_goes_on_across_a_cut_holds_still_and_what_is_flat_is_not_taken_for_it() -> None:
    frames, truths, seen = scene(12, 1.0, 0.08)
    other = texture(9)[:HEIGHT, :WIDTH]
    for number in range(6, 12):  # the subject goes on before another background
        alpha = truths[number][..., None]
        frames[number] = (frames[number] * alpha + other * (1 - alpha) + 0.5).astype(np.uint8)
    result = held(frames, seen)
    inside = np.minimum(truths[5], truths[6]) == 1
    steps = [np.abs(one[6] - one[5])[inside].mean() for one in (seen, result)]
    assert steps[1] < 0.5 * steps[0]
    # Two pictures that have a black half in common, and nothing else.
    halves = [texture(4)[:HEIGHT, :WIDTH].copy(), texture(5)[:HEIGHT, :WIDTH].copy()]
    for one in halves:
        one[:, : WIDTH // 2] = 0
    back, forth = motion_between(reduced(halves[0]), reduced(halves[1]))
    assert max(back.trust.max(), forth.trust.max()) == 0


def test_a_matte_that_is_sure_counts_more() -> None:
    frames = [texture(6)[:HEIGHT, :WIDTH] for _ in range(9)]
    unsure = [np.full((HEIGHT, WIDTH), 0.5 if number % 3 == 1 else 1.0, np.float32) for number in range(9)]
    middle = held(frames, unsure)[4]
    assert middle.mean() > 1 - 0.5 / 3 + 0.02  # the mean would be five sixths
    hair = [np.full((HEIGHT, WIDTH), 0.5, np.float32) for _ in range(9)]
    assert all(np.abs(one - 0.5).max() < 1e-6 for one in held(frames, hair))


def test_no_strength_changes_nothing() -> None:
    frames, _, seen = scene(4, 1.0, 0.1)
    assert all(a is b for a, b in zip(held(frames, seen, 0.0), seen, strict=True))


@pytest.mark.long
def test_it_goes_on_where_another_one_stopped() -> None:
    frames, _, seen = scene(24, 1.3, 0.08)
    whole = held(frames, seen)
    first: Steady[int] = Steady(0.8)
    done = []
    for number in range(16):
        done += list(first.add(number, frames[number], seen[number]))
    assert first.past is not None
    arrays = first.past.arrays()
    assert Past.of({}) is None
    assert Past.of({name: one for name, one in arrays.items() if name != "detail"}) is None  # of a version before
    second: Steady[int] = Steady(0.8, Past.of(arrays))
    rest = []
    for number in range(len(done), 24):
        rest += list(second.add(number, frames[number], seen[number]))
    rest += list(second.rest())
    assert all(np.array_equal(a.alpha, b) for a, b in zip([*done, *rest], whole, strict=True))


def test_colours_under_a_transparent_edge_hold_still() -> None:
    frames, _, _ = scene(10, 0.0, 0.0)
    random = np.random.default_rng(5)
    steady: Steady[int] = Steady(0.8)
    half = np.full((HEIGHT, WIDTH), 0.5, np.float32)
    raw, found = [], []
    for number, frame in enumerate(frames):
        for one in steady.add(number, frame, half):
            raw.append(np.full((HEIGHT, WIDTH, 3), 0.5 + random.uniform(-0.1, 0.1), np.float32))
            found.append(steady.steady_colours(raw[-1], one.alpha))
    for one in steady.rest():
        raw.append(np.full((HEIGHT, WIDTH, 3), 0.5 + random.uniform(-0.1, 0.1), np.float32))
        found.append(steady.steady_colours(raw[-1], one.alpha))
    changes = [np.abs(np.diff(np.stack(one), axis=0)).mean() for one in (raw, found)]
    assert changes[1] < 0.75 * changes[0]
    assert np.array_equal(steady.steady_colours(raw[-1], np.ones_like(half)), raw[-1])


def test_motion_is_found_where_it_is() -> None:
    picture = texture(3)
    now, before = picture[50:250, 60:360], picture[50:250, 63:363]
    back, forth = motion_between(reduced(now), reduced(before))
    down, across = np.mgrid[:200, :300]
    inner = (slice(20, -20), slice(20, -20))
    assert np.abs(back.place[..., 0] - (across - 3))[inner].mean() < 0.15
    assert np.abs(forth.place[..., 0] - (across + 3))[inner].mean() < 0.15
    assert np.abs(back.place[..., 1] - down)[inner].mean() < 0.15
    assert back.trust[inner].mean() > 0.9


def soft_disc(middle: float) -> np.ndarray:
    """Return the matte of a disc with a soft edge, at this place across."""
    down, across = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    return np.clip((45 - np.hypot(across - middle, down - 60)) / 8, 0, 1).astype(np.float32)


def before_a_moving_ground(parts: list[tuple[np.ndarray, np.ndarray, int]], ground: int) -> np.ndarray:
    """Return a picture of textures (matte, texture, where it begins) before one that begins elsewhere."""
    found = texture(1)[100 : 100 + HEIGHT, 100 + ground : 100 + ground + WIDTH].astype(np.float32)
    for matte, front, begin in parts:
        found += matte[..., None] * (front[100 : 100 + HEIGHT, 100 + begin : 100 + begin + WIDTH] - found)
    return np.clip(found + 0.5, 0, 255).astype(np.uint8)


def test_an_edge_moves_as_what_is_within_it() -> None:
    mattes = soft_disc(102), soft_disc(100)
    now = before_a_moving_ground([(mattes[0], texture(2), -2)], 3)  # the disc goes right by 2, the ground left by 3
    before = before_a_moving_ground([(mattes[1], texture(2), 0)], 0)
    edge = (mattes[0] > 0.05) & (mattes[0] < 0.95)
    across = np.arange(WIDTH, dtype=np.float32)
    alone, along = (motion_between(now, before, given)[0] for given in (None, mattes))
    astray = [np.abs(one.place[..., 0] - (across - 2))[edge].mean() for one in (alone, along)]
    assert astray[0] > 0.8
    assert astray[1] < 0.3
    assert alone.trust[edge].mean() < 0.3
    assert along.trust[edge].mean() > 0.6
    deep = mattes[0] == 1
    far = np.hypot(across - 102, np.arange(HEIGHT, dtype=np.float32)[:, None] - 60) > 60
    for region in (far, deep & (np.hypot(across - 102, np.arange(HEIGHT)[:, None] - 60) < 25)):
        assert np.array_equal(alone.place[region], along.place[region])
    # And so the matte of a soft edge holds still there: noise goes, and nothing smears.
    frames, seen, truths = [], [], []
    for number in range(12):
        truths.append(soft_disc(80 + 2 * number))
        frames.append(before_a_moving_ground([(truths[-1], texture(2), -2 * number)], 3 * number))
        noise = np.random.default_rng(number).normal(0, 0.15, (24, 40)).astype(np.float32)
        rough = np.kron(noise, np.ones((5, 5), np.float32))
        seen.append(np.clip(truths[-1] + rough * (truths[-1] > 0) * (truths[-1] < 1), 0, 1))
    assert flicker_of(held(frames, seen), truths) < 0.6 * flicker_of(seen, truths)


def test_parts_that_move_otherwise_keep_their_own_edges() -> None:
    matte, (down, across) = soft_disc(100), np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    upper = (down < 60).astype(np.float32)
    halves = [(matte * upper, texture(2), 3), (matte * (1 - upper), texture(3), -3)]
    moved = [(np.roll(half, -round(begin), 1), front, begin) for half, front, begin in halves]
    now, before = before_a_moving_ground(moved, 0), before_a_moving_ground([(a, b, 0) for a, b, _ in halves], 0)
    mattes = moved[0][0] + moved[1][0], matte
    alone, along = (motion_between(now, before, given)[0] for given in (None, mattes))
    true = np.where(upper > 0, across + 3, across - 3)
    astray = [np.abs(one.place[..., 0] - true)[(mattes[0] > 0.05)].mean() for one in (alone, along)]
    assert astray[1] < astray[0]
    near = (np.abs(down - 60) < 4) & (mattes[0] > 0.5)
    assert np.abs(along.place[..., 0] - true)[near].mean() < 1.05 * np.abs(alone.place[..., 0] - true)[near].mean()


def test_a_fringe_that_flies_is_not_held_by_what_it_hangs_on() -> None:
    down, across = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    column = ((across >= 60) & (across < 140)).astype(np.float32)
    body = column * ((down >= 20) & (down < 80))
    fringe = column * ((down >= 80) & (down < 90))
    parts = [(body, texture(2), 0), (fringe, texture(3), 0)]
    moved = [(np.roll(body, 3, 1), texture(2), -3), (np.roll(fringe, -3, 1), texture(3), 3)]
    mattes = moved[0][0] + moved[1][0], body + fringe
    now, before = before_a_moving_ground(moved, 0), before_a_moving_ground(parts, 0)
    alone, along = (motion_between(now, before, given)[0] for given in (None, mattes))
    astray = [np.abs(one.place[..., 0] - (across + 3))[moved[1][0] == 1].mean() for one in (alone, along)]
    assert astray[1] < 1.1 * astray[0]


def test_detail_that_is_finer_than_the_flow_holds_still() -> None:
    import cv2

    frames = [cv2.resize(texture(6)[:135, :240], (1920, 1080), interpolation=cv2.INTER_CUBIC)] * 5
    random = np.random.default_rng(3)
    noise = [cv2.resize(random.normal(0, 0.1, (540, 960)).astype(np.float32), (1920, 1080)) for _ in frames]
    seen = [0.5 + one for one in noise]
    result = held(frames, seen, 0.9)
    fine = [one[2] - cv2.GaussianBlur(one[2], (0, 0), 4.0) for one in (seen, result)]
    assert fine[1].std() < 0.75 * fine[0].std()
    still = [seen[0]] * 5
    assert max(np.abs(a - still[0]).max() for a in held(frames, still, 0.9)) < 0.02
