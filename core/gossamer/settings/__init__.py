"""Every choice as data: the recipe, which model, what to find; flattened for every face."""

from __future__ import annotations

from gossamer.settings.finding import Finding
from gossamer.settings.model_choice import ModelChoice
from gossamer.settings.parameters import Parameter, parameters, recipe_from_flat
from gossamer.settings.recipe import Recipe

__all__ = ["Finding", "ModelChoice", "Parameter", "Recipe", "parameters", "recipe_from_flat"]
