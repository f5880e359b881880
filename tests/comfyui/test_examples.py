# SPDX-License-Identifier: GPL-3.0-or-later
"""The example graphs: written as the nodes are, run, and compared with the library's pixels."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import gossamer
from gossamer import Prompt
from gossamer.canvas import crop_box, paste_back, preset
from gossamer.compositing import over, parse_colour
from gossamer.foreground import estimate_foreground
from gossamer.matting import closed_form_alpha, trimap_from_mask
from gossamer.settings import recipe_from_flat
from tests.cached_weights import weights_home
from tests.comfyui import browser, examples
from tests.comfyui.graphs import EXAMPLES, node
from tests.comfyui.install import REPOSITORY
from tests.comfyui.server import Graph, Server
from tests.comfyui.test_graphs import difference
from tests.prompting.tiny_models import save_grounding_dino, save_sam2

NAMES = [name.partition("_")[2].partition("_")[2] for name in examples.GRAPHS]


# Tested below, and with the nodes for clips, their prompts and folders.
ELSEWHERE = ("text", "video", "video_to_prores", "video_frames", "folder", "video_prompt", "frames_prompt")


@pytest.fixture(autouse=True)
def _own_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOSSAMER_HOME", str(weights_home()))


def shipped(name: str) -> Graph:
    """Return an example as it is shipped for scripts, with the smallest model and GrabCut."""
    (whole,) = (each for each in examples.GRAPHS if each.endswith(f"_{name}"))
    graph: Graph = json.loads((EXAMPLES / "api" / f"{whole}.json").read_text(encoding="utf-8"))
    for one in graph.values():
        if "model" in one["inputs"] and not isinstance(one["inputs"]["model"], list):
            one["inputs"]["model"] = "u2netp"
        if one["class_type"] == "GossamerLoadPromptModels":
            one["inputs"]["prompt_model"] = "grabcut"
    return graph


def painted() -> np.ndarray:
    """What somebody paints over the astronaut, (H, W) bool."""
    rows, columns = np.mgrid[:512, :512]
    return ((columns - 220) / 150) ** 2 + ((rows - 280) / 220) ** 2 < 1


def expected(name: str, picture: np.ndarray) -> np.ndarray:
    """Return what the library makes of it: the last picture that the graph saves."""
    pipeline = gossamer.Pipeline(model="u2netp", device="cpu")
    blob = painted().astype(np.float32)
    if name in ("points", "painted"):
        points = {"points": [(220, 150), (200, 400)], "boxes": [(19, 15, 512, 512)]}
        prompt = Prompt(**points) if name == "points" else Prompt(mask=blob)
        cutout = gossamer.open(picture, prompt_model="grabcut", device="cpu").cutout(prompt)
        return np.dstack([cutout.foreground, cutout.alpha])
    if name == "trimap":
        alpha = closed_form_alpha(picture, trimap_from_mask(blob, band=20))
        return over(picture, alpha, parse_colour("#3366cc"))
    mask = pipeline.load().predict(picture)
    if name == "hair":
        alpha = closed_form_alpha(picture, trimap_from_mask(mask, picture))
        return np.dstack([estimate_foreground(picture, alpha).foreground, alpha])
    if name == "compare":
        return np.zeros((*mask.shape, 3))  # the same model twice: no disagreement
    cutout = pipeline.run(picture, recipe=recipe_from_flat({"background": "blur" if "blur" in name else "transparent"}))
    if name == "blur_background":
        return cutout.composite
    rgba = np.dstack([cutout.foreground, cutout.alpha])
    if name == "product":
        recipe = preset("amazon").recipe(recipe_from_flat({"shadow": "contact"}))
        recipe = recipe_from_flat({"background": "transparent", "output_srgb": False}, recipe)
        finished = gossamer.finish_cutout(rgba, recipe, colours="straight")
        return over(finished.composite, finished.composite_alpha, np.ones(3, np.float32))
    if name == "shadow":
        finished = gossamer.finish_cutout(rgba, recipe_from_flat({"shadow": "drop"}), colours="straight")
        return np.dstack([finished.composite, finished.composite_alpha])
    if name == "crop_and_paste":
        box = crop_box([cutout.alpha], margin=10, multiple=8)
        left, top, right, bottom = (int(side) for side in box)
        part = picture[top:bottom, left:right] / np.float32(255)
        return paste_back(picture, 1 - part, box, mask=cutout.alpha[top:bottom, left:right], feather=16)
    return rgba


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ELSEWHERE])
def test_an_example_gives_the_library_s_pixels(server: Server, astronaut: np.ndarray, name: str) -> None:
    picture = astronaut
    if name in ("painted", "trimap"):
        picture = np.dstack([astronaut, np.where(painted(), 0, 255).astype(np.uint8)])
    server.upload(examples.PICTURE, picture)
    graph = shipped(name)
    run = server.run(graph)
    assert (run.status, run.message) == ("success", "")
    last = max((key for key, one in graph.items() if one["class_type"] in ("SaveImage", "PreviewImage")), key=int)
    if name == "hair":
        last = "7"
    (shown,) = server.pictures(run, last)
    assert difference(shown, expected(name, astronaut)) <= 2


def test_the_text_s_example(server: Server, astronaut: np.ndarray, tmp_path: Path) -> None:
    server.upload(examples.PICTURE, astronaut)
    models = f"{save_grounding_dino(tmp_path / 'dino')},{save_sam2(tmp_path / 'sam2')}"
    graph = shipped("text")
    graph["2"]["inputs"]["other_model"] = models
    graph["3"]["inputs"] |= {"text": "the lamp", "box_threshold": 0.01, "text_threshold": 0.01, "on_empty": "full"}
    run = server.run(graph)
    session = gossamer.open(astronaut, prompt_model=models, device="cpu")
    cutout = session.cutout(Prompt(text="the lamp"), box_threshold=0.01, text_threshold=0.01, on_empty="full")
    assert difference(server.pictures(run, "4")[0], np.dstack([cutout.foreground, cutout.alpha])) <= 1


def test_the_video_s_example(server: Server, cat: np.ndarray) -> None:
    frame = cat[:300, :448]
    graph: Graph = {
        "picture": node("LoadImage", image=server.upload("frame.png", frame)),
        "frames": node("RepeatImageBatch", image=["picture", 0], amount=3),
        "video": node("CreateVideo", images=["frames", 0], fps=12.0),
        "saved": node("SaveVideo", video=["video", 0], filename_prefix="clip", format="mp4", codec="h264"),
    }
    assert server.run(graph).status == "success"
    (clip,) = (server.base / "output").glob("clip*.mp4")
    clip.rename(server.base / "input" / examples.CLIP)
    graph = shipped("video")
    graph["4"]["inputs"]["lossless"] = True
    graph["seen"] = node("WriteTensor", tensor=["2", 0], name="frames")  # newer servers decode finer than 8 bits
    assert server.run(graph).status == "success"
    seen = np.load(server.base / "output" / "frames.npy")[0]
    cutout = gossamer.Pipeline(model="u2netp", quality="fast", device="cpu").run(seen)
    (saved,) = (server.base / "output" / "gossamer").glob("clip*.webp")
    with Image.open(io.BytesIO(saved.read_bytes())) as animated:
        assert animated.n_frames >= 1
        alpha = np.asarray(animated.convert("RGBA"))[:, :, 3]
    assert np.abs(alpha / 255 - cutout.alpha).max() < 0.02


def own_nodes(text: str) -> list[Any]:
    """Return what a graph says of our nodes; of ComfyUI's own, newer servers say more than the one it was made for."""
    graph = json.loads(text)
    graphs = (graph, *graph.get("definitions", {}).get("subgraphs", ()))
    told = ("type", "inputs", "outputs", "properties", "widgets_values")
    return [
        [box.get(each) for each in told] for one in graphs for box in one["nodes"] if box["type"].startswith("Gossamer")
    ]


