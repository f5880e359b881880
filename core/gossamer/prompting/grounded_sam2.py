"""Grounded SAM 2: words to boxes by Grounding DINO, boxes to masks by SAM 2.

Ren et al., "Grounded SAM: Assembling Open-World Models for Diverse Visual Tasks" (2024), chained as its authors do in
github.com/IDEA-Research/Grounded-SAM-2 (grounded_sam2_hf_model_demo.py): each box that counts goes to SAM 2 as it is,
which answers with its one mask for prompts that leave no doubt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import ArrayLike

from gossamer.errors import InputError
from gossamer.parallel.patience import patiently
from gossamer.progress import Progress, ProgressCallback
from gossamer.prompting.families import Family, find_member
from gossamer.prompting.grounding import Detections, load_grounding_dino
from gossamer.prompting.places import Places, around, holds, points_of
from gossamer.prompting.prompt import Box, Point, Prompt
from gossamer.prompting.protocol import BOX_THRESHOLD, TEXT_THRESHOLD, Subject, Subjects
from gossamer.prompting.sam import FeatureMaps
from gossamer.prompting.sam2 import Sam2, load_sam2
from gossamer.settings.finding import Masks

__all__ = ["Detector", "GroundedEmbedding", "GroundedSam2", "load_grounded_sam2", "narrowed"]


class Detector(Protocol):
    """What finds boxes: :class:`~gossamer.prompting.grounding.GroundingDino`, or a scripted one."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What its user should know."""
        ...

    @property
    def modules(self) -> tuple[Any, ...]:
        """Its torch modules."""
        ...

    @property
    def bytes(self) -> int:
        """How much memory it holds."""
        ...

    def unload(self) -> None:
        """Free it."""
        ...

    def prepare(self, image: ArrayLike) -> Any:
        """Return an embedding of a picture; its work is done at the first text."""
        ...

    def detect(
        self,
        embedding: Any,
        phrases: tuple[str, ...],
        *,
        box_threshold: float,
        text_threshold: float,
        progress: ProgressCallback | Progress | None,
    ) -> Detections:
        """Find what phrases name, the best first."""
        ...


@dataclass(frozen=True, eq=False)
class GroundedEmbedding:
    """What the two networks remember of a picture."""

    boxes: Any
    masks: FeatureMaps


class GroundedSam2:
    """Grounding DINO and SAM 2, chained.

    Parameters
    ----------
    detector : Detector
        Finds boxes for text.
    segmenter : Sam2
        Finds masks for boxes; prompts without text go to it as they are.
    id : str
        What the pair is called.

    Attributes
    ----------
    id, device : str
    """

    box_threshold = BOX_THRESHOLD

    def __init__(self, detector: Detector, segmenter: Sam2, id: str = "grounded-sam2") -> None:
        self.id = id
        self.device = segmenter.device
        self._detector, self._segmenter = detector, segmenter

    @property
    def warnings(self) -> tuple[str, ...]:
        """What its user should know."""
        return tuple(dict.fromkeys((*self._detector.warnings, *self._segmenter.warnings)))

    @property
    def modules(self) -> tuple[Any, ...]:
        """The torch modules of both; none once they are unloaded."""
        return (*self._detector.modules, *self._segmenter.modules)

    @property
    def bytes(self) -> int:
        """How much memory the weights of both take."""
        return self._detector.bytes + self._segmenter.bytes

    def unload(self) -> None:
        """Free that memory; the pair cannot be used any more."""
        self._detector.unload()
        self._segmenter.unload()

    def embed(self, image: ArrayLike, progress: ProgressCallback | Progress | None = None) -> GroundedEmbedding:
        """Run SAM 2's image encoder on a picture, as :meth:`Sam2.embed`; Grounding DINO's runs at the first text."""
        steps = Progress.of(progress)
        boxes = patiently(lambda: self._detector.prepare(image), steps)
        return GroundedEmbedding(boxes, self._segmenter.embed(image, steps))

    def predict(
        self,
        embedding: GroundedEmbedding,
        prompt: Prompt,
        *,
        progress: ProgressCallback | Progress | None = None,
        box_threshold: float = BOX_THRESHOLD,
        text_threshold: float = TEXT_THRESHOLD,
        every: bool = True,
        masks: Masks = "best",
    ) -> Subjects:
        """Find what a prompt means.

        Parameters
        ----------
        embedding, progress
            As for :meth:`PromptedModel.predict <gossamer.prompting.protocol.PromptedModel.predict>`.
        prompt : Prompt
            In pixels. With text, its places say which of the things that the text names are meant, see
            :func:`narrowed`, and its points go on to SAM 2 with the boxes that they lie in. Without, it is one for
            SAM 2 alone.
        box_threshold, text_threshold : float
            As for :meth:`gossamer.prompting.grounding.GroundingDino.detect`. The authors' demonstration has 0.4
            and 0.3; these defaults, 0.3 and 0.25, are those of Grounding DINO's own authors' first example.
        every : bool
            All things that the text names, or the best alone.
        masks : {"best", "all"}
            One mask for each box, as the authors do, or the three that SAM 2 has for doubtful prompts.

        Returns
        -------
        Subjects
            With text their scores are those of the boxes, as the authors give them, in the order of these scores;
            labels are the words that each box answers to. `best_score` is the highest score of any box.

        Raises
        ------
        InputError
            The prompt is empty, or its text too long.
        """
        steps = Progress.of(progress)
        if not prompt.text:
            if not prompt.is_spatial:
                raise InputError("The prompt is empty.", "Give a text, a box, a point, a mask or scribbles.")
            return self._segmenter.predict(embedding.masks, prompt, progress=steps, every=every, masks=masks)
        found = self._detector.detect(
            embedding.boxes,
            prompt.text,
            box_threshold=box_threshold,
            text_threshold=text_threshold,
            progress=steps.part(0.0, 0.7),
        )
        boxes = [(float(x0), float(y0), float(x1), float(y1)) for x0, y0, x1, y1 in found.boxes]
        wanted, unwanted = points_of(prompt)
        chosen = narrowed(boxes, prompt, wanted)
        warnings = []
        if boxes and not chosen:
            warnings.append(f"Things that the text names: {len(boxes)}; none is at the place that the prompt gives.")
        chosen = chosen if every else chosen[:1]
        places = [
            Places(
                boxes[number],
                tuple(point for point in wanted if holds(boxes[number], point)),
                tuple(point for point in unwanted if holds(boxes[number], point)),
            )
            for number in chosen
        ]
        subjects: list[Subject] = []
        groups = self._segmenter.masks(
            embedding.masks, places, "all" if masks == "all" else "one", progress=steps.part(0.7, 1.0)
        )
        for number, group in zip(chosen, groups, strict=True):
            score, label, box = float(found.scores[number]), _spoken(found.labels[number]), boxes[number]
            own = clipped(box, *embedding.masks.size)
            subjects += [replace(subject, score=score, label=label, box=own) for subject in group]
        steps(1.0)
        known = None if found.embedding is None else replace(embedding, boxes=found.embedding)
        return Subjects(subjects, best_score=found.best_score, warnings=warnings, embedding=known)


