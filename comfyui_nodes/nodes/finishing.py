# SPDX-License-Identifier: GPL-3.0-or-later
"""The node that puts a subject on a canvas. Its id and the names of its inputs are permanent: append, never rename."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from comfy_api.latest import io

from .. import widgets
from ..backdrop import COLOUR_HELP, Behind
from ..log import warn
from ..progress import Bar
from ..tensors import Images, Masks, empty, put, together
from ..wording import in_comfyui
from . import CATEGORY

if TYPE_CHECKING:
    import torch

    from gossamer import Cutout, Recipe

__all__ = ["Finish"]

_NO_PRESET = "none"


class Finish(io.ComfyNode):
    """Crops to the subject and puts it on a canvas, with a shadow."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        from gossamer.canvas import load_presets

        return widgets.known(
            io.Schema,
            node_id="GossamerFinish",
            display_name="Finish for Shop, Product Photo (Gossamer)",
            category=CATEGORY,
            description="Crops to the subject, scales it, gives it margins, a ratio, a size, a background and a "
            "shadow: by hand, or as a shop asks for it.",
            search_aliases=[
                "crop to subject",
                "canvas",
                "padding",
                "drop shadow",
                "reflection",
                "product photo",
                "amazon",
            ],
            inputs=[
                io.Image.Input(
                    "foreground", tooltip="From Refine (Gossamer), or any picture. Its alpha channel is left out."
                ),
                io.Mask.Input("mask", tooltip=f"{widgets.POLARITY} One mask serves a whole batch."),
                io.Combo.Input(
                    "preset",
                    options=[_NO_PRESET, *load_presets()],
                    default=_NO_PRESET,
                    tooltip="What a shop asks for; what is changed below wins over it. Its background is not used.",
                ),
                widgets.colour("colour", "#ffffff", COLOUR_HELP),
                io.Image.Input(
                    "background",
                    optional=True,
                    tooltip="The background of image. It is scaled to cover the canvas, keeping its aspect ratio, and "
                    "its middle is used.",
                ),
                *[one for one in widgets.stage_widgets("canvas", "shadow") if one.id not in _LEFT_OUT],
                widgets.invert(),
            ],
            outputs=[
                io.Image.Output(
                    display_name="image",
                    tooltip="RGB: subject and shadow over the background or colour; RGBA where that colour is "
                    "transparent in part.",
                ),
                io.Image.Output(
                    display_name="rgba",
                    tooltip="RGBA: subject and shadow, straight alpha (1 = opaque). Save Image keeps its transparency.",
                ),
                io.Mask.Output(display_name="mask", tooltip="The subject alone on the canvas: 1 (white) = foreground."),
            ],
        )

    @classmethod
    @in_comfyui
    def execute(
        cls,
        foreground: torch.Tensor,
        mask: torch.Tensor,
        preset: str,
        colour: str,
        background: torch.Tensor | None = None,
        invert_mask: bool = False,
        **settings: Any,
    ) -> io.NodeOutput:
        """Finish picture by picture: all must come to one size."""
        import numpy as np

        from gossamer import InputError, finish_cutout

        images, masks = Images.of(foreground, "foreground"), Masks.of(mask, "mask", inverted=invert_mask)
        behind = Behind.of(colour, background)
        count = together(images, masks, *behind.batches)
        recipe = _recipe(preset, settings)
        bar = Bar(count)
        image = rgba = alphas = None
        for i in range(count):
            picture = np.dstack([images.rgb(i), masks.alpha(i)])
            cutout = finish_cutout(picture, recipe, colours="straight", progress=bar.picture(i))
            warn(cutout.report.warnings)
            height, width = cutout.alpha.shape
            if image is None:
                image, rgba = behind.canvas(count, height, width), empty(count, height, width, 4)
                alphas = empty(count, height, width)
            elif alphas.shape[1:] != (height, width):
                raise InputError(
                    f"Picture {i + 1} comes to {width} x {height} pixels, but the first one to "
                    f"{alphas.shape[2]} x {alphas.shape[1]}, and a batch has one size.",
                    "Give canvas_size, and keep or enlarge for canvas_too_small.",
                )
            front, seen = _layers(cutout)
            behind.under(image[i], front, seen, i)
            put(rgba[i, :, :, :3], front)
            put(rgba[i, :, :, 3], seen)
            put(alphas[i], cutout.alpha)
        return io.NodeOutput(image, rgba, alphas)


_LEFT_OUT = ("canvas_dpi",)  # pictures in a graph have no size on paper


def _recipe(preset: str, settings: dict[str, Any]) -> Recipe:
    """Return the recipe of a preset and of the widgets that were changed, for a transparent cut-out."""
    from gossamer.canvas import preset as preset_of
    from gossamer.settings import parameters, recipe_from_flat

    defaults = {one.name: one.default for one in parameters()}
    changed = {name: value for name, value in settings.items() if value != defaults[name]}
    recipe = recipe_from_flat(changed)
    if preset != _NO_PRESET:
        recipe = preset_of(preset).recipe(recipe)
    return recipe_from_flat({"background": "transparent", "output_srgb": False}, recipe)


def _layers(cutout: Cutout) -> tuple[Any, Any]:
    """Return colours and alpha of subject and shadow together."""
    if cutout.composite is None:
        return cutout.foreground, cutout.alpha
    alpha = cutout.alpha if cutout.composite_alpha is None else cutout.composite_alpha
    return cutout.composite, alpha
