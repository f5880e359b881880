"""A clip and its frames, as data."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.video.tags import ColourTags

__all__ = ["Clip", "Frame"]


@dataclass(frozen=True)
class Clip:
    """What is known of a clip before it is read.

    Attributes
    ----------
    path : Path
        A file, or the folder of pictures.
    width, height : int
        Of the frames, upright.
    rate : Fraction
        Frames a second, on average.
    time_base : Fraction
        What its times are multiples of, in seconds.
    seconds : float or None
        How long it is, where the file says so.
    depth : int
        Bits a channel.
    aspect : Fraction
        Width of a pixel by its height.
    tags : ColourTags
    has_alpha : bool
    has_sound : bool
    codec : str
        FFmpeg's name of it.
    icc_profile : bytes or None
        Of pictures in a folder.
    """

    path: Path
    width: int
    height: int
    rate: Fraction
    time_base: Fraction
    seconds: float | None
    depth: int
    aspect: Fraction
    tags: ColourTags
    has_alpha: bool
    has_sound: bool
    codec: str
    icc_profile: bytes | None = None


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a clip.

    Attributes
    ----------
    number : int
        From 0, counted from the in point.
    time : Fraction
        Seconds from the in point.
    pixels : (H, W, 3) uint8 or uint16
        RGB, upright, in the clip's own transfer and primaries.
    alpha : (H, W) uint8 or uint16, or None
        Where the clip has one.
    """

    number: int
    time: Fraction
    pixels: NDArray[Any]
    alpha: NDArray[Any] | None = None

    @property
    def rgb(self) -> NDArray[np.float32]:
        """The pixels as (H, W, 3) float32 in [0, 1]."""
        most = 255 if self.pixels.dtype == np.uint8 else 65535
        return self.pixels.astype(np.float32) / np.float32(most)
