"""Before and after: two models on pictures that neither has learnt from, and how sure their difference is.

A difference of means over twenty pictures may be chance. So it comes with the interval in which it lies with 95 %: the
pictures are drawn anew with replacement many times (Efron 1979), always with both models' numbers of a picture together
(paired), and whole groups at a time, as pictures of one product tell the same thing twice.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.errors import InputError
from gossamer.evaluation import evaluate_mask, evaluate_matte
from gossamer.parallel.patience import patiently
from gossamer.progress import Progress
from gossamer.resampling import area
from gossamer.settings.promotion import Promotion
from gossamer.training.dataset import Example, compose
from gossamer.training.media import Stills

__all__ = [
    *("DECISIVE", "PROVED", "Change", "Interval", "Measured", "Model", "Proof", "Sample"),
    *("counted", "interval", "measured", "prove", "samples_of"),
]

PROVED = ("weighted_f", "mae", "boundary_iou", "hce", "sad")
"""What is measured, see :data:`gossamer.evaluation.MEASURES`; the first decides."""

DECISIVE = PROVED[0]

_MATTE = ("sad",)


class Model(Protocol):
    """Whatever finds the subject of a picture, such as a :class:`gossamer.SegmentationModel`, or of a clip's frames."""

    def predict(self, image: NDArray[np.uint8], progress: Progress | None = None) -> Array:
        """Return the mask of an (H, W, 3) picture, (H, W) float32; of (T, H, W, 3) frames (T, H, W)."""


class Measured(Protocol):
    """What two models are measured on."""

    @property
    def name(self) -> str:
        """What people know it by."""

    @property
    def group(self) -> str:
        """What belongs together."""

    def load(self, longest: int, seed: int) -> tuple[NDArray[np.uint8], Array]:
        """Return what a model sees, no side longer than `longest`, and the truth."""


@dataclass(frozen=True)
class Interval:
    """A number, and between which two it lies with 95 %."""

    middle: float
    low: float
    high: float


@dataclass(frozen=True)
class Change:
    """One measure of both models.

    Attributes
    ----------
    measure : str
    before, after : float
        Means over the pictures.
    gain : Interval
        How much better it has become: positive is better, whichever way the measure goes.
    """

    measure: str
    before: float
    after: float
    gain: Interval


@dataclass(frozen=True)
class Seen:
    """One picture, measured with both models."""

    name: str
    group: str
    before: dict[str, float]
    after: dict[str, float]


@dataclass(frozen=True)
class Proof:
    """What two models did on the same pictures.

    Attributes
    ----------
    changes : tuple of Change
        In the order of :data:`PROVED`; of clips of :data:`gossamer.training.clips.proof.CLIPS_PROVED`.
    pictures : tuple of Seen
    what : str
        What these are: ``"pictures"`` or ``"clips"``.
    """

    changes: tuple[Change, ...]
    pictures: tuple[Seen, ...]
    what: str = "pictures"

    @property
    def groups(self) -> int:
        """How many groups the pictures are of: what is drawn anew."""
        return len({one.group for one in self.pictures})

    def of(self, measure: str) -> Change:
        """Return what became of one measure."""
        return next(one for one in self.changes if one.measure == measure)

    def as_dict(self) -> dict[str, Any]:
        """Return plain types, ready for JSON."""
        return {"count": len(self.pictures), "groups": self.groups, **asdict(self)}


@dataclass(frozen=True)
class Sample:
    """A picture to measure on: an example, and of a cut-out over which of its backgrounds."""

    example: Example
    backgrounds: tuple[Path, ...] = ()
    copy: int = 0

    @property
    def name(self) -> str:
        """The example's, with a number where there are several."""
        return f"{self.example.name} ({self.copy + 1})" if self.example.is_cutout else self.example.name

    @property
    def group(self) -> str:
        """The example's."""
        return self.example.group

    def load(self, longest: int, seed: int) -> tuple[NDArray[np.uint8], Array]:
        """Return picture and truth, no side longer than `longest`; raises InputError where it cannot be read."""
        if self.example.is_cutout:
            return compose(self.example, self.backgrounds, seed * 1_000_003 + self.copy, longest=longest)
        rgb, alpha = self.example.load()
        scale = longest / max(alpha.shape)
        if scale >= 1:
            return rgb, alpha
        height, width = (max(1, round(side * scale)) for side in alpha.shape)
        small = area(rgb.astype(np.float32), height, width)
        return np.rint(small).astype(np.uint8), np.clip(area(np.ascontiguousarray(alpha), height, width), 0, 1)


