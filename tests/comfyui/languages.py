# SPDX-License-Identifier: GPL-3.0-or-later
"""The nodes' texts in other languages, laid out as ComfyUI wants them: ``python -m tests.comfyui.languages``.

``texts/LANGUAGE.json`` has every English text of ``translations.py`` once, with its translation.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.comfyui.translations import FILE as ENGLISH

COMMAND = "python -m tests.comfyui.languages"
TEXTS = Path(__file__).parent / "texts"
LANGUAGES = ("zh", "ja", "fr", "es", "de")


def english() -> dict[str, Any]:
    """Return the English texts, as they lie in the pack."""
    return json.loads(ENGLISH.read_text(encoding="utf-8"))


def every_text(texts: Any) -> set[str]:
    """Return all texts in a tree of them."""
    return set().union(*map(every_text, texts.values())) if isinstance(texts, dict) else {texts}


def translated(texts: Any, known: dict[str, str]) -> Any:
    """Return a tree of texts with each in its translation."""
    return {key: translated(one, known) for key, one in texts.items()} if isinstance(texts, dict) else known[texts]


def vocabulary(language: str) -> dict[str, str]:
    """Return what each English text is in a language."""
    return json.loads((TEXTS / f"{language}.json").read_text(encoding="utf-8"))


def pages() -> dict[Path, str]:
    """Return the file of each language and what stands in it."""
    made = {}
    for language in LANGUAGES:
        texts = translated(english(), vocabulary(language))
        file = ENGLISH.parents[1] / language / ENGLISH.name
        made[file] = json.dumps(texts, indent=2, ensure_ascii=False) + "\n"
    return made


if __name__ == "__main__":
    for file, text in pages().items():
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
