# SPDX-License-Identifier: GPL-3.0-or-later
"""From a mask to a matte and the subject's own colours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from comfy_api.latest import io

from .. import clips, previews, widgets
from ..log import announce, warn
from ..memory import device as usual_device
from ..progress import Bar
from ..tensors import Images, Masks, empty, put, together
from ..wording import in_comfyui
from . import CATEGORY

if TYPE_CHECKING:
    import numpy as np
    import torch

__all__ = ["Refine"]


_LAST = "foreground_shadow"  # the last widget that was there when invert_mask came


class Refine(io.ComfyNode):
    """Makes a matte of a mask and frees the subject's colours from the background."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return widgets.known(
            io.Schema,
            node_id="GossamerRefine",
            display_name="Refine (Gossamer)",
            category=CATEGORY,
            description="Solves the edge of a mask (hair, fur) and takes the old background's colour out of "
            "the subject's edge. Takes masks from any node.",
            search_aliases=["matting", "alpha matte", "decontaminate", "foreground estimation", "hair"],
            inputs=[
                io.Image.Input(
                    "image", tooltip="The original picture(s). The alpha of an RGBA picture multiplies the mask."
                ),
                io.Mask.Input(
                    "mask",
                    tooltip=f"{widgets.POLARITY} Of the picture's size; one mask serves a whole batch, and one "
                    "picture many masks.",
                ),
                *widgets.stage_widgets("matting", "foreground", "refinement", until=_LAST),
                widgets.invert(),
                *widgets.stage_widgets("matting", "foreground", "refinement", after=_LAST),
            ],
            outputs=[
                io.Image.Output(
                    display_name="foreground",
                    tooltip="RGB: the subject's own colours, straight (not premultiplied); "
                    "only meaningful where the mask is above 0.",
                ),
                io.Mask.Output(display_name="mask", tooltip="The refined mask (alpha matte): 1 (white) = foreground."),
            ],
        )

    @classmethod
    @in_comfyui
    def execute(
        cls, image: torch.Tensor, mask: torch.Tensor, invert_mask: bool = False, **settings: Any
    ) -> io.NodeOutput:
        """Refine picture by picture."""
        import numpy as np

        from gossamer import refine
        from gossamer.settings.parameters import recipe_from_flat

        recipe = recipe_from_flat(settings)
        images, masks = Images.of(image, "image"), Masks.of(mask, "mask", inverted=invert_mask)
        count = together(images, masks)
        foreground, alphas = empty(count, *images.size, 3), empty(count, *images.size)
        bar = Bar(count)
        how = {"device": usual_device(), "announce": announce, "of_clip": clips.is_clip(images, recipe, bar)}
        for i in range(count):
            light, existing = images.light(i), images.alpha(i)
            rgb = np.clip(light, 0, 1)
            # The library multiplies by the existing alpha last, and once, as colours under it are straight already.
            picture = rgb if existing is None else np.dstack([rgb, existing])
            cutout = refine(picture, masks.alpha(i), recipe, progress=bar.picture(i), **how)
            if cutout.shadow is None or cutout.composite is None or cutout.composite_alpha is None:
                put(foreground[i], _with_highlights(cutout.foreground, light, cutout.alpha))
                put(alphas[i], cutout.alpha)
            else:  # subject and shadow as one
                put(foreground[i], cutout.composite)
                put(alphas[i], cutout.composite_alpha)
            warn(cutout.report.warnings)
        return io.NodeOutput(foreground, alphas, ui=previews.of_mask(alphas))


def _with_highlights(colours: np.ndarray, light: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Return the subject's colours with what of a picture brighter than 1 is the subject's."""
    import numpy as np

    if not light.max() > 1:
        return colours
    return colours + np.maximum(light - 1, 0) * alpha[:, :, None]
