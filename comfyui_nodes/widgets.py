# SPDX-License-Identifier: GPL-3.0-or-later
"""The library's parameters as ComfyUI widgets."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from comfy_api.latest import io

from gossamer.settings import Recipe
from gossamer.settings.base import Settings
from gossamer.settings.parameters import Parameter, parameters

from . import folders

__all__ = ["ORDER", "POLARITY", "colour", "invert", "known", "model", "stage_widgets", "widget"]

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
    "foreground_decontaminate",
)


POLARITY = (
    "1 (white) = foreground. So are the masks of Gossamer's nodes, of Remove Background, of segment-anything nodes, "
    "and what is painted in the mask editor of Load Image. The other way round, 1 = "
    "transparent, is Load Image's mask of a file with transparency: use invert_mask."
)
"""What a mask input's tooltip says of 1."""

# What was there first is required; what came later is optional, so that prompts saved before run as they did.
_FIRST = ORDER[:5]
# What is shown at once, besides the main choice of each stage.
_SHOWN = ("canvas_margin", "canvas_size", "canvas_fill")


def known(make: Callable[..., T], *args: Any, **fields: Any) -> T:
    """Call `make` with those `fields` that this version of ComfyUI knows; an older one would raise.

    Its page knows widgets that are `advanced` since long before its server knew the word, and is told so past it, as of
    whatever is in the field `extra`. An input is shown by its id in words where no other name is given.
    """
    accepted = _accepted(make)
    if args:
        fields.setdefault("display_name", str(args[0]).replace("_", " "))
    extra = dict(fields.pop("extra", {}))
    if fields.get("advanced") and "advanced" not in accepted:
        extra["advanced"] = True
    made = make(*args, **{name: value for name, value in fields.items() if name in accepted})
    if extra and isinstance(getattr(made, "extra_dict", None), dict):
        made.extra_dict = {**made.extra_dict, **extra}  # type: ignore[attr-defined]
    return made


@functools.cache
def _accepted(make: Callable[..., Any]) -> frozenset[str]:
    return frozenset(inspect.signature(make).parameters)


def stage_widgets(*stages: str, until: str = "", after: str = "") -> list[io.Input]:
    """Return the widgets of all parameters of `stages`, in an order that only grows at its end.

    Where other inputs came after them, those `until` one of them stand before these, and those `after` it behind.
    """

    def place(parameter: Parameter) -> int:
        return ORDER.index(parameter.name) if parameter.name in ORDER else len(ORDER)

    first = ORDER.index(after) + 1 if after else 0
    last = ORDER.index(until) if until else len(ORDER)
    chosen = [one for one in parameters() if one.stage in stages and first <= place(one) <= last]
    return [_widget(parameter) for parameter in sorted(chosen, key=place)]


def widget(name: str, settings: type[Settings] = Recipe, **fields: Any) -> io.Input:
    """Return the widget of one parameter of a kind of settings; `fields` are said of it otherwise than usual."""
    return next(_widget(parameter, **fields) for parameter in parameters(settings) if parameter.name == name)


def colour(name: str, default: str, tooltip: str, optional: bool = False) -> io.Input:
    """Return the widget of a colour ``#rrggbb``: a picker where ComfyUI has one, else text."""
    kind = getattr(io, "Color", io.String)
    return known(kind.Input, name, default=default, tooltip=tooltip, socketless=False, optional=optional)


def model(name: str, options: list[str], tooltip: str, **fields: Any) -> io.Input:
    """Return a list of models; the page shows size, licence and whether it is there beside each id of the catalogue."""
    labels = {one: text for one, text in folders.labels().items() if one in options}
    return known(
        io.Combo.Input,
        name,
        options=options,
        default=options[0],
        tooltip=tooltip,
        extra={"gossamer_labels": labels},
        **fields,
    )


def invert() -> io.Input:
    """Return the switch that turns a mask round."""
    return known(
        io.Boolean.Input,
        "invert_mask",
        default=False,
        optional=True,
        display_name="invert mask",
        tooltip="Switch it on for a mask whose 1 (white) is the background, as Load Image's of a file with "
        "transparency.",
    )


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
    step = _step(parameter)
    return known(io.Float.Input, parameter.name, **{"step": step, "round": step, **fields})


def _step(parameter: Parameter) -> float:
    """Return the step of a number: fine enough for what is typed, as ComfyUI shows no more digits than a step has.

    A tenth for percents, pixels and degrees, of which the arrows then move little; a hundredth for shares of 1; finer
    where a limit or the default could not be shown.
    """
    numbers = [float(each) for each in (parameter.default, parameter.minimum, parameter.maximum) if each is not None]
    step = 0.01 if max(numbers, default=0.0) <= 1 else 0.1
    while any(abs(round(number / step) * step - number) > 1e-9 for number in numbers):
        step /= 10
    return step
