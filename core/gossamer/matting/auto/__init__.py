"""From any mask to a matte: place by place what the mask and the picture call for."""

from gossamer.matting.auto.alpha import auto_alpha

__all__ = ["auto_alpha"]
