# SPDX-License-Identifier: GPL-3.0-or-later
"""ComfyUI's own page in a headless Chromium."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.comfyui.server import Server
from tests.debian import debian

if TYPE_CHECKING:
    from playwright.sync_api import Page

_FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
_SETTINGS = {"Comfy.TutorialCompleted": True, "Comfy.Minimap.Visible": False, "Comfy.Graph.CanvasInfo": False}


def chromium() -> str:
    """Return the path of Debian's Chromium; install it where it is missing and we may."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    return found or debian("chromium", "chromium", "fonts-dejavu-core")


@contextmanager
def page(server: Server, profile: Path) -> Iterator[tuple[Page, list[str]]]:
    """Open ComfyUI's page; yields it and the list of its JavaScript errors, which grows."""
    from playwright.sync_api import sync_playwright

    server.post("/api/settings", _SETTINGS)
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            str(profile),
            executable_path=chromium(),
            headless=True,
            args=_FLAGS,
            viewport={"width": 1600, "height": 900},
        )
        try:
            opened, errors = context.pages[0], []
            opened.on("pageerror", lambda error: errors.append(error.message))
            allowed = (server.url, "data:", "blob:")
            # ComfyUI's page asks the internet for fonts and news; tests do not.
            opened.route(lambda address: not address.startswith(allowed), lambda route: route.abort())
            opened.goto(server.url)
            ready = "!!(window.app?.graph && window.LiteGraph?.registered_node_types?.GossamerRefine)"
            opened.wait_for_function(ready, timeout=60_000)
            yield opened, errors
        finally:
            context.close()


def open_graph(page: Page, path: Path) -> None:
    """Open a workflow as a person does with File > Open, and show all of it."""
    nodes = len(json.loads(path.read_text(encoding="utf-8"))["nodes"])
    page.set_input_files("#comfy-file-input", path)
    page.wait_for_function(f"app.graph.nodes.length == {nodes}")
    fit(page)


def fit(page: Page) -> None:
    """Bring the whole graph into view."""
    page.evaluate("app.canvas.fitViewToSelectionAnimated({duration: 1})")
    page.wait_for_timeout(1000)


def run_graph(page: Page, seconds: float = 120) -> tuple[str, dict[str, Any]]:
    """Click Run and wait; returns the last event's name and what it tells."""
    page.evaluate(
        """() => { window.finished = new Promise(resolve => {
            for (const kind of ['execution_success', 'execution_error', 'execution_interrupted'])
                app.api.addEventListener(kind, event => resolve([kind, event.detail])) }) }"""
    )
    page.get_by_test_id("queue-button").first.click()
    kind, detail = page.evaluate(
        """limit => Promise.race([window.finished,
            new Promise(resolve => setTimeout(() => resolve(['timeout', {}]), limit))])""",
        seconds * 1000,
    )
    return kind, detail
