"""The dialog's keys pressed in a real GIMP of another language, and which of its settings are greyed out there."""

from __future__ import annotations

import contextlib
import http.server
import json
import re
import threading
import time
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pytest

import gossamer
from gossamer.hosts.gimp_languages import catalogue
from gossamer_gimp.counting import DECIDING, RULES, counts
from tests.gimp import translations
from tests.gimp.box import in_language
from tests.gimp.conftest import driven, make_desk

LANGUAGES = ["de_DE", pytest.param("es_ES", marks=pytest.mark.long), pytest.param("fr_FR", marks=pytest.mark.long)]


class Trickling(http.server.BaseHTTPRequestHandler):
    """Serves any file of the catalogue, as zeros, and so slowly that it never comes."""

    def do_GET(self) -> None:
        sizes = {one.filename: one.bytes for card in gossamer.load_catalogue().values() for one in card.weights}
        self.send_response(200)
        self.send_header("Content-Length", str(sizes[PurePosixPath(self.path).name]))
        self.end_headers()
        with contextlib.suppress(OSError):  # who has enough hangs up
            while True:
                self.wfile.write(bytes(1 << 18))
                time.sleep(0.05)


@pytest.fixture(scope="module", params=LANGUAGES)
def facts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, cat: np.ndarray) -> dict[str, Any]:
    file = translations.PLUG_IN / "locale" / f"{request.param[:2]}.po"
    said = {one: text.replace("_", "") for one, text in catalogue(file.read_text(encoding="utf-8")).items()}
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Trickling) as mirror:
        thread = threading.Thread(target=mirror.serve_forever)
        thread.start()
        env = {
            **{"SUBJECT": said["S_ubject"], "MODEL": said["_Model"], "CANCEL": said["_Cancel"]},
            **{"GOSSAMER_MIRROR": f"http://127.0.0.1:{mirror.server_port}", "NO_PROXY": "*"},
        }
        try:
            desk = driven(
                lambda: make_desk(tmp_path_factory.mktemp("gimp")),
                "keys.py",
                cat,
                lambda desk: {**in_language(request.param, desk.share), **env},
            )
        finally:
            mirror.shutdown()
            thread.join()
    told: dict[str, Any] = json.loads((desk.share / "keys.json").read_text())
    return told | {
        "closed": json.loads((desk.share / "closed.json").read_text()),
        "said": said,
        "texts": catalogue(file.read_text(encoding="utf-8")),
        "weights": sorted(path.name for path in (desk.share / "home").rglob("*.onnx")),
        "models": {path.suffix for path in (desk.share / "home/models").iterdir() if path.is_file()},
    }


def test_each_key_brings_to_what_it_names(facts: dict[str, Any]) -> None:
    said = [facts["said"][one] for one in ("S_ubject", "_Edge", "_View", "Ou_tput", "_Model")]
    assert [text for _key, text, _focused in facts["pressed"]][:5] == said
    assert [text for _key, text, focused in facts["pressed"] if focused != [text]] == []
    letters = [key.lower() for key, *_ in facts["keys"]]
    assert sorted(set(letters)) == sorted(letters)
    assert facts["unfolded"] == [False, True]
    assert facts["brush"] == [True, False]


def test_it_speaks_the_language_and_fits_a_small_screen(facts: dict[str, Any]) -> None:
    said, texts = facts["said"], [text for _key, text, _kind in facts["keys"]]
    for one in ("S_ubject", "_Edge", "_View", "Ou_tput", "_Model", "_Advanced", "Refine _brush"):
        assert said[one] in texts
    assert not any(label and label.replace("_", "") in ("Help", "Cancel", "Reset") for label in facts["buttons"])
    assert len(facts["buttons"]) >= 4
    assert len(facts["geometry"]) == 4  # unfolded; with the brush's hint and without; while a model comes
    for seen in facts["geometry"]:
        assert seen["HEIGHT"] <= 700
        assert seen["WIDTH"] <= 700


def test_what_does_not_count_is_greyed_out(facts: dict[str, Any]) -> None:
    assert len(facts["all greyed"]) > 30
    for seen in facts["all greyed"]:
        assert seen["greyed"] == sorted(name for name in RULES if not counts(name, seen.__getitem__)), seen
    assert {name for seen in facts["all greyed"] for name in seen["greyed"]} == set(RULES)


def test_a_subject_chosen_by_keys_greys_the_model_out_and_its_key_does_nothing(facts: dict[str, Any]) -> None:
    assert facts["before"]["subject"] == "balanced"
    assert facts["after"]["subject"] == "box"
    assert "model" not in facts["before"]["greyed"]
    assert "model" in facts["after"]["greyed"]
    assert facts["focus"] == facts["still"] == [facts["said"]["S_ubject"]]


def test_a_button_s_key_presses_it(facts: dict[str, Any]) -> None:
    assert facts["closed"] == {"went on": False, "subject": "box"}
    assert {"subject", "output"} <= DECIDING


def test_a_model_is_fetched_after_consent_and_can_be_stopped(facts: dict[str, Any]) -> None:
    texts = facts["texts"]
    assert facts["missing"]["button"] == texts["_Fetch…"]
    assert "CC-BY-NC-4.0" in facts["missing"]["told"]
    assert facts["asked"]["sensitive"] is False  # before the licence is ticked
    assert facts["ticked"]["sensitive"] is True
    assert texts["Fetch the model {name}?"].format(name="BRIA RMBG 2.0") in facts["asked"]["texts"]
    size = texts["{least} to {most} MB"].format(least=885, most=1024)
    assert any(size in text and "CC-BY-NC-4.0" in text for text in facts["asked"]["texts"])
    assert facts["coming"]["button"] == texts["Stop Fetching"]
    coming = re.escape(texts["Fetching {name}: {done} of {size}"]).replace(r"\{name\}", "rmbg-2.0")
    coming = coming.replace(r"\{done\}", r"[\d.]+").replace(r"\{size\}", r"[\d.]+ MB")
    assert re.fullmatch(coming, facts["coming"]["told"])
    assert facts["stopped"]["button"] == texts["_Fetch…"]
    assert facts["stopped"]["told"] == facts["missing"]["told"]
    assert facts["here"]["button"] is None
    assert "U²-Net" in facts["here"]["told"]
    assert facts["weights"] == ["u2netp.onnx"]
    assert facts["models"] <= {".onnx", ".part", ".lock"}


def test_where_words_are_not_understood_a_tip_says_what_it_takes(facts: dict[str, Any]) -> None:
    (remedy,) = (text for one, text in facts["texts"].items() if one.startswith("By a description: no model"))
    assert facts["here"]["tip"].endswith(remedy)
