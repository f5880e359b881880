"""Foreground colours: what the subject looks like where the background shows through it."""

from __future__ import annotations

from gossamer.foreground.blur_fusion.estimate import blur_fusion
from gossamer.foreground.blur_fusion.torch_estimate import blur_fusion_torch
from gossamer.foreground.despilling import despill
from gossamer.foreground.estimation import METHODS, ForegroundBackground, estimate_foreground, soft_band
from gossamer.foreground.hidden import fill_hidden
from gossamer.foreground.published import multilevel

__all__ = [
    "METHODS",
    "ForegroundBackground",
    "blur_fusion",
    "blur_fusion_torch",
    "despill",
    "estimate_foreground",
    "fill_hidden",
    "multilevel",
    "soft_band",
]
