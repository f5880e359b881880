# SPDX-License-Identifier: GPL-3.0-or-later
"""The example workflow in ComfyUI's own page, as a person opens and runs it: its interface, and a newer one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image

from tests.comfyui import browser, graphs
from tests.comfyui.install import cache_folder
from tests.comfyui.server import Server

if TYPE_CHECKING:
    from playwright.sync_api import Page

# Gives a number widget a number as its dialog does; returns what it shows, what it holds and what is queued.
_TYPE_NUMBERS = """async typed => {
    app.graph.clear()
    const told = []
    for (const kind of Object.keys(LiteGraph.registered_node_types).filter(id => id.startsWith('Gossamer'))) {
        const node = LiteGraph.createNode(kind)
        app.graph.add(node)
        for (const widget of node.widgets ?? []) {
            if (typeof widget.value != 'number' || widget.type == 'button') continue
            const first = widget.value
            for (const number of [first, ...typed]) {
                const {min = -Infinity, max = Infinity} = widget.options
                if (number < min || number > max) continue
                widget.value = number
                widget.callback?.(widget.value, app.canvas, node)
                const {output} = await app.graphToPrompt()
                const digits = widget.options.precision ?? 3
                told.push({
                    name: `${kind}.${widget.name}`, typed: number, whole: digits == 0,
                    shown: Number(Number(widget.value).toFixed(digits)), held: widget.value,
                    queued: output[node.id].inputs[widget.name], arrow: widget.options.step2, first,
                })
            }
        }
        app.graph.remove(node)
    }
    return told
}"""


def test_the_workflow_opens_and_runs(either: Server, astronaut: np.ndarray, tmp_path: Path) -> None:
    either.upload("example.png", astronaut)
    with browser.page(either, tmp_path / "profile") as (page, errors):
        browser.open_graph(page, graphs.EXAMPLES / f"{graphs.NAME}.json")
        kind, detail = browser.run_graph(page)
        assert kind == "execution_success", detail
        page.wait_for_function("app.graph.nodes.find(node => node.type == 'SaveImage').imgs?.[0]?.complete")
        browser.fit(page)
        picture = cache_folder() / "comfyui.png"  # to be looked at
        page.screenshot(path=picture)
        assert errors == []
        title = page.evaluate("app.graph.nodes.find(node => node.type == 'GossamerRefine').title")
        assert title == "Refine (Gossamer)"
        missing = page.evaluate("app.graph.nodes.filter(node => node.has_errors).map(node => node.type)")
        assert missing == []
        numbers_are_shown_as_they_are_used(page)
    with Image.open(picture) as shot:
        pixels = np.asarray(shot.convert("RGB")).astype(int)
    # the astronaut's orange suit: in Load Image, Save Image and Preview Image
    orange = (pixels[:, :, 0] > 180) & (pixels[:, :, 1] < 110) & (pixels[:, :, 2] < 80)
    near = cv2.dilate(orange.astype(np.uint8), np.ones((25, 25), np.uint8))
    count, places = cv2.connectedComponents(near)
    suits = [np.count_nonzero(orange[places == place]) for place in range(1, count)]
    assert sum(suit > 1500 for suit in suits) == 3  # what else is orange is a mark of the page's


def numbers_are_shown_as_they_are_used(page: Page) -> None:
    """Whatever is typed, what a widget shows is what it holds and what is queued; tenths are taken as they are."""
    told: list[dict[str, Any]] = page.evaluate(_TYPE_NUMBERS, [0.4, -0.6, 1.26, 15.7, 99.99])
    assert len({one["name"] for one in told}) > 15
    for one in told:
        assert one["shown"] == one["queued"] == one["held"], one
        if one["typed"] in (0.4, -0.6, one["first"]) and not one["whole"]:
            assert one["queued"] == one["typed"], one
        if not one["whole"]:
            assert one["arrow"] <= 0.5, one
