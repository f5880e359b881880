# SPDX-License-Identifier: GPL-3.0-or-later
"""The example graphs, written in both their forms: ``python -m tests.comfyui.examples``.

What is here is what a script would send; the form for people is laid out from it, column by column, so that no two
boxes overlap. Pictures of them are made by ``tests/comfyui/test_examples.py``.
"""

from __future__ import annotations

import json
import tempfile
import uuid
from pathlib import Path
from typing import Any

from tests.cached_weights import weights_home
from tests.comfyui.graphs import EXAMPLES, node
from tests.comfyui.install import comfyui
from tests.comfyui.server import Graph, Server

COMMAND = "python -m tests.comfyui.examples"
PICTURE, CLIP, FRAME = "example.png", "clip.mp4", "frame.png"
_WIDTH, _GAP = 420, 80
_PREVIEWS = (
    *("LoadImage", "SaveImage", "PreviewImage", "LoadVideo", "SaveAnimatedWEBP", "GossamerSaveFolder"),
    *("GossamerRemoveBackground", "GossamerCutOutByText", "GossamerCutOutByPoints", "GossamerCutOutByRough"),
    *("GossamerPredictMask", "GossamerClipPrompt", "GossamerCutOutVideo", "GossamerCutOutFrames", "GossamerSaveVideo"),
)

_LOAD = node("LoadImage", image=PICTURE)


def _save(link: list[Any], name: str) -> dict[str, Any]:
    return node("SaveImage", images=link, filename_prefix=f"gossamer/{name}")


