"""From one pair of files to its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gossamer.arrays import Array, check_size
from gossamer.errors import GossamerError, InputError, is_lack_of_memory, memory_remedy
from gossamer.evaluation.mask import evaluate_mask
from gossamer.evaluation.matte import evaluate_matte
from gossamer.evaluation.measures import MEASURES
from gossamer.evaluation.pairs import read_opacity
from gossamer.resampling import bilinear

__all__ = ["Score", "Task", "reason", "score"]


@dataclass(frozen=True)
class Task:
    """What to measure of one pair; plain values, so that it goes through JSON."""

    prediction: str
    truth: str
    trimap: str | None
    measures: Sequence[str]
    resize: bool
    stretch: bool


@dataclass(frozen=True)
class Score:
    """What was measured."""

    width: int
    height: int
    values: dict[str, float]
    f_curve: list[float] | None = None
    e_curve: list[float] | None = None
    empty_truth: bool = False
    resized: bool = False
    guessed: list[str] | None = None
    """What was lost or guessed in reading the files, one sentence each."""


def score(task: Task) -> Score:
    """Read and measure one pair.

    Raises
    ------
    InputError
        If a file cannot be used, or the sizes differ and `task.resize` is not set.
    MissingExtra
        If measures of masks are wanted and pysodmetrics is not installed.
    """
    guessed: list[str] = []
    truth = read_opacity(task.truth, guessed)
    height, width = truth.shape
    prediction = read_opacity(task.prediction, guessed)
    resized = prediction.shape != truth.shape
    if resized:
        if not task.resize:
            try:
                check_size(prediction.shape, truth.shape, "prediction", task.truth)
            except InputError as error:
                remedy = f"{error.remedy.rstrip('.')}, or allow resizing (resize, --resize)."
                raise InputError(error.message.replace("The prediction", task.prediction), remedy) from None
        prediction = bilinear(prediction, height, width)
    trimap: Array | None = None
    if task.trimap is not None:
        trimap = read_opacity(task.trimap, guessed)
        check_size(trimap.shape, truth.shape, f"trimap {task.trimap}", task.truth)
    values: dict[str, float] = {}
    curves: list[list[float] | None] = [None, None]
    empty = False
    masks = [name for name in task.measures if MEASURES[name].kind == "mask"]
    mattes = [name for name in task.measures if MEASURES[name].kind == "matte"]
    if masks:
        found = evaluate_mask(prediction, truth, measures=masks, stretch=task.stretch)
        values |= found.values
        curves = [None if curve is None else curve.tolist() for curve in (found.f_curve, found.e_curve)]
        empty = found.empty_truth
    if mattes:
        values |= evaluate_matte(prediction, truth, trimap, measures=mattes).values
    if not np.isfinite(list(values.values())).all():
        bad = next(name for name, value in values.items() if not np.isfinite(value))
        raise InputError(f"{MEASURES[bad].title} of {task.prediction} is not a number.", "Leave the picture out.")
    return Score(width, height, values, curves[0], curves[1], empty, resized, guessed)


def reason(error: Exception, *, alone: bool = False) -> tuple[str, str]:
    """Return why a pair could not be measured: a sentence and its remedy, also of an error that nobody foresaw.

    Parameters
    ----------
    error : Exception
    alone : bool
        Whether nothing else is measured at the same time.
    """
    if isinstance(error, GossamerError):
        return error.message, error.remedy
    if is_lack_of_memory(error):
        smaller = "Make the pictures smaller, or free memory." if alone else "Use fewer workers, or smaller pictures."
        return "There was not enough memory for it.", memory_remedy(smaller)
    return f"Unexpected {type(error).__name__}: {error}.", "This is a fault of Gossamer: please report it."
