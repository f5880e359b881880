"""How good a network is on clips that it does not learn from, and on which of them it does worst."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from gossamer.arrays import Array, unit_float
from gossamer.evaluation import evaluate_mask
from gossamer.evaluation.steadiness import dtssd
from gossamer.sheets.layout import framed, labelled, scaled
from gossamer.training.feeding import Taught
from gossamer.training.validation import Seen
from gossamer.video.recurrent import FIRST, usual_ratio

__all__ = ["matted", "mattes_of", "validated", "worst_of"]

_MEASURES = ("weighted_f", "mae", "iou")
_EVERY = 3  # frames: masks are alike from one to the next, and measuring them takes longer than finding them
_CELL = 240


def matted(network: nn.Module, frames: NDArray[np.uint8], *, device: str, precision: str) -> Iterator[Array]:
    """Yield the mattes, (H, W) float32, that a network gives of frames, (T, H, W, 3) uint8, as those of a clip."""
    low = None if precision == "float32" else getattr(torch, precision)
    states: Sequence[torch.Tensor | None] = (None,) * 4
    ratio = usual_ratio(*frames.shape[1:3])
    for place, frame in enumerate(frames):
        seen = torch.from_numpy(unit_float(frame).transpose(2, 0, 1)[None].copy()).to(device)
        for _ in range(1 if place else FIRST):
            with torch.inference_mode(), torch.autocast(device.partition(":")[0], dtype=low, enabled=low is not None):
                _, alpha, states = network(seen, states, ratio)
        yield alpha[0, 0].float().cpu().numpy()


def mattes_of(network: nn.Module, frames: NDArray[np.uint8], how: dict[str, Any]) -> Array:
    """Return all mattes of frames, (T, H, W); `how` is what a trainer says of validations."""
    return np.stack(list(matted(network, frames, device=how["device"], precision=how["precision"])))


def validated(network: nn.Module, pictures: Sequence[Taught], **how: Any) -> list[Seen]:
    """Return how each clip comes out, as :func:`gossamer.training.validation.validated` does of pictures.

    Masks' measures are means over every third frame; ``dtssd`` is of all.
    """
    seen = []
    for number, clip in enumerate(pictures):
        frames, truths = clip.load(number)
        mattes = mattes_of(network, frames, how)
        shown = range(0, len(frames), _EVERY)
        scores = [evaluate_mask(mattes[one], truths[one], measures=_MEASURES).values for one in shown]
        values = {name: float(np.mean([one[name] for one in scores])) for name in _MEASURES}
        seen.append(Seen(clip.name, {**values, "dtssd": dtssd(mattes, truths)}))
    return seen


def worst_of(seen: Sequence[Seen], pictures: Sequence[Taught], network: nn.Module, *, count: int, **how: Any) -> Array:
    """Return a sheet of the worst frames of the worst clips: frame, truth, matte, difference (red: too much).

    Parameters
    ----------
    seen : sequence of Seen
        What :func:`validated` gave for `pictures`.
    pictures : sequence of Taught
    network : torch.nn.Module
    count : int
        How many, at least one.
    how
        As for :func:`validated`.

    Returns
    -------
    (h, w, 3) float32
    """
    rows = []
    order = sorted(range(len(seen)), key=lambda place: (seen[place].values["weighted_f"], seen[place].name))
    for place in order[:count]:
        frames, truths = pictures[place].load(place)
        mattes = mattes_of(network, frames, how)
        worst = int(np.abs(mattes - truths).mean((1, 2)).argmax())
        matte, alpha = mattes[worst], truths[worst]
        over, under = np.maximum(matte - alpha, 0), np.maximum(alpha - matte, 0)
        both = np.minimum(matte, alpha) * np.float32(0.5)
        cells = [
            unit_float(frames[worst]),
            np.dstack([alpha] * 3),
            np.dstack([matte] * 3),
            np.dstack([both + over, both, both + under]),
        ]
        line = np.hstack([framed(scaled(np.ascontiguousarray(cell, np.float32), _CELL)) for cell in cells])
        told = f"weighted F {seen[place].values['weighted_f']:.3f}, dtSSD {seen[place].values['dtssd']:.2f}"
        rows.append(labelled(f"{seen[place].name}, frame {worst + 1}   {told}", line))
    sheet: Array = np.vstack(rows)
    return sheet
