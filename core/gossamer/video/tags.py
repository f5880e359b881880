"""What the numbers of a clip mean: matrix, range, transfer and primaries, as ITU-T H.273 counts them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["ColourTags"]

_UNSPECIFIED = 2
_RGB = 0
_BT709, _SMPTE170M = 1, 6
_HD = 720  # rows from which what says nothing is BT.709, as players take it
_SRGB = 13

# swscale's numbers of the matrices; what it does not know is taken as BT.709's.
_MATRICES = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}


@dataclass(frozen=True)
class ColourTags:
    """The tags of a stream, in H.273's numbers; 2 says nothing.

    Attributes
    ----------
    primaries, transfer, matrix : int
    full : bool
        Whether luma uses all numbers (JPEG's range) and not 16 to 235 of 255.
    """

    primaries: int = _UNSPECIFIED
    transfer: int = _UNSPECIFIED
    matrix: int = _UNSPECIFIED
    full: bool = False

    @classmethod
    def of(cls, thing: Any, container: Any, height: int, rgb: bool = False) -> ColourTags:
        """Return the tags of a frame of PyAV, what it does not say filled in as players do.

        Parameters
        ----------
        thing : av.VideoFrame
        container : av.VideoCodecContext
            What the container tells, where the frame says nothing: of VP9, whose stream tells the matrix alone.
        height : int
            Where nothing is said, tall pictures are BT.709 and small ones BT.601.
        rgb : bool
            It holds red, green and blue: sRGB where nothing is said.
        """
        matrix = int(thing.colorspace)
        primaries, transfer = (
            int(getattr(thing, name)) if int(getattr(thing, name)) != _UNSPECIFIED else int(getattr(container, name))
            for name in ("color_primaries", "color_trc")
        )
        if rgb and transfer == _UNSPECIFIED:
            primaries, transfer = _BT709, _SRGB
        if rgb or matrix in (_UNSPECIFIED, _RGB, 3):
            matrix = _BT709 if rgb or height >= _HD else _SMPTE170M
        return cls(primaries, transfer, matrix, int(thing.color_range) == 2)

    @classmethod
    def of_pictures(cls) -> ColourTags:
        """Return the tags of pictures in sRGB."""
        return cls(_BT709, _SRGB, _BT709, True)

    @property
    def swscale(self) -> int:
        """The matrix in swscale's numbers."""
        return _MATRICES.get(self.matrix, 1)

    @property
    def is_hdr(self) -> bool:
        """Whether the numbers are PQ's or HLG's."""
        return self.transfer in (16, 18)

    def put_on(self, context: Any, rgb: bool = False) -> None:
        """Tag an encoder's context: luma's range becomes the narrow one, which all players take; RGB has no matrix."""
        context.color_primaries, context.color_trc = self.primaries, self.transfer
        context.colorspace, context.color_range = (_RGB, 2) if rgb else (self.matrix, 1)
