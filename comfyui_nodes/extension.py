# SPDX-License-Identifier: GPL-3.0-or-later
"""The extension: registers the model folder and hands ComfyUI the nodes."""

from __future__ import annotations

from comfy_api.latest import ComfyExtension, io
from typing_extensions import override

from gossamer import telemetry

from . import folders
from .nodes.checks import Check
from .nodes.compositing import Composite
from .nodes.finishing import Finish
from .nodes.loading import LoadModel
from .nodes.masks import PredictMask
from .nodes.refining import Refine

__all__ = ["GossamerExtension", "comfy_entrypoint"]


class GossamerExtension(ComfyExtension):
    """The six nodes."""

    @override
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """Return the node classes, in the order of a graph."""
        return [LoadModel, PredictMask, Refine, Composite, Finish, Check]


async def comfy_entrypoint() -> GossamerExtension:
    """Return the extension (ComfyUI 0.3 does not call ``on_load``, so folders are registered here)."""
    telemetry.switch_off()  # before other node packs, or our nodes, import what would tell its maker of it
    folders.register()
    return GossamerExtension()
