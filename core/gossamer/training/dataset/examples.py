"""One picture with its truth, and a set of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array, check_size
from gossamer.errors import InputError
from gossamer.image import read_image, read_mask
from gossamer.training.dataset.duplicates import Look
from gossamer.training.dataset.outlines import Outlines

__all__ = ["Dataset", "Example"]


@dataclass(frozen=True)
class Example:
    """A picture and where its truth is.

    Attributes
    ----------
    name : str
        What reports call it, and no other one of its set.
    group : str
        What belongs together, such as the pictures of one product.
    picture : Path
    alpha : Path or None
        A mask, a matte or a cut-out of the picture's size; None where the picture is a cut-out itself or `outlines`
        say what is the subject.
    source : str
        What it was read from: ``"folder"``, ``"cut-out"``, ``"coco"`` or ``"table"``.
    outlines : Outlines or None
        The subject as COCO has it.
    inverted : bool
        Whether the mask's black is the subject.
    look : Look or None
        What :func:`~gossamer.training.dataset.read_dataset` has seen, so that a split need not open it again.
    size : tuple of int
        Width and height in pixels, where it was looked at.
    """

    name: str
    group: str
    picture: Path
    alpha: Path | None
    source: str
    outlines: Outlines | None = field(default=None, compare=False, repr=False)
    inverted: bool = False
    look: Look | None = field(default=None, compare=False, repr=False)
    size: tuple[int, int] = field(default=(0, 0), compare=False, repr=False)

    @property
    def is_cutout(self) -> bool:
        """Whether the picture's own alpha is the truth: there is no background, :func:`compose` gives one."""
        return self.alpha is None and self.outlines is None

    def load(self) -> tuple[NDArray[np.uint8], Array]:
        """Read it, upright, its numbers as a model is given them.

        Returns
        -------
        rgb : (H, W, 3) uint8
            Of a cut-out: its straight colours.
        alpha : (H, W) float32
            In [0, 1], 1 = foreground.

        Raises
        ------
        InputError
            A file cannot be read, or picture and mask differ in size.
        """
        picture = read_image(self.picture)
        pixels = picture.pixels
        rgb = pixels if pixels.dtype == np.uint8 else np.rint(pixels * np.float32(255)).astype(np.uint8)
        if self.outlines is not None:
            alpha = self.outlines.drawn(picture.height, picture.width)
        elif self.alpha is not None:
            alpha = read_mask(self.alpha).plane
            check_size(alpha.shape, rgb.shape, f"mask {self.alpha.name}")
        elif picture.alpha is not None:
            alpha = picture.alpha
        else:
            raise InputError(f"{self.picture} has no mask and is no cut-out.", "Give it a mask of the same name.")
        return rgb, np.float32(1) - alpha if self.inverted else alpha


@dataclass(frozen=True)
class Dataset:
    """What was found.

    Attributes
    ----------
    examples : tuple of Example
        By name, in the order of the names.
    left_out : tuple of (str, str)
        Name and reason, a sentence, of each that cannot be used.
    notes : tuple of (str, str)
        Name and sentence about those that are used and should be looked at.
    passed_over : tuple of (str, str)
        Name and reason of each that nobody means to be used, so that it is no fault of the data.
    """

    examples: tuple[Example, ...]
    left_out: tuple[tuple[str, str], ...] = ()
    notes: tuple[tuple[str, str], ...] = ()
    passed_over: tuple[tuple[str, str], ...] = ()
