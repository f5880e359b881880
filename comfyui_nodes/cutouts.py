# SPDX-License-Identifier: GPL-3.0-or-later
"""A batch of cut-outs as ComfyUI's tensors, written one by one into where they are handed out from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from comfy_api.latest import io

from . import previews, widgets
from .log import warn
from .progress import Bar
from .tensors import Images, empty, put

if TYPE_CHECKING:
    from gossamer import Cutout

__all__ = ["Cutouts", "cutout_outputs", "image_input", "with_alpha"]


def image_input() -> io.Input:
    """Return the pictures that every node that cuts out in one step takes."""
    return widgets.known(
        io.Image.Input,
        "image",
        display_name="image",
        tooltip="A batch of any length. The alpha of an RGBA picture multiplies the result.",
    )


def cutout_outputs() -> list[io.Output]:
    """Return the outputs of every node that cuts out in one step."""
    return [
        io.Image.Output(
            display_name="image",
            tooltip="The cut-out: RGBA with straight alpha (1 = opaque), or RGB over the background that was chosen. "
            "Save Image keeps its transparency.",
        ),
        io.Mask.Output(display_name="mask", tooltip="Its alpha: 1 (white) = foreground."),
        io.Image.Output(display_name="mask_image", tooltip="The mask as a grey picture: white = foreground."),
    ]


class Cutouts:
    """The results of a node that cuts out in one step.

    Parameters
    ----------
    images : Images
        What is cut out of.
    background_image : tensor, optional
        Pictures as the background, as ComfyUI handed them over.
    others : int
        How many of something else there are, one for each result: masks, for instance.

    Attributes
    ----------
    count : int
        How many results there will be: a batch of one serves a longer one. They have one size.

    Raises
    ------
    InputError
        A batch is neither 1 nor as long as the longest.
    """

    def __init__(self, images: Images, background_image: torch.Tensor | None = None, others: int = 1) -> None:
        from gossamer import InputError

        self._behind = None if background_image is None else Images.of(background_image, "background_image")
        lengths = {"image": len(images), "background_image": len(self._behind or [0]), "mask": others}
        self.count = max(lengths.values())
        if any(length not in (1, self.count) for length in lengths.values()):
            told = ", ".join(f"{length} in {name}" for name, length in lengths.items() if length != 1)
            raise InputError(f"The batches do not fit together: {told}.", "Give batches of the same length, or of one.")
        self._bar: Bar | None = None
        self._image: torch.Tensor | None = None
        self._mask: torch.Tensor | None = None

    def bar(self) -> Bar:
        """Return the node's progress bar, on which each result is shown as it comes."""
        self._bar = Bar(self.count)
        return self._bar

    def put(self, index: int, cutout: Cutout) -> None:
        """Take in result `index`, and say in the log what went otherwise than asked for."""
        from gossamer.compositing import cover, over

        warn(cutout.report.warnings)
        rgb, alpha = cutout.foreground, cutout.alpha
        if self._behind is not None:
            rgb, alpha = over(rgb, alpha, cover(self._behind.rgb(index), *alpha.shape)), None
        elif cutout.composite is not None:
            rgb, alpha = cutout.composite, cutout.composite_alpha
        if self._image is None or self._mask is None:
            self._image = empty(self.count, *cutout.alpha.shape, 3 if alpha is None else 4)
            self._mask = empty(self.count, *cutout.alpha.shape)
        put(self._image[index, :, :, :3], rgb)
        if self._image.shape[3] == 4:
            if alpha is None:
                self._image[index, :, :, 3] = 1
            else:
                put(self._image[index, :, :, 3], alpha)
        put(self._mask[index], cutout.alpha)
        if self._bar is not None:
            self._bar.show(self._image[index])

    def output(self) -> io.NodeOutput:
        """Return the node's outputs: image, mask and the mask as an image (a view, as core's own node gives it)."""
        mask = self._mask
        assert mask is not None  # noqa: S101 - a batch holds at least one picture
        assert self._image is not None  # noqa: S101 - likewise
        shown = previews.of_image(self._image)
        return io.NodeOutput(self._image, mask, mask[..., None].expand(-1, -1, -1, 3), ui=shown)


def with_alpha(images: Images, index: int) -> np.ndarray:
    """Return picture `index`, (H, W, 3 or 4): the library multiplies by an existing alpha last, and once."""
    rgb, alpha = images.rgb(index), images.alpha(index)
    return rgb if alpha is None else np.dstack([rgb, alpha])
