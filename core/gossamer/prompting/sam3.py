"""SAM 3: words to masks, each thing that they name by itself.

Carion et al., "SAM 3: Segment Anything with Concepts" (2025), github.com/facebookresearch/sam3, run by the transformers
package, which has it since 5.0. Pictures and answers are processed here as in the authors' Sam3Processor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.errors import InputError
from gossamer.parallel.patience import patiently
from gossamer.progress import Progress, ProgressCallback
from gossamer.prompting.families import load_member
from gossamer.prompting.grounded_sam2 import clipped
from gossamer.prompting.prompt import Prompt
from gossamer.prompting.protocol import TEXT_THRESHOLD, Subject, Subjects
from gossamer.prompting.sam import FeatureMaps, Sam, mask_of, stretched
from gossamer.resampling import Pixels
from gossamer.settings.finding import Masks

__all__ = ["SCORE", "Sam3", "load_sam3"]

SCORE = 0.5
"""From which score on the authors count a thing."""

_TOKENS = 32  # the text encoder reads so many


class Sam3(Sam):
    """A loaded SAM 3; it serves prompts with text.

    Parameters
    ----------
    module : Sam3Model
        Of transformers.
    tokenizer : CLIPTokenizerFast
        Of transformers.
    id, device, precision : str
        As for :class:`~gossamer.prompting.sam.Sam`.
    """

    box_threshold = SCORE

    def __init__(
        self, module: Any, tokenizer: Any, id: str = "sam3", *, device: str = "auto", precision: str = "auto"
    ) -> None:
        side = int(module.config.vision_config.backbone_config.image_size)
        super().__init__(module, "SAM 3", id, side, device=device, precision=precision)
        self._tokenizer = tokenizer

    def _encoded(self, module: Any, image: Pixels) -> Any:
        return module.get_vision_features(pixel_values=self._network.tensor(preprocess(image, self._side)))

    def predict(
        self,
        embedding: FeatureMaps,
        prompt: Prompt,
        *,
        progress: ProgressCallback | Progress | None = None,
        box_threshold: float = SCORE,
        text_threshold: float = TEXT_THRESHOLD,
        every: bool = True,
        masks: Masks = "best",
    ) -> Subjects:
        """Find all things that a prompt's phrases name, phrase by phrase.

        Parameters
        ----------
        embedding, progress, every
            As for :meth:`PromptedModel.predict <gossamer.prompting.protocol.PromptedModel.predict>`.
        prompt : Prompt
            In pixels. Its points say which of the things are meant: with points on the subject only those whose mask
            has one of them, and never those whose mask has a point on something else.
        box_threshold : float
            A thing counts where it scores more; the authors' is 0.5.
        text_threshold : float
            Of no meaning here.
        masks : {"best", "all"}
            Of no meaning here: SAM 3 has one mask for each thing.

        Returns
        -------
        Subjects
            Within each phrase the best first. Masks are the sigmoid of the network's logits, enlarged as the authors
            do: above 0.5 where theirs are set.

        Raises
        ------
        InputError
            The prompt has no text, has a box, a mask or scribbles, or a phrase is too long.
        """
        if not prompt.text:
            raise InputError(f"{self.id} finds what a text names.", "Give a text, or choose sam2 or grabcut.")
        if prompt.boxes or prompt.mask is not None or prompt.scribbles is not None:
            raise InputError(
                f"{self.id} takes text and points here, no boxes, masks or scribbles.",
                "Choose grounded-sam2, or leave them out.",
            )
        steps = Progress.of(progress)
        subjects: list[Subject] = []
        best, left_out = 0.0, 0
        for number, phrase in enumerate(prompt.text):
            part = steps.part(number / len(prompt.text), (number + 1) / len(prompt.text))
            part(0.0, f"Looking for {phrase} with {self.id}")
            tokens = self._tokens(phrase)

            def work(module: Any, tokens: Any = tokens, phrase: str = phrase) -> tuple[list[Subject], float]:
                return self._decode(module, embedding, tokens, phrase, box_threshold)

            found, score = self._network.run(work, part)
            best = max(best, score)
            meant = [subject for subject in found if _is_meant(subject, prompt)]
            left_out += len(found) - len(meant)
            subjects += meant if every else meant[:1]
        warnings = []
        if left_out and not subjects:
            warnings.append(f"Things that the text names: {left_out}; none is at the place that the prompt gives.")
        steps(1.0)
        return Subjects(subjects, best_score=best, warnings=warnings)

    def _tokens(self, phrase: str) -> Any:
        tokens = self._tokenizer(phrase)["input_ids"]
        if len(tokens) > _TOKENS:
            raise InputError(
                f"The text {phrase!r} is {len(tokens)} tokens long, and {self.id} reads {_TOKENS}.", "Name it shorter."
            )
        return self._tokenizer(phrase, padding="max_length", max_length=_TOKENS)

    def _decode(
        self, module: Any, embedding: FeatureMaps, tokens: Any, phrase: str, threshold: float
    ) -> tuple[list[Subject], float]:
        """Return what counts of one phrase's things, the best first, and the highest score of all."""
        import torch

        inputs = {name: self._network.tensor([tokens[name]], torch.long) for name in ("input_ids", "attention_mask")}
        answer = module(vision_embeds=embedding.features, **inputs)
        # How likely a query is the thing, and how likely there is any such thing in the picture.
        sure = answer.pred_logits[0].float().sigmoid() * answer.presence_logits[0].float().sigmoid()
        scores: NDArray[np.float32] = sure.cpu().numpy()
        height, width = embedding.size
        boxes = answer.pred_boxes[0].float().cpu().numpy() * np.array((width, height, width, height), np.float32)
        found = []
        for number in np.argsort(-scores, kind="stable"):
            if not scores[number] > threshold:
                break
            x0, y0, x1, y1 = (float(edge) for edge in boxes[number])
            found.append(
                Subject(
                    mask=mask_of(answer.pred_masks[0, int(number)].float(), height, width),
                    score=float(scores[number]),
                    label=phrase,
                    box=clipped((x0, y0, x1, y1), height, width),
                )
            )
        return found, float(scores.max())


