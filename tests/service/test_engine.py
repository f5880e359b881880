"""The queue: turns, limits, leaving, and an end that finishes what there is."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from gossamer.errors import Cancelled
from gossamer.progress import Progress
from gossamer.service.engine import Engine
from gossamer.service.refusals import Busy, TooSlow


def test_everyone_has_a_turn() -> None:
    engine, done, gate, begun = Engine(20, 60), [], threading.Event(), threading.Event()
    first = engine.submit("busy", lambda _: (begun.set(), gate.wait(20)))
    assert begun.wait(20)

    def note(name: str) -> Any:
        return lambda _: done.append(name)

    jobs = [engine.submit("busy", note(f"busy{i}")) for i in range(4)]
    jobs += [engine.submit("small", note(f"small{i}")) for i in range(2)]
    gate.set()
    for job in (first, *jobs):
        job.future.result(20)
    assert done == ["busy0", "small0", "busy1", "small1", "busy2", "busy3"]
    engine.close()


def test_the_queue_is_bounded_and_one_owner_cannot_fill_it() -> None:
    engine, gate, begun = Engine(4, 60), threading.Event(), threading.Event()
    first = engine.submit("a", lambda _: (begun.set(), gate.wait(20)))
    assert begun.wait(20)
    jobs = [engine.submit("a", lambda _: None) for _ in range(3)]
    with pytest.raises(Busy, match="its part") as told:
        engine.submit("a", lambda _: None)
    assert told.value.seconds >= 1
    jobs.append(engine.submit("b", lambda _: None))
    with pytest.raises(Busy, match="is full"):
        engine.submit("c", lambda _: None)
    jobs[0].leave()  # whoever goes makes room
    jobs.append(engine.submit("c", lambda _: None))
    gate.set()
    for job in (first, *jobs[1:]):
        job.future.result(20)
    with pytest.raises(Cancelled):
        jobs[0].future.result(20)
    engine.close()


def test_work_that_nobody_waits_for_stops_and_so_does_what_takes_too_long() -> None:
    def forever(steps: Progress) -> None:
        while True:
            steps.tick()
            time.sleep(0.01)

    engine = Engine(4, 0.2)
    with pytest.raises(TooSlow, match=r"0\.2 s"):
        engine.submit("a", forever).future.result(20)
    engine.close()
    engine, begun = Engine(4, 60), threading.Event()
    job = engine.submit("a", lambda steps: (begun.set(), forever(steps)))
    assert begun.wait(20)
    job.leave()
    with pytest.raises(Cancelled):
        job.future.result(20)
    engine.close()


def test_hands_of_one_process_share_its_room_and_nothing_overtakes_what_is_large() -> None:
    class Hands:
        def __call__(self, work: Any, steps: Progress) -> Any:
            return work(steps)

        def close(self) -> None:
            pass

    engine, lock, at_once, most, order = Engine(20, 60, [Hands(), Hands()], room=10), threading.Lock(), [], [], []

    def work(name: str, pixels: int) -> Any:
        def go(_: Progress) -> None:
            with lock:
                at_once.append(pixels)
                order.append(name)
                most.append((len(at_once), sum(at_once)))
            time.sleep(0.03)
            with lock:
                at_once.remove(pixels)

        return go

    wishes = [("a", 4), ("b", 5), ("large", 50), ("c", 5), ("d", 5), ("e", 6), ("f", 3)]
    jobs = [engine.submit("me", work(*wish), wish[1]) for wish in wishes]
    for job in jobs:
        job.future.result(20)
    engine.close()
    assert max(count for count, _ in most) == 2
    assert all(count == 1 or pixels <= 10 for count, pixels in most)
    assert [name for name in order if name in ("large", "e", "f")] == ["large", "e", "f"]
    assert order.index("large") == 2


def test_the_end_finishes_what_there_is_and_takes_no_more() -> None:
    engine, done, gate, begun = Engine(4, 60), [], threading.Event(), threading.Event()
    engine.submit("a", lambda _: (begun.set(), gate.wait(20)))
    assert begun.wait(20)
    jobs = [engine.submit("a", lambda _: done.append(1)) for _ in range(2)]
    ending = threading.Thread(target=engine.close)
    ending.start()
    while engine.is_open:
        time.sleep(0.01)
    with pytest.raises(Busy, match="about to end"):
        engine.submit("a", lambda _: None)
    gate.set()
    ending.join(20)
    assert all(job.future.done() for job in jobs)
    assert done == [1, 1]


def test_a_fault_in_one_job_is_its_own() -> None:
    engine = Engine(4, 60)

    def fail(_: Progress) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        engine.submit("a", fail).future.result(20)
    assert engine.submit("a", lambda _: 5).future.result(20) == 5
    engine.close()


def test_who_waits_no_longer_does_not_end_the_engine() -> None:
    engine, gate, begun = Engine(4, 60), threading.Event(), threading.Event()
    first = engine.submit("a", lambda _: (begun.set(), gate.wait(20)))
    assert begun.wait(20)
    waiting = engine.submit("a", lambda _: None)
    for job in (first, waiting):
        job.leave()
        assert not job.future.cancel()  # as an event loop does with what it waited for
    gate.set()
    assert engine.submit("a", lambda _: 5).future.result(20) == 5
    engine.close()
