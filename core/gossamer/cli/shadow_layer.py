"""``--shadow-layer FILE``: the photograph's shadow as a picture of its own, to lie beneath the cut-out."""

from __future__ import annotations

import argparse

from gossamer.canvas.photographed import with_shadow_apart
from gossamer.cli.naming import check_second
from gossamer.cli.parser import Parser
from gossamer.cutout import Cutout
from gossamer.image import format_of
from gossamer.progress import Progress
from gossamer.settings.recipe import Recipe

__all__ = ["add_shadow_flag", "apart", "finding_shadow", "shadow_file"]


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
    check_second("--shadow-layer", path, arguments.force, OUT=output)
    return with_shadow_apart(recipe, format_of(path), "--shadow-layer")


def apart(cutout: Cutout, arguments: argparse.Namespace) -> Cutout:
    """Return the cut-out without its shadow, where that goes into a layer of its own."""
    return cutout if arguments.shadow_layer is None else cutout.apart()


def shadow_file(cutout: Cutout, arguments: argparse.Namespace, steps: Progress) -> list[tuple[str, bytes]]:
    """Return the layer's file, if any: where no shadow could be found there is none, and the report says so."""
    if arguments.shadow_layer is None or cutout.shadow is None:
        return []
    return [(arguments.shadow_layer, cutout.encode_shadow(format_of(arguments.shadow_layer), progress=steps))]
