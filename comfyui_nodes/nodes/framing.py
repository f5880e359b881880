# SPDX-License-Identifier: GPL-3.0-or-later
"""Cropping to the subject and back, and its shadows. Ids and names of inputs are permanent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from comfy_api.latest import io

from .. import widgets
from ..cutouts import with_alpha
from ..log import warn
from ..progress import Bar
from ..tensors import Images, Masks, empty, put, together
from ..wording import in_comfyui
from . import CATEGORY

if TYPE_CHECKING:
    import torch

    from gossamer.canvas import Box

__all__ = ["CropToSubject", "PasteBack", "PhotographedShadow", "Shadow"]

_Place = io.Custom("GOSSAMER_PLACE")
_SHADOW = ("", "opacity", "softness", "distance", "angle", "tilt", "reach", "colour")


@dataclass(frozen=True)
class Place:
    """Where a crop was taken from."""

    box: Box
    size: tuple[int, int]


class CropToSubject(io.ComfyNode):
    """Crops pictures to their subject."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return widgets.known(
            io.Schema,
            node_id="GossamerCropToSubject",
            display_name="Crop to Subject (Gossamer)",
            category=CATEGORY,
            description="Crops pictures to what a mask holds, with a margin; a batch, such as a video's frames, to one "
            "box. Paste Back brings the crop back to its place.",
            search_aliases=["crop", "crop to mask", "bounding box", "trim transparent", "inpaint crop"],
            inputs=[
                widgets.known(io.Image.Input, "image", display_name="image", tooltip="RGB or RGBA picture(s)."),
                widgets.known(
                    io.Mask.Input,
                    "mask",
                    display_name="mask",
                    tooltip="Of the picture's size: 1 (white) = foreground.",
                ),
                widgets.known(
                    io.Float.Input,
                    "margin",
                    default=10.0,
                    min=0.0,
                    max=500.0,
                    step=0.5,
                    display_name="margin",
                    tooltip="Room around the subject, in percent of its longer side.",
                ),
                widgets.known(
                    io.Int.Input,
                    "multiple",
                    default=8,
                    min=1,
                    max=512,
                    display_name="multiple",
                    tooltip="Both sides become multiples of so many pixels, as diffusion models want 8 or 64; 1: any.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="image", tooltip="The crop, RGB or RGBA as the picture."),
                io.Mask.Output(display_name="mask", tooltip="The mask's crop: 1 (white) = foreground."),
                _Place.Output(display_name="place", tooltip="Where it was: for Paste Back (Gossamer)."),
            ],
        )

    @classmethod
    @in_comfyui
    def execute(cls, image: torch.Tensor, mask: torch.Tensor, margin: float, multiple: int) -> io.NodeOutput:
        """Crop all pictures to one box: it holds every subject."""
        from gossamer.canvas import crop_box

        images, masks = Images.of(image, "image"), Masks.of(mask, "mask")
        together(images, masks)
        box = crop_box((masks.alpha(i) for i in range(len(masks))), margin=margin, multiple=multiple)
        left, top, right, bottom = (int(side) for side in box)
        return io.NodeOutput(
            images.tensor[:, top:bottom, left:right].clone(),
            masks.tensor[:, top:bottom, left:right].clone(),
            Place(box, images.size),
        )


