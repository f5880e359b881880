"""Batches: as many pictures at once as memory holds, on a thread of their own that can be stopped."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.errors import DeviceError, ModelError, memory_remedy
from gossamer.progress import Progress

__all__ = ["POLL", "BatchSize", "Exhausted", "filled_up", "one_mask", "one_thread", "watched"]

POLL = 0.05  # seconds between looks at a running inference; progress is promised ten times a second
_NOTICE = 0.3  # seconds in which work that was stopped should notice: one layer of a large network may take longer

_T = TypeVar("_T")
_K = TypeVar("_K", bound=np.generic)


class Exhausted(Exception):
    """Memory ran out during a run; a runtime raises it where it recognises its library's own error."""


class BatchSize:
    """How many pictures a network takes at once: all that there are, until memory has run out once.

    Parameters
    ----------
    limit : int, optional
        Never more than so many at once.
    """

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self.warnings: tuple[str, ...] = ()
        """One sentence where memory has run out: results are the same, but slower."""

    def run(
        self,
        batch: NDArray[_K],
        progress: Progress,
        run: Callable[[NDArray[_K], Progress], NDArray[_K]],
        sides: tuple[int, int] | None = None,
    ) -> NDArray[_K]:
        """Map a batch by `run`, which gets parts of it; a part that memory cannot hold is halved and tried again.

        Parameters
        ----------
        batch : (N, 3, h, w) float32, or (N, H, W, 3) uint8
        progress : Progress
        run : callable
            Maps a part of the batch and the progress of that part to as many maps; raises Exhausted.
        sides : (int, int), optional
            Height and width of the pictures, where they are not the last two of the batch's shape.

        Returns
        -------
        (N, …)

        Raises
        ------
        DeviceError
            Memory does not hold even one picture.
        """
        maps: list[NDArray[_K]] = []
        done = 0
        while done < len(batch):
            size = min(self.limit or len(batch), len(batch) - done)
            part = progress.part(done / len(batch), (done + size) / len(batch))
            try:
                maps.append(run(batch[done : done + size], part))
            except Exhausted:
                if size == 1:
                    height, width = sides or batch.shape[2:]
                    raise DeviceError(
                        f"There is not enough memory to run this model on one picture of {width} x {height}.",
                        memory_remedy(
                            "Free memory, choose a smaller model, or choose --device cpu where a graphics card is full."
                        ),
                    ) from None
                self.limit = size // 2
                self.warnings = (f"Memory ran out: pictures go through the model {self.limit} at a time.",)
                continue
            done += size
        return maps[0] if len(maps) == 1 else np.concatenate(maps)


def filled_up(pictures: Array, size: int) -> Array:
    """Return a batch with its last picture repeated until there are `size`, as graphs for a fixed size want it."""
    if len(pictures) >= size:
        return pictures
    return np.concatenate([pictures, np.repeat(pictures[-1:], size - len(pictures), axis=0)])


def one_mask(result: NDArray[Any]) -> Array:
    """Return a network's output (N, 1, h, w) or (N, h, w) as (N, h, w) float32; raises ModelError of another shape."""
    array = np.asarray(result, dtype=np.float32)
    if array.ndim == 4 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 3:
        raise ModelError(f"The model's output has the shape {array.shape}.", "Give a model that predicts one mask.")
    return array


def one_thread() -> ThreadPoolExecutor:
    """Return a thread that networks are run on, already running; raises RuntimeError where the system gives none.

    It stays: what libraries keep for each thread (OpenMP's team, MKL's memory) is made once, and none ends while its
    process forks. While a thread ends MKL locks its lists of memory, and a child that is forked then waits for ever.
    """
    pool = ThreadPoolExecutor(1, thread_name_prefix="gossamer-network")
    pool.submit(int).result()  # or work that was handed to a thread that could not begin would wait in its queue
    return pool


def watched(
    work: Callable[[], _T],
    progress: Progress,
    stop: Callable[[], object],
    fraction: Callable[[], float] | None = None,
    thread: ThreadPoolExecutor | None = None,
    ended: Callable[[], object] | None = None,
) -> _T:
    """Run `work` on a thread of its own and report progress meanwhile.

    Parameters
    ----------
    work : callable
        What to run.
    progress : Progress
        Called every :data:`POLL` seconds; what it raises passes through, once `work` has stopped, or within half a
        second where that takes longer.
    stop : callable
        Makes `work` come to an end soon.
    fraction : callable, optional
        How much of `work` is done, in [0, 1].
    thread : ThreadPoolExecutor, optional
        Of one thread, which runs `work` where that is not to be a new one.
    ended : callable, optional
        Called when nothing of `work` runs any more, from whichever thread.
    """
    pool = thread or one_thread()
    try:
        future = pool.submit(work)
    except RuntimeError:  # the interpreter is about to end
        if ended is not None:
            ended()
        raise
    if ended is not None:
        future.add_done_callback(lambda _: ended())
    try:
        while True:
            try:
                return future.result(timeout=POLL)
            except FutureTimeout:
                if future.done():  # just now, or `work` raised a TimeoutError of its own
                    return future.result()
                if fraction is None:
                    progress.tick()
                else:
                    progress(fraction())
    except BaseException:
        stop()
        if not future.cancel():  # it has begun: where others' work is before it on this thread, it never will
            wait([future], timeout=_NOTICE)
        raise
    finally:
        if thread is None:
            pool.shutdown(wait=future.done())  # or its thread ends with the work
