"""How the learning rate and the weights of a loss go on over the steps of a training."""

from __future__ import annotations

import dataclasses
import math

from gossamer.settings.training import LOSSES, LossWeights, Teaching, Training

__all__ = ["base_rate", "epoch_length", "loss_name", "rate_at", "weights_at"]

# The authors' own 1e-3 is for networks that know nothing yet. These begin with what took weeks to learn, and have some
# hundred steps. In 150 steps U²-Net small forgot 2.5 % of four photographs at 1e-4 and 14.9 % at 2e-4
# (docs/finetuning.md); IS-Net's is a careful choice, not the outcome of a search.
_FINE_TUNING = {"u2net": 1e-4, "isnet": 5e-5}
_CHANNELS = 3e-3  # of what each channel varies: see gossamer.training.channels
_LAST = 0.01  # what is left of the rate at the end of a cosine
_FIFTHS = 5
_TAIL_SHARE = 0.2


def base_rate(settings: Training, network: str, teaching: Teaching) -> float:
    """Return the rate after the warm-up."""
    if settings.rate:
        return settings.rate
    if settings.freeze == "kernels" and network.startswith(tuple(_FINE_TUNING)):
        return _CHANNELS
    known = next((rate for name, rate in _FINE_TUNING.items() if network.startswith(name)), teaching.rate)
    return known * math.sqrt(settings.batch / teaching.batch) if teaching.rate_by_batch else known


def rate_at(step: int, settings: Training, base: float) -> float:
    """Return the rate of a step, counted from 0."""
    if step < settings.warmup:
        return base * (step + 1) / (settings.warmup + 1)
    done = (step - settings.warmup) / max(1, settings.steps - settings.warmup)
    if settings.schedule == "constant":
        return base
    if settings.schedule == "halved":
        return base * 0.5 ** math.floor(min(done, 0.999999) * _FIFTHS)
    return base * (_LAST + (1 - _LAST) * 0.5 * (1 + math.cos(math.pi * done)))


def epoch_length(settings: Training, pictures: int, general: int) -> int:
    """Return in how many steps every picture of the domain is seen once.

    Parameters
    ----------
    settings : Training
    pictures : int
        Of the domain.
    general : int
        Of each batch that are not.
    """
    return max(1, math.ceil(pictures / max(1, settings.batch - general)))


def loss_name(settings: Training, teaching: Teaching) -> str:
    """Return the key of the loss that is learnt by."""
    return teaching.loss if settings.loss == "auto" else settings.loss


def weights_at(step: int, settings: Training, teaching: Teaching, epoch: int) -> LossWeights:
    """Return what the terms of the loss count in a step, counted from 0, where an epoch has so many steps."""
    weights = LOSSES[loss_name(settings, teaching)]
    epochs = math.ceil(settings.steps / epoch)
    tail = min(weights.tail, math.floor(epochs * _TAIL_SHARE)) if settings.tail else 0
    times = step // epoch - (epochs - tail) + 1
    if times <= 0:
        return weights
    changed = {name: getattr(weights, name) * factor**times for name, factor in weights.tail_factors.items()}
    return dataclasses.replace(weights, **changed)
