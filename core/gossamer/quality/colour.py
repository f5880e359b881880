"""Colours of the edge: the old background's in it, a light or dark fringe, and colours multiplied by alpha."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.canvas.straight import DARKENED, darkening
from gossamer.quality.view import View
from gossamer.quality.windows import Windows, places

__all__ = ["Colour", "measure_colour"]

_WINDOW = 10.0  # radius in units of what is beside the edge
_DEPTH = 4.0  # units below the contour the subject's colours are its own, also where alpha is too wide
_OUT = 1.5  # units beyond it the background's are
_CORNERS = 16.0  # units from a window's middle to its corners, at most
_EDGE = 2.5, 8.0  # units within and without
_VISIBLE = 0.1
_SURE = 0.98
_CLEAR = 0.09  # a haze hides no background
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_LEAST = 60  # pixels of edge: of fewer nothing can be said
_ENOUGH = 6_000  # the same: more tell no more
_KNOWN = 0.02  # of a window
_CONTRAST = 0.01  # mean squared difference of both sides' colours: below it a halo is not seen
_MIXTURE = 0.0008  # the same of what is mixed and what is the subject's alone


class Colour(NamedTuple):
    """What the colours of an edge say; None where they cannot.

    Attributes
    ----------
    halo : float or None
        How much of the old background is in the edge's colours: the regression of what they differ by from the
        subject's beside it, on what the background beside it differs by. 0: none; 1: they are the background's.
    correlation : float or None
        Of the same two.
    kept : float or None
        How much of what the background mixed into soft pixels is still there: 1 of the photograph's own colours,
        0 of those that the background was taken off. Exact where alpha is.
    light_fringe, dark_fringe : float or None
        How much lighter and darker the edge is than the subject beside it, in [0, 1], as seen over black and white.
    premultiplied : float or None
        1 where the colours are multiplied by alpha (over black), 0 where they are straight.
    """

    halo: float | None = None
    correlation: float | None = None
    kept: float | None = None
    light_fringe: float | None = None
    dark_fringe: float | None = None
    premultiplied: float | None = None


def measure_colour(view: View) -> Colour:
    """Measure the colours of a cut-out's edge."""
    if view.pixels is None:
        return Colour()
    edge = (view.alpha > _VISIBLE) & (view.within < _EDGE[0]) & (view.without < _EDGE[1])
    rows, columns = places(edge)
    every = -(-rows.size // _ENOUGH)  # of a long edge some pixels tell as much
    rows, columns = rows[:: every or 1], columns[:: every or 1]
    core = (view.alpha >= _SURE) & (view.within > _DEPTH) & (view.within < _EDGE[0] + _CORNERS)
    beside, known = _beside(view.plain, core, view, rows, columns)
    rows, columns, beside = rows[known], columns[known], beside[known]
    if rows.size * every < _LEAST:
        return Colour()
    alpha = view.alpha[rows, columns]
    own = view.colours_at(rows, columns)
    black = darkening(view.pixels, view.whole)
    if black is not None and black > DARKENED:  # looked at as they were before
        own = np.clip(own / alpha[:, None], 0, 1)
    lighter = (own - beside) @ _LUMA
    soft = alpha < 0.9
    seen = alpha * soft
    total = max(float(seen.sum()), 1e-6)
    found = Colour(
        light_fringe=float((np.maximum(lighter, 0) * seen).sum()) / total,
        dark_fringe=float((np.maximum(-lighter, 0) * seen).sum()) / total,
        premultiplied=black,
    )
    if view.photo is None:
        return found
    around = (view.alpha <= _CLEAR) & (view.without > _OUT) & (view.without < _EDGE[1] + _CORNERS)
    behind, both = _beside(view.photo, around, view, rows, columns)
    if np.count_nonzero(both) * every < _LEAST:
        return found
    own, alpha, behind, beside = own[both], alpha[both], behind[both], beside[both]
    halo, correlation = _regression(own - beside, behind - beside, alpha, _CONTRAST)
    # What the photograph shows of the subject itself, the background having been taken off.
    shown = view.photo[rows[both], columns[both]]
    cleared = np.clip((shown - (1 - alpha[:, None]) * behind) / alpha[:, None], 0, 1)
    kept, _ = _regression(own - cleared, shown - cleared, alpha, _MIXTURE)
    return found._replace(halo=halo, correlation=correlation, kept=kept)


def _regression(
    values: NDArray[Any], on: NDArray[Any], weight: Array, least: float
) -> tuple[float | None, float | None]:
    """Return the slope of the regression of colours on others and their correlation; None where those are too small."""
    weight = weight[:, None]
    energy = float((weight * on * on).sum())
    if energy < 3 * least * float(weight.sum()):
        return None, None
    shared, spread = float((weight * on * values).sum()), float((weight * values * values).sum())
    return shared / energy, shared / float(np.sqrt(max(energy * spread, 1e-12)))


def _beside(
    picture: Array, where: NDArray[np.bool_], view: View, rows: NDArray[np.intp], columns: NDArray[np.intp]
) -> tuple[Array, NDArray[np.bool_]]:
    """Return for some places the mean colours nearby of those pixels, (N, 3), and where there are any."""
    windows = Windows(where.shape, view.reach(_WINDOW), rows, columns)
    y, x = places(where)
    red, green, blue = picture[y, x].T
    count, *sums = windows.sums(y, x, None, red, green, blue)
    return np.stack(sums, axis=1) / np.maximum(count, 1)[:, None], count > _KNOWN * windows.area
