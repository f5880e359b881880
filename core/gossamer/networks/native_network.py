"""Networks of convolutions in our own kernels: U²-Net's kind on a processor, without another package.

Winograd's algorithm leaves them a quarter of the products that a convolution of 3 x 3 has, in float32 as the weights
are, so that a mask is the authors' to less than a hundredth of 1/255 and comes in half the time of a runtime that
multiplies all.
"""

from __future__ import annotations

import functools
import mmap
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer import native
from gossamer.arrays import Array
from gossamer.errors import ModelError
from gossamer.native import COUNT, PLACE, layer_function
from gossamer.networks.batches import BatchSize, Exhausted, one_thread, watched
from gossamer.networks.busy import is_busy
from gossamer.networks.layer_graph import Graph, layers_of, read_graph
from gossamer.networks.layer_kernels import runs_layers
from gossamer.networks.layer_plan import Plan, planned_layers
from gossamer.networks.layer_weights import Kinds, kinds_of, places_of, write_weights
from gossamer.networks.memory import require_memory_for
from gossamer.networks.network import Sizes
from gossamer.networks.prepared_graph import PreparedFile
from gossamer.parallel.forks import PerProcess
from gossamer.parallel.threads import thread_count
from gossamer.platform import bring_in, return_memory
from gossamer.progress import Progress

__all__ = ["LayerRun", "NativeNetwork"]

_USUAL = 320, 320
"""Height and width at which a graph for any size is tried: what is unknown at one size is at all."""

_PLANS = 4


