# SPDX-License-Identifier: GPL-3.0-or-later
"""From folder to folder with the names kept, and nothing replaced unasked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.comfyui.graphs import node
from tests.comfyui.server import Graph, Server


@pytest.fixture(scope="module")
def folder(server: Server) -> dict[str, np.ndarray]:
    """Pictures of several sizes and kinds, one of them damaged; returns what is in them by their names."""
    place = server.base / "input" / "many"
    (place / "inner").mkdir(parents=True)
    random = np.random.default_rng(3)
    pictures = {}
    for name, size in (
        ("two 2.png", (20, 30)),
        ("two 10.PNG", (24, 16)),
        ("same.png", (8, 8)),
        ("inner/ö.png", (9, 7)),
    ):
        pictures[name] = random.integers(0, 256, (*size, 4), np.uint8)
        Image.fromarray(pictures[name]).save(place / name, "PNG")
    Image.fromarray(random.integers(0, 256, (8, 8, 3), np.uint8)).save(place / "same.bmp")
    (place / "broken.png").write_bytes(b"no picture")
    (place / "notes.txt").write_text("no picture", encoding="utf-8")
    return pictures


def graph_of(out: str, **load: object) -> Graph:
    inputs = {"folder": "many", "subfolders": False, "first": 1, "count": 0, **load}
    return {
        "load": node("GossamerLoadFolder", **inputs),
        "save": node(
            "GossamerSaveFolder", image=["load", 0], name=["load", 1], folder=out, format="png", overwrite=False
        ),
    }


def names(server: Server, out: str) -> set[str]:
    place = server.base / "output" / out
    return {path.relative_to(place).as_posix() for path in place.rglob("*.*")} if place.exists() else set()


def test_names_sizes_and_pixels_are_kept(server: Server, folder: dict[str, np.ndarray]) -> None:
    run = server.run(graph_of("kept/deeper", subfolders=True))
    assert (run.status, run.message) == ("success", "")
    assert names(server, "kept/deeper") == {"two 2.png", "two 10.png", "same_png.png", "same_bmp.png", "inner/ö.png"}
    for name, picture in folder.items():
        saved = server.base / "output" / "kept" / "deeper" / name.replace("PNG", "png").replace("same", "same_png")
        assert np.array_equal(np.asarray(Image.open(saved)), picture)
    assert "broken.png is left out" in server.log_tail(200)


def test_some_of_them_in_the_order_of_people(server: Server, folder: dict[str, np.ndarray]) -> None:
    run = server.run(graph_of("some", first=4, count=2))
    assert run.status == "success"
    assert names(server, "some") == {"two 2.png", "two 10.png"}


def test_nothing_is_replaced_unasked(server: Server, folder: dict[str, np.ndarray]) -> None:
    assert server.run(graph_of("once", count=1, first=4)).status == "success"
    before = (server.base / "output" / "once" / "two 2.png").stat().st_mtime_ns
    graph = graph_of("once", count=1, first=4)
    graph["turned"] = node("ImageInvert", image=["load", 0])
    graph["save"]["inputs"]["image"] = ["turned", 0]
    run = server.run(graph)
    assert (run.status, run.node) == ("error", "save")
    assert "once/two 2.png is in the output folder already. Give another folder, or switch on overwrite." in run.message
    assert (server.base / "output" / "once" / "two 2.png").stat().st_mtime_ns == before
    graph["save"]["inputs"]["overwrite"] = True
    assert server.run(graph).status == "success"
    turned = np.asarray(Image.open(server.base / "output" / "once" / "two 2.png"))
    assert np.abs(turned[..., :3].astype(int) - (255 - folder["two 2.png"][..., :3])).max() <= 1


@pytest.mark.parametrize(
    ("where", "inputs", "said"),
    [
        ("load", {"folder": "nowhere"}, "There is no folder 'nowhere'"),
        ("load", {"folder": ""}, "No folder is given"),
        ("load", {"first": 99}, "none from number 99 on"),
        ("save", {"folder": "../elsewhere"}, "is no folder in ComfyUI's output folder"),
        ("save", {"name": "/etc/passwd"}, "is no name in ComfyUI's output folder"),
        ("save", {"name": ""}, "is no name in ComfyUI's output folder"),
    ],
)
def test_what_cannot_be_is_told_on_the_node(
    server: Server, folder: dict[str, np.ndarray], where: str, inputs: dict, said: str, tmp_path: Path
) -> None:
    graph = graph_of("wrong")
    graph[where]["inputs"] |= inputs
    run = server.run(graph)
    assert (run.status, run.node) == ("error", where)
    assert said in run.message
    assert not names(server, "wrong")
