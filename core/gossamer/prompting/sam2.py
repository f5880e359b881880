"""SAM 2.1: points, boxes, rough masks and scribbles to masks.

Ravi et al., "SAM 2: Segment Anything in Images and Videos" (2024), github.com/facebookresearch/sam2, run by the
transformers package. Pictures and answers are processed here as in the authors' SAM2ImagePredictor: the package's
processor needs torchvision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from gossamer.arrays import unit_float
from gossamer.errors import InputError
from gossamer.parallel.patience import patiently
from gossamer.progress import Progress, ProgressCallback
from gossamer.prompting.families import load_member
from gossamer.prompting.places import Places, places_of
from gossamer.prompting.prompt import Prompt
from gossamer.prompting.protocol import BOX_THRESHOLD, TEXT_THRESHOLD, Subject, Subjects
from gossamer.prompting.sam import FeatureMaps, Sam, mask_of, stretched
from gossamer.resampling import Pixels
from gossamer.settings.finding import Masks

__all__ = ["Sam2", "load_sam2"]

_Answers: TypeAlias = Literal["one", "best", "all"]
"""The mask for prompts that leave no doubt, or of the three for doubtful ones the best or all."""

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# As the authors turn a mask into the logits that the network reads: 10 is sure, sigmoid(-10) = 0.00005.
_MASK_SCALE, _MASK_OFFSET = 20.0, -10.0
_TOGETHER = 32  # boxes in one run of the decoder: their masks at the picture's size take the memory, not the run


class Sam2(Sam):
    """A loaded SAM 2.1; it serves prompts with places, not with text.

    Parameters
    ----------
    module : Sam2Model
        Of transformers.
    id, device, precision : str
        As for :class:`~gossamer.prompting.sam.Sam`.
    """

    def __init__(self, module: Any, id: str = "sam2", *, device: str = "auto", precision: str = "auto") -> None:
        side = int(module.config.prompt_encoder_config.image_size)
        super().__init__(module, "SAM 2", id, side, device=device, precision=precision)

    def _encoded(self, module: Any, image: Pixels) -> Any:
        return module.get_image_embeddings(self._network.tensor(preprocess(image, self._side)))

    def predict(
        self,
        embedding: FeatureMaps,
        prompt: Prompt,
        *,
        progress: ProgressCallback | Progress | None = None,
        box_threshold: float = BOX_THRESHOLD,
        text_threshold: float = TEXT_THRESHOLD,
        every: bool = True,
        masks: Masks = "best",
    ) -> Subjects:
        """Find what a prompt's places mean: a subject for each box, and one for what lies in none.

        Parameters
        ----------
        embedding, progress
            As for :meth:`PromptedModel.predict <gossamer.prompting.protocol.PromptedModel.predict>`.
        prompt : Prompt
            In pixels. Points go to the boxes that they lie in; where there is one box, all go to it.
        box_threshold, text_threshold : float
            Of no meaning here.
        every : bool
            All subjects, or the one whose best mask has the highest score.
        masks : {"best", "all"}
            Of the three masks that the network has for each subject: the one of the highest score, or all, the
            best first.

        Returns
        -------
        Subjects
            Their scores are the IoU that the network predicts for them. Masks are the sigmoid of its logits, which
            are enlarged as the authors do: above 0.5 where theirs are set, and soft across the edge.

        Raises
        ------
        InputError
            The prompt has text, or no place.
        """
        if prompt.text:
            raise InputError(
                f"{self.id} does not read text.", "Choose grounded-sam2 or sam3, or give a box or a point."
            )
        places = places_of(prompt)
        if not places:
            raise InputError("The prompt names no place.", "Give a box, a point, a mask or scribbles.")
        found = self.masks(embedding, places, masks, progress=progress)
        best = max(subject.score for group in found for subject in group)
        if not every:
            found = [max(found, key=lambda group: group[0].score)]  # each has its best first
        return Subjects([subject for group in found for subject in group], best_score=best)

    def masks(
        self,
        embedding: FeatureMaps,
        places: Sequence[Places],
        answers: _Answers = "best",
        *,
        progress: ProgressCallback | Progress | None = None,
    ) -> list[list[Subject]]:
        """Return the masks for several subjects.

        Parameters
        ----------
        embedding : FeatureMaps
        places : sequence of Places
            Those with nothing but a box go through the network together.
        answers : {"one", "best", "all"}
            The single mask that the network has for prompts that leave no doubt (``multimask_output=False`` of the
            authors), or of its three others the best, or all with the best first.
        progress : callable, optional
            What it raises stops the work and passes through.

        Returns
        -------
        list of list of Subject
            For each of the `places`.
        """
        steps = Progress.of(progress)
        steps(0.0, f"Masks with {self.id}")
        groups: list[list[int]] = []
        for number, place in enumerate(places):
            if groups and len(groups[-1]) < _TOGETHER and _is_plain(place) and _is_plain(places[groups[-1][0]]):
                groups[-1].append(number)
            else:
                groups.append([number])
        found: list[list[Subject]] = []
        for number, group in enumerate(groups):
            part = steps.part(number / len(groups), (number + 1) / len(groups))
            together = [places[one] for one in group]

            def work(module: Any, together: list[Places] = together) -> list[list[Subject]]:
                return self._decode(module, embedding, together, answers)

            found += self._network.run(work, part)
        steps(1.0)
        return found

    def _decode(
        self, module: Any, embedding: FeatureMaps, places: Sequence[Places], answers: _Answers
    ) -> list[list[Subject]]:
        import torch

        height, width = embedding.size
        scale = np.array((self._side / width, self._side / height), np.float32)
        inputs: dict[str, Any] = {}
        first = places[0]  # where there is more than one, they have boxes alone
        if first.box is not None:
            corners = np.array([place.box for place in places], np.float32).reshape(-1, 2, 2) * scale
            inputs["input_boxes"] = self._network.tensor(corners.reshape(1, -1, 4))
        points = (*first.points, *first.not_points)
        if points:
            inputs["input_points"] = self._network.tensor((np.array(points, np.float32) * scale)[None, None])
            labels = [1] * len(first.points) + [0] * len(first.not_points)
            inputs["input_labels"] = self._network.tensor([[labels]], torch.int32)
        if first.mask is not None:
            logits = first.mask[..., None] * np.float32(_MASK_SCALE) + np.float32(_MASK_OFFSET)
            size = module.prompt_encoder.mask_input_size
            inputs["input_masks"] = self._network.tensor(stretched(logits, *size))
        answer = module(image_embeddings=embedding.features, multimask_output=answers != "one", **inputs)
        scores = answer.iou_scores[0].float().cpu().numpy()
        logits = answer.pred_masks[0].float()
        found = []
        for place, own_scores, own_logits in zip(places, scores, logits, strict=True):
            order = np.argsort(-own_scores, kind="stable")[: None if answers == "all" else 1]
            found.append(
                [
                    Subject(
                        mask=mask_of(own_logits[int(one)], height, width),
                        score=float(np.clip(own_scores[one], 0, 1)),
                        box=place.box,
                    )
                    for one in order
                ]
            )
        return found


def load_sam2(
    model: str | Path = "auto",
    *,
    device: str = "auto",
    precision: str = "auto",
    folders: Iterable[str | Path] = (),
    progress: ProgressCallback | Progress | None = None,
    announce: Callable[[str], object] | None = None,
) -> Sam2:
    """Load a SAM 2.1, fetching its weights first where they are not on this machine.

    Parameters
    ----------
    model : str or path
        ``"auto"`` (the best that is installed, else base-plus), ``sam2.1-hiera-tiny``, ``-small``, ``-base-plus`` or
        ``-large``, their repositories, or a folder that ``save_pretrained`` wrote.
    device, precision, folders, progress, announce
        As for :func:`gossamer.prompting.grounding.load_grounding_dino`, which raises the same.
    """
    steps = Progress.of(progress)
    loaded = load_member(model, "sam2", folders=folders, progress=steps, announce=announce)
    return patiently(lambda: Sam2(loaded.network, loaded.name, device=device, precision=precision), steps)


def preprocess(image: Pixels, side: int) -> Any:
    """Return a picture as the network sees it, a tensor (1, 3, side, side): stretched, in float, as the authors do."""
    import torch

    pixels = stretched(unit_float(image), side, side)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (_MEAN, _STD))
    return (pixels - mean) / std


def _is_plain(place: Places) -> bool:
    return place.box is not None and not (place.points or place.not_points) and place.mask is None
