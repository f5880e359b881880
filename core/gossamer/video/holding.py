"""Mattes that hold still: what flickers is told from what moves by optical flow, and taken out.

Mattes of the frames before and after are moved along with the picture, edges with what is within them, each step as
far as the moved picture agrees with the other one; their mean, in which those count more that are sure, is what a matte
would be without flicker. What has no fellow (what comes from behind something, what is beyond a cut) stays as the model
saw it. What goes along with the background speaks against being kept where mattes are in doubt
(:mod:`gossamer.video.background`). All of this happens in a small copy, and only the small matte's change is brought
back: hair, which is finer, stays as it is in the frame's own matte, but for the mean of its detail over three frames.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.video.background import FINENESS, tipped, weighed
from gossamer.video.motion import Motion, motion_between, reduced

__all__ = ["Held", "Past", "Steady"]

AHEAD = 8  # frames that are looked at before one is given out
_UNSURE = 2.0  # so little does it matter how sure a matte is: one half weighs two thirds of one that is certain
_BLUR = 0.7  # px of the small copy, of the change: no blocks
_FINER = 2.0  # times the small copy: as far as detail is held still

_T = TypeVar("_T")


@dataclass(frozen=True, eq=False)
class Past:
    """What is remembered of the frames that were given out.

    Attributes
    ----------
    small : (h, w, 3) uint8
        The last of them, small.
    mean : (h, w, 2) float32
        Sum of the mattes that were moved along, and of their weights.
    matte : (h, w) float32
        That of the last of them as it came, small.
    detail : (h', w') float32
        What is finer in it.
    along : (h'', w'', 2) float32
        Sum of what went along with the background, moved along, see :func:`gossamer.video.background.going_along`.
    doubt : (h'', w'') float32 or None
        How far its parts were doubted, see :func:`gossamer.video.background.weighed`; None where nothing was told.
    colours : (h, w, 3) float32 or None
        The subject's colours in the last of them, small.
    """

    small: NDArray[np.uint8]
    mean: Array
    matte: Array
    detail: Array
    along: Array
    doubt: Array | None = None
    colours: Array | None = None

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return it as arrays, to be written down."""
        kept: dict[str, NDArray[Any]] = {
            "small": self.small,
            "mean": self.mean,
            "matte": self.matte,
            "detail": self.detail,
            "along": self.along,
        }
        perhaps = {"doubt": self.doubt, "colours": self.colours}
        return kept | {name: one for name, one in perhaps.items() if one is not None}

    @classmethod
    def of(cls, arrays: dict[str, NDArray[Any]]) -> Past | None:
        """Return what was written down by :meth:`arrays`; None where nothing was, or less, by a version before."""
        needed = ("small", "mean", "matte", "detail", "along")
        if not arrays.keys() >= set(needed):
            return None
        return cls(**{name: arrays[name] for name in needed}, doubt=arrays.get("doubt"), colours=arrays.get("colours"))


@dataclass(frozen=True, eq=False)
class Held(Generic[_T]):
    """A frame whose matte holds still.

    Attributes
    ----------
    thing : object
        What came with the matte.
    alpha : (H, W) float32
    """

    thing: _T
    alpha: Array


@dataclass(eq=False)
class _Waiting(Generic[_T]):
    thing: _T
    alpha: Array
    small: NDArray[np.uint8]
    matte: Array  # small
    detail: Array  # what is finer
    back: Motion | None  # to the frame before
    forth: Motion | None  # from the frame before