class PasteBack(io.ComfyNode):
    """Puts a crop back to its place."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return widgets.known(
            io.Schema,
            node_id="GossamerPasteBack",
            display_name="Paste Back Crop (Gossamer)",
            category=CATEGORY,
            description="Puts what was cropped with Crop to Subject, and changed since, back into its picture; a part "
            "of another size is scaled.",
            search_aliases=["paste back", "uncrop", "stitch", "inpaint stitch", "crop and stitch"],
            inputs=[
                widgets.known(io.Image.Input, "image", display_name="image", tooltip="The changed crop, of any size."),
                widgets.known(_Place.Input, "place", display_name="place", tooltip="From Crop to Subject (Gossamer)."),
                widgets.known(
                    io.Image.Input, "onto", display_name="onto", tooltip="The picture(s) that it was cropped from."
                ),
                widgets.known(
                    io.Int.Input,
                    "feather",
                    default=16,
                    min=0,
                    max=500,
                    display_name="feather",
                    tooltip="Pixels over which the crop fades out towards its sides, so that no seam is seen.",
                ),
                widgets.known(
                    io.Mask.Input,
                    "mask",
                    optional=True,
                    display_name="mask",
                    tooltip="Of the crop's size: 1 (white) = foreground, what is pasted; without it all of it.",
                ),
            ],
            outputs=[io.Image.Output(display_name="image", tooltip="RGB: the whole picture.")],
        )

    @classmethod
    @in_comfyui
    def execute(
        cls, image: torch.Tensor, place: Place, onto: torch.Tensor, feather: int, mask: torch.Tensor | None = None
    ) -> io.NodeOutput:
        """Paste picture by picture."""
        from gossamer import InputError
        from gossamer.canvas import paste_back

        parts, wholes = Images.of(image, "image"), Images.of(onto, "onto")
        masks = None if mask is None else Masks.of(mask, "mask")
        if wholes.size != place.size:
            raise InputError(
                f"onto is {wholes.size[1]} x {wholes.size[0]} pixels, but the crop is from a picture of "
                f"{place.size[1]} x {place.size[0]}.",
                "Connect the picture that went into Crop to Subject.",
            )
        count = max(len(parts), len(wholes)) if masks is None else together(parts, masks)
        count = max(count, len(wholes))
        if any(len(batch) not in (1, count) for batch in (parts, wholes)):
            raise InputError(
                f"There are {len(parts)} crops, but {len(wholes)} pictures.",
                "Give batches of the same length, or of one.",
            )
        result, bar = empty(count, *wholes.size, 3), Bar(count)
        for i in range(count):
            bar.picture(i)(0.0, "")
            alpha = None if masks is None else masks.alpha(i)
            put(result[i], paste_back(wholes.rgb(i), parts.rgb(i), place.box, mask=alpha, feather=feather))
        return io.NodeOutput(result)


class Shadow(io.ComfyNode):
    """Casts a subject's shadow."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        kind, *rest = (f"shadow_{name}".rstrip("_") for name in _SHADOW)
        return widgets.known(
            io.Schema,
            node_id="GossamerShadow",
            display_name="Shadow for Product: Drop, Contact, Reflection (Gossamer)",
            category=CATEGORY,
            description="Gives a cut-out a shadow or a reflection, made from its alpha.",
            search_aliases=["shadow", "drop shadow", "contact shadow", "reflection", "product photo"],
            inputs=[
                widgets.known(
                    io.Image.Input,
                    "foreground",
                    display_name="foreground",
                    tooltip="The cut-out's straight colours. Its alpha channel is left out.",
                ),
                widgets.known(
                    io.Mask.Input, "mask", display_name="mask", tooltip="The cut-out's alpha: 1 (white) = foreground."
                ),
                widgets.widget(kind, default="drop", optional=False),
                *[widgets.widget(name, optional=True, advanced=False) for name in rest],
            ],
            outputs=[
                io.Image.Output(
                    display_name="rgba",
                    tooltip="RGBA: subject and shadow, straight alpha. Save Image keeps its transparency.",
                ),
                io.Mask.Output(display_name="mask", tooltip="Its alpha, the shadow's too: 1 (white) = opaque."),
            ],
        )

    @classmethod
    @in_comfyui
    def execute(cls, foreground: torch.Tensor, mask: torch.Tensor, **settings: Any) -> io.NodeOutput:
        """Cast picture by picture."""
        import numpy as np

        from gossamer import finish_cutout
        from gossamer.settings.parameters import recipe_from_flat

        recipe = recipe_from_flat(settings)
        images, masks = Images.of(foreground, "foreground"), Masks.of(mask, "mask")
        count = together(images, masks)
        rgba, bar = empty(count, *images.size, 4), Bar(count)
        for i in range(count):
            picture = np.dstack([images.rgb(i), masks.alpha(i)])
            cutout = finish_cutout(picture, recipe, colours="straight", progress=bar.picture(i))
            warn(cutout.report.warnings)
            whole = cutout.composite is not None and cutout.composite_alpha is not None
            put(rgba[i, :, :, :3], cutout.composite if whole else cutout.foreground)
            put(rgba[i, :, :, 3], cutout.composite_alpha if whole else cutout.alpha)
        return io.NodeOutput(rgba, rgba[..., 3].clone())


class PhotographedShadow(io.ComfyNode):
    """Takes the shadow out of a photograph, as a layer of its own."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return widgets.known(
            io.Schema,
            node_id="GossamerPhotographedShadow",
            display_name="Photographed Shadow as a Layer (Gossamer)",
            category=CATEGORY,
            description="Takes the shadow that the subject has in the photograph, before a plain background, as a "
            "layer of its own: Composite it over a new background first, and then the cut-out over both.",
            search_aliases=["shadow", "keep shadow", "shadow layer", "natural shadow", "product photo"],
            inputs=[
                widgets.known(
                    io.Image.Input,
                    "image",
                    display_name="image",
                    tooltip="The original picture(s), before a plain background: nothing else tells a shadow from it.",
                ),
                widgets.known(
                    io.Mask.Input, "mask", display_name="mask", tooltip="The cut-out's alpha: 1 (white) = foreground."
                ),
            ],
            outputs=[
                io.Image.Output(
                    display_name="shadow",
                    tooltip="RGBA: black, with the shadow's alpha. Save Image keeps its transparency.",
                ),
                io.Mask.Output(
                    display_name="mask",
                    tooltip="The shadow's alpha: 1 (white) = all dark, 0 where there is none, or none could be found.",
                ),
            ],
        )

    @classmethod
    @in_comfyui
    def execute(cls, image: torch.Tensor, mask: torch.Tensor) -> io.NodeOutput:
        """Look picture by picture."""
        from gossamer import refine
        from gossamer.settings.parameters import recipe_from_flat

        recipe = recipe_from_flat({"matting": "none", "foreground": "none", "foreground_shadow": "keep"})
        images, masks = Images.of(image, "image"), Masks.of(mask, "mask")
        count = together(images, masks)
        rgba, bar = empty(count, *images.size, 4), Bar(count)
        rgba.zero_()
        for i in range(count):
            cutout = refine(with_alpha(images, i), masks.alpha(i), recipe, progress=bar.picture(i))
            warn(cutout.report.warnings)
            if cutout.shadow is not None:
                put(rgba[i, :, :, 3], cutout.shadow)
        return io.NodeOutput(rgba, rgba[..., 3].clone())
