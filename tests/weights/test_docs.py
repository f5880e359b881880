from __future__ import annotations

import runpy
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_on_models_says_what_the_catalogue_says() -> None:
    made = runpy.run_path(str(DOCS / "make_models.py"))["page"]()
    assert made == (DOCS / "models.md").read_text("utf-8"), "Type: python docs/make_models.py"
