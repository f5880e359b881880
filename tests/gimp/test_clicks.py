"""What a person does in GIMP beside the dialog's own preview: the set-up's buttons, two layers, help, undo, Now."""

from __future__ import annotations

import functools
import http.server
import json
import threading
from typing import Any

import numpy as np
import pytest

import gossamer
from tests.cached_weights import weights_home
from tests.gimp.conftest import driven, make_desk

KEYS = {
    "plug-in-gossamer-set-up": "k",
    "plug-in-gossamer-remove-background": "j",
    "plug-in-gossamer-refine-edge": "u",
    "plug-in-gossamer-cut-out-selection": "y",
    "plug-in-gossamer-remove-background-now": "n",
    "plug-in-gossamer-cut-out-animation": "m",
}


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, cat: np.ndarray) -> dict[str, Any]:
    files = functools.partial(http.server.SimpleHTTPRequestHandler, directory=weights_home() / "models")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), files) as mirror:
        thread = threading.Thread(target=mirror.serve_forever)
        thread.start()
        env = {"GOSSAMER_MIRROR": f"http://127.0.0.1:{mirror.server_port}", "NO_PROXY": "*"}
        try:
            desk = driven(lambda: make_desk(tmp_path_factory.mktemp("gimp")), "clicks.py", cat, lambda _: env, KEYS)
        finally:
            mirror.shutdown()
            thread.join()
    told: dict[str, Any] = json.loads((desk.share / "story.json").read_text())
    return told | {"folder": desk.box.gimp_folder}


def test_the_set_up_restarts_the_worker(story: dict[str, Any]) -> None:
    assert story["restarted"] > 0


def test_the_set_up_removes_a_model_and_fetches_it_after_consent(story: dict[str, Any]) -> None:
    assert story["removed"] is True
    assert story["before consent"] is False
    assert story["fetched"] is True


def test_the_report_has_what_helps_to_find_a_fault(story: dict[str, Any]) -> None:
    report = story["report"]
    assert report.startswith("GIMP 3.")
    assert f"Plug-in of Gossamer {gossamer.__version__} in {story['folder'] / 'plug-ins' / 'gossamer_gimp'}" in report
    for part in ("Set up: True", "worker.json", "worker.log", "serves", "--- doctor", "onnxruntime"):
        assert part in report


def test_what_was_done_before_is_undone_after_cancel(story: dict[str, Any]) -> None:
    assert story["named"]["layers"] == ["named"]
    assert story["undone"]["layers"] == ["cat.png"]


def test_what_is_cut_out_is_what_is_there_on_ok(story: dict[str, Any]) -> None:
    assert story["cut out"] == story["painted"]


def test_a_layer_that_was_cropped_meanwhile_is_refused(story: dict[str, Any]) -> None:
    assert story["cropped"]["size"] == [200, 180]
    for name in ("layers", "visible", "selected", "selection", "channels", "undo", "mask"):
        assert story["cropped"][name] == story["uncropped"][name] == story["before cropping"][name], name


def test_two_selected_layers_are_one_step_of_undo(story: dict[str, Any]) -> None:
    assert sorted(story["two before"]["selected"]) == sorted(story["two undone"]["selected"]) == ["cat.png", "other"]
    assert story["two"]["layers"] == ["other cut-out", "other", "cat.png cut-out", "cat.png"]
    assert story["two"]["visible"] == [True, False, True, False]
    assert sorted(story["two"]["selected"]) == ["cat.png cut-out", "other cut-out"]
    for name in ("layers", "visible", "mask"):
        assert story["two undone"][name] == story["two before"][name], name


def test_now_does_what_was_chosen_last(story: dict[str, Any]) -> None:
    assert story["now"]["layers"] == ["cat.png cut-out", "cat.png"]
    assert story["now"]["digest"] == story["feathered"]["digest"]
    assert story["now"]["digest"] != story["two"]["digest"]  # of the same picture, with the defaults


@pytest.mark.parametrize("output", ["mask", "layer"])
def test_a_text_stays_a_text(story: dict[str, Any], output: str) -> None:
    assert "fault" not in story["text"], story["text"]
    seen = story["text"][output]
    assert seen["kinds"] == [{"mask": "TextLayer", "layer": "Layer"}[output], "TextLayer"]
    assert seen["text"] == "Fine hair"
    assert seen["offsets"] == [[-30, 240], [-30, 240]]
    assert 0.02 < seen["inked"] < 0.5
    assert seen["same"] == [True, True, True]  # its own alpha is what there is, in the mask and in the new layer
    assert seen["visible"] is (output == "mask")
