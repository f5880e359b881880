"""Which frames a step learns from: as :mod:`gossamer.training.feeding`, with clips in the place of pictures."""

from __future__ import annotations

from typing import cast

import numpy as np

from gossamer.arrays import Array
from gossamer.training.clips.lessons import ClipLesson
from gossamer.training.feeding import Fed, Feed

__all__ = ["SIDE", "ClipFeed"]

SIDE = 512
"""Pixels of a side at which clips are learnt from, unless told otherwise: the authors'."""


class ClipFeed(Feed):
    """Batches of clips by the number of their step.

    Their pictures are (N, T, 3, h, w), their truths colours and alpha, (N, T, 4, h, w).
    """

    def _one(self, stream: int, number: int) -> Fed:
        """Return the clip that is drawn as the `number`-th of its stream, each once before any a second time."""
        settings, clips = self._settings, self._streams[stream]
        round_, place = divmod(number, len(clips))
        order = np.random.default_rng([settings.seed, stream, round_]).permutation(len(clips))
        clip = cast(ClipLesson, clips[order[place]])
        seed = int(np.random.default_rng([settings.seed, stream, 7, number]).integers(2**31))
        made = clip.sequence(settings.length, self._size()[0], settings, seed)
        return Fed(clip.name, made.frames, made.truth, bool(stream))  # clips of anything are held to the base

    def _size(self) -> tuple[int, int]:
        side = self._settings.side or SIDE
        return side, side

    def _nothing(self) -> tuple[Array, Array]:
        length, size = self._settings.length, self._size()
        return np.zeros((0, length, 3, *size), np.float32), np.zeros((0, length, 4, *size), np.float32)
