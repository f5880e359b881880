"""The canvas stage: a subject with its alpha, a background and the settings in, the finished picture out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array, as_rgb, unit_float
from gossamer.canvas.face import chin_by_eyes
from gossamer.canvas.geometry import Content, Layout, lay_out
from gossamer.canvas.head import head_box
from gossamer.canvas.photographed import kept_shadow
from gossamer.canvas.placing import Placed, place, place_plane
from gossamer.canvas.shadows import ShadowLayer, cast, cut_warnings
from gossamer.canvas.sharpening import sharpened
from gossamer.canvas.subject import Box, centre_of_mass, cleared, cut_off, subject_box
from gossamer.compositing import Backdrop, conversion, over
from gossamer.errors import InputError
from gossamer.image import Image
from gossamer.lengths import read_span
from gossamer.parallel.patience import patiently
from gossamer.progress import Progress
from gossamer.settings.canvas import Canvas
from gossamer.settings.recipe import Recipe

__all__ = ["Finished", "changes_the_picture", "finish_picture"]

_OPAQUE = np.float32(1 - 1e-6)


class Finished(NamedTuple):
    """A finished picture; everything of it has the canvas' size.

    Attributes
    ----------
    pixels : (H, W, 3) uint8 or float32
        The subject's straight colours.
    alpha : (H, W) float32
        The subject's.
    composite : (H, W, 3) float32 or None
        The subject over its shadow and the background; None where there is neither.
    composite_alpha : (H, W) float32 or None
        Of `composite`; None where it is opaque.
    layout : Layout
        Where the photograph lies on the canvas.
    icc_profile : bytes or None
        Of the numbers; None is sRGB.
    bit_depth : int
        Of the numbers: 8, 16 or 32.
    dpi : tuple of float or None
        What the file tells.
    shadow : (H, W) float32 or None
        The photograph's own, as the alpha of a black layer.
    """

    pixels: NDArray[Any]
    alpha: Array
    composite: Array | None
    composite_alpha: Array | None
    layout: Layout
    icc_profile: bytes | None
    bit_depth: int
    dpi: tuple[float, float] | None
    shadow: Array | None = None

    def placed(self, plane: Array | None) -> Array | None:
        """Return a plane of the photograph on the canvas, 0 around it; None of None."""
        return None if plane is None else place_plane(plane, self.layout)


def changes_the_picture(recipe: Recipe) -> bool:
    """Return whether a recipe wants anything of this stage."""
    shadow = recipe.shadow.kind != "none" or recipe.foreground.shadow == "keep"
    return shadow or not recipe.canvas.changes_nothing or recipe.output.srgb


def finish_picture(
    pixels: NDArray[Any],
    alpha: Array,
    recipe: Recipe,
    backdrop: Backdrop,
    source: Image,
    *,
    estimated: bool = True,
    progress: Progress,
    warn: Callable[[str], object],
) -> Finished:
    """Put a subject on its canvas, with its shadow and its background.

    Parameters
    ----------
    pixels : (H, W, 3) uint8 or float32
        The subject's straight colours.
    alpha : (H, W) float32
        1 = subject; times `source.alpha` where there is one.
    recipe : Recipe
        Its canvas, shadow, background and output.
    backdrop : Backdrop
        The recipe's background, in sRGB where the output is to be.
    source : Image
        The photograph: what a blurred background is made of.
    estimated : bool
        Whether the colours are the subject's own, or still the photograph's.
    progress : Progress
        May raise to cancel.
    warn : callable
        Told in one sentence each what did not go as asked.

    Raises
    ------
    InputError
        The matte is empty, the margins leave no room, or no head can be found.
    """
    canvas = recipe.canvas
    whole = alpha if source.alpha is None else alpha * source.alpha
    if canvas.haze:
        whole = cleared(whole, canvas.haze / 100)
    around = canvas.around
    needs_box = around != "frame" or recipe.shadow.kind != "none"
    box = _box_of(whole, around, needs_box)
    layout = _layout(whole, box, canvas, source, warn)
    progress(0.1)
    placed = patiently(lambda: place(pixels, whole, layout), progress)
    progress(0.5)
    profile, depth = source.icc_profile, source.bit_depth
    to_srgb = conversion(profile, None) if recipe.output.srgb else None
    if to_srgb is not None:
        if depth > 8:
            warn("The colours are converted to sRGB in 8 bits, of the photograph's 16 or more.")
        placed, profile, depth = placed._replace(pixels=to_srgb(as_rgb(placed.pixels))), None, 8
    if canvas.sharpen and layout.scale < 1:
        placed = placed._replace(pixels=sharpened(unit_float(placed.pixels), placed.alpha, canvas.sharpen / 100))
    progress(0.6)
    shadow = None
    if box is not None:
        footless = recipe.shadow.kind != "none" and "bottom" in cut_off(whole, box)
        part = progress.part(0.6, 0.9)
        shadow = cast(placed, layout.placed(box), recipe.shadow, part, footless=footless)
    if shadow is not None:
        for sentence in shadow.warnings:
            warn(sentence)
    own = None
    if recipe.foreground.shadow == "keep":
        own = kept_shadow(source, alpha, progress, warn)
        if own is not None:
            own = place_plane(own, layout)
            if not canvas.is_the_photograph and own.any():
                for sentence in cut_warnings(own, placed.alpha, "drop"):
                    warn(sentence)
    colours = pixels if estimated else None
    behind = patiently(lambda: _behind(backdrop, colours, alpha, source, layout, to_srgb), progress)
    layers = [] if own is None else [ShadowLayer(np.zeros(3, np.float32), own)]
    layers += [] if shadow is None else [shadow]
    composite, composite_alpha = patiently(lambda: _composed(placed, layers, behind, backdrop), progress)
    progress(1.0)
    one = layout.dpi or float(canvas.dpi)
    dpi = (one, one) if one else source.dpi
    return Finished(placed.pixels, placed.alpha, composite, composite_alpha, layout, profile, depth, dpi, own)


def _box_of(alpha: Array, around: str, needed: bool) -> Box | None:
    """Return the subject's box; None where nothing needs it, or a shadow alone would and there is no subject."""
    if not needed:
        return None
    try:
        return subject_box(alpha)
    except InputError:
        if around == "frame":  # the report says already that nothing was found
            return None
        raise


