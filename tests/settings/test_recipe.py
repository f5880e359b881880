"""The Recipe and its flattened form."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gossamer.errors import InputError
from gossamer.settings.parameters import parameters, recipe_from_flat
from gossamer.settings.recipe import Recipe


def test_a_recipe_is_hashable_and_frozen() -> None:
    assert hash(Recipe()) == hash(Recipe())
    with pytest.raises(ValueError, match="frozen"):
        Recipe().matting = None  # type: ignore[assignment,misc]


def test_the_issue_s_names_and_defaults_are_kept() -> None:
    found = {parameter.flag: parameter for parameter in parameters()}
    assert found["--matting"].choices[:2] == ("none", "closed_form")
    assert found["--matting"].default == "none"
    assert {"none", "blur_fusion", "multilevel"} <= set(found["--foreground"].choices)
    assert found["--foreground"].default == "auto"  # since it beats multi-level in quality and time
    assert (found["--foreground-radius"].default, found["--foreground-fine-radius"].default) == (90, 6)
    assert found["--background"].default == "transparent"
    assert found["--matting-band"].path == "matting.band"


def test_every_parameter_is_complete() -> None:
    for parameter in parameters():
        assert parameter.help, parameter.path
        assert parameter.title, parameter.path
        if parameter.kind in ("int", "float"):
            assert parameter.minimum is not None, parameter.path
            assert parameter.maximum is not None, parameter.path
            assert parameter.minimum <= float(parameter.default) <= parameter.maximum
        if parameter.kind == "choice":
            assert parameter.default in parameter.choices
    names = [parameter.name for parameter in parameters()]
    assert len(set(names)) == len(names)


def test_flat_names_reach_their_stage_and_others_stay() -> None:
    base = recipe_from_flat({"foreground_radius": 50})
    recipe = recipe_from_flat({"matting": "closed_form", "matting-band": "20"}, base)
    assert (recipe.matting.method, recipe.matting.band, recipe.foreground.radius) == ("closed_form", 20, 50)
    again = recipe_from_flat({parameter.name: _value(recipe, parameter.path) for parameter in parameters()})
    assert again == recipe


def _value(recipe: Recipe, path: str) -> object:
    stage, _, field = path.partition(".")
    return getattr(getattr(recipe, stage), field)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"matting_band": 0}, ["matting.band", "greater than or equal to 1"]),
        ({"matting_band": "wide"}, ["matting.band", "'wide'"]),
        ({"matting": "magic"}, ["matting.method", "closed_form"]),
        ({"colour": 1}, ["no setting colour", "--help"]),
        ({"matting.width": 1}, ["no setting matting.width"]),
        ({"background": "#12345"}, ["#rrggbb"]),
        ({"background": " "}, ["#rrggbb"]),
        ({"background_blur": float("nan")}, ["background.blur"]),
    ],
)
def test_impossible_settings_are_named(values: dict[str, object], words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        recipe_from_flat(values)
    for word in words:
        assert word in str(caught.value)


def test_a_recipe_file_is_toml_or_json(tmp_path: Path) -> None:
    toml, as_json = tmp_path / "hair.toml", tmp_path / "hair.json"
    toml.write_text('[matting]\nmethod = "closed_form"\nband = 25\n', encoding="utf-8")
    as_json.write_text(json.dumps({"matting": {"method": "closed_form", "band": 25}}), encoding="utf-8")
    assert Recipe.load(toml) == Recipe.load(as_json)
    assert Recipe.load(toml).matting.band == 25


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("broken.toml", b"[matting"),
        ("broken.json", b"{"),
        ("list.json", b"[1]"),
        ("binary.toml", b"\xff\xfe\x00"),
        ("unknown.toml", b"[mating]\nband = 3\n"),
        ("absent.toml", None),
    ],
)
def test_a_bad_recipe_file_is_one_sentence(tmp_path: Path, name: str, content: bytes | None) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        Recipe.load(path)
    assert "\n" not in str(caught.value)
