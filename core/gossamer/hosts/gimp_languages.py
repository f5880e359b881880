"""The plug-in's languages: from .po, which translators write, to .mo, which gettext reads, and to pages of help."""

from __future__ import annotations

import ast
import re
import struct

__all__ = ["LANGUAGES", "catalogue", "compiled", "paragraphs", "translated_page"]

LANGUAGES = ("de", "es", "fr", "ja", "zh_CN")
"""The languages other than English that the plug-in speaks, as gettext names them."""

_PARAGRAPH = re.compile(r"<(title|h1|h2|p|dt|dd|li)>(.*?)</\1>")

_HEAD = struct.Struct("<7I")
_PAIR = struct.Struct("<2I")
_MAGIC = 0x950412DE


def catalogue(text: str) -> dict[str, str]:
    """Return what a .po file translates: English text to translation; the header is that of the empty text.

    What is not translated, and entries that are marked as fuzzy, are left out: the English text is shown instead.

    Raises
    ------
    ValueError
        A line is none of a .po file.
    """
    found: dict[str, str] = {}
    entry = {"msgid": "", "msgstr": ""}
    key, fuzzy = "", False

    def close() -> None:
        nonlocal fuzzy
        if key == "msgstr":
            if entry["msgstr"] and not fuzzy:
                found[entry["msgid"]] = entry["msgstr"]
            fuzzy = False

    for number, line in enumerate(text.splitlines(), 1):
        word, _, rest = line.strip().partition(" ")
        if word in ("msgid", "msgstr"):
            if word == "msgid":
                close()
            key, entry[word] = word, _literal(rest, number)
        elif word.startswith('"'):
            if not key:
                raise ValueError(f"line {number} belongs to no text")
            entry[key] += _literal(line.strip(), number)
        elif word.startswith("#") or not word:
            if key == "msgstr":
                close()
                key = ""
            fuzzy = fuzzy or (word == "#," and "fuzzy" in rest)
        else:
            raise ValueError(f"line {number} is none of a .po file: {line[:40]}")
    close()
    return found


def compiled(text: str) -> bytes:
    """Return the .mo file of a .po file, as ``msgfmt`` would without its table of hashes."""
    pairs = sorted((source.encode(), target.encode()) for source, target in catalogue(text).items())
    sources, targets = _HEAD.size, _HEAD.size + _PAIR.size * len(pairs)
    offset = targets + _PAIR.size * len(pairs)
    tables: list[bytes] = []
    strings = b""
    for side in (0, 1):
        for pair in pairs:
            tables.append(_PAIR.pack(len(pair[side]), offset + len(strings)))
            strings += pair[side] + b"\0"
    return _HEAD.pack(_MAGIC, 0, len(pairs), sources, targets, 0, offset) + b"".join(tables) + strings


def paragraphs(page: str) -> list[str]:
    """Return what translators are given of a page: what each element with words holds, marks within it included."""
    return [text for _name, text in _PARAGRAPH.findall(page)]


def translated_page(page: str, text: str, language: str) -> str:
    """Return a page of English paragraphs in the language of a .po file."""
    known = catalogue(text)

    def said(found: re.Match[str]) -> str:
        name, paragraph = found.groups()
        return f"<{name}>{known.get(paragraph, paragraph)}</{name}>"

    page = page.replace('<html lang="en">', f'<html lang="{language.replace("_", "-")}">')
    return _PARAGRAPH.sub(said, page)


def _literal(text: str, number: int) -> str:
    """Return a text in quotes, whose escapes are those of C and of Python alike."""
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        raise ValueError(f"line {number} has no text in quotes")
    return str(ast.literal_eval(text))
