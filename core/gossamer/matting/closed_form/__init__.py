"""Closed-form matting (Levin 2008), solved by multigrid."""

from __future__ import annotations

from gossamer.matting.closed_form.alpha import closed_form_alpha

__all__ = ["closed_form_alpha"]
