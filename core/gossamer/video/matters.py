"""What finds the subject in frames: any model of single pictures, or one that remembers the frames before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from gossamer.errors import InputError
from gossamer.networks.recurrence import Recurrence
from gossamer.pipeline import NO_MODEL
from gossamer.progress import Progress
from gossamer.segmentation.ensemble import Ensemble
from gossamer.segmentation.loading import load_models
from gossamer.segmentation.model import SegmentationModel
from gossamer.settings import ModelChoice, Recipe
from gossamer.settings.video import Video
from gossamer.video.clip import Frame
from gossamer.video.recurrent import Matted, RecurrentMatter
from gossamer.weights.catalogue import video_cards

__all__ = ["Matted", "Matter", "load_matter"]


class Matter(Protocol):
    """A model for frames."""

    id: str
    device: str
    remembers: bool

    @property
    def warnings(self) -> tuple[str, ...]:
        """What its user should know."""

    def matte(self, frame: Frame, remembered: Recurrence, progress: Progress) -> Matted:
        """Find the subject in a frame, `remembered` being what the one before gave."""


def load_matter(
    choice: ModelChoice,
    recipe: Recipe,
    settings: Video,
    progress: Progress,
    announce: Callable[[str], object] | None,
) -> Matter:
    """Load a model for frames, fetching its weights where they are not on this machine.

    Raises
    ------
    GossamerError
        As :func:`gossamer.load_model`.
    """
    if choice.model == NO_MODEL:
        if recipe.matting.method != "key":
            raise InputError("Without a model only the matting key finds a subject.", "Choose it, or a model.")
        return _Anything()
    if choice.model in video_cards():
        if recipe.segmentation.resolution:
            raise InputError(
                f"{choice.model} sees frames smaller by the working ratio, and has no resolution.",
                "Leave the resolution at 0, and set the working ratio where it shall see more or less.",
            )
        return RecurrentMatter(choice, settings, progress, announce)
    model = load_models(choice, progress=progress, announce=announce)
    return _Still(model.at(recipe.segmentation.resolution), choice, recipe)


class _Anything:
    """No model: everything may be the subject, and keying tells."""

    id, device, remembers = "", "cpu", False
    warnings: tuple[str, ...] = ()

    def matte(self, frame: Frame, remembered: Recurrence, progress: Progress) -> Matted:
        return Matted(np.ones(frame.pixels.shape[:2], np.float32), remembered)


class _Still:
    """A model of single pictures, frame by frame."""

    remembers = False

    def __init__(self, model: SegmentationModel | Ensemble, choice: ModelChoice, recipe: Recipe) -> None:
        self._model = model
        self.id, self.device = model.id, model.device
        self._flips = recipe.segmentation.flips
        self._detail = recipe.segmentation.looks_closer(choice.quality == "best")

    @property
    def warnings(self) -> tuple[str, ...]:
        return self._model.warnings

    def matte(self, frame: Frame, remembered: Recurrence, progress: Progress) -> Matted:
        mask = self._model.predict(frame.pixels, progress, flips=self._flips, detail=self._detail)
        return Matted(mask, remembered)
