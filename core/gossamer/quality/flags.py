"""Flags: what a measure beyond its threshold means, in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from gossamer.canvas.straight import DARKENED
from gossamer.quality.measures import Measures
from gossamer.settings.checks import Checks

__all__ = ["Flag", "flags_of"]

_LEANS = 0.03  # of halo: an edge that leans less to the background beside it has none of its colours, whatever it keeps
_WIDE = 0.45  # of halo: an edge that is more than so much background is too wide, not only tinted
_TEETH = 0.45  # units of roughness of an edge that is not soft
_HARD_EDGE = 1.6  # units
_MISSING = 0.46  # units that matting adds along the edge of what lacks hair; on true mattes it may add as much as this
_BEYOND, _SOME = 0.02, 0.22  # far outside the contour it adds to those alone, if it adds some at all
_TEXTURED, _LONG = 1.5, 4.0  # what textures, and runs against the diagonal, may be of the limit of what has no edge
_MUCH, _MUCH_ACROSS, _LONG_RUN = 0.05, 0.15, 0.07  # of the contour and the diagonal: from there on it is a fault
_GHOST = 0.05  # of what lies far away
_ENDS = 0.006  # of the diagonal: ends along one line that the photograph goes on beyond
_FREE = 10.0  # how much longer a straight end must be where there is no photograph


@dataclass(frozen=True)
class Flag:
    """Something that is, or may be, wrong with a cut-out.

    Attributes
    ----------
    id : str
        What it is, in one word: see the table in ``docs/quality.md``.
    severity : {"fault", "note"}
        A fault of the cut-out; or what may be right, but should be known.
    reason : str
        One sentence, with the number that was measured.
    remedy : str
        What to do about it.
    """

    id: str
    severity: Literal["fault", "note"]
    reason: str
    remedy: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the flag as plain types, ready for JSON."""
        return asdict(self)


def flags_of(found: Measures, sides: tuple[str, ...], limits: Checks, *, photo: bool) -> tuple[Flag, ...]:
    """Return what is to be said about measures.

    Parameters
    ----------
    found : Measures
    sides : tuple of str
        The sides of the frame that the subject touches.
    limits : Checks
        From where on.
    photo : bool
        Whether there was a photograph.
    """
    if found.coverage * 100 < limits.empty:
        reason = f"Almost nothing is foreground ({found.coverage:.2%} of the picture)."
        return (Flag("empty", "fault", reason, "Choose another model, or say what is meant with a prompt."),)
    if found.coverage * 100 > 100 - limits.empty:
        reason = f"Almost everything is foreground ({found.coverage:.2%} of the picture)."
        return (Flag("full", "fault", reason, "Choose another model, or say what is meant with a prompt."),)
    return (
        *_of_shape(found, sides, limits, photo),
        *_of_edge(found, limits),
        *_of_colour(found, limits),
        *_of_photograph(found, limits),
        *_of_masks(found, limits),
    )


def _of_shape(found: Measures, sides: tuple[str, ...], limits: Checks, photo: bool) -> Iterator[Flag]:
    if found.relative_size * 100 < limits.small:
        reason = f"The subject is small: {found.size:.0f} pixels, {found.relative_size:.1%} of the picture's side."
        yield Flag("small", "note", reason, "Crop the photograph around it first: models see more of it then.")
    if sides and found.frame * 100 > limits.frame:
        where = " and ".join(sides) if len(sides) < 3 else ", ".join(sides)
        reason = f"The subject touches the frame ({where}; {found.frame:.1%} of its length): it is cut off there."
        yield Flag("frame", "note", reason, "Take a photograph with room around it, if it is to stand free.")
    if found.cut * 100 > limits.cut * (1.0 if photo else _FREE):
        reason = f"It ends in a straight line, {found.cut:.1%} of the diagonal long" + (
            ", where the photograph has no edge." if photo else "."
        )
        remedy = "Look whether a part of it was cut off; a box or a tile may end there."
        yield Flag("cut", "fault" if photo else "note", reason, remedy)
    elif (found.ends or 0.0) > _ENDS:
        reason = (
            f"Parts of it end along one line ({found.ends:.1%} of the diagonal), and the photograph goes on beyond."
        )
        yield Flag("cut", "fault", reason, "Look whether a part of it was cut off there.")
    if found.specks > limits.specks:
        reason = f"It has {found.specks} specks, islands below a hundredth of the largest."
        yield Flag("specks", "note", reason, "Remove them: --refinement-remove-specks.")
    if found.false_holes is not None and found.false_holes * 100 > limits.holes:
        reason = f"It has holes where the photograph shows the subject ({found.false_holes:.1%} of it)."
        yield Flag("hole", "fault", reason, "Fill them: --refinement-fill-holes.")