def _layout(alpha: Array, box: Box | None, canvas: Canvas, source: Image, warn: Callable[[str], object]) -> Layout:
    height, width = alpha.shape
    around, told, chin = canvas.around, read_span(canvas.head), None
    if canvas.is_the_photograph:
        return Layout(width, height)
    if around == "frame" or box is None:
        content = Content(Box(0, 0, width, height))
    elif around == "head":
        head = head_box(alpha, told)
        chin = None if told is not None else chin_by_eyes(source.pixels, head)
        content = Content(head if chin is None else head._replace(bottom=chin), by_height=True)
    else:
        cut = cut_off(alpha, box)
        content = Content(box, mass=centre_of_mass(alpha) if canvas.align == "mass" else None, cut=cut)
    layout = lay_out(content, canvas)
    for sentence in layout.warnings:
        warn(sentence)
    if content.cut:
        warn(f"The photograph cuts the subject off at the {' and '.join(content.cut)}{_of_cuts(content, layout)}.")
    if around == "head" and box is not None:
        _check_bust(alpha, box, layout)
        if told is None:
            how = "Crown and chin are found by the outline"
            how = how if chin is None else "The crown is found by the outline, and the chin by the eyes"
            warn(f"{how}: compare them with the authority's template, and see --canvas-head.")
    return layout


def _of_cuts(content: Content, layout: Layout) -> str:
    """Return where cuts that do not lie at the picture's edge can be seen."""
    at = layout.placed(content.box)
    inside = {
        "top": at.top > 1,
        "right": at.right < layout.width - 1,
        "bottom": at.bottom < layout.height - 1,
        "left": at.left > 1,
    }
    seen = [side for side in content.cut if inside[side]]
    return f": the cut can be seen at the {' and '.join(seen)}" if seen else ", where it stays at the picture's edge"


def _check_bust(alpha: Array, box: Box, layout: Layout) -> None:
    """Refuse a head whose neck or shoulders would float."""
    height, width = alpha.shape
    cut = cut_off(alpha, box)
    end = layout.placed(Box(0, 0, width, height))
    floating = [
        side
        for side, floats in (
            ("bottom", end.bottom < layout.height - 1),
            ("left", end.left > 1),
            ("right", end.right < layout.width - 1),
            ("top", end.top > 1),
        )
        if side in cut and floats
    ]
    if floating:
        raise InputError(
            f"The photograph shows too little of the person at the {' and '.join(floating)} for this picture.",
            "Take one that shows head and shoulders with some room, or give a larger --canvas-fill.",
        )
    if layout.placed(box).bottom < layout.height - 1:
        raise InputError(
            "The shoulders do not reach the lower edge of this picture.",
            "Take one that shows more of the body, or give a larger --canvas-fill.",
        )


def _behind(
    backdrop: Backdrop,
    colours: NDArray[Any] | None,
    alpha: Array,
    source: Image,
    layout: Layout,
    to_srgb: Callable[[Array], Array] | None,
) -> Array | None:
    """Return the background of the canvas, (H, W, 3) or (3,); None where there is none."""
    if backdrop.blur is None:
        return backdrop.behind(np.empty((layout.height, layout.width, 3), np.uint8))
    behind = backdrop.behind(source.pixels, colours, alpha, source.alpha)
    assert behind is not None  # noqa: S101 - a blurred background is one
    behind = place_plane(behind, layout, spread=True)
    return behind if to_srgb is None else to_srgb(behind)


def _composed(
    placed: Placed, shadows: list[ShadowLayer], behind: Array | None, backdrop: Backdrop
) -> tuple[Array | None, Array | None]:
    """Return subject, shadows and background as one, straight, and its alpha where it is transparent."""
    if behind is None and not shadows:
        return None, None
    shape = placed.alpha.shape
    colours: Array = np.zeros(3, np.float32) if behind is None else behind
    seen: Array | None = None  # opaque
    if behind is None or backdrop.alpha < 1:
        seen = np.full(shape, 0 if behind is None else backdrop.alpha, np.float32)
    for pixels, alpha in [*(shadow[:2] for shadow in shadows), placed[:2]]:
        colours, seen = _laid_over(pixels, alpha, colours, seen, backdrop.linear_light)
    return colours, None if seen is None or float(seen.min()) >= _OPAQUE else seen


def _laid_over(
    pixels: NDArray[Any], alpha: Array, behind: Array, seen: Array | None, linear_light: bool
) -> tuple[Array, Array | None]:
    """Return a layer over another, both straight: colours are mixed by the upper one's share of what is seen."""
    front = unit_float(pixels)
    if front.ndim == 1:
        front = np.broadcast_to(front, (*alpha.shape, 3))
    if seen is None:
        return over(front, alpha, behind, linear_light=linear_light), None
    together = alpha + (1 - alpha) * seen
    share = np.divide(alpha, together, out=np.zeros_like(alpha), where=together > 0)
    return over(front, np.clip(share, 0, 1), behind, linear_light=linear_light), np.clip(together, 0, 1)
