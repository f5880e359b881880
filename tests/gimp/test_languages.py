"""The plug-in's texts in every language: all of them are marked, all are translated, and none loses what is put in."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from gossamer.hosts.gimp_files import contents
from gossamer.hosts.gimp_languages import LANGUAGES, catalogue, paragraphs
from tests.gimp import translations

TEXTS = translations.texts()
NOT_SHOWN = {
    *("Preview", "Preview background"),  # layers for a time
    *("Application Support", "Library", "Scripts", "Local"),  # folders
    "_Help",  # GIMP's and GTK's own, which are asked for it
    *("Gimp", "GimpUi", "Gegl", "Babl", "Gtk", "Gossamer"),
    *("Downloading", "Processing", "Collecting", "Using", "Installing", "Prepared"),  # what pip and uv say
    *("Cancelled", "Set up: "),  # an error's kind, and the report's, which is for us
}


@pytest.fixture(params=LANGUAGES)
def translated(request: pytest.FixtureRequest) -> dict[str, str]:
    file = translations.PLUG_IN / "locale" / f"{request.param}.po"
    text = file.read_text(encoding="utf-8")
    assert text == translations.po(request.param), f"Type: {translations.COMMAND}"
    return catalogue(text)


def test_every_text_is_translated(translated: dict[str, str]) -> None:
    assert [text for text in TEXTS if text not in translated] == []
    same = [text for text in TEXTS if translated[text] == text and re.search(r"[a-z] [a-z]", text)]
    assert set(same) <= {"Blur fusion"}  # a name


def test_what_is_put_in_is_kept(translated: dict[str, str]) -> None:
    for text in TEXTS:
        assert set(re.findall(r"{\w+}", translated[text])) == set(re.findall(r"{\w+}", text)), text
        assert not re.search(r"^\s|\s$", translated[text]), text
        for command in re.findall(r"gossamer gimp install|sudo apt install python3-venv", text):
            assert command in translated[text]


def test_the_help_calls_things_as_the_dialog_does(translated: dict[str, str]) -> None:
    page = (translations.PLUG_IN / "help.html").read_text(encoding="utf-8")
    called = {plain(text): plain(translated[text]) for text in TEXTS if TEXTS[text] != ["help.html"]}
    checked = 0
    for paragraph in paragraphs(page):
        for label in re.findall(r"<b>(.*?)</b>", paragraph) or paragraph.rstrip("…").split(", "):
            if label in called:
                assert called[label].lower() in translated[paragraph].lower(), label
                checked += 1
    assert checked > 25


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_page_of_help_has_all_that_the_english_one_has(language: str) -> None:
    held = contents()
    english, page = (held[name].decode() for name in ("help.html", f"help.{language}.html"))
    assert re.findall(r"<[^>]*>", page)[2:] == re.findall(r"<[^>]*>", english)[2:]
    assert f'<html lang="{language.replace("_", "-")}">' in page
    assert set(paragraphs(page)) & set(paragraphs(english)) == set()


def plain(label: str) -> str:
    """Return a label without its key."""
    return re.sub(r"\(_\w\)|_", "", label)


def test_who_has_a_key_keeps_one(translated: dict[str, str]) -> None:
    for text in TEXTS:
        if re.search(r"(^|\w)_[a-zA-Z]", text) and "{" not in text:
            assert len(re.findall(r"_\w", translated[text])) == 1, text


def test_no_two_of_the_dialog_s_keys_are_one(translated: dict[str, str]) -> None:
    """Alt and such a letter would only walk from one to the other."""
    elsewhere = {"_Cancel", "_Save", "_Name of the preset"}  # in a window of their own
    files = {"arguments.py", "dialogs/cutting_out.py", "dialogs/presets.py"}
    for said in ({text: text for text in TEXTS}, translated):
        found = [
            re.findall(r"_(\w)", said[text])[0].lower()
            for text, places in TEXTS.items()
            if files & set(places)
            and text not in elsewhere
            and re.search(r"(^|\w| )_[a-zA-Z]", text)
            and "{" not in text
        ]
        assert len(found) >= 15
        assert sorted(set(found)) == sorted(found)


def test_what_a_setting_is_called_takes_no_researcher_to_understand() -> None:
    known = json.loads((translations.PLUG_IN / "parameters.json").read_text(encoding="utf-8"))
    researcher = r"\w_\w|(?<![\w.-])(knn|vitmatte|key|grabcut|sam|dino|onnx)(?![\w-])|\([A-Z]\w+( et al\.)? \d{4}\)"
    for one in known["edges"] + known["arguments"] + known["presets"]:
        for text in (one["title"], one.get("help", ""), *one.get("labels", ())):
            assert not re.search(researcher, text, re.IGNORECASE), text


def unmarked(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {text for text in translations.unmarked(tree) if text not in NOT_SHOWN}


@pytest.mark.parametrize("path", translations.sources(), ids=lambda path: path.name)
def test_every_text_for_people_is_marked(path: Path) -> None:
    signs = {"installer.py": {"No space left on device", "Failed to establish a new connection", "Read timed out"}}
    assert {text for text in unmarked(path) if text not in signs.get(path.name, ())} - TOOLS == set()


TOOLS = {
    "Network is unreachable",
    "Could not connect",
    "Failed to fetch",
    "Permission denied",
    "No matching distribution found",
    "No solution found",
    "No module named venv",
    "No module named ensurepip",
}
"""What the set-up looks for in what pip and uv say."""


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.Lambda]:
    yield from (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.Lambda))


@pytest.mark.parametrize("path", translations.sources(), ids=lambda path: path.name)
def test_nobody_hides_the_translating_function(path: Path) -> None:
    """A local variable or argument of its name would be called instead."""
    for function in functions(ast.parse(path.read_text(encoding="utf-8"))):
        names = list(ast.walk(function))
        calls = any(isinstance(one, ast.Call) and getattr(one.func, "id", "") == "_" for one in names)
        sets = any(isinstance(one, ast.Name) and one.id == "_" and isinstance(one.ctx, ast.Store) for one in names)
        takes = any(one.arg == "_" for one in ast.walk(function.args) if isinstance(one, ast.arg))
        assert not (calls and (sets or takes)), f"line {function.lineno}"


def test_what_the_worker_is_translated_of_is_what_it_says() -> None:
    from gossamer.worker import wording

    tree = ast.parse((translations.PLUG_IN / "cutting.py").read_text(encoding="utf-8"))
    (said,) = (
        node.value for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "SAID"
    )
    sentences = list(translations.marked(said))
    assert len(sentences) > 20
    core = Path(wording.__file__).parents[1]
    spoken = [remedy for _kind, remedy in wording._REMEDIES]
    for path in core.rglob("*.py"):
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        spoken += [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    whole = "\n".join(spoken)
    assert [sentence for sentence in sentences if sentence not in whole] == []
