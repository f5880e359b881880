# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong is said in one sentence with its remedy, and the server stays usable."""

from __future__ import annotations

import json
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from tests.cached_weights import weights_home
from tests.comfyui import graphs
from tests.comfyui.graphs import COMPOSITE, LOAD, MODEL, PREDICT, REFINE, SAVE, node
from tests.comfyui.server import Server


@pytest.fixture(scope="module")
def picture(server: Server, cat: np.ndarray) -> str:
    """An uploaded photograph, 451 x 300."""
    return server.upload("cat.png", cat)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (
            "gossamer/missing.onnx",
            "There is no model file gossamer/missing.onnx in ComfyUI's model folders. Put the file into {gossamer},",
        ),
        ("gossamer/../../secret.onnx", "There is no model file gossamer/../../secret.onnx"),
        ("/etc/passwd.onnx", "There is no model file /etc/passwd.onnx in ComfyUI's model folders."),
        ("u2nett", "There is no model 'u2nett'. Did you mean u2net or u2netp?"),
        (
            "gossamer/of-my-own.onnx",
            "Nothing says what of-my-own.onnx is and how to feed it. Name its architecture, e.g. isnet.",
        ),
    ],
    ids=["no file", "outside", "absolute", "misspelt", "unknown"],
)
def test_a_model_that_cannot_be_had(server: Server, picture: str, model: str, said: str) -> None:
    graph = graphs.example(picture)
    graph[MODEL]["inputs"]["model"] = model
    run = server.run(graph)
    assert run.status == ("error" if "own" in model else "refused")  # a name is looked up before anything runs
    assert run.node == MODEL
    said = said.format(gossamer=server.base / "models" / "gossamer")
    assert said in run.message
    assert "\n" not in run.message
    assert server.run(graphs.example(picture)).status == "success"


def test_a_mask_of_another_size(server: Server, picture: str) -> None:
    graph = graphs.example(picture)
    graph["small"] = node("SolidMask", value=1.0, width=64, height=48)
    for key in (REFINE, COMPOSITE):
        wrong = json.loads(json.dumps(graph))
        wrong[key]["inputs"]["mask"] = ["small", 0]
        run = server.run(wrong)
        name = "image" if key == REFINE else "foreground"
        assert run.error["node_id"] == key
        assert run.error["exception_type"] == "gossamer.errors.InputError"
        assert run.message == (
            f"The mask is 64 x 48 pixels, but the {name} is 451 x 300. "
            f"Make the mask from this very {name}, or resize one to the other's size."
        )


def test_batches_that_do_not_fit(server: Server, picture: str) -> None:
    graph = graphs.example(picture)
    graph["three"] = node("RepeatImageBatch", image=[LOAD, 0], amount=3)
    graph["two"] = node("RepeatImageBatch", image=[LOAD, 0], amount=2)
    graph["two masks"] = node("ImageToMask", image=["two", 0], channel="red")
    graph[REFINE]["inputs"].update(image=["three", 0], mask=["two masks", 0])
    run = server.run(graph)
    assert run.message == (
        "The batches do not fit together: 3 in image, 2 in mask. Give batches of the same length, or of one."
    )


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"matting_band": 0}, "Value 0 smaller than min of 1"),
        ({"foreground_radius": 100000}, "Value 100000 bigger than max of 1000"),
        ({"foreground_radius": "wide"}, "invalid literal for int()"),
        ({"matting": "magic"}, "'magic'"),
    ],
    ids=["low", "high", "text", "choice"],
)
def test_a_bad_parameter(server: Server, picture: str, settings: dict[str, Any], said: str) -> None:
    run = server.run(graphs.example(picture, **settings))
    assert run.status in ("refused", "error")
    assert said in json.dumps(run.error)
    if "matting" in settings:  # servers from 0.25 on look at lists themselves
        ours = "The setting matting.method cannot be 'magic'. Choose one of: auto, none, closed_form"
        assert run.message.startswith((ours, "matting: 'magic' not in"))


