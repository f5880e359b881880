"""How strongly mattes are held still, where nobody says it."""

from __future__ import annotations

from gossamer.settings import Recipe
from gossamer.settings.video import Video

__all__ = ["holding_strength"]

KEYED = 0.5  # of mattes that are exact frame by frame but for the camera's noise: more holds what is right


def holding_strength(settings: Video, recipe: Recipe, *, remembers: bool) -> float:
    """Return what weight a matte has one frame away; 0 where nothing is held still.

    Parameters
    ----------
    settings : Video
        What is given there is done, whatever finds the subject.
    recipe : Recipe
    remembers : bool
        Whether the model looks at the frames before.
    """
    if settings.hold == "none" or (settings.hold == "auto" and remembers):
        return 0.0
    left_to_us = settings.hold == "auto" and "hold_strength" not in settings.model_fields_set
    if left_to_us and recipe.matting.method == "key":
        return KEYED
    return settings.hold_strength
