# SPDX-License-Identifier: GPL-3.0-or-later
"""Loading the model that finds the subject."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from .. import folders, memory, widgets
from ..log import announce, warn
from ..progress import Bar
from ..wording import in_comfyui, spoken
from . import CATEGORY, Model

__all__ = ["LoadModel"]


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
                widgets.model(
                    "model",
                    ["auto", *catalogue, *folders.local_models()],
                    "auto: what quality asks for, of what may be used commercially. A name without a "
                    "slash is of the catalogue; one with a slash is a file of weights in that model folder "
                    "(gossamer, rembg, background_removal, BiRefNet, RMBG, …).",
                ),
                io.Combo.Input(
                    "device",
                    options=list(DEVICES),
                    default="auto",
                    tooltip="Where the model runs. auto: where ComfyUI runs its own, as far as the runtime can.",
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
    def validate_inputs(cls, model: str | None = None) -> bool | str:
        """Look a name up before anything runs, in our words: newer servers would list all models instead."""
        from gossamer import GossamerError, model_card

        if model is None or model == "auto":  # None: another node's output
            return True
        try:
            if folders.is_local(model):
                folders.local_path(model)
            else:
                model_card(model)
        except GossamerError as error:
            return f"{spoken(error.message)} {spoken(error.remedy)}"
        return True

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

        if device == "auto":
            device = memory.device()
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
            announce=announce,
        )
        warn(loaded.warnings)
        return io.NodeOutput(loaded)