def load_sam3(
    model: str | Path = "auto",
    *,
    device: str = "auto",
    precision: str = "auto",
    folders: Iterable[str | Path] = (),
    progress: ProgressCallback | Progress | None = None,
    announce: Callable[[str], object] | None = None,
) -> Sam3:
    """Load SAM 3, fetching its weights first where they are not on this machine.

    They are gated: their terms must be agreed to at https://huggingface.co/facebook/sam3 and a token be given in
    ``HF_TOKEN`` (or by ``hf auth login``).

    Parameters
    ----------
    model : str or path
        ``"auto"``, ``sam3``, ``facebook/sam3``, or a folder that ``save_pretrained`` wrote.
    device, precision, folders, progress, announce
        As for :func:`gossamer.prompting.grounding.load_grounding_dino`, which raises the same; MissingExtra also where
        transformers is too old for SAM 3 (4.57 is).
    """
    steps = Progress.of(progress)
    loaded = load_member(model, "sam3", folders=folders, progress=steps, announce=announce)
    return patiently(
        lambda: Sam3(loaded.network, loaded.tokenizer, loaded.name, device=device, precision=precision), steps
    )


def preprocess(image: Pixels, side: int) -> Any:
    """Return a picture as the network sees it, a tensor (1, 3, side, side): stretched in 8 bits, as the authors do."""
    eight_bit = image if image.dtype == np.uint8 else np.rint(image * np.float32(255)).astype(np.uint8)
    return stretched(eight_bit, side, side).float() / 127.5 - 1


def _is_meant(subject: Subject, prompt: Prompt) -> bool:
    wanted, unwanted = (
        [bool(subject.mask[int(y), int(x)] > 0.5) for x, y in points] for points in (prompt.points, prompt.not_points)
    )
    return (any(wanted) or not wanted) and not any(unwanted)
