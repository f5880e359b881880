"""Robust Video Matting in our own kernels, on a processor: the mattes of its authors' graph in half of the time."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.errors import DeviceError, ModelError, memory_remedy
from gossamer.networks.architectures.mobilenetv3 import MEAN, STD
from gossamer.networks.batches import one_thread, watched
from gossamer.networks.layer_kernels import runs_layers, unmeasured
from gossamer.networks.memory import require_memory_for
from gossamer.networks.native_network import LayerRun
from gossamer.networks.recurrence import Recurrence
from gossamer.networks.recurrent_graph import rvm_weights
from gossamer.networks.recurrent_layers import STATES
from gossamer.networks.recurrent_plan import FrameSize, RecurrentPlan, packed_weights, planned_frames
from gossamer.parallel.forks import PerProcess
from gossamer.parallel.threads import thread_count
from gossamer.platform import return_memory
from gossamer.progress import Progress

__all__ = ["RecurrentNative"]

_PLANS = 4


class RecurrentNative:
    """RVM with MobileNetV3 that our kernels run; :meth:`opened` makes it.

    Parameters
    ----------
    weights : (floats,) float32
        As the kernels read them.
    places : list of (int, int)
        Where those of each step begin.
    """

    device = "cpu"
    modules: tuple[object, ...] = ()
    warnings: tuple[str, ...] = ()

    def __init__(self, weights: Array, places: list[tuple[int, int]]) -> None:
        self._weights: Array | None = weights
        self._planned = functools.lru_cache(_PLANS)(lambda size: planned_frames(size, places))
        self._memory: Array | None = None  # working memory, kept: frame follows frame
        # Always the same thread: working memory serves one run at a time.
        self._thread = PerProcess(one_thread)

    @classmethod
    def opened(cls, path: Path) -> RecurrentNative | None:
        """Open an .onnx file; None where no kernels are known to be faster here, or the graph is another one.

        Raises
        ------
        MemoryError
            There is no room for its weights.
        """
        weights = rvm_weights(path) if runs_layers() and not unmeasured() else None
        return None if weights is None else cls(*packed_weights(weights))

    @property
    def bytes(self) -> int:
        """How much memory it takes."""
        return sum(one.nbytes for one in (self._weights, self._memory) if one is not None)

    def run(
        self, frame: NDArray[np.generic], remembered: Recurrence, ratio: float, progress: Progress
    ) -> tuple[Array, Recurrence]:
        """Matte one frame; see :meth:`gossamer.networks.recurrent_onnx.RecurrentOnnx.run`."""
        weights = self._weights
        if weights is None:
            raise ModelError("The model was unloaded.", "Load it again.")
        height, width = frame.shape[:2]
        size = FrameSize(height, width, ratio, frame.dtype != np.uint8)
        if min(size.sides(0)) < 1:
            raise DeviceError("The model could not be run: nothing is left of the frame.", "Try another working ratio.")
        plan: RecurrentPlan = self._planned(size)
        layers = LayerRun(plan.operations, plan.shares)

        def work() -> tuple[Array, Recurrence]:
            threads = thread_count()
            maps, scratch = self._room(plan, threads, size)
            _give(maps, plan, size, frame, remembered.fitting(height, width).states)
            layers.run(maps, weights, scratch)
            return _taken(maps, plan, size)

        try:
            return watched(work, progress, layers.stop, layers.fraction, thread=self._thread())
        except MemoryError:
            raise DeviceError(
                f"There is not enough memory to run this model on frames of {width} x {height}.",
                memory_remedy("Give a smaller size or working ratio."),
            ) from None

    def unload(self) -> None:
        """Free the memory that the network holds, once nothing runs on it; it cannot be run any more."""
        self._weights = self._memory = None
        return_memory()

    def _room(self, plan: RecurrentPlan, threads: int, size: FrameSize) -> tuple[Array, list[Array]]:
        """Return memory for maps, and for each thread some of its own."""
        needed = plan.floats + threads * plan.scratch
        if self._memory is None or len(self._memory) < needed:
            self._memory = None  # before there is another
            require_memory_for(4 * needed, size.height, size.width)
            self._memory = np.empty(needed, np.float32)
        return self._memory[: plan.floats], np.split(self._memory[plan.floats : needed], threads)


def _give(
    maps: Array, plan: RecurrentPlan, size: FrameSize, pixels: NDArray[np.generic], states: tuple[Array, ...]
) -> None:
    """Put a frame and what is remembered where the kernels take them."""
    place = plan.places["frame"]
    floats = maps[place : place + plan.frame]
    if size.deep:
        floats.reshape(pixels.shape)[...] = pixels
    else:
        floats.view(np.uint8)[: pixels.size].reshape(pixels.shape)[...] = pixels
    told = [size.ratio, *(1 / one for one in STD), *(-mean / one for mean, one in zip(MEAN, STD, strict=True))]
    maps[plan.places["told"] : plan.places["told"] + len(told)] = told
    for level, channels in enumerate(STATES, 1):
        place, count = plan.places[f"before{level}"], channels * int(np.prod(size.sides(level)))
        maps[place : place + count] = states[level - 1].reshape(-1) if states else 0


def _taken(maps: Array, plan: RecurrentPlan, size: FrameSize) -> tuple[Array, Recurrence]:
    """Return copies of alpha and of what is remembered."""

    def copied(name: str, *shape: int) -> Array:
        place = plan.places[name]
        return maps[place : place + int(np.prod(shape))].reshape(shape).copy()

    states = (copied(f"after{level}", 1, channels, *size.sides(level)) for level, channels in enumerate(STATES, 1))
    return copied("alpha", size.height, size.width), Recurrence(tuple(states), (size.height, size.width))
