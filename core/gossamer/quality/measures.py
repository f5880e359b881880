"""Everything that was measured of a cut-out, by name."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Measures"]


@dataclass(frozen=True)
class Measures:
    """What was measured of a cut-out; None where it could not be.

    Shares are in [0, 1]. Lengths are in units of a picture of 800 x 600 pixels, so that they mean the same at every
    size.

    Attributes
    ----------
    coverage : float
        Mean of alpha.
    parts, specks : int
        Islands, and those of them below a hundredth of the largest.
    size : float
        Longer side of the box around the subject, in pixels of the cut-out.
    relative_size : float
        The same against the picture's longer side.
    frame : float
        Share of the frame's length that the subject touches.
    cut : float
        Longest straight end along rows or columns, of the diagonal; with a photograph where that has no edge.
    holes : int
        Holes, those between hairs left out.
    hole_area : float
        Their area against the subject's.
    softness : float
        Width of the soft edge, in units.
    steps : float
        Share of the bent edge that jumps from one pixel to the next.
    roughness : float
        Hard teeth a length of contour, in units.
    haze, ghost : float
        Share of what lies far from the subject with an alpha of 1 to 8 %, and of more.
    veil : float
        Share of what lies deep inside that can be seen through.
    light_fringe, dark_fringe : float or None
        How much lighter and darker the soft edge is than the subject beside it.
    premultiplied : float or None
        1 where colours are multiplied by alpha, 0 where they are straight.
    halo, correlation : float or None
        With a photograph: slope and correlation of the edge's residual on what its background differs by from the
        subject.
    kept : float or None
        With a photograph: the share of the background's colours that is left in soft pixels.
    unsupported : float or None
        With a photograph: share of the contour where it has no edge.
    continued : float or None
        With a photograph: share of the contour across which it goes on as if there was nothing.
    open_run : float or None
        With a photograph: the longest piece of contour without an edge, or across which it goes on, of the diagonal.
    correction, added, removed : float or None
        With a photograph: mean change of alpha that matting from its colours would make, and its parts.
    regrown : float or None
        With a photograph: what a segmentation by its colours, begun with the cut-out, takes differently, against the
        subject's area.
    false_holes : float or None
        With a photograph: area of holes where that shows the subject, against the subject's.
    blur : float or None
        Of the subject's sharpest part: 0 sharp, 1 nothing but blur.
    lost, thin_lost : float or None
        With a mask: share of what it was sure of, and of its thin parts, that is gone.
    disagreement : float or None
        With another opinion: the difference against both together.
    mirrored : float or None
        The same of a model's masks of the picture and of the mirrored picture.
    missing : float or None
        With a photograph: how much alpha its colours would add beside the edge, a length of contour, in units.
    beyond : float or None
        With a photograph: the part of `missing` that is far outside the contour.
    ends : float or None
        With a photograph: length of the ends along one straight line that it goes on beyond, of the diagonal.
    """

    coverage: float
    parts: int = 0
    specks: int = 0
    size: float = 0.0
    relative_size: float = 0.0
    frame: float = 0.0
    cut: float = 0.0
    holes: int = 0
    hole_area: float = 0.0
    softness: float = 0.0
    steps: float = 0.0
    roughness: float = 0.0
    haze: float = 0.0
    ghost: float = 0.0
    veil: float = 0.0
    light_fringe: float | None = None
    dark_fringe: float | None = None
    premultiplied: float | None = None
    halo: float | None = None
    correlation: float | None = None
    kept: float | None = None
    unsupported: float | None = None
    continued: float | None = None
    open_run: float | None = None
    correction: float | None = None
    added: float | None = None
    removed: float | None = None
    regrown: float | None = None
    false_holes: float | None = None
    blur: float | None = None
    lost: float | None = None
    thin_lost: float | None = None
    disagreement: float | None = None
    mirrored: float | None = None
    missing: float | None = None
    beyond: float | None = None
    ends: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return them as plain types, rounded to six digits, ready for JSON."""
        return {name: round(value, 6) if isinstance(value, float) else value for name, value in asdict(self).items()}
