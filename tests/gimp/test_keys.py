"""The dialog's keys pressed in a real GIMP of another language, and which of its settings are greyed out there."""

from __future__ import annotations

import json
import shutil
from typing import Any

import numpy as np
import pytest

from gossamer.hosts.gimp_languages import catalogue
from gossamer.image import encode_image
from gossamer_gimp.counting import DECIDING, RULES, counts
from tests.cached_weights import cache_folder
from tests.gimp import translations
from tests.gimp.box import in_language
from tests.gimp.conftest import SCRIPTS, make_desk

LANGUAGES = ["de_DE", pytest.param("es_ES", marks=pytest.mark.long), pytest.param("fr_FR", marks=pytest.mark.long)]


@pytest.fixture(scope="module", params=LANGUAGES)
def facts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, cat: np.ndarray) -> dict[str, Any]:
    desk = make_desk(tmp_path_factory.mktemp("gimp"))
    (desk.share / "cat.png").write_bytes(encode_image(cat.astype(np.float32) / 255, None, "png"))
    file = translations.PLUG_IN / "locale" / f"{request.param[:2]}.po"
    said = {one: text.replace("_", "") for one, text in catalogue(file.read_text(encoding="utf-8")).items()}
    done = desk.box.run(
        ["/usr/bin/python3", str(SCRIPTS / "keys.py")],
        env={
            **in_language(request.param, desk.share),
            **{"SHARE": str(desk.share), "SCRIPTS": str(SCRIPTS)},
            **{"SUBJECT": said["S_ubject"], "MODEL": said["_Model"], "CANCEL": said["_Cancel"]},
        },
        timeout=300,
    )
    screens = cache_folder() / "gimp-screens"  # for people to look at, also after a failure
    screens.mkdir(exist_ok=True)
    for screen in desk.share.glob("*.png"):
        shutil.copy(screen, screens)
    assert "Traceback" not in done.stdout, done.stdout[-6000:]
    assert "GUI-TEST-OK" in done.stdout, f"{done.stdout[-3000:]}\nThe screens are in {screens}."
    told: dict[str, Any] = json.loads((desk.share / "keys.json").read_text())
    return told | {"closed": json.loads((desk.share / "closed.json").read_text()), "said": said}


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
    assert int(facts["geometry"]["HEIGHT"]) <= 700
    assert int(facts["geometry"]["WIDTH"]) <= 700


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
