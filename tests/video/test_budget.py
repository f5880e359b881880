"""A frame's time: pictures as large as it allows, whatever else the machine does."""

from __future__ import annotations

import numpy as np
import pytest

from gossamer.video.budget import SCALES, Budget


def run_budget(budget: Budget, cost: float, fixed: float, count: int) -> list[float]:
    """Give a budget the time of frames that take `fixed` seconds and `cost` more at full size."""
    scales = []
    for _ in range(count):
        scales.append(budget.scale)
        budget.spent(fixed + cost * budget.scale**2)
    return scales


def test_the_budget_finds_the_largest_size_that_keeps_the_rate() -> None:
    budget = Budget(1 / 30)
    found = run_budget(budget, 0.1, 0.004, 200)
    # 4 ms + 100 ms x scale^2 <= 0.95 / 30 s: 0.5 is the largest of the steps.
    assert set(found[40:]) == {0.5}
    assert found == sorted(found, reverse=True)
    # The machine has time again: back to full size, in steps, and no further.
    again = run_budget(budget, 0.01, 0.001, 200)
    assert again[-1] == 1.0
    assert again == sorted(again)


def test_the_budget_goes_no_further_than_it_may_or_than_it_helps() -> None:
    assert min(run_budget(Budget(1 / 30, 0.5), 1.0, 0.0, 100)) == 0.5
    assert set(run_budget(Budget(1 / 30, 1.0), 1.0, 0.0, 100)) == {1.0}
    assert set(run_budget(Budget(float("inf")), 1.0, 0.0, 100)) == {1.0}
    assert set(run_budget(Budget(1 / 30), 0.02, 0.0, 100)) == {1.0}
    # A model that takes long at any size: one try, and edges are kept.
    found = run_budget(Budget(1 / 30), 0.0, 0.2, 300)
    assert set(found) == {1.0, SCALES[4]}
    assert found.count(SCALES[4]) <= 5


def test_the_budget_does_not_sway() -> None:
    budget = Budget(1 / 30)
    found = run_budget(budget, 0.062, 0.0, 600)  # 0.59 keeps it with 0.65 of the time, 0.71 with 0.94
    assert len(set(found[60:])) == 1


def noisy(
    budget: Budget, load: float, count: int, seed: int, *, own: float = 0.012, hiccups: float = 0.0
) -> list[float]:
    """Return the scales of frames of a model half of whose time goes with the area, on a machine with other work."""
    chance, scales = np.random.default_rng(seed), []
    for _ in range(count):
        scales.append(budget.scale)
        late = 3.0 if chance.random() < hiccups else 1.0
        budget.spent(load * late * (own + own * budget.scale**2) * float(chance.lognormal(0, 0.15)))
    return scales


def test_the_budget_follows_what_else_the_machine_does() -> None:
    """Times sway by 15 %: a size that helped seemed not to, and beside others 0.97 of a side was seen, always late."""
    busy, free = [], []
    for seed in range(8):
        budget = Budget(1 / 30, 0.5)
        assert np.mean(noisy(budget, 1.0, 300, seed)[100:]) > 0.95
        for times in range(4):  # others come and go
            busy.append(np.mean(noisy(budget, 3.0, 300, 10 * seed + times)[150:]))
            free.append(np.mean(noisy(budget, 1.0, 300, 10 * seed + times + 4)[150:]))
    assert np.mean(busy) < 0.56
    assert np.mean(free) > 0.98
    assert min(free) > 0.8


@pytest.mark.parametrize("seed", range(8))
def test_single_late_frames_are_no_reason_for_smaller_ones(seed: int) -> None:
    found = noisy(Budget(1 / 30, 0.25), 1.0, 900, seed, own=0.01, hiccups=0.05)
    assert np.mean(found) > 0.9


def wandering(budget: Budget, seconds: float, seed: int, *, one_size: bool = False) -> list[tuple[float, float]]:
    """Return scales and times of frames, five a second wanted, where others come and go, and two more after 30 s."""
    chance, load, now, seen = np.random.default_rng(seed), 1.0, 0.0, []
    while now < seconds:
        load = float(np.clip(load * chance.lognormal(0, 0.02), 0.7, 3))
        scale = budget.scale
        took = load * (2.5 if now > 30 else 1) * float(chance.lognormal(0, 0.15))
        took *= 0.06 + 0.06 * (1 if one_size else scale**2)
        budget.spent(took)
        now += max(took, 0.2)
        seen.append((scale, took))
    return seen


def test_what_seemed_no_gain_as_others_came_is_tried_again() -> None:
    """It stayed at full size for 120 frames, which are minutes where one takes a second."""
    found = [wandering(Budget(1 / 5, 0.25), 70, seed)[-60:] for seed in range(20)]
    assert np.mean([scale for one in found for scale, _ in one]) < 0.6
    assert np.median([took for one in found for _, took in one]) < 0.22


def test_a_model_of_one_size_is_soon_left_at_full_size_also_where_times_sway() -> None:
    found = [wandering(Budget(1 / 5, 0.25), 120, seed, one_size=True) for seed in range(20)]
    assert np.mean([scale for one in found for scale, _ in one]) > 0.85


def test_a_budget_that_is_far_away_is_met_at_once() -> None:
    found = run_budget(Budget(1 / 25), 0.5, 0.0, 12)
    assert found[3] == SCALES[4]
    assert found[-1] == SCALES[8]  # 0.5 s x 0.297^2 is more than the budget, 0.5 s x 0.25^2 is less
