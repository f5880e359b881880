"""What is tried for a cut-out in which the checks find a fault: the next better recipes, in turn."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gossamer.errors import ModelError
from gossamer.networks.devices import cuda_is_available
from gossamer.settings import ModelChoice, Recipe
from gossamer.weights import store
from gossamer.weights.choice import ranking

__all__ = ["Attempt", "attempts"]

_MODELS = 2  # others that are tried at most


@dataclass(frozen=True)
class Attempt:
    """Another way to cut a picture out.

    Attributes
    ----------
    what : str
        In words.
    recipe : Recipe
    choice : ModelChoice
    settings : dict
        What of the recipe differs from what was asked for.
    """

    what: str
    recipe: Recipe
    choice: ModelChoice
    settings: dict[str, Any]


def attempts(recipe: Recipe, choice: ModelChoice, model: str, *, prompted: bool) -> Iterator[Attempt]:
    """Yield what can be tried with what is on this machine: nothing is fetched for it.

    Parameters
    ----------
    recipe, choice
        What was asked for.
    model : str
        The id of the model that was used.
    prompted : bool
        The mask is a prompt's, which no other model can be asked for.
    """
    if choice.model == "none":
        return
    changed: dict[str, Any] = {}
    if not prompted and not recipe.segmentation.looks_closer(choice.quality == "best"):
        changed = {"segmentation": {"detail": True}}
        yield Attempt("detail", _with(recipe, changed), choice, changed)
    if recipe.matting.method not in ("auto", "vitmatte", "key"):
        matted = {**changed, "matting": {"method": "auto"}}
        yield Attempt("matting auto", _with(recipe, matted), choice, matted)
    if prompted:
        return
    if recipe.segmentation.resolution:  # chosen for the model that was asked for
        changed = {"segmentation": {**changed.get("segmentation", {}), "resolution": 0}}
    for name in _others(choice, model):
        yield Attempt(f"model {name}", _with(recipe, changed), choice.model_copy(update={"model": name}), changed)


def _with(recipe: Recipe, changed: dict[str, Any]) -> Recipe:
    settings = recipe.model_dump(exclude_unset=True)
    for stage, values in changed.items():
        settings[stage] = {**settings.get(stage, {}), **values}
    return Recipe.of(settings)


def _others(choice: ModelChoice, model: str) -> list[str]:
    """Return the best other models that are installed and may be used commercially, the preferred first."""
    device = "cuda" if choice.device == "cuda" or (choice.device == "auto" and cuda_is_available()) else "cpu"
    ranked = ranking("best", choice.subject, device)
    used, found = set(re.findall(r"[\w.-]+", model)), list[str]()
    for card in (*ranked.fitting, *ranked.costlier):
        if len(found) == _MODELS:
            break
        if card.id in used or not card.commercial:
            continue
        try:
            weights = store.find(card)
        except ModelError:
            continue
        if weights is not None:
            found.append(card.id)
    return found
