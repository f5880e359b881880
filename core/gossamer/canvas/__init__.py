"""Finishing a cut-out: its crop and canvas, its shadow, and the shops' presets."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gossamer.canvas.cropping import crop_box, paste_back
    from gossamer.canvas.finishing import finish_cutout
    from gossamer.canvas.presets import Preset, load_presets, preset
    from gossamer.canvas.rules import check_picture
    from gossamer.canvas.subject import Box

__all__ = ["Box", "Preset", "check_picture", "crop_box", "finish_cutout", "load_presets", "paste_back", "preset"]

_HOME = {
    "Box": "subject",
    "Preset": "presets",
    "check_picture": "rules",
    "crop_box": "cropping",
    "finish_cutout": "finishing",
    "load_presets": "presets",
    "paste_back": "cropping",
    "preset": "presets",
}


def __getattr__(name: str) -> Any:
    """Import the names when they are first used: who lists the presets needs none of what finishes."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value
