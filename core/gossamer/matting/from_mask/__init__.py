"""From a mask of anywhere to a matte: the mask guides, colours decide."""

from __future__ import annotations

from gossamer.matting.from_mask.alpha import matte_from_mask

__all__ = ["matte_from_mask"]
