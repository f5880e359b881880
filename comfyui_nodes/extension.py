# SPDX-License-Identifier: GPL-3.0-or-later
"""The extension: registers the model folder and hands ComfyUI the nodes."""

from __future__ import annotations

from comfy_api.latest import ComfyExtension, io
from typing_extensions import override

from gossamer import telemetry

from . import folders, memory, replacements
from .nodes.checks import Check
from .nodes.clip_prompts import ClipPrompt
from .nodes.compositing import Composite
from .nodes.editing import CombineMasks, Compare, RefineMask
from .nodes.finishing import Finish
from .nodes.folder import LoadFolder, SaveFolder
from .nodes.frames import SaveVideo, TemporalSmooth
from .nodes.framing import CropToSubject, PasteBack, PhotographedShadow, Shadow
from .nodes.loading import LoadModel
from .nodes.masks import PredictMask
from .nodes.mattes import AlphaMatting, EstimateForeground, MakeTrimap
from .nodes.one_step import CutOut, RemoveBackground
from .nodes.prompts import CutOutByPoints, CutOutByRough, CutOutByText, LoadPromptModels
from .nodes.refining import Refine
from .nodes.unloading import UnloadModels
from .nodes.video import CutOutFrames, CutOutVideo

__all__ = ["GossamerExtension", "comfy_entrypoint"]


class GossamerExtension(ComfyExtension):
    """The nodes."""

    @override
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """Return the node classes, in the order of a graph."""
        return [
            *(LoadModel, PredictMask, Refine, Composite, Finish, Check, RemoveBackground, CutOut),
            *(LoadPromptModels, CutOutByText, CutOutByPoints, CutOutByRough),
            *(RefineMask, MakeTrimap, AlphaMatting, EstimateForeground, CombineMasks, Compare),
            *(CropToSubject, PasteBack, Shadow, PhotographedShadow, UnloadModels),
            *(ClipPrompt, CutOutVideo, CutOutFrames, SaveVideo, TemporalSmooth, LoadFolder, SaveFolder),
        ]


async def comfy_entrypoint() -> GossamerExtension:
    """Return the extension (ComfyUI 0.3 does not call ``on_load``, so folders are registered here)."""
    telemetry.switch_off()  # before other node packs, or our nodes, import what would tell its maker of it
    folders.register()
    memory.attach()
    await replacements.register()
    return GossamerExtension()