def load_grounded_sam2(
    detector: str | Path = "auto",
    segmenter: str | Path = "auto",
    *,
    device: str = "auto",
    precision: str = "auto",
    folders: Iterable[str | Path] = (),
    progress: ProgressCallback | Progress | None = None,
    announce: Callable[[str], object] | None = None,
) -> GroundedSam2:
    """Load Grounding DINO and SAM 2, fetching their weights first where they are not on this machine.

    Parameters
    ----------
    detector, segmenter : str or path
        As for :func:`~gossamer.prompting.grounding.load_grounding_dino` and
        :func:`~gossamer.prompting.sam2.load_sam2`.
    device, precision, folders, progress, announce
        As for the same; the precision is SAM 2's, while Grounding DINO runs in float32.

    Raises
    ------
    MissingExtra, ModelNotFound, ModelError, ModelIntegrityError, DownloadError, OutputError, InputError, DeviceError
        As the same.
    """
    steps, extra = Progress.of(progress), tuple(folders)
    wanted: tuple[tuple[str | Path, Family], ...] = ((detector, "grounding-dino"), (segmenter, "sam2"))
    for model, family in wanted:  # both, before one is loaded
        find_member(model, family, folders=extra, progress=steps.part(0.0, 0.0), announce=announce)
    first = load_grounding_dino(
        detector, device=device, folders=extra, progress=steps.part(0.0, 0.5), announce=announce
    )
    second = load_sam2(
        segmenter,
        device=device,
        precision=precision,
        folders=extra,
        progress=steps.part(0.5, 1.0),
        announce=announce,
    )
    return GroundedSam2(first, second)


def narrowed(boxes: Sequence[Box], prompt: Prompt, wanted: Sequence[Point]) -> list[int]:
    """Return the numbers of those things that a text names which are where the prompt's places say.

    The prompt's boxes keep what lies in one of them with more than half of its area; points on the subject, and the
    middle of the rough mask, keep what holds one of them. Without either, all are kept.

    Parameters
    ----------
    boxes : sequence of (x0, y0, x1, y1)
        Of the things.
    prompt : Prompt
        In pixels.
    wanted : sequence of (x, y)
        Its points on the subject.
    """
    rough = None if prompt.mask is None else around(prompt.mask)
    marks = [*wanted, *([] if rough is None else [((rough[0] + rough[2]) / 2, (rough[1] + rough[3]) / 2)])]
    return [
        number
        for number, box in enumerate(boxes)
        if (not marks or any(holds(box, mark) for mark in marks))
        and (not prompt.boxes or any(_share(box, place) > 0.5 for place in prompt.boxes))
    ]


def clipped(box: Box, height: int, width: int) -> Box:
    """Return a box without what reaches out of the picture."""
    x0, y0, x1, y1 = box
    return max(x0, 0.0), max(y0, 0.0), min(x1, float(width)), min(y1, float(height))


def _spoken(label: str) -> str:
    """Return a label without what ends the text and its phrases."""
    return label.replace("[CLS]", "").replace("[SEP]", "").strip(" .")


def _share(box: Box, place: Box) -> float:
    """Return how much of a box's area lies in another box."""
    width = min(box[2], place[2]) - max(box[0], place[0])
    height = min(box[3], place[3]) - max(box[1], place[1])
    area = (box[2] - box[0]) * (box[3] - box[1])
    return max(width, 0.0) * max(height, 0.0) / area if area > 0 else 0.0