class Steady(Generic[_T]):
    """Holds mattes still, frame by frame; gives each out when enough of those after it are known.

    Parameters
    ----------
    strength : float
        In [0, 1): what weight a matte has one frame away, where the motion is certain. 0 changes nothing.
    past : Past, optional
        Where another one stopped: what comes then is as if it had gone on.
    tips : bool
        Whether what goes along with the background tips what mattes doubt: not where half transparent things are right
        as they are, as before a screen.
    """

    def __init__(self, strength: float, past: Past | None = None, *, tips: bool = True) -> None:
        self._strength = np.float32(strength)
        self._tips = tips
        self._waiting: deque[_Waiting[_T]] = deque()
        self.past = past

    def add(self, thing: _T, pixels: NDArray[Any], alpha: Array) -> Iterator[Held[_T]]:
        """Take the next frame; yield those that are ready.

        Parameters
        ----------
        thing : object
            Comes out with its matte.
        pixels : (H, W, 3) uint8 or uint16
        alpha : (H, W) float32
        """
        import cv2

        if self._strength == 0:
            yield Held(thing, alpha)
            return
        small = reduced(pixels)
        size = (small.shape[1], small.shape[0])
        matte = np.asarray(cv2.resize(alpha, size, interpolation=cv2.INTER_AREA), np.float32)
        last = self._waiting[-1] if self._waiting else self.past
        back, forth = None, None
        if last is not None and last.small.shape == small.shape:
            back, forth = motion_between(small, last.small, (matte, last.matte))
        self._waiting.append(_Waiting(thing, alpha, small, matte, _detail(alpha, matte), back, forth))
        if len(self._waiting) > AHEAD:
            yield self._next()

    def rest(self) -> Iterator[Held[_T]]:
        """Yield the frames that still wait: there are no more."""
        while self._waiting:
            yield self._next()

    def steady_colours(self, colours: NDArray[Any], alpha: Array) -> NDArray[Any]:
        """Return the subject's colours in the frame that was given out last, held still where it is transparent.

        Parameters
        ----------
        colours : (H, W, 3) float32 or uint8
            As estimated in this frame alone.
        alpha : (H, W) float32
            Where it is 1 the colours are the picture's own and stay.
        """
        import cv2

        if self._strength == 0 or self.past is None:
            return colours
        height, width = self.past.small.shape[:2]
        floats = colours if colours.dtype == np.float32 else colours.astype(np.float32) / np.float32(255)
        small = np.asarray(cv2.resize(floats, (width, height), interpolation=cv2.INTER_AREA), np.float32)
        before, motion = self._before, self._motion
        if before is not None and motion is not None:
            change = (motion.moved(before) - small) * (motion.trust * self._strength * np.float32(0.8))[..., None]
            small = small + change
            whole = cv2.resize(change, (colours.shape[1], colours.shape[0]), interpolation=cv2.INTER_LINEAR)
            floats = floats + whole * (1 - alpha)[..., None]
            np.clip(floats, 0, 1, out=floats)
            colours = floats
        self.past = replace(self.past, colours=small)
        return colours

    def _next(self) -> Held[_T]:
        import cv2

        first = self._waiting[0]
        own = _own(first.matte)
        forward = own
        if first.back is not None and self.past is not None:
            forward = own + self._weight(first.back) * _moved(self.past.mean, first.back)
        backward = None
        for here, there in zip(reversed(list(self._waiting)[:-1]), reversed(list(self._waiting)[1:]), strict=True):
            ahead = _own(there.matte) if backward is None else backward
            backward = _own(here.matte)
            if there.forth is not None:
                backward = backward + self._weight(there.forth) * _moved(ahead, there.forth)
        both = forward if backward is None else forward + backward - own
        mean = both[..., 0] / both[..., 1]
        change = cv2.GaussianBlur(mean - first.matte, (0, 0), _BLUR)
        change = _enlarged(change, first.detail.shape) + self._change_of_detail(first)
        held = first.alpha + _enlarged(change, first.alpha.shape)
        np.clip(held, 0, 1, out=held)
        along, seen = self._going_along()
        doubt = None
        if self._tips and seen[..., 0].any():
            goes, doubt = weighed(mean, seen)
            doubt = self._remembering(doubt, first.back)
            held *= _enlarged(tipped(mean, goes * doubt), held.shape)
        self._before = self.past.colours if self.past else None
        self._motion = first.back
        self.past = Past(first.small, np.ascontiguousarray(forward), first.matte, first.detail, along, doubt)
        self._waiting.popleft()
        return Held(first.thing, held)

    def _going_along(self) -> tuple[Array, Array]:
        """Return what went along with the background in the frames up to the first one, and in those after it, too."""
        waiting = list(self._waiting)
        seen = [_seen(one, after) for one, after in zip(waiting, [*waiting[1:], None], strict=True)]
        along = seen[0]
        if waiting[0].back is not None and self.past is not None:
            along = along + _carried(self.past.along, waiting[0].back, self._strength)
        later = seen[-1]
        for there, own in zip(reversed(waiting[1:]), reversed(seen[:-1]), strict=True):
            later = own if there.forth is None else own + _carried(later, there.forth, self._strength)
        return along, along + later - seen[0]

    def _remembering(self, doubt: Array, back: Motion | None) -> Array:
        """Return doubts with those of the frames before, moved along: what goes fades, and is not gone at once."""
        before = self.past.doubt if self.past else None
        if before is None or back is None:
            return doubt
        trust = back.coarse.trust * self._strength
        return np.asarray(doubt + trust * (back.coarse.moved(before) - doubt), np.float32)

    def _change_of_detail(self, first: _Waiting[_T]) -> Array:
        """Return what the mean of detail over the frame and its two neighbours differs by from its own."""
        total, weights = first.detail.copy(), np.ones_like(first.detail)
        neighbours = [(first.back, self.past.detail)] if self.past else []
        neighbours += [(after.forth, after.detail) for after in list(self._waiting)[1:2]]
        for motion, detail in neighbours:
            if motion is None or detail.shape != total.shape:
                continue
            finer = motion.enlarged(*detail.shape)
            weight = finer.trust * self._strength
            total += weight * finer.moved(detail)
            weights += weight
        return np.asarray(total / weights - first.detail, np.float32)

    def _weight(self, motion: Motion) -> Array:
        return (motion.trust * self._strength)[..., None]

    _before: Array | None = None
    _motion: Motion | None = None


