"""Finishing a cut-out: its crop and canvas, its shadow, and the shops' presets."""

from __future__ import annotations

from gossamer.canvas.cropping import crop_box, paste_back
from gossamer.canvas.finishing import finish_cutout
from gossamer.canvas.presets import Preset, load_presets, preset
from gossamer.canvas.rules import check_picture
from gossamer.canvas.subject import Box

__all__ = ["Box", "Preset", "check_picture", "crop_box", "finish_cutout", "load_presets", "paste_back", "preset"]
