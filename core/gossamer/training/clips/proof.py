"""Two networks for clips on clips that neither has learnt from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.evaluation import evaluate_mask, evaluate_matte
from gossamer.evaluation.measures import CLIP_MEASURES, MEASURES, Measure
from gossamer.evaluation.steadiness import dtssd
from gossamer.networks.recurrence import Recurrence
from gossamer.networks.recurrent_torch import RecurrentTorch
from gossamer.progress import Progress
from gossamer.settings.promotion import Promotion
from gossamer.training.clips.examples import ClipExample
from gossamer.training.clips.lessons import ClipLesson
from gossamer.video.recurrent import FIRST, usual_ratio

__all__ = ["CLIPS_PROVED", "ClipModel", "ClipSample", "clip_samples_of", "measured"]

CLIPS_PROVED: Mapping[str, Measure] = MappingProxyType(
    {
        **{name: MEASURES[name] for name in ("weighted_f", "mad", "mse", "gradient", "connectivity")},
        **CLIP_MEASURES,
    }
)
"""What is measured: those of Robust Video Matting's authors, and weighted F, which decides."""

_EVERY = 8  # frames: connectivity and weighted F take longer than finding the mattes


class ClipModel:
    """A network for clips; conforms to :class:`gossamer.training.proof.Model`.

    Parameters
    ----------
    path : Path
        Its weights.
    network : str
        As :class:`~gossamer.networks.recurrent_torch.RecurrentTorch` wants it.
    """

    def __init__(self, path: Path, network: str) -> None:
        self._network = RecurrentTorch(path, "auto", network)

    def predict(self, image: NDArray[np.uint8], progress: Progress | None = None) -> Array:
        """Return the mattes of frames that follow each other, (T, H, W, 3), as a clip gets them: (T, H, W)."""
        steps, remembered, mattes = progress or Progress(), Recurrence(), []
        for place, frame in enumerate(image):
            for _ in range(1 if place else FIRST):
                alpha, remembered = self._network.run(frame, remembered, usual_ratio(*frame.shape[:2]), steps)
            mattes.append(alpha)
        return np.stack(mattes)


@dataclass(frozen=True)
class ClipSample:
    """A clip to measure on, and of one without a background over which of them."""

    clip: ClipExample
    backgrounds: tuple[Path, ...] = ()
    copy: int = 0

    @property
    def name(self) -> str:
        """The clip's, with a number where there are several."""
        return f"{self.clip.name} ({self.copy + 1})" if self.clip.is_cutout else self.clip.name

    @property
    def group(self) -> str:
        """The clip's."""
        return self.clip.group

    def load(self, longest: int, seed: int) -> tuple[NDArray[np.uint8], Array]:
        """Return frames and truths, no side longer than `longest`; raises InputError where they cannot be read."""
        return ClipLesson(self.clip, self.backgrounds).load(seed * 1_000_003 + self.copy, longest)


def clip_samples_of(
    clips: Sequence[ClipExample], backgrounds: tuple[Path, ...], settings: Promotion
) -> tuple[ClipSample, ...]:
    """Return what is measured of clips: each once, those without a background over several."""
    return tuple(
        ClipSample(one, backgrounds, copy)
        for one in clips
        for copy in range(settings.composites if one.is_cutout else 1)
    )


def measured(mattes: Array, truths: Array) -> dict[str, float]:
    """Return all measures of a clip's mattes, (T, H, W): means over its frames, or over every eighth."""
    truths = np.clip(truths, 0, 1)
    every = [
        evaluate_matte(a, b, measures=("mad", "mse", "gradient")).values for a, b in zip(mattes, truths, strict=True)
    ]
    some = [
        {
            **evaluate_matte(a, b, measures=("connectivity",)).values,
            **evaluate_mask(a, b, measures=("weighted_f",), stretch=False).values,
        }
        for a, b in zip(mattes[::_EVERY], truths[::_EVERY], strict=True)
    ]
    means = {name: float(np.mean([one[name] for one in rows])) for rows in (every, some) for name in rows[0]}
    return {**{name: means[name] for name in CLIPS_PROVED if name != "dtssd"}, "dtssd": dtssd(mattes, truths)}
