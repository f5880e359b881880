"""Channels learn in steps of how much each varies, and half precision loses none of them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gossamer.networks.architectures.u2net import ConvBlock, U2Net
from gossamer.settings.training import LOSSES, teaching_of
from gossamer.training.channels import in_own_units, keep_precise, kernels_in_own_units
from gossamer.training.feeding import Feed
from gossamer.training.lora import merged
from gossamer.training.parts import learning, prepare
from gossamer.training.stepping import Stepper, optimiser_of
from gossamer.weights.catalogue import architecture
from tests.training import tiny

TEACHING = teaching_of("u2netp")
CONSTANT = 3
"""The channel that is the same everywhere but for a little, as U²-Net small has one."""


def pictures(seed: int = 5) -> Tensor:
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(seed))


def folded() -> U2Net:
    """A network as an ONNX graph has it, with a channel of 228 whose 0.2 count, and a layer that takes 228 off."""
    network = tiny.network().eval()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.running_var is not None
            layer.running_var.fill_(1 - layer.eps)
    block, behind = blocks(network)
    with torch.no_grad():
        block.conv_s1.weight[CONSTANT] *= 0.2
        block.conv_s1.bias[CONSTANT] = 228.0  # type: ignore[index]
        behind.conv_s1.weight[:, CONSTANT] = 0.0
        behind.conv_s1.weight[:, CONSTANT, 1, 1] = 5.0
        behind.conv_s1.bias -= 5 * 228.0  # type: ignore[operator]
    return network


def blocks(network: nn.Module) -> tuple[ConvBlock, ConvBlock]:
    found = [network.get_submodule(f"stage1.{name}") for name in ("rebnconv1", "rebnconv2")]
    assert isinstance(found[0], ConvBlock)
    assert isinstance(found[1], ConvBlock)
    return found[0], found[1]


def prepared(network: nn.Module) -> None:
    prepare(network, tiny.settings(freeze="kernels"), TEACHING)
    in_own_units(network, pictures())


def test_the_function_stays_and_only_scales_and_shifts_learn() -> None:
    network, plain = folded(), folded()
    prepared(network)
    with torch.no_grad():
        torch.testing.assert_close(network(pictures(7)), plain(pictures(7)), rtol=1e-3, atol=1e-4)
    assert all(value.dim() < 2 for value in learning(network).values())
    settings = tiny.settings(freeze="kernels")
    one = Stepper(network, optimiser_of(network, settings, TEACHING), settings)
    kernels = {name: value.clone() for name, value in network.state_dict().items() if value.dim() > 1}
    one.step(0, Feed(tiny.lessons().train, (), settings, architecture("u2net").input).batch(0), 1e-2, LOSSES["u2net"])
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in kernels.items())
    plain.load_state_dict(merged(network))
    with torch.no_grad():
        torch.testing.assert_close(network(pictures(7)), plain(pictures(7)))
        assert (plain(pictures(7)) - folded()(pictures(7))).abs().max() > 1e-3


def test_a_channel_that_is_nearly_constant_is_scaled_and_shifted_by_its_own_little() -> None:
    """A hundredth more moves what comes out by a hundredth of its 0.2, not of its 228."""
    network = folded()
    with torch.no_grad():
        block, _ = blocks(network)
        given: list[Tensor] = []
        hook = block.register_forward_pre_hook(lambda layer, inputs: given.append(inputs[0]))
        network(pictures())
        hook.remove()
        before = block(given[0])[:, CONSTANT]
    prepared(network)
    for name in ("scale", "shift"):
        learnt = block.bn_s1.get_parameter(f"parametrizations.{'weight' if name == 'scale' else 'bias'}.original")
        with torch.no_grad():
            learnt[CONSTANT] += 0.01
            moved = block(given[0])[:, CONSTANT] - before
            learnt[CONSTANT] -= 0.01
        assert float(moved.square().mean().sqrt()) < 0.02 * float(before.std())
        assert float(moved.square().mean().sqrt()) > 0.005 * float(before.std())


def test_a_kernel_steps_less_where_what_it_takes_is_constant() -> None:
    network, plain = folded(), folded()
    _, behind = blocks(network)
    kernels_in_own_units(network, pictures())
    with torch.no_grad():
        torch.testing.assert_close(network(pictures(7)), plain(pictures(7)), rtol=1e-3, atol=1e-4)
    before = behind.conv_s1.weight.detach().clone()
    with torch.no_grad():
        behind.get_parameter("conv_s1.parametrizations.weight.original").add_(1e-2)
    moved = (behind.conv_s1.weight.detach() - before).abs().amax((0, 2, 3))
    assert float(moved[CONSTANT]) < 3e-5
    assert float(moved.median()) > 1e-3
    plain.load_state_dict(merged(network))


def test_half_precision_keeps_what_it_would_lose() -> None:
    network = folded()
    given: list[Tensor] = []
    blocks(network)[1].register_forward_hook(lambda layer, inputs, found: given.append(found.float()))

    def low() -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            network(pictures())
        return given[-1]

    with torch.no_grad():
        network(pictures())
        truth, lost = given[-1], low()
        kept = keep_precise(network, pictures(), "bfloat16")
        found = low()
    assert {"stage1.rebnconv1", "stage1.rebnconv2"} <= set(kept)
    assert not {"stage1.rebnconvin", "stage1.rebnconv3", "stage1d.rebnconvin"} & set(kept)
    assert (lost - truth).abs().mean() > 0.1
    assert (found - truth).abs().mean() < 0.01