GRAPHS: dict[str, tuple[str, Graph]] = {
    "gossamer_1_simple": (
        "Choose your photograph and press Run. *quality* best is finer and slower; the result keeps its transparency.",
        {"1": _LOAD, "2": node("GossamerRemoveBackground", image=["1", 0]), "3": _save(["2", 0], "simple")},
    ),
    "gossamer_2_blur_background": (
        "What is behind the subject is blurred, without the subject in it: nothing glows around its edge.",
        {
            "1": _LOAD,
            "2": node("GossamerRemoveBackground", image=["1", 0], background="blur"),
            "3": _save(["2", 0], "blurred"),
        },
    ),
    "gossamer_3_hair": (
        "A mask becomes a trimap, that a matte, and that the subject's own colours: every step can be looked at.",
        {
            "1": _LOAD,
            "2": node("GossamerLoadModel"),
            "3": node("GossamerPredictMask", model=["2", 0], image=["1", 0]),
            "4": node("GossamerMakeTrimap", mask=["3", 0], image=["1", 0]),
            "5": node("GossamerAlphaMatting", image=["1", 0], trimap=["4", 0]),
            "6": node("GossamerEstimateForeground", image=["1", 0], mask=["5", 0]),
            "7": _save(["6", 2], "hair"),
            "8": node("PreviewImage", images=["4", 1]),
        },
    ),
    "gossamer_4_product": (
        "As a marketplace asks for it: white, square, with a shadow. *preset* knows more shops.",
        {
            "1": _LOAD,
            "2": node("GossamerRemoveBackground", image=["1", 0]),
            "3": node(
                "GossamerFinish", foreground=["2", 0], mask=["2", 1], preset="amazon", shadow="contact", canvas_size=""
            ),
            "4": _save(["3", 0], "product"),
        },
    ),
    "gossamer_5_text": (
        "Type what is to be cut out. It needs Grounding DINO and SAM 2, or SAM 3: what is missing is fetched once.",
        {
            "1": _LOAD,
            "2": node("GossamerLoadPromptModels"),
            "3": node("GossamerCutOutByText", image=["1", 0], text="the person", prompt_model=["2", 0]),
            "4": _save(["3", 0], "text"),
        },
    ),
    "gossamer_6_points": (
        "Points on the subject, and a box around it, in pixels; point editors of other nodes write them alike.",
        {
            "1": _LOAD,
            "2": node("GossamerLoadPromptModels"),
            "3": node(
                "GossamerCutOutByPoints",
                image=["1", 0],
                points='[{"x": 220, "y": 150}, {"x": 200, "y": 400}]',
                box="19, 15, 512, 512",
                prompt_model=["2", 0],
            ),
            "4": _save(["3", 0], "points"),
        },
    ),
    "gossamer_7_painted": (
        "Right click on Load Image, *Open in MaskEditor*, and paint roughly over the subject: the edge is found.",
        {
            "1": _LOAD,
            "2": node("GossamerLoadPromptModels"),
            "3": node("GossamerCutOutByRough", image=["1", 0], mask=["1", 1], on_empty="full", prompt_model=["2", 0]),
            "4": _save(["3", 0], "painted"),
        },
    ),
    "gossamer_8_trimap": (
        "Paint the subject in the mask editor; the trimap leaves a band around it unknown, which matting solves.",
        {
            "1": _LOAD,
            "2": node("GossamerMakeTrimap", mask=["1", 1], band=20),
            "3": node("GossamerAlphaMatting", image=["1", 0], matting="closed_form", trimap=["2", 0]),
            "4": node("GossamerComposite", foreground=["1", 0], mask=["3", 0], colour="#3366cc"),
            "5": _save(["4", 0], "trimap"),
        },
    ),
    "gossamer_9_compare": (
        "Two models beside each other over four backgrounds, with the same edges enlarged, and where they disagree.",
        {
            "1": _LOAD,
            "2": node("GossamerLoadModel", model="u2netp"),
            "3": node("GossamerLoadModel", model="isnet-general-use"),
            "4": node("GossamerPredictMask", model=["2", 0], image=["1", 0]),
            "5": node("GossamerPredictMask", model=["3", 0], image=["1", 0]),
            "6": node(
                "GossamerCompare", image=["1", 0], mask_1=["4", 0], mask_2=["5", 0], names="u2netp, isnet-general-use"
            ),
            "7": node("GossamerCombineMasks", mask_1=["4", 0], mask_2=["5", 0]),
            "8": node("MaskToImage", mask=["7", 1]),
            "9": node("PreviewImage", images=["6", 0]),
            "10": node("PreviewImage", images=["8", 0]),
        },
    ),
    "gossamer_10_crop_and_paste": (
        "The subject is cropped, changed (here: inverted; put your own nodes there) and pasted back without a seam.",
        {
            "1": _LOAD,
            "2": node("GossamerRemoveBackground", image=["1", 0]),
            "3": node("GossamerCropToSubject", image=["1", 0], mask=["2", 1]),
            "4": node("ImageInvert", image=["3", 0]),
            "5": node("GossamerPasteBack", image=["4", 0], place=["3", 2], onto=["1", 0], mask=["3", 1]),
            "6": _save(["5", 0], "pasted"),
        },
    ),
    "gossamer_11_shadow": (
        "A cut-out with its shadow, transparent: lay it over anything.",
        {
            "1": _LOAD,
            "2": node("GossamerRemoveBackground", image=["1", 0]),
            "3": node("GossamerShadow", foreground=["2", 0], mask=["2", 1]),
            "4": _save(["3", 0], "shadow"),
        },
    ),
    "gossamer_12_video": (
        "A clip's frames become an animated WebP with alpha.",
        {
            "1": node("LoadVideo", file=CLIP),
            "2": node("GetVideoComponents", video=["1", 0]),
            "3": node("GossamerRemoveBackground", image=["2", 0], quality="fast"),
            "4": node("SaveAnimatedWEBP", images=["3", 0], filename_prefix="gossamer/clip", fps=12.0),
        },
    ),
    "gossamer_13_video_to_prores": (
        "From file to file: ProRes 4444 with transparency, the sound as it was, in the memory of some frames. For the "
        "web choose *vp9*; for people the model *rvm-mobilenetv3*.",
        {
            "1": node("LoadVideo", file=CLIP),
            "2": node("GossamerCutOutVideo", video=["1", 0], filename_prefix="gossamer/clip"),
        },
    ),
    "gossamer_14_video_frames": (
        "Frames, to put nodes of your own between. A long clip comes in chunks: *remembered* goes into the next one.",
        {
            "1": node("LoadVideo", file=CLIP),
            "2": node("GetVideoComponents", video=["1", 0]),
            "3": node("GossamerCutOutFrames", image=["2", 0]),
            "4": node(
                "GossamerSaveVideo",
                images=["3", 0],
                audio=["2", 1],
                fps=["2", 2],
                format="vp9",
                filename_prefix="gossamer/frames",
            ),
        },
    ),
    "gossamer_15_folder": (
        "Every picture of a folder, saved under its own name in the output folder. Nothing there is replaced unless "
        "*overwrite* is on.",
        {
            "1": node("GossamerLoadFolder", folder="photos"),
            "2": node("GossamerRemoveBackground", image=["1", 0]),
            "3": node("GossamerSaveFolder", image=["2", 0], name=["1", 1]),
        },
    ),
    "gossamer_16_video_prompt": (
        "Mark the subject on one frame, and SAM 2.1 follows it through the clip, forth and back. What it loses is "
        "corrected by one more prompt, at a later time. To click in the frame, run once.",
        {
            "1": node("LoadVideo", file=CLIP),
            "2": node("GetVideoComponents", video=["1", 0]),
            "3": node("ImageFromBatch", image=["2", 0], batch_index=6, length=1),
            "4": node("GossamerClipPrompt", at="0.24", box="40, 55, 170, 185", image=["3", 0]),
            "5": node("GossamerLoadPromptModels"),
            "6": node(
                "GossamerCutOutVideo",
                video=["1", 0],
                filename_prefix="gossamer/followed",
                prompts=["4", 0],
                prompt_model=["5", 0],
            ),
        },
    ),
    "gossamer_17_frames_prompt": (
        "The same with frames, to put nodes of your own between. In chunks, what is meant is said of the first one; "
        "*remembered* goes into the next, where prompts correct what was followed, or none are needed.",
        {
            "1": node("LoadVideo", file=CLIP),
            "2": node("GetVideoComponents", video=["1", 0]),
            "3": node("ImageFromBatch", image=["2", 0], batch_index=6, length=1),
            "4": node("GossamerClipPrompt", at="0.24", box="40, 55, 170, 185", image=["3", 0]),
            "5": node("GossamerLoadPromptModels"),
            "6": node("GossamerCutOutFrames", image=["2", 0], prompts=["4", 0], prompt_model=["5", 0], fps=["2", 2]),
            "7": node(
                "GossamerSaveVideo",
                images=["6", 0],
                audio=["2", 1],
                fps=["2", 2],
                format="vp9",
                filename_prefix="gossamer/followed_frames",
            ),
        },
    ),
}


