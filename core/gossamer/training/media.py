"""What a network is taught with: stills, or clips. All that a training and a proof do otherwise of the two is here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gossamer.errors import InputError
from gossamer.progress import Progress
from gossamer.settings.dataset import Data
from gossamer.settings.training import Training

if TYPE_CHECKING:
    from torch import nn

    from gossamer.arrays import Array
    from gossamer.training.feeding import Feed, Taught
    from gossamer.training.lessons import Lessons
    from gossamer.training.validation import Seen
    from gossamer.weights.catalogue import InputSpec

__all__ = ["Stills"]


class Stills:
    """Single pictures."""

    one, many = "picture", "pictures"

    def settled(self, settings: Training, on_card: bool) -> Training:
        """Return settings as they are used; raises InputError where one is for another medium."""
        if settings.loss == "rvm":
            raise InputError("The loss rvm is for clips.", "Choose another --loss, or --model rvm-mobilenetv3.")
        return settings

    def lessons_of(
        self,
        data: str | Path,
        general: str | Path | None,
        backgrounds: str | Path | None,
        reading: Data,
        progress: Progress,
        announce: Callable[[str], object],
        photographs: str | Path | None = None,
    ) -> Lessons:
        """Read and split what is taught, see :func:`gossamer.training.lessons.lessons_of`."""
        from gossamer.training.lessons import lessons_of

        return lessons_of(data, general, backgrounds, reading, progress, announce, photographs)

    def feed(self, lessons: Lessons, settings: Training, spec: InputSpec, process: int = 0, processes: int = 1) -> Feed:
        """Return the batches that a network learns from, or a process's part of them."""
        from gossamer.training.feeding import Feed

        return Feed(lessons.train, lessons.general, settings, spec, process=process, processes=processes)

    def validated(self, network: nn.Module, pictures: Sequence[Taught], **how: Any) -> list[Seen]:
        """Return how each comes out, see :func:`gossamer.training.validation.validated`."""
        from gossamer.training.validation import validated

        return validated(network, pictures, **how)

    def worst_of(
        self, seen: Sequence[Seen], pictures: Sequence[Taught], network: nn.Module, *, count: int, **how: Any
    ) -> Array:
        """Return a sheet of the worst, see :func:`gossamer.training.validation.worst_of`."""
        from gossamer.training.validation import worst_of

        return worst_of(seen, pictures, network, count=count, **how)
