# SPDX-License-Identifier: GPL-3.0-or-later
"""The plug-in's texts for translators, made from its sources: ``python -m tests.gimp.translations``.

It writes ``locale/LANGUAGE.po`` anew: every text once, where it is from, and the translation that it has. What the node
pack for ComfyUI says of a setting in ``tests/comfyui/texts`` is said with the same words here.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

from gossamer.hosts.gimp_languages import LANGUAGES, catalogue, paragraphs
from gossamer.settings.parameters import parameters
from tests.comfyui.languages import vocabulary

PLUG_IN = Path(__file__).parents[2] / "gimp_plugin" / "gossamer_gimp"
COMMAND = "python -m tests.gimp.translations"
MARKS = ("_", "N_")
_HEADER = (
    "Project-Id-Version: gossamer\\n"
    "Language: {language}\\n"
    "MIME-Version: 1.0\\n"
    "Content-Type: text/plain; charset=UTF-8\\n"
    "Content-Transfer-Encoding: 8bit\\n"
)


def sources() -> list[Path]:
    """Return the plug-in's programs."""
    return sorted(PLUG_IN.rglob("*.py"))


def marked(tree: ast.AST) -> Iterator[str]:
    """Return the texts that a program marks for translation."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MARKS:
            (text,) = node.args
            if isinstance(text, ast.Constant):
                yield str(text.value)


def unmarked(tree: ast.AST) -> Iterator[str]:
    """Return what looks like a text for people (words that begin with a capital letter) and is not marked."""
    left = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MARKS:
            left |= {id(one) for one in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in left:
            if re.match(r"_?[A-Z][a-z]+($|…|: |[ ,.]+[a-zA-Z]|_[a-z])", node.value):
                yield node.value


def texts() -> dict[str, list[str]]:
    """Return every text for people and the files that it stands in."""
    found: dict[str, list[str]] = {}

    def add(text: str, place: str) -> None:
        places = found.setdefault(text, [])
        if text and place not in places:
            places.append(place)

    for path in sources():
        for text in marked(ast.parse(path.read_text(encoding="utf-8"))):
            add(text, path.relative_to(PLUG_IN).as_posix())
    known = json.loads((PLUG_IN / "parameters.json").read_text(encoding="utf-8"))
    for one in known["edges"] + known["arguments"] + known["presets"]:
        for text in (one["title"], one.get("help", ""), *one.get("labels", ())):
            add(text, "parameters.json")
    for text in paragraphs((PLUG_IN / "help.html").read_text(encoding="utf-8")):
        add(text, "help.html")
    found.pop("", None)
    return found


def known_from_the_nodes(language: str) -> dict[str, str]:
    """Return what the nodes' translations say of settings' titles and helps."""
    said = vocabulary(language.partition("_")[0])
    found = {}
    for parameter in parameters():
        tip = f"{parameter.title}. {parameter.help}"
        unit = next((end for end in said if end.startswith(f"{tip} In ")), None)
        translated = said.get(tip) or (said[unit] if unit else None)
        if translated is None:
            continue
        end = "。" if language in ("ja", "zh_CN") else ". "
        title, _, text = translated.partition(end)
        if unit:  # the unit stands in the label here
            text = text[: text.rstrip("。.").rindex(end)] + end.strip()
        found[parameter.title] = title
        found[parameter.help] = text
    return found


def po(language: str) -> str:
    """Return a language's .po file as it should be, with what is translated already."""
    file = PLUG_IN / "locale" / f"{language}.po"
    old = catalogue(file.read_text(encoding="utf-8")) if file.exists() else {}
    translated = {**old, **known_from_the_nodes(language)}
    head = _HEADER.format(language=language).replace("\\n", "\\n\n").strip().splitlines()
    lines = ["# SPDX-License-Identifier: GPL-3.0-or-later", 'msgid ""', 'msgstr ""', *(f'"{line}"' for line in head)]
    for text, places in texts().items():
        lines += ["", f"#: {' '.join(places)}", f"msgid {_quoted(text)}", f"msgstr {_quoted(translated.get(text, ''))}"]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


if __name__ == "__main__":
    for name in LANGUAGES:
        (PLUG_IN / "locale" / f"{name}.po").write_text(po(name), encoding="utf-8")
