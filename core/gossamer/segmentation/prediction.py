"""What a prompt found, and what stands for it where that is nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np

from gossamer.errors import InputError
from gossamer.segmentation.prompt import Prompt
from gossamer.segmentation.prompted import Subject

__all__ = ["ON_EMPTY", "OnEmpty", "Prediction", "instead", "nothing_sentence"]

OnEmpty: TypeAlias = Literal["error", "empty", "full"]
"""What happens where nothing is found: an error, an empty mask, or the whole picture."""

ON_EMPTY: tuple[OnEmpty, ...] = get_args(OnEmpty)


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a prompt found.

    Attributes
    ----------
    subjects : tuple of Subject
        At least one, unless nothing was found and that is allowed.
    prompt : Prompt
        In pixels.
    model, device : str
        What found them, and where it ran.
    warnings : tuple of str
        What the user should know.
    found : bool
        False where nothing was found: the subject is then none, or the whole picture.
    seconds : dict of str to float
        Of loading models, embedding the picture, and finding.
    """

    subjects: tuple[Subject, ...]
    prompt: Prompt
    model: str
    device: str
    warnings: tuple[str, ...]
    found: bool
    seconds: dict[str, float]


def nothing_sentence(prompt: Prompt, best: float | None, box_threshold: float, text_threshold: float) -> str:
    """Say that nothing was found, and how near it came."""
    if not prompt.text:
        return "Nothing was found where the prompt points."
    phrases = " or ".join(f'"{phrase}"' for phrase in prompt.text)
    score = "nothing scored at all" if best is None else f"the best score is {best:.2f}"
    return (
        f"Nothing was found for {phrases}: {score}; the box threshold is {box_threshold:g}, "
        f"the text threshold {text_threshold:g}."
    )


def instead(sentence: str, on_empty: OnEmpty, shape: tuple[int, ...], warnings: tuple[str, ...]) -> tuple[Subject, ...]:
    """Return what stands for a subject that was not found; raises InputError where nothing may."""
    if on_empty == "error":
        more = f" {warnings[-1]}" if warnings else ""
        raise InputError(
            f"{sentence}{more}", "Name or mark it otherwise, lower the thresholds, or choose on_empty empty or full."
        )
    return () if on_empty == "empty" else (Subject(np.ones(shape, np.float32), 0.0),)