def scripted(graph: Graph, info: dict[str, Any]) -> Graph:
    """Return a graph with every widget's value, in the widgets' order."""
    whole: Graph = {}
    for key, one in graph.items():
        inputs: dict[str, Any] = {}
        for name, kind, spec in _inputs(info[one["class_type"]]):
            if name in one["inputs"]:
                inputs[name] = one["inputs"][name]
            elif _is_widget(kind):
                inputs[name] = _default(kind, spec)
        whole[key] = node(one["class_type"], **inputs)
    return whole


def drawn(name: str, graph: Graph, note: str, info: dict[str, Any]) -> dict[str, Any]:
    """Return a scripted graph in the form for people."""
    depth: dict[str, int] = {}
    for key, one in graph.items():  # in an order in which links point back
        before = [depth[value[0]] for value in one["inputs"].values() if isinstance(value, list)]
        depth[key] = 1 + max(before, default=-1)
    nodes, links, bottoms = [], [], dict.fromkeys(range(max(depth.values()) + 1), 90)
    for order, (key, one) in enumerate(graph.items()):
        spec = info[one["class_type"]]
        inputs, values = [], []
        for label, kind, about in _inputs(spec):
            value = one["inputs"].get(label)
            is_link = isinstance(value, list)
            if not _is_widget(kind) or is_link:
                optional = label in spec["input"].get("optional", {})
                sort = "COMBO" if isinstance(kind, list) else kind
                slot = {"name": label, "type": sort, **({"shape": 7} if optional else {}), "link": None}
                if _is_widget(kind):  # a widget that another node's output feeds keeps its place among the values
                    slot["widget"] = {"name": label}
                    values.append(_default(kind, about))
                if is_link:
                    slot["link"] = len(links) + 1
                    source = info[graph[value[0]]["class_type"]]["output"][value[1]]
                    links.append([len(links) + 1, int(value[0]), value[1], int(key), len(inputs), source])
                inputs.append(slot)
            else:
                values.append(value)
        if one["class_type"] in ("LoadImage", "LoadVideo"):
            values.append("image")  # the button for uploads
        height = _height(spec, len(inputs))
        column = depth[key]
        nodes.append(
            {
                "id": int(key),
                "type": one["class_type"],
                "pos": [40 + column * (_WIDTH + _GAP), bottoms[column]],
                "size": [_WIDTH, height],
                "flags": {},
                "order": order,
                "mode": 0,
                "inputs": inputs,
                "outputs": [
                    {"name": title, "type": kind, "links": None}
                    for title, kind in zip(spec["output_name"], spec["output"], strict=True)
                ],
                "properties": {"Node name for S&R": one["class_type"]},
                "widgets_values": values,
            }
        )
        bottoms[column] += height + _GAP
    by_id = {one["id"]: one for one in nodes}
    for number, start, output, *_ in links:
        socket = by_id[start]["outputs"][output]
        socket["links"] = [*(socket["links"] or []), number]
    nodes.append(
        {
            "id": len(nodes) + 1,
            "type": "MarkdownNote",
            "pos": [40, bottoms[0]],
            "size": [_WIDTH, 140],
            "flags": {},
            "order": len(nodes),
            "mode": 0,
            "inputs": [],
            "outputs": [],
            "properties": {},
            "widgets_values": [note],
        }
    )
    return {
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, name)),
        "revision": 0,
        "last_node_id": len(nodes),
        "last_link_id": len(links),
        "nodes": nodes,
        "links": links,
        "groups": [],
        "config": {},
        "extra": {},
        "version": 0.4,
    }


