from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from gossamer.errors import Cancelled, DeviceError
from gossamer.networks.batches import BatchSize, Exhausted, watched
from gossamer.progress import Progress


def halving(most: int) -> tuple[BatchSize, list[int], object]:
    tried: list[int] = []

    def run(part: np.ndarray, progress: Progress) -> np.ndarray:
        tried.append(len(part))
        if len(part) > most:
            raise Exhausted
        progress(1.0)
        return part[:, 0] * 2

    return BatchSize(), tried, run


def test_a_batch_is_halved_until_memory_holds_it_and_stays_so() -> None:
    size, tried, run = halving(2)
    batch = np.arange(11, dtype=np.float32)[:, None, None, None] * np.ones((1, 3, 2, 2), np.float32)
    fractions: list[float] = []
    result = size.run(batch, Progress(lambda fraction, message: fractions.append(fraction)), run)
    assert np.array_equal(result[:, 0, 0], np.arange(11) * 2)
    assert tried == [11, 5, 2, 2, 2, 2, 2, 1]
    assert fractions == sorted(fractions)
    assert fractions[-1] == pytest.approx(1)
    assert size.warnings == ("Memory ran out: pictures go through the model 2 at a time.",)
    tried.clear()
    size.run(batch, Progress(), run)
    assert max(tried) == 2


def test_one_picture_that_memory_does_not_hold_is_an_error() -> None:
    size, tried, run = halving(0)
    with pytest.raises(DeviceError, match="one picture of 5 x 4"):
        size.run(np.zeros((4, 3, 4, 5), np.float32), Progress(), run)
    assert tried == [4, 2, 1]


def test_progress_ticks_while_work_runs_and_what_it_raises_stops_the_work() -> None:
    stop = threading.Event()
    calls: list[float] = []

    def progress(fraction: float, message: str) -> None:
        calls.append(time.monotonic())
        if len(calls) == 5:
            raise Cancelled

    with pytest.raises(Cancelled):
        watched(lambda: stop.wait(20), Progress(progress), stop.set)
    assert stop.is_set()
    assert calls[-1] - calls[0] < 2


def test_who_leaves_does_not_wait_for_a_layer_that_takes_long() -> None:
    """One layer of a large network took up to 15 seconds."""
    layer, ended = threading.Event(), threading.Event()

    def leave(fraction: float, message: str) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        watched(lambda: layer.wait(20), Progress(leave), lambda: None, ended=ended.set)
    assert not layer.is_set()
    assert not ended.is_set()  # it still runs, so nothing else may begin
    layer.set()
    assert ended.wait(20)


def test_errors_of_the_work_pass_through_also_timeouts() -> None:
    def fail() -> None:
        time.sleep(0.12)
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        watched(fail, Progress(), lambda: None)
    assert watched(lambda: 5, Progress(), lambda: None) == 5