def test_a_bad_colour(server: Server, picture: str) -> None:
    graph = graphs.example(picture)
    graph[COMPOSITE]["inputs"]["colour"] = "reddish"
    assert (
        server.run(graph).message == "'reddish' is not a colour. Did you mean red? Write it as #rrggbb, e.g. #ffffff."
    )


def test_values_outside_the_range_are_cut_off(server: Server, picture: str) -> None:
    graph = graphs.example(picture)
    graph["bright"] = node("ImageSharpen", image=[LOAD, 0], sharpen_radius=5, sigma=3.0, alpha=5.0)
    graph[REFINE]["inputs"]["image"] = ["bright", 0]
    assert server.run(graph).status == "success"


def test_interrupt_during_a_batch(server: Server, picture: str) -> None:
    graph = graphs.example(picture)
    graph["many"] = node("RepeatImageBatch", image=[LOAD, 0], amount=200)
    graph[PREDICT]["inputs"]["image"] = graph[REFINE]["inputs"]["image"] = ["many", 0]
    run = server.run(graph, lambda kind, data: kind == "progress" and data["node"] == PREDICT)
    assert run.status == "interrupted"
    assert run.seconds_after_interrupt < 3
    assert not [data for kind, data in run.events if kind == "executing" and data["node"] == SAVE]
    assert server.run(graphs.example(picture)).status == "success"


def test_interrupt_within_one_picture(server: Server, picture: str) -> None:
    graph = graphs.example(picture, matting="closed_form", matting_band=60)
    graph["large"] = node(
        "ImageScale", image=[LOAD, 0], upscale_method="bilinear", width=2706, height=1800, crop="disabled"
    )
    graph[PREDICT]["inputs"]["image"] = graph[REFINE]["inputs"]["image"] = ["large", 0]

    def solving(kind: str, data: dict[str, Any]) -> bool:
        return kind == "progress" and data["node"] == REFINE and data["value"] > 5  # matting is 0 to 50

    run = server.run(graph, solving)
    assert run.status == "interrupted"
    assert run.seconds_after_interrupt < 3
    assert server.run(graphs.example(picture)).status == "success"


def test_prompts_queued_at_once_and_a_model_deleted_in_between(server: Server, picture: str) -> None:
    """Two people's prompts: the first goes on, the second is told on the node, and the next ones run."""
    file = server.base / "models" / "gossamer" / "soon-gone.onnx"
    shutil.copy(weights_home() / "models" / "u2netp.onnx", file)
    long, gone, wrong = graphs.example(picture), graphs.example(picture), graphs.example(picture)
    long["many"] = node("RepeatImageBatch", image=[LOAD, 0], amount=20)
    long[PREDICT]["inputs"]["image"] = long[REFINE]["inputs"]["image"] = ["many", 0]
    gone[MODEL]["inputs"] |= {"model": "gossamer/soon-gone.onnx", "architecture": "u2net"}
    wrong["mask"] = node("SolidMask", value=1.0, width=30, height=20)
    wrong[REFINE]["inputs"]["mask"] = ["mask", 0]
    begun = threading.Event()

    def seen(kind: str, data: dict[str, Any]) -> bool:
        if kind == "progress":
            begun.set()
        return False

    with ThreadPoolExecutor() as pool:
        first = pool.submit(server.run, long, seen)
        assert begun.wait(60)
        second = pool.submit(server.another().run, gone)
        third = pool.submit(server.another().run, wrong)
        end = time.monotonic() + 60
        while len(server.get("/queue")["queue_pending"]) < 2:
            assert time.monotonic() < end
            time.sleep(0.05)
        file.unlink()
        assert first.result().status == "success"
        assert (second.result().status, second.result().node) == ("error", MODEL)
        assert "There is no model file gossamer/soon-gone.onnx" in second.result().message
        assert (third.result().status, third.result().node) == ("error", REFINE)
    assert server.run(graphs.example(picture)).status == "success"
