"""A prompted model that every installation has: boxes, points, scribbles and rough masks by GrabCut.

Rother, Kolmogorov and Blake, "GrabCut: Interactive foreground extraction using iterated graph cuts", SIGGRAPH 2004, as
OpenCV has it. It separates colours, and knows nothing of things; where a model that finds subjects by itself is
installed, that looks at what the box holds first, and GrabCut starts from what it saw. Where there is neither a box nor
such a model, points and scribbles are flooded (watershed) up to each other before GrabCut starts: by itself it would
take for the subject only what has the very colours under them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gossamer.arrays import Array, as_rgb
from gossamer.errors import InputError
from gossamer.progress import Progress, ProgressCallback
from gossamer.prompting.places import around, holds
from gossamer.prompting.prompt import Box, Point, Prompt
from gossamer.prompting.protocol import BOX_THRESHOLD, TEXT_THRESHOLD, Subject, Subjects
from gossamer.resampling import bilinear
from gossamer.settings.finding import Masks

__all__ = ["GrabCut", "GrabCutEmbedding", "Salient"]

Salient = Callable[[Array, Progress], Array]
"""Maps a picture to the mask of its subject: a model that needs no prompt."""

_AREA = 500_000  # pixels that GrabCut works on: its time grows faster than they do, and matting finds larger ones' edge
_ROUNDS = 5
_MARGIN = 0.1  # of a box's sides: what surrounds a thing tells where it ends
_HINT = 0.1  # from here on the salient mask counts: GrabCut drops what has the background's colours, but adds little
# Whether a hint is about what the box means is asked of GrabCut started from the box alone. Where both come to much the
# same (intersection over union), the hint's is the better one. Where they do not, a hint counts that needed little
# change and reaches as far as a subject whose box was drawn a tenth too large on all sides; else it was a part of the
# subject, or something else.
_ALIKE = 0.6
_AGREES = 0.65
_REACHES = 0.65
_GLANCE = 120_000  # pixels that this comparison needs
_SURE = 0.9  # from here on, and away from its edge, a hint is certain: by colours alone GrabCut would cut holes into it
_CORE = 0.005  # how far away, in parts of the picture's diagonal
_TOUCH = 0.006  # radius of what a point stands for, in parts of the picture's diagonal
_ISLAND = 0.02  # of the foreground: what grew apart from the hint and is no larger is dropped
_FRAME = 3  # width of the picture's border that stands for background where nothing else does, in pixels
_BACK, _FORE, _LIKELY_BACK, _LIKELY_FORE = 0, 1, 2, 3  # OpenCV's labels

_Labels = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class GrabCutEmbedding:
    """A picture, and what the salient model saw in parts of it so far.

    Attributes
    ----------
    rgb : (H, W, 3) float32
    seen : dict
        From the crop's edges to its mask.
    """

    rgb: Array = field(repr=False)
    seen: dict[tuple[int, int, int, int], Array] = field(default_factory=dict, repr=False)


class GrabCut:
    """GrabCut, started from a model that finds subjects by itself where there is one.

    Parameters
    ----------
    salient : callable, optional
        ``salient(rgb, progress)`` gives the mask of a picture's subject.
    salient_id : str
        What it is called.
    device : str
        Where the salient model runs.

    Attributes
    ----------
    id, device : str
    warnings : tuple of str
    """

    box_threshold = BOX_THRESHOLD

    def __init__(self, salient: Salient | None = None, salient_id: str = "", device: str = "cpu") -> None:
        self.id = f"grabcut ({salient_id})" if salient is not None and salient_id else "grabcut"
        self.device = device
        self._salient, self._name = salient, salient_id or "The salient model"
        self.warnings: tuple[str, ...] = (
            ()
            if salient is not None
            else (
                "GrabCut worked from colours alone, as no model is installed that finds subjects. "
                "For better masks type: gossamer models get isnet-general-use",
            )
        )

    def embed(self, image: ArrayLike, progress: ProgressCallback | Progress | None = None) -> GrabCutEmbedding:
        """Remember a picture, (H, W, 3); nothing can be computed without a prompt."""
        return GrabCutEmbedding(as_rgb(image))

    def predict(
        self,
        embedding: GrabCutEmbedding,
        prompt: Prompt,
        *,
        progress: ProgressCallback | Progress | None = None,
        box_threshold: float = BOX_THRESHOLD,
        text_threshold: float = TEXT_THRESHOLD,
        every: bool = True,
        masks: Masks = "best",
    ) -> Subjects:
        """Find what a prompt's places mean: a subject for each box, or one where there is none.

        Parameters
        ----------
        embedding : GrabCutEmbedding
        prompt : Prompt
            In pixels. With several boxes points count for those that they lie in.
        progress : callable, optional
            What it raises stops the work and passes through.
        box_threshold, text_threshold, masks
            Of no meaning here.
        every : bool
            All subjects, or the one of the highest score.

        Returns
        -------
        Subjects
            Their scores say how far the masks fill their boxes: one that fills half of its box is not what was meant.

        Raises
        ------
        InputError
            The prompt has text, or no place.
        """
        if prompt.text:
            raise InputError("GrabCut does not read text.", "Choose grounded-sam2 or sam3, or give a box or a point.")
        if not prompt.is_spatial:
            raise InputError("The prompt names no place.", "Give a box, a point, a mask or scribbles.")
        steps = Progress.of(progress)
        warnings: list[str] = []
        subjects = []
        known = replace(embedding, seen=dict(embedding.seen))
        boxes: tuple[Box | None, ...] = prompt.boxes or (None,)
        for number, box in enumerate(boxes):
            part = steps.part(number / len(boxes), (number + 1) / len(boxes))
            mask = self._cut(known, prompt, box, part, warnings)
            if (mask > 0.5).any():
                subjects.append(Subject(mask, _fill(mask, box), box=box))
        best = max((subject.score for subject in subjects), default=0.0)
        if not every:
            subjects = sorted(subjects, key=lambda subject: -subject.score)[:1]
        return Subjects(subjects, best_score=best, warnings=dict.fromkeys(warnings), embedding=known)

    def _cut(
        self, embedding: GrabCutEmbedding, prompt: Prompt, box: Box | None, steps: Progress, warnings: list[str]
    ) -> Array:
        import cv2

        height, width = embedding.rgb.shape[:2]
        steps(0.0, "Finding the subject with GrabCut")
        hint = self._hint(embedding, prompt, box, steps.part(0.0, 0.6), warnings)
        factor = min(1.0, math.sqrt(_AREA / (height * width)))
        size = (max(round(width * factor), 1), max(round(height * factor), 1))
        scale = (size[0] / width, size[1] / height)
        # Several boxes share the points, each its own; what lies in one box alone plays no part in the others.
        alone = len(prompt.boxes) < 2
        wanted, unwanted = (
            [point for point in group if alone or box is None or holds(box, point)]
            for group in (prompt.points, prompt.not_points)
        )
        marked = _marks(prompt, wanted, unwanted, size, scale)
        if box is None and hint is None and not (marked == _BACK).any():
            warnings.append(
                "Points and scribbles on the subject alone tell GrabCut little: mark also what does not belong to it, "
                "or draw a box around the subject."
            )
        eight_bit = np.rint(embedding.rgb * np.float32(255)).astype(np.uint8)
        small = cv2.resize(eight_bit, size, interpolation=cv2.INTER_AREA) if factor < 1 else eight_bit
        result = self._grown(small, hint, box, marked, scale, prompt.mask is not None, steps.part(0.6, 1.0), warnings)
        steps(1.0)
        return np.clip(bilinear(result.astype(np.float32), height, width), 0, 1)

    def _grown(
        self,
        image: _Labels,
        hint: Array | None,
        box: Box | None,
        marked: NDArray[np.int32],
        scale: tuple[float, float],
        given: bool,
        steps: Progress,
        warnings: list[str],
    ) -> NDArray[np.bool_]:
        """Return the foreground at the working size, from the hint (`given` by the prompt or seen) or the box."""
        begun = None
        if hint is not None:
            labels = _start(image, hint, box, marked, scale)
            begun = _is_fore(labels)
            grown = _run(image, labels, steps.part(0.0, 0.4))
            if grown is not None and (
                given or box is None or self._fits(image, hint, grown, begun, box, marked, scale, steps.part(0.4, 0.5))
            ):
                return _tidied(grown, begun)
            if not given:
                warnings.append(f"{self._name} saw no subject that fits the box: GrabCut started from the box alone.")
        bare = _run(image, _start(image, None, box, marked, scale), steps.part(0.5, 1.0))
        if bare is not None:
            # What has the colours of the subject but no mark and no box is another thing.
            return bare if box is not None else _islands(bare, marked == _FORE)
        warnings.append("GrabCut had nothing to compare the subject with: no certain background or no foreground.")
        return begun if begun is not None and begun.any() else marked != _BACK

    def _fits(
        self,
        image: _Labels,
        hint: Array,
        grown: NDArray[np.bool_],
        begun: NDArray[np.bool_],
        box: Box,
        marked: NDArray[np.int32],
        scale: tuple[float, float],
        steps: Progress,
    ) -> bool:
        """Return whether what grew at the working size from a hint, there `begun`, is what the box means."""
        import cv2

        factor = min(1.0, math.sqrt(_GLANCE / marked.size))
        size = (max(round(marked.shape[1] * factor), 1), max(round(marked.shape[0] * factor), 1))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        marks = cv2.resize(marked, size, interpolation=cv2.INTER_NEAREST)
        shrunk = (scale[0] * size[0] / marked.shape[1], scale[1] * size[1] / marked.shape[0])
        bare = _run(small, _start(small, None, box, np.asarray(marks, np.int32), shrunk), steps)
        if bare is None:  # the box tells nothing, such as one of the whole picture
            return _overlap(grown, begun) >= _AGREES
        shape = cv2.resize(grown.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
        if _overlap(shape, bare) >= _ALIKE:
            return True
        return _overlap(grown, begun) >= _AGREES and _fill(hint, box) >= _REACHES

    def _hint(
        self, embedding: GrabCutEmbedding, prompt: Prompt, box: Box | None, steps: Progress, warnings: list[str]
    ) -> Array | None:
        """Return where the subject is likely, (H, W), as far as anything but the box says."""
        if prompt.mask is not None:
            return prompt.mask
        if self._salient is None:
            return None
        height, width = embedding.rgb.shape[:2]
        x0, y0, x1, y1 = box or (0.0, 0.0, float(width), float(height))
        aside, above = (0.0, 0.0) if box is None else (_MARGIN * (x1 - x0), _MARGIN * (y1 - y0))
        crop = (
            max(math.floor(x0 - aside), 0),
            max(math.floor(y0 - above), 0),
            min(math.ceil(x1 + aside), width),
            min(math.ceil(y1 + above), height),
        )
        if crop not in embedding.seen:
            part = np.ascontiguousarray(embedding.rgb[crop[1] : crop[3], crop[0] : crop[2]])
            embedding.seen[crop] = self._salient(part, steps)
        mask = np.zeros((height, width), np.float32)
        mask[crop[1] : crop[3], crop[0] : crop[2]] = embedding.seen[crop]
        return _touched(mask, prompt) if box is None else mask


def _run(image: _Labels, labels: _Labels, steps: Progress) -> NDArray[np.bool_] | None:
    """Return the foreground that GrabCut finds from `labels`; None where one of the sides is empty at once."""
    import cv2

    models = np.zeros((1, 65)), np.zeros((1, 65))
    # Its clusters begin at random: the same picture and prompt must give the same mask. OpenCV does not tell its seed,
    # so that it cannot be put back.
    cv2.setRNGSeed(0)
    for turn in range(_ROUNDS):
        steps(turn / _ROUNDS, "Finding the subject with GrabCut")
        fore = _is_fore(labels)
        if fore.all() or not fore.any():
            return None if turn == 0 else fore
        cv2.grabCut(image, labels, None, *models, 1, cv2.GC_EVAL if turn else cv2.GC_INIT_WITH_MASK)
    return _is_fore(labels)


def _is_fore(labels: _Labels) -> NDArray[np.bool_]:
    fore: NDArray[np.bool_] = (labels == _FORE) | (labels == _LIKELY_FORE)
    return fore


def _overlap(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Return the intersection over the union."""
    union = np.count_nonzero(one | other)
    return np.count_nonzero(one & other) / union if union else 1.0


