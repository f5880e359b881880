"""Several models combined: one mask from all of them, and where they disagree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from gossamer.arrays import Array
from gossamer.clock import Clock
from gossamer.errors import InputError
from gossamer.progress import Progress, ProgressCallback
from gossamer.segmentation.model import SegmentationModel
from gossamer.settings.model_choice import COMBINATIONS, Combination

__all__ = ["MASK_COMBINATIONS", "Combined", "Ensemble", "combine_masks"]

MASK_COMBINATIONS = (*COMBINATIONS, "min", "subtract")
"""How masks from anywhere become one: as those of several models do, or by what only makes sense of other masks."""

_STRIP = 64  # rows at a time, so that what is computed on the way stays small


@dataclass(frozen=True, eq=False)
class Combined:
    """One mask from several.

    Attributes
    ----------
    mask : (H, W) float32
        1 = foreground.
    disagreement : (H, W) float32
        The largest of the masks less the smallest, 0 = all agree: a picture to look at.
    """

    mask: Array
    disagreement: Array


def combine_masks(masks: Sequence[Array], combine: Combination | Literal["min", "subtract"] = "mean") -> Combined:
    """Combine masks of one picture.

    Parameters
    ----------
    masks : sequence of (H, W) float32
        At least one, in [0, 1].
    combine : {"mean", "max", "vote", "min", "subtract"}
        ``mean``: their mean; ``max``: the largest, so that what any of them found stays; ``vote``: the mean of
        those on the side, foreground (at least 0.5) or background, that more of them take, so that one that is
        quite wrong counts nothing and soft edges stay soft. In a draw the mean decides which side that is. ``min``: the
        smallest, so that only what all of them found stays; ``subtract``: the first without what any other found.

    Returns
    -------
    Combined

    Raises
    ------
    InputError
        There are no masks, they differ in size, or there is no such combination.
    """
    if combine not in MASK_COMBINATIONS:
        raise InputError(f"There is no combination {combine!r}.", f"Choose one of: {', '.join(MASK_COMBINATIONS)}.")
    if not masks or any(mask.shape != masks[0].shape for mask in masks):
        raise InputError("There are not several masks of one size.", "Give at least one, all of the picture's size.")
    mask, disagreement = np.empty_like(masks[0]), np.empty_like(masks[0])
    for top in range(0, len(mask), _STRIP):
        rows = slice(top, top + _STRIP)
        strips = np.stack([one[rows] for one in masks])
        high = strips.max(axis=0)
        disagreement[rows] = high - strips.min(axis=0)
        if combine == "max":
            mask[rows] = high
        elif combine == "min":
            mask[rows] = strips.min(axis=0)
        elif combine == "subtract":
            mask[rows] = strips[0] * (1 - strips[1:].max(axis=0, initial=0))
        elif combine == "mean":
            mask[rows] = strips.mean(axis=0)
        else:
            mask[rows] = _vote(strips)
    return Combined(mask, disagreement)


def _vote(strips: Array) -> Array:
    """Return the mean of the majority's values, (n, h, w) to (h, w)."""
    foreground = strips >= 0.5
    count = foreground.sum(axis=0)
    mean = strips.mean(axis=0)
    wins = np.where(2 * count == len(strips), mean >= 0.5, 2 * count > len(strips))
    counted = foreground == wins
    result: Array = (strips * counted).sum(axis=0, dtype=np.float32) / counted.sum(axis=0, dtype=np.float32)
    return result


class Ensemble:
    """Several models that find the subject together; used as one :class:`SegmentationModel` is.

    Parameters
    ----------
    models : sequence of SegmentationModel
        At least one.
    combine : {"mean", "max", "vote"}
        See :func:`combine_masks`.

    Attributes
    ----------
    id : str
        The models' ids and the combination, e.g. ``"isnet-general-use+u2net (mean)"``.
    device : str
        Where they really run; all places, where they differ.
    engine : str
        What runs them, and in which precision; all, where they differ.
    resolution : int
        Side in pixels at which they see pictures; 0: each as its authors chose.

    Raises
    ------
    InputError
        There are no models, or there is no such combination.
    """

    def __init__(self, models: Sequence[SegmentationModel], combine: Combination = "mean") -> None:
        if not models:
            raise InputError("There are no models to combine.", "Name at least one.")
        if combine not in COMBINATIONS:
            raise InputError(f"There is no combination {combine!r}.", f"Choose one of: {', '.join(COMBINATIONS)}.")
        self.models = tuple(models)
        self.combine: Combination = combine
        self.id = f"{'+'.join(model.id for model in models)} ({combine})"
        self.device = ", ".join(dict.fromkeys(model.device for model in models))
        self.engine = ", ".join(dict.fromkeys(model.engine for model in models))
        self.resolution = max(model.resolution for model in models)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user should know of any of them."""
        return tuple(dict.fromkeys(warning for model in self.models for warning in model.warnings))

    def predict_all(
        self,
        image: ArrayLike,
        progress: ProgressCallback | Progress | None = None,
        *,
        flips: bool = False,
        detail: bool = False,
        clock: Clock | None = None,
    ) -> Combined:
        """Return the models' common mask of one picture, and where they disagree.

        Parameters, errors
            As :meth:`SegmentationModel.predict`.
        """
        steps = Progress.of(progress)
        masks = []
        for number, model in enumerate(self.models):
            part = steps.part(number / len(self.models), (number + 1) / len(self.models))
            masks.append(model.predict(image, part, flips=flips, detail=detail, clock=clock))
        return combine_masks(masks, self.combine)

    def predict(
        self,
        image: ArrayLike,
        progress: ProgressCallback | Progress | None = None,
        *,
        flips: bool = False,
        detail: bool = False,
        clock: Clock | None = None,
    ) -> Array:
        """Return the mask of :meth:`predict_all`, (H, W) float32."""
        return self.predict_all(image, progress, flips=flips, detail=detail, clock=clock).mask

    def predict_batch(
        self,
        images: Sequence[ArrayLike],
        progress: ProgressCallback | Progress | None = None,
        *,
        flips: bool = False,
        batch_size: int = 4,
    ) -> list[Array]:
        """Return the common masks of several pictures; see :meth:`SegmentationModel.predict_batch`."""
        steps = Progress.of(progress)
        found = []
        for number, model in enumerate(self.models):
            part = steps.part(number / len(self.models), (number + 1) / len(self.models))
            found.append(model.predict_batch(images, part, flips=flips, batch_size=batch_size))
        return [combine_masks(masks, self.combine).mask for masks in zip(*found, strict=True)]

    def at(self, resolution: int) -> Ensemble:
        """Return the same models, seeing pictures in another size; see :meth:`SegmentationModel.at`."""
        return Ensemble([model.at(resolution) for model in self.models], self.combine)

    def unload(self) -> None:
        """Free the memory that the models take; the next picture loads them again."""
        for model in self.models:
            model.unload()
