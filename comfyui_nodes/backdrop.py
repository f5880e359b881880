# SPDX-License-Identifier: GPL-3.0-or-later
"""What comes behind a subject in the nodes that put it somewhere: pictures, or a colour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .tensors import Images, empty, put

__all__ = ["COLOUR_HELP", "Behind"]

COLOUR_HELP = (
    "The background of image where no picture is given: #rrggbb, #rgb, a name such as white, or #rrggbbaa, whose aa is "
    "its opacity. One that is transparent in part makes image RGBA."
)


@dataclass(frozen=True)
class Behind:
    """Pictures, or one colour.

    Attributes
    ----------
    pictures : Images or None
        One serves any index.
    colour : (4,) float32
        Where there are no pictures; its last number is its opacity.
    linear_light : bool
        Whether amounts of light are mixed, not numbers.
    """

    pictures: Images | None
    colour: np.ndarray
    linear_light: bool = False

    @classmethod
    def of(cls, colour: str, pictures: Any, *, linear_light: bool = False) -> Behind:
        """Check what a node was given; raises InputError."""
        from gossamer.compositing import parse_colour

        if pictures is not None:
            return cls(Images.of(pictures, "background"), np.ones(4, np.float32), linear_light)
        return cls(None, parse_colour(colour, transparent=True), linear_light)

    @property
    def batches(self) -> tuple[Images, ...]:
        """The batches that must be as long as the subject's."""
        return () if self.pictures is None else (self.pictures,)

    def canvas(self, count: int, height: int, width: int) -> Any:
        """Return an IMAGE for `count` results, with alpha where something shows through."""
        return empty(count, height, width, 3 if self.colour[3] == 1 else 4)

    def under(self, target: Any, front: np.ndarray, alpha: np.ndarray, index: int) -> None:
        """Put picture `index` under a subject with straight colours, into one picture of :meth:`canvas`."""
        from gossamer.compositing import Backdrop, cover, over

        if self.pictures is not None:
            picture = self.pictures.light(index)
            behind = picture if picture.shape == front.shape else cover(np.clip(picture, 0, 1), *front.shape[:2])
            put(target, over(front, alpha, behind, linear_light=self.linear_light, highlights=True))
            return
        backdrop = Backdrop(
            colour=self.colour[:3], alpha=float(self.colour[3]), linear_light=self.linear_light, highlights=True
        )
        done = backdrop.under(front, alpha, front)
        put(target[..., :3], done.rgb)
        if done.alpha is not None:
            put(target[..., 3], done.alpha)
