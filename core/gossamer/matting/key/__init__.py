"""Keying: alpha before a backdrop whose colour is known everywhere."""

from gossamer.matting.key.alpha import key_alpha

__all__ = ["key_alpha"]
