"""Edges to choose from: a few settings of a cut-out under one name, for faces that show a preview."""

from __future__ import annotations

from typing import Any

from gossamer.settings.base import Settings
from gossamer.settings.parameters import parameters
from gossamer.settings.recipe import Foreground, Matting, Recipe, Refinement

__all__ = ["EDGES", "Edge"]

_SET = (
    "matting.method",
    "foreground.method",
    "refinement.smooth",
    "refinement.feather",
    "refinement.contrast",
    "refinement.shift_edge",
    "refinement.black_point",
    "refinement.white_point",
)


class Edge(Settings):
    """One edge to choose: what it is called and for, and the settings that make it."""

    id: str
    title: str
    help: str
    refinement: Refinement = Refinement()
    matting: Matting = Matting()
    foreground: Foreground = Foreground()

    def flat(self) -> dict[str, Any]:
        """Return what it sets, by flat names: the same names for every edge."""
        recipe = Recipe(refinement=self.refinement, matting=self.matting, foreground=self.foreground)
        names = {parameter.path: parameter.name for parameter in parameters()}
        values = recipe.model_dump()
        return {names[path]: values[stage][field] for path in _SET for stage, field in [path.split(".")]}


EDGES = (
    Edge(
        id="hair",
        title="Hair",
        help="Hair, fur and other fine edges, solved place by place where the picture shows them. The usual choice.",
    ),
    Edge(
        id="clean",
        title="Clean",
        help="A smooth, crisp outline for things with firm edges: products, furniture, logos.",
        # Faint rests beside the outline go, and its steps are rounded; the edge stays one or two pixels wide.
        refinement=Refinement(smooth=2.0, black_point=0.05, white_point=0.95, contrast=20.0),
    ),
    Edge(
        id="soft",
        title="Soft",
        help="A gentle transition, for a subject that is out of focus or goes onto a blurred background.",
        refinement=Refinement(smooth=2.0, feather=2.0),
    ),
    Edge(
        id="as_found",
        title="As found",
        help="The mask as it was found, with nothing done to its edge: fast, and without fine hair.",
        matting=Matting(method="none"),
    ),
)
"""The first is what the defaults are."""
