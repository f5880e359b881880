"""The Recipe and its flattened form."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gossamer.errors import InputError
from gossamer.settings.finding import Finding
from gossamer.settings.model_choice import ModelChoice
from gossamer.settings.parameters import parameters, recipe_from_flat
from gossamer.settings.recipe import Matting, Recipe


def test_a_recipe_is_hashable_and_frozen() -> None:
    assert hash(Recipe()) == hash(Recipe())
    with pytest.raises(ValueError, match="frozen"):
        Recipe().matting = None  # type: ignore[assignment,misc]


def test_the_issue_s_names_and_defaults_are_kept() -> None:
    found = {parameter.flag: parameter for parameter in parameters()}
    assert {"none", "closed_form"} <= set(found["--matting"].choices)
    assert found["--matting"].default == "auto"  # since it corrects only where the picture gives evidence
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
        ({"matting_band": 0}, ["matting.band cannot be 0. Give a whole number from 1 to 500."]),
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


NUMBERS = "Give a colour as three or four numbers from 0 to 255, or as a text such as #ffffff."
FILLS = "Give transparent, a colour such as #rrggbb, a picture's path or blur."


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"matting": {"band": True}}, "The setting matting.band cannot be True. Give a whole number from 1 to 500."),
        ({"matting": {"band": 2.5}}, "The setting matting.band cannot be 2.5. Give a whole number from 1 to 500."),
        ({"matting": {"band": None}}, "The setting matting.band cannot be None. Give a whole number from 1 to 500."),
        ({"matting": {"model": b"a"}}, "The setting matting.model cannot be b'a'. Give a text."),
        ({"matting": 5}, 'The setting matting cannot be 5. Give a table of settings, e.g. {"method": "auto"}.'),
        (
            {"refinement": {"feather": False}},
            "The setting refinement.feather cannot be False. Give a number from 0 to 250.",
        ),
        ({"refinement": {"invert": 1}}, "The setting refinement.invert cannot be 1. Give True or False."),
        ({"refinement": {"unit": 1}}, "The setting refinement.unit cannot be 1. Choose one of: px, percent."),
        (
            {"shadow": {"kind": "keep"}},
            "The setting shadow.kind cannot be 'keep'. Did you mean foreground.shadow? Choose one of: none, drop, "
            "contact, reflection.",
        ),
        (
            {"foreground": {"shadow": "drop"}},
            "The setting foreground.shadow cannot be 'drop'. Did you mean shadow.kind? Choose one of: none, keep.",
        ),
        *(
            (
                {"segmentation": {"resolution": given}},
                f"The setting segmentation.resolution cannot be {given!r}. Give a whole number from 0 to 2560, "
                f"in steps of 32{nearest}.",
            )
            for given, nearest in (
                (500, ": the nearest is 512"),
                ("1000", ": the nearest is 992"),
                (-32, ""),
                (4096, ""),
                (True, ""),
            )
        ),
        (
            {"refinement": {"unit": "percent", "smooth": 9}},
            "The setting refinement.smooth cannot be 9. In percent of the diagonal give at most 5.",
        ),
        ({"background": {"fill": 5}}, f"The setting background.fill cannot be 5. {FILLS}"),
        ({"background": {"fill": (1, 2)}}, f"The setting background.fill cannot be (1, 2). {NUMBERS}"),
        ({"background": {"fill": ["a", 2, 3]}}, f"The setting background.fill cannot be ['a', 2, 3]. {NUMBERS}"),
        ({5: 1}, "The name of a setting is of the type int. See: gossamer remove --help"),
        ({"matting": {5: 1}}, "The name of a setting is of the type int. See: gossamer remove --help"),
    ],
)
def test_a_wrong_type_is_answered_in_our_words(settings: dict[str, object], sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        Recipe.of(settings)
    assert str(caught.value) == sentence


def test_a_colour_out_of_range_is_refused_as_numbers_too() -> None:
    for fill in ((256, 0, 0), (0.5, 0.5, 0.5), (1, 2, 3, -1)):
        with pytest.raises(InputError, match=r"The setting background\.fill cannot be .* #rrggbb"):
            Recipe.of({"background": {"fill": fill}})


def test_the_other_settings_answer_alike() -> None:
    with pytest.raises(InputError) as caught:
        Finding.of(box_threshold=True)
    assert str(caught.value) == "The setting box_threshold cannot be True. Give a number from 0 to 1."
    with pytest.raises(InputError) as caught:
        ModelChoice.of(compile=1)
    assert str(caught.value) == "The option compile is of the type int. Give True or False."


def test_settings_that_are_built_directly_answer_alike() -> None:
    for build, sentence in (
        (
            lambda: Recipe(matting=5),
            'The setting matting cannot be 5. Give a table of settings, e.g. {"method": "auto"}.',
        ),
        (lambda: Matting(band=True), "The setting band cannot be True. Give a whole number from 1 to 500."),
        (lambda: Matting(width=3), "There is no setting width. Its settings are: method, band, model, unit, screen."),
        (
            lambda: Matting(bnd=3),
            "There is no setting bnd. Did you mean band?",
        ),
        (
            lambda: ModelChoice(model=5),
            "The model is of the type int, not a text. Give an id of the catalogue, auto, or the path of a file of "
            "weights.",
        ),
        (lambda: Finding(masks="few"), "There is no masks 'few'. Choose one of: best, all."),
    ):
        with pytest.raises(InputError) as caught:
            build()
        assert str(caught.value).startswith(sentence)
    with pytest.raises(InputError, match=r"The setting matting\.band cannot be"):
        Recipe(matting={"band": True})
    assert Recipe(matting={"band": 20}) == Recipe.of({"matting": {"band": 20}})


def test_a_background_may_be_a_path_or_numbers() -> None:
    for fill, text in (
        ((255, 255, 255), "255,255,255"),
        ([9, 8, 7, 128], "9,8,7,128"),
        (Path("a/b.png"), str(Path("a/b.png"))),
    ):
        assert Recipe.of({"background": {"fill": fill}}).background.fill == text


def test_a_recipe_in_utf_16_is_read_or_named(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text("[matting]\nband = 25\n", encoding="utf-16")
    assert Recipe.load(path).matting.band == 25
    for encoding in ("utf-16-le", "utf-16-be"):  # without a mark
        path.write_text("[matting]\nband = 25\n", encoding=encoding)
        with pytest.raises(InputError) as caught:
            Recipe.load(path)
        expected = (
            f"The recipe {path} cannot be read: it is no text in UTF-8. Save it as UTF-8. Give a TOML or JSON file."
        )
        assert str(caught.value) == expected


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
        ("digits.toml", b"[matting]\nband = " + b"1" * 5000),
        ("digits.json", b'{"matting": {"band": ' + b"1" * 5000 + b"}}"),
        ("deep.json", b"[" * 100_000),
        ("long.toml", b"[matting]\n" + b"x" * 5000 + b" = 1"),
    ],
)
def test_a_bad_recipe_file_is_one_sentence(tmp_path: Path, name: str, content: bytes | None) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        Recipe.load(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300 + len(str(tmp_path))
