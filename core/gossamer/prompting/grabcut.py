"""A prompted model that every installation has: boxes, points, scribbles and rough masks by GrabCut.

Rother, Kolmogorov and Blake, "GrabCut: Interactive foreground extraction using iterated graph cuts", SIGGRAPH 2004, as
OpenCV has it. It separates colours, and knows nothing of things; where a model that finds subjects by itself is
installed, that looks at what the box holds first, and GrabCut starts from what it saw. Where there is neither a box nor
such a model, points and scribbles are flooded (watershed) up to each other before GrabCut starts: by itself it would
take for the subject only what has the very colours under them.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gossamer.arrays import Array, as_rgb
from gossamer.errors import InputError
from gossamer.parallel.patience import patiently
from gossamer.progress import Progress, ProgressCallback
from gossamer.prompting.labels import BACK, FORE, Labels, Site, begun, is_fore, lacking
from gossamer.prompting.obeying import obeyed
from gossamer.prompting.places import around, overlap
from gossamer.prompting.prompt import Box, Prompt
from gossamer.prompting.protocol import BOX_THRESHOLD, TEXT_THRESHOLD, Subject, Subjects
from gossamer.prompting.sites import SURROUNDED, enlarged, grown_box, in_pixels, site_of
from gossamer.resampling import bilinear
from gossamer.settings.finding import Masks

__all__ = ["GrabCut", "GrabCutEmbedding", "Salient"]

_Where = NDArray[np.bool_]
Salient = Callable[[Array, Progress], Array]
"""Maps a picture to the mask of its subject: a model that needs no prompt."""

_ROUNDS = 5
_MARGIN = 0.1  # of a box's sides: what surrounds a thing tells where it ends
# Whether a hint is about what the box means is asked of GrabCut started from the box alone. Where both come to much the
# same (intersection over union), the hint's is the better one. Where they do not, a hint counts that needed little
# change and falls short of no side of the box more than of another; else it was a part of the subject, or something
# else.
_ALIKE = 0.6
_AGREES = 0.8
_LACKS = 0.1  # of the box's side
_GLANCE = 120_000  # pixels that this comparison needs
_UNTOLD = 20_000  # pixels where the colours of both sides are so much the same that they tell nothing
_ALIKE_COLOURS = 0.75
_ISLAND = 0.02  # of the foreground: what grew apart from the hint and is no larger is dropped
_MEANT = 0.6  # of a rough mask that a salient one must hold to be about the same thing


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
        return GrabCutEmbedding(patiently(lambda: as_rgb(image), Progress.of(progress)))

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
            fill = patiently(functools.partial(_fill, mask, box), part)
            if fill is not None:
                subjects.append(Subject(mask, fill, box=box))
        best = max((subject.score for subject in subjects), default=0.0)
        if not every:
            subjects = sorted(subjects, key=lambda subject: -subject.score)[:1]
        return Subjects(subjects, best_score=best, warnings=dict.fromkeys(warnings), embedding=known)

    def _cut(
        self, embedding: GrabCutEmbedding, prompt: Prompt, box: Box | None, steps: Progress, warnings: list[str]
    ) -> Array:
        steps(0.0, "Finding the subject with GrabCut")
        hint = self._hint(embedding, prompt, box, steps.part(0.0, 0.6))
        site = patiently(lambda: site_of(embedding.rgb, prompt, box, hint), steps)
        if box is None and hint is None and prompt.mask is None and not (site.marked == BACK).any():
            warnings.append(
                "Points and scribbles on the subject alone tell GrabCut little: mark also what does not belong to it, "
                "or draw a box around the subject."
            )
        found = self._grown(site, steps.part(0.6, 1.0), warnings)
        result = patiently(lambda: obeyed(site.image, found, site.marked), steps)
        mask = patiently(lambda: enlarged(result, prompt, box, *embedding.rgb.shape[:2]), steps)
        steps(1.0)
        return mask

    def _grown(self, site: Site, steps: Progress, warnings: list[str]) -> _Where:
        """Return the foreground at the working size, from the hint or what the prompt itself says."""
        given = site.box is not None and site.rough is not None
        if site.hint is not None or given:
            labels = begun(site, hinted=True)
            start = is_fore(labels)
            grown = _run(site.image, labels, steps.part(0.0, 0.4))
            if grown is not None:
                if given or site.box is None:
                    return _tidied(grown, start)
                small = _glanced(site)
                bare = _run(small.image, begun(small, hinted=False, crowded=True), steps.part(0.4, 0.5))
                if _fits(site, bare, grown, start):
                    return _tidied(_agreed(site, bare, grown, start), start)
            if not given:
                warnings.append(f"{self._name} saw no subject that fits the box: GrabCut started from the box alone.")
        # What a model saw and the box does not mean is something else in it.
        labels = begun(site, hinted=False, crowded=site.hint is not None)
        start = is_fore(labels)
        bare = _run(site.image, labels, steps.part(0.5, 1.0))
        if bare is not None:
            if site.rough is not None:
                return _tidied(bare, site.rough > 0.5)
            # What has the colours of the subject but no mark and no box is another thing.
            return bare if site.box is not None else _islands(bare, site.marked == FORE)
        warnings.append("GrabCut had nothing to compare the subject with: no certain background or no foreground.")
        return start

    def _hint(self, embedding: GrabCutEmbedding, prompt: Prompt, box: Box | None, steps: Progress) -> Array | None:
        """Return where the salient model sees the subject, (H, W); None where it sees something else, or has no say."""
        if self._salient is None or (box is not None and prompt.mask is not None):
            return None
        height, width = embedding.rgb.shape[:2]
        everything = (0, 0, width, height)
        if box is not None:
            return self._seen(embedding, grown_box(box, _MARGIN, width, height), steps)
        painted = None if prompt.mask is None else around(prompt.mask)
        if painted is None:
            return self._meant(embedding, everything, prompt, steps)
        crop = grown_box(painted, SURROUNDED, width, height)
        near = self._meant(embedding, crop, prompt, steps.part(0.0, 0.5))
        if near is not None and not _reaches(near, crop):
            return near
        # The crop may cut it off: what was painted can be a part of something larger.
        whole = self._meant(embedding, everything, prompt, steps.part(0.5, 1.0))
        return near if whole is None else whole

    def _meant(
        self, embedding: GrabCutEmbedding, crop: tuple[int, int, int, int], prompt: Prompt, steps: Progress
    ) -> Array | None:
        """Return what of the salient model's mask a prompt without a box means, or None."""
        seen = self._seen(embedding, crop, steps)
        return patiently(lambda: _touched(seen, prompt), steps)

    def _seen(self, embedding: GrabCutEmbedding, crop: tuple[int, int, int, int], steps: Progress) -> Array:
        """Return what the salient model sees in a part of the picture, (H, W), looking once."""
        assert self._salient is not None  # noqa: S101 - asked for by the caller
        if crop not in embedding.seen:
            part = np.ascontiguousarray(embedding.rgb[crop[1] : crop[3], crop[0] : crop[2]])
            embedding.seen[crop] = self._salient(part, steps)
        mask = np.zeros(embedding.rgb.shape[:2], np.float32)
        mask[crop[1] : crop[3], crop[0] : crop[2]] = embedding.seen[crop]
        return mask


