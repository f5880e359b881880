"""Finishing a cut-out: its crop and canvas, its shadow, and the shops' presets."""

from __future__ import annotations

from gossamer.canvas.finishing import finish_cutout
from gossamer.canvas.presets import Preset, load_presets, preset
from gossamer.canvas.rules import check_picture

__all__ = ["Preset", "check_picture", "finish_cutout", "load_presets", "preset"]
