"""Clips as what a network is taught with."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gossamer.errors import InputError
from gossamer.progress import Progress
from gossamer.settings.dataset import Data
from gossamer.settings.training import Training
from gossamer.training.media import Stills

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

    from gossamer.arrays import Array
    from gossamer.evaluation import Measure
    from gossamer.settings.promotion import Promotion
    from gossamer.training.bases import Base
    from gossamer.training.feeding import Feed, Taught
    from gossamer.training.lessons import Lessons
    from gossamer.training.proof import Measured, Model
    from gossamer.training.validation import Seen
    from gossamer.weights.card import InputSpec, ModelCard

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

    # -- proof ------------------------------------------------------------------------------------------------

    @property
    def measures(self) -> Mapping[str, Measure]:
        """What is proved, by name."""
        from gossamer.training.clips.proof import CLIPS_PROVED

        return CLIPS_PROVED

    def measured(self, mask: Array, truth: Array) -> dict[str, float]:
        """Return all of these of what a model found."""
        from gossamer.training.clips.proof import measured

        return measured(mask, truth)

    def examples(self, source: str | os.PathLike[str], reading: Data, progress: Progress) -> tuple[Any, ...]:
        """Return all of a data set that can be used: each has a ``name``, a ``group``, and ``is_cutout``."""
        from gossamer.training.clips.reading import read_clips

        return read_clips(source, reading, progress).clips

    def samples_of(self, examples: Any, backgrounds: tuple[Path, ...], settings: Promotion) -> tuple[Measured, ...]:
        """Return what is measured of clips."""
        from gossamer.training.clips.proof import clip_samples_of

        return clip_samples_of(examples, backgrounds, settings)

    def fed_by(self, spec: InputSpec, side: object) -> InputSpec:
        """Return how a trained network is fed: with frames of any size, whatever it learnt from."""
        return spec

    def models(
        self, base: Base, card: ModelCard, file: Path, progress: Progress, say: Callable[[str], object]
    ) -> tuple[Model, Model]:
        """Return the model before and after, both in torch, so that nothing else differs."""
        from gossamer.parallel.patience import patiently
        from gossamer.training.clips.proof import ClipModel

        return patiently(lambda: (ClipModel(base.path, base.network), ClipModel(file, base.network)), progress)

    def export_onnx(
        self, base: Base, weights: Path, file: Path, card: ModelCard, progress: Progress, say: Callable[[str], object]
    ) -> float:
        """Write the ONNX file of what a file of weights holds; return how far its mattes are from that at most."""
        from gossamer.networks.recurrent_export import export_recurrent
        from gossamer.parallel.patience import patiently
        from gossamer.training.bases import ClipBase

        assert isinstance(base, ClipBase)  # noqa: S101 - no other has this medium

        module = patiently(lambda: base.loaded_from(weights), progress)
        return export_recurrent(module, base.graph(progress, say), file, progress=progress).difference

    def shown(
        self, sample: Measured, models: tuple[Model, Model], settings: Promotion, progress: Progress
    ) -> tuple[NDArray[Any], Array, Array, Array]:
        """Return a picture for the card: the frame in which the models differ most."""
        frames, truths = sample.load(settings.proof_side, settings.proof_seed)
        before, after = (model.predict(frames, progress) for model in models)
        place = int(abs(before - after).mean((1, 2)).argmax())
        return frames[place], truths[place], before[place], after[place]
