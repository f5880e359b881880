# SPDX-License-Identifier: GPL-3.0-or-later
"""People find our nodes by the words that they type."""

from __future__ import annotations

from pathlib import Path

from tests.comfyui import browser, palette
from tests.comfyui.server import Server


def test_ours_are_among_the_first_that_the_search_offers(either: Server, tmp_path: Path) -> None:
    with browser.page(either, tmp_path / "profile") as (page, errors):
        palette.opened(page)
        offered = {query: palette.found(page, query) for query in palette.QUERIES}
        assert errors == []
    missed = {query: names for query, names in offered.items() if not any("Gossamer" in name for name in names)}
    print(missed)
    assert len(missed) <= 5, missed
