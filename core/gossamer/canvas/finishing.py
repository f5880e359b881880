"""Finishing a cut-out from anywhere: any picture with an alpha."""

from __future__ import annotations

import time
from typing import Literal

import numpy as np

from gossamer.arguments import check_choice
from gossamer.canvas.stage import finish_picture
from gossamer.canvas.straight import looks_premultiplied, unmultiplied
from gossamer.compositing import read_backdrop
from gossamer.cutout import Cutout, Origin
from gossamer.errors import InputError
from gossamer.image import Image, ImageSource, kept_metadata, read_image
from gossamer.parallel.patience import patiently
from gossamer.progress import Progress, ProgressCallback
from gossamer.settings.belonging import knows_its_arguments
from gossamer.settings.recipe import Recipe

__all__ = ["COLOURS", "finish_cutout"]

COLOURS = ("auto", "straight", "premultiplied")
"""How the colours of a cut-out lie in its file; auto looks."""


@knows_its_arguments
def finish_cutout(
    cutout: ImageSource | Cutout,
    recipe: Recipe | None = None,
    *,
    colours: Literal["auto", "straight", "premultiplied"] = "auto",
    progress: ProgressCallback | Progress | None = None,
) -> Cutout:
    """Put a cut-out on a canvas: its background, shadow, crop and size, as the recipe has them.

    Parameters
    ----------
    cutout : Cutout, or a picture with alpha (path, bytes, PIL image, Image, (H, W, 4) array)
        Its alpha is taken as it is: nothing is refined.
    recipe : Recipe, optional
        Its background, canvas, shadow and output; the other stages have nothing to do.
    colours : {"auto", "straight", "premultiplied"}
        How the colours lie in the file. auto: as straight, unless they look multiplied by alpha, which the report then
        says.
    progress : callable, optional
        ``progress(fraction, message)``; raising :class:`gossamer.Cancelled` in it stops the work.

    Returns
    -------
    Cutout
        Its foreground, alpha and composite have the canvas' size.

    Raises
    ------
    InputError
        The picture has no alpha, nothing is in it, the canvas has no room for the margins, or the background would be
        blurred from a photograph that is not there.
    """
    start, steps = time.perf_counter(), Progress.of(progress)
    recipe = Recipe() if recipe is None else recipe
    check_choice(colours, COLOURS, "way that colours lie")
    if recipe.background.fill.strip() == "blur":
        raise InputError(
            "A cut-out has no background that could be blurred.", "Give a colour, a gradient or a picture instead."
        )
    steps(0.0, "Reading the cut-out")
    if isinstance(cutout, Cutout):
        source = Image(
            cutout.pixels, cutout.alpha, cutout.icc_profile, cutout.bit_depth, cutout.dpi, metadata=cutout.metadata
        )
    else:
        source = read_image(cutout, steps.part(0.0, 0.1))
    found = source.alpha
    if found is None or patiently(lambda: float(found.min()), steps) >= 1:
        raise InputError(
            "The picture has no transparency, so that nothing tells its subject from the background.",
            "Cut it out first: gossamer remove, or refine with a mask.",
        )
    warnings = list(source.warnings)
    alpha, pixels = np.asarray(found), source.pixels
    multiplied = colours == "premultiplied"
    if colours == "auto" and patiently(lambda: looks_premultiplied(source.pixels, alpha), steps):
        multiplied = True
        warnings.append(
            "The cut-out's colours look multiplied by its alpha, and are divided by it again: "
            "if its edges become too bright, say --colours straight."
        )
    if multiplied:
        pixels = patiently(lambda: unmultiplied(source.pixels, alpha), steps)
    profile = None if recipe.output.srgb else source.icc_profile
    backdrop = patiently(lambda: read_backdrop(recipe.background, profile), steps)
    warnings += backdrop.warnings
    opaque = Image(pixels, None, source.icc_profile, source.bit_depth, source.dpi)
    part = steps.part(0.1, 1.0)
    finished = finish_picture(pixels, alpha, recipe, backdrop, opaque, progress=part, warn=warnings.append)
    kept = kept_metadata(source.metadata, whole=recipe.output.metadata == "keep", srgb=recipe.output.srgb)
    warnings += kept.warnings
    origin = Origin(seconds={"canvas": round(time.perf_counter() - start, 4)})
    steps(1.0, "Done")
    return Cutout(
        pixels=finished.pixels,
        alpha=finished.alpha,
        report=origin.report(finished.alpha, {}, warnings),
        recipe=recipe,
        composite=finished.composite,
        composite_alpha=finished.composite_alpha,
        icc_profile=finished.icc_profile,
        bit_depth=finished.bit_depth,
        dpi=finished.dpi,
        metadata=kept.metadata,
    )
