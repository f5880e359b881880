"""The Recipe: the only place that holds names, defaults, limits, units and help of every parameter.

`parameters.py` flattens it; command-line flags, ComfyUI widgets and GIMP arguments are generated from that.
Renaming or reordering a field breaks people's saved workflows: append new ones.
"""

from __future__ import annotations

import json
import os
import tomllib
from numbers import Real
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from gossamer.colours import read_colour
from gossamer.errors import InputError
from gossamer.gradients import read_gradient
from gossamer.paths import read_text, source_path
from gossamer.settings.base import Settings, validated
from gossamer.settings.canvas import Canvas, Output, Shadow
from gossamer.settings.checks import Checks
from gossamer.settings.segmentation import Segmentation

BAND = 10  # the matting band's default

__all__ = ["Background", "Foreground", "Matting", "Recipe", "Segmentation"]


class Refinement(Settings):
    """How the mask's shape and edge are corrected, in the order of the fields; every default changes nothing.

    The fields up to ``smooth`` act on the mask before matting, the others on the matte. What Photoshop calls the
    edge detection's radius is the band of :class:`Matting`.
    """

    unit: Annotated[
        Literal["px", "percent"],
        Field(
            title="Unit of lengths",
            description="What this stage's lengths count: pixels, or percent of the picture's diagonal "
            "(the same look at every size).",
        ),
    ] = "px"
    invert: Annotated[
        bool,
        Field(title="Invert", description="Swap foreground and background, before everything else."),
    ] = False
    threshold: Annotated[
        float,
        Field(
            ge=0.0,
            le=1.0,
            title="Threshold",
            description="Make the mask hard: foreground where it is at least this; 0: leave it soft.",
        ),
    ] = 0.0
    fill_holes: Annotated[
        float,
        Field(
            ge=0.0,
            le=1000.0,
            title="Fill holes",
            description="Fill enclosed holes up to the area of a disc of this diameter; 0: none.",
            json_schema_extra={"unit": "px or % of the diagonal"},
        ),
    ] = 0.0
    remove_specks: Annotated[
        float,
        Field(
            ge=0.0,
            le=1000.0,
            title="Remove specks",
            description="Remove islands up to the area of a disc of this diameter; 0: none.",
            json_schema_extra={"unit": "px or % of the diagonal"},
        ),
    ] = 0.0
    keep_largest: Annotated[
        int,
        Field(
            ge=0,
            le=1000,
            title="Keep largest",
            description="Keep only so many islands, the largest; 0: all.",
        ),
    ] = 0
    smooth: Annotated[
        float,
        Field(
            ge=0.0,
            le=100.0,
            title="Smooth",
            description="Round the contour's details up to about this size, without moving or softening the rest.",
            json_schema_extra={"unit": "px or % of the diagonal"},
        ),
    ] = 0.0
    black_point: Annotated[
        float,
        Field(
            ge=0.0,
            le=0.99,
            title="Black point",
            description="Alpha up to this becomes fully transparent, as in Levels: clears a haze.",
        ),
    ] = 0.0
    white_point: Annotated[
        float,
        Field(
            ge=0.01,
            le=1.0,
            title="White point",
            description="Alpha from this on becomes fully opaque, as in Levels; above the black point.",
        ),
    ] = 1.0
    shift_edge: Annotated[
        float,
        Field(
            ge=-100.0,
            le=100.0,
            title="Shift edge",
            description="Move the edge outwards (positive) or inwards (negative), keeping its softness.",
            json_schema_extra={"unit": "px or % of the diagonal"},
        ),
    ] = 0.0
    feather: Annotated[
        float,
        Field(
            ge=0.0,
            le=250.0,
            title="Feather",
            description="Soften the edge: standard deviation of a Gaussian blur of the alpha.",
            json_schema_extra={"unit": "px or % of the diagonal"},
        ),
    ] = 0.0
    contrast: Annotated[
        float,
        Field(
            ge=0.0,
            le=100.0,
            title="Contrast",
            description="Narrow the soft edge by so much, about its middle; 100: a hard edge.",
            json_schema_extra={"unit": "%"},
        ),
    ] = 0.0

    @field_validator("smooth", "shift_edge", "feather", "fill_holes", "remove_specks")
    @classmethod
    def _percent_is_of_the_diagonal(cls, value: float, info: ValidationInfo) -> float:
        limit = 100 if info.field_name in ("fill_holes", "remove_specks") else 5
        if info.data.get("unit") == "percent" and abs(value) > limit:
            raise ValueError(f"in percent of the diagonal give at most {limit}")
        return value

    @field_validator("white_point")
    @classmethod
    def _white_lies_above_black(cls, value: float, info: ValidationInfo) -> float:
        black = info.data.get("black_point", 0.0)
        if value <= black:
            raise ValueError(f"give more than the black point, {black:g}")
        return value