def _of_edge(found: Measures, limits: Checks) -> Iterator[Flag]:
    if found.haze * 100 > limits.haze:
        reason = f"A haze, an alpha of 1 to 8 %, lies on {found.haze:.0%} of what is far from the subject."
        yield Flag("haze", "fault", reason, "Clear it: --refinement-black-point 0.1.")
    elif found.ghost > _GHOST:
        reason = f"{found.ghost:.0%} of what is far from the subject can half be seen."
        yield Flag("haze", "note", reason, "Look whether it is smoke, glass or a doubtful part of the mask.")
    if found.veil * 100 > limits.veil:
        reason = f"The subject can be seen through on {found.veil:.0%} of its inside."
        yield Flag("veil", "note", reason, "Unless it is of glass or cloth: --refinement-white-point 0.9.")
    if found.steps * 100 > limits.jagged:
        reason = f"The edge is jagged: {found.steps:.0%} of it jumps from one pixel to the next."
        yield Flag("jagged", "fault", reason, "Solve it again: gossamer refine PHOTO MASK, with the matting auto.")
    elif found.roughness > _TEETH and found.softness < _HARD_EDGE:
        reason = f"The edge is jagged: its teeth are {found.roughness:.2f} pixels of a picture of 800 x 600 on average."
        yield Flag("jagged", "fault", reason, "Smooth it: --refinement-smooth 3.")
    if found.softness > limits.soft:
        reason = f"The edge is soft over {found.softness:.0f} pixels of a picture of 800 x 600."
        yield Flag("soft", "note", reason, "Unless it is hair or smoke: gossamer refine PHOTO MASK.")


def _of_colour(found: Measures, limits: Checks) -> Iterator[Flag]:
    if found.premultiplied is not None and found.premultiplied > DARKENED:
        reason = "Its colours are multiplied by alpha: soft edges turn dark wherever it is laid over something."
        yield Flag("premultiplied", "fault", reason, "Save straight (unassociated) alpha, or cut it out again.")
    kept, halo = found.kept or 0.0, found.halo or 0.0
    if found.halo is not None and halo < _LEANS:
        kept = 0.0
    if kept * 100 > limits.halo or halo > _WIDE:
        share = max(min(kept, 1.0), min(halo, 1.0))
        reason = f"A halo: {share:.0%} of the old background's colours is left in the edge."
        yield Flag("halo", "fault", reason, "Estimate the subject's own colours: gossamer refine, --foreground auto.")
    for value, tone, over in ((found.light_fringe, "light", "black"), (found.dark_fringe, "dark", "white")):
        if value is not None and value * 100 > limits.fringe:
            reason = f"A {tone} fringe shows over {over}: soft edges differ by {value:.0%} from what is beside them."
            yield Flag("fringe", "note", reason, "Look at it over black and white: gossamer compare.")


def _of_photograph(found: Measures, limits: Checks) -> Iterator[Flag]:
    without, across, run = (value or 0.0 for value in (found.unsupported, found.continued, found.open_run))
    if max(without, across / _TEXTURED, run / _LONG) * 100 > limits.outline:
        share = max(without, across)
        reason = f"{share:.1%} of the outline runs where the photograph has no edge, or goes on across it."
        remedy = "Look whether a part is missing, something was added, or it is another thing than was meant."
        # Shadows and dark soles hide a little of many true edges.
        sure = max(without / _MUCH, across / _MUCH_ACROSS, run / _LONG_RUN) > 1
        yield Flag("outline", "fault" if sure else "note", reason, remedy)
    missing = found.missing or 0.0
    if missing > _MISSING or (missing > _SOME and (found.beyond or 0.0) > _BEYOND):
        much = f"{missing:.2f} pixels of a picture of 800 x 600 along all of it"
        reason = f"The photograph's colours speak for more beside the edge: {much}."
        yield Flag("lost", "note", reason, "Look for hair and thin parts that are missing.")
    if found.blur is not None and found.blur * 100 > limits.blur:
        reason = f"The subject is blurred or out of focus ({found.blur:.0%})."
        yield Flag("blur", "note", reason, "No cut-out has a sharper edge than its photograph.")


def _of_masks(found: Measures, limits: Checks) -> Iterator[Flag]:
    if found.lost is not None and found.lost * 100 > limits.lost:
        reason = f"{found.lost:.0%} of what the mask was sure of is lost."
        yield Flag("lost", "fault", reason, "Choose another matting, a narrower matting band, or no matting.")
    elif found.thin_lost is not None and found.thin_lost * 100 > limits.thin:
        reason = f"{found.thin_lost:.0%} of the mask's thin parts is lost."
        yield Flag("lost", "fault", reason, "Choose the matting auto, which keeps them, or no matting.")
    for value, who in ((found.disagreement, "Another opinion"), (found.mirrored, "The mask of the mirrored picture")):
        if value is not None and value * 100 > limits.disagreement:
            reason = f"{who} differs by {value:.0%} of the subject: it is not clear what the subject is."
            yield Flag("doubt", "fault", reason, "Say what is meant with a prompt, or look at both.")
