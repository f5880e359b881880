"""Remedies in the words of those who have no command line before them.

An error's remedy is written for the command line, where most of its readers are: ``choose --device cpu``. A window or a
graph has no flags: there the same choice has a name, and this is the one place that says so.
"""

from __future__ import annotations

import re

__all__ = ["without_flags"]

_RULES = (
    (r"(?:,? or add| with) --force\b", ""),
    (r"(--device \w+) --precision\b", r"\1 and --precision"),
    (r"--compile\b", "compiling"),
    # Only these: what is left of flags belongs to a command that is typed into a terminal.
    (r"--(device|precision|runtime|architecture)\b", r"the \1"),
)


def without_flags(sentence: str) -> str:
    """Return a remedy with names in the place of flags: ``--device cpu`` becomes ``the device cpu``."""
    for pattern, words in _RULES:
        sentence = re.sub(pattern, words, sentence)
    return sentence
