"""A region of a clip: models look at it alone, and what is beyond it is background."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from gossamer.arrays import Array
from gossamer.errors import InputError
from gossamer.settings.video import read_region
from gossamer.video.clip import Clip, Frame

__all__ = ["Region"]

_LEAST = 32  # px a side: in less no model sees anything


@dataclass(frozen=True)
class Region:
    """A box in pixels of the frames: left and top in, right and bottom out."""

    left: int
    top: int
    right: int
    bottom: int

    @classmethod
    def of(cls, text: str, clip: Clip) -> Region | None:
        """Return the region that the settings name, in the frames of a clip; None where they name none.

        Raises
        ------
        InputError
            It lies outside the frames, or is too small.
        """
        if not text:
            return None
        corners = [
            number * (clip.width, clip.height)[place % 2] / 100 if percent else number
            for place, (number, percent) in enumerate(read_region(text))
        ]
        left, top = max(0, int(corners[0])), max(0, int(corners[1]))
        right, bottom = min(clip.width, round(corners[2])), min(clip.height, round(corners[3]))
        if right - left < _LEAST or bottom - top < _LEAST:
            raise InputError(
                f"The region {text} holds too little of frames of {clip.width} x {clip.height}.",
                f"Give X0,Y0,X1,Y1 with at least {_LEAST} px a side.",
            )
        return cls(left, top, right, bottom)

    def within(self, frame: Frame) -> Frame:
        """Return what of a frame is in the region."""
        place = slice(self.top, self.bottom), slice(self.left, self.right)
        own = None if frame.alpha is None else np.ascontiguousarray(frame.alpha[place])
        return replace(frame, pixels=np.ascontiguousarray(frame.pixels[place]), alpha=own)

    def placed(self, alpha: Array, frame: Frame) -> Array:
        """Return a matte of the region as one of the frame, 0 beyond it."""
        whole = np.zeros(frame.pixels.shape[:2], np.float32)
        whole[self.top : self.bottom, self.left : self.right] = alpha
        return whole

    def kept(self, alpha: Array) -> Array:
        """Return a frame's matte with nothing beyond the region: what holds it still may have led over its edge."""
        place = slice(self.top, self.bottom), slice(self.left, self.right)
        whole = np.zeros_like(alpha)
        whole[place] = alpha[place]
        return whole
