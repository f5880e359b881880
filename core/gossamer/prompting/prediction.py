"""What a prompt found, and what stands for it where that is nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gossamer.errors import InputError
from gossamer.prompting.prompt import Prompt
from gossamer.prompting.protocol import Subject
from gossamer.settings.finding import OnEmpty

__all__ = ["Prediction", "check_prompt", "instead", "nothing_sentence"]


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


def check_prompt(prompt: object) -> None:
    """Raise InputError where something is no prompt."""
    if not isinstance(prompt, Prompt):
        raise InputError(
            f"The prompt is no Prompt, but {type(prompt).__name__}.", 'Give gossamer.Prompt(text="the lamp").'
        )


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
        more = f" {warnings[-1].rstrip('.')}." if warnings else ""
        raise InputError(
            f"{sentence}{more}", "Name or mark it otherwise, lower the thresholds, or choose on_empty empty or full."
        )
    return () if on_empty == "empty" else (Subject(np.ones(shape, np.float32), 0.0),)