def _glanced(site: Site) -> Site:
    """Return a site with a box as small as it takes to tell whether a hint is about what the box means."""
    import cv2

    assert site.box is not None  # noqa: S101 - asked for by the caller
    height, width = site.shape
    factor = min(1.0, math.sqrt(_GLANCE / (height * width)))
    size = (max(round(width * factor), 1), max(round(height * factor), 1))
    return Site(
        cv2.resize(site.image, size, interpolation=cv2.INTER_AREA),
        np.asarray(cv2.resize(site.marked, size, interpolation=cv2.INTER_NEAREST), np.int32),
        in_pixels(site.box, (0, 0), (size[0] / width, size[1] / height)),
    )


def _fits(site: Site, bare: _Where | None, grown: _Where, start: _Where) -> bool:
    """Return whether what grew from a hint, first `start`, is what the box means.

    `bare` is what GrabCut takes from the box alone, at a glance.
    """
    assert site.box is not None  # noqa: S101 - asked for by the caller
    if bare is None:  # the box tells nothing, such as one of the whole picture
        return overlap(grown, start) >= _AGREES
    alone = _as_large(bare, site.shape)
    if _lacks(site, grown) > _lacks(site, alone) + _LACKS:
        return False  # the box is around more than was seen, and its colours tell of that
    if overlap(grown, alone) >= _ALIKE:
        return True
    extent = around(start.astype(np.float32))
    marks = site.inside() & (site.marked == BACK)
    # Where the hint has none of them, the box is around more than the subject.
    rejected = site.hint is not None and bool(marks.any()) and float(site.hint[marks].max()) < 0.5
    whole = extent is not None and (rejected or lacking(site.box, extent, site.shape) <= _LACKS)
    return whole and overlap(grown, start) >= _AGREES


def _agreed(site: Site, bare: _Where | None, grown: _Where, start: _Where) -> _Where:
    """Return what two of three take: GrabCut from the hint, the hint itself, and GrabCut from the box alone.

    They err in different ways. GrabCut keeps what has its subject's colours and was hardly seen, and a hint has what
    only looks like a thing. Where the hint is far from what grew from it, it has no vote.
    """
    assert site.hint is not None  # noqa: S101 - asked for by the caller
    seen = start & (site.hint > 0.5)
    if bare is None or overlap(grown, seen) < _AGREES:
        return grown
    alone = _as_large(bare, site.shape)
    both: _Where = (grown & (seen | alone)) | (seen & alone)
    return both


def _as_large(shape: _Where, size: tuple[int, int]) -> _Where:
    """Return a shape at another height and width."""
    large: _Where = bilinear(shape.astype(np.float32), *size) > 0.5
    return large


