"""Pictures made of cut-outs: fifty of them over ever new backgrounds are a training set."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array, unit_float
from gossamer.compositing import conversion, over
from gossamer.errors import InputError
from gossamer.image import read_image
from gossamer.resampling import area, bilinear
from gossamer.training.dataset.backgrounds import Kind, background
from gossamer.training.dataset.examples import Example

__all__ = ["compose", "filled_subject", "subject_of"]

_HIDDEN = np.float32(0.5 / 255)  # alpha below shows nothing
_UNIFORM = 0.02  # the spread of hidden colours that somebody has cleaned away
_TOUCHES = 0.02  # the share of a border's length from which on the subject is cut off by it
_SURE = 0.9  # alpha of pixels whose colour is the subject's alone


def compose(
    example: Example,
    backgrounds: Sequence[Path],
    seed: int,
    *,
    longest: int = 1024,
    kind: Kind | None = None,
) -> tuple[NDArray[np.uint8], Array]:
    """Put the subject of an example over a background.

    The subject keeps its size or becomes smaller, and stays at a border that cuts it off. Its colours are estimated
    where the old background shines through (:func:`gossamer.foreground.soft_band`), so nothing of that comes along.
    The same example, backgrounds and seed give the same picture.

    Parameters
    ----------
    example : Example
        A cut-out; a picture with a matte can serve as one.
    backgrounds : sequence of Path
        The user's pictures, or none.
    seed : int
        0 or more.
    longest : int
        Pixels that the longer side has at most.
    kind : str, optional
        The background's; by lot without it, see :mod:`gossamer.training.dataset.backgrounds`.

    Returns
    -------
    rgb : (H, W, 3) uint8
        In sRGB.
    alpha : (H, W) float32
        In [0, 1], 1 = foreground.

    Raises
    ------
    InputError
        The example or a background cannot be read.
    """
    name = hashlib.sha256(example.name.encode("utf-8", "surrogateescape")).digest()
    lots = np.random.default_rng([seed, int.from_bytes(name[:8], "little")])
    colours, alpha = subject_of(example, longest)
    colours, alpha = _placed(colours, alpha, lots)
    sure = colours[alpha > _SURE]
    behind = background(backgrounds, sure, alpha.shape, lots, kind)
    made = over(colours, alpha, behind)
    return np.rint(made * np.float32(255)).astype(np.uint8), alpha


def subject_of(example: Example, longest: int) -> tuple[Array, Array]:
    """Return an example's subject: straight colours in sRGB, (H, W, 3) float32, and alpha, both at most `longest`.

    Raises
    ------
    InputError
        The example cannot be read.
    """
    rgb, alpha = example.load()
    colours: Array = unit_float(rgb)
    if (convert := conversion(read_image(example.picture).icc_profile, None)) is not None:
        colours = convert(colours)
    alpha = np.ascontiguousarray(alpha, np.float32)
    if float(alpha.max(initial=0)) <= 0.5:
        raise InputError(f"{example.picture} shows nothing.", "Leave it out.")
    colours, alpha = filled_subject(colours, alpha, cutout=example.is_cutout)
    height, width = alpha.shape
    scale = min(1.0, longest / max(height, width))
    return _scaled(colours, alpha, max(1, round(height * scale)), max(1, round(width * scale)))


def filled_subject(colours: Array, alpha: Array, *, cutout: bool) -> tuple[Array, Array]:
    """Return colours, (H, W, 3) float32, that are the subject's alone, also where it hides nothing; and its alpha.

    Parameters
    ----------
    colours : (H, W, 3) float32
        In [0, 1].
    alpha : (H, W) float32
    cutout : bool
        Whether the colours are those of a cut-out, which somebody may have cleaned.
    """
    from gossamer import foreground

    if cutout and _is_cleaned(colours, alpha):
        # Straight colours already: to estimate them again from a black that nobody photographed would brighten edges.
        return foreground.fill_hidden(colours.copy(), alpha, 0), alpha
    return np.asarray(foreground.soft_band(colours, alpha), np.float32), alpha


def _is_cleaned(colours: Array, alpha: Array) -> bool:
    """Tell whether a cut-out's hidden pixels have one colour, or none are hidden: not the photograph that was there."""
    hidden = colours[alpha < _HIDDEN]
    return not len(hidden) or float(hidden.std(axis=0, dtype=np.float64).max()) < _UNIFORM


def _scaled(colours: Array, alpha: Array, height: int, width: int) -> tuple[Array, Array]:
    """Resize straight colours as they are seen: each pixel counts by its alpha."""
    if alpha.shape == (height, width):
        return colours, alpha
    resize = area if height < alpha.shape[0] else bilinear
    matte = resize(alpha, height, width)
    seen = resize(colours * alpha[..., None], height, width)
    plain = resize(colours, height, width)
    share = np.maximum(matte, _HIDDEN)[..., None]
    straight: Array = np.where(matte[..., None] >= _HIDDEN, np.clip(seen / share, 0, 1), plain)
    return straight, np.clip(matte, 0, 1)


def _placed(colours: Array, alpha: Array, lots: np.random.Generator) -> tuple[Array, Array]:
    """Return the subject, smaller and elsewhere in a picture of the same size; where it is cut off it stays so."""
    height, width = alpha.shape
    top, bottom, left, right = (
        float((line > 0.5).mean()) > _TOUCHES for line in (alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1])
    )
    share = 1.0 if (top and bottom) or (left and right) else float(lots.uniform(0.55, 1.0))
    places = lots.random(2)
    tall, wide = max(1, round(height * share)), max(1, round(width * share))
    if (tall, wide) == (height, width):
        return colours, alpha
    small, matte = _scaled(colours, alpha, tall, wide)
    row = 0 if top else height - tall if bottom else round(places[0] * (height - tall))
    column = 0 if left else width - wide if right else round(places[1] * (width - wide))
    around = ((row, height - tall - row), (column, width - wide - column))
    canvas = np.pad(matte, around)
    return np.pad(small, (*around, (0, 0)), mode="edge"), canvas
