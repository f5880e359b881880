# SPDX-License-Identifier: GPL-3.0-or-later
"""The subgraphs that the page offers among its nodes, made of example graphs: ``python -m tests.comfyui.subgraphs``.

What loads, saves or previews in an example is left out: what it was linked to becomes an input or output of the box.
"""

from __future__ import annotations

import json
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cached_weights import weights_home
from tests.comfyui import examples
from tests.comfyui.install import REPOSITORY, comfyui
from tests.comfyui.server import Server

COMMAND = "python -m tests.comfyui.subgraphs"
FOLDER = REPOSITORY / "comfyui_nodes" / "subgraphs"
_OUTSIDE = ("LoadImage", "SaveImage", "PreviewImage", "MarkdownNote")
_INPUT, _OUTPUT = -10, -20


@dataclass(frozen=True)
class Box:
    """A subgraph.

    Attributes
    ----------
    example : str
        The graph that it is made of.
    says : str
        What it does.
    widgets : tuple of (str, str)
        Node and name of each widget that is shown on the box.
    """

    example: str
    says: str
    widgets: tuple[tuple[str, str], ...]


BOXES = {
    "Remove Background, Hair Step by Step (Gossamer)": Box(
        "gossamer_3_hair",
        "A mask, a trimap, a matte and the subject's own colours: every step can be opened and changed.",
        (("2", "model"), ("4", "band"), ("5", "matting"), ("6", "foreground_despill")),
    ),
    "Product Photo with Shadow (Gossamer)": Box(
        "gossamer_4_product",
        "Cuts the product out and finishes it as a shop asks for it.",
        (("2", "quality"), ("2", "model"), ("3", "preset"), ("3", "shadow"), ("3", "colour")),
    ),
    "Cut Out by Text (Gossamer)": Box(
        "gossamer_5_text",
        "Cuts out what a text names.",
        (("3", "text"), ("2", "prompt_model"), ("3", "background"), ("3", "on_empty")),
    ),
    "Cut Out by Painted Mask (Gossamer)": Box(
        "gossamer_7_painted",
        "Cuts out what was painted over roughly.",
        (("3", "kind"), ("2", "prompt_model"), ("3", "background"), ("3", "on_empty")),
    ),
    "Painted Mask to Matte, over a Colour (Gossamer)": Box(
        "gossamer_8_trimap",
        "A painted mask becomes a trimap, that a matte, and the subject is put over a colour.",
        (("2", "band"), ("3", "matting"), ("4", "colour")),
    ),
}


def made(name: str, info: dict[str, Any]) -> dict[str, Any]:
    """Return a subgraph as the page wants it, for the nodes of a running ComfyUI."""
    box = BOXES[name]
    whole = examples.scripted(examples.GRAPHS[box.example][1], info)
    flat = examples.drawn(box.example, whole, "", info)
    inner = {one["id"]: one for one in flat["nodes"] if one["type"] not in _OUTSIDE}
    inputs: dict[tuple[int, int], dict[str, Any]] = {}
    outputs: dict[tuple[int, int], dict[str, Any]] = {}
    links = []
    for number, start, slot, end, place, kind in flat["links"]:
        origin, target = (start, slot), (end, place)
        if start not in inner and end not in inner:
            continue
        if start not in inner:
            title = inner[end]["inputs"][place]["name"] if kind != "IMAGE" else "image"
            socket = inputs.setdefault((start, slot), _socket(name, title, kind, len(inputs)))
            origin = (_INPUT, list(inputs).index((start, slot)))
            socket["linkIds"].append(number)
        if end not in inner:
            title = inner[start]["outputs"][slot]["name"]
            socket = outputs.setdefault((start, slot), _socket(name, title, kind, len(outputs)))
            target = (_OUTPUT, list(outputs).index((start, slot)))
            socket["linkIds"].append(number)
        links.append(
            {
                "id": number,
                "origin_id": origin[0],
                "origin_slot": origin[1],
                "target_id": target[0],
                "target_slot": target[1],
                "type": kind,
            }
        )
    kept = {link["id"] for link in links}
    for one in inner.values():
        for socket in one["outputs"]:
            socket["links"] = [number for number in socket["links"] or [] if number in kept] or None
    right = max(one["pos"][0] + one["size"][0] for one in inner.values())
    identity = str(uuid.uuid5(uuid.NAMESPACE_URL, f"gossamer/{name}"))
    return {
        "revision": 0,
        "last_node_id": 1,
        "last_link_id": 0,
        "nodes": [
            {
                "id": 1,
                "type": identity,
                "pos": [100, 100],
                "size": [420, 60 + 24 * (len(inputs) + len(box.widgets))],
                "flags": {},
                "order": 0,
                "mode": 0,
                "inputs": [{"name": one["name"], "type": one["type"], "link": None} for one in inputs.values()],
                "outputs": [{"name": one["name"], "type": one["type"], "links": []} for one in outputs.values()],
                "properties": {"proxyWidgets": [list(one) for one in box.widgets]},
                "widgets_values": [],
                "title": name,
            }
        ],
        "links": [],
        "version": 0.4,
        "definitions": {
            "subgraphs": [
                {
                    "id": identity,
                    "version": 1,
                    "state": {
                        "lastGroupId": 0,
                        "lastNodeId": max(inner),
                        "lastLinkId": max(kept),
                        "lastRerouteId": 0,
                    },
                    "revision": 0,
                    "config": {},
                    "name": name,
                    "description": box.says,
                    "inputNode": {"id": _INPUT, "bounding": [300, 90, 120, 40 + 20 * len(inputs)]},
                    "outputNode": {"id": _OUTPUT, "bounding": [right + 80, 90, 120, 40 + 20 * len(outputs)]},
                    "inputs": list(inputs.values()),
                    "outputs": list(outputs.values()),
                    "widgets": [],
                    "nodes": list(inner.values()),
                    "groups": [],
                    "links": links,
                    "extra": {},
                    "category": "Gossamer",
                }
            ]
        },
        "extra": {"BlueprintDescription": box.says},
    }


def _socket(name: str, title: str, kind: str, number: int) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"gossamer/{name}/{title}/{kind}/{number}")),
        "name": title,
        "type": kind,
        "linkIds": [],
        "pos": [400, 110 + 20 * number],
    }


def written(info: dict[str, Any]) -> dict[Path, str]:
    """Return what the files hold."""
    return {FOLDER / f"{name}.json": json.dumps(made(name, info), ensure_ascii=False) + "\n" for name in BOXES}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        server = Server(comfyui(), Path(folder), weights_home())
        try:
            server.wait()
            found = server.get("/object_info")
        finally:
            server.stop()
    FOLDER.mkdir(exist_ok=True)
    for file, text in written(found).items():
        file.write_text(text, encoding="utf-8")
