"""Beside the photograph: whether it has edges where the cut-out has, what colours would change, false holes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gossamer.matting.from_mask.alpha import matte_from_mask
from gossamer.progress import Progress
from gossamer.quality.continuity import continued, longest_run
from gossamer.quality.ends import straight_ends
from gossamer.quality.false_holes import false_holes
from gossamer.quality.view import View, at_area

__all__ = ["Agreement", "edges_of", "measure_agreement"]

_MATTE_AREA = 160_000  # pixels: enough for how much matting would change, and for hair
_CUT_AREA = 12_000  # pixels: enough for what belongs together
_ROUNDS = 1  # of GrabCut: with more the answer hardly changes
_FAINT = 0.012  # of a gradient that is seen, in [0, 1] a pixel
_FAR = 6.0  # units outside the contour
_NEARBY = 2.0  # units that a contour may lie beside its edge
_REACH, _CORE = 0.12, 0.06  # of the diagonal: how far beyond its contour a subject may reach, and certainly does within


class Agreement(NamedTuple):
    """How a cut-out agrees with its photograph.

    Attributes
    ----------
    unsupported : float
        Share of the contour where the photograph has no edge.
    continued : float
        Share of the contour across which the photograph goes on as if there was nothing.
    open_run : float
        The longest piece of both, against the diagonal.
    correction : float
        Mean change that matting from the photograph's colours would make, of the whole picture.
    added, removed : float
        Its parts.
    regrown : float
        What a segmentation by colours that begins with the cut-out takes differently, against the subject's area.
    false_holes : float
        Area of holes that the photograph has no edge around, or the subject's colours in, against the subject's.
    missing : float
        Alpha that matting would add, a length of contour, in units.
    beyond : float
        The part of `missing` that is far outside the contour, where no soft edge of a true matte is.
    ends : float
        Length of the ends along one straight line that the photograph goes on beyond, of the diagonal.
    """

    unsupported: float
    continued: float
    open_run: float
    correction: float
    added: float
    removed: float
    regrown: float
    false_holes: float
    missing: float
    beyond: float
    ends: float


def edges_of(view: View) -> NDArray[np.bool_]:
    """Return where the photograph has an edge nearby, (h, w)."""
    import cv2

    size = 2 * view.reach(_NEARBY) + 1
    strong = (view.gradient >= _FAINT).view(np.uint8)
    result: NDArray[np.bool_] = cv2.dilate(strong, np.ones((size, size), np.uint8)) > 0
    return result


def measure_agreement(view: View, support: NDArray[np.bool_], steps: Progress) -> Agreement:
    """Measure how a cut-out agrees with its photograph.

    Parameters
    ----------
    view : View
        With a photograph.
    support : (h, w) bool
        Where that has an edge, see :func:`edges_of`.
    steps : Progress
        May raise to cancel.
    """
    import cv2

    photo, alpha = at_area(view, _MATTE_AREA)
    nowhere, across = view.contour & ~support, continued(view)
    more = matte_from_mask(photo, alpha, progress=steps.part(0.0, 0.7)) - alpha
    steps(0.7)
    grown = np.maximum(more, 0)
    away = np.asarray(cv2.resize(view.without, alpha.shape[::-1], interpolation=cv2.INTER_NEAREST))
    along = view.length * view.unit * alpha.size / view.alpha.size
    return Agreement(
        unsupported=float(np.count_nonzero(nowhere)) / view.length,
        continued=float(np.count_nonzero(across)) / view.length,
        open_run=longest_run(nowhere | across) / view.diagonal,
        correction=float(np.abs(more).mean(dtype=np.float64)),
        added=float(grown.mean(dtype=np.float64)),
        removed=float(np.maximum(-more, 0).mean(dtype=np.float64)),
        regrown=_regrown(view),
        false_holes=false_holes(view),
        missing=float(grown.sum(dtype=np.float64)) / along,
        beyond=float(grown[away >= _FAR].sum(dtype=np.float64)) / along,
        ends=straight_ends(view),
    )


def _regrown(view: View) -> float:
    """Return what GrabCut (Rother, Kolmogorov, Blake 2004), started from a cut-out, takes differently."""
    import cv2

    photo, alpha = at_area(view, _CUT_AREA)
    inside = alpha > 0.5
    count = np.count_nonzero(inside)
    if count < 16 or count > inside.size - 16:
        return 0.0
    depth, away = (
        cv2.distanceTransform(side.astype(np.uint8), cv2.DIST_L2, 5) / np.hypot(*alpha.shape)
        for side in (inside, ~inside)
    )
    labels = np.where(inside, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels[away > _REACH], labels[depth > _CORE] = cv2.GC_BGD, cv2.GC_FGD
    picture = np.ascontiguousarray(np.rint(photo[..., ::-1] * 255).astype(np.uint8))
    cv2.setRNGSeed(0)  # its clusters begin at random: the same cut-out must get the same score
    cv2.grabCut(picture, labels, None, np.zeros((1, 65)), np.zeros((1, 65)), _ROUNDS, cv2.GC_INIT_WITH_MASK)
    found = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
    return float(np.count_nonzero(found != inside) / count)
