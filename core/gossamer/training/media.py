"""What a network is taught with: stills, or clips. All that a training and a proof do otherwise of the two is here."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gossamer.errors import InputError
from gossamer.progress import Progress
from gossamer.settings.dataset import Data
from gossamer.settings.training import Training

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

    # -- proof ------------------------------------------------------------------------------------------------

    @property
    def measures(self) -> Mapping[str, Measure]:
        """What is proved, by name."""
        from gossamer.evaluation import MEASURES
        from gossamer.training.proof import PROVED

        return {name: MEASURES[name] for name in PROVED}

    def measured(self, mask: Array, truth: Array) -> dict[str, float]:
        """Return all of these of what a model found."""
        from gossamer.training.proof import measured

        return measured(mask, truth)

    def examples(self, source: str | os.PathLike[str], reading: Data, progress: Progress) -> tuple[Any, ...]:
        """Return all of a data set that can be used: each has a ``name``, a ``group``, and ``is_cutout``."""
        from gossamer.training.dataset import read_dataset

        return read_dataset(source, reading, progress).examples

    def samples_of(self, examples: Any, backgrounds: tuple[Path, ...], settings: Promotion) -> tuple[Measured, ...]:
        """Return what is measured of examples."""
        from gossamer.training.proof import samples_of

        return samples_of(examples, backgrounds, settings)

    def fed_by(self, spec: InputSpec, side: object) -> InputSpec:
        """Return how a trained network is fed: at the side that it was trained at, where that was not its own."""
        if not isinstance(side, int) or side < 32:
            return spec
        return dataclasses.replace(spec, size=(side, side), multiple=None, shortest=None, longest=None)

    def models(
        self, base: Base, card: ModelCard, file: Path, progress: Progress, say: Callable[[str], object]
    ) -> tuple[Model, Model]:
        """Return the model before and after, both in torch, so that nothing else differs."""
        from gossamer.segmentation.loading import load_model, model_of
        from gossamer.weights.inventory import Weights

        before = load_model(base.id, runtime="torch", progress=progress.part(0, 0.5), announce=say)
        after = model_of(Weights(card, card.weights[0], file), runtime="torch", progress=progress.part(0.5, 1))
        return before, after

    def export_onnx(
        self, base: Base, weights: Path, file: Path, card: ModelCard, progress: Progress, say: Callable[[str], object]
    ) -> float:
        """Write the ONNX file of what a file of weights holds; return how far it is from that at most."""
        from gossamer.networks.export import export_onnx
        from gossamer.parallel.patience import patiently

        module = patiently(lambda: base.loaded_from(weights), progress)
        size = card.input.size or (1024, 1024)
        return export_onnx(module, base.network, file, size=size, progress=progress).difference

    def shown(
        self, sample: Measured, models: tuple[Model, Model], settings: Promotion, progress: Progress
    ) -> tuple[NDArray[Any], Array, Array, Array]:
        """Return a picture for the card: what was seen, its truth, and what both models found."""
        rgb, truth = sample.load(settings.proof_side, settings.proof_seed)
        before, after = (model.predict(rgb, progress) for model in models)
        return rgb, truth, before, after
