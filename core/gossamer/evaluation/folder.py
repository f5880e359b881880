"""Measuring a folder of predictions against a folder of truths, on all cores."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gossamer.errors import InputError
from gossamer.evaluation.crew import Failure, run_tasks
from gossamer.evaluation.measures import MEASURES, Kind, chosen
from gossamer.evaluation.pairs import Pair, find_pairs
from gossamer.evaluation.scoring import Score, Task
from gossamer.progress import Progress, ProgressCallback

__all__ = ["Evaluation", "Row", "evaluate_folder"]

_SHOWN = 10  # sentences about what was guessed in reading files: a whole folder is mostly of one kind


@dataclass(frozen=True)
class Row:
    """The measures of one picture."""

    pair: Pair
    width: int
    height: int
    values: dict[str, float]
    """By name. A maximum is that of the picture's own curve."""
    empty_truth: bool
    resized: bool

    @property
    def name(self) -> str:
        """Stem of the truth's file."""
        return self.pair.name


@dataclass(frozen=True)
class Evaluation:
    """What was measured of a set of pictures.

    Attributes
    ----------
    measures : tuple of str
        Names, in the order of the tables; see :data:`gossamer.evaluation.MEASURES`.
    rows : tuple of Row
        One a picture, sorted by name.
    means : dict of str to float
        Of the set: means over the pictures; ``max_f`` and ``max_e`` are the maximum over the thresholds of the mean
        curve, as in the field's papers, and thus no larger than the mean of the rows' maxima.
    missing : tuple of str
        A sentence for every file without a partner.
    failures : tuple of str
        A sentence for every pair that could not be measured; they are in no mean.
    warnings : tuple of str
        What one should know about the means.
    """

    measures: tuple[str, ...]
    rows: tuple[Row, ...]
    means: dict[str, float]
    missing: tuple[str, ...]
    failures: tuple[str, ...]
    warnings: tuple[str, ...]

    def worst(self, count: int, measure: str | None = None) -> tuple[Row, ...]:
        """Return the `count` rows worst in `measure` (by default the first), the worst first.

        Raises
        ------
        InputError
            If that was not measured.
        """
        name = measure or self.measures[0]
        if name not in self.measures:
            raise InputError(f"{name!r} was not measured.", f"Choose one of: {', '.join(self.measures)}.")
        badness = MEASURES[name].badness
        return tuple(sorted(self.rows, key=lambda row: (-badness(row.values[name]), row.name))[: max(0, count)])

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values for JSON."""
        return {
            "pictures": len(self.rows),
            "means": self.means,
            "rows": [
                {
                    "name": row.name,
                    "prediction": str(row.pair.prediction),
                    "truth": str(row.pair.truth),
                    "trimap": None if row.pair.trimap is None else str(row.pair.trimap),
                    "width": row.width,
                    "height": row.height,
                    "empty_truth": row.empty_truth,
                    "resized": row.resized,
                    **row.values,
                }
                for row in self.rows
            ],
            "missing": list(self.missing),
            "failures": list(self.failures),
            "warnings": list(self.warnings),
        }

    def as_csv(self) -> str:
        """Return the rows as CSV with a line of names."""
        import csv
        import io

        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["name", "prediction", "truth", "width", "height", *self.measures])
        for row in self.rows:
            numbers = [repr(row.values[name]) for name in self.measures]
            writer.writerow([row.name, row.pair.prediction, row.pair.truth, row.width, row.height, *numbers])
        return stream.getvalue()


def evaluate_folder(
    predictions: str | os.PathLike[str],
    truth: str | os.PathLike[str],
    *,
    kind: Kind = "mask",
    measures: Iterable[str] | None = None,
    trimaps: str | os.PathLike[str] | None = None,
    resize: bool = False,
    stretch: bool = True,
    workers: int | None = None,
    progress: Progress | ProgressCallback | None = None,
) -> Evaluation:
    """Measure a folder of predictions against a folder of truths.

    Files belong together by their names, see :func:`gossamer.evaluation.find_pairs`; a file with alpha stands for
    that, a grey one for itself. Only numbers are kept of a picture: memory does not grow with their count.

    Parameters
    ----------
    predictions, truth : path
        Folders, or two files.
    kind : {"mask", "matte", "both"}
        Which measures: see :func:`evaluate_mask` and :func:`evaluate_matte`.
    measures : iterable of str, optional
        Only these of them.
    trimaps : path, optional
        Folder of trimaps: mattes are measured where these are unknown.
    resize : bool
        Resize predictions of another size bilinearly to the truth's; otherwise such a pair is a failure.
    stretch : bool
        Min-max stretch of masks before they are measured, see :func:`evaluate_mask`.
    workers : int, optional
        Processes; by default as many as there are cores, and never more. Few pictures are measured in this process.
    progress : callable, optional
        Called as ``progress(fraction, message)``; an exception that it raises stops the work and passes through.

    Returns
    -------
    Evaluation

    Raises
    ------
    InputError
        If the folders cannot be paired, no pair can be measured, or an option is wrong.
    MissingExtra
        If masks are to be measured and pysodmetrics is not installed.
    """
    names = chosen(kind, measures)
    if trimaps is not None and not any(MEASURES[name].kind == "matte" for name in names):
        raise InputError("Trimaps are for mattes.", "Leave them out, or choose the kind matte.")
    if workers is not None and workers < 1:
        raise InputError(f"{workers} workers cannot work.", "Give 1 or more.")
    pairing = find_pairs(predictions, truth, trimaps)
    tasks = [
        Task(str(pair.prediction), str(pair.truth), str(pair.trimap) if pair.trimap else None, names, resize, stretch)
        for pair in pairing.pairs
    ]
    rows: list[Row] = []
    failures: list[str] = []
    remedies: list[str] = []
    guessed: list[str] = []
    curves: dict[str, Any] = {"f": 0.0, "e": 0.0}
    found: dict[int, Score | Failure] = {}
    done = 0
    for index, result in run_tasks(tasks, workers, Progress.of(progress)):
        found[index] = result
        while done in found:  # sums in the order of the names: the same to the last bit on any number of workers
            pair, outcome = pairing.pairs[done], found.pop(done)
            done += 1
            if isinstance(outcome, Failure):
                failures.append(f"{pair.name}: {outcome.message} {outcome.remedy}".strip())
                remedies.append(outcome.remedy)
                continue
            guessed += outcome.guessed or ()
            rows.append(Row(pair, outcome.width, outcome.height, outcome.values, outcome.empty_truth, outcome.resized))
            for letter, curve in (("f", outcome.f_curve), ("e", outcome.e_curve)):
                if curve is not None:
                    curves[letter] = curves[letter] + np.asarray(curve)
    if not rows:
        more = f" and {len(failures) - 1} more" if len(failures) > 1 else ""
        raise InputError(f"Nothing could be measured: {failures[0]}{more}", "" if remedies[0] else "Check the files.")
    return Evaluation(
        names,
        tuple(rows),
        _means(names, rows, curves),
        pairing.missing,
        tuple(failures),
        (*_warnings(names, rows), *_few(guessed)),
    )


def _means(names: tuple[str, ...], rows: list[Row], curves: dict[str, Any]) -> dict[str, float]:
    means: dict[str, float] = {}
    for name in names:
        if letter := MEASURES[name].curve:
            means[name] = float(np.max(curves[letter]) / len(rows))
        else:
            means[name] = float(np.mean([row.values[name] for row in rows]))
    return means


def _warnings(names: tuple[str, ...], rows: list[Row]) -> tuple[str, ...]:
    notes = []
    empty = [row.name for row in rows if row.empty_truth]
    if empty and {"max_f", "mean_f", "adaptive_f", "weighted_f", "iou", "boundary_iou"}.intersection(names):
        notes.append(
            f"{_some(empty)}: the truth has no foreground, and F, weighted F, IoU and boundary IoU count 0 there "
            "whatever the prediction is."
        )
    if resized := [row.name for row in rows if row.resized]:
        notes.append(f"{_some(resized)}: resized to the truth's size.")
    return tuple(notes)


def _few(guessed: list[str]) -> list[str]:
    more = len(guessed) - _SHOWN
    return guessed if more <= 0 else [*guessed[:_SHOWN], f"{more} more such sentences are left out."]


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
