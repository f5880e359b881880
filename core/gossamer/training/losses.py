"""Losses by name: what a network's maps are held against the truth by, as its authors do it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from gossamer.settings.training import LossWeights
from gossamer.training import terms
from gossamer.training.supervision import Outputs

__all__ = ["TERMS", "loss_of", "loss_of_change"]

TERMS = (
    *("bce", "iou", "ssim", "mae", "mse", "gradient"),
    *("alpha", "laplacian", "alpha_steady", "colours", "colours_steady"),
    "change",
)
"""All that losses are sums of, by the names that people see."""


def loss_of(
    outputs: Outputs, truth: Tensor, weights: LossWeights, share: float = 1.0
) -> tuple[Tensor, dict[str, float]]:
    """Return the loss of a batch, or of a part of it.

    Parameters
    ----------
    outputs : Outputs
        What the network gave.
    truth : Tensor, (N, 1, h, w)
        Alpha in [0, 1]; for networks of clips colours and alpha, (N, T, 4, h, w).
    weights : LossWeights
        What each term counts.
    share : float
        Which share of the whole batch these pictures are: terms that are means are weighed with it, so that the
        losses of the parts sum up to the loss of the whole. IoU is a sum over pictures already.

    Returns
    -------
    loss : Tensor, ()
    parts : dict of str to float
        Each term as it counts, for people.
    """
    found: dict[str, Tensor] = {}

    def add(name: str, weight: float, value: Tensor) -> None:
        found[name] = found[name] + weight * value if name in found else weight * value

    truth = truth.float()
    structure = terms.Structure(truth) if weights.ssim else None
    for logits in outputs.maps:
        logits = logits.float()
        if logits.shape[2:] != truth.shape[2:]:
            logits = functional.interpolate(logits, truth.shape[2:], mode="bilinear", align_corners=True)
        if weights.bce:
            add("bce", share * weights.bce, functional.binary_cross_entropy_with_logits(logits, truth))
        if weights.ssim or weights.iou or weights.mae or weights.mse:
            prediction = logits.sigmoid()
            if weights.iou:
                add("iou", weights.iou, terms.iou(prediction, truth))
            if structure is not None:
                add("ssim", share * weights.ssim, structure.unlike(prediction))
            if weights.mae:
                add("mae", share * weights.mae, functional.l1_loss(prediction, truth))
            if weights.mse:
                add("mse", share * weights.mse, functional.mse_loss(prediction, truth))
    for logits, label in outputs.gradients if weights.gradient else ():
        logits = functional.interpolate(logits.float(), label.shape[2:], mode="bilinear", align_corners=True)
        # Their labels are not cut off from the maps that they come from: these learn through them, too.
        value = functional.binary_cross_entropy_with_logits(logits, label.float().sigmoid())
        add("gradient", share * weights.gradient, value)
    if outputs.matte is not None and weights.matting:
        colours, alpha = (one.float() for one in outputs.matte)
        for name, value in terms.matting_terms(colours, alpha, truth[:, :, :3], truth[:, :, 3:]).items():
            add(name, share * weights.matting, value)
    total = sum(found.values(), truth.new_zeros(()))
    return total, {name: float(value.detach()) for name, value in found.items()}


def loss_of_change(outputs: Outputs, base: Outputs, share: float = 1.0) -> tuple[Tensor, dict[str, float]]:
    """Return how far what a network gives has moved from what its base gives for the same pictures.

    Each map, side outputs included, is held against the base's own: their Kullback-Leibler divergence by pixel, which
    is nothing, and has no slope, where nothing has changed. Held against the final map instead, the side outputs of a
    network that has forgotten nothing would be moved. After Li and Hoiem, "Learning without forgetting" (ECCV 2016).
    A pixel counts as much as the base is sure of it, (2 p - 1)²: what it leaves open is nothing to be forgotten, and
    held there a network could not learn to see what the base overlooks. Of a network of clips, whose alpha is cut off
    at 0 and 1 and has no logarithm there, it is the squared difference of alpha.

    Parameters
    ----------
    outputs, base : Outputs
        Of the network, and of what it was before.
    share : float
        Which share of the whole batch these pictures are.

    Returns
    -------
    loss : Tensor, ()
    parts : dict of str to float
    """
    if outputs.matte is not None and base.matte is not None:
        alpha, before = outputs.matte[1].float(), base.matte[1].float()
        total = share * ((2 * before - 1).square() * (alpha - before).square()).mean()
        return total, {"change": float(total.detach())}
    total = outputs.maps[0].new_zeros((), dtype=torch.float32)
    for logits, before in zip(outputs.maps, base.maps, strict=True):
        truth = before.float().sigmoid()
        sure = (2 * truth - 1).square()
        crossed = functional.binary_cross_entropy_with_logits(logits.float(), truth, sure)
        least = functional.binary_cross_entropy_with_logits(before.float(), truth, sure)
        total = total + share * (crossed - least)
    return total, {"change": float(total.detach())}
