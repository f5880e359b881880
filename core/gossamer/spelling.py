"""Names that people gave: what is proposed where one is not known, and how one is shown that may hold anything."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable, Mapping

__all__ = ["alike", "did_you_mean", "the_taker", "visible"]

_CLOSE = 0.6  # of difflib's ratio: a letter or two wrong in a short name
_COUNT = 3
_JOINERS = "\u200c\u200d"  # belong to the spelling of Persian, of Indian scripts and of emoji


def alike(name: str, known: Iterable[str]) -> list[str]:
    """Return up to three of the `known` names that `name` may mean, the likeliest first.

    Capitals, dashes, underscores, dots and blanks do not count. A name that only lacks its end or some of its words
    (``isnet`` for ``isnet-general-use``) comes before one with other letters; equals keep the order of `known`.
    """
    names = list(dict.fromkeys(known))
    wanted, words = _plain(name), _words(name)
    if not wanted:
        return []

    def distance(other: str) -> float:
        plain = _plain(other)
        if plain == wanted:
            return 0
        if plain.startswith(wanted):
            return 1
        if words <= _words(other) or (len(wanted) >= 3 and wanted in plain):
            return 2
        ratio = difflib.SequenceMatcher(None, wanted, plain).ratio()
        if len(plain) >= 4 and wanted.startswith(plain):
            ratio = max(ratio, _CLOSE)
        return 4 - ratio if ratio >= _CLOSE else 9

    ranked = sorted((distance(other), number, other) for number, other in enumerate(names))
    best = ranked[0][0] if ranked else 9
    # Where the letters agree, a guess at misspelt ones only distracts.
    limit = 2 if best <= 2 else 4
    return [other for rank, _, other in ranked if rank <= limit][:_COUNT]


def the_taker(name: str, takers: Iterable[str]) -> str:
    """Return which of those that take a value was meant where `name` was given it, which does not; "" where many may.

    One that has a word with it in common comes before all others, as ``--foreground-shadow`` has with ``--shadow``.
    """
    others = [one for one in takers if one != name]
    related = [one for one in others if _words(one) & _words(name)]
    for some in (related, others):
        if len(some) == 1:
            return some[0]
    return ""


def did_you_mean(name: str, known: Iterable[str], synonyms: Mapping[str, str] | None = None) -> str:
    """Return the question, with a blank at its end, or nothing where no name is alike.

    Parameters
    ----------
    name : str
    known : iterable of str
    synonyms : mapping of str to str, optional
        What other programs call things, and what that is called here; only what is known counts.
    """
    names = list(known)
    meant = (synonyms or {}).get(name.casefold(), "")
    close = [meant] if meant.partition(" ")[0] in names else alike(name, names)
    return f"Did you mean {' or '.join(close)}? " if close else ""


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())


def _words(name: str) -> set[str]:
    return {word for word in re.split(r"[\W_]+", name.casefold()) if word}


def visible(text: str) -> str:
    """Return text that shows itself and does nothing else: control characters and their like are written as escapes.

    A file's name may hold a terminal's commands, line breaks, or marks that turn the order of what follows.
    """
    return text if text.isascii() and text.isprintable() else "".join(map(_visible, text))


def _visible(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a name that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if character in _JOINERS or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp"):
        return character
    return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character, character.encode("unicode_escape").decode("ascii"))
