"""Foreground colours: what the subject looks like where the background shows through it."""

from __future__ import annotations

from gossamer.foreground.box_blur import blur_fusion
from gossamer.foreground.estimation import METHODS, ForegroundBackground, estimate_foreground
from gossamer.foreground.multi_level import multilevel

__all__ = ["METHODS", "ForegroundBackground", "blur_fusion", "estimate_foreground", "multilevel"]
