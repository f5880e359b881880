# SPDX-License-Identifier: GPL-3.0-or-later
"""The nodes speak six languages, each completely."""

from __future__ import annotations

import re

import pytest

from tests.comfyui import languages

# What a translation must not lose: numbers, colours, code, and the choices of lists, which have no translation.
KEPT = re.compile(r"\d+(?:[.,]\d+)?|#[0-9a-z]{3,8}|`[^`]+`|\b[a-z]+_[a-z_]+\b")


@pytest.mark.parametrize("language", languages.LANGUAGES)
def test_every_text_is_translated_and_keeps_its_numbers_and_choices(language: str) -> None:
    known, texts = languages.vocabulary(language), languages.every_text(languages.english())
    assert set(known) == texts, f"translate what is new in tests/comfyui/texts/{language}.json"
    for text, translation in known.items():
        assert translation.strip(), text
        plain = translation.replace("\u202f", "").replace("\u00a0", "")
        for kept in KEPT.findall(text) if " " in text else ():
            ways = {kept, kept.replace(".", ","), kept.replace(",", ""), kept.replace(",", ".")}
            assert any(way in plain for way in ways), (text, translation, kept)
    long = [text for text in texts if len(text.split()) > 3]
    assert sum(known[text] == text for text in long) <= len(long) // 20


def test_the_files_are_what_the_texts_make() -> None:
    for file, text in languages.pages().items():
        assert file.read_text(encoding="utf-8") == text, f"out of date, regenerate: {languages.COMMAND}"
