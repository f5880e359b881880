"""What every runtime offers to segmentation: a network that turns a batch into maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from gossamer.arrays import Array
from gossamer.progress import Progress

__all__ = ["Network", "Sizes"]


@dataclass(frozen=True)
class Sizes:
    """The sizes of pictures that a network takes.

    Attributes
    ----------
    multiple : int
        Height and width are multiples of this.
    only : tuple of int or None
        The one height and width that a graph was written for; None where it takes others.
    """

    multiple: int = 1
    only: tuple[int, int] | None = None


class Network(Protocol):
    """A loaded network."""

    @property
    def device(self) -> str:
        """Where it really runs, such as ``"cpu"`` or ``"cuda"``."""
        ...

    @property
    def engine(self) -> str:
        """What runs it, and in which precision, such as ``"torch bfloat16"``."""
        ...

    @property
    def warnings(self) -> tuple[str, ...]:
        """What its user should know, e.g. that CUDA could not be started; a run may add to it."""
        ...

    @property
    def modules(self) -> tuple[Any, ...]:
        """Its torch modules; none in another runtime, or once it is unloaded."""
        ...

    @property
    def bytes(self) -> int:
        """About how much memory its weights take."""
        ...

    @property
    def sizes(self) -> Sizes:
        """Which sizes of pictures it takes."""
        ...

    def run(self, batch: Array, progress: Progress) -> Array:
        """Map (N, 3, h, w) float32 to the network's mask, (N, h', w') float32."""
        ...

    def unload(self) -> None:
        """Free the memory that the network holds; it cannot be run any more."""
        ...