def _start(
    image: _Labels, hint: Array | None, box: Box | None, marked: NDArray[np.int32], scale: tuple[float, float]
) -> _Labels:
    """Return the labels that GrabCut starts from, at the working size of `marked`, what is certain."""
    import cv2

    height, width = marked.shape
    labels = np.full((height, width), _BACK if box is not None else _LIKELY_BACK, np.uint8)
    if box is None:
        columns, rows = slice(0, width), slice(0, height)
    else:
        columns = slice(math.floor(box[0] * scale[0]), max(math.ceil(box[2] * scale[0]), 1))
        rows = slice(math.floor(box[1] * scale[1]), max(math.ceil(box[3] * scale[1]), 1))
    if hint is not None:
        small = cv2.resize(hint, (width, height), interpolation=cv2.INTER_AREA)
        labels[rows, columns] = np.where(small[rows, columns] > _HINT, _LIKELY_FORE, _LIKELY_BACK)
        side = 2 * max(round(_CORE * math.hypot(width, height)), 1) + 1
        core = cv2.erode((small > _SURE).astype(np.uint8), np.ones((side, side), np.uint8)) > 0
        labels[rows, columns][core[rows, columns]] = _FORE
    elif box is not None:
        # Not flooded from marks in it: that comes to less than the box itself where they are short.
        labels[rows, columns] = _LIKELY_FORE
    elif (marked == _FORE).any():
        labels = np.where(_flooded(image, marked), _LIKELY_FORE, _LIKELY_BACK).astype(np.uint8)
    labels[marked == _FORE], labels[marked == _BACK] = _FORE, _BACK
    return labels


