# SPDX-License-Identifier: GPL-3.0-or-later
"""Trimap, alpha matting and foreground colours, a node each. Ids and names of inputs are permanent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from comfy_api.latest import io

from .. import clips, widgets
from ..cutouts import with_alpha
from ..log import announce, warn
from ..memory import device as usual_device
from ..memory import make_room
from ..progress import Bar
from ..tensors import Images, Masks, empty, put, together
from ..wording import in_comfyui
from . import CATEGORY

if TYPE_CHECKING:
    import torch

__all__ = ["AlphaMatting", "EstimateForeground", "MakeTrimap"]


class MakeTrimap(io.ComfyNode):
    """Makes a trimap of a mask."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return widgets.known(
            io.Schema,
            node_id="GossamerMakeTrimap",
            display_name="Make Trimap (Gossamer)",
            category=CATEGORY,
            description="Marks the band around a mask's edge as unknown, for matting: as wide as the picture needs it "
            "place by place, or of a fixed width.",
            search_aliases=["trimap", "unknown band", "erode dilate", "matting"],
            inputs=[
                widgets.known(
                    io.Mask.Input, "mask", display_name="mask", tooltip="1 (white) = foreground. One serves a batch."
                ),
                widgets.known(
                    io.Image.Input,
                    "image",
                    optional=True,
                    display_name="image",
                    tooltip="The picture. With it the band is as wide as the mask is seen to be wrong.",
                ),
                widgets.known(
                    io.Int.Input,
                    "band",
                    default=0,
                    min=0,
                    max=500,
                    optional=True,
                    display_name="band",
                    tooltip="Half the band's width in pixels, on either side of the edge. 0: it adapts.",
                ),
                widgets.known(
                    io.Float.Input,
                    "foreground_threshold",
                    default=0.95,
                    min=0.5,
                    max=1.0,
                    step=0.01,
                    optional=True,
                    advanced=True,
                    display_name="foreground threshold",
                    tooltip="Only what is at least this can be certain foreground.",
                ),
                widgets.known(
                    io.Float.Input,
                    "background_threshold",
                    default=0.05,
                    min=0.0,
                    max=0.5,
                    step=0.01,
                    optional=True,
                    advanced=True,
                    display_name="background threshold",
                    tooltip="Only what is at most this can be certain background.",
                ),
            ],
            outputs=[
                io.Mask.Output(
                    display_name="trimap",
                    tooltip="1 (white) = foreground for certain, 0 = background, 0.5 = unknown.",
                ),
                io.Image.Output(display_name="trimap_image", tooltip="The same as a grey picture."),
            ],
        )

    @classmethod
    @in_comfyui
    def execute(
        cls,
        mask: torch.Tensor,
        image: torch.Tensor | None = None,
        band: int = 0,
        foreground_threshold: float = 0.95,
        background_threshold: float = 0.05,
    ) -> io.NodeOutput:
        """Make one a picture."""
        from gossamer.matting import trimap_from_mask

        masks = Masks.of(mask, "mask")
        images = None if image is None else Images.of(image, "image")
        count = len(masks) if images is None else together(images, masks)
        result, bar = empty(count, *masks.size), Bar(count)
        for i in range(count):
            trimap = trimap_from_mask(
                masks.alpha(i),
                None if images is None else images.rgb(i),
                band=band or None,
                foreground_threshold=foreground_threshold,
                background_threshold=background_threshold,
                progress=bar.picture(i),
            )
            put(result[i], trimap)
        return io.NodeOutput(result, result[..., None].expand(-1, -1, -1, 3))


