"""How good a network is on pictures that it does not learn from, and which of them it does worst."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from gossamer.arrays import Array
from gossamer.evaluation import evaluate_mask
from gossamer.segmentation.postprocessing import postprocess
from gossamer.segmentation.preprocessing import network_size, preprocess
from gossamer.sheets.layout import framed, labelled, scaled
from gossamer.training.feeding import LONGEST, Taught, shrunk
from gossamer.weights.catalogue import InputSpec, OutputSpec

__all__ = ["Seen", "mask_of", "validated", "worst_of"]


_MEASURES = ("weighted_f", "mae", "iou")
_CELL = 240


@runtime_checkable
class Settling(Protocol):
    """A picture whose truth is not known everywhere."""

    def settled(self, mask: Array) -> Array:
        """Return a mask of it with the truth wherever that is not known: nothing is measured there."""


@dataclass(frozen=True)
class Seen:
    """How one picture came out."""

    name: str
    values: dict[str, float]


def mask_of(
    network: nn.Module,
    rgb: NDArray[np.uint8],
    spec: InputSpec,
    output: OutputSpec,
    *,
    logits: bool,
    device: str = "cpu",
    side: int = 0,
    precision: str = "float32",
) -> Array:
    """Return the mask that a network gives of a picture, (H, W) float32, by its authors' own steps.

    Parameters
    ----------
    network : torch.nn.Module
    rgb : (H, W, 3) uint8
    spec, output : InputSpec, OutputSpec
    logits : bool
        Whether its forward returns such.
    device : str
    side : int
        Width and height at which it sees the picture; 0: its own.
    precision : str
        What is computed in; weights stay as they are.
    """
    if side:
        spec = dataclasses.replace(spec, size=(side, side), multiple=None, shortest=None, longest=None)
    else:
        height, width = network_size(spec, *rgb.shape[:2])
        spec = dataclasses.replace(spec, size=(width, height), multiple=None, shortest=None, longest=None)
    low = None if precision == "float32" else getattr(torch, precision)
    # Of each picture its own: autocast keeps weights that it has cast, and who asks may change them in between.
    with torch.inference_mode(), torch.autocast(device.partition(":")[0], dtype=low, enabled=low is not None):
        found = network(torch.from_numpy(preprocess(rgb, spec)).to(device)).float()
        if logits:
            found = found.sigmoid()
    plain = dataclasses.replace(output, activation="none")
    return postprocess(found[0, 0].cpu().numpy(), plain, rgb.shape[0], rgb.shape[1], fed=spec)


def validated(
    network: nn.Module,
    pictures: Sequence[Taught],
    spec: InputSpec,
    output: OutputSpec,
    *,
    logits: bool,
    device: str = "cpu",
    side: int = 0,
    precision: str = "float32",
) -> list[Seen]:
    """Return how each picture comes out, in their order.

    Parameters
    ----------
    network : torch.nn.Module
    pictures : sequence of Taught
    spec, output, logits, device, side, precision
        As for :func:`mask_of`.
    """
    seen = []
    for number, picture in enumerate(pictures):
        rgb, alpha = shrunk(*picture.load(number), LONGEST)
        mask = mask_of(network, rgb, spec, output, logits=logits, device=device, side=side, precision=precision)
        if isinstance(picture, Settling):
            mask = picture.settled(mask)
        scores = evaluate_mask(mask, np.clip(alpha, 0, 1), measures=_MEASURES)
        seen.append(Seen(picture.name, {name: float(scores.values[name]) for name in _MEASURES}))
    return seen


def worst_of(
    seen: Sequence[Seen],
    pictures: Sequence[Taught],
    network: nn.Module,
    spec: InputSpec,
    output: OutputSpec,
    *,
    count: int,
    logits: bool,
    device: str = "cpu",
    side: int = 0,
    precision: str = "float32",
) -> Array:
    """Return a sheet of the worst: picture, truth, mask and difference (red: too much, blue: too little).

    Parameters
    ----------
    seen : sequence of Seen
        What :func:`validated` gave for `pictures`.
    pictures : sequence of Taught
    network, spec, output, logits, device, side, precision
        As for :func:`mask_of`.
    count : int
        How many, at least one.

    Returns
    -------
    (h, w, 3) float32
    """
    rows = []
    order = sorted(range(len(seen)), key=lambda place: (seen[place].values["weighted_f"], seen[place].name))
    for place in order[:count]:
        rgb, alpha = shrunk(*pictures[place].load(place), LONGEST)
        mask = mask_of(network, rgb, spec, output, logits=logits, device=device, side=side, precision=precision)
        over, under = np.maximum(mask - alpha, 0), np.maximum(alpha - mask, 0)
        both = np.minimum(mask, alpha) * np.float32(0.5)
        cells = [
            rgb.astype(np.float32) / 255,
            np.dstack([alpha] * 3),
            np.dstack([mask] * 3),
            np.dstack([both + over, both, both + under]),
        ]
        line = np.hstack([framed(scaled(np.ascontiguousarray(cell, np.float32), _CELL)) for cell in cells])
        rows.append(labelled(f"{seen[place].name}   weighted F {seen[place].values['weighted_f']:.3f}", line))
    sheet: Array = np.vstack(rows)
    return sheet
