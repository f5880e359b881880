"""The measures of mattes: closed forms, plain readings of the published code, and its own numbers."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from gossamer.errors import InputError
from gossamer.evaluation import evaluate_matte
from tests.evaluation.shapes import matte_pair


def connectivity(prediction: NDArray[np.uint8], truth: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the map of connectivity errors, by flood fills in whole numbers: thresholds of tenths of 255."""
    tall, wide = truth.shape
    level = np.full(truth.shape, -1.0)
    for step in range(1, 11):
        left = {
            (i, j)
            for j in range(wide)
            for i in range(tall)
            if 10 * int(prediction[i, j]) >= 255 * step and 10 * int(truth[i, j]) >= 255 * step
        }
        parts = []
        for seed in sorted(left, key=lambda place: place[::-1]):  # columns first
            if seed not in left:
                continue
            part, todo = set(), [seed]
            left.discard(seed)
            while todo:
                i, j = todo.pop()
                part.add((i, j))
                for place in ((i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)):
                    if place in left:
                        left.discard(place)
                        todo.append(place)
            parts.append(part)
        largest = max(parts, key=len, default=set())
        for place in np.ndindex(truth.shape):
            if level[place] == -1 and place not in largest:
                level[place] = (step - 1) / 10
    level[level == -1] = 1
    above = [alpha / 255 - level for alpha in (prediction, truth)]
    first, second = (np.where(part >= 0.15 - 1e-6, part, 0) for part in above)
    return np.abs(first - second)


def test_sums_and_means() -> None:
    truth = np.zeros((20, 30), np.float32)
    prediction = np.full((20, 30), 0.5, np.float32)
    found = evaluate_matte(prediction, truth, measures=["sad", "mad", "mse"])
    assert found.values == pytest.approx({"sad": 0.3, "mad": 500, "mse": 250})
    assert found.pixels == 600
    trimap = np.zeros((20, 30), np.uint8)
    trimap[5:10, :10] = 128
    trimap[15:] = 255
    inside = evaluate_matte(prediction, truth, trimap, measures=["sad", "mad", "mse"])
    assert inside.pixels == 50
    assert inside.values == pytest.approx({"sad": 0.025, "mad": 500, "mse": 250})


def test_a_perfect_matte_has_no_error() -> None:
    _, truth = matte_pair()
    assert set(evaluate_matte(truth, truth).values.values()) == {0.0}


def test_the_gradient_of_a_ramp_and_of_a_step() -> None:
    x = np.arange(-4, 5)
    bell = np.exp(-(x**2) / (2 * 1.4**2))
    slope = x * bell
    norm = np.sqrt((bell**2).sum() * (slope**2).sum())
    flat = np.zeros((31, 41), np.float32)
    middle = np.zeros((31, 41), np.uint8)
    middle[10:20, 10:30] = 128  # 200 pixels that no border reaches
    ramp = np.tile(np.linspace(0, 1, 41, dtype=np.float32), (31, 1))
    steepness = (x * slope).sum() * bell.sum() / norm / 40
    found = evaluate_matte(ramp, flat, middle, measures=["gradient"]).values["gradient"]
    assert found == pytest.approx(200 * steepness**2 / 1000, rel=1e-5)
    turned = evaluate_matte(ramp.T, flat.T, middle.T, measures=["gradient"]).values["gradient"]
    assert turned == pytest.approx(found, rel=1e-9)
    step = np.zeros((31, 41), np.float32)
    step[:, 20:] = 1
    heights = np.array([slope[x >= 20 - column].sum() for column in range(10, 30)]) * bell.sum() / norm
    found = evaluate_matte(step, flat, middle, measures=["gradient"]).values["gradient"]
    assert found == pytest.approx(10 * (heights**2).sum() / 1000, rel=1e-9)


