# SPDX-License-Identifier: GPL-3.0-or-later
"""Graphs in API form."""

from __future__ import annotations

import json
from typing import Any

from tests.comfyui.install import REPOSITORY
from tests.comfyui.server import Graph

EXAMPLES = REPOSITORY / "comfyui_nodes" / "example_workflows"
NAME = "gossamer_remove_background"
# The example's nodes
LOAD, MODEL, PREDICT, REFINE, COMPOSITE, SAVE, PREVIEW = "1234567"


def node(kind: str, /, **inputs: Any) -> dict[str, Any]:
    """Return one node; a link is ``[node, output]``."""
    return {"class_type": kind, "inputs": inputs}


def example(picture: str, **refine: Any) -> Graph:
    """Return the example that is shipped for scripts, with the smallest model, for an uploaded picture."""
    graph: Graph = json.loads((EXAMPLES / "api" / f"{NAME}.json").read_text(encoding="utf-8"))
    graph[LOAD]["inputs"]["image"] = picture
    graph[MODEL]["inputs"]["model"] = "u2netp"
    graph[REFINE]["inputs"].update(refine)
    return graph


def join(graph: Graph, pictures: list[str]) -> list[Any]:
    """Add a batch of uploaded pictures of one size to `graph`; returns its link."""
    link: list[Any] = []
    for i, picture in enumerate(pictures):
        graph[f"load{i}"] = node("LoadImage", image=picture)
        if i:
            graph[f"batch{i}"] = node("ImageBatch", image1=link, image2=[f"load{i}", 0])
        link = [f"batch{i}" if i else f"load{i}", 0]
    return link