class Matting(Settings):
    """How the mask becomes a matte: the alpha of hair, fur and soft edges."""

    method: Annotated[
        Literal["auto", "none", "closed_form", "from_mask", "guided", "knn", "learning_based", "vitmatte", "key"],
        Field(
            title="Matting",
            description="auto: ours, corrects any mask place by place, where the picture gives evidence; none: the "
            "mask as it is; closed_form: solve the band around its edge (Levin 2008); from_mask: ours, for rough "
            "masks: the mask is a hint and colours decide; guided: a preview (He 2013); knn (Chen 2013) and "
            "learning_based (Zheng 2009): slow; vitmatte: a neural network (Yao 2023), needs the extra vitmatte; "
            "key: a green, blue or otherwise plain screen is transparent (with the model none, nothing else is asked).",
            json_schema_extra={"main": True},
        ),
    ] = "auto"
    band: Annotated[
        int,
        Field(
            ge=1,
            le=500,
            title="Matting band",
            description="Half the width of the band around the mask's edge that matting solves again (closed_form, "
            "knn, learning_based, vitmatte), and the radius of guided; auto and from_mask find their own. Narrower "
            "where the subject is thin.",
            json_schema_extra={"unit": "px, or px of a picture of 800 x 600"},
        ),
    ] = BAND
    model: Annotated[
        str,
        Field(
            title="Matting model",
            description="For vitmatte: auto (the best that is installed, else the small one is fetched, 103 MB), a "
            "published one such as vitmatte-small-composition-1k, or a folder.",
        ),
    ] = "auto"
    unit: Annotated[
        Literal["auto", "px", "relative"],
        Field(
            title="Unit of the band",
            description="What the matting band counts: px: pixels; relative: pixels of a picture of 800 x 600, more "
            f"in a larger one (the same look at every size); auto: relative for the default band of {BAND}, else px.",
        ),
    ] = "auto"

    screen: Annotated[
        str,
        Field(
            title="Screen",
            description="For key: the screen's colour (#rrggbb or a name such as green, about right is enough); auto: "
            "it is found.",
            json_schema_extra={"remedy": "Give auto, or a colour such as #00b140 or green."},
        ),
    ] = "auto"

    @field_validator("screen")
    @classmethod
    def _a_screen_is_a_colour(cls, value: str) -> str:
        try:
            known = value.strip().lower() == "auto" or read_colour(value) is not None
        except InputError:
            known = False
        if not known:
            raise ValueError("give auto, or a colour such as #00b140 or green")
        return value

    @model_validator(mode="before")
    @classmethod
    def _a_band_alone_is_in_pixels(cls, data: Any) -> Any:
        if isinstance(data, dict) and "band" in data and "unit" not in data:
            return {**data, "unit": "px"}
        return data

    @property
    def relative(self) -> bool:
        """Whether the band grows with the picture."""
        return self.unit == "relative" or (self.unit == "auto" and self.band == BAND)


class Foreground(Settings):
    """How the subject's own colours are found where the background shows through."""

    method: Annotated[
        Literal["none", "blur_fusion", "multilevel", "closed_form", "soft_band", "auto"],
        Field(
            title="Foreground colours",
            description="none: the picture's colours; blur_fusion: fast estimation (Forte 2021); "
            "multilevel: multi-level estimation (Germer 2020); closed_form: exact and slow (Levin 2008); "
            "soft_band: ours, the most exact on soft edges, and as fast; auto: the best of them, soft_band.",
            json_schema_extra={"main": True},
        ),
    ] = "auto"
    radius: Annotated[
        int,
        Field(
            ge=1,
            le=1000,
            title="Blur radius",
            description="Side of the first box blur of blur fusion.",
            json_schema_extra={"unit": "px"},
        ),
    ] = 90
    fine_radius: Annotated[
        int,
        Field(
            ge=1,
            le=1000,
            title="Fine blur radius",
            description="Side of the second box blur of blur fusion.",
            json_schema_extra={"unit": "px"},
        ),
    ] = 6
    despill: Annotated[
        Literal["none", "green", "blue", "auto"],
        Field(
            title="Despill",
            description="Take the tint of a green or blue screen off the subject's edges. auto: after the matting key, "
            "of what is more of its colour than grey is; green and blue take more.",
        ),
    ] = "auto"
    despill_strength: Annotated[
        float,
        Field(
            ge=0.0,
            le=1.0,
            title="Despill strength",
            description="How much of the screen's tint is taken off; 1: all of it.",
        ),
    ] = 1.0
    shadow: Annotated[
        Literal["none", "keep"],
        Field(
            title="Photographed shadow",
            description="keep: the shadow that the photograph has stays beneath the subject, over any background; it "
            "takes a plain one to be found.",
        ),
    ] = "none"
    decontaminate: Annotated[
        float,
        Field(
            ge=0.0,
            le=100.0,
            title="Decontaminate colours",
            description="How much of the old background's light is taken off soft edges; 0: the picture's colours.",
            json_schema_extra={"unit": "%"},
        ),
    ] = 100.0


