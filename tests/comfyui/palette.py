# SPDX-License-Identifier: GPL-3.0-or-later
"""ComfyUI's own search for nodes, as a person uses it: opened, and typed into."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

QUERIES = (
    *("remove background", "rembg", "birefnet", "matting", "hair", "segment anything", "sam", "text prompt", "trimap"),
    *("blur background", "green screen", "despill", "feather", "refine mask", "shadow", "product", "crop", "ben2"),
    *("inspyrenet", "vitmatte", "rmbg", "cutout", "transparent", "replace background", "alpha", "foreground"),
    *("composite", "compare", "video", "unload"),
)


_BOX = "input[role=combobox]"
# Two ages of the page: names in labels, or in a result's first line.
_OFFERED = """() => [
    ...[...document.querySelectorAll('.p-autocomplete-option')].map(one => one.ariaLabel),
    ...[...document.querySelectorAll('[data-testid=result-item]')].map(one => one.innerText.split('\\n')[0]),
]"""


def opened(page: Page) -> None:
    """Open the search, over an empty graph."""
    page.evaluate("app.graph.clear()")
    page.evaluate("void app.extensionManager.command.execute('Workspace.SearchBox.Toggle')")
    page.locator(_BOX).first.wait_for(timeout=10_000)


def found(page: Page, query: str, first: int = 3) -> list[str]:
    """Return the display names that the open search offers first."""
    page.locator(_BOX).first.fill(query)
    page.wait_for_timeout(600)  # it waits a moment for more letters
    names = page.evaluate(_OFFERED)
    return [str(name) for name in names[:first]]
