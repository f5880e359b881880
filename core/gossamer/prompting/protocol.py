"""What every prompted model offers: a picture embedded once, and subjects found in it, prompt by prompt."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from numpy.typing import ArrayLike

from gossamer.arrays import Array
from gossamer.progress import Progress, ProgressCallback
from gossamer.prompting.prompt import Box, Prompt
from gossamer.settings.finding import Masks

__all__ = ["BOX_THRESHOLD", "TEXT_THRESHOLD", "Embedding", "PromptedModel", "Subject", "Subjects"]

BOX_THRESHOLD, TEXT_THRESHOLD = 0.3, 0.25
"""From which scores on Grounding DINO's boxes and words count, as its authors have them."""

Embedding: TypeAlias = Any
"""What a model remembers of a picture; only the model that made it can read it."""


@dataclass(frozen=True, eq=False)
class Subject:
    """One thing that a prompt found.

    Attributes
    ----------
    mask : (H, W) float32
        1 = the subject, of the picture's size.
    score : float
        How sure the model is, in [0, 1].
    label : str
        The phrase that it answers to, or "".
    box : (x0, y0, x1, y1) or None
        In pixels: where it was looked for; None where the prompt named no box.
    """

    mask: Array
    score: float
    label: str = ""
    box: Box | None = None


class Subjects(list[Subject]):
    """What was found, the best first within each phrase or box, and how near to it the rest came.

    Parameters
    ----------
    subjects : iterable of Subject
    best_score : float, optional
        The highest score of anything looked at, counted or not: what an error about nothing found can name.
    warnings : iterable of str
        What the user should know about this one prediction.
    embedding : Embedding, optional
        What the model remembers of the picture from now on, where that is more than before.
    """

    def __init__(
        self,
        subjects: Iterable[Subject] = (),
        best_score: float | None = None,
        warnings: Iterable[str] = (),
        embedding: Embedding | None = None,
    ) -> None:
        super().__init__(subjects)
        self.best_score = best_score
        self.warnings = tuple(warnings)
        self.embedding = embedding


class PromptedModel(Protocol):
    """A loaded model that takes prompts; it keeps nothing of any picture."""

    @property
    def id(self) -> str:
        """What it is called, e.g. ``grabcut``."""
        ...

    @property
    def device(self) -> str:
        """``"cpu"`` or ``"cuda"``: where it really runs."""
        ...

    @property
    def warnings(self) -> tuple[str, ...]:
        """What its user should know."""
        ...

    @property
    def box_threshold(self) -> float:
        """What a phrase's box must score to count, unless another number is given."""
        ...

    def embed(self, image: ArrayLike, progress: ProgressCallback | Progress | None = None) -> Embedding:
        """Do all work on a picture, (H, W, 3), that needs no prompt."""
        ...

    def predict(
        self,
        embedding: Embedding,
        prompt: Prompt,
        *,
        progress: ProgressCallback | Progress | None = None,
        box_threshold: float = BOX_THRESHOLD,
        text_threshold: float = TEXT_THRESHOLD,
        every: bool = True,
        masks: Masks = "best",
    ) -> Subjects:
        """Find what a prompt, in pixels, means.

        Parameters
        ----------
        embedding : Embedding
            Of :meth:`embed`, or of an earlier prediction; unchanged by this.
        prompt : Prompt
            As :meth:`Prompt.in_pixels` returns it.
        progress : callable, optional
            What it raises stops the work and passes through.
        box_threshold, text_threshold : float
            What a phrase's box and its words must score to count.
        every : bool
            All that answers to a phrase, or the best alone.
        masks : {"best", "all"}

        Returns
        -------
        Subjects
            Empty where nothing was found: it says how near it came.

        Raises
        ------
        InputError
            The model cannot serve such a prompt.
        """
        ...