class NativeNetwork:
    """A network that our kernels run; :meth:`opened` makes it.

    Parameters
    ----------
    graph : Graph
    kinds : mapping
        How its convolutions are computed.
    weights : (floats,) float32
        As the kernels read them.
    """

    device = "cpu"
    engine = "native float32"

    def __init__(self, graph: Graph, kinds: Kinds, weights: Array) -> None:
        self._graph, self._kinds = graph, kinds
        self._weights: Array | None = weights
        self._places, _ = places_of(graph, kinds)
        self._plans: dict[tuple[int, int], Plan] = {}
        self._batches = BatchSize(1)
        self._memory: Array | None = None  # working memory that is kept where picture follows picture
        # Always the same thread: working memory serves one run at a time.
        self._thread = PerProcess(one_thread)
        self.bytes = weights.nbytes
        self.sizes = Sizes(only=graph.sides)

    @classmethod
    def opened(cls, path: Path, output: int = 0, prepared: Path | None = None) -> NativeNetwork | None:
        """Open an .onnx file; None where this processor has no kernels, or the graph is of another kind.

        Parameters
        ----------
        path : Path
            The file, with its weights in it.
        output : int
            Which of the outputs is the mask.
        prepared : Path, optional
            The folder of what is made ready for this machine; nothing is kept without it.

        Raises
        ------
        MemoryError
            There is no room for its weights.
        """
        graph = read_graph(path, output) if runs_layers() else None
        if graph is None:
            return None
        kinds = kinds_of(graph, layers_of(graph, *(graph.sides or _USUAL)))
        if kinds is None:
            return None
        _, floats = places_of(graph, kinds)
        kept = PreparedFile(path, prepared, f"native {native.digest()}", output, "weights")
        weights: Array | None = None
        if ready := kept.ready():
            weights = _mapped(ready) if ready.stat().st_size == 4 * floats else None
        if weights is None:
            weights = np.zeros(floats, np.float32)
            write_weights(graph, kinds, weights)
            # A disk that is full costs the next start a little time.
            with suppress(OSError), kept.made() as folder:
                if folder is not None:
                    weights.tofile(folder / "weights")
        graph = graph.without_file()
        network = cls(graph, kinds, weights)
        return network if network._plan(*(graph.sides or _USUAL)) else None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What its user should know."""
        return self._batches.warnings

    @property
    def modules(self) -> tuple[object, ...]:
        """None."""
        return ()

    def run(self, batch: Array, progress: Progress) -> Array:
        """Map a batch to the mask, picture after picture.

        Parameters
        ----------
        batch : (N, 3, h, w) float32
            Normalised as the network's authors do.
        progress : Progress
            Called while the network runs; what it raises stops the run and passes through.

        Returns
        -------
        (N, h', w') float32

        Raises
        ------
        DeviceError
            Memory does not hold one picture.
        ModelError
            The graph does not take this size, or the model was unloaded.
        """
        weights = self._weights
        if weights is None:
            raise ModelError("The model was unloaded.", "Load it again.")
        height, width = batch.shape[2:]
        plan = self._plan(height, width)
        if plan is None or self._graph.sides not in (None, (height, width)):
            raise ModelError(
                f"The model could not be run: it takes no pictures of {width} x {height}.",
                "Check that the file fits the architecture that was named.",
            )
        return self._batches.run(batch, progress, lambda part, steps: self._run_one(plan, weights, part, steps))

    def unload(self) -> None:
        """Free the memory that the network holds, once nothing runs on it; it cannot be run any more."""
        self._weights = self._memory = None
        return_memory()

    def _plan(self, height: int, width: int) -> Plan | None:
        """Return the plan for a size of picture; None where there is none."""
        found = self._plans.get((height, width))
        if found is None:
            layers = layers_of(self._graph, height, width)
            if layers is None:
                return None
            found = planned_layers(layers, self._kinds, self._places, self._graph.picture, (3, height, width))
            if found is None or found.shape[0] != 1:
                return None
            while len(self._plans) >= _PLANS:
                self._plans.pop(next(iter(self._plans)))
            self._plans[height, width] = found
        return found

    def _run_one(self, plan: Plan, weights: Array, picture: Array, progress: Progress) -> Array:
        layers = LayerRun(plan.operations, plan.shares)

        def work() -> Array:
            memory, self._memory = self._memory, None
            threads = thread_count()
            needed = plan.floats + threads * plan.scratch
            if memory is None or len(memory) < needed:
                memory = None  # before there is another
                require_memory_for(4 * needed, *picture.shape[2:])
                memory = _room(needed)
            maps = memory[: plan.floats]
            maps[plan.picture : plan.picture + picture.size] = picture.reshape(-1)
            layers.run(maps, weights, np.split(memory[plan.floats : needed], threads))
            _, height, width = plan.shape
            mask = maps[plan.mask : plan.mask + height * width].reshape(1, height, width).copy()
            if is_busy(picture.shape[2] * picture.shape[3]):
                self._memory = memory
            return mask

        try:
            return watched(work, progress, layers.stop, layers.fraction, thread=self._thread())
        except MemoryError:
            raise Exhausted from None


class LayerRun:
    """One run of a plan's layers by as many threads as there is memory for, which can be looked at and stopped.

    Parameters
    ----------
    operations : (n,) of OPERATION
    shares : (n + 1,) float64
        How much of all work is done when each begins, and at the end.
    """

    def __init__(self, operations: NDArray[Any], shares: NDArray[np.float64]) -> None:
        self._operations, self._shares = operations, shares
        # Parts that were begun and done of each layer, and whether to stop.
        self._begun, self._done = np.zeros((2, len(operations)), np.int64)
        self._stop = np.zeros(1, np.int64)

    def stop(self) -> None:
        """Have it end within a layer's part."""
        self._stop.fill(1)

    def fraction(self) -> float:
        """Return how much of it is done, in [0, 1]."""
        return float(self._shares[int(np.argmax(np.append(self._done < self._operations["items"], True)))])

    def run(self, maps: Array, weights: Array, scratch: Sequence[Array]) -> None:
        """Run all layers, with a thread for each part of `scratch`."""
        run = layer_function("run_layers", PLACE, COUNT, *[PLACE] * 6)
        state = self._begun, self._done, self._stop
        given = self._operations, len(self._operations), maps, weights
        _together([functools.partial(run, *given, own, *state) for own in scratch])


def _mapped(path: Path) -> Array:
    """Return a file's numbers, in memory that processes share, and all there: the first run is as fast as the next."""
    with path.open("rb") as file:
        found = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    bring_in(found)
    return np.frombuffer(found, np.float32)


def _room(floats: int) -> Array:
    return np.empty(floats, np.float32)


def _together(works: list[Callable[[], None]]) -> None:
    """Run all at once, the first on this thread; fewer threads than wanted serve as well."""
    others = []
    try:
        for work in works[1:]:
            other = threading.Thread(target=work, name="gossamer-layers", daemon=True)
            other.start()
            others.append(other)
    except RuntimeError:  # the system gives no more
        pass
    works[0]()
    for other in others:
        other.join()
