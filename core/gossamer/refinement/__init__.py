"""Mask edges: the controls of Photoshop's Select and Mask, and the usual mask tools."""

from __future__ import annotations

from gossamer.refinement.controls import adjust_alpha, clean_mask, refine_mask

__all__ = ["adjust_alpha", "clean_mask", "refine_mask"]
