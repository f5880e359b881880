"""Work beside the main thread, in its order: frames read ahead, pictures written behind."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from typing import TypeVar

from gossamer.progress import Progress

__all__ = ["Behind", "ahead"]

_T = TypeVar("_T")
_POLL = 0.05  # seconds between two looks at whether somebody left


def ahead(items: Iterator[_T], depth: int, progress: Progress) -> Generator[_T, None, None]:
    """Yield what an iterator gives, which runs in a thread of its own, `depth` items ahead at most.

    Parameters
    ----------
    items : iterator
        What it raises is raised here, in its place.
    depth : int
    progress : Progress
        Called while there is nothing yet; may raise to cancel.
    """
    made: queue.Queue[tuple[bool, _T | BaseException | None]] = queue.Queue(depth)
    left = threading.Event()

    def put(ended: bool, item: _T | BaseException | None) -> None:
        while not left.is_set():
            with suppress(queue.Full):
                made.put((ended, item), timeout=_POLL)
                return

    def work() -> None:
        try:
            for item in items:
                put(False, item)
                if left.is_set():
                    return
            put(True, None)
        except BaseException as error:
            put(True, error)

    thread = threading.Thread(target=work, name="gossamer-ahead", daemon=True)
    thread.start()
    try:
        while True:
            try:
                ended, item = made.get(timeout=_POLL)
            except queue.Empty:
                progress.tick()
                continue
            if ended:
                if isinstance(item, BaseException):
                    raise item
                return
            yield item  # type: ignore[misc]
    finally:
        left.set()
        thread.join()


class Behind:
    """Does one thing after another in a thread of its own; whoever gives more waits when `depth` of them wait.

    Used in a ``with``: at its end all is done, or, after an exception, what waits is left undone.

    Parameters
    ----------
    depth : int
    progress : Progress
        Called while it is waited for; may raise to cancel.
    """

    def __init__(self, depth: int, progress: Progress) -> None:
        self._todo: queue.Queue[Callable[[], object] | None] = queue.Queue(depth)
        self._progress = progress
        self._left = threading.Event()
        self._failed: list[BaseException] = []
        self._thread = threading.Thread(target=self._work, name="gossamer-behind", daemon=True)

    def __enter__(self) -> Behind:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        try:
            if error is None:
                self._put(None)
                while self._thread.is_alive():
                    self._thread.join(_POLL)
                    self._progress.tick()
        finally:
            self._left.set()
            self._thread.join()
        if self._failed and error is None:
            raise self._failed[0]

    @property
    def failed(self) -> bool:
        """Whether something went wrong: the next thing that is given raises it."""
        return bool(self._failed)

    def do(self, task: Callable[[], object]) -> None:
        """Have something done; raises what an earlier task raised."""
        self._put(task)

    def _put(self, task: Callable[[], object] | None) -> None:
        while not self._failed:
            with suppress(queue.Full):
                self._todo.put(task, timeout=_POLL)
                return
            self._progress.tick()
        raise self._failed[0]

    def _work(self) -> None:
        while not self._left.is_set():
            try:
                task = self._todo.get(timeout=_POLL)
            except queue.Empty:
                continue
            if task is None:
                return
            try:
                task()
            except BaseException as error:
                self._failed.append(error)
                return
