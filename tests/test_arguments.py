"""What people give by mistake: one sentence that names it, and what to give instead."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import gossamer
from gossamer.errors import GossamerError, InputError, OutputError
from gossamer.paths import read_text, source_path, target_path
from gossamer.spelling import alike

PICTURE = np.zeros((8, 8, 3), np.uint8)
MASK = np.zeros((8, 8), np.float32)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: gossamer.Pipeline(model=None), ["model", "None"]),
        (lambda: gossamer.Pipeline(model=5), ["model", "int"]),
        (lambda: gossamer.Pipeline(model=""), ["model", "empty"]),
        (lambda: gossamer.Pipeline({"matting": {"band": 20}}), ["recipe", "dict", "Recipe.of"]),
        (lambda: gossamer.Pipeline("recipe.toml"), ["recipe", "str", "Recipe.load"]),
        (lambda: gossamer.Pipeline(Path("recipe.toml")), ["recipe", "Recipe.load"]),
        (lambda: gossamer.Pipeline(device=5), ["device 5", "cpu"]),
        (lambda: gossamer.Pipeline(device="gpu"), ["device 'gpu'", "cuda"]),
        (lambda: gossamer.Pipeline(quality="good"), ["quality 'good'", "best"]),
        (lambda: gossamer.Pipeline(quality=["best"]), ["quality", "best"]),
        (lambda: gossamer.Pipeline(subject="cat"), ["subject 'cat'", "portrait"]),
        (lambda: gossamer.Pipeline(runtime=None), ["runtime None"]),
        (lambda: gossamer.Pipeline(precision="int4"), ["precision 'int4'"]),
        (lambda: gossamer.Pipeline(combine="median"), ["combination 'median'"]),
        (lambda: gossamer.Pipeline(architecture=5), ["architecture", "int"]),
        (lambda: gossamer.Pipeline(compile="yes"), ["compile", "str"]),
        (lambda: gossamer.Pipeline(accept_licence=1), ["accept_licence", "int"]),
        (lambda: gossamer.Pipeline().run(PICTURE, announce="print"), ["announce", "str"]),
        (lambda: gossamer.Pipeline().run(None), ["NoneType"]),
        (lambda: gossamer.Pipeline().run(PICTURE, "progress"), ["progress", "str"]),
        (lambda: gossamer.Pipeline().run(PICTURE, recipe={}), ["recipe", "dict"]),
        (lambda: gossamer.remove_background(None), ["NoneType"]),
        (lambda: gossamer.remove_background(PICTURE, {}), ["recipe", "dict"]),
        (lambda: gossamer.remove_background(PICTURE, model=None), ["model", "None"]),
        (lambda: gossamer.refine(None, MASK), ["NoneType"]),
        (lambda: gossamer.refine(PICTURE, MASK, "recipe"), ["recipe", "str"]),
        (lambda: gossamer.refine(PICTURE, MASK, progress=5), ["progress", "int"]),
        (lambda: gossamer.open(None), ["NoneType"]),
        (lambda: gossamer.open(PICTURE, prompt_model=5), ["prompt model"]),
        (lambda: gossamer.open(PICTURE, model=5), ["model", "int"]),
        (lambda: gossamer.open(PICTURE, device="gpu"), ["device 'gpu'"]),
        (lambda: gossamer.open(PICTURE, folders="weights"), ["folders", "str", "list"]),
        (lambda: gossamer.open(PICTURE, folders=[5]), ["folders", "int"]),
        (lambda: gossamer.open(PICTURE).subjects(gossamer.Prompt(text="cat"), announce=5), ["announce", "int"]),
        (lambda: gossamer.open(PICTURE).cutout(gossamer.Prompt(text="cat"), recipe={}), ["recipe", "dict"]),
        (lambda: gossamer.load_model(None), ["model", "None"]),
        (lambda: gossamer.load_model("u2netp", quality=None), ["quality None"]),
        (lambda: gossamer.load_models(5), ["model", "int"]),
        (lambda: gossamer.load_models("u2netp", folders="weights"), ["folders", "list"]),
        (lambda: gossamer.Recipe.of(None), ["dict", "NoneType"]),
        (lambda: gossamer.Recipe.of("matting"), ["dict", "str"]),
        (lambda: gossamer.Recipe.of({"matting": {"methd": "none"}}), ["matting.methd", "matting.method"]),
        (lambda: gossamer.Recipe.load(None), ["recipe", "None"]),
        (lambda: gossamer.Recipe.load(5), ["recipe", "int"]),
        (lambda: gossamer.read_image(""), ["empty"]),
        (lambda: gossamer.read_image("a\0b"), ["file name"]),
        (lambda: gossamer.read_image("https://example.org/a.jpg"), ["address", "Download"]),
        (lambda: gossamer.read_image(Path("https://example.org/a.jpg")), ["address", "Download"]),
    ],
)
def test_a_wrong_argument_is_named(call: Callable[[], object], words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        call()
    for word in words:
        assert word in str(caught.value)
    assert caught.value.remedy
    assert "\n" not in str(caught.value)


IN_RECIPE = "It belongs to the recipe: recipe=gossamer.Recipe.of({'matting': {'method': 'knn'}})."
OF_MODEL = "It belongs to the choice of a model: see gossamer.Pipeline(model=…) and gossamer.ModelChoice."


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: gossamer.refine(PICTURE, MASK, matting="knn"), f"refine has no argument matting. {IN_RECIPE}"),
        (lambda: gossamer.Pipeline().run(PICTURE, matting="knn"), f"Pipeline.run has no argument matting. {IN_RECIPE}"),
        (lambda: gossamer.remove_background(PICTURE, matting="knn"), f"There is no setting matting. {IN_RECIPE}"),
        (lambda: gossamer.Pipeline(matting="knn"), f"There is no setting matting. {IN_RECIPE}"),
        (lambda: gossamer.load_model("u2netp", matting="knn"), f"There is no setting matting. {IN_RECIPE}"),
        (lambda: gossamer.open(PICTURE, matting="knn"), f"There is no setting matting. {IN_RECIPE}"),
        (
            lambda: gossamer.open(PICTURE).cutout(gossamer.Prompt(text="cat"), matting="knn"),
            f"There is no setting matting. {IN_RECIPE}",
        ),
        (
            lambda: gossamer.refine(PICTURE, MASK, matting_band=5),
            "refine has no argument matting_band. It belongs to the recipe: "
            "recipe=gossamer.Recipe.of({'matting': {'band': 5}}).",
        ),
        (
            lambda: gossamer.refine(PICTURE, MASK, feather=2.0),
            "refine has no argument feather. It belongs to the recipe: "
            "recipe=gossamer.Recipe.of({'refinement': {'feather': 2.0}}).",
        ),
        (
            lambda: gossamer.refine(PICTURE, MASK, refinement=MASK),
            "refine has no argument refinement. It belongs to the recipe: "
            "recipe=gossamer.Recipe.of({'refinement': …}).",
        ),
        (
            lambda: gossamer.Prompt(box=(1, 1, 5, 5)),
            "Prompt has no argument box. Did you mean boxes? Its arguments are: text, boxes, points, not_points, mask, "
            "scribbles, unit, warnings.",
        ),
        (lambda: gossamer.refine(PICTURE, MASK, model="u2net"), f"refine has no argument model. {OF_MODEL}"),
        (
            lambda: gossamer.refine(PICTURE, MASK, hint=MASK),
            "refine has no argument hint. Did you mean hints? Its arguments are: image, mask, recipe, hints, device, "
            "backdrop, progress, announce, of_clip.",
        ),
        (
            lambda: gossamer.load_model("u2netp", box_threshold=0.5),
            "There is no setting box_threshold. It belongs to how prompts find subjects: "
            "see gossamer.open(…, box_threshold=…) and gossamer.Finding.",
        ),
        (
            lambda: gossamer.remove_background(PICTURE, qualty="best"),
            "There is no setting qualty. Did you mean quality? See gossamer.ModelChoice; the settings of stages, "
            "such as matting, are in gossamer.Recipe.",
        ),
    ],
)
def test_an_argument_that_there_is_not_is_told_where_it_belongs(call: Callable[[], object], sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        call()
    assert str(caught.value) == sentence


def test_a_name_that_there_is_not_is_told_what_is_alike() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'remove'\. Did you mean remove_background\?$"):
        gossamer.remove  # noqa: B018
    assert not hasattr(gossamer, "__wrapped__")


def test_a_cutout_stands_for_its_mask() -> None:
    rough = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    plain = gossamer.Recipe.of({"matting": {"method": "none"}})
    cutout = gossamer.refine(PICTURE, rough, plain)
    again = gossamer.refine(PICTURE, cutout, plain)
    assert np.array_equal(again.alpha, rough)
    assert again.report.warnings == cutout.report.warnings
    assert np.array_equal(gossamer.Prompt(mask=cutout).mask, rough)
    for thing in (object(), 5):
        with pytest.raises(InputError) as caught:
            gossamer.refine(PICTURE, thing)
        assert caught.value.message == f"The mask is of the type {type(thing).__name__}."


@pytest.mark.parametrize("path", [None, 5, "", "a\0.png", "https://a.org/a.png", "x" * 300 + ".png", "nowhere/a.png"])
def test_a_place_where_nothing_can_be_saved_is_named(path: object) -> None:
    cutout = gossamer.refine(PICTURE, MASK)
    with pytest.raises(OutputError) as caught:
        cutout.save(path)
    assert caught.value.remedy


def test_a_model_s_file_may_be_a_path() -> None:
    with pytest.raises(GossamerError, match=r"no model file .*absent\.onnx"):
        gossamer.Pipeline(model=Path("folder/absent.onnx")).run(PICTURE)


def test_names_that_are_alike() -> None:
    ids = list(gossamer.load_catalogue())
    assert alike("isnet", ids) == ["isnet-general-use", "isnet-anime"]
    assert alike("U2NET_human_seg", ids) == ["u2net-human-seg"]
    assert alike("isnet-genral-use", ids)[0] == "isnet-general-use"
    assert alike("RMBG 2.0", ids) == ["rmbg-2.0"]
    assert alike("birefnet", ids)[0] == "birefnet-general"
    assert alike("xyz", ids) == []
    assert alike("", ids) == []


def test_paths_as_people_give_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert source_path("~/a.jpg") == tmp_path / "a.jpg"
    assert source_path("file:///a%20b.jpg") == Path("/a b.jpg")
    assert source_path("FILE://localhost/a.jpg") == Path("/a.jpg")
    assert source_path("C:/a.jpg") == Path("C:/a.jpg")
    assert target_path("a:b.png") == Path("a:b.png")
    (tmp_path / "~").mkdir()
    (tmp_path / "~" / "a.jpg").touch()
    assert source_path("~/a.jpg") == Path("~/a.jpg")  # what is there is meant
    with pytest.raises(InputError, match=r"https://example\.org/a is an address"):
        source_path("https://me:secret@example.org/a?token=secret")
    with pytest.raises(OutputError, match="address"):
        target_path("s3://bucket/a.png")


def test_texts_of_any_unicode(tmp_path: Path) -> None:
    path = tmp_path / "t.toml"
    for encoding, mark in (("utf-8", ""), ("utf-8", "\ufeff"), ("utf-16", ""), ("utf-16-be", "\ufeff"), ("utf-32", "")):
        path.write_bytes((mark + "é\r\nb").encode(encoding))
        assert read_text(path, "recipe", "") == "é\nb"
    path.write_bytes(b"\xe9")
    with pytest.raises(InputError, match="UTF-8"):
        read_text(path, "recipe", "")
    for wrong in (tmp_path, tmp_path / "absent"):
        with pytest.raises(InputError, match="recipe"):
            read_text(wrong, "recipe", "Give one.")
