"""What a network that runs over frames remembers of them: a value, passed in and out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array

__all__ = ["Recurrence", "planes_of"]


@dataclass(frozen=True, eq=False)
class Recurrence:
    """The memory of a recurrent network after some frames; nobody writes into it.

    Attributes
    ----------
    states : tuple of (N, C, h, w) float32
        One an inner layer, in the network's order; empty before the first frame.
    size : (int, int)
        Height and width of the frames that it is of.
    """

    states: tuple[Array, ...] = ()
    size: tuple[int, int] = (0, 0)

    def fitting(self, height: int, width: int) -> Recurrence:
        """Return what can be used for frames of a size: nothing is remembered from others."""
        return self if self.size == (height, width) else Recurrence((), (height, width))


def planes_of(pixels: NDArray[np.generic]) -> Array:
    """Return a frame, (H, W, 3) uint8 or float32 in [0, 1], as most networks take it: (1, 3, H, W) float32."""
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], np.float32)
    return planes / np.float32(255) if pixels.dtype == np.uint8 else planes