def _flooded(image: _Labels, marked: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return what is flooded from marks on the subject before it is from those on what is none, (H, W).

    Where there are no such marks the picture's border stands for them.
    """
    import cv2

    sources: NDArray[np.int32] = np.zeros(marked.shape, np.int32)
    sources[marked == _BACK] = 2
    if not sources.any():
        sources[:_FRAME] = sources[-_FRAME:] = 2
        sources[:, :_FRAME] = sources[:, -_FRAME:] = 2
    sources[marked == _FORE] = 1
    if min(marked.shape) >= 3:  # it does not look at a picture's outermost pixels
        cv2.watershed(image, sources)
    return np.equal(sources, 1)


def _marks(
    prompt: Prompt, wanted: list[Point], unwanted: list[Point], size: tuple[int, int], scale: tuple[float, float]
) -> NDArray[np.int32]:
    """Return what is certain, at the working size: foreground, background, or -1."""
    import cv2

    marked = np.full((size[1], size[0]), -1, np.int32)
    if prompt.scribbles is not None:
        for label, side in ((_BACK, prompt.scribbles <= 0.1), (_FORE, prompt.scribbles >= 0.9)):
            # A line that is one pixel wide must not get lost in the smaller picture.
            marked[cv2.resize(side.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.2] = label
    radius = max(round(_TOUCH * math.hypot(*size)), 1)
    for label, points in ((_BACK, unwanted), (_FORE, wanted)):
        for x, y in points:
            cv2.circle(marked, (int(x * scale[0]), int(y * scale[1])), radius, label, -1)
    return marked


def _touched(mask: Array, prompt: Prompt) -> Array | None:
    """Return those islands of a salient mask that points or scribbles touch; None where they touch none."""
    wanted = np.zeros(mask.shape, bool)
    for x, y in prompt.points:
        wanted[int(y), int(x)] = True
    if prompt.scribbles is not None:
        wanted |= prompt.scribbles >= 0.9
    chosen = _islands(mask > 0.5, wanted)
    return np.where(chosen, mask, np.float32(0)) if chosen.any() else None


def _tidied(grown: NDArray[np.bool_], begun: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return a foreground without the small islands where none was seen: leaves, highlights and the like."""
    import cv2

    _, islands, stats, _ = cv2.connectedComponentsWithStats(grown.astype(np.uint8))
    small = stats[:, cv2.CC_STAT_AREA] <= _ISLAND * np.count_nonzero(grown)
    small[islands[begun]] = False
    specks: NDArray[np.bool_] = small[islands]
    return grown & ~specks


def _islands(fore: NDArray[np.bool_], wanted: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return those islands of a foreground that touch what is wanted; both (H, W)."""
    import cv2

    _, islands = cv2.connectedComponents(fore.astype(np.uint8))
    chosen: NDArray[np.bool_] = fore & np.isin(islands, np.unique(islands[wanted & fore]))
    return chosen


def _fill(mask: Array, box: Box | None) -> float:
    """Return how much of its box a mask spans, in [0, 1]; without a box 1."""
    if box is None:
        return 1.0
    x0, y0, x1, y1 = math.floor(box[0]), math.floor(box[1]), math.ceil(box[2]), math.ceil(box[3])
    spanned = around((mask[y0:y1, x0:x1] > 0.5).astype(np.float32))
    if spanned is None:
        return 0.0
    area = (spanned[2] - spanned[0]) * (spanned[3] - spanned[1])
    return min(area / ((x1 - x0) * (y1 - y0)), 1.0)
