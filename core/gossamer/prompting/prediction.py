"""What a prompt found, and what stands for it where that is nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Literal, TypeAlias, get_args

import numpy as np

from gossamer.errors import InputError
from gossamer.prompting.prompt import Prompt
from gossamer.prompting.protocol import Masks, Subject

__all__ = ["ON_EMPTY", "OnEmpty", "Prediction", "check_choice", "check_request", "instead", "nothing_sentence"]

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


def check_choice(value: object, known: Sequence[str], name: str) -> None:
    """Raise InputError where a value is none of those that are known."""
    if value not in known:
        raise InputError(f"There is no {name} {value!r}.", f"Choose one of: {', '.join(known)}.")


def check_request(prompt: object, on_empty: object, masks: object, **thresholds: object) -> None:
    """Raise InputError where an argument of a prediction is not what it should be.

    Parameters
    ----------
    prompt, on_empty, masks : object
        As for :meth:`gossamer.session.Session.subjects`.
    **thresholds : object
        By what they are of; None where the model's own counts.
    """
    if not isinstance(prompt, Prompt):
        raise InputError(
            f"The prompt is no Prompt, but {type(prompt).__name__}.", 'Give gossamer.Prompt(text="the lamp").'
        )
    check_choice(on_empty, ON_EMPTY, "answer to an empty result")
    check_choice(masks, get_args(Masks), "choice of masks")
    for name, value in thresholds.items():
        if value is not None and not (isinstance(value, Real) and 0 <= float(value) <= 1):
            raise InputError(f"The {name} threshold is {value}.", "Give a number from 0 to 1.")


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
