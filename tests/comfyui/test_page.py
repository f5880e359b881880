# SPDX-License-Identifier: GPL-3.0-or-later
"""What our script does on ComfyUI's page, its own and a newer one: folded widgets, models' labels, subgraphs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gossamer
from gossamer import load_catalogue
from tests.comfyui import browser, palette, subgraphs
from tests.comfyui.graphs import EXAMPLES
from tests.comfyui.install import REPOSITORY, cache_folder
from tests.comfyui.server import Server
from tests.video.clips import frame_pixels

_LOOK = """async () => {
    app.graph.clear()
    const told = {}
    for (const kind of Object.keys(LiteGraph.registered_node_types).filter(id => id.startsWith('Gossamer'))) {
        const node = LiteGraph.createNode(kind)
        app.graph.add(node)
        const own = (node.widgets ?? []).filter(one => one.serialize !== false) // not the button, nor the picture
        const seen = () => own.filter(one => node.isWidgetVisible(one)).length
        const first = seen(), low = node.size[1]
        const more = node.widgets?.find(one => one.name == '…')
        more?.callback()
        const high = node.size[1]
        const model = node.widgets?.find(one => one.name == 'model')
        const {output} = await app.graphToPrompt()
        told[kind] = {
            first, all: seen(), low, high, widgets: own.length,
            label: model?.options.getOptionLabel?.('u2netp'), queued: output[node.id].inputs,
            saved: node.serialize().widgets_values ?? [],
        }
        app.graph.remove(node)
    }
    return told
}"""


def test_what_is_rarely_used_is_folded_and_models_are_told_apart(either: Server, tmp_path: Path) -> None:
    with browser.page(either, tmp_path / "profile") as (page, errors):
        told = page.evaluate(_LOOK)
        assert errors == []
    assert len(told) > 25
    for kind, one in told.items():
        assert one["first"] <= 8, (kind, one)
        assert one["all"] == one["widgets"], kind
        # A row is 24 pixels high: what is folded takes no room.
        assert abs(one["high"] - one["low"] - 24 * (one["all"] - one["first"])) <= 4, (kind, one)
        assert len(one["saved"]) == one["widgets"], kind  # the button that unfolds is not saved
    assert told["GossamerRefine"]["widgets"] > 15
    card = load_catalogue()["u2netp"]
    size = round(min(one.bytes for one in card.weights) / 1e6)
    for kind in ("GossamerLoadModel", "GossamerRemoveBackground", "GossamerCutOutVideo"):
        assert told[kind]["label"] == f"u2netp · {size} MB · {card.licence} ✓", kind
        assert told[kind]["queued"]["model"] == "auto"


# From further away Nodes 2.0 shows no more than boxes.
_LARGE = """() => {
    const node = app.graph.nodes.find(one => one.type == 'GossamerCutOutByPoints')
    app.canvas.ds.scale = 1
    app.canvas.ds.offset = [400 - node.pos[0], 120 - node.pos[1]]
    app.canvas.setDirty(true, true)
}"""
_INTO_VIEW = """([across, down]) => {
    app.canvas.ds.offset = [app.canvas.ds.offset[0] + across, app.canvas.ds.offset[1] + down]
    app.canvas.setDirty(true, true)
}"""
_MARKED = """() => {
    const node = app.graph.nodes.find(one => one.type == 'GossamerCutOutByPoints')
    return Object.fromEntries(['points', 'not_points', 'box'].map(
        name => [name, node.widgets.find(one => one.name == name).value]))
}"""


@pytest.mark.parametrize(("either", "drawn"), [("own", "classic"), ("1.58.1", "2.0")], indirect=["either", "drawn"])
def test_clicks_in_the_picture_are_points_and_boxes(
    request: pytest.FixtureRequest, either: Server, drawn: str, astronaut: np.ndarray, tmp_path: Path
) -> None:
    """Clicked, dragged, taken back and run on the node itself; pictures come from the server alone."""
    assert "//" not in re.sub(r"(?m)(^|\s)//.*$", "", (REPOSITORY / "comfyui_nodes/web/points.js").read_text())
    either.upload("example.png", astronaut)
    graph = json.loads((EXAMPLES / "gossamer_6_points.json").read_text(encoding="utf-8"))
    for one in graph["nodes"]:
        if one["type"] == "GossamerCutOutByPoints":
            one["widgets_values"][:3] = ["", "", ""]
        if one["type"] == "GossamerLoadPromptModels":
            one["widgets_values"][0] = "grabcut"
    (tmp_path / "graph.json").write_text(json.dumps(graph), encoding="utf-8")
    with browser.page(either, tmp_path / "profile") as (page, errors):
        asked: list[str] = []
        # What ComfyUI's page asks the internet for itself are texts, not pictures.
        page.on("request", lambda one: one.resource_type == "image" and asked.append(one.url))
        browser.open_graph(page, tmp_path / "graph.json")
        page.evaluate(_LARGE)
        picture = page.locator(".gossamer-points canvas")
        page.wait_for_function("document.querySelector('.gossamer-points canvas')?.width > 100")
        page.wait_for_timeout(1500)
        box = picture.bounding_box()
        assert box is not None
        page.evaluate(_INTO_VIEW, [500 - box["x"], 250 - box["y"]])
        page.wait_for_timeout(1000)
        box = picture.bounding_box()
        assert box is not None
        side = min(box["width"], box["height"])  # the astronaut is square
        left, top = box["x"] + (box["width"] - side) / 2, box["y"] + (box["height"] - side) / 2

        def at(x: float, y: float) -> tuple[float, float]:
            return left + x / 512 * side, top + y / 512 * side

        pixel = 512 / side  # of the picture in one of the screen
        page.mouse.click(*at(220, 150))
        page.mouse.click(*at(200, 400))
        page.mouse.click(*at(470, 60), button="right")
        page.mouse.click(*at(60, 60))
        page.mouse.click(*at(60, 60))  # a mark that is clicked goes
        page.mouse.move(*at(19, 15))
        page.mouse.down()
        page.mouse.move(*at(200, 200), steps=3)
        page.mouse.move(*at(500, 505), steps=3)
        page.mouse.up()
        marked = page.evaluate(_MARKED)
        name = f"comfyui-points-{drawn}-{request.node.callspec.params['either']}.png"
        page.screenshot(path=cache_folder() / name)  # to be looked at
        wanted = [(one["x"], one["y"]) for one in json.loads(marked["points"])]
        unwanted = [(one["x"], one["y"]) for one in json.loads(marked["not_points"])]
        assert np.abs(np.array(wanted) - [(220, 150), (200, 400)]).max() <= 2 * pixel
        assert np.abs(np.array(unwanted) - [(470, 60)]).max() <= 2 * pixel
        box_ = [float(number) for number in marked["box"].split(",")]
        assert np.abs(np.array(box_) - (19, 15, 500, 505)).max() <= 2 * pixel
        queued = page.evaluate("async () => (await app.graphToPrompt()).output")
        (inputs,) = (one["inputs"] for one in queued.values() if one["class_type"] == "GossamerCutOutByPoints")
        assert {name: inputs[name] for name in marked} == marked
        assert "picture" not in inputs
        kind, detail = browser.run_graph(page)
        assert kind == "execution_success", detail
        assert errors == []
        assert [one for one in asked if not one.startswith((either.url, "data:", "blob:"))] == []
    prompt = gossamer.Prompt(points=wanted, not_points=unwanted, boxes=[tuple(box_)])
    expected = gossamer.open(astronaut, prompt_model="grabcut", device="cpu").cutout(prompt)
    newest = max((either.base / "output" / "gossamer").glob("points*.png"), key=lambda file: file.stat().st_mtime)
    with Image.open(newest) as saved:
        assert np.abs(np.asarray(saved)[..., 3] / 255 - expected.alpha).max() <= 1.01 / 255


def test_subgraphs_are_served_and_found(either: Server, tmp_path: Path) -> None:
    served = {one["name"] for one in either.get("/global_subgraphs").values() if "Gossamer" in one["name"]}
    assert served == set(subgraphs.BOXES)
    with browser.page(either, tmp_path / "profile") as (page, errors):
        palette.opened(page)
        found = palette.found(page, "Product Photo with Shadow", first=5)
        assert any("Product Photo with Shadow" in name for name in found), found
        assert errors == []


def test_subgraphs_are_as_the_nodes_are(server: Server) -> None:
    for file, text in subgraphs.written(server.get("/object_info")).items():
        assert file.read_text(encoding="utf-8") == text, f"Type: {subgraphs.COMMAND}"


@pytest.mark.parametrize("number", [1, 4])
def test_a_subgraph_runs(server: Server, astronaut: np.ndarray, tmp_path: Path, number: int) -> None:
    """The box in a graph between Load Image and Save Image, opened and run as a person does."""
    name = list(subgraphs.BOXES)[number]
    blob = np.zeros((512, 512), bool)
    blob[100:480, 100:380] = True
    picture = np.dstack([astronaut, np.where(blob, 0, 255).astype(np.uint8)])
    server.upload("boxed.png", picture)
    graph = boxed(name)
    (tmp_path / "graph.json").write_text(json.dumps(graph), encoding="utf-8")
    with browser.page(server, tmp_path / "profile") as (page, errors):
        browser.open_graph(page, tmp_path / "graph.json")
        kind, detail = browser.run_graph(page)
        assert kind == "execution_success", detail
        assert errors == []
    (saved,) = (server.base / "output").glob(f"boxed-{number}*.png")
    assert saved.stat().st_size > 10_000


def boxed(name: str) -> dict:
    """Return a graph in the form for people: Load Image, the box, Save Image."""
    graph = json.loads((subgraphs.FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    for one in graph["definitions"]["subgraphs"][0]["nodes"]:
        if one["type"] == "GossamerRemoveBackground":
            one["widgets_values"][3] = "u2netp"
    (box,) = graph["nodes"]
    links = []
    for number, socket in enumerate(box["inputs"], 1):
        socket["link"] = number
        links.append([number, 2, 0 if socket["type"] == "IMAGE" else 1, 1, number - 1, socket["type"]])
    last = len(links) + 1
    box["outputs"][0]["links"] = [last]
    links.append([last, 1, 0, 3, 0, "IMAGE"])
    prefix = f"boxed-{list(subgraphs.BOXES).index(name)}"
    outs = [{"name": kind, "type": kind, "links": []} for kind in ("IMAGE", "MASK")]
    for number, _, slot, *_ in links[:-1]:
        outs[slot]["links"].append(number)
    shared = {"flags": {}, "order": 0, "mode": 0, "properties": {}}
    graph["nodes"] += [
        {"id": 2, "type": "LoadImage", "pos": [-500, 100], "size": [300, 400], "inputs": [], "outputs": outs,
         "widgets_values": ["boxed.png", "image"], **shared},
        {"id": 3, "type": "SaveImage", "pos": [700, 100], "size": [300, 400], "outputs": [],
         "inputs": [{"name": "images", "type": "IMAGE", "link": last}], "widgets_values": [prefix], **shared},
    ]  # fmt: skip
    return {**graph, "links": links, "last_node_id": 3, "last_link_id": last}


_SHOWN = """name => {
    const node = app.graph.nodes.find(one => one.type == 'GossamerClipPrompt')
    node.onExecuted({gossamer_source: [{filename: name, subfolder: '', type: 'input', width: 320, height: 240}]})
    app.canvas.ds.scale = 1
    app.canvas.ds.offset = [400 - node.pos[0], 60 - node.pos[1]]
    app.canvas.setDirty(true, true)
}"""


def test_a_clip_s_frame_is_clicked_in_too(server: Server, tmp_path: Path) -> None:
    name = server.upload("clicked-frame.png", frame_pixels(6, 320, 240))
    with browser.page(server, tmp_path / "profile") as (page, errors):
        browser.open_graph(page, EXAMPLES / "gossamer_16_video_prompt.json")
        page.evaluate(_SHOWN, name)
        page.wait_for_timeout(2000)
        box = page.locator(".gossamer-points canvas").bounding_box()
        assert box is not None
        scale = min(box["width"] / 320, box["height"] / 240)
        left, top = box["x"] + (box["width"] - 320 * scale) / 2, box["y"] + (box["height"] - 240 * scale) / 2
        page.mouse.click(left + 105 * scale, top + 120 * scale)
        queued = page.evaluate("async () => (await app.graphToPrompt()).output")
        (inputs,) = (one["inputs"] for one in queued.values() if one["class_type"] == "GossamerClipPrompt")
        (point,) = json.loads(inputs["points"])
        assert abs(point["x"] - 105) + abs(point["y"] - 120) <= 4 / scale
        assert (inputs["at"], inputs["box"]) == ("0.24", "40, 55, 170, 185")
        assert errors == []
