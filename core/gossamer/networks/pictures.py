"""Pictures that go to a card as they are: one copy there, all that is wanted of them made there, one copy back."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gossamer.networks.network import Network
from gossamer.progress import Progress

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Further", "Plane", "Reading", "TakesPictures", "packed", "takes_pictures", "unpacked"]

_ALIGNED = 64  # bytes


@dataclass(frozen=True)
class Plane:
    """What is wanted of each picture.

    Attributes
    ----------
    shape : tuple of int
    type : str
        Of its numbers, as NumPy calls it.
    """

    shape: tuple[int, ...]
    type: str

    @property
    def bytes(self) -> int:
        """How much memory it takes."""
        return int(np.prod(self.shape)) * np.dtype(self.type).itemsize


@dataclass(frozen=True)
class Reading:
    """What is wanted of pictures of one size.

    Attributes
    ----------
    key : hashable
        What it is: pictures of two readings whose keys are equal may go together.
    planes : tuple of Plane
        What it gives.
    work : callable
        ``work(pixels, forward)`` makes that, each (N, …), of (N, H, W, 3) uint8 on a device, where
        ``forward`` maps (N, 3, h, w) float32 to the network's (N, h', w') float32.
    """

    key: Hashable
    planes: tuple[Plane, ...]
    work: Callable[[Tensor, Callable[[Tensor], Tensor]], Sequence[Tensor]]


@dataclass(frozen=True)
class Further:
    """What is wanted of pictures of one size beyond their masks.

    Attributes
    ----------
    key, planes
        As for :class:`Reading`.
    work : callable
        ``work(pixels, masks)`` makes that of (N, H, W, 3) uint8 and (N, H, W) float32.
    """

    key: Hashable
    planes: tuple[Plane, ...]
    work: Callable[[Tensor, Tensor], Sequence[Tensor]]


class TakesPictures(Network, Protocol):
    """A network on a device that pictures are brought to."""

    def read(self, pixels: NDArray[np.uint8], reading: Reading, progress: Progress) -> NDArray[np.uint8]:
        """Return what is wanted of (N, H, W, 3) pictures, packed: see :func:`unpacked`."""
        ...


def takes_pictures(network: Network) -> TakesPictures | None:
    """Return a network as one that pictures are brought to, where it is that."""
    return network if getattr(network, "takes_pictures", False) else None  # type: ignore[return-value]


def packed(planes: Sequence[Tensor]) -> Tensor:
    """Return planes, each (N, …), as rows of bytes, one a picture, so that one copy takes them all.

    Rows are filled up, so that the numbers of every one of them lie where processors want them.
    """
    import torch

    rows = [plane.contiguous().view(len(plane), -1).view(torch.uint8) for plane in planes]
    rest = -sum(row.shape[1] for row in rows) % _ALIGNED
    return torch.cat([*rows, rows[0].new_zeros((len(rows[0]), rest))], dim=1)


def unpacked(row: NDArray[np.uint8], planes: Sequence[Plane]) -> list[NDArray[Any]]:
    """Return the planes of one picture: views of its row."""
    found, start = [], 0
    for plane in planes:
        found.append(row[start : start + plane.bytes].view(plane.type).reshape(plane.shape))
        start += plane.bytes
    return found
