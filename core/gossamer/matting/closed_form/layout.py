"""Where the pixels near unknown ones are stored, and who works on which of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.native import COUNT, PLACE, function
from gossamer.parallel.threads import thread_count
from gossamer.progress import Progress

__all__ = ["Layout", "Segments", "Team"]

_gather = function("gather", PLACE, *4 * (COUNT,), PLACE, PLACE, COUNT, PLACE)

BLOCK = 8
_PATIENCE = 0.05  # seconds between two chances to cancel


@dataclass(frozen=True)
class Segments:
    """Runs of active blocks, row after row (see :mod:`gossamer.matting.closed_form_kernels`)."""

    pointer: NDArray[np.int32]
    x: NDArray[np.int32]
    length: NDArray[np.int32]
    start: NDArray[np.int32]

    @classmethod
    def of(cls, blocks: NDArray[np.bool_]) -> Segments:
        """Find the runs in an (H, B) mask of active blocks."""
        height = len(blocks)
        edges = np.zeros((height, blocks.shape[1] + 2), np.int8)
        edges[:, 1:-1] = blocks
        change = np.diff(edges, axis=1)
        rows, first = np.nonzero(change == 1)
        last = np.nonzero(change == -1)[1]
        length = (last - first) * BLOCK
        pointer = np.concatenate(([0], np.cumsum(np.bincount(rows, minlength=height))))
        start = BLOCK + np.concatenate(([0], np.cumsum(length)[:-1])) if len(length) else np.zeros(0)
        return cls(*(np.ascontiguousarray(a, np.int32) for a in (pointer, first * BLOCK, length, start)))


class Layout:
    """The compact order of the pixels around the unknown ones of one picture.

    Parameters
    ----------
    unknown : (H, W) bool ndarray
        The pixels to solve for; at least one.
    """

    def __init__(self, unknown: NDArray[np.bool_]) -> None:
        import cv2

        self.height, self.width = unknown.shape
        columns = -(-self.width // BLOCK)
        self.span = columns * BLOCK + 2 * BLOCK
        mask = unknown.view(np.uint8)
        active = self._blocks(cv2.dilate(mask, np.ones((5, 5), np.uint8)))
        # A guard, a column of blocks right of the picture: without it a pixel at the left edge would find the end of
        # the row above beside it, and one at the right edge the beginning of the row below.
        self.active = np.zeros((self.height, columns + 1), np.bool_)
        self.active[:, :-1] = active
        self.active[:, -1] = active[:, -1]
        self.active[:-1, -1] |= active[1:, 0]
        self.segments = Segments.of(self.active)
        self.windows = Segments.of(self._blocks(cv2.dilate(mask, np.ones((3, 3), np.uint8))))
        count = int(np.count_nonzero(self.active))
        # An empty block before all others; after them an empty one for what lies above and below the picture,
        # between two more, so that the 12 pixels around it are empty, too.
        self.size = (count + 4) * BLOCK
        self._own = slice(1, count + 1)
        # Not a multiple of 4096 bytes: the taps of a pixel would share few lines of the cache.
        self.step = -(-(self.size - 80) // 1024) * 1024 + 80
        self.block_at = np.full(self.active.shape, -1, np.int32)
        self.block_at[self.active] = np.arange(1, count + 1, dtype=np.int32)
        self.block_y, self.block_x = (a.astype(np.int32) for a in np.nonzero(self.active))

    @staticmethod
    def _blocks(mask: NDArray[np.uint8]) -> NDArray[np.bool_]:
        height, width = mask.shape
        padded = np.zeros((height, -(-width // BLOCK) * BLOCK), np.uint8)
        padded[:, :width] = mask
        result: NDArray[np.bool_] = padded.view(np.uint64) != 0
        return result

    def gather(self, plane: NDArray[Any]) -> NDArray[Any]:
        """Bring an (H, W) plane into compact order; zero outside the picture."""
        result = np.zeros(self.size, plane.dtype)
        if plane.dtype == np.float32 and plane.flags.c_contiguous:
            self._take(plane, 1, 0, result)
            return result
        padded = np.zeros((self.height, self.active.shape[1] * BLOCK), plane.dtype)
        padded[:, : self.width] = plane
        self.own(result)[:] = padded.reshape(self.height, -1, BLOCK)[self.active]
        return result

    def gather_colours(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """Bring a contiguous (H, W, 3) picture into compact order: (3, N)."""
        result = np.zeros((3, self.size), np.float32)
        for channel in range(3):
            self._take(image, 3, channel, result[channel])
        return result

    def _take(self, array: NDArray[np.float32], pixel: int, first: int, result: NDArray[np.float32]) -> None:
        strides = self.width, self.width * pixel, pixel, first
        _gather(array, *strides, self.block_y, self.block_x, len(self.block_y), self.own(result))

    def scatter(self, values: NDArray[Any]) -> NDArray[Any]:
        """Bring compact values back to an (H, W) plane; zero elsewhere."""
        plane = np.zeros((self.height, self.active.shape[1], BLOCK), values.dtype)
        plane[self.active] = self.own(values)
        return plane.reshape(self.height, -1)[:, : self.width]

    def own(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return a view of compact values, a row for each of `block_y`."""
        return values.reshape(-1, BLOCK)[self._own]

    def near(self, free: NDArray[Any]) -> NDArray[np.int32]:
        """Return the blocks with pixels that are `free` (compact), and those 1 and 2 rows above and below them."""
        held = np.flatnonzero(self.own(free).any(axis=1))
        y, x = self.block_y[held], self.block_x[held]
        rows = np.full((self.height + 4, self.active.shape[1]), self.size // BLOCK - 2, np.int32)
        rows[2:-2] = np.where(self.block_at < 0, rows[2:-2], self.block_at)
        return np.stack([rows[y + 2 + d, x] for d in (0, -1, -2, 1, 2)], axis=1)

    def lag(self, near: NDArray[np.int32]) -> int:
        """Return how far apart, in rows of `near`, two blocks are at most of which one is needed for the other."""
        held, nobody, at = near[:, 0], self.size // BLOCK - 2, np.arange(len(near))
        last = np.where(near == nobody, 0, near).max(axis=1) + 1
        first = near.min(axis=1) - 1
        after = np.searchsorted(held, last, side="right") - 1 - at
        before = at - np.searchsorted(held, first, side="left")
        return int(max(after.max(), before.max())) + 1

    @staticmethod
    def shares(blocks: int, least: int = 1 << 12, most: int = 16) -> list[tuple[int, int]]:
        """Cut so many blocks into even shares; the same for any number of threads."""
        count = int(min(max(blocks // least, 1), most))
        return list(itertools.pairwise(blocks * i // count for i in range(count + 1)))

    def bands(self, least: int = 1 << 15, most: int = 16) -> list[tuple[int, int]]:
        """Cut the rows into bands of about equal work; the same for any number of threads."""
        count = int(min(max(self.size // least, 1), most))
        filled = np.concatenate(([0], np.cumsum(self.active.sum(axis=1))))
        cuts = np.searchsorted(filled, np.linspace(0, filled[-1], count + 1)[1:-1])
        rows = np.unique(np.concatenate(([0], cuts, [self.height])))
        return [(int(a), int(b)) for a, b in itertools.pairwise(rows)]


class Team:
    """The caller's thread and helpers, for compiled loops that release the interpreter lock.

    The caller's progress is ticked meanwhile, so that it can cancel. An executor of the standard library takes longer
    to hand over than many of these loops run, and a solution is made of hundreds of them.
    """

    def __init__(self, progress: Progress, threads: int | None = None) -> None:
        self._helpers = (threads or min(thread_count(), 8)) - 1
        self._wanted: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._threads: list[Thread] = []
        self._progress = progress

    def run(self, work: Callable[..., Any], tasks: Iterable[tuple[Any, ...]]) -> list[Any]:
        """Call ``work(*task)`` for every task; return the results in order."""
        tasks = list(tasks)
        if len(tasks) == 1:  # small: not worth waking a thread
            return [work(*tasks[0])]
        results: list[Any] = [None] * len(tasks)
        # Everybody takes the next task when done with one: a hand-over a thread, not one a task, for they cost more
        # than the work of a small picture. Popping from a list is atomic.
        waiting = list(range(len(tasks)))[::-1]

        def step() -> bool:
            try:
                index = waiting.pop()
            except IndexError:
                return False
            try:
                results[index] = work(*tasks[index])
            except BaseException:
                waiting.clear()  # do not begin what nobody waits for
                raise
            return True

        done: SimpleQueue[BaseException | None] = SimpleQueue()

        def help_out() -> None:
            error = None
            try:
                while step():
                    pass
            except BaseException as raised:
                error = raised
            done.put(error)

        hands = min(self._helpers, len(tasks) - 1)
        for _ in range(hands):
            if len(self._threads) < self._helpers:
                self._threads.append(Thread(target=_serve, args=(self._wanted,), name="gossamer-team"))
                self._threads[-1].start()
            self._wanted.put(help_out)
        told = monotonic()
        try:
            while step():
                if monotonic() - told > _PATIENCE:
                    self._progress.tick()
                    told = monotonic()
        finally:  # cancelled by the tick
            waiting.clear()
        for _ in range(hands):
            if (error := self._wait(done)) is not None:
                raise error
        return results

    def tick(self) -> None:
        """Give the caller a chance to cancel."""
        self._progress.tick()

    def _wait(self, done: SimpleQueue[BaseException | None]) -> BaseException | None:
        while True:
            try:
                return done.get(timeout=_PATIENCE)
            except Empty:
                self._progress.tick()

    def close(self) -> None:
        """End the threads, when what they are at is done."""
        for _ in self._threads:
            self._wanted.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()


def _serve(wanted: SimpleQueue[Callable[[], None] | None]) -> None:
    """Do what is wanted, one after the other, until that is None."""
    while (work := wanted.get()) is not None:
        work()
        del work  # what it holds is the caller's
