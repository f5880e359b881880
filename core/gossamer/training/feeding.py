"""Which pictures a step learns from, and how they come to it: read, changed and fed in threads, some steps ahead.

Nothing is drawn from a generator that goes on from step to step: what a batch holds follows from the seed and the
number of the step alone. So a training that goes on after a kill sees what it would have seen.
"""

from __future__ import annotations

import dataclasses
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.resampling import area, bilinear
from gossamer.segmentation.preprocessing import letterbox_box, network_size, preprocess
from gossamer.settings.training import Training
from gossamer.training.augmentation import augmented, cut
from gossamer.weights.catalogue import InputSpec

__all__ = ["LONGEST", "Batch", "Fed", "Feed", "Taught", "fed_alpha", "general_count", "shrunk"]

LONGEST = 640
"""Pixels of a side at which masks are measured: a validation is to be short."""

Pair = tuple[NDArray[np.uint8], Array]
_KEPT = 512 * 2**20  # bytes of pictures that are kept as they were read
_AHEAD = 2  # batches


class Fed(NamedTuple):
    """A picture, or a clip, as a network is fed it; its truth; and whether it is held to what the base finds."""

    name: str
    picture: Array
    truth: Array
    held: bool


class Taught(Protocol):
    """A picture with its alpha."""

    @property
    def name(self) -> str:
        """What people know it by."""

    def load(self, seed: int = 0) -> Pair:
        """Return (H, W, 3) uint8 and (H, W) float32; the seed decides where anything is drawn."""

    @property
    def drawn(self) -> bool:
        """Whether every load draws another picture: a cut-out over some background."""


@runtime_checkable
class Maskless(Protocol):
    """A picture of which nobody has said what its subject is: what the base finds is all that it can teach."""

    @property
    def maskless(self) -> bool:
        """Always true."""


@dataclass(frozen=True, eq=False)
class Batch:
    """What one step learns from, or one process's part of it.

    Attributes
    ----------
    pictures : (N, 3, h, w) float32
        As the network sees them.
    truths : (N, 1, h, w) float32
        Alpha.
    names : tuple of str
    general : int
        How many of them, the last ones, are of the general data.
    """

    pictures: Array
    truths: Array
    names: tuple[str, ...]
    held: int = 0


