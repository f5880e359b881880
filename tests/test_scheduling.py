"""What begins first is there, and nothing that shares a dear fixture is torn apart."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.scheduling import APART, LONGEST, TOGETHER, longest_first, unit

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("name", [*TOGETHER, *APART, *LONGEST])
def test_what_is_named_is_there(name: str) -> None:
    file, _, function = name.partition("::")
    assert (ROOT / file).exists()
    assert not function or f"def {function}(" in (ROOT / file).read_text("utf-8")


def test_what_is_run_by_one_process() -> None:
    assert unit("tests/comfyui/test_page.py::test_a") == unit("tests/comfyui/test_pack.py::test_b") == "tests/comfyui/"
    assert unit("tests/test_arrays.py::test_a[b::c]") == "tests/test_arrays.py"
    assert unit("tests/test_overlays.py::test_a") != unit("tests/test_overlays.py::test_b")


def test_what_takes_longest_begins_first() -> None:
    def item(nodeid: str, *marks: str) -> Any:
        return SimpleNamespace(nodeid=nodeid, get_closest_marker=lambda name: name if name in marks else None)

    items = [
        item("tests/a.py::quick"),
        item("tests/b.py::quick"),
        item("tests/b.py::long", "long"),
        item("tests/batch/page.py::host", "host"),
        *(item(f"{name}::x", "host", "long") for name in reversed(LONGEST)),
    ]
    longest_first(items)
    found = [each.nodeid for each in items]
    assert found[: len(LONGEST)] == [f"{name}::x" for name in LONGEST]
    assert found[len(LONGEST) :] == [
        *("tests/batch/page.py::host", "tests/b.py::quick", "tests/b.py::long", "tests/a.py::quick"),
    ]