class Background(Settings):
    """What comes behind the subject."""

    fill: Annotated[
        str,
        Field(
            title="Background",
            description="transparent, a colour (#rrggbb, #rrggbbaa, 255,255,255 or a name such as white), a picture's "
            "path (where it is transparent, white shows), blur (what is behind the subject, blurred), "
            "gradient:TOP,BOTTOM or radial:CENTRE,EDGE with colours such as #ffffff,#dddddd.",
            json_schema_extra={
                "main": True,
                "remedy": "Give transparent, a colour such as #rrggbb, a picture's path or blur.",
            },
        ),
    ] = "transparent"
    blur: Annotated[
        float,
        Field(
            ge=0.1,
            le=20.0,
            title="Background blur",
            description="Standard deviation of the blur of the background 'blur'.",
            json_schema_extra={"unit": "% of the diagonal"},
        ),
    ] = 2.0
    linear_light: Annotated[
        bool,
        Field(
            title="Linear light",
            description="Mix subject and background as light does: soft edges neither darken nor thin out.",
        ),
    ] = False

    @field_validator("fill", mode="before")
    @classmethod
    def _paths_and_numbers_are_their_text(cls, value: Any) -> Any:
        if isinstance(value, os.PathLike):
            return os.fsdecode(value)
        if isinstance(value, (tuple, list)):
            if len(value) not in (3, 4) or not all(isinstance(part, Real) for part in value):
                raise ValueError("give a colour as three or four numbers from 0 to 255, or as a text such as #ffffff")
            return ",".join(f"{part}" for part in value)
        return value

    @field_validator("fill")
    @classmethod
    def _colours_are_colours(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("give transparent, a colour such as #rrggbb, a picture's path or blur")
        try:
            read_gradient(value) or read_colour(value)
        except InputError as error:
            raise ValueError(f"{error.remedy[:1].lower()}{error.remedy[1:].rstrip('.')}") from None
        return value


class Recipe(Settings):
    """Every setting of a cut-out, one sub-model a stage; frozen and hashable."""

    refinement: Refinement = Refinement()
    matting: Matting = Matting()
    foreground: Foreground = Foreground()
    background: Background = Background()
    segmentation: Segmentation = Segmentation()
    canvas: Canvas = Canvas()
    shadow: Shadow = Shadow()
    output: Output = Output()
    checks: Checks = Checks()

    def unfinished(self) -> Recipe:
        """Return the same without canvas, shadow and output: for cut-outs that must lie upon their photograph."""
        foreground = self.foreground.model_copy(update={"shadow": "none"})
        finish = {"canvas": Canvas(), "shadow": Shadow(), "output": Output()}
        return self.model_copy(update={"foreground": foreground, **finish})

    @classmethod
    def load(cls, path: str | Path) -> Recipe:
        """Read a recipe from a TOML or JSON file: one table a stage, e.g. ``[matting]``.

        Raises
        ------
        InputError
            The file cannot be read, is no TOML or JSON, or names an unknown or impossible setting.
        """
        path = source_path(path, "recipe")
        text = read_text(path, "recipe", "Give a TOML or JSON file.")
        try:
            data = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
        except RecursionError:
            raise InputError(f"The recipe {path} is nested too deeply.", "Give a TOML or JSON file.") from None
        except ValueError as error:  # also of a number of thousands of digits
            raise InputError(f"The recipe {path} is not valid: {error}.", "Give a TOML or JSON file.") from None
        if not isinstance(data, dict):
            raise InputError(f"The recipe {path} holds no table of settings.", "Give a TOML or JSON file.")
        return cls.of(data)

    @classmethod
    def of(cls, settings: dict[str, Any]) -> Recipe:
        """Build a recipe from nested settings, e.g. ``{"matting": {"band": 20}}``.

        Raises
        ------
        InputError
            A setting is unknown or impossible; the message names it and says what is allowed.
        """
        return validated(cls, settings, "the recipe", "See: gossamer remove --help")
