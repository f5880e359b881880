"""What networks give in training: every map that is held against the truth, where a run gives one alone."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from gossamer.networks.architectures.birefnet import BiRefNet
from gossamer.networks.architectures.isnet import ISNet
from gossamer.networks.architectures.rvm import RobustVideoMatting
from gossamer.networks.architectures.u2net import U2Net
from gossamer.training.terms import gradient_map

__all__ = ["Outputs", "outputs_of"]


@dataclass(frozen=True, eq=False)
class Outputs:
    """What a network gives in training.

    Attributes
    ----------
    maps : tuple of Tensor, (N, 1, h', w')
        Logits, side outputs included.
    gradients : tuple of (Tensor, Tensor)
        BiRefNet's gradient maps: logits, and what they are to become, before the sigmoid.
    matte : (Tensor, Tensor) or None
        Of networks of clips: the foreground's colours, (N, T, 3, h, w), and alpha, (N, T, 1, h, w).
    """

    maps: tuple[Tensor, ...] = ()
    gradients: tuple[tuple[Tensor, Tensor], ...] = field(default=())
    matte: tuple[Tensor, Tensor] | None = None

    def parted(self, first: int) -> tuple[Outputs, Outputs]:
        """Return what was given for the `first` pictures of a batch, and for the others."""

        def part(place: slice) -> Outputs:
            maps = tuple(one[place] for one in self.maps)
            gradients = tuple((one[place], label[place]) for one, label in self.gradients)
            matte = None if self.matte is None else (self.matte[0][place], self.matte[1][place])
            return Outputs(maps, gradients, matte)

        return part(slice(None, first)), part(slice(first, None))


def outputs_of(network: nn.Module, pictures: Tensor) -> Outputs:
    """Run a network as it is trained.

    Parameters
    ----------
    network : U2Net, ISNet, BiRefNet or RobustVideoMatting
    pictures : Tensor, (N, 3, h, w)
        Normalised as its authors do; of networks of clips (N, T, 3, h, w).

    Raises
    ------
    TypeError
        The network is of another kind.
    """
    if isinstance(network, U2Net):
        return Outputs(_u2net(network, pictures))
    if isinstance(network, ISNet):
        features = network.decoded(network.conv_in(pictures))
        sides = (network.side(level, one) for level, one in enumerate(features, start=1))
        return Outputs(tuple(_bilinear(side, pictures.shape[2:]) for side in sides))
    if isinstance(network, BiRefNet):
        return _birefnet(network, pictures)
    if isinstance(network, RobustVideoMatting):
        return Outputs(matte=network.sequence(pictures))
    raise TypeError(f"{type(network).__name__} cannot be trained.")


def _u2net(network: U2Net, pictures: Tensor) -> tuple[Tensor, ...]:
    first, *rest = (network.side(level, one) for level, one in enumerate(network.decoded(pictures), start=1))
    sides = [first, *(_bilinear(side, first.shape[2:]) for side in rest)]
    return network.outconv(torch.cat(sides, 1)), *sides


def _birefnet(network: BiRefNet, pictures: Tensor) -> Outputs:
    """Run BiRefNet with its side outputs: the decoder tells what it has at three levels as it passes them."""
    label = gradient_map(pictures)
    maps: list[Tensor] = []
    gradients: list[tuple[Tensor, Tensor]] = []
    decoder = network.decoder
    hooks = []
    for level in (4, 3, 2):
        spine, teacher = (decoder.get_submodule(f"{name}_{level}") for name in ("conv_ms_spvn", "gdt_convs_pred"))

        def features(layer: nn.Module, inputs: object, x: Tensor, spine: nn.Module = spine) -> None:
            maps.append(spine(x))

        def edges(layer: nn.Module, inputs: object, x: Tensor, teacher: nn.Module = teacher) -> None:
            enlarged = functional.interpolate(maps[-1], label.shape[2:], mode="bilinear", align_corners=True)
            gradients.append((teacher(x), label * enlarged))

        hooks.append(decoder.get_submodule(f"decoder_block{level}").register_forward_hook(features))
        hooks.append(decoder.get_submodule(f"gdt_convs_{level}").register_forward_hook(edges))
    try:
        final: Tensor = network(pictures)
    finally:
        for hook in hooks:
            hook.remove()
    return Outputs((*maps, final), tuple(gradients))


def _bilinear(x: Tensor, size: torch.Size) -> Tensor:
    return functional.interpolate(x, size, mode="bilinear", align_corners=False)
