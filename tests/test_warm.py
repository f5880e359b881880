"""The one owner of loaded networks: shared, bounded, freed for real and never under a run."""

from __future__ import annotations

import multiprocessing
import pickle
import threading
import weakref

import pytest

import gossamer
from gossamer.errors import Cancelled
from gossamer.progress import Progress
from gossamer.warm import Loadable, Warm


class Weights:
    """A network that is nothing but its size."""

    device = "cpu"

    def __init__(self, bytes: int = 1) -> None:
        self.bytes = bytes
        self.unloaded = False

    def unload(self) -> None:
        self.unloaded = True


class Loads:
    """Makes networks and counts them."""

    def __init__(self) -> None:
        self.made: list[Weights] = []

    def of(self, key: str, bytes: int = 1) -> Loadable[Weights]:
        def load(progress: Progress) -> Weights:
            progress(0.5)
            self.made.append(Weights(bytes))
            return self.made[-1]

        return Loadable(key, load, bytes)


def test_what_is_lent_twice_is_loaded_once() -> None:
    warm, loads = Warm(), Loads()
    with warm.lent(loads.of("a")) as first:
        pass
    with warm.lent(loads.of("a")) as second:
        pass
    assert first is second
    assert len(loads.made) == 1


def test_the_least_recently_used_goes_first_and_is_unloaded() -> None:
    warm, loads = Warm(count=2), Loads()
    for key in ("a", "b", "a", "c"):
        with warm.lent(loads.of(key)):
            pass
    assert warm.held() == ("a", "c")
    assert [one.unloaded for one in loads.made] == [False, True, False]


def test_room_is_made_before_a_large_one_is_loaded() -> None:
    warm, loads = Warm(bytes=10), Loads()
    for key, size in (("a", 4), ("b", 4)):
        with warm.lent(loads.of(key, size)):
            pass
    seen: list[tuple[object, ...]] = []

    def load(progress: Progress) -> Weights:
        seen.append(warm.held())
        return Weights(6)

    with warm.lent(Loadable("c", load, 6)):
        pass
    assert seen == [("b",)]
    assert warm.held() == ("b", "c")


def test_what_is_larger_than_the_limit_is_lent_and_not_kept() -> None:
    warm, loads = Warm(bytes=10), Loads()
    with warm.lent(loads.of("huge", 11)) as huge:
        assert not huge.unloaded
    assert huge.unloaded
    assert warm.held() == ()


def test_nothing_is_freed_under_a_run() -> None:
    warm, loads = Warm(count=1), Loads()
    with warm.lent(loads.of("a")) as used:
        with warm.lent(loads.of("b")):
            assert not used.unloaded
        warm.unload()
        assert not used.unloaded
        with warm.lent(loads.of("a")) as anew:  # whoever comes after the unloading gets another
            assert anew is not used
    assert used.unloaded


def test_unloading_is_real() -> None:
    warm, loads = Warm(), Loads()
    with warm.lent(loads.of("a")) as network:
        gone = weakref.ref(network)
    loads.made.clear()
    del network
    warm.unload("a")
    assert gone() is None
    assert warm.held() == ()


def test_of_several_threads_one_loads_and_the_others_wait() -> None:
    warm, loads, entered, go = Warm(), Loads(), threading.Event(), threading.Event()

    def slow(progress: Progress) -> Weights:
        entered.set()
        assert go.wait(30)
        return loads.of("a").load(progress)

    found: list[Weights] = []

    def borrow() -> None:
        with warm.lent(Loadable("a", slow)) as network:
            found.append(network)

    threads = [threading.Thread(target=borrow) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert entered.wait(30)

    def stop(fraction: float, message: str) -> None:
        raise Cancelled

    with pytest.raises(Cancelled), warm.lent(loads.of("b"), Progress(stop)):  # waiting can be cancelled
        pytest.fail("nothing can be loaded while another is")
    go.set()
    for thread in threads:
        thread.join(30)
    assert len(loads.made) == 1
    assert found == loads.made * 4


def test_a_loading_that_fails_leaves_nothing() -> None:
    warm = Warm()

    def fail(progress: Progress) -> Weights:
        raise gossamer.ModelNotFound("gone")

    for _ in range(2):
        with pytest.raises(gossamer.ModelNotFound), warm.lent(Loadable("a", fail)):
            pass
    assert warm.held() == ()


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_process_keeps_what_it_can_use() -> None:
    warm, loads = Warm(), Loads()
    on_card = Weights()
    on_card.device = "cuda"
    with warm.lent(Loadable("card", lambda progress: on_card)):
        pass
    context = multiprocessing.get_context("fork")
    results = context.Queue()

    def child() -> None:
        with warm.lent(loads.of("b")):
            results.put(warm.held())
        warm.unload()
        results.put([one.unloaded for one in loads.made])

    with warm.lent(loads.of("a")), warm._loading:  # a thread of the parent runs one and loads another
        process = context.Process(target=child)
        process.start()
        assert results.get(timeout=30) == ("a", "b")
        assert results.get(timeout=30) == [True, True]
        process.join(30)
    assert warm.held() == ("card", "a")
    assert not on_card.unloaded


def test_settings_and_pipelines_pickle() -> None:
    pipeline = pickle.loads(pickle.dumps(gossamer.Pipeline(model="u2netp", device="cpu")))  # noqa: S301
    assert pipeline.choice == gossamer.ModelChoice(model="u2netp", device="cpu")


class Told:
    """A host that notes what it is told."""

    def __init__(self) -> None:
        self.notes: list[tuple[str, object]] = []

    def loading(self, about: int) -> None:
        self.notes.append(("loading", about))

    def lent(self, key: object, network: Weights) -> None:
        assert not network.unloaded
        self.notes.append(("lent", key))

    def gone(self, network: Weights) -> None:
        assert not network.unloaded
        self.notes.append(("gone", network.bytes))


def test_a_host_is_told_before_a_network_is_loaded_lent_and_freed() -> None:
    warm, loads = Warm(count=1), Loads()
    warm.host = told = Told()
    with warm.lent(loads.of("a", 5)):
        assert warm.in_use("a")
    with warm.lent(loads.of("a", 5)):
        pass
    assert not warm.in_use("a")
    with warm.lent(loads.of("b", 7)):
        pass
    warm.unload()
    assert told.notes == [
        *[("loading", 5), ("lent", "a"), ("lent", "a")],
        *[("gone", 5), ("loading", 7), ("lent", "b"), ("gone", 7)],
    ]


def test_a_host_may_unload_others_while_one_is_lent() -> None:
    warm, loads = Warm(), Loads()
    told = Told()
    warm.host = told
    with warm.lent(loads.of("a")):
        pass
    told.lent = lambda key, network: warm.unload("a") if key == "b" else None  # type: ignore[method-assign]
    with warm.lent(loads.of("b")) as second:
        assert loads.made[0].unloaded
        assert not second.unloaded
    told.lent = lambda key, network: warm.unload(key)  # type: ignore[method-assign]
    with warm.lent(loads.of("b")) as second:
        assert not second.unloaded
    assert second.unloaded
