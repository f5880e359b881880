"""Worker processes: what they do, what happens where one dies or does not stop, and that none is left."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import pytest

from gossamer.errors import Cancelled, GossamerError, InputError
from gossamer.progress import Progress
from gossamer.service.engine import Engine
from gossamer.service.hands import Elsewhere
from gossamer.service.refusals import TooSlow
from gossamer.settings.service import Service
from tests.cached_weights import weights_home
from tests.service.conftest import KEYED, Server, pixels, png
from tests.service.test_process import number, until

pytestmark = pytest.mark.skipif(os.name != "posix", reason="looks at processes as POSIX tells of them")


# What a worker is asked for in these tests; it finds them here, by their names.


class Sum:
    def __init__(self, *numbers: int) -> None:
        self.numbers = numbers

    def __call__(self, shop: Any, steps: Progress) -> Any:
        print("a library that prints")  # which is no answer
        steps(0.5, "Adding")
        return sum(self.numbers), os.getpid()


class Fail:
    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __call__(self, shop: Any, steps: Progress) -> Any:
        raise self.error


class FailOddly:
    def __call__(self, shop: Any, steps: Progress) -> Any:
        raise Odd(1, 2)


class Die:
    def __call__(self, shop: Any, steps: Progress) -> Any:
        os.kill(os.getpid(), signal.SIGKILL)


class Wait:
    def __init__(self, deaf: bool = False) -> None:
        self.deaf = deaf

    def __call__(self, shop: Any, steps: Progress) -> Any:
        steps(0.1, "Waiting")
        end = time.monotonic() + 60
        while time.monotonic() < end:
            time.sleep(0.02)
            if not self.deaf:
                steps.tick()


class Odd(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__("cannot be pickled")


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Elsewhere]]:
    monkeypatch.setenv("GOSSAMER_HOME", str(weights_home()))
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((root, os.environ.get("PYTHONPATH", ""))))
    monkeypatch.setattr("gossamer.service.hands._PATIENCE", 1.0)
    made: list[Elsewhere] = []

    def go(count: int = 1) -> Elsewhere:
        made.append(Elsewhere(Service(model="none"), len(made), count))
        return made[-1]

    yield go
    for each in made:
        each.close()


def steps(told: list[Any] | None = None) -> Progress:
    return Progress((lambda fraction, message: told.append((fraction, message))) if told is not None else None)


def test_work_is_done_elsewhere_and_errors_come_back_as_they_are(hands: Any) -> None:
    worker, told = hands(), []
    total, pid = worker(Sum(1, 2), steps(told))
    assert total == 3
    assert pid != os.getpid()
    assert (0.5, "Adding") in told
    with pytest.raises(InputError) as found:
        worker(Fail(InputError("Nothing is there.", "Look.")), steps())
    assert (found.value.message, found.value.remedy, found.value.http_status) == ("Nothing is there.", "Look.", 422)
    with pytest.raises(ZeroDivisionError):
        worker(Fail(ZeroDivisionError("oh")), steps())
    with pytest.raises(RuntimeError, match="cannot be pickled"):
        worker(FailOddly(), steps())
    assert worker(Sum(4), steps()) == (4, pid)  # the same process, through all of it
    assert worker.restarts == 0


@pytest.mark.long
def test_one_that_dies_costs_its_own_request_alone(hands: Any) -> None:
    worker = hands()
    _, first = worker(Sum(), steps())
    with pytest.raises(GossamerError, match="has ended") as found:
        worker(Die(), steps())
    assert found.value.http_status == 500
    _, second = worker(Sum(), steps())
    assert second != first
    os.kill(second, signal.SIGKILL)  # with nothing to do: another one is there before somebody asks, or then
    _, third = worker(Sum(), steps())
    assert third not in (first, second)
    assert worker.restarts == 2


@pytest.mark.long
def test_work_that_nobody_waits_for_stops_and_what_is_deaf_is_ended(hands: Any) -> None:
    worker = hands()
    _, first = worker(Sum(), steps())
    engine = Engine(4, 60, [worker])
    job = engine.submit("a", Wait())
    while job.told[1] != "Waiting" or not job.told[0]:
        time.sleep(0.01)
    start = time.monotonic()
    job.leave()
    with pytest.raises(Cancelled):
        job.future.result(20)
    assert time.monotonic() - start < 10
    assert engine.submit("a", Sum(1)).future.result(20) == (1, first)  # which is free at once, and warm
    deaf = engine.submit("a", Wait(deaf=True))
    while not deaf.told[0]:
        time.sleep(0.01)
    deaf.leave()
    with pytest.raises(Cancelled):
        deaf.future.result(20)
    total, second = engine.submit("a", Sum(2)).future.result(60)
    assert total == 2
    assert second != first
    engine.close()
    for pid in (first, second):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.long
def test_too_long_work_is_stopped_elsewhere_too(hands: Any) -> None:
    worker = hands()
    worker(Sum(), steps())
    engine = Engine(4, 0.3, [worker])
    with pytest.raises(TooSlow):
        engine.submit("a", Wait()).future.result(20)
    engine.close()


@pytest.mark.long
def test_each_has_its_part_of_the_cores(hands: Any) -> None:
    if sys.platform != "linux" or len(os.sched_getaffinity(0)) < 2:
        pytest.skip("there is one core")
    workers = [hands(2), hands(2)]
    pids = [worker(Sum(), steps())[1] for worker in workers]
    cores = [os.sched_getaffinity(pid) for pid in pids]
    assert cores[0] | cores[1] == os.sched_getaffinity(0)
    assert not cores[0] & cores[1]


def _children(pid: int) -> list[int]:
    done = subprocess.run(["ps", "--ppid", str(pid), "-o", "pid="], capture_output=True, text=True, check=False)
    return [int(each) for each in done.stdout.split()]


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _gone(pids: list[int]) -> bool:
    end = time.monotonic() + 20
    while any(map(_alive, pids)):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.long
def test_a_service_of_two_workers(serve: Callable[..., Server], screen: np.ndarray, photograph: np.ndarray) -> None:
    server = serve("--workers", "2")

    def ask(picture: np.ndarray, **fields: str) -> httpx.Response:
        return httpx.post(f"{server.url}/v1/cutouts", files={"image": png(picture)}, data=fields, timeout=120)

    # The same picture gives the same from whichever does it.
    with ThreadPoolExecutor(4) as pool:
        answered = list(pool.map(lambda _: ask(photograph, matting="none"), range(4)))
    assert [each.status_code for each in answered] == [200] * 4
    assert len({each.content for each in answered}) == 1
    assert pixels(answered[0].content).shape == (256, 256, 4)
    text = httpx.get(f"{server.url}/metrics", timeout=60).text
    assert "gossamer_hands 2.0" in text
    assert 'gossamer_cutouts_total{model="u2netp"} 4.0' in text
    assert float(re.search(r"^gossamer_models_warm (\S+)", text, re.M)[1]) == 2
    assert float(re.search(r"^gossamer_workers_memory_bytes (\S+)", text, re.M)[1]) > 5e7
    assert float(re.search(r"^gossamer_queue_waiting (\S+)", text, re.M)[1]) == 0
    # One is killed under its work: an error for that, and a new one for the next.
    children = _children(server.process.pid)
    assert len(children) == 2
    large = photograph.repeat(2, 0).repeat(2, 1)
    begun = [threading.Event(), threading.Event()]

    def listen(number: int) -> dict[str, Any]:
        told: dict[str, Any] = {}
        fields, accept = {"matting": "closed_form", "matting_band": "100"}, {"accept": "application/x-ndjson"}
        files = {"image": png(large)}
        with httpx.stream(
            "POST", f"{server.url}/v1/cutouts", files=files, data=fields, headers=accept, timeout=120
        ) as answered:
            for line in answered.iter_lines():
                told = json.loads(line)
                if told.get("progress", 0) > 0:
                    begun[number].set()
        return told

    with ThreadPoolExecutor(2) as pool:
        listening = [pool.submit(listen, number) for number in range(2)]
        assert all(each.wait(60) for each in begun)
        os.kill(children[0], signal.SIGKILL)
        ends = [each.result() for each in listening]
    assert sum("image" in each for each in ends) == 1
    (failed,) = (each["error"] for each in ends if "error" in each)
    assert failed["status"] == 500
    assert "has ended" in failed["message"]
    with ThreadPoolExecutor(2) as pool:
        assert {each.status_code for each in pool.map(lambda _: ask(screen, **KEYED), range(2))} == {200}
    assert "gossamer_worker_restarts 1.0" in httpx.get(f"{server.url}/metrics", timeout=60).text
    # The end finishes what there is, and nothing is left.
    children = _children(server.process.pid)
    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(ask, large) for _ in range(3)]
        until(lambda: number(server, "gossamer_queue_waiting") >= 1)  # two are worked on, then
        assert server.end() == 0
        assert [each.result().status_code for each in asked] == [200] * 3
    assert _gone(children)


@pytest.mark.long
def test_workers_go_with_a_parent_that_is_killed(serve: Callable[..., Server]) -> None:
    server = serve("--workers", "2")
    children = _children(server.process.pid)
    assert len(children) == 2
    server.process.kill()
    assert _gone(children)
