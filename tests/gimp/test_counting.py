"""Which settings are greyed out in GIMP's dialog: those, and only those, that change nothing."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
import pytest

import gossamer
from gossamer.settings.parameters import recipe_from_flat
from gossamer_gimp.counting import DECIDING, RULES, counts
from tests.gimp import translations

KNOWN = {
    one["name"].replace("_", "-"): one
    for one in json.loads((translations.PLUG_IN / "parameters.json").read_text(encoding="utf-8"))["arguments"]
}
SUBJECTS = ("balanced", "fast", "best", "box", "limit", "scribbles", "trimap", "text", "existing")
OUTPUTS = ("layer", "mask", "mask-add", "mask-intersect", "mask-subtract", "selection", "channel", "image", "layers")
OUTPUTS = (*OUTPUTS, "finished")
START = {"subject": "balanced", "output": "layer", **{name: one["default"] for name, one in KNOWN.items()}}
CHANGED = {
    "matting-band": 4,
    "matting-unit": "px",
    "matting-screen": "#0000ff",
    "foreground": "none",
    "foreground-radius": 11,
    "foreground-fine-radius": 3,
    "foreground-decontaminate": 40.0,
    "foreground-despill": "green",
    "foreground-despill-strength": 0.3,
}
"""Of each setting that the library's own stages have: another value than the default."""


def counting(name: str, **settings: Any) -> bool:
    now = START | {one.replace("_", "-"): value for one, value in settings.items()}
    return counts(name, now.__getitem__)


def test_every_rule_is_of_settings_and_values_that_there_are() -> None:
    assert {"model", *KNOWN} >= set(RULES)
    values = {"subject": SUBJECTS, "output": OUTPUTS}
    for conditions in RULES.values():
        for name, some in itertools.chain.from_iterable(one.items() for one in conditions):
            assert set(some) < set(values.get(name) or KNOWN[name]["choices"]), name
    assert {"subject", "output", "matting", "foreground", "foreground-despill"} == DECIDING
    assert all(counting(name) for name in KNOWN if name not in RULES)


@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.parametrize("name", ["model", "segmentation-detail", "segmentation-flips", "segmentation-resolution"])
def test_a_model_counts_where_it_finds_the_subject_by_itself(name: str, subject: str) -> None:
    assert counting(name, subject=subject) is (subject in ("balanced", "fast", "best", "limit"))


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("name", ["foreground", "foreground-decontaminate", "foreground-despill"])
def test_colours_count_where_there_are_some(name: str, output: str) -> None:
    assert counting(name, output=output) is (output in ("layer", "image", "layers", "finished"))


@pytest.mark.parametrize("matting", KNOWN["matting"]["choices"])
def test_what_belongs_to_a_network_counts_with_it_alone(matting: str) -> None:
    assert counting("matting-model", matting=matting) is (matting == "vitmatte")


def test_the_band_of_a_trimap_is_its_own() -> None:
    for name, matting in (("matting-band", "closed_form"), ("matting-unit", "knn"), ("matting-screen", "key")):
        assert counting(name, matting=matting)
        assert not counting(name, matting=matting, subject="trimap")


class Scene:
    """A disc before a green screen, its edge soft, and a mask of it."""

    def __init__(self) -> None:
        side = 96
        rows, columns = np.mgrid[:side, :side].astype(np.float32)
        self.alpha = np.clip((30 - np.hypot(rows - side / 2, columns - side / 2)) / 6 + 0.5, 0, 1)
        texture = 0.05 * np.random.default_rng(1).standard_normal((side, side, 1)).astype(np.float32)
        subject = np.float32([0.5, 0.6, 0.3]) + texture  # with some of the screen's light on it
        screen = np.float32([0.1, 0.7, 0.2]) + 0.2 * texture
        mixed = self.alpha[..., None] * subject + (1 - self.alpha[..., None]) * screen
        self.pixels = np.round(mixed.clip(0, 1) * 255).astype(np.uint8)
        self.mask = cv2.GaussianBlur(self.alpha, (0, 0), 1.5)

    def cut(self, settings: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
        flat = {name.replace("-", "_"): value for name, value in settings.items() if name in KNOWN}
        cutout = gossamer.refine(self.pixels, self.mask, recipe_from_flat(flat))
        return cutout.alpha, np.asarray(cutout.pixels)


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene()


@pytest.mark.parametrize("matting", ["auto", "none", "closed_form", "from_mask", "guided", "key"])
@pytest.mark.parametrize("name", ["matting-band", "matting-unit", "matting-screen"])
def test_the_library_agrees_on_mattings(scene: Scene, name: str, matting: str) -> None:
    now = START | {"matting": matting, "matting-band": 20, "matting-unit": "relative"}
    same = np.array_equal(scene.cut(now)[0], scene.cut(now | {name: CHANGED[name]})[0])
    assert same is not counting(name, matting=matting)


@pytest.mark.parametrize("despill", ["auto", "none", "green"])
@pytest.mark.parametrize("matting", ["none", "key"])
@pytest.mark.parametrize("foreground", KNOWN["foreground"]["choices"])
@pytest.mark.parametrize("name", [name for name in CHANGED if name.startswith("foreground")])
def test_the_library_agrees_on_colours(scene: Scene, name: str, foreground: str, matting: str, despill: str) -> None:
    now = START | {"matting": matting, "foreground": foreground, "foreground-despill": despill}
    if now[name] == CHANGED[name]:
        now[name] = START[name]
    same = np.array_equal(scene.cut(now)[1], scene.cut(now | {name: CHANGED[name]})[1])
    by_itself = name == "foreground-despill-strength" and despill == "auto"  # it may find nothing to take off
    assert same is not counts(name, now.__getitem__) or by_itself