def test_the_gradient_is_of_stretched_mattes() -> None:
    prediction, truth = matte_pair()
    prediction[0, 0], prediction[60, 70] = 0, 255
    faint = (prediction.astype(np.float32) / 255) * 0.5 + 0.25
    one = evaluate_matte(prediction, truth, measures=["gradient"]).values["gradient"]
    assert evaluate_matte(faint, truth, measures=["gradient"]).values["gradient"] == pytest.approx(one, rel=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_connectivity_is_that_of_flood_fills(seed: int) -> None:
    random = np.random.default_rng(seed)
    # Multiples of 51 stand on every second threshold: there single precision must not fall below it.
    truth = random.choice(np.array([0, 51, 102, 153, 204, 255, 30, 77], np.uint8), (11, 14))
    prediction = np.where(random.random(truth.shape) > 0.3, truth, random.integers(0, 256, truth.shape))
    prediction = prediction.astype(np.uint8)
    errors = connectivity(prediction, truth)
    found = evaluate_matte(prediction, truth, measures=["connectivity"]).values["connectivity"]
    assert found == pytest.approx(errors.sum() / 1000, rel=1e-5)
    trimap = np.full(truth.shape, 128, np.uint8)
    trimap[:, 7:] = 255
    inside = evaluate_matte(prediction, truth, trimap, measures=["connectivity"]).values["connectivity"]
    assert inside == pytest.approx(errors[:, :7].sum() / 1000, rel=1e-5)


def test_connectivity_by_hand() -> None:
    truth = np.zeros((10, 40), np.float32)
    truth[2:8, 2:20] = 1
    prediction = truth.copy()
    prediction[3:6, 30:34] = 0.7  # apart from the subject: wholly disconnected
    found = evaluate_matte(prediction, truth, measures=["connectivity"]).values["connectivity"]
    assert found == pytest.approx(12 * 0.7 / 1000)
    prediction[3:6, 30:34] = 0.1  # below theta: not seen
    assert evaluate_matte(prediction, truth, measures=["connectivity"]).values["connectivity"] == 0
    equal = np.zeros((10, 40), np.float32)
    equal[1:3, 20:22] = equal[5:7, 2:4] = 1  # of two parts of one size the left one counts
    weaker = equal.copy()
    weaker[1, 20] = 0.5
    found = evaluate_matte(equal, weaker, measures=["connectivity"]).values["connectivity"]
    assert found == pytest.approx(0.5 / 1000)


def test_the_published_code_s_numbers() -> None:
    """Robust Video Matting's evaluate_lr.py (MAD, MSE, Grad, Conn; in single precision) and GCA-Matting's evaluate.py
    (SAD, and all but Conn in the trimap: its own note says that its connectivity differs) gave these.
    """
    prediction, truth = matte_pair()
    whole = evaluate_matte(prediction, truth).values
    assert whole["mad"] == pytest.approx(40.28410720825195, rel=1e-6)
    assert whole["mse"] == pytest.approx(11.437976837158203, rel=1e-6)
    assert whole["gradient"] == pytest.approx(1.1501926183700562, rel=1e-6)
    assert whole["connectivity"] == pytest.approx(0.6828117966651917, rel=1e-6)
    assert whole["sad"] == pytest.approx(0.7734549019607844, rel=1e-6)
    trimap = np.full(truth.shape, 128, np.uint8)
    y, x = np.mgrid[:120, :160]
    trimap[truth >= 250] = 255
    trimap[(truth <= 5) & (np.hypot(y - 60, x - 70) > 50)] = 0
    inside = evaluate_matte(prediction, truth, trimap)
    assert inside.pixels == 3916
    assert inside.values["sad"] == pytest.approx(0.4957686274509804, rel=1e-6)
    assert inside.values["mse"] == pytest.approx(33.941314313297156, rel=1e-6)
    assert inside.values["gradient"] == pytest.approx(0.8547412138834644, rel=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (12, 12)])
@pytest.mark.parametrize("levels", [(0, 0), (0, 1), (1, 0), (0.5, 0.5), (1, 1)])
def test_flat_mattes_have_defined_values(size: tuple[int, int], levels: tuple[float, float]) -> None:
    prediction, truth = (np.full(size, level, np.float32) for level in levels)
    values = evaluate_matte(prediction, truth).values
    error = abs(levels[0] - levels[1])
    count = size[0] * size[1] / 1000
    expected = {"sad": error * count, "mad": error * 1e3, "mse": error**2 * 1e3, "gradient": 0}
    expected["connectivity"] = error * count
    assert values == pytest.approx(expected)


def test_bad_input() -> None:
    grey = np.zeros((4, 4), np.float32)
    with pytest.raises(InputError, match=r"trimap is 5 x 4 pixels, but the truth is 4 x 4"):
        evaluate_matte(grey, grey, np.zeros((4, 5), np.float32))
    with pytest.raises(InputError, match="no unknown pixels"):
        evaluate_matte(grey, grey, grey)
    with pytest.raises(InputError, match="no measure 'mae' of a matte"):
        evaluate_matte(grey, grey, measures=["mae"])
    with pytest.raises(InputError, match="No measure"):
        evaluate_matte(grey, grey, measures=[])
