from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from gossamer.settings.promotion import Promotion
from gossamer.training.dataset import Example, read_dataset
from gossamer.training.promotion import objections_to
from gossamer.training.proof import PROVED, Change, Interval, Proof, Seen, interval, prove, samples_of
from tests.training.dataset.scenes import blob, fill_folder, save_cutout, scene


def test_the_interval_is_that_of_the_mean() -> None:
    values = np.random.default_rng(1).normal(0.05, 0.2, 400)
    found = interval(values, [str(n) for n in range(400)], 4000, 0)
    error = values.std() / np.sqrt(400)
    assert found.middle == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - 1.96 * error, abs=0.1 * error)
    assert found.high == pytest.approx(values.mean() + 1.96 * error, abs=0.1 * error)


def test_pictures_of_one_group_count_once() -> None:
    few = np.random.default_rng(2).normal(0, 1, 20)
    alone = interval(few, [str(n) for n in range(20)], 4000, 0)
    # Ten pictures of each product that all say the same: nothing more is known.
    tenfold = interval(np.repeat(few, 10), [str(n // 10) for n in range(200)], 4000, 0)
    assert tenfold.low == pytest.approx(alone.low, abs=0.08)
    assert tenfold.high == pytest.approx(alone.high, abs=0.08)
    naive = interval(np.repeat(few, 10), [str(n) for n in range(200)], 4000, 0)
    assert naive.high - naive.low < 0.5 * (alone.high - alone.low)


@pytest.mark.long
def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    hits = 0
    for seed in range(200):
        values = np.random.default_rng(seed).exponential(1.0, 40)
        found = interval(values, [str(n) for n in range(40)], 200, seed)
        hits += found.low <= 1.0 <= found.high
    assert 0.88 <= hits / 200 <= 0.98  # percentile intervals of 40 skewed values hold a little too rarely


class Shifted:
    """A model that finds the truth of a scene, some pixels beside it."""

    def __init__(self, shift: int) -> None:
        self.shift = shift

    def predict(self, image: np.ndarray, progress: object = None) -> np.ndarray:
        best = min(range(8), key=lambda seed: np.abs(scene(seed)[0].astype(int) - image).mean())
        return np.roll(blob(best), self.shift, axis=1)


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> tuple[Example, ...]:
    root = tmp_path_factory.mktemp("proof")
    fill_folder(root, 8)
    return read_dataset(root).examples


@pytest.mark.long
def test_every_measure_says_by_how_much_it_became_better(examples: tuple[Example, ...]) -> None:
    samples = samples_of(examples, (), Promotion())
    found = prove(Shifted(6), Shifted(1), samples, Promotion())
    assert [change.measure for change in found.changes] == list(PROVED)
    hard = [blob(seed) > 128 / 255 for seed in range(8)]  # what the field's MAE is measured against
    errors = [[np.abs(np.roll(blob(seed), shift, 1) - hard[seed]).mean() for seed in range(8)] for shift in (6, 1)]
    soft = [np.abs(np.roll(blob(seed), 6, 1) - blob(seed)).sum() / 1000 for seed in range(8)]
    change = found.of("mae")
    assert change.before == pytest.approx(np.mean(errors[0]), abs=0.002)
    assert change.after == pytest.approx(np.mean(errors[1]), abs=0.002)
    assert change.gain.middle == pytest.approx(np.mean(errors[0]) - np.mean(errors[1]), abs=0.002)
    assert found.of("sad").before == pytest.approx(np.mean(soft), abs=0.01)
    for change in found.changes:
        assert change.gain.low <= change.gain.middle <= change.gain.high
        assert change.gain.low > 0 or change.measure == "hce"
    assert found.groups == 8
    back = prove(Shifted(1), Shifted(6), samples, Promotion())
    assert back.of("weighted_f").gain.high < 0
    assert prove(Shifted(6), Shifted(1), samples, Promotion()) == found


def test_large_pictures_are_measured_smaller_and_cut_outs_over_several_backgrounds(tmp_path: Path) -> None:
    rgb, alpha = scene(1, 200, 300)
    save_cutout(tmp_path / "a.png", rgb, alpha)
    one = Example("a", "a", tmp_path / "a.png", None, "cut-out")
    samples = samples_of([one], (), Promotion(composites=2))
    assert [sample.name for sample in samples] == ["a (1)", "a (2)"]
    first, second = (sample.load(150, 0)[0] for sample in samples)
    assert first.shape == (100, 150, 3)
    assert np.abs(first.astype(int) - second).mean() > 5
    assert np.array_equal(first, samples[0].load(150, 0)[0])
    whole = Example("b", "b", tmp_path / "b.png", tmp_path / "b-mask.png", "folder")
    cv2.imwrite(str(tmp_path / "b.png"), rgb[..., ::-1])
    cv2.imwrite(str(tmp_path / "b-mask.png"), np.rint(alpha * 255).astype(np.uint8))
    small, truth = samples_of([whole], (), Promotion())[0].load(150, 0)
    assert small.shape == (100, 150, 3)
    assert abs(float(truth.mean()) - float(alpha.mean())) < 0.002


def _proof(before: float, after: float, low: float, groups: int = 9) -> Proof:
    gain = Interval(after - before, low, after - before + 0.1)
    seen = tuple(Seen(f"p{n}", f"g{n}", {}, {}) for n in range(groups))
    return Proof((Change("weighted_f", before, after, gain),), seen)


@pytest.mark.parametrize(
    ("domain", "general", "said"),
    [
        (_proof(0.7, 0.8, 0.02), _proof(0.9, 0.895, -0.1), []),
        (_proof(0.7, 0.8, -0.01), _proof(0.9, 0.9, -0.1), ["not surely better"]),
        (_proof(0.7, 0.6, -0.2), _proof(0.9, 0.9, -0.1), ["not surely better"]),
        (_proof(0.7, 0.8, 0.02), _proof(0.9, 0.89, -0.1), ["1.1 % worse in general"]),
        (_proof(0.7, 0.8, 0.02), None, ["no general set"]),
        (_proof(0.7, 0.8, 0.02, groups=3), _proof(0.9, 0.9, 0.0), ["has 3 groups"]),
        (_proof(0.7, 0.8, 0.02, groups=1), _proof(0.9, 0.9, 0.0), ["has 1 group of"]),
        (_proof(0.7, 0.6, -0.2), _proof(0.9, 0.5, 0.0), ["not surely better", "worse in general"]),
    ],
)
def test_what_speaks_against_it(domain: Proof, general: Proof | None, said: list[str]) -> None:
    found = objections_to(domain, general, Promotion())
    assert len(found) == len(said)
    for sentence, part in zip(found, said, strict=True):
        assert part in sentence


def test_more_loss_can_be_allowed() -> None:
    worse = _proof(0.9, 0.88, -0.1)
    assert objections_to(_proof(0.7, 0.8, 0.02), worse, Promotion())
    assert not objections_to(_proof(0.7, 0.8, 0.02), worse, Promotion(general_loss=3))
