"""Clips as what a network is taught with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gossamer.errors import InputError
from gossamer.progress import Progress
from gossamer.settings.dataset import Data
from gossamer.settings.training import Training
from gossamer.training.media import Stills

if TYPE_CHECKING:
    from torch import nn

    from gossamer.arrays import Array
    from gossamer.training.feeding import Feed, Taught
    from gossamer.training.lessons import Lessons
    from gossamer.training.validation import Seen
    from gossamer.weights.catalogue import InputSpec

__all__ = ["Clips"]

_ON_CARD, _ON_PROCESSOR = 15, 6  # frames a step: the authors' first stage, and what a processor does in seconds
_LEAST = 64  # pixels of a side: the loss halves it four times
_UNUSED = {
    "tiles": "Clips are shown as squares of their frames",
    "pepper": "Clips get the grain of a camera",
    "lora": "This network has no transformer",
    "general_truth": "Clips of anything are held to what the base finds in them",
    "normalisation": "In these weights batch normalisation is folded into the convolutions",
}


class Clips(Stills):
    """Frames that follow each other."""

    one, many = "clip", "clips"

    def settled(self, settings: Training, on_card: bool) -> Training:
        """Return settings as they are used; raises InputError where one is for another medium."""
        plain = Training()
        for name, reason in _UNUSED.items():
            if getattr(settings, name) != getattr(plain, name):
                raise InputError(f"{reason}.", f"Leave --{name.replace('_', '-')} out.")
        if settings.loss not in ("auto", "rvm"):
            raise InputError(f"The loss {settings.loss} is for pictures.", "Leave --loss out, or give rvm.")
        if 0 < settings.side < _LEAST:
            raise InputError(f"Clips of {settings.side} pixels are too small.", f"Give --side {_LEAST} or more.")
        length = settings.length or (_ON_CARD if on_card else _ON_PROCESSOR)
        return settings.model_copy(update={"length": length})

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
        """Read and split clips, see :func:`gossamer.training.clips.lessons.clip_lessons_of`."""
        from gossamer.training.clips.lessons import clip_lessons_of

        return clip_lessons_of(data, general, backgrounds, reading, progress, announce, photographs)

    def feed(self, lessons: Lessons, settings: Training, spec: InputSpec, process: int = 0, processes: int = 1) -> Feed:
        """Return the batches of clips that a network learns from, or a process's part of them."""
        from gossamer.training.clips.feeding import ClipFeed

        return ClipFeed(lessons.train, lessons.general, settings, spec, process=process, processes=processes)

    def validated(self, network: nn.Module, pictures: Sequence[Taught], **how: Any) -> list[Seen]:
        """Return how each comes out, see :func:`gossamer.training.clips.validation.validated`."""
        from gossamer.training.clips.validation import validated

        return validated(network, pictures, **how)

    def worst_of(
        self, seen: Sequence[Seen], pictures: Sequence[Taught], network: nn.Module, *, count: int, **how: Any
    ) -> Array:
        """Return a sheet of the worst, see :func:`gossamer.training.clips.validation.worst_of`."""
        from gossamer.training.clips.validation import worst_of

        return worst_of(seen, pictures, network, count=count, **how)