def _inputs(spec: dict[str, Any]) -> list[tuple[str, Any, dict[str, Any]]]:
    every = {**spec["input"].get("required", {}), **spec["input"].get("optional", {})}
    return [(name, one[0], one[1] if len(one) > 1 else {}) for name, one in every.items()]


def _is_widget(kind: Any) -> bool:
    return isinstance(kind, list) or kind in ("COMBO", "INT", "FLOAT", "STRING", "BOOLEAN", "COLOR")


def _default(kind: Any, spec: dict[str, Any]) -> Any:
    if "default" in spec:
        return spec["default"]
    options = kind if isinstance(kind, list) else spec.get("options")
    return options[0] if options else ""


def _height(spec: dict[str, Any], sockets: int) -> int:
    """Return a box's height: sockets, widgets that are shown, texts of several lines, a picture."""
    rows = max(sockets, len(spec["output"])) * 20
    for _, kind, one in _inputs(spec):
        if _is_widget(kind) and not one.get("advanced"):
            rows += 90 if one.get("multiline") else 24
    return 40 + rows + (320 if spec["name"] in _PREVIEWS else 0) + (24 if spec["name"].startswith("Load") else 0)


def written(info: dict[str, Any]) -> dict[Path, str]:
    """Return what the example files hold, for the nodes of a running ComfyUI."""
    files = {}
    for name, (note, graph) in GRAPHS.items():
        whole = scripted(graph, info)
        files[EXAMPLES / "api" / f"{name}.json"] = json.dumps(whole, indent=2, ensure_ascii=False) + "\n"
        files[EXAMPLES / f"{name}.json"] = json.dumps(drawn(name, whole, note, info), ensure_ascii=False) + "\n"
    return files


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        server = Server(comfyui(), Path(folder), weights_home())
        try:
            server.wait()
            found = server.get("/object_info")
        finally:
            server.stop()
    for file, text in written(found).items():
        file.write_text(text, encoding="utf-8")
