"""What GIMP's procedures offer: the library's settings, in words for people before a dialog."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["ADDED", "added_models", "plug_in_arguments"]

ADDED = "models.json"
"""Beside the plug-in: the models that the user has added to the library, where there are any."""

_WORDS = {
    "knn": "Neighbours of like colour",
    "vitmatte": "Neural network",
    "key": "Plain screen",
    "from_mask": "Rough mask",
    "none": "None",
    "auto": "Automatic",
    "px": "px",
}
"""Choices in the words of GIMP's dialog, where capitals alone do not make a word of them."""


def plug_in_arguments() -> dict[str, Any]:
    """Return the contents of the plug-in's ``parameters.json``: its arguments, and what there is to choose from.

    GIMP has its own background, below the layer, and the result takes the place of a layer: the stages of background,
    canvas, shadow and file are left out, as are the checks.
    """
    from gossamer.canvas.presets import load_presets
    from gossamer.settings.edges import EDGES
    from gossamer.settings.parameters import parameters
    from gossamer.weights.catalogue import published_models

    fields = ("name", "stage", "kind", "default", "minimum", "maximum", "choices", "unit", "title")
    return {
        "models": [{"id": card.id, "title": card.title} for card in published_models().values()],
        "edges": [{"id": edge.id, "title": edge.title, "help": edge.help, "settings": edge.flat()} for edge in EDGES],
        "presets": [{"id": preset.id, "title": preset.title} for preset in load_presets().values()],
        "arguments": [
            {
                **{field: getattr(parameter, field) for field in fields},
                **({"step": parameter.step} if parameter.step else {}),
                "labels": [_label(choice) for choice in parameter.choices],
                "help": _in_words(parameter.help, parameter.choices),
            }
            for parameter in parameters()
            if parameter.stage not in ("background", "canvas", "shadow", "output", "checks")
        ],
    }


def added_models() -> list[dict[str, str]]:
    """Return the models that were added on this machine, as the file of that name has them."""
    from gossamer.weights.added import added_cards

    return [{"id": card.id, "title": card.title} for card in added_cards().values()]


def _label(choice: str) -> str:
    return _WORDS.get(choice, choice.replace("_", " ").capitalize())


def _in_words(text: str, choices: tuple[str, ...]) -> str:
    """Return a help text for people before a dialog: without papers, and with choices as they are labelled there."""
    text = re.sub(r" \([A-Z]\w+ \d{4}\)", "", text)
    text = re.sub(r", needs the extra \w+", "", text)
    for choice in sorted(choices, key=len, reverse=True):
        text = re.sub(rf"(?<![\w.]){re.escape(choice)}(?=:)", _label(choice), text)
    for choice in ("knn", "vitmatte", "key"):  # in running text, whichever setting's it is; not in a model's name
        text = re.sub(rf"(?<![\w.-]){choice}(?![\w-])", _WORDS[choice].lower(), text)
    return text.replace("_", " ")
