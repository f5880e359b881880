"""Where the pixels near unknown ones are stored, and who works on which of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gossamer.progress import Progress
from gossamer.threads import thread_count

__all__ = ["Layout", "Segments", "Team"]

BLOCK = 8


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
        start = np.concatenate(([0], np.cumsum(length)[:-1])) if len(length) else np.zeros(0)
        return cls(*(np.ascontiguousarray(a, np.int32) for a in (pointer, first * BLOCK, length, start)))


class Layout:
    """The compact order of the pixels around the unknown ones of one picture.

    Parameters
    ----------
    unknown : (H, W) bool ndarray
        The pixels to solve for; at least one.
    """

    def __init__(self, unknown: NDArray[np.bool_]) -> None:
        self.height, self.width = unknown.shape
        columns = -(-self.width // BLOCK)
        self.span = columns * BLOCK + 2 * BLOCK
        mask = unknown.view(np.uint8)
        self.active = self._blocks(cv2.dilate(mask, np.ones((5, 5), np.uint8)))
        self.segments = Segments.of(self.active)
        self.windows = Segments.of(self._blocks(cv2.dilate(mask, np.ones((3, 3), np.uint8))))
        count = int(np.count_nonzero(self.active))
        self.size = count * BLOCK
        self.block_at = np.full(self.active.shape, -1, np.int32)
        self.block_at[self.active] = np.arange(count, dtype=np.int32)
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
        padded = np.zeros((self.height, self.active.shape[1] * BLOCK), plane.dtype)
        padded[:, : self.width] = plane
        return padded.reshape(self.height, -1, BLOCK)[self.active].reshape(-1)

    def scatter(self, values: NDArray[Any]) -> NDArray[Any]:
        """Bring compact values back to an (H, W) plane; zero elsewhere."""
        plane = np.zeros((self.height, self.active.shape[1], BLOCK), values.dtype)
        plane[self.active] = values.reshape(-1, BLOCK)
        return plane.reshape(self.height, -1)[:, : self.width]

    def taps(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return, per block, where its first weight lies and the step from tap to tap."""
        seg = self.segments
        per = seg.length // BLOCK
        step = np.repeat(seg.length, per)
        start = np.repeat(seg.start.astype(np.int64), per)
        return (11 * start + np.arange(len(step)) * BLOCK).astype(np.int32), step.astype(np.int32)

    def bands(self, least: int = 1 << 15, most: int = 16) -> list[tuple[int, int]]:
        """Cut the rows into bands of about equal work; the same for any number of threads."""
        count = int(min(max(self.size // least, 1), most))
        filled = np.concatenate(([0], np.cumsum(self.active.sum(axis=1))))
        cuts = np.searchsorted(filled, np.linspace(0, filled[-1], count + 1)[1:-1])
        rows = np.unique(np.concatenate(([0], cuts, [self.height])))
        return [(int(a), int(b)) for a, b in itertools.pairwise(rows)]


class Team:
    """Two threads (or one) for compiled loops that release the interpreter lock.

    The caller's progress is ticked while they work, so that it can cancel.
    """

    def __init__(self, progress: Progress, threads: int | None = None) -> None:
        self._pool = ThreadPoolExecutor(max_workers=threads or min(thread_count(), 8))
        self._progress = progress

    def run(self, work: Callable[..., Any], tasks: Iterable[tuple[Any, ...]]) -> list[Any]:
        """Call ``work(*task)`` for every task; return the results in order."""
        tasks = list(tasks)
        if len(tasks) == 1:  # small: not worth waking a thread
            return [work(*tasks[0])]
        return self._wait([self._pool.submit(work, *task) for task in tasks])

    def aside(self, work: Callable[[], Any]) -> Any:
        """Return ``work()``, done by a thread of the team."""
        return self._wait([self._pool.submit(work)])[0]

    def tick(self) -> None:
        """Give the caller a chance to cancel."""
        self._progress.tick()

    def _wait(self, futures: list[Future[Any]]) -> list[Any]:
        try:
            while wait(futures, timeout=0.05, return_when=FIRST_EXCEPTION).not_done:
                self._progress.tick()
            return [f.result() for f in futures]
        finally:  # after an exception: do not begin what nobody waits for
            for f in futures:
                f.cancel()

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)
