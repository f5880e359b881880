"""Background removal with edges fine enough for hair."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gossamer.canvas.finishing import finish_cutout
    from gossamer.cutout import Cutout, Report
    from gossamer.errors import Cancelled, GossamerError, InputError, ModelNotFound
    from gossamer.image import Image, read_image
    from gossamer.pipeline import Pipeline, refine, remove_background
    from gossamer.prompting.choice import load_prompt_model
    from gossamer.prompting.prompt import Prompt
    from gossamer.prompting.protocol import Subject
    from gossamer.quality import Check, check
    from gossamer.segmentation.ensemble import Ensemble, combine_masks
    from gossamer.segmentation.loading import load_model, load_models
    from gossamer.segmentation.model import SegmentationModel
    from gossamer.session import Session, open
    from gossamer.settings.finding import Finding
    from gossamer.settings.model_choice import ModelChoice
    from gossamer.settings.recipe import Recipe
    from gossamer.weights.catalogue import folder_cards, load_catalogue, model_card, video_cards
    from gossamer.weights.folders import seems_installed

__version__ = "0.1.0"

_HOME = {
    "Cancelled": "gossamer.errors",
    "Check": "gossamer.quality",
    "Cutout": "gossamer.cutout",
    "Finding": "gossamer.settings.finding",
    "ModelChoice": "gossamer.settings.model_choice",
    "Ensemble": "gossamer.segmentation.ensemble",
    "GossamerError": "gossamer.errors",
    "Image": "gossamer.image",
    "InputError": "gossamer.errors",
    "ModelNotFound": "gossamer.errors",
    "Pipeline": "gossamer.pipeline",
    "Prompt": "gossamer.prompting.prompt",
    "Recipe": "gossamer.settings.recipe",
    "Report": "gossamer.cutout",
    "SegmentationModel": "gossamer.segmentation.model",
    "Session": "gossamer.session",
    "Subject": "gossamer.prompting.protocol",
    "check": "gossamer.quality",
    "combine_masks": "gossamer.segmentation.ensemble",
    "finish_cutout": "gossamer.canvas.finishing",
    "folder_cards": "gossamer.weights.catalogue",
    "load_catalogue": "gossamer.weights.catalogue",
    "load_model": "gossamer.segmentation.loading",
    "load_models": "gossamer.segmentation.loading",
    "load_prompt_model": "gossamer.prompting.choice",
    "model_card": "gossamer.weights.catalogue",
    "open": "gossamer.session",
    "read_image": "gossamer.image",
    "refine": "gossamer.pipeline",
    "remove_background": "gossamer.pipeline",
    "seems_installed": "gossamer.weights.folders",
    "video_cards": "gossamer.weights.catalogue",
}
_MODULES = (
    "canvas",
    "compositing",
    "evaluation",
    "foreground",
    "image",
    "matting",
    "pipeline",
    "quality",
    "refinement",
    "settings",
    "sheets",
    "weights",
    "telemetry",
    "video",
)

__all__ = [
    "Cancelled",
    "Check",
    "Cutout",
    "Ensemble",
    "Finding",
    "GossamerError",
    "Image",
    "InputError",
    "ModelChoice",
    "ModelNotFound",
    "Pipeline",
    "Prompt",
    "Recipe",
    "Report",
    "SegmentationModel",
    "Session",
    "Subject",
    "__version__",
    "check",
    "combine_masks",
    "finish_cutout",
    "folder_cards",
    "load_catalogue",
    "load_model",
    "load_models",
    "load_prompt_model",
    "model_card",
    "open",
    "read_image",
    "refine",
    "remove_background",
    "seems_installed",
    "video_cards",
]


def __getattr__(name: str) -> Any:
    """Import the public names when they are first used: `import gossamer` itself stays light."""
    if name in _HOME:
        value = getattr(importlib.import_module(_HOME[name]), name)
    elif name in _MODULES:
        value = importlib.import_module(f"gossamer.{name}")
    else:
        from gossamer.spelling import did_you_mean

        close = "" if name.startswith("_") else did_you_mean(name, (*_HOME, *_MODULES))
        raise AttributeError(f"module 'gossamer' has no attribute {name!r}. {close}".rstrip())
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME, *_MODULES})
