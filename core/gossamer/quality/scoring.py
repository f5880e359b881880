"""One number for a cut-out, from everything that was measured of it."""

from __future__ import annotations

import math
from collections.abc import Iterable

from gossamer.quality.flags import Flag
from gossamer.quality.measures import Measures

__all__ = ["score_of"]

# With a photograph: the logarithm of the error of alpha that is to be expected, fitted (without negative weights) to
# photographs with true alpha under masks of many qualities. Each measure counts by log(1 + measure / scale).
_WEIGHTS = (
    ("correction", 0.002, 0.41),
    ("regrown", 0.01, 0.5),
    ("unsupported", 0.01, 0.11),
    ("continued", 0.01, 0.12),
)
_HALF, _SLOPE = 2.6, 1.3  # the expected logarithm at which half of the score is left, and how fast it falls there
_KEPT = {"fault": 0.85, "note": 0.99}  # of the score for each flag
_COUNTED, _KEPT_THEN = ("outline", "cut", "hole"), 0.95  # what the expected error knows of already
_UNUSABLE = ("empty", "full")


def score_of(found: Measures, flags: Iterable[Flag]) -> float:
    """Return a score from 0 (of no use) to 100 (nothing to be seen against it)."""
    flags = tuple(flags)
    if any(flag.id in _UNUSABLE for flag in flags):
        return 0.0
    score = 100.0
    if found.correction is not None:
        expected = sum(weight * math.log1p((getattr(found, name) or 0.0) / scale) for name, scale, weight in _WEIGHTS)
        score /= 1 + math.exp(_SLOPE * (expected - _HALF))
    for doubt in (found.disagreement, found.mirrored):
        score *= 1 - 0.8 * (doubt or 0.0)
    score *= 1 - 0.8 * max(found.lost or 0.0, 0.5 * (found.thin_lost or 0.0))
    for flag in flags:
        counted = flag.id in _COUNTED and found.correction is not None
        score *= max(_KEPT[flag.severity], _KEPT_THEN) if counted else _KEPT[flag.severity]
    return round(score, 2)