def _seen(one: _Waiting[Any], after: _Waiting[Any] | None) -> Array:
    """Return what goes along with the background between a frame and those next to it."""
    height, width = one.matte.shape
    total = np.zeros((max(1, height // FINENESS), max(1, width // FINENESS), 2), np.float32)
    for motion in (one.back, after.forth if after else None):
        if motion is not None and motion.along is not None:
            total += motion.along
    return total


def _carried(plane: Array, motion: Motion, strength: np.float32) -> Array:
    return (motion.coarse.trust * strength)[..., None] * motion.coarse.moved(plane)


def _enlarged(plane: Array, shape: tuple[int, ...]) -> Array:
    import cv2

    height, width = shape
    return np.asarray(cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def _detail(alpha: Array, small: Array) -> Array:
    """Return what a matte has that its small copy has not, as far as it is held still."""
    import cv2

    shape = tuple(min(whole, round(_FINER * one)) for whole, one in zip(alpha.shape, small.shape, strict=True))
    whole = np.asarray(cv2.resize(alpha, shape[::-1], interpolation=cv2.INTER_AREA), np.float32)
    return whole - _enlarged(small, shape)


def _own(matte: Array) -> Array:
    """Return a matte times its weight, and that weight: a model that says one half does not know.

    Where all mattes that meet say the same, as in hair, their weights are the same.
    """
    sure = np.square(2 * matte - 1)
    weight = (np.float32(_UNSURE) + sure) / np.float32(1 + _UNSURE)
    return np.dstack([matte * weight, weight])


def _moved(mean: Array, motion: Motion) -> Array:
    """Return mattes times their weight, and that weight, moved along: the weight linearly, it must not fall below 0."""
    weight = motion.moved(np.ascontiguousarray(mean[..., 1]))
    matte = np.clip(motion.moved(mean[..., 0] / mean[..., 1], sharp=True), 0, 1)
    return np.dstack([matte * weight, weight])
