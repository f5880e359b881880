# SPDX-License-Identifier: GPL-3.0-or-later
"""The nodes. Ids and names of inputs are permanent: saved workflows refer to them; append, never rename."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from comfy_api.latest import io

from . import folders, widgets
from .memory import device as usual_device
from .memory import make_room
from .progress import Bar
from .tensors import Images, Masks, empty, put, together
from .wording import in_comfyui, spoken

if TYPE_CHECKING:
    import torch

    from gossamer import SegmentationModel

__all__ = ["Composite", "LoadModel", "PredictMask", "Refine"]

CATEGORY = "Gossamer"
Model = io.Custom("GOSSAMER_MODEL")
_log = logging.getLogger("gossamer")
_TOGETHER = 4  # pictures in one run of a network on a graphics card


class LoadModel(io.ComfyNode):
    """Loads the model that finds the subject."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        from gossamer import load_catalogue
        from gossamer.settings.model_choice import DEVICES, PRECISIONS, QUALITIES, RUNTIMES

        catalogue = load_catalogue()
        architectures = sorted({card.architecture for card in catalogue.values()})
        return widgets.known(
            io.Schema,
            node_id="GossamerLoadModel",
            display_name="Load Model (Gossamer)",
            category=CATEGORY,
            description="Loads a model that finds the subject of a picture. Weights that are neither in "
            "ComfyUI's model folders nor elsewhere on this machine are fetched once.",
            search_aliases=["background removal", "rembg", "u2net", "isnet", "matting"],
            inputs=[
                io.Combo.Input(
                    "model",
                    options=["auto", *catalogue, *folders.local_models()],
                    default="auto",
                    tooltip="auto: what quality asks for, of what may be used commercially. A name without a "
                    "slash is of the catalogue; one with a slash is a file of weights in that model folder "
                    "(gossamer, rembg, background_removal, BiRefNet, RMBG, …).",
                ),
                io.Combo.Input(
                    "device",
                    options=list(DEVICES),
                    default="auto",
                    tooltip="Where the model runs. auto: CUDA where the runtime has it, else the CPU.",
                ),
                io.Combo.Input(
                    "precision",
                    options=list(PRECISIONS),
                    default="auto",
                    tooltip="For torch. auto: float16 on CUDA where the model's authors use it, else float32. "
                    "ONNX models run in what they are stored in.",
                ),
                widgets.known(
                    io.Combo.Input,
                    "architecture",
                    options=["auto", *architectures],
                    default="auto",
                    tooltip="Only for files of your own: what they are. auto: their keys and shapes tell.",
                    advanced=True,
                ),
                widgets.known(
                    io.Combo.Input,
                    "quality",
                    options=list(QUALITIES),
                    default="balanced",
                    optional=True,
                    tooltip="For the model auto: how much one picture may cost on this device.",
                ),
                widgets.known(
                    io.Combo.Input,
                    "runtime",
                    options=list(RUNTIMES),
                    default="auto",
                    optional=True,
                    tooltip="What runs the model. auto: what its file is made for.",
                    advanced=True,
                ),
                widgets.known(
                    io.Boolean.Input,
                    "accept_licence",
                    default=False,
                    optional=True,
                    tooltip="Accept, once and for all, the licence of a model that does not allow commercial use.",
                    advanced=True,
                ),
            ],
            outputs=[Model.Output(display_name="model", tooltip="For Predict Mask.")],
        )

    @classmethod
    def fingerprint_inputs(cls, model: str, **_settings: Any) -> str:
        """Load a local file anew when it has changed."""
        if not folders.is_local(model):
            return model
        try:
            path = folders.local_path(model)
            status = path.stat()
        except Exception:  # execute says what is wrong; here an error would only end up in the log
            return model
        return f"{path}:{status.st_mtime_ns}:{status.st_size}"

    @classmethod
    @in_comfyui
    def execute(
        cls,
        model: str,
        device: str,
        precision: str,
        architecture: str,
        quality: str = "balanced",
        runtime: str = "auto",
        accept_licence: bool = False,
    ) -> io.NodeOutput:
        """Load the model."""
        from gossamer import load_model

        if folders.is_local(model):
            path = folders.local_path(model)
            recognised = folders.catalogue_id(path) if architecture == "auto" else None
            model = recognised or str(path)
        loaded = load_model(
            model,
            device=device,
            precision=precision,
            architecture=architecture,
            quality=quality,
            runtime=runtime,
            accept_licence=accept_licence,
            folders=folders.model_folders(),
            progress=Bar().picture(0),
            announce=_announce,
        )
        _warn(loaded.warnings)
        return io.NodeOutput(loaded)


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
                Model.Input("model", tooltip="From Load Model (Gossamer)."),
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
                    tooltip="1 (white) = foreground. Load Image's mask is the other way round.",
                )
            ],
        )

    @classmethod
    @in_comfyui
    def execute(cls, model: SegmentationModel, image: torch.Tensor, **settings: bool) -> io.NodeOutput:
        """Predict one mask a picture."""
        from gossamer.settings.parameters import recipe_from_flat

        look = recipe_from_flat(settings).segmentation
        images = Images.of(image, "image")
        masks = empty(len(images), *images.size)
        bar = Bar(len(images))
        make_room()
        together_now = _TOGETHER if model.device == "cuda" and not look.detail else 1
        for start in range(0, len(images), together_now):
            group = range(start, min(start + together_now, len(images)))
            part = bar.pictures(start, len(group))
            if together_now == 1:
                found = [model.predict(images.rgb(start), part, flips=look.flips, detail=look.detail)]
            else:
                pictures = [images.rgb(i) for i in group]
                found = model.predict_batch(pictures, part, flips=look.flips, batch_size=together_now)
            for i, mask in zip(group, found, strict=True):
                put(masks[i], mask)
                if not mask.max() > 0:
                    _warn((f"Nothing was found in picture {i + 1} of {len(images)}: is there a subject in it?",))
        return io.NodeOutput(masks)


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
                    tooltip="1 (white) = foreground, of the picture's size. Invert Load Image's mask first. "
                    "One mask serves a whole batch, and one picture many masks.",
                ),
                *widgets.stage_widgets("matting", "foreground", "refinement"),
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
    def execute(cls, image: torch.Tensor, mask: torch.Tensor, **settings: Any) -> io.NodeOutput:
        """Refine picture by picture."""
        import numpy as np

        from gossamer import refine
        from gossamer.settings.parameters import recipe_from_flat

        recipe = recipe_from_flat(settings)
        images, masks = Images.of(image, "image"), Masks.of(mask, "mask")
        count = together(images, masks)
        foreground, alphas = empty(count, *images.size, 3), empty(count, *images.size)
        bar = Bar(count)
        make_room()
        for i in range(count):
            rgb, existing = images.rgb(i), images.alpha(i)
            # The library multiplies by the existing alpha last, and once, as colours under it are straight already.
            picture = rgb if existing is None else np.dstack([rgb, existing])
            cutout = refine(
                picture,
                masks.alpha(i),
                recipe,
                device=usual_device(),
                progress=bar.picture(i),
                announce=_announce,
            )
            if cutout.shadow is None or cutout.composite is None or cutout.composite_alpha is None:
                put(foreground[i], cutout.foreground)
                put(alphas[i], cutout.alpha)
            else:  # subject and shadow as one
                put(foreground[i], cutout.composite)
                put(alphas[i], cutout.composite_alpha)
            _warn(cutout.report.warnings)
        return io.NodeOutput(foreground, alphas)


