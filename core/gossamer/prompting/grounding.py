"""Grounding DINO: words to boxes.

Liu et al., "Grounding DINO: Marrying DINO with Grounded Pre-Training for Open-Set Object Detection" (ECCV 2024),
github.com/IDEA-Research/GroundingDINO, run by the transformers package. Pictures and answers are processed here: the
package's own processors need torchvision or another interface in each version, and are only the measure of the tests.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gossamer.arrays import Array
from gossamer.errors import InputError
from gossamer.networks.transformers_network import TransformersModel, TransformersNetwork, checked_pixels
from gossamer.parallel.patience import patiently
from gossamer.progress import Progress, ProgressCallback
from gossamer.prompting.families import load_member
from gossamer.resampling import Pixels, pillow_resize

__all__ = ["Detections", "GroundingDino", "GroundingEmbedding", "caption", "load_grounding_dino"]

_MEAN = np.array((0.485, 0.456, 0.406), np.float32)
_SHORTEST, _LONGEST = 800, 1333
_STD = np.array((0.229, 0.224, 0.225), np.float32)


@dataclass(frozen=True, eq=False)
class Detections:
    """What was found, the best first.

    Attributes
    ----------
    boxes : (N, 4) float32
        x0, y0, x1, y1 in pixels of the picture; they may reach a little out of it.
    scores : (N,) float32
        In [0, 1]: how well a box fits the word that it fits best.
    labels : tuple of str
        The words of the prompt that each box answers to, in the tokenizer's spelling; "" where none scores enough.
    best_score : float
        The highest score of all boxes, those that do not count too.
    embedding : GroundingEmbedding or None
        What the model remembers of the picture from now on, where that is more than before.
    """

    boxes: Array
    scores: Array
    labels: tuple[str, ...]
    best_score: float
    embedding: GroundingEmbedding | None = None


@dataclass(frozen=True, eq=False)
class GroundingEmbedding:
    """What Grounding DINO remembers of a picture: what its image encoder saw, or the pixels for it.

    Attributes
    ----------
    size : tuple of int
        Height and width of the picture.
    fed : tuple of int
        Height and width as the network sees it.
    pixels : (1, 3, h, w) float32 or None
        What the image encoder is to see; None where it has seen it.
    features : tuple of tensors, or None
        What it made of them.
    """

    size: tuple[int, int]
    fed: tuple[int, ...]
    pixels: Array | None = field(default=None, repr=False)
    features: Any = field(default=None, repr=False)


class GroundingDino(TransformersModel):
    """A loaded Grounding DINO.

    Parameters
    ----------
    module : GroundingDinoForObjectDetection
        Of transformers.
    tokenizer : BertTokenizerFast
        Of transformers.
    id : str
        What it is called.
    device, precision : str
        As for :class:`~gossamer.networks.transformers_network.TransformersNetwork`; ``auto`` is float32
        everywhere: the authors run it so.
    shortest, longest : int
        The picture is made as large as its shorter side allows, unless the longer one would be over its limit.

    Attributes
    ----------
    id, device, precision : str
    """

    def __init__(
        self,
        module: Any,
        tokenizer: Any,
        id: str = "grounding-dino",
        *,
        device: str = "auto",
        precision: str = "auto",
        shortest: int = _SHORTEST,
        longest: int = _LONGEST,
    ) -> None:
        super().__init__(TransformersNetwork(module, "Grounding DINO", device=device, precision=precision), id)
        self._tokenizer = tokenizer
        self._limits = shortest, longest

    def prepare(self, image: ArrayLike) -> GroundingEmbedding:
        """Return an embedding for which the image encoder will run at the first text.

        Parameters
        ----------
        image : (H, W, 3) array
            RGB, uint8, uint16 or float in [0, 1].
        """
        pixels = checked_pixels(image)
        seen = preprocess(pixels, *self._limits)
        return GroundingEmbedding(pixels.shape[:2], seen.shape[2:], seen)

    def embed(self, image: ArrayLike, progress: ProgressCallback | Progress | None = None) -> GroundingEmbedding:
        """Run the image encoder on a picture, (H, W, 3).

        Parameters
        ----------
        image : (H, W, 3) array
            RGB, uint8, uint16 or float in [0, 1].
        progress : callable, optional
            What it raises stops the work and passes through.

        Returns
        -------
        GroundingEmbedding
            Of use for any number of texts.

        Raises
        ------
        InputError
            The picture has another shape or values outside [0, 1].
        DeviceError, ModelError
            Memory does not hold it, or the network could not be run.
        """
        steps = Progress.of(progress)
        return self._encoded(patiently(lambda: self.prepare(image), steps), steps)

    def detect(
        self,
        embedding: GroundingEmbedding,
        phrases: Sequence[str],
        *,
        box_threshold: float = 0.3,
        text_threshold: float = 0.25,
        every: bool = True,
        progress: ProgressCallback | Progress | None = None,
    ) -> Detections:
        """Find what phrases name.

        Parameters
        ----------
        embedding : GroundingEmbedding
        phrases : sequence of str
            Each names a kind of thing, such as "the lamp"; case does not matter.
        box_threshold : float
            A box counts where its best word scores more.
        text_threshold : float
            A word belongs to a box's label where it scores more.
        every : bool
            All boxes that count, or the best alone.
        progress : callable, optional
            What it raises stops the work and passes through.

        Returns
        -------
        Detections
            What ``post_process_grounded_object_detection`` of transformers gives, sorted by score.

        Raises
        ------
        InputError
            No phrase, or more words than the model reads.
        """
        steps = Progress.of(progress)
        text = caption(phrases)
        tokens = self._tokenizer(text, return_token_type_ids=True)
        limit = int(self._network.module.config.max_text_len)
        if len(tokens["input_ids"]) > limit:
            raise InputError(
                f"The text is {len(tokens['input_ids'])} tokens long, and {self.id} reads {limit}.",
                "Name fewer things at once.",
            )
        embedding = self._encoded(embedding, steps.part(0.0, 0.4))
        steps = steps.part(0.4, 1.0)
        steps(0.0, f"Looking for {text} with {self.id}")
        probabilities, boxes = self._network.run(lambda module: self._forward(module, embedding, tokens), steps)
        found = postprocess(
            probabilities, boxes, tokens["input_ids"], self._tokenizer, embedding.size, box_threshold, text_threshold
        )
        steps(1.0)
        if every or len(found.scores) < 2:
            return replace(found, embedding=embedding)
        return Detections(found.boxes[:1], found.scores[:1], found.labels[:1], found.best_score, embedding)

    def _encoded(self, embedding: GroundingEmbedding, progress: Progress) -> GroundingEmbedding:
        """Return an embedding of which the image encoder has seen the pixels."""
        if embedding.features is not None:
            return embedding
        progress(0.0, f"Looking at the picture with {self.id}")
        pixels = embedding.pixels

        def work(module: Any) -> Any:
            import torch

            values = self._network.tensor(pixels)
            return module.model.backbone(values, torch.ones(values[:, 0].shape, dtype=torch.long, device=values.device))

        features = self._network.run(work, progress)
        progress(1.0)
        return replace(embedding, pixels=None, features=features)

    def _forward(self, module: Any, embedding: GroundingEmbedding, tokens: Any) -> tuple[Array, Array]:
        """Return probabilities (queries, tokens) and boxes (queries, 4) as centre and size in fractions."""
        import torch

        inputs = {name: self._network.tensor([tokens[name]], torch.long) for name in _TEXT_INPUTS}
        # Only its shape is read: the image encoder's answer is there already.
        shape = self._network.tensor([0.0]).expand(1, 3, *embedding.fed)
        with _remembered(module.model, embedding.features):
            answer = module(pixel_values=shape, **inputs)
        probabilities: Array = answer.logits[0].float().sigmoid().cpu().numpy()
        boxes: Array = answer.pred_boxes[0].float().cpu().numpy()
        return probabilities, boxes


_TEXT_INPUTS = ("input_ids", "token_type_ids", "attention_mask")


def load_grounding_dino(
    model: str | Path = "auto",
    *,
    device: str = "auto",
    precision: str = "auto",
    folders: Iterable[str | Path] = (),
    progress: ProgressCallback | Progress | None = None,
    announce: Callable[[str], object] | None = None,
) -> GroundingDino:
    """Load a Grounding DINO, fetching its weights first where they are not on this machine.

    Parameters
    ----------
    model : str or path
        ``"auto"`` (the best that is installed, else tiny), ``grounding-dino-tiny``, ``grounding-dino-base``, their
        repositories, or a folder that ``save_pretrained`` wrote.
    device : {"auto", "cpu", "cuda"}
    precision : {"auto", "float32", "float16", "bfloat16"}
    folders : iterable of path
        Where weights are looked for besides the usual folders.
    progress, announce : callable, optional
        As for :func:`gossamer.prompting.families.find_weights`.

    Raises
    ------
    MissingExtra
        torch or transformers is not installed.
    ModelNotFound, ModelError, ModelIntegrityError, DownloadError, OutputError
        The weights cannot be had, or are damaged.
    InputError, DeviceError
        There is no such device or precision, or it cannot be had.
    """
    steps = Progress.of(progress)
    loaded = load_member(model, "grounding-dino", folders=folders, progress=steps, announce=announce)
    shortest, longest = _limits(loaded.folder)
    how: dict[str, Any] = {"device": device, "precision": precision, "shortest": shortest, "longest": longest}
    return patiently(lambda: GroundingDino(loaded.network, loaded.tokenizer, loaded.name, **how), steps)


def caption(phrases: Sequence[str]) -> str:
    """Return phrases as the text that Grounding DINO was trained on: lower case, each ended by a full stop.

    Raises
    ------
    InputError
        There is no phrase.
    """
    words = [" ".join(phrase.lower().split()).strip(" .") for phrase in phrases]
    words = [word for word in dict.fromkeys(words) if word]
    if not words:
        raise InputError("There is no text to look for.", 'Name what is to be cut out: "the lamp".')
    return ". ".join(words) + "."


def fed_size(height: int, width: int, shortest: int, longest: int) -> tuple[int, int]:
    """Return height and width that the network sees, as the authors of DETR compute them."""
    short, long = min(height, width), max(height, width)
    exact = float(shortest)
    size = shortest
    if long / short * shortest > longest:
        exact = longest * short / long
        size = round(exact)
    if short == size:
        return height, width
    other = int(exact * long / short)
    return (size, other) if height <= width else (other, size)


def preprocess(image: Pixels, shortest: int, longest: int) -> Array:
    """Return a picture as the network sees it, (1, 3, h, w) float32."""
    height, width = fed_size(image.shape[0], image.shape[1], shortest, longest)
    resized = pillow_resize(image, height, width, "bilinear")
    resized -= _MEAN
    resized /= _STD
    return np.ascontiguousarray(resized.transpose(2, 0, 1)[None])


def postprocess(
    probabilities: Array,
    boxes: Array,
    input_ids: Sequence[int],
    tokenizer: Any,
    size: tuple[int, int],
    box_threshold: float,
    text_threshold: float,
) -> Detections:
    """Return what counts of the network's answer.

    Parameters
    ----------
    probabilities : (N, T) float32
        Of each box for each token.
    boxes : (N, 4) float32
        Centre, width and height in fractions of the picture.
    input_ids : sequence of int
        The text's tokens.
    tokenizer : tokenizer
        Of transformers: it spells them.
    size : tuple of int
        Height and width of the picture.
    box_threshold, text_threshold : float

    Returns
    -------
    Detections
    """
    scores = probabilities.max(axis=1)
    counts = np.flatnonzero(scores > box_threshold)
    order: NDArray[np.intp] = counts[np.argsort(-scores[counts], kind="stable")]
    height, width = size
    centre, half = boxes[order, :2], boxes[order, 2:] * np.float32(0.5)
    corners = np.concatenate([centre - half, centre + half], axis=1)
    corners *= np.array((width, height, width, height), np.float32)
    words = probabilities[order] > text_threshold
    # The first token begins the text, the last one of a full text ends it: they are no words.
    words[:, [0, -1]] = False
    labels = [tokenizer.decode([input_ids[i] for i in np.flatnonzero(row).tolist()]) for row in words]
    best = float(scores.max()) if len(scores) else 0.0
    return Detections(corners.astype(np.float32), scores[order].astype(np.float32), tuple(labels), best)


def _limits(folder: Path) -> tuple[int, int]:
    """Return the limits of the picture's sides that a folder asks for, or else those of the published models."""
    try:
        size = json.loads((folder / "preprocessor_config.json").read_text("utf-8"))["size"]
        shortest, longest = int(size["shortest_edge"]), int(size["longest_edge"])
    except (OSError, ValueError, KeyError, TypeError):
        return _SHORTEST, _LONGEST
    return (shortest, longest) if 32 <= shortest <= longest <= 4096 else (_SHORTEST, _LONGEST)


@contextmanager
def _remembered(model: Any, features: Any) -> Iterator[None]:
    """Let a network's image encoder answer from memory: it is most of the work that no text changes."""
    encoder = model.backbone
    # Only what it does is replaced: its position embedding is used from outside, too.
    encoder.forward = lambda pixels, mask: features
    try:
        yield
    finally:
        del encoder.forward
