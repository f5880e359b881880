# SPDX-License-Identifier: GPL-3.0-or-later
"""The example workflow in ComfyUI's own page, as a person opens and runs it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from tests.comfyui import browser, graphs
from tests.comfyui.install import cache_folder
from tests.comfyui.server import Server


def test_the_workflow_opens_and_runs(server: Server, astronaut: np.ndarray, tmp_path: Path) -> None:
    server.upload("example.png", astronaut)
    with browser.page(server, tmp_path / "profile") as (page, errors):
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
    with Image.open(picture) as shot:
        pixels = np.asarray(shot.convert("RGB")).astype(int)
    # the astronaut's orange suit: in Load Image, Save Image and Preview Image
    orange = (pixels[:, :, 0] > 180) & (pixels[:, :, 1] < 110) & (pixels[:, :, 2] < 80)
    assert orange.sum() > 10_000
