from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from gossamer.weights.catalogue import load_catalogue

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", ["models.md", "choosing.md"])
def test_the_pages_on_models_say_what_the_catalogue_says(name: str) -> None:
    made = runpy.run_path(str(DOCS / "make_models.py"))["page"](name)
    assert made == (DOCS / name).read_text("utf-8"), "Type: python docs/make_models.py"


def test_the_page_for_choosing_has_every_model_with_its_licence() -> None:
    text = (DOCS / "choosing.md").read_text("utf-8")
    rows = re.findall(r"^\| `([a-z0-9.-]+)` \| [^|]+ \| [^|]+ \| \[([^]]+)\]", text, re.MULTILINE)
    assert rows == [(card.id, card.licence) for card in load_catalogue().values()]


def test_the_page_for_choosing_names_only_models_that_there_are() -> None:
    """In its questions as well: what is in code there and looks like an id is one."""
    text = (DOCS / "choosing.md").read_text("utf-8")
    families = ("u2net", "isnet", "birefnet", "rmbg", "ben2", "inspyrenet", "modnet", "lucida", "toonout", "silueta")
    named = {word for word in re.findall(r"`([a-z0-9.-]+)`", text) if word.startswith(families)}
    assert named == set(load_catalogue())


def test_the_pictures_of_the_page_for_choosing_are_there() -> None:
    pictures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", (DOCS / "choosing.md").read_text("utf-8"))
    assert pictures == ["choosing.jpg", "choosing-edges.jpg"]
    assert sum((DOCS / name).stat().st_size for name in pictures) < 400_000
