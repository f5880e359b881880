"""Runs put together: what several threads want of one network while it is busy goes through it in one batch.

A graphics card takes a few pictures in hardly more time than one. Nobody waits for others to come: a run takes what
waits when the one before it has ended.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.errors import Cancelled
from gossamer.networks.batches import POLL
from gossamer.progress import Progress

__all__ = ["Together", "are_of_one_size", "run_together"]

_Run = Callable[[NDArray[Any], Progress], Any]


@dataclass(eq=False)
class _Part:
    """What one thread wants."""

    batch: NDArray[Any]
    maps: Any = None
    error: BaseException | None = None
    fraction: float = 0.0
    left: bool = False

    @property
    def is_done(self) -> bool:
        return self.maps is not None or self.error is not None


class Together:
    """Puts the runs of those threads together that are within its :meth:`here`.

    Parameters
    ----------
    most : int
        Pictures in one run at most; a thread's own are not divided.
    of_one_size : bool
        Whether most pictures have one size, so that they may go to a card as they are and still together.
    """

    def __init__(self, most: int, *, of_one_size: bool = False) -> None:
        self._most, self.of_one_size = most, of_one_size
        self._changed = threading.Condition()
        self._waiting: dict[Hashable, list[_Part]] = {}
        self._running: set[Hashable] = set()

    @contextmanager
    def here(self) -> Iterator[None]:
        """Put this thread's runs together with the others', while a ``with`` lasts."""
        token = _active.set(self)
        try:
            yield
        finally:
            _active.reset(token)

    def run(self, key: Hashable, batch: NDArray[Any], progress: Progress, run: _Run) -> Any:
        """Return the maps of a batch, which has gone through the network with others' of the same key, or alone.

        Raises
        ------
        BaseException
            What `run` raises, for all whose pictures were in it; what `progress` raises, for this thread alone.
        """
        own = _Part(batch)
        with self._changed:
            self._waiting.setdefault(key, []).append(own)
        try:
            while not own.is_done:
                if group := self._next(key):
                    self._lead(key, group, own, progress, run)
                    continue
                with self._changed:
                    self._changed.wait_for(lambda: own.is_done or key not in self._running, POLL)
                progress(own.fraction)
        except BaseException:
            self._leave(key, own)
            raise
        if own.error is not None:
            raise own.error
        return own.maps

    def _next(self, key: Hashable) -> list[_Part]:
        """Return what goes through the network next, nothing where it is busy; who gets something runs it."""
        with self._changed:
            waiting = self._waiting.get(key, [])
            if key in self._running or not waiting:
                return []
            count = 1
            while count < len(waiting) and sum(len(part.batch) for part in waiting[: count + 1]) <= self._most:
                count += 1
            group, rest = waiting[:count], waiting[count:]
            if rest:
                self._waiting[key] = rest
            else:
                del self._waiting[key]
            self._running.add(key)
            return group

    def _lead(self, key: Hashable, group: list[_Part], own: _Part, progress: Progress, run: _Run) -> None:
        """Run a group. It goes on until the last one has left, whoever runs it."""
        stopped: list[BaseException] = []

        def tick(fraction: float, message: str) -> None:
            for part in group:
                part.fraction = fraction
            if not stopped:
                try:
                    progress(own.fraction, message)
                except BaseException as error:
                    stopped.append(error)
                    own.left = True
            if all(part.left for part in group):
                raise Cancelled()

        try:
            whole = group[0].batch if len(group) == 1 else np.concatenate([part.batch for part in group])
            maps, start = run(whole, Progress(tick)), 0
            for part in group:
                part.maps = maps[start : start + len(part.batch)]
                start += len(part.batch)
        except BaseException as error:
            for part in group:
                part.error = error
        finally:
            with self._changed:
                self._running.discard(key)
                self._changed.notify_all()
        if stopped:
            raise stopped[0]

    def _leave(self, key: Hashable, own: _Part) -> None:
        with self._changed:
            own.left = True
            waiting = [part for part in self._waiting.get(key, []) if part is not own]
            if waiting:
                self._waiting[key] = waiting
            else:
                self._waiting.pop(key, None)


_active: ContextVar[Together | None] = ContextVar("together", default=None)


def run_together(network: Hashable, batch: NDArray[Any], progress: Progress, run: _Run) -> Any:
    """Return ``run(batch, progress)``, together with what other threads want of the network where that is wished for.

    Parameters
    ----------
    network : hashable
        Which network it is.
    batch : (N, C, h, w) array
    progress : Progress
    run : callable
        Maps a batch of any length and its progress to as many maps.
    """
    together = _active.get()
    if together is None:
        return run(batch, progress)
    return together.run((network, batch.shape[1:]), batch, progress, run)


def are_of_one_size() -> bool:
    """Return whether this thread's pictures go by themselves, or together with others mostly of their size."""
    together = _active.get()
    return together is None or together.of_one_size
