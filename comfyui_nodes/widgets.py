# SPDX-License-Identifier: GPL-3.0-or-later
"""The library's parameters as ComfyUI widgets."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any, TypeVar

from comfy_api.latest import io

from gossamer.settings import Recipe
from gossamer.settings.base import Settings
from gossamer.settings.parameters import Parameter, parameters

__all__ = ["ORDER", "colour", "known", "stage_widgets", "widget"]

T = TypeVar("T")

# Saved workflows hold the values of a node's widgets as a bare list, so no widget may ever change its place:
# the library appends a new parameter to its stage, and here it is appended to all that were there before.
ORDER = (
    "matting",
    "matting_band",
    "foreground",
    "foreground_radius",
    "foreground_fine_radius",
    "refinement_unit",
    "refinement_invert",
    "refinement_threshold",
    "refinement_fill_holes",
    "refinement_remove_specks",
    "refinement_keep_largest",
    "refinement_smooth",
    "refinement_black_point",
    "refinement_white_point",
    "refinement_shift_edge",
    "refinement_feather",
    "refinement_contrast",
    "matting_model",
    "foreground_despill",
    "foreground_despill_strength",
    "segmentation_detail",
    "segmentation_flips",
    "background_linear_light",
    "matting_unit",
    "canvas_crop",
    "canvas_margin",
    "canvas_aspect",
    "canvas_size",
    "canvas_fill",
    "canvas_align",
    "canvas_too_small",
    "canvas_sharpen",
    "canvas_dpi",
    "canvas_head",
    "shadow",
    "shadow_opacity",
    "shadow_softness",
    "shadow_distance",
    "shadow_angle",
    "shadow_tilt",
    "shadow_reach",
    "shadow_colour",
    "canvas_haze",
    "matting_screen",
    "foreground_shadow",
)


# What was there first is required; what came later is optional, so that prompts saved before run as they did.
_FIRST = ORDER[:5]
# What is shown at once, besides the main choice of each stage.
_SHOWN = ("canvas_margin", "canvas_size", "canvas_fill")


def known(make: Callable[..., T], *args: Any, **fields: Any) -> T:
    """Call `make` with those `fields` that this version of ComfyUI knows; an older one would raise.

    Its page folds widgets that are `advanced` since long before its server knew the word, and is told so past it.
    """
    accepted = inspect.signature(make).parameters
    passed = {name: value for name, value in fields.items() if name in accepted}
    if fields.get("advanced") and "advanced" not in accepted and "extra_dict" in accepted:
        passed["extra_dict"] = {"advanced": True}
    return make(*args, **passed)


def stage_widgets(*stages: str) -> list[io.Input]:
    """Return the widgets of all parameters of `stages`, in an order that only grows at its end."""
    chosen = [parameter for parameter in parameters() if parameter.stage in stages]
    chosen.sort(key=lambda item: ORDER.index(item.name) if item.name in ORDER else len(ORDER))
    return [_widget(parameter) for parameter in chosen]


def widget(name: str, settings: type[Settings] = Recipe, **fields: Any) -> io.Input:
    """Return the widget of one parameter of a kind of settings; `fields` are said of it otherwise than usual."""
    return next(_widget(parameter, **fields) for parameter in parameters(settings) if parameter.name == name)


def colour(name: str, default: str, tooltip: str, optional: bool = False) -> io.Input:
    """Return the widget of a colour ``#rrggbb``: a picker where ComfyUI has one, else text."""
    kind = getattr(io, "Color", io.String)
    return known(kind.Input, name, default=default, tooltip=tooltip, socketless=False, optional=optional)


def _widget(parameter: Parameter, **otherwise: Any) -> io.Input:
    unit = f" In {parameter.unit}." if parameter.unit else ""
    fields: dict[str, Any] = {
        "default": parameter.default,
        "display_name": parameter.title.lower(),
        "tooltip": f"{parameter.title}. {parameter.help}{unit}",
        "optional": parameter.name not in _FIRST,
        # A stage's main choice bears the stage's name.
        "advanced": parameter.name not in (parameter.stage, *_SHOWN),
        **otherwise,
    }
    if parameter.kind == "choice":
        return known(io.Combo.Input, parameter.name, options=list(parameter.choices), **fields)
    if parameter.kind == "bool":
        return known(io.Boolean.Input, parameter.name, **fields)
    if parameter.kind == "text":
        return known(io.String.Input, parameter.name, **fields)
    fields |= {"min": parameter.minimum, "max": parameter.maximum}
    if parameter.kind == "int":
        return known(io.Int.Input, parameter.name, **fields)
    return known(io.Float.Input, parameter.name, **{"step": _step(parameter), **fields})


def _step(parameter: Parameter) -> float:
    """Return about a hundredth of the parameter's range: ComfyUI's own default of 0.5 is too coarse."""
    if parameter.minimum is None or parameter.maximum is None:
        return 0.01
    return 10.0 ** math.floor(math.log10((parameter.maximum - parameter.minimum) / 100))
