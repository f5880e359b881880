# SPDX-License-Identifier: GPL-3.0-or-later
"""ComfyUI's own models for background removal (0.21 and later), in the place of the library's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from gossamer import SegmentationModel
    from gossamer.arrays import Array
    from gossamer.progress import Progress

__all__ = ["OwnModel", "of"]


def of(given: Any) -> SegmentationModel | OwnModel:
    """Return what finds subjects with a model that was connected.

    Raises
    ------
    InputError
        It is none.
    """
    from gossamer import InputError

    if hasattr(given, "predict"):
        return given  # type: ignore[no-any-return]
    if hasattr(given, "encode_image"):
        return OwnModel(given)
    raise InputError(
        f"The input model is no model, but of the type {type(given).__name__}.",
        "Connect Load Model (Gossamer)'s output, or that of Load Background Removal Model.",
    )


class OwnModel:
    """A BACKGROUND_REMOVAL, with what the nodes ask of a :class:`gossamer.SegmentationModel`.

    ComfyUI loads, moves and feeds it: masks are those of ComfyUI's own node Remove Background.
    """

    device = "ComfyUI's"  # which looks at one picture after the other, whatever it runs on
    warnings = ()

    def __init__(self, given: Any) -> None:
        self._given = given

    def at(self, resolution: int) -> OwnModel:
        """Return this model; raises InputError for a resolution, as ComfyUI alone says what size it sees."""
        from gossamer import InputError

        if resolution:
            raise InputError(
                "ComfyUI's own model sees every picture in one size.",
                "Set the resolution to 0, or connect a model of Load Model (Gossamer).",
            )
        return self

    def predict(self, image: Array, progress: Progress, *, flips: bool = False, detail: bool = False) -> Array:
        """Return the mask of one picture, (H, W, 3) float32 in [0, 1], as (H, W) float32, 1 = foreground."""
        from .log import warn

        if detail:
            warn(("ComfyUI's own model does not look closer: for detail, take one of Load Model (Gossamer).",))
        progress(0.0, "Finding the subject with ComfyUI's own model")
        mask = self._mask(image)
        if flips:
            progress(0.5)
            mask = (mask + self._mask(image[:, ::-1])[:, ::-1]) / 2
        progress(1.0)
        return mask

    def predict_batch(
        self, images: Sequence[Array], progress: Progress, *, flips: bool = False, batch_size: int = 4
    ) -> list[Array]:
        """Return the masks of several pictures."""
        parts = [progress.part(i / len(images), (i + 1) / len(images)) for i in range(len(images))]
        return [self.predict(image, part, flips=flips) for image, part in zip(images, parts, strict=True)]

    def _mask(self, image: Array) -> Array:
        with torch.inference_mode():
            found = self._given.encode_image(torch.from_numpy(np.ascontiguousarray(image))[None])
        return np.clip(found[0].to("cpu", torch.float32).numpy(), 0, 1)  # as its bicubic enlargement may overshoot