class AlphaMatting(io.ComfyNode):
    """Solves alpha by a trimap or a mask."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return widgets.known(
            io.Schema,
            node_id="GossamerAlphaMatting",
            display_name="Alpha Matting: Hair, ViTMatte (Gossamer)",
            category=CATEGORY,
            description="Solves the alpha of hair, fur and soft edges, by a trimap or from a mask.",
            search_aliases=["matting", "alpha matting", "alpha matte", "hair", "vitmatte", "closed form", "trimap"],
            inputs=[
                widgets.known(
                    io.Image.Input,
                    "image",
                    display_name="image",
                    tooltip="The original picture(s). The alpha of an RGBA picture multiplies the result.",
                ),
                widgets.widget("matting"),
                widgets.known(
                    io.Mask.Input,
                    "mask",
                    optional=True,
                    display_name="mask",
                    tooltip="1 (white) = foreground, of the picture's size. Needed where no trimap is given.",
                ),
                widgets.known(
                    io.Mask.Input,
                    "trimap",
                    optional=True,
                    display_name="trimap",
                    tooltip="1 (white) = foreground for certain, 0 = background, between: unknown. It wins over mask; "
                    "for closed_form (auto takes it), knn, learning_based and vitmatte.",
                ),
                widgets.widget("matting_band", optional=True),
                widgets.widget("matting_unit", optional=True),
                widgets.widget("matting_model", optional=True),
                widgets.widget("matting_screen", optional=True),
            ],
            outputs=[io.Mask.Output(display_name="mask", tooltip="The alpha matte: 1 (white) = foreground.")],
        )

    @classmethod
    @in_comfyui
    def execute(
        cls,
        image: torch.Tensor,
        matting: str,
        mask: torch.Tensor | None = None,
        trimap: torch.Tensor | None = None,
        **settings: str | int,
    ) -> io.NodeOutput:
        """Solve picture by picture."""
        from gossamer import InputError, refine
        from gossamer.matting import TRIMAP_METHODS, trimap_alpha
        from gossamer.settings.parameters import recipe_from_flat

        if trimap is None and mask is None:
            raise InputError("Neither a mask nor a trimap is connected.", "Connect one of them.")
        solver = "closed_form" if matting == "auto" else matting
        if trimap is not None and solver not in TRIMAP_METHODS:
            raise InputError(
                f"{matting} takes no trimap.", f"Choose auto, {', '.join(TRIMAP_METHODS)}, or connect a mask instead."
            )
        recipe = recipe_from_flat({"matting": matting, "foreground": "none", **settings})
        images = Images.of(image, "image")
        hints = Masks.of(mask, "mask") if trimap is None else Masks.of(trimap, "trimap")
        count = together(images, hints)
        result, bar = empty(count, *images.size), Bar(count)
        make_room()
        how = {"device": usual_device(), "announce": announce}
        of_clip = trimap is None and clips.is_clip(images, recipe, bar)
        for i in range(count):
            if trimap is None:
                steps = bar.picture(i)
                cutout = refine(with_alpha(images, i), hints.alpha(i), recipe, progress=steps, of_clip=of_clip, **how)
                warn(cutout.report.warnings)
                put(result[i], cutout.alpha)
                continue
            said: list[str] = []
            alpha = trimap_alpha(
                images.rgb(i),
                hints.alpha(i),
                solver,
                model=recipe.matting.model,
                progress=bar.picture(i),
                warn=said.append,
                **how,
            )
            warn(tuple(said))
            existing = images.alpha(i)
            put(result[i], alpha if existing is None else alpha * existing)
        return io.NodeOutput(result)


class EstimateForeground(io.ComfyNode):
    """Finds the subject's own colours, and those behind it."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return widgets.known(
            io.Schema,
            node_id="GossamerEstimateForeground",
            display_name="Foreground, Despill Green Screen (Gossamer)",
            category=CATEGORY,
            description="Takes the old background's colour out of a subject's edge: the colours of both layers of a "
            "picture, by its alpha; and the tint of a green or blue screen.",
            search_aliases=["foreground", "decontaminate", "despill", "blur fusion", "green screen", "halo", "fringe"],
            inputs=[
                widgets.known(io.Image.Input, "image", display_name="image", tooltip="The original picture(s)."),
                widgets.known(
                    io.Mask.Input,
                    "mask",
                    display_name="mask",
                    tooltip="The subject's alpha matte, of the picture's size: 1 (white) = foreground.",
                ),
                widgets.widget("foreground"),
                widgets.widget("foreground_despill", optional=True, default="none", advanced=False),
                widgets.widget("foreground_despill_strength", optional=True, advanced=False),
                widgets.widget("foreground_radius", optional=True),
                widgets.widget("foreground_fine_radius", optional=True),
            ],
            outputs=[
                io.Image.Output(display_name="foreground", tooltip="RGB: the subject's own, straight colours."),
                io.Image.Output(
                    display_name="background", tooltip="RGB: what is behind it, as far as it shows; before despill."
                ),
                io.Image.Output(
                    display_name="rgba", tooltip="RGBA: the cut-out, straight alpha. Save Image keeps its transparency."
                ),
            ],
        )

    @classmethod
    @in_comfyui
    def execute(
        cls,
        image: torch.Tensor,
        mask: torch.Tensor,
        foreground: str,
        foreground_despill: str = "none",
        foreground_despill_strength: float = 1.0,
        foreground_radius: int = 90,
        foreground_fine_radius: int = 6,
    ) -> io.NodeOutput:
        """Estimate picture by picture."""
        from gossamer.foreground import despill, estimate_foreground

        images, masks = Images.of(image, "image"), Masks.of(mask, "mask")
        count = together(images, masks)
        back, rgba, bar = empty(count, *images.size, 3), empty(count, *images.size, 4), Bar(count)
        for i in range(count):
            alpha, said = masks.alpha(i), list[str]()
            layers = estimate_foreground(
                images.rgb(i),
                alpha,
                foreground,
                radius=foreground_radius,
                fine_radius=foreground_fine_radius,
                progress=bar.picture(i),
                warn=said.append,
            )
            warn(tuple(said))
            colours = layers.foreground
            if foreground_despill in ("green", "blue"):
                colours = despill(colours, alpha, foreground_despill, foreground_despill_strength)
            put(back[i], layers.background)
            put(rgba[i, :, :, :3], colours)
            put(rgba[i, :, :, 3], alpha)
        return io.NodeOutput(rgba[..., :3].clone(), back, rgba)
