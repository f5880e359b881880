"""Runs of several threads put together: each gets its own, and nobody waits for those who have left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from gossamer.errors import Cancelled, ModelError
from gossamer.networks.together import Together, run_together
from gossamer.progress import Progress


class Slow:
    """A network that holds each run until it is let go on, and adds one."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.began, self.go = threading.Semaphore(0), threading.Semaphore(0)
        self.error: Exception | None = None

    def run(self, batch: np.ndarray, progress: Progress) -> np.ndarray:
        self.sizes.append(len(batch))
        self.began.release()
        while not self.go.acquire(timeout=0.01):
            progress(0.5)
        if self.error is not None:
            raise self.error
        return batch[:, 0] + 1


@pytest.fixture
def pool() -> Any:
    with ThreadPoolExecutor(12) as made:
        yield made


def asker(pool: ThreadPoolExecutor, together: Together, network: Slow) -> Callable[..., Future[Any]]:
    def ask(value: float, side: int = 4, count: int = 1, callback: Any = None) -> Future[Any]:
        def work() -> Any:
            with together.here():
                batch = np.full((count, 1, side, side), value, np.float32)
                return run_together("one", batch, Progress(callback), network.run)

        future = pool.submit(work)
        time.sleep(0.03)  # in the order in which they are asked for
        return future

    return ask


def test_what_waits_goes_together_and_each_gets_its_own(pool: ThreadPoolExecutor) -> None:
    network = Slow()
    ask = asker(pool, Together(4), network)
    first = ask(0)
    assert network.began.acquire(timeout=5)
    others = [ask(value) for value in (1, 2, 3, 4, 5)]
    for _ in range(3):
        network.go.release()
    values = [future.result(10) for future in (first, *others)]
    assert network.sizes == [1, 4, 1]
    for value, maps in enumerate(values):
        assert maps.shape == (1, 4, 4)
        assert (maps == value + 1).all()


def test_other_sizes_go_by_themselves_and_what_one_brings_is_not_divided(pool: ThreadPoolExecutor) -> None:
    network = Slow()
    ask = asker(pool, Together(3), network)
    first = ask(0, count=5)
    assert network.began.acquire(timeout=5)
    waiting = [ask(1, count=2), ask(2, count=2), ask(3)]
    wide = ask(7, side=6)  # not held up by those of another size
    assert network.began.acquire(timeout=5)
    for _ in range(4):
        network.go.release()
    assert sorted(network.sizes[:2]) == [1, 5]
    assert (wide.result(10) == 8).all()
    assert [len(each.result(10)) for each in (first, *waiting)] == [5, 2, 2, 1]
    assert network.sizes[2:] == [2, 3]


def test_who_leaves_does_so_at_once_and_ends_nothing_for_the_others(pool: ThreadPoolExecutor) -> None:
    network, gone = Slow(), threading.Event()

    def leaving(*_: Any) -> None:
        if gone.is_set():
            raise Cancelled()

    ask = asker(pool, Together(4), network)
    first = ask(0)
    assert network.began.acquire(timeout=5)
    stays = ask(1)
    goes = ask(2, callback=leaving)
    gone.set()
    with pytest.raises(Cancelled):
        goes.result(1)  # before anything ran
    gone.clear()
    leads = ask(3, callback=leaving)
    network.go.release()
    assert (first.result(10) == 1).all()
    assert network.began.acquire(timeout=5)
    assert network.sizes == [1, 2]
    gone.set()  # in the midst of the run: its pictures may be another's too
    time.sleep(0.1)
    network.go.release()
    assert (stays.result(10) == 2).all()
    with pytest.raises(Cancelled):
        leads.result(10)


def test_a_run_that_nobody_waits_for_stops(pool: ThreadPoolExecutor) -> None:
    network, gone = Slow(), threading.Event()

    def leaving(*_: Any) -> None:
        if gone.is_set():
            raise Cancelled()

    ask = asker(pool, Together(4), network)
    both = [ask(0, callback=leaving), ask(1, callback=leaving)]
    gone.set()
    for each in both:
        with pytest.raises(Cancelled):
            each.result(1)
    gone.clear()
    again = ask(2)
    network.go.release()
    assert (again.result(10) == 3).all()


def test_a_fault_is_told_to_all_whose_run_it_was_and_the_next_one_runs(pool: ThreadPoolExecutor) -> None:
    network = Slow()
    network.error = ModelError("broken")
    ask = asker(pool, Together(2), network)
    three = [ask(value) for value in range(3)]
    for _ in range(2):
        network.go.release()
    for each in three:
        with pytest.raises(ModelError):
            each.result(10)
    network.error = None
    network.go.release()
    assert (ask(4).result(10) == 5).all()


def test_without_it_each_runs_alone() -> None:
    batch = np.zeros((1, 1, 2, 2), np.float32)
    assert run_together("one", batch, Progress(), lambda given, _: given is batch) is True