class Feed:
    """Batches by the number of their step.

    Parameters
    ----------
    domain, general : sequence of Taught
        What is to be learnt, and what is not to be forgotten.
    settings : Training
    spec : InputSpec
        How the network's authors feed it.
    process, processes : int
        Which of how many processes asks: each gets every so manieth picture of a batch.
    """

    def __init__(
        self,
        domain: Sequence[Taught],
        general: Sequence[Taught],
        settings: Training,
        spec: InputSpec,
        *,
        process: int = 0,
        processes: int = 1,
    ) -> None:
        self._streams = (tuple(domain), tuple(general))
        self._settings, self._spec = settings, spec
        self._mine = range(process, settings.batch, processes)
        self._general = general_count(settings, len(general))
        self._kept: OrderedDict[str, Pair] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def batch(self, step: int) -> Batch:
        """Return what a step, counted from 0, learns from; raises what reading raises."""
        return self._joined([self._one(*draw) for draw in self._draws(step)])

    def batches(self, first: int, last: int) -> Iterator[Batch]:
        """Yield the batches of steps `first` to `last` - 1, made in threads ahead of time."""
        with ThreadPoolExecutor(self._settings.readers, "gossamer-feeding") as pool:
            waiting: OrderedDict[int, list[Future[Fed]]] = OrderedDict()
            try:
                for step in range(first, last):
                    for ahead in range(step, min(step + _AHEAD, last)):
                        if ahead not in waiting:
                            waiting[ahead] = [pool.submit(self._one, *draw) for draw in self._draws(ahead)]
                    yield self._joined([future.result() for future in waiting.pop(step)])
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _draws(self, step: int) -> list[tuple[int, int]]:
        """Return stream and number of the pictures of a step that this process asks for."""
        own = self._settings.batch - self._general
        draws = [(0, step * own + i) for i in range(own)] + [
            (1, step * self._general + i) for i in range(self._general)
        ]
        return [draws[i] for i in self._mine]

    def _one(self, stream: int, number: int) -> Fed:
        """Return the picture that is drawn as the `number`-th of its stream, each once before any a second time."""
        settings = self._settings
        pictures = self._streams[stream]
        round_, place = divmod(number, len(pictures))
        order = np.random.default_rng([settings.seed, stream, round_]).permutation(len(pictures))
        picture = pictures[order[place]]
        rng = np.random.default_rng([settings.seed, stream, 7, number])
        height, width = self._size()
        rgb, alpha = self._read(stream, picture, int(rng.integers(2**31)))
        held = bool(stream) and (settings.general_truth == "base" or isinstance(picture, Maskless))
        if held:
            settings = settings.model_copy(update={"crop": settings.general_crop})
        rgb, alpha = cut(rgb, alpha, max(height, width), settings, rng)
        rgb, alpha = augmented(rgb, alpha, settings, rng)
        spec = dataclasses.replace(self._spec, size=(width, height), multiple=None, shortest=None, longest=None)
        return Fed(picture.name, preprocess(rgb, spec)[0], fed_alpha(alpha, spec)[None], held)

    def _size(self) -> tuple[int, int]:
        """Return height and width at which the network is trained."""
        side = self._settings.side
        if side or self._spec.size is None:
            side = side or 1024
            return side, side
        return network_size(self._spec, side, side)

    def _read(self, stream: int, picture: Taught, seed: int) -> Pair:
        if picture.drawn:
            return self._small(picture.load(seed))
        key = f"{stream}/{picture.name}"
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        pair = self._small(picture.load(seed))
        with self._lock:
            if key not in self._kept:
                self._kept[key] = pair
                self._bytes += pair[0].nbytes + pair[1].nbytes
            while self._bytes > _KEPT and len(self._kept) > 1:
                _, old = self._kept.popitem(last=False)
                self._bytes -= old[0].nbytes + old[1].nbytes
        return pair

    def _small(self, pair: Pair) -> Pair:
        return pair if self._settings.tiles else shrunk(*pair, 2 * max(self._size()))

    def _nothing(self) -> tuple[Array, Array]:
        """Return the pictures and truths of no picture."""
        height, width = self._size()
        return np.zeros((0, 3, height, width), np.float32), np.zeros((0, 1, height, width), np.float32)

    def _joined(self, found: Sequence[Fed]) -> Batch:
        if not found:
            return Batch(*self._nothing(), ())
        ordered = sorted(found, key=lambda one: one.held)  # of equals the earlier stays before
        names, pictures, truths, held = zip(*ordered, strict=True)
        return Batch(np.stack(pictures), np.stack(truths), names, sum(held))


def general_count(settings: Training, there: int) -> int:
    """Return how many of a batch are of the general data, where so many pictures of it are there."""
    return min(round(settings.batch * settings.general), settings.batch - 1) if there else 0


def fed_alpha(alpha: Array, spec: InputSpec) -> Array:
    """Return alpha where the network sees the picture, (h, w)."""
    assert spec.size is not None  # noqa: S101 - whoever calls has set it
    width, height = spec.size
    if spec.resize != "letterbox":
        return _resized(alpha, height, width)
    box = letterbox_box((height, width), *alpha.shape)
    padded = np.zeros((height, width), np.float32)
    padded[box.top : box.top + box.height, box.left : box.left + box.width] = _resized(alpha, box.height, box.width)
    return padded


def shrunk(rgb: NDArray[np.uint8], alpha: Array, longest: int) -> Pair:
    """Return a picture and its alpha with no side longer than that."""
    import cv2

    scale = longest / max(alpha.shape)
    if scale >= 1:
        return rgb, alpha
    height, width = (max(1, round(side * scale)) for side in alpha.shape)
    small = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8), area(alpha, height, width)


def _resized(alpha: Array, height: int, width: int) -> Array:
    """Return alpha at a size, each pixel the mean of those that it covers."""
    resize: Callable[[Array, int, int], Array] = area if min(alpha.shape) > min(height, width) else bilinear
    return np.clip(resize(np.ascontiguousarray(alpha), height, width), 0, 1)
