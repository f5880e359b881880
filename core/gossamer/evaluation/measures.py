"""What is measured: names, units and which way is better, in the order of the tables."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from gossamer.errors import InputError

__all__ = ["CLIP_MEASURES", "KINDS", "MEASURES", "Kind", "Measure", "chosen"]

Kind: TypeAlias = Literal["mask", "matte", "both"]
KINDS: tuple[Kind, ...] = ("mask", "matte", "both")


@dataclass(frozen=True)
class Measure:
    """One number of a prediction."""

    name: str
    """What the API, JSON and CSV call it."""
    title: str
    """What tables call it."""
    kind: Literal["mask", "matte", "clip"]
    higher_is_better: bool
    curve: Literal["", "f", "e"] = ""
    """For a maximum: the curve of which it is one. Of a whole set it is the maximum of the MEAN curve."""

    def badness(self, value: float) -> float:
        """Return a number that is larger the worse `value` is."""
        return -value if self.higher_is_better else value


MEASURES: dict[str, Measure] = {
    measure.name: measure
    for measure in (
        Measure("mae", "MAE", "mask", False),
        Measure("max_f", "max F", "mask", True, "f"),
        Measure("mean_f", "mean F", "mask", True),
        Measure("adaptive_f", "adaptive F", "mask", True),
        Measure("weighted_f", "weighted F", "mask", True),
        Measure("s_measure", "S-measure", "mask", True),
        Measure("max_e", "max E", "mask", True, "e"),
        Measure("mean_e", "mean E", "mask", True),
        Measure("adaptive_e", "adaptive E", "mask", True),
        Measure("hce", "HCE", "mask", False),
        Measure("iou", "IoU", "mask", True),
        Measure("boundary_iou", "boundary IoU", "mask", True),
        Measure("sad", "SAD / 1000", "matte", False),
        Measure("mad", "MAD x 1000", "matte", False),
        Measure("mse", "MSE x 1000", "matte", False),
        Measure("gradient", "gradient / 1000", "matte", False),
        Measure("connectivity", "connectivity / 1000", "matte", False),
    )
}


CLIP_MEASURES: dict[str, Measure] = {"dtssd": Measure("dtssd", "dtSSD x 100", "clip", False)}
"""What is measured of frames that follow each other, see :func:`gossamer.evaluation.steadiness.dtssd`."""


def chosen(kind: Kind, names: Iterable[str] | None = None) -> tuple[str, ...]:
    """Return the names of the measures of a kind, or those of `names`, in the tables' order.

    Raises
    ------
    InputError
        If a name or the kind is not known, a measure is not of that kind, or there is none.
    """
    if kind not in KINDS:
        raise InputError(f"There is no kind {kind!r}.", f"Choose one of: {', '.join(KINDS)}.")
    possible = [name for name, measure in MEASURES.items() if kind in ("both", measure.kind)]
    if names is None:
        return tuple(possible)
    wanted = set(names)
    if unknown := sorted(wanted.difference(possible)):
        raise InputError(
            f"There is no measure {unknown[0]!r} {'of masks or mattes' if kind == 'both' else f'of a {kind}'}.",
            f"Choose from: {', '.join(possible)}.",
        )
    if not wanted:
        raise InputError("No measure was named.", f"Choose from: {', '.join(possible)}.")
    return tuple(name for name in possible if name in wanted)
