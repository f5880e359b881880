"""``--shadow-layer FILE``: the photograph's shadow as a picture of its own, to lie beneath the cut-out."""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np

from gossamer.cli.naming import check_apart
from gossamer.cli.parser import Parser
from gossamer.cutout import Cutout
from gossamer.errors import InputError
from gossamer.image import check_output, encode_image, format_of, write_bytes
from gossamer.progress import Progress
from gossamer.settings.recipe import Recipe

__all__ = ["add_shadow_flag", "apart", "finding_shadow", "write_shadow"]


def add_shadow_flag(parser: Parser) -> None:
    """Add the option."""
    parser.add_argument(
        "--shadow-layer",
        metavar="FILE",
        help="write the photograph's shadow, black with its alpha, to lie beneath OUT, which is without it then",
    )


def finding_shadow(recipe: Recipe, arguments: argparse.Namespace, output: str) -> Recipe:
    """Return the recipe with the shadow that the option asks for; what would make the writing fail is told now."""
    path = arguments.shadow_layer
    if path is None:
        return recipe
    check_output(path, force=arguments.force)
    check_apart(OUT=output, **{"--shadow-layer": path})
    if format_of(path) == "jpeg":
        raise InputError("JPEG cannot hold a shadow's alpha.", "Write it as .png, .webp or .tif.")
    if recipe.background.fill != "transparent" or recipe.shadow.kind != "none":
        raise InputError(
            "A shadow's layer goes beneath a cut-out that stands on nothing.",
            "Leave out --background and --shadow, or --shadow-layer.",
        )
    return recipe.model_copy(update={"foreground": recipe.foreground.model_copy(update={"shadow": "keep"})})


def apart(cutout: Cutout, arguments: argparse.Namespace) -> Cutout:
    """Return the cut-out without its shadow, where that goes into a layer of its own."""
    return cutout if arguments.shadow_layer is None else replace(cutout, composite=None, composite_alpha=None)


def write_shadow(cutout: Cutout, arguments: argparse.Namespace, steps: Progress) -> None:
    """Write the layer; where no shadow could be found there is none, and the report says so."""
    if arguments.shadow_layer is None or cutout.shadow is None:
        return
    black = np.zeros((*cutout.shadow.shape, 3), np.uint8)
    data = encode_image(
        black,
        cutout.shadow,
        format_of(arguments.shadow_layer),
        bit_depth=min(cutout.bit_depth, 16),
        icc_profile=cutout.icc_profile,
        dpi=cutout.dpi,
        progress=steps,
    )
    write_bytes(arguments.shadow_layer, data, force=arguments.force, progress=steps)