class Composite(io.ComfyNode):
    """Puts the subject over a new background."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return widgets.known(
            io.Schema,
            node_id="GossamerComposite",
            display_name="Composite (Gossamer)",
            category=CATEGORY,
            description="Puts the foreground over a picture or a colour, and hands out the cut-out with "
            "transparency, ready to save.",
            search_aliases=["background removal", "replace background", "transparent", "RGBA", "join alpha"],
            inputs=[
                io.Image.Input(
                    "foreground",
                    tooltip="From Refine (Gossamer), or any picture. Its alpha channel is left out.",
                ),
                io.Mask.Input("mask", tooltip="1 (white) = foreground. One mask serves a whole batch."),
                widgets.colour(
                    "colour",
                    "#ffffff",
                    "The background of the RGB output where no picture is given, as #rrggbb.",
                ),
                io.Image.Input(
                    "background",
                    optional=True,
                    tooltip="The background of the RGB output. One of another size is scaled to cover the "
                    "foreground, keeping its aspect ratio, and its middle is used.",
                ),
                widgets.widget("background_linear_light"),
            ],
            outputs=[
                io.Image.Output(display_name="image", tooltip="RGB: the foreground over the background or colour."),
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
    ) -> io.NodeOutput:
        """Composite picture by picture."""
        from gossamer.compositing import cover, over, parse_colour

        images, masks = Images.of(foreground, "foreground"), Masks.of(mask, "mask")
        behind = None if background is None else Images.of(background, "background")
        count = together(images, masks, *([] if behind is None else [behind]))
        height, width = images.size
        flat = parse_colour(colour) if behind is None else None
        rgb, rgba = empty(count, height, width, 3), empty(count, height, width, 4)
        bar = Bar(count)
        for i in range(count):
            bar.picture(i)(0.0, "")
            subject, alpha = images.rgb(i), masks.alpha(i)
            back = flat if behind is None else cover(behind.rgb(i), height, width)
            put(rgb[i], over(subject, alpha, back, linear_light=background_linear_light))
            put(rgba[i, :, :, :3], subject)
            put(rgba[i, :, :, 3], alpha)
        bar.picture(count)(0.0, "")
        return io.NodeOutput(rgb, rgba, rgba[..., 3].clone())


def _announce(sentence: str) -> None:
    _log.info(spoken(sentence))


def _warn(warnings: tuple[str, ...]) -> None:
    for warning in warnings:
        _log.warning(spoken(warning))
