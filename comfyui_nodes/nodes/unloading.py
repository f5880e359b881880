# SPDX-License-Identifier: GPL-3.0-or-later
"""Freeing the memory of models. Its id and the names of its inputs are permanent."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from .. import widgets
from . import CATEGORY

__all__ = ["UnloadModels"]


class UnloadModels(io.ComfyNode):
    """Frees the memory that Gossamer's models take."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return widgets.known(
            io.Schema,
            node_id="GossamerUnloadModels",
            display_name="Unload Models: Free Memory (Gossamer)",
            category=CATEGORY,
            description="Frees the memory that Gossamer's models take, once what is connected has been computed, and "
            "hands that on. They are loaded again when they are wanted.",
            search_aliases=["unload models", "free memory", "vram", "clear cache"],
            is_output_node=True,
            not_idempotent=True,
            inputs=[
                widgets.known(
                    io.AnyType.Input,
                    "anything",
                    optional=True,
                    display_name="anything",
                    tooltip="What has to be computed before; it comes out as it is.",
                )
            ],
            outputs=[io.AnyType.Output(display_name="anything", tooltip="What went in.")],
        )

    @classmethod
    def fingerprint_inputs(cls, **_inputs: Any) -> float:
        """Run each time: nothing equals it."""
        return float("nan")

    @classmethod
    def execute(cls, anything: Any = None) -> io.NodeOutput:
        """Unload what nobody uses."""
        from gossamer.warm import warm

        warm.unload()
        return io.NodeOutput(anything)
