"""Between a base and what it was trained to: a part of the way keeps most of the gain and forgets little.

Wortsman et al., "Robust fine-tuning of zero-shot models" (CVPR 2022): where fine-tuning has not gone far, every network
on the straight line between the weights before and after works, and along it what was forgotten comes back sooner than
what was learnt is lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from gossamer.training.averaging import changing
from gossamer.training.lora import LowRank
from gossamer.training.supervision import Outputs, outputs_of

__all__ = ["SHARES", "Origin", "chosen", "evaluating"]

SHARES = (0.1, 0.2, 0.3, 0.375, 0.45, 0.525, 0.6, 0.7, 0.8, 1.0)
"""Which parts of the way are measured: closer where the little that may be forgotten is used up."""


class Origin:
    """What a network was before it learnt anything.

    Parameters
    ----------
    network : torch.nn.Module
        Prepared, on its device, with the base's weights.
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        # Of LoRA's B A only B goes back: so the sum goes along the straight line, and not its square.
        stays = {id(layer.a) for layer in network.modules() if isinstance(layer, LowRank)}
        self._tensors = {
            name: value.detach().clone() for name, value in changing(network).items() if id(value) not in stays
        }

    @contextmanager
    def mixed(self, share: float) -> Iterator[None]:
        """Let the network be (1 - `share`) of the origin and `share` of itself meanwhile; after that it is itself."""
        own = changing(self._network)
        kept = {name: own[name].detach().clone() for name in self._tensors} if share != 1 else {}
        try:
            with torch.no_grad():
                for name, value in kept.items():
                    own[name].copy_(torch.lerp(self._tensors[name], value, share))
            yield
        finally:
            with torch.no_grad():
                for name, value in kept.items():
                    own[name].copy_(value)

    def recalled(self, pictures: Tensor) -> Outputs:
        """Return what the origin gives for pictures: what a network that is to forget nothing goes on giving.

        Parameters
        ----------
        pictures : Tensor, (N, 3, h, w)

        Returns
        -------
        Outputs
            Side outputs included, without gradients.
        """
        with torch.no_grad(), evaluating(self._network), self.mixed(0.0):
            return outputs_of(self._network, pictures)


def chosen(found: Mapping[float, Mapping[str, float]], floor: float) -> float | None:
    """Return the share that is best in the domain of those that have not forgotten the general: of equals the smaller.

    Parameters
    ----------
    found : mapping of float to mapping
        By share: ``weighted_f``, and ``general_kept`` where that was measured.
    floor : float
        The least of ``general_kept``.

    Returns
    -------
    float or None
        None where all have forgotten.
    """
    kept = [
        (values["weighted_f"], -share)
        for share, values in found.items()
        if "weighted_f" in values and values.get("general_kept", floor) >= floor
    ]
    return -max(kept)[1] if kept else None


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Let a network be in evaluation mode meanwhile, and each layer in its own afterwards."""
    modes = [(layer, layer.training) for layer in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for layer, mode in modes:
            layer.training = mode
