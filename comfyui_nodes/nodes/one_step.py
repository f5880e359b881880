# SPDX-License-Identifier: GPL-3.0-or-later
"""Cutting out in one step: a picture in, a cut-out. Ids and names of inputs are permanent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from comfy_api.latest import io

from .. import backgrounds, clips, folders, groups, own_models, widgets
from ..cutouts import Cutouts, cutout_outputs, image_input, with_alpha
from ..log import announce, warn
from ..memory import device as usual_device
from ..memory import make_room
from ..progress import Bar
from ..tensors import Images
from ..wording import in_comfyui
from . import CATEGORY, AnyModel

if TYPE_CHECKING:
    import torch

    from gossamer import Recipe, SegmentationModel

__all__ = ["CutOut", "RemoveBackground"]

# What can be asked for besides; the chain of nodes has the rest.
_EDGE = ("matting", "refinement_shift_edge", "refinement_feather")


class RemoveBackground(io.ComfyNode):
    """Removes the background in one step."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        from gossamer import load_catalogue
        from gossamer.settings.model_choice import QUALITIES

        return widgets.known(
            io.Schema,
            node_id="GossamerRemoveBackground",
            display_name="Remove Background, rembg, RMBG (Gossamer)",
            category=CATEGORY,
            description="Removes the background of each picture of a batch in one step: finds the subject, solves hair "
            "and fur, and takes the old background's colour out of the edges.",
            search_aliases=[
                *("remove background", "background removal", "rembg", "rmbg", "birefnet", "inspyrenet", "ben2"),
                *("cutout", "transparent", "alpha", "blur background", "replace background"),
            ],
            essentials_category="Image Tools",
            inputs=[
                image_input(),
                widgets.known(
                    io.Combo.Input,
                    "quality",
                    options=list(QUALITIES),
                    default="balanced",
                    display_name="quality",
                    tooltip="For the model auto: how much one picture may cost on this device. best also looks at "
                    "edges again, closer, for any model.",
                ),
                *backgrounds.background_inputs(),
                backgrounds.picture_input(),
                widgets.model(
                    "model",
                    ["auto", *load_catalogue(), *folders.local_models()],
                    "auto: what quality asks for, of what may be used commercially; it is fetched once where none is "
                    "there. Others as in Load Model.",
                    optional=True,
                    display_name="model",
                ),
                backgrounds.second_colour(),
                *[widgets.widget(name, optional=True) for name in _EDGE],
                widgets.widget("segmentation_resolution", optional=True),
            ],
            outputs=cutout_outputs(),
        )

    @classmethod
    @in_comfyui
    def execute(
        cls,
        image: torch.Tensor,
        quality: str,
        background: str,
        colour: str,
        background_image: torch.Tensor | None = None,
        model: str = "auto",
        second_colour: str = "#dddddd",
        **settings: Any,
    ) -> io.NodeOutput:
        """Cut out picture by picture."""
        from gossamer import ModelChoice, Pipeline
        from gossamer.progress import Progress

        images = Images.of(image, "image")
        results = Cutouts(images, background_image)
        recipe = backgrounds.recipe(background, colour, second_colour, settings)
        choice = ModelChoice.of(
            model=folders.library_name(model),
            quality=quality,
            device=usual_device(),
            folders=folders.model_folders(),
        )
        pipeline, bar = Pipeline(recipe, choice), results.bar()
        make_room()
        closer = recipe.segmentation.looks_closer(quality == "best")
        if len(images) > 1 and choice.device != "cpu":
            loaded = pipeline.load(Progress.of(bar.picture(0)).part(0.0, 0.3), announce)
            if groups.are_faster(loaded, closer):
                return _cut_groups(loaded, images, results, recipe, bar, closer)
        how = {"announce": announce, "of_clip": clips.is_clip(images, recipe, bar)}
        for i in range(results.count):
            results.put(i, pipeline.run(with_alpha(images, i), bar.picture(i), **how))
        return results.output()


class CutOut(io.ComfyNode):
    """Cuts out in one step with a model that was loaded."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return widgets.known(
            io.Schema,
            node_id="GossamerCutOut",
            display_name="Cutout: BiRefNet, BEN2, InSPyReNet (Gossamer)",
            category=CATEGORY,
            description="Cuts out the subject of each picture of a batch with a loaded model, over any background.",
            search_aliases=["cutout", "cut out", "remove background", "rembg", "birefnet", "ben2", "inspyrenet"],
            inputs=[
                widgets.known(
                    AnyModel.Input,
                    "model",
                    display_name="model",
                    tooltip="From Load Model (Gossamer), or from ComfyUI's own Load Background Removal Model.",
                ),
                image_input(),
                *backgrounds.background_inputs(),
                backgrounds.picture_input(),
                backgrounds.second_colour(),
                *[widgets.widget(name, optional=True) for name in _EDGE],
                widgets.widget("segmentation_detail", optional=True),
                widgets.widget("segmentation_resolution", optional=True),
            ],
            outputs=cutout_outputs(),
        )

    @classmethod
    @in_comfyui
    def execute(
        cls,
        model: SegmentationModel | own_models.OwnModel,
        image: torch.Tensor,
        background: str,
        colour: str,
        background_image: torch.Tensor | None = None,
        second_colour: str = "#dddddd",
        **settings: Any,
    ) -> io.NodeOutput:
        """Cut out picture by picture."""
        images = Images.of(image, "image")
        results = Cutouts(images, background_image)
        recipe = backgrounds.recipe(background, colour, second_colour, settings)
        bar = results.bar()
        make_room()
        return _cut_groups(own_models.of(model), images, results, recipe, bar, recipe.segmentation.detail)


def _cut_groups(model: Any, images: Images, results: Cutouts, recipe: Recipe, bar: Bar, detail: bool) -> io.NodeOutput:
    """Cut out with a model that was loaded; a picture that stands for many backgrounds is looked at once."""
    from gossamer import refine
    from gossamer.matting import prepare_matting
    from gossamer.progress import Progress

    prepare_matting(recipe.matting, progress=Progress.of(bar.picture(0)), device=usual_device(), announce=announce)
    look = recipe.segmentation
    warn(model.warnings)
    seeing = model.at(look.resolution)
    how = {"device": usual_device(), "announce": announce, "of_clip": clips.is_clip(images, recipe, bar)}
    for i, mask, steps in groups.masks(seeing, images, bar, flips=look.flips, detail=detail, share=0.6):
        cutout = refine(with_alpha(images, i), mask, recipe, progress=steps, **how)
        for place in range(results.count) if len(images) == 1 else (i,):
            results.put(place, cutout)
    return results.output()
