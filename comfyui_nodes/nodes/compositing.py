# SPDX-License-Identifier: GPL-3.0-or-later
"""Putting the subject over something else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from comfy_api.latest import io

from .. import widgets
from ..backdrop import COLOUR_HELP, Behind
from ..progress import Bar
from ..tensors import Images, Masks, empty, put, together
from ..wording import in_comfyui
from . import CATEGORY

if TYPE_CHECKING:
    import torch

__all__ = ["Composite"]


class Composite(io.ComfyNode):
    """Puts the subject over a new background."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return widgets.known(
            io.Schema,
            node_id="GossamerComposite",
            display_name="Composite: Replace Background (Gossamer)",
            category=CATEGORY,
            description="Puts the foreground over a picture or a colour, and hands out the cut-out with "
            "transparency, ready to save.",
            search_aliases=["background removal", "replace background", "transparent", "RGBA", "join alpha"],
            inputs=[
                io.Image.Input(
                    "foreground",
                    tooltip="From Refine (Gossamer), or any picture. Its alpha channel is left out.",
                ),
                io.Mask.Input("mask", tooltip=f"{widgets.POLARITY} One mask serves a whole batch."),
                widgets.colour("colour", "#ffffff", COLOUR_HELP),
                io.Image.Input(
                    "background",
                    optional=True,
                    tooltip="The background of image. One of another size is scaled to cover the "
                    "foreground, keeping its aspect ratio, and its middle is used.",
                ),
                widgets.widget("background_linear_light"),
                widgets.invert(),
            ],
            outputs=[
                io.Image.Output(
                    display_name="image",
                    tooltip="RGB: the foreground over the background or colour; RGBA where that colour is transparent "
                    "in part. Values above 1 stay.",
                ),
                io.Image.Output(
                    display_name="rgba",
                    tooltip="RGBA: the cut-out itself, straight alpha (1 = opaque). Save Image keeps its transparency.",
                ),
                io.Mask.Output(display_name="mask", tooltip="The alpha of rgba, 1 (white) = foreground."),
            ],
        )

    @classmethod
    @in_comfyui
    def execute(
        cls,
        foreground: torch.Tensor,
        mask: torch.Tensor,
        colour: str,
        background: torch.Tensor | None = None,
        background_linear_light: bool = False,
        invert_mask: bool = False,
    ) -> io.NodeOutput:
        """Composite picture by picture."""
        images, masks = Images.of(foreground, "foreground"), Masks.of(mask, "mask", inverted=invert_mask)
        behind = Behind.of(colour, background, linear_light=background_linear_light)
        count = together(images, masks, *behind.batches)
        image, rgba = behind.canvas(count, *images.size), empty(count, *images.size, 4)
        bar = Bar(count)
        for i in range(count):
            bar.picture(i)(0.0, "")
            subject, alpha = images.light(i), masks.alpha(i)
            behind.under(image[i], subject, alpha, i)
            put(rgba[i, :, :, :3], subject)
            put(rgba[i, :, :, 3], alpha)
        bar.picture(count)(0.0, "")
        return io.NodeOutput(image, rgba, rgba[..., 3].clone())
