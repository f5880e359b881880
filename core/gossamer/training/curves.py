"""Learning curves as a picture: the loss of each step, and what each validation measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gossamer.arrays import Array

__all__ = ["curves"]

_WIDTH, _HEIGHT, _LEFT, _EDGE = 960, 280, 84, 30
_PAPER, _INK, _GRID = (250, 250, 250), (60, 60, 60), (220, 220, 220)
_COLOURS = ((46, 98, 168), (190, 74, 48), (62, 138, 70), (134, 84, 160))


def curves(rows: Sequence[Mapping[str, float]], panels: Sequence[tuple[str, Sequence[str]]]) -> Array:
    """Draw curves over steps, panel below panel; those that no row has are left out, as are panels of such alone.

    Parameters
    ----------
    rows : sequence of mapping of str to float
        Each with ``step`` and some of the names.
    panels : sequence of (title, names)
        What is drawn together. Some row has one of the names.

    Returns
    -------
    (h, 960, 3) float32
    """
    last = max((row["step"] for row in rows), default=1)
    there = set().union(*rows)
    return np.vstack([_panel(rows, title, names, last) for title, names in panels if there.intersection(names)])


def _panel(rows: Sequence[Mapping[str, float]], title: str, names: Sequence[str], last: float) -> Array:
    import cv2

    paper = np.full((_HEIGHT, _WIDTH, 3), _PAPER, np.uint8)
    lines = {name: [(row["step"], row[name]) for row in rows if name in row] for name in names}
    values = [value for line in lines.values() for _, value in line if np.isfinite(value)]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5

    def at(step: float, value: float) -> tuple[int, int]:
        x = _LEFT + (_WIDTH - _LEFT - _EDGE) * step / max(last, 1)
        y = _EDGE + (_HEIGHT - 2 * _EDGE) * (1 - (value - low) / (high - low))
        return round(x), round(y)

    def write(text: str, place: tuple[int, int], colour: tuple[int, int, int] = _INK) -> None:
        cv2.putText(paper, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, 1, cv2.LINE_AA)

    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        value = low + share * (high - low)
        left, y = at(0, value)
        cv2.line(paper, (left, y), (_WIDTH - _EDGE, y), _GRID, 1)
        write(f"{value:.3g}", (8, y + 4))
    write(f"step {last:.0f}", (_WIDTH - _EDGE - 70, _HEIGHT - 8))
    write(title, (_LEFT, 18))
    left = _LEFT + 160
    for number, (name, line) in enumerate(lines.items()):
        if not line:
            continue
        colour = _COLOURS[number % len(_COLOURS)]
        legend = name.replace("_", " ")
        write(legend, (left, 18), colour)
        left += max(160, 20 + cv2.getTextSize(legend, cv2.FONT_HERSHEY_SIMPLEX, 0.45, 1)[0][0])
        points = [at(step, value) for step, value in line if np.isfinite(value)]
        if len(points) == 1:
            cv2.circle(paper, points[0], 3, colour, -1, cv2.LINE_AA)
        elif points:
            cv2.polylines(paper, [np.array(points, np.int32)], False, colour, 1, cv2.LINE_AA)
    return (paper / np.float32(255)).astype(np.float32)
