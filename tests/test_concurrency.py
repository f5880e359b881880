"""Threads on one model: runs at once, unloading meanwhile, and giving up leaves nothing running."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import skimage.data

import gossamer
from gossamer.errors import Cancelled
from gossamer.networks.batches import watched
from gossamer.networks.onnx_network import OnnxNetwork
from gossamer.networks.torch_network import TorchNetwork
from gossamer.progress import Progress
from gossamer.warm import Loadable, Warm, warm
from tests.cached_weights import weights_home

GUARD = 60  # seconds, against hanging alone: runs of 10 pictures take longer than a tenth of this


@pytest.fixture(params=["onnx", "torch"])
def pipeline(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> gossamer.Pipeline:
    monkeypatch.setenv("GOSSAMER_HOME", str(weights_home()))
    monkeypatch.setenv("GOSSAMER_OFFLINE", "1")
    return gossamer.Pipeline(model="u2netp", device="cpu", runtime=request.param)


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return np.ascontiguousarray(skimage.data.astronaut()[::2, ::2])


def in_threads(*works: Callable[[], Any]) -> list[Any]:
    """Return what each gives; what it raises is raised here."""
    results: list[Any] = [None] * len(works)
    errors: list[BaseException] = []

    def run(number: int) -> None:
        try:
            results[number] = works[number]()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(GUARD)
        assert not thread.is_alive()
    if errors:
        raise errors[0]
    return results


@pytest.mark.long
def test_several_runs_at_once_give_what_one_gives_and_load_once(
    pipeline: gossamer.Pipeline, picture: np.ndarray
) -> None:
    flipped = np.ascontiguousarray(picture[:, ::-1])
    found = in_threads(*(lambda array=array: pipeline.run(array).alpha for array in (picture, flipped) * 3))
    models = {id(model) for model in in_threads(pipeline.load, pipeline.load)}
    assert len(models) == 1
    for number, array in enumerate((picture, flipped)):
        expected = pipeline.run(array).alpha
        for alpha in found[number::2]:
            assert np.array_equal(alpha, expected)


@pytest.mark.long
def test_unloading_at_any_time_lets_runs_finish(pipeline: gossamer.Pipeline, picture: np.ndarray) -> None:
    expected = pipeline.run(picture).alpha
    on, end = threading.Event(), threading.Event()

    def unload() -> None:
        on.wait()
        while not end.is_set():
            pipeline.unload()
            time.sleep(0.002)

    def run() -> list[np.ndarray]:
        try:
            on.set()
            return [pipeline.run(picture).alpha for _ in range(3)]
        finally:
            end.set()

    _, alphas = in_threads(unload, run)
    assert all(np.array_equal(alpha, expected) for alpha in alphas)


@pytest.mark.long
def test_unloading_in_the_middle_of_a_run_frees_the_network_at_its_end(
    pipeline: gossamer.Pipeline, picture: np.ndarray
) -> None:
    with warm.lent(pipeline.load()._network) as loaded:
        network = weakref.ref(loaded)
    del loaded
    seen: list[bool] = []

    def progress(fraction: float, message: str) -> None:
        lent = any(kept.users for kept in warm._kept.values())
        if lent and message.startswith("Finding") and not seen:
            pipeline.unload()
            gc.collect()
            seen.append(network() is not None)

    first = pipeline.run(picture, progress).alpha
    assert seen == [True]
    gc.collect()
    assert network() is None
    assert np.array_equal(pipeline.run(picture).alpha, first)


NETWORKS = {
    "onnx": lambda: OnnxNetwork(weights_home() / "models" / "isnet-general-use-float16.onnx", "cpu"),
    "torch": lambda: TorchNetwork(weights_home() / "models" / "u2net.onnx", "u2net", device="cpu"),
}
SIZES = {"onnx": 1024, "torch": 448}


@pytest.mark.long
@pytest.mark.parametrize("runtime", NETWORKS)
def test_a_run_that_is_given_up_ends_long_before_it_would(runtime: str) -> None:
    network = NETWORKS[runtime]()
    size = SIZES[runtime]
    batch = np.zeros((1, 3, size, size), np.float32)
    small = np.full((1, 3, size, size), 0.5, np.float32)
    start = time.process_time()
    expected = network.run(small, Progress())
    whole = time.process_time() - start
    ticks: list[float] = []

    def stop(fraction: float, message: str) -> None:
        ticks.append(time.process_time())
        if len(ticks) == 3:
            raise Cancelled

    start = time.process_time()
    with pytest.raises(Cancelled):
        network.run(batch, Progress(stop))
    # Of this process's own time, whatever else the machine does: what went on after giving up.
    spent = time.process_time() - ticks[-1]
    assert spent < whole / 3
    time.sleep(0.2)
    after = time.process_time()
    time.sleep(0.3)
    assert time.process_time() - after < 0.15  # nothing runs on
    assert np.array_equal(network.run(small, Progress()), expected)


@pytest.mark.long
def test_a_run_that_waits_for_another_is_given_up_at_once_and_the_other_goes_on() -> None:
    network = NETWORKS["onnx"]()
    batch = np.full((1, 3, 1024, 1024), 0.5, np.float32)
    order: list[str] = []
    started = threading.Event()

    def first() -> np.ndarray:
        result = network.run(batch, Progress(lambda *_: started.set()))
        order.append("first")
        return result

    def second() -> None:
        started.wait()

        def stop(fraction: float, message: str) -> None:
            raise Cancelled

        with pytest.raises(Cancelled):
            network.run(batch, Progress(stop))
        order.append("second")

    in_threads(first, second)
    assert order == ["second", "first"]


def test_work_that_has_not_begun_is_never_begun() -> None:
    from concurrent.futures import ThreadPoolExecutor

    release, done = threading.Event(), []
    with ThreadPoolExecutor(1) as thread:
        thread.submit(release.wait)

        def stop(fraction: float, message: str) -> None:
            raise Cancelled

        with pytest.raises(Cancelled):
            watched(lambda: done.append("begun"), Progress(stop), lambda: None, thread=thread)
        release.set()
    assert done == []


def test_a_second_thread_may_give_up_waiting_for_the_load() -> None:
    loading, release = threading.Event(), threading.Event()

    def slow(progress: Progress) -> Any:
        loading.set()
        release.wait(GUARD)
        raise Cancelled

    kept = Warm()

    def stop(fraction: float, message: str) -> None:
        raise Cancelled("enough")

    def first() -> None:
        with pytest.raises(Cancelled), kept.lent(Loadable("one", slow)):
            pass

    def second() -> None:
        loading.wait()
        with pytest.raises(Cancelled, match="enough"), kept.lent(Loadable("one", slow), Progress(stop)):
            pass
        release.set()

    in_threads(first, second)
