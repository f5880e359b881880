"""From which measure on a check raises a flag."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gossamer.settings.base import Settings

__all__ = ["Checks"]


class Checks(Settings):
    """From where on something about a cut-out is flagged; see :mod:`gossamer.quality` for the measures."""

    empty: Annotated[
        float,
        Field(
            ge=0.0,
            le=50.0,
            title="Empty below",
            description="Flag cut-outs that cover less of the picture than this, or leave less of it.",
            json_schema_extra={"unit": "%"},
        ),
    ] = 0.1
    small: Annotated[
        float,
        Field(
            ge=0.0,
            le=100.0,
            title="Small below",
            description="Flag subjects whose longer side is less than this of the picture's.",
            json_schema_extra={"unit": "%"},
        ),
    ] = 8.0
    frame: Annotated[
        float,
        Field(
            ge=0.0,
            le=100.0,
            title="Frame",
            description="Flag subjects that touch the frame along more than this of its length: they may be cut off.",
            json_schema_extra={"unit": "%"},
        ),
    ] = 0.3
    cut: Annotated[
        float,
        Field(
            ge=0.0,
            le=100.0,
            title="Straight cut",
            description="Flag straight ends along rows or columns that are longer than this and no edge of the "
            "photograph; without a photograph, ten times as long.",
            json_schema_extra={"unit": "% of the diagonal"},
        ),
    ] = 1.2
    specks: Annotated[
        int,
        Field(
            ge=0,
            le=10000,
            title="Specks",
            description="Flag more islands than so many that are less than a hundredth of the largest.",
        ),
    ] = 60
    holes: Annotated[
        float,
        Field(
            ge=0.0,
            le=100.0,
            title="Holes",
            description="With a photograph: flag holes where that shows the subject, if they are more than this of it.",
            json_schema_extra={"unit": "% of the subject"},
        ),
    ] = 0.2
    haze: Annotated[
        float,
        Field(
            ge=0.0,
            le=100.0,
            title="Haze",
            description="Flag an alpha of 1 to 8 % far from the subject on more than this of what lies there.",
            json_schema_extra={"unit": "%"},
        ),
    ] = 8.0
    veil: Annotated[
        float,
        Field(
            ge=0.0,
            le=100.0,
            title="Veil",
            description="Flag subjects that can be seen through, deep inside, on more than this of their area.",
            json_schema_extra={"unit": "%"},
        ),
    ] = 10.0
    jagged: Annotated[
        float,
        Field(
            ge=0.0,
            le=100.0,
            title="Jagged edge",
            description="Flag edges of which more than this jumps from one pixel to the next, as stairs do.",
            json_schema_extra={"unit": "%"},
        ),
    ] = 22.0
    soft: Annotated[
        float,
        Field(
            ge=0.0,
            le=1000.0,
            title="Soft edge",
            description="Flag edges that are wider than this.",
            json_schema_extra={"unit": "px of a picture of 800 x 600"},
        ),
    ] = 16.0
    halo: Annotated[
        float,
        Field(
            ge=0.0,
            le=100.0,
            title="Halo",
            description="With a photograph: flag edges with more than this of the old background's colours.",
            json_schema_extra={"unit": "%"},
        ),
    ] = 75.0
    fringe: Annotated[
        float,
        Field(
            ge=0.0,
            le=100.0,
            title="Fringe",
            description="Flag soft edges that are lighter or darker than the subject beside them by more than this.",
            json_schema_extra={"unit": "%"},
        ),
    ] = 15.0
    outline: Annotated[
        float,
        Field(
            ge=0.0,
            le=100.0,
            title="Outline",
            description="With a photograph: flag outlines of which more than this runs where that has no edge; a fault "
            "where it is much, or long.",
            json_schema_extra={"unit": "%"},
        ),
    ] = 1.2
    lost: Annotated[
        float,
        Field(
            ge=0.0,
            le=100.0,
            title="Lost",
            description="With a mask: flag cut-outs that lost more than this of what it was sure of.",
            json_schema_extra={"unit": "%"},
        ),
    ] = 5.0
    thin: Annotated[
        float,
        Field(
            ge=0.0,
            le=100.0,
            title="Thin parts",
            description="With a mask: flag cut-outs that lost more than this of its thin parts, such as hair.",
            json_schema_extra={"unit": "%"},
        ),
    ] = 20.0
    blur: Annotated[
        float,
        Field(
            ge=0.0,
            le=100.0,
            title="Blur",
            description="Flag subjects that are nowhere sharper than this (0: sharp, 100: nothing but blur).",
            json_schema_extra={"unit": "%"},
        ),
    ] = 60.0
    disagreement: Annotated[
        float,
        Field(
            ge=0.0,
            le=100.0,
            title="Disagreement",
            description="Flag cut-outs from which another mask of the picture differs by more than this of both.",
            json_schema_extra={"unit": "%"},
        ),
    ] = 15.0