def samples_of(examples: Sequence[Example], backgrounds: tuple[Path, ...], settings: Promotion) -> tuple[Sample, ...]:
    """Return what is measured of examples: each once, cut-outs over several backgrounds."""
    return tuple(
        Sample(one, backgrounds, copy)
        for one in examples
        for copy in range(settings.composites if one.is_cutout else 1)
    )


def prove(
    before: Model,
    after: Model,
    samples: Sequence[Measured],
    settings: Promotion,
    progress: Progress | None = None,
    *,
    medium: Stills | None = None,
) -> Proof:
    """Measure two models on the same pictures.

    Parameters
    ----------
    before, after : Model
    samples : sequence of Sample, or of another :class:`Measured`
    settings : Promotion
    progress : Progress, optional
        May raise to cancel.
    medium : Stills, optional
        What samples are, and how they are measured; by default pictures, by :data:`PROVED`.

    Returns
    -------
    Proof

    Raises
    ------
    InputError
        There are no pictures, or one cannot be read any more.
    MissingExtra
        Without the package pysodmetrics.
    """
    kind = medium or Stills()
    if not samples:
        raise InputError(f"There are no {kind.many} to prove anything with.", "Give more data, or a larger --test.")
    steps = progress or Progress()
    seen = []
    for number, sample in enumerate(samples):
        part = steps.part(number / len(samples), (number + 1) / len(samples))
        part(0.0, f"Measuring before and after: {number} of {len(samples)}")
        load = functools.partial(sample.load, settings.proof_side, settings.proof_seed)
        rgb, truth = patiently(load, part)
        masks = [before.predict(rgb, part.part(0.0, 0.4)), after.predict(rgb, part.part(0.4, 0.8))]
        values = [patiently(functools.partial(kind.measured, mask, truth), part) for mask in masks]
        seen.append(Seen(sample.name, sample.group, *values))
    groups = [one.group for one in seen]
    changes = []
    for name, measure in kind.measures.items():
        one, other = (np.array([getattr(row, side)[name] for row in seen]) for side in ("before", "after"))
        sign = 1.0 if measure.higher_is_better else -1.0
        gain = interval(sign * (other - one), groups, settings.resamples, settings.proof_seed)
        changes.append(Change(name, float(one.mean()), float(other.mean()), gain))
    steps(1.0)
    return Proof(tuple(changes), tuple(seen), kind.many)


def counted(number: int, things: str) -> str:
    """Return how many there are of things that English counts by an s, in words that are right for one."""
    return f"{number} {things if number != 1 else things.removesuffix('s')}"


def interval(values: NDArray[np.float64], groups: Sequence[str], resamples: int, seed: int) -> Interval:
    """Return a mean and its interval of 95 %, by drawing whole groups anew.

    Parameters
    ----------
    values : (N,) float64
        One a picture.
    groups : sequence of str
        To which each belongs.
    resamples : int
        How often.
    seed : int

    Returns
    -------
    Interval
        The percentiles 2.5 and 97.5 of the means that were drawn.
    """
    names, places = np.unique(np.asarray(groups, dtype=object).astype(str), return_inverse=True)
    sums = np.bincount(places, values, len(names))
    counts = np.bincount(places, minlength=len(names)).astype(np.float64)
    lots = np.random.default_rng(seed)
    drawn = np.empty(resamples)
    for number in range(resamples):
        chosen = lots.integers(len(names), size=len(names))
        drawn[number] = sums[chosen].sum() / counts[chosen].sum()
    low, high = np.percentile(drawn, (2.5, 97.5))
    return Interval(float(values.mean()), float(low), float(high))


def measured(mask: Array, truth: Array) -> dict[str, float]:
    """Return all measures of one mask, as people get it: it is not stretched first."""
    target = np.clip(truth, 0, 1)
    found = evaluate_mask(mask, target, measures=[name for name in PROVED if name not in _MATTE], stretch=False).values
    found = {**found, **evaluate_matte(mask, target, measures=_MATTE).values}
    return {name: float(found[name]) for name in PROVED}
