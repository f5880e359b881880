# SPDX-License-Identifier: GPL-3.0-or-later
"""The nodes' help pages, made from their texts in every language: ``python -m tests.comfyui.help_pages``.

Pages that somebody wrote by hand are left alone: those that do not end in the mark.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.comfyui.install import REPOSITORY

COMMAND = "python -m tests.comfyui.help_pages"
DOCS = REPOSITORY / "comfyui_nodes" / "web" / "docs"
LOCALES = REPOSITORY / "comfyui_nodes" / "locales"
MARK = "<!-- made of the node's texts -->"
_HEADS = {
    "en": ("Inputs", "Outputs"),
    "zh": ("输入", "输出"),
    "ja": ("入力", "出力"),
    "fr": ("Entrées", "Sorties"),
    "es": ("Entradas", "Salidas"),
    "de": ("Eingänge", "Ausgänge"),
}


def page(node: str, texts: dict[str, Any], language: str = "en") -> str:
    """Return the help page of a node in a language."""
    inputs, outputs = _HEADS[language]
    lines = [f"# {texts['display_name']}", "", texts["description"], ""]
    if (DOCS / f"{node}.jpg").exists():
        lines += [f"![{texts['display_name']}]({'' if language == 'en' else '../'}{node}.jpg)", ""]
    if texts["inputs"]:
        lines += [f"## {inputs}", ""]
        for key, one in texts["inputs"].items():
            name = "" if one["name"].replace(" ", "_") == key else f" ({one['name']})"
            lines.append(f"- **{key}**{name}: {one['tooltip']}")
        lines.append("")
    if texts["outputs"]:
        lines += [f"## {outputs}", ""]
        lines += [f"- **{one['name']}**: {one['tooltip']}" for one in texts["outputs"].values()]
        lines.append("")
    return "\n".join([*lines, MARK]) + "\n"


def pages() -> dict[Path, str]:
    """Return every page that is made, by its file."""
    made = {}
    for folder in sorted(LOCALES.iterdir()):
        if (folder / "nodeDefs.json").exists():
            for node, texts in json.loads((folder / "nodeDefs.json").read_text(encoding="utf-8")).items():
                by_hand = DOCS / f"{node}.md"
                if folder.name == "en":
                    if not by_hand.exists() or MARK in by_hand.read_text(encoding="utf-8"):
                        made[by_hand] = page(node, texts)
                else:
                    made[DOCS / node / f"{folder.name}.md"] = page(node, texts, folder.name)
    return made


if __name__ == "__main__":
    for file, text in pages().items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
