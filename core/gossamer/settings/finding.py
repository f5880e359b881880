"""How a prompt's subjects are found: by which model, and what counts."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import Field

from gossamer.settings.base import Settings, validated

__all__ = ["ON_EMPTY", "PROMPT_COMBINATIONS", "PROMPT_MODELS", "Finding", "Masks", "OnEmpty", "PromptCombination"]

OnEmpty: TypeAlias = Literal["error", "empty", "full"]
"""What happens where nothing is found: an error, an empty mask, or the whole picture."""

PromptCombination: TypeAlias = Literal["prompt", "intersection"]
"""What a prompted cut-out is: the prompt's own mask, or what the automatic model finds there."""

Masks: TypeAlias = Literal["best", "all"]
"""Of the several masks that a model has for one place: the one of the highest score, or all."""

ON_EMPTY: tuple[OnEmpty, ...] = get_args(OnEmpty)
PROMPT_COMBINATIONS: tuple[PromptCombination, ...] = get_args(PromptCombination)
PROMPT_MODELS = ("auto", "grabcut", "grounded-sam2", "sam2", "sam3")

_Threshold: TypeAlias = Annotated[float, Field(ge=0.0, le=1.0, strict=True)]


class Finding(Settings, strict=True):
    """How a prompt's subjects are found."""

    prompt_model: Annotated[
        str,
        Field(
            title="Prompt model",
            description="What looks for the subject: auto (the best that is installed and can serve the prompt), "
            "grabcut, grounded-sam2, sam2, sam3; an id such as sam2.1-hiera-tiny, or a folder that save_pretrained "
            "wrote; Grounding DINO and SAM 2 with a comma between them.",
        ),
    ] = "auto"
    combine: Annotated[
        PromptCombination,
        Field(
            title="Prompt combine",
            description="prompt: the prompt's own mask; intersection: what the automatic model finds there, hair and "
            "all.",
            json_schema_extra={"flat": "prompt_combine", "noun": "combination"},
        ),
    ] = "prompt"
    every: Annotated[
        bool,
        Field(title="Every", description="All that answers to a phrase, or the best alone."),
    ] = True
    masks: Annotated[
        Masks,
        Field(
            title="Masks",
            description="Of several masks for one place the best, or all as subjects of their own.",
        ),
    ] = "best"
    box_threshold: Annotated[
        _Threshold | None,
        Field(
            title="Box threshold",
            description="What a text's boxes must score to count; without it what the model's authors use: 0.3, and "
            "0.5 for SAM 3.",
        ),
    ] = None
    text_threshold: Annotated[
        _Threshold | None,
        Field(
            title="Text threshold",
            description="What a text's words must score to belong to a box; without it 0.25, as the model's authors.",
        ),
    ] = None
    on_empty: Annotated[
        OnEmpty,
        Field(
            title="On empty",
            description="Where nothing is found: an error, an empty result, or the full picture.",
            json_schema_extra={"noun": "answer to an empty result"},
        ),
    ] = "error"

    @classmethod
    def of(cls, base: Finding | None = None, **settings: Any) -> Finding:
        """Return `base`, or the defaults, changed in some settings; raises InputError for an impossible one."""
        return validated(
            cls, {**(base or cls()).model_dump(), **settings}, "the settings of finding", "See gossamer.Finding."
        )
