"""Loaded networks: one owner for all of a process, which keeps those that were used last as far as memory goes.

Everything that runs a network borrows it here for as long as a run takes: pipelines, sessions, the worker, nodes. So
two sessions share one network, what was not used for the longest goes first, and nothing is freed under a run.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from gossamer.parallel.forks import Lock
from gossamer.platform import in_forked_child, physical_memory
from gossamer.progress import Progress

__all__ = ["Host", "Keepable", "Loadable", "Warm", "warm"]

_COUNT = 6
"""Networks at most: a chain of prompted models (2), a salient one, ViTMatte, and two that somebody compares."""

_SHARE = 0.5  # of the memory that this process may use: pictures need the rest
_POLL = 0.05  # seconds between chances to cancel while another network is loaded


class Keepable(Protocol):
    """What is kept."""

    @property
    def bytes(self) -> int:
        """About how much memory it holds."""

    @property
    def device(self) -> str:
        """Where it holds it: ``"cpu"``, ``"cuda"``, …."""

    @property
    def modules(self) -> tuple[Any, ...]:
        """Its torch modules, for a host that moves them between devices; none where another runtime holds it."""

    def unload(self) -> None:
        """Free that memory; it is not used any more."""


_N = TypeVar("_N", bound=Keepable)


@dataclass(frozen=True)
class Loadable(Generic[_N]):
    """A network that can be loaded, again and again the same.

    Attributes
    ----------
    key : hashable
        What it is: two that are equal are the same network.
    load : callable
        ``load(progress)`` loads it.
    about : int
        Bytes that it will take, as far as that is known before: room for them is made first.
    """

    key: Hashable
    load: Callable[[Progress], _N] = field(compare=False)
    about: int = field(default=0, compare=False)


class Host(Protocol):
    """A program that manages the memory of all of its networks, of which these are some, as ComfyUI does.

    Called on the thread that wants a network, or that unloads it; it may call :meth:`Warm.unload`.
    """

    def loading(self, about: int) -> None:
        """Make room: a network of about so many bytes, 0 where nobody knows, is loaded next."""

    def lent(self, key: Hashable, network: Any) -> None:
        """Bring a network's modules back where it was moved: it is used next."""

    def gone(self, network: Any) -> None:
        """Forget a network: it is freed next."""


@dataclass
class _Kept:
    network: Any
    users: int = 0
    leaves: bool = False  # unloaded as soon as nobody uses it


class Warm:
    """Keeps networks, least recently used first out; safe for threads, and after a fork.

    Parameters
    ----------
    count : int
        How many at most; what is in use is never counted out.
    bytes : int, optional
        How much memory they may hold together on each device; half of what this process may use without it, and on
        a graphics card as much as there is.

    Attributes
    ----------
    host : Host or None
        Who is told before a network is loaded, used and freed.
    """

    host: Host | None = None

    def __init__(self, count: int = _COUNT, bytes: int | None = None) -> None:
        self._count, self._bytes = count, bytes
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._elsewhere: list[Any] = []
        self._lock, self._loading = Lock(), Lock()
        in_forked_child(self._forked)

    def _forked(self) -> None:
        """Keep what a forked process can use: not what lies on a graphics card, nor what threads of the parent use."""
        for key, kept in list(self._kept.items()):
            kept.users = 0
            if kept.network.device != "cpu":
                self._elsewhere.append(self._kept.pop(key).network)  # never freed: it is the parent's

    @contextmanager
    def lent(self, wanted: Loadable[_N], progress: Progress | None = None) -> Iterator[_N]:
        """Lend a network for the time of a ``with``, loading it first where it is not kept.

        Parameters
        ----------
        wanted : Loadable
        progress : Progress, optional
            Called while it is loaded, and while another one is waited for; what it raises passes through.

        Raises
        ------
        GossamerError
            It cannot be loaded.
        """
        kept = self._taken(wanted, progress or Progress())
        try:
            if self.host is not None:
                self.host.lent(wanted.key, kept.network)
            yield kept.network
        finally:
            with self._lock:
                kept.users -= 1
                gone = [kept.network] if kept.leaves and not kept.users else self._swept()
            self._free(gone)

    def held(self) -> tuple[Hashable, ...]:
        """Return the keys of all that is kept, the one that goes first at the beginning."""
        with self._lock:
            return tuple(self._kept)

    def in_use(self, key: Hashable) -> bool:
        """Return whether a network is lent just now."""
        with self._lock:
            return key in self._kept and self._kept[key].users > 0

    @property
    def bytes(self) -> int:
        """About how much memory all that is kept holds."""
        with self._lock:
            return sum(kept.network.bytes for kept in self._kept.values())

    def unload(self, key: Hashable | None = None) -> None:
        """Free one network, or all; what is in use is freed when it is given back."""
        with self._lock:
            going = [self._kept.pop(each) for each in list(self._kept) if key is None or each == key]
            for kept in going:
                kept.leaves = True
            gone = [kept.network for kept in going if not kept.users]
        self._free(gone)

    def _taken(self, wanted: Loadable[_N], progress: Progress) -> _Kept:
        """Return what is wanted, counted as used."""
        if (kept := self._found(wanted.key)) is not None:
            return kept
        loading = self._loading
        while not loading.acquire(timeout=_POLL):
            progress.tick()
        try:
            if (kept := self._found(wanted.key)) is not None:  # loaded by another thread meanwhile
                return kept
            with self._lock:
                gone = self._swept(wanted.about, 1)
            self._free(gone)
            if self.host is not None:
                self.host.loading(wanted.about)
            kept = _Kept(wanted.load(progress), users=1)
            with self._lock:
                self._kept[wanted.key] = kept
                gone = self._swept()
            self._free(gone)
            return kept
        finally:
            loading.release()

    def _found(self, key: Hashable) -> _Kept | None:
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None:
                kept.users += 1
                self._kept.move_to_end(key)
            return kept

    def _free(self, networks: list[Any]) -> None:
        for network in networks:
            if self.host is not None:
                self.host.gone(network)
            network.unload()

    def _swept(self, more: int = 0, others: int = 0) -> list[Any]:
        """Take out what goes beyond the limits; return it, to be unloaded without the lock."""
        networks = []
        for key in [key for key, kept in self._kept.items() if not kept.users]:
            device = self._kept[key].network.device
            if len(self._kept) + others > self._count or self._held_on(device) + more > self._limit(device):
                networks.append(self._kept.pop(key).network)
        return networks

    def _held_on(self, device: str) -> int:
        return sum(kept.network.bytes for kept in self._kept.values() if kept.network.device == device)

    def _limit(self, device: str) -> float:
        if self._bytes is not None:
            return self._bytes
        memory = physical_memory() if device == "cpu" else None
        return float("inf") if memory is None else _SHARE * memory


warm = Warm()
"""The process's own."""
