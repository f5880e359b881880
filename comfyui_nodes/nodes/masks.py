# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding the subject."""

from __future__ import annotations

from typing import TYPE_CHECKING

from comfy_api.latest import io

from .. import groups, own_models, previews, widgets
from ..log import warn
from ..progress import Bar
from ..tensors import Images, empty, put
from ..wording import in_comfyui
from . import CATEGORY, AnyModel

if TYPE_CHECKING:
    import torch

    from gossamer import SegmentationModel

__all__ = ["PredictMask"]


class PredictMask(io.ComfyNode):
    """Finds the subject."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return widgets.known(
            io.Schema,
            node_id="GossamerPredictMask",
            display_name="Predict Mask (Gossamer)",
            category=CATEGORY,
            description="Finds the subject of each picture of a batch.",
            search_aliases=["background removal", "remove background", "segment", "mask"],
            inputs=[
                AnyModel.Input(
                    "model",
                    tooltip="From Load Model (Gossamer), or from ComfyUI's own Load Background Removal Model.",
                ),
                io.Image.Input(
                    "image",
                    tooltip="A batch of any length. The alpha of an RGBA picture plays no part here; "
                    "Refine (Gossamer) multiplies the mask by it.",
                ),
                *widgets.stage_widgets("segmentation"),
            ],
            outputs=[
                io.Mask.Output(
                    display_name="mask",
                    tooltip="1 (white) = foreground. Where 1 is to be what is transparent, as for Join Image with "
                    "Alpha, put Invert Mask between.",
                )
            ],
        )

    @classmethod
    @in_comfyui
    def execute(
        cls, model: SegmentationModel | own_models.OwnModel, image: torch.Tensor, **settings: bool
    ) -> io.NodeOutput:
        """Predict one mask a picture."""
        from gossamer.settings.parameters import recipe_from_flat

        look = recipe_from_flat(settings).segmentation
        images = Images.of(image, "image")
        masks = empty(len(images), *images.size)
        bar = Bar(len(images))
        for i, mask, _ in groups.masks(own_models.of(model), images, bar, flips=look.flips, detail=look.detail):
            put(masks[i], mask)
            if not mask.max() > 0:
                warn((f"Nothing was found in picture {i + 1} of {len(images)}: is there a subject in it?",))
        return io.NodeOutput(masks, ui=previews.of_mask(masks))
