"""The order of the picture's patches, found in weights that were trained with either."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import skimage.data
import torch
from torch import Tensor, nn
from torch.nn import functional

from gossamer.networks.architectures.birefnet import PatchOrder, SimpleConvs, _tiles
from gossamer.networks.architectures.patch_order import patch_order

pytestmark = pytest.mark.usefixtures("one_thread")

_SIDE, _MAP = 128, 16  # of the crops, and of what is predicted
_GRIDS = {"ipt_blk4": 16, "ipt_blk3": 8}  # BiRefNet's own blocks of these shapes


class Patches(nn.Module):
    """The blocks of a decoder that bring the picture's patches in, with nothing else to go by."""

    def __init__(self) -> None:
        super().__init__()
        self.decoder = nn.ModuleDict({name: SimpleConvs(3 * grid**2, 16) for name, grid in _GRIDS.items()})
        self.head = nn.Conv2d(16, 1, 1)

    def forward(self, x: Tensor, order: PatchOrder) -> Tensor:
        total = torch.zeros(())
        for name, grid in _GRIDS.items():
            features = torch.relu(self.decoder[name](_tiles(x, grid, order)))
            features = functional.interpolate(features, (_MAP, _MAP), mode="bilinear", align_corners=True)
            total = total + self.head(features)
        return total


def salient(x: Tensor) -> Tensor:
    """Return where colours are further from the border's than on average, (N, 1, 16, 16)."""
    border = torch.cat((x[..., :8, :].flatten(2), x[..., -8:, :].flatten(2)), 2).mean(2)[..., None, None]
    far = functional.adaptive_avg_pool2d((x - border).square().sum(1, keepdim=True), _MAP)
    return (far > far.mean((2, 3), keepdim=True)).float()


def luminance(x: Tensor) -> Tensor:
    return functional.adaptive_avg_pool2d(x.mean(1, keepdim=True), _MAP)


def edges(x: Tensor) -> Tensor:
    grey = x.mean(1, keepdim=True)[..., : _SIDE - 1, : _SIDE - 1]
    steps = (x.mean(1, keepdim=True)[..., 1:, 1:] - grey).abs()
    return functional.adaptive_avg_pool2d(steps, _MAP)


def crops(rng: np.random.Generator, count: int) -> Tensor:
    """Return crops of photographs, normalised as ImageNet's, (count, 3, 128, 128)."""
    pictures = (skimage.data.astronaut(), skimage.data.chelsea(), skimage.data.coffee(), skimage.data.rocket())
    found = []
    for _ in range(count):
        picture = pictures[rng.integers(len(pictures))]
        y, x = (int(rng.integers(side - _SIDE + 1)) for side in picture.shape[:2])
        found.append(picture[y : y + _SIDE, x : x + _SIDE][:, :: int(rng.choice((1, -1)))])
    scaled = (np.stack(found) / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
    return torch.from_numpy(scaled.astype(np.float32)).permute(0, 3, 1, 2)


def trained(target: Callable[[Tensor], Tensor], order: PatchOrder, steps: int) -> dict[str, Tensor]:
    """Return the weights after some steps, from torch's own initial weights as the authors do."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = Patches()
    # Ten times the authors' rate, for a small part of their steps.
    optimiser = torch.optim.AdamW(network.parameters(), 1e-3, weight_decay=1e-2)
    rng = np.random.default_rng(1)
    loss = functional.binary_cross_entropy_with_logits if target is salient else functional.mse_loss
    for _ in range(steps):
        x = crops(rng, 4)
        optimiser.zero_grad()
        loss(network(x, order), target(x)).backward()
        optimiser.step()
    return network.state_dict()


@pytest.mark.long
@pytest.mark.parametrize("order", ["rows", "columns"])
@pytest.mark.parametrize("target", [salient, luminance, edges])
def test_training_leaves_its_order_in_the_weights(target: Callable[[Tensor], Tensor], order: PatchOrder) -> None:
    weights = trained(target, order, 30)
    assert patch_order(weights) == order
    assert patch_order({name: value.half() for name, value in weights.items()}) == order


def test_random_weights_show_no_order() -> None:
    assert patch_order(trained(luminance, "rows", 0)) is None
    rng = np.random.default_rng(0)
    for draw in range(10):
        # Blocks of every size that there is, from torch's initial distribution and from a normal one.
        weights = {
            f"decoder.ipt_blk{level}.conv1.weight": torch.from_numpy(
                rng.uniform(-1, 1, (64, 3 * 4**level, 3, 3)) if draw % 2 else rng.normal(0, 1, (64, 3 * 4**level, 3, 3))
            )
            for level in (1, 2, 3, 4)
        }
        assert patch_order({name: value for name, value in weights.items() if "blk1" not in name}) is None


def test_smooth_filters_of_any_colour_show_no_order() -> None:
    """Filters that vary slowly over the tiles but differently for each colour favour neither order."""
    rng = np.random.default_rng(0)
    for opponent in (False, True):
        smooth = rng.normal(0, 1, (64, 3, 16, 1, 9)).repeat(16, axis=3).reshape(64, 768, 3, 3)
        if opponent:  # each filter likes one colour as a whole
            smooth = smooth + rng.normal(0, 2, (64, 3, 1)).repeat(256, axis=2).reshape(64, 768, 1, 1)
        assert patch_order({"decoder.ipt_blk4.conv1.weight": torch.from_numpy(smooth)}) is None


def test_weights_without_patches_show_no_order() -> None:
    assert patch_order({}) is None
    assert patch_order({"decoder.ipt_blk5.conv1.weight": torch.zeros(64, 3072, 3, 3)}) is None
