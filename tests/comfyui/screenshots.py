# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of the examples, and of each node for its help page: ``python -m tests.comfyui.screenshots [EXAMPLE ...]``.

Every example is run as a person does, with the smallest model, on a photograph that is in the public domain. Look at
what comes out before it is committed.
"""

from __future__ import annotations

import io
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from skimage import data

from tests.cached_weights import weights_home
from tests.comfyui import browser, examples
from tests.comfyui.graphs import EXAMPLES, NAME
from tests.comfyui.help_pages import DOCS
from tests.comfyui.install import comfyui
from tests.comfyui.server import Server
from tests.video.clips import frame_pixels, make_clip

if TYPE_CHECKING:
    from playwright.sync_api import Page

COMMAND = "python -m tests.comfyui.screenshots"
_EDGE = 24  # pixels of the page around what is shown
_WIDEST = 1400  # of an example's picture
_NODE_WIDEST = 420  # of a node's

_FRAME = """name => {
    const shown = {filename: name, subfolder: "", type: "input", width: 320, height: 240}
    const node = app.graph.nodes.find(one => one.type == "GossamerClipPrompt")
    node.onExecuted({gossamer_source: [shown]})
}"""


def prepared(server: Server) -> None:
    """Put what the examples read into the input folder."""
    person = np.asarray(data.astronaut())
    inside = server.base / "input"
    rows, columns = np.mgrid[:512, :512]
    blob = ((columns - 220) / 150) ** 2 + ((rows - 280) / 220) ** 2 < 1
    server.upload("painted.png", np.dstack([person, np.where(blob, 0, 255).astype(np.uint8)]))
    server.upload(examples.PICTURE, person)
    make_clip(inside / examples.CLIP, 12, 320, 240, codec="libx264", layout="yuv420p", sound="aac")
    server.upload(examples.FRAME, frame_pixels(6, 320, 240))
    (inside / "photos").mkdir(exist_ok=True)
    for name, picture in (("astronaut.png", person), ("cat.png", np.asarray(data.chelsea()))):
        Image.fromarray(picture).save(inside / "photos" / name)


def small_models(name: str) -> dict[str, Any]:
    """Return an example as people get it, with the smallest models in it."""
    graph = json.loads((EXAMPLES / f"{name}.json").read_text(encoding="utf-8"))
    for one in graph["nodes"] if not name.endswith("_prompt") else ():  # which is not run
        values = one.get("widgets_values", [])
        if one["type"] == "GossamerLoadPromptModels":
            values[0] = "grabcut"
        if one["type"] == "GossamerLoadModel" and values[0] == "auto":
            values[0] = "u2netp"
        if one["type"] == "GossamerRemoveBackground":
            values[3] = "u2netp"
        if one["type"] == "GossamerCutOutVideo":
            values[0] = "none"
        if one["type"] == "GossamerCutOutFrames":
            values[0] = "none"
        if one["type"] == "LoadImage" and ("painted" in name or "trimap" in name):
            values[0] = "painted.png"
    return graph


def shot(page: Page, box: list[float], widest: int) -> Image.Image:
    """Return a picture of a part of the graph, at most `widest` pixels wide."""
    x, y, width, height = box
    seen = page.evaluate(
        """([x, y, width, height, edge]) => {
            const canvas = app.canvas.canvas.getBoundingClientRect()
            const room = [canvas.width - 460, canvas.height - 260]
            const ds = app.canvas.ds
            ds.scale = Math.min(1, room[0] / (width + 2 * edge), room[1] / (height + 2 * edge))
            ds.offset[0] = -x + edge + 90 / ds.scale
            ds.offset[1] = -y + edge + 140 / ds.scale
            app.canvas.setDirty(true, true)
            return {x: canvas.x + 90, y: canvas.y + 140,
                    width: (width + 2 * edge) * ds.scale, height: (height + 2 * edge) * ds.scale}
        }""",
        [x, y, width, height, _EDGE],
    )
    page.wait_for_timeout(700)
    with Image.open(io.BytesIO(page.screenshot(clip=seen))) as taken:
        picture = taken.convert("RGB")
    picture.thumbnail((widest, widest), Image.Resampling.LANCZOS)
    return picture


def boxes(page: Page) -> list[tuple[str, list[float]]]:
    """Return what nodes there are, and their places."""
    return [
        (kind, place) for kind, *place in page.evaluate("app.graph.nodes.map(one => [one.type, ...one.boundingRect])")
    ]


def around(places: list[list[float]]) -> list[float]:
    """Return the box around several."""
    left, top = min(one[0] for one in places), min(one[1] for one in places)
    right, bottom = max(one[0] + one[2] for one in places), max(one[1] + one[3] for one in places)
    return [left, top, right - left, bottom - top]


def taken(server: Server, names: list[str], profile: Path) -> None:
    """Run examples and save their pictures and those of their nodes."""
    done: set[str] = set()
    with browser.page(server, profile) as (page, errors):
        page.set_viewport_size({"width": 2200, "height": 1400})
        for name in names:
            graph = profile / f"{name}.json"
            graph.write_text(json.dumps(small_models(name)), encoding="utf-8")
            browser.open_graph(page, graph)
            if name.endswith("_prompt"):  # its model is large, too: what a run shows of the frame is put there
                page.evaluate(_FRAME, examples.FRAME)
                page.wait_for_timeout(2500)
            elif "text" not in name:  # its models are large
                kind, detail = browser.run_graph(page, 300)
                print(name, kind, detail.get("exception_message", ""), flush=True)
                page.wait_for_timeout(2500)
            found = boxes(page)
            shot(page, around([place for _, place in found]), _WIDEST).save(
                EXAMPLES / f"{name}.jpg", quality=82, optimize=True
            )
            for kind, place in found:
                if kind.startswith("Gossamer") and kind not in done:
                    done.add(kind)
                    shot(page, place, _NODE_WIDEST).save(DOCS / f"{kind}.jpg", quality=80, optimize=True)
        kinds = page.evaluate("Object.keys(LiteGraph.registered_node_types).filter(id => id.startsWith('Gossamer'))")
        for kind in sorted(set(kinds) - done) if len(names) > 1 else ():
            page.evaluate(
                "kind => { app.graph.clear(); const one = LiteGraph.createNode(kind); app.graph.add(one) }", kind
            )
            page.wait_for_timeout(300)
            shot(page, boxes(page)[0][1], _NODE_WIDEST).save(DOCS / f"{kind}.jpg", quality=80, optimize=True)
        print(errors)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        server = Server(comfyui(), Path(folder) / "comfyui", weights_home())
        try:
            server.wait()
            prepared(server)
            (Path(folder) / "profile").mkdir()
            taken(server, sys.argv[1:] or [NAME, *examples.GRAPHS], Path(folder) / "profile")
        finally:
            server.stop()