def _lacks(site: Site, shape: _Where) -> float:
    """Return by how much a shape falls short of one side of the box more than of another, in parts of its sides."""
    extent = around(shape.astype(np.float32))
    assert site.box is not None  # noqa: S101 - asked for by whoever has one
    return 1.0 if extent is None else lacking(site.box, extent, site.shape)


def _run(image: Labels, labels: Labels, steps: Progress) -> _Where | None:
    """Return the foreground that GrabCut finds from `labels`; None where one of the sides is empty at once."""
    import cv2

    fore = is_fore(labels)
    if fore.size > _UNTOLD and fore.any() and not fore.all() and _common(image, fore) > _ALIKE_COLOURS:
        # Where colours tell nothing its flow finds no way, for minutes, and nothing that more pixels would tell.
        factor = math.sqrt(_UNTOLD / fore.size)
        size = max(int(fore.shape[1] * factor), 1), max(int(fore.shape[0] * factor), 1)
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        found = _run(small, cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST), steps)
        if found is None:
            return None
        large = cv2.resize(found.astype(np.float32), labels.shape[::-1], interpolation=cv2.INTER_LINEAR) > 0.5
        return np.where(labels == FORE, True, large & (labels != BACK))
    models = np.zeros((1, 65)), np.zeros((1, 65))

    def cut(mode: int) -> None:
        # Its clusters begin at random: the same picture and prompt must give the same mask. Each thread has its own
        # seed, which OpenCV does not tell, so that it cannot be put back.
        cv2.setRNGSeed(0)
        cv2.grabCut(image, labels, None, *models, 1, mode)

    for turn in range(_ROUNDS):
        steps(turn / _ROUNDS, "Finding the subject with GrabCut")
        fore = is_fore(labels)
        if fore.all() or not fore.any():
            return None if turn == 0 else fore
        patiently(functools.partial(cut, cv2.GC_EVAL if turn else cv2.GC_INIT_WITH_MASK), steps)
    return is_fore(labels)


def _common(image: Labels, fore: _Where) -> float:
    """Return how much the colours of both sides have in common: 0 where they share none, 1 where they are the same."""
    import cv2

    planes = [np.ascontiguousarray(image)]
    sides = [cv2.calcHist(planes, [0, 1, 2], side.astype(np.uint8), [12] * 3, [0, 256] * 3) for side in (fore, ~fore)]
    return float(np.minimum(*(side / side.sum() for side in sides)).sum())


def _touched(mask: Array, prompt: Prompt) -> Array | None:
    """Return those islands of a salient mask that a prompt without a box means; None where it means none."""
    wanted = np.zeros(mask.shape, bool)
    for x, y in prompt.points:
        wanted[int(y), int(x)] = True
    if prompt.scribbles is not None:
        wanted |= prompt.scribbles >= 0.9
    if prompt.mask is not None:
        wanted |= prompt.mask > 0.5
    chosen = _islands(mask > 0.5, wanted)
    if prompt.mask is not None and np.count_nonzero(chosen & wanted) < _MEANT * np.count_nonzero(wanted):
        return None
    return np.where(chosen, mask, np.float32(0)) if chosen.any() else None


def _reaches(mask: Array, crop: tuple[int, int, int, int]) -> bool:
    """Return whether what was seen in a part of the picture goes on where that part ends."""
    left, top, right, bottom = crop
    height, width = mask.shape
    ends = (
        (left > 0, mask[:, left]),
        (top > 0, mask[top]),
        (right < width, mask[:, right - 1]),
        (bottom < height, mask[bottom - 1]),
    )
    return any(inside and bool((edge > 0.5).any()) for inside, edge in ends)


def _tidied(grown: _Where, begun: _Where) -> _Where:
    """Return a foreground without the small islands where none was seen: leaves, highlights and the like."""
    import cv2

    _, islands, stats, _ = cv2.connectedComponentsWithStats(grown.astype(np.uint8))
    small = stats[:, cv2.CC_STAT_AREA] <= _ISLAND * np.count_nonzero(grown)
    small[islands[begun]] = False
    specks: _Where = small[islands]
    return grown & ~specks


def _islands(fore: _Where, wanted: _Where) -> _Where:
    """Return those islands of a foreground that touch what is wanted; both (H, W)."""
    import cv2

    _, islands = cv2.connectedComponents(fore.astype(np.uint8))
    chosen: _Where = fore & np.isin(islands, np.unique(islands[wanted & fore]))
    return chosen


def _fill(mask: Array, box: Box | None) -> float | None:
    """Return how much of its box a mask spans, in [0, 1], without a box 1; None where it is empty."""
    if not (mask > 0.5).any():
        return None
    if box is None:
        return 1.0
    x0, y0, x1, y1 = math.floor(box[0]), math.floor(box[1]), math.ceil(box[2]), math.ceil(box[3])
    spanned = around((mask[y0:y1, x0:x1] > 0.5).astype(np.float32))
    if spanned is None:
        return 0.0
    area = (spanned[2] - spanned[0]) * (spanned[3] - spanned[1])
    return min(area / ((x1 - x0) * (y1 - y0)), 1.0)