def test_examples_are_as_the_nodes_are(server: Server) -> None:
    is_newer = not server.get("/system_stats")["system"]["comfyui_version"].startswith("0.3.")
    for file, text in examples.written(server.get("/object_info")).items():
        found = file.read_text(encoding="utf-8")
        if is_newer and '"nodes"' in text:
            assert own_nodes(found) == own_nodes(text) != [], f"Type: {examples.COMMAND}"
        else:
            assert found == text, f"Type: {examples.COMMAND}"
        if file.parent == EXAMPLES:
            with Image.open(file.with_suffix(".jpg")) as picture:
                assert np.asarray(picture).std() > 10


def test_the_client_queues_follows_and_fetches(server: Server, cat: np.ndarray, tmp_path: Path) -> None:
    Image.fromarray(cat).save(tmp_path / "cat.png")
    (tmp_path / "workflow.json").write_text(json.dumps(shipped("simple")), encoding="utf-8")
    command = [sys.executable, REPOSITORY / "docs" / "comfyui_client.py", "workflow.json", "cat.png"]
    address = f"127.0.0.1:{server.port}"
    done = subprocess.run([*command, address], cwd=tmp_path, capture_output=True, text=True, check=True)
    (file,) = tmp_path.glob("simple*.png")
    assert str(file.name) in done.stdout
    cutout = gossamer.Pipeline(model="u2netp", device="cpu").run(cat)
    assert difference(np.asarray(Image.open(file)), np.dstack([cutout.foreground, cutout.alpha])) <= 1


# What is seen of each node: in Nodes 2.0 the page's own boxes, on the classic canvas the graph's.
_BOXES = """() => {
    const corners = ([x, y, width, height]) => [x, y, x + width, y + height]
    return app.graph.nodes.map(node => {
        const box = document.querySelector(`[data-node-id="${node.id}"]`)?.getBoundingClientRect()
        return [node.type, !!box, ...corners(box ? [box.x, box.y, box.width, box.height] : node.boundingRect)]
    })
}"""


@pytest.mark.parametrize(("either", "drawn"), [("own", "classic"), ("1.58.1", "2.0")], indirect=["either", "drawn"])
def test_no_two_boxes_overlap(either: Server, drawn: str, tmp_path: Path) -> None:
    with browser.page(either, tmp_path / "profile") as (page, _):
        for name in (*examples.GRAPHS, "gossamer_remove_background"):
            browser.open_graph(page, EXAMPLES / f"{name}.json")
            boxes = page.evaluate(_BOXES)
            for i, (kind, new, left, top, right, bottom) in enumerate(boxes):
                assert new == (drawn == "2.0"), (name, kind)
                assert right - left > 20, (name, kind)
                assert bottom - top > 20, (name, kind)
                for other, _, start, high, end, low in boxes[i + 1 :]:
                    apart = left >= end or start >= right or top >= low or high >= bottom
                    assert apart, (name, kind, other)
