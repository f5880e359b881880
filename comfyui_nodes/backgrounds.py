# SPDX-License-Identifier: GPL-3.0-or-later
"""What comes behind a subject, as the widgets of a node say it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from comfy_api.latest import io

from . import widgets

if TYPE_CHECKING:
    from gossamer import Recipe

__all__ = ["BACKGROUNDS", "background_inputs", "picture_input", "recipe", "second_colour"]

TRANSPARENT, COLOUR, BLUR, GRADIENT = BACKGROUNDS = ("transparent", "colour", "blur", "gradient")


def background_inputs() -> list[io.Input]:
    """Return the choice of a background, and its colour: the inputs of every node that can give one."""
    return [
        widgets.known(
            io.Combo.Input,
            "background",
            options=list(BACKGROUNDS),
            default=TRANSPARENT,
            display_name="background",
            tooltip="What comes behind the subject in image. transparent: nothing, image has an alpha channel (RGBA); "
            "colour; blur: the picture's own background, blurred; gradient: from colour to second_colour, downwards. "
            "A connected background_image wins over it.",
        ),
        widgets.colour("colour", "#ffffff", "The colour of the backgrounds colour and gradient, as #rrggbb."),
    ]


def picture_input() -> io.Input:
    """Return the input for a picture as the background."""
    return widgets.known(
        io.Image.Input,
        "background_image",
        optional=True,
        display_name="background image",
        tooltip="A picture as the background. It is scaled to cover, keeping its aspect ratio, and its middle is used.",
    )


def second_colour() -> io.Input:
    """Return the widget of a gradient's lower colour."""
    return widgets.colour(
        "second_colour", "#dddddd", "The lower colour of the background gradient, as #rrggbb.", optional=True
    )


def recipe(background: str, colour: str, second_colour: str, settings: Mapping[str, Any]) -> Recipe:
    """Return the recipe of a background that was chosen and of other widgets, by their flat names.

    Raises
    ------
    InputError
        There is no such background (not every version of ComfyUI checks that), or a setting is impossible.
    """
    from gossamer import InputError
    from gossamer.settings.parameters import recipe_from_flat

    if background not in BACKGROUNDS:
        raise InputError(f"There is no background {background!r}.", f"Choose one of: {', '.join(BACKGROUNDS)}.")
    fill = background
    if background == GRADIENT:
        fill = f"gradient:{colour},{second_colour}"
    elif background == COLOUR:
        fill = colour
    return recipe_from_flat({"background": fill, **settings})
