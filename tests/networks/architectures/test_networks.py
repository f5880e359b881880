from __future__ import annotations

import pytest
import torch

from gossamer.errors import InputError
from gossamer.networks.architectures.networks import NETWORKS, build, plain_keys, recognise


def shapes(network: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in network.state_dict().items()}


@pytest.mark.long
@pytest.mark.parametrize("name", ["u2net", "u2netp", "isnet", "birefnet_swin_t", "ben2", "inspyrenet", "modnet"])
def test_a_network_is_recognised_by_its_keys(name: str) -> None:
    keys = shapes(build(name))
    assert recognise(keys) == name
    for prefix in ("module.", "_orig_mod.", "module._orig_mod."):
        assert recognise({prefix + key: shape for key, shape in keys.items()}) == name


def test_a_training_checkpoint_of_isnet_anime_is_isnet() -> None:
    keys = shapes(build("isnet"))
    both = {f"net.{key}": shape for key, shape in keys.items()}
    both |= {f"gt_encoder.{key}": shape for key, shape in keys.items()}
    assert recognise(both) == "isnet"
    assert plain_keys(both, "isnet") == keys


def test_what_is_unknown_is_not_guessed() -> None:
    assert recognise({}) is None
    assert recognise({"conv.weight": (64, 3, 7, 7)}) is None
    cloth = shapes(build("u2net")) | {"outconv.weight": (4, 24, 1, 1)}  # U²-Net with four classes
    assert recognise(cloth) is None
    with pytest.raises(InputError, match="no network 'vgg'"):
        build("vgg")


def test_building_draws_nothing_and_leaves_torch_alone() -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()
    network = build("u2netp")
    assert torch.equal(torch.get_rng_state(), before)
    assert not network.training
    assert not any(weights.requires_grad for weights in network.parameters())
    assert torch.nn.Conv2d(3, 3, 1).weight.std() > 0.05


def test_every_network_is_described() -> None:
    for name, spec in NETWORKS.items():
        assert spec.output in ("probability", "logit"), name
        assert spec.shapes, name
