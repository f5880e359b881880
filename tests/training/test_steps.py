"""One step: in parts, when memory runs out, when numbers end, and with parts of the network frozen."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gossamer.errors import Cancelled, DeviceError, InputError, ModelError
from gossamer.networks.architectures.birefnet import birefnet
from gossamer.networks.architectures.rvm import rvm_mobilenetv3
from gossamer.settings.training import LOSSES, Training, teaching_of
from gossamer.training.averaging import Average
from gossamer.training.feeding import Batch, Feed
from gossamer.training.lora import merged
from gossamer.training.losses import loss_of
from gossamer.training.parts import learning, prepare
from gossamer.training.stepping import Stepper, optimiser_of
from gossamer.training.supervision import Outputs, outputs_of
from gossamer.weights.catalogue import architecture
from tests.training import tiny

TEACHING = teaching_of("u2netp")
WEIGHTS = LOSSES["birefnet_general"]


def batch() -> Batch:
    return Feed(tiny.lessons().train, (), tiny.settings(), architecture("u2net").input).batch(0)


def stepper(told: list[str] | None = None, **changed: object) -> Stepper:
    settings = tiny.settings(**changed)
    network = tiny.network()
    prepare(network, settings, TEACHING)
    optimiser = optimiser_of(network, settings, TEACHING)
    return Stepper(network, optimiser, settings, announce=(told if told is not None else []).append)


def after(one: Stepper) -> dict[str, Tensor]:
    one.step(0, batch(), 1e-3, WEIGHTS)
    return {name: value.clone() for name, value in one.network.state_dict().items()}


def gradients(one: Stepper) -> dict[str, Tensor]:
    one.step(0, batch(), 0.0, WEIGHTS)
    return {name: value.grad for name, value in one.network.named_parameters() if value.grad is not None}


def close(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-3, atol=1e-4 * float(value.abs().max() + 1e-3))


@pytest.mark.long
@pytest.mark.parametrize("changed", [{"parts": 2}, {"parts": 4}, {"recompute": True}])
def test_parts_and_recomputing_change_no_gradient(changed: dict[str, Any]) -> None:
    close(gradients(stepper(clip=0.0, **changed)), gradients(stepper(clip=0.0)))


@pytest.mark.long
def test_a_batch_that_memory_does_not_hold_is_halved_with_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    one = stepper(told, clip=0.0)
    expected = gradients(stepper(clip=0.0))

    def limited(self: nn.Module, pictures: Tensor) -> list[Tensor]:
        if len(pictures) > 1:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes.")
        return decoded(self, pictures)

    decoded = type(one.network).decoded
    monkeypatch.setattr(type(one.network), "decoded", limited)
    close(gradients(one), expected)
    assert one.parts == 4
    assert len(told) == 2
    assert "4 parts" in told[1]


def test_where_not_even_one_picture_fits_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: nn.Module, pictures: Tensor) -> Tensor:
        raise RuntimeError("CUDA out of memory.")

    one = stepper()
    monkeypatch.setattr(type(one.network), "decoded", full)
    with pytest.raises(DeviceError, match="even one picture"):
        one.step(0, batch(), 1e-3, WEIGHTS)


def test_a_loss_that_is_no_number_stops_and_tells_what_was_seen() -> None:
    one, given = stepper(), batch()
    before = {name: value.clone() for name, value in one.network.state_dict().items()}
    broken = dataclasses.replace(given, pictures=np.full_like(given.pictures, np.nan))
    with pytest.raises(ModelError, match=rf"In step 8 the loss is nan.*bce nan.*{given.names[0]}") as caught:
        one.step(7, broken, 1e-3, WEIGHTS)
    assert "--rate" in caught.value.remedy
    for name, value in one.network.state_dict().items():
        assert torch.equal(value, before[name])  # it is what it was


def test_a_stopped_step_ends_between_two_layers() -> None:
    one = stepper()
    one.stop.set()
    with pytest.raises(Cancelled):
        one.step(0, batch(), 1e-3, WEIGHTS)


def test_what_is_frozen_stays() -> None:
    before = tiny.network().state_dict()
    for freeze in ("encoder", "decoder"):
        found = after(stepper(freeze=freeze))
        moved = {name for name, value in found.items() if not torch.equal(value, before[name])}
        encoder = {name for name in before if name.startswith(TEACHING.encoder) and "running" not in name}
        assert moved
        assert bool(moved & encoder) == (freeze == "decoder")
        if freeze == "decoder":
            assert moved <= encoder


def test_normalisation_keeps_its_means_or_follows_the_batches() -> None:
    for how, follows in (("frozen", False), ("trained", True)):
        found = after(stepper(normalisation=how))
        assert bool(found["stage1.rebnconvin.bn_s1.running_mean"].any()) == follows


def test_folded_normalisation_is_not_trained() -> None:
    network = tiny.network()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d) and layer.running_var is not None:
            layer.running_var.fill_(1 - layer.eps)  # as weights out of an ONNX graph have it
    with pytest.raises(InputError, match="folded"):
        prepare(network, tiny.settings(normalisation="trained"), TEACHING)


def test_channels_whose_normalisation_was_folded_learn_at_their_own_scale() -> None:
    """The function stays; a channel that is next to nothing stays so, where a step would make noise of it."""
    network = tiny.network()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.running_var is not None
            layer.running_var.fill_(1 - layer.eps)
    block = network.get_submodule("stage1.rebnconvin")
    convolution, layer = block.conv_s1, block.bn_s1
    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(layer, nn.BatchNorm2d)
    with torch.no_grad():
        convolution.weight[0] *= 1e-6
    pictures = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        expected = network.eval()(pictures)
    settings = tiny.settings(clip=0.0)
    prepare(network, settings, TEACHING)
    with torch.no_grad():
        torch.testing.assert_close(network(pictures), expected, rtol=1e-4, atol=1e-5)
    size = convolution.weight.detach().square().mean((1, 2, 3)).sqrt()
    torch.testing.assert_close(size, torch.full_like(size, (2 / 27) ** 0.5))

    def product() -> Tensor:
        return (convolution.weight * layer.weight[:, None, None, None]).detach().clone()

    before, kept = product(), layer.weight.detach().clone()
    one = Stepper(network, optimiser_of(network, settings, TEACHING), settings)
    one.step(0, batch(), 1e-3, WEIGHTS)
    assert torch.equal(layer.weight, kept)
    moved = (product() - before).abs().amax((1, 2, 3))
    assert float(moved[0]) < 2e-8
    assert float(moved[1]) > 1e-4


def test_an_average_forgets_slowly() -> None:
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, 0.0)
    average = Average(layer, 0.9)
    nn.init.constant_(layer.weight, 1.0)
    average.follow(0)
    assert float(average.tensors["weight"]) == pytest.approx(0.9)  # of the first step nine tenths count
    average.follow(1000)
    assert float(average.tensors["weight"]) == pytest.approx(0.91)
    with average.shown():
        assert float(layer.weight.detach()) == pytest.approx(0.91)
    assert float(layer.weight.detach()) == 1


@pytest.fixture(scope="module")
def swin() -> nn.Module:
    """A BiRefNet on Swin-T, drawn at random."""
    torch.manual_seed(0)
    return birefnet("swin_t").eval()


@pytest.mark.long
def test_birefnet_is_trained_on_all_its_maps(swin: nn.Module) -> None:
    """The last is what a run gives, and every weight gets a gradient."""
    torch.manual_seed(1)
    pictures = torch.randn(1, 3, 64, 64)
    outputs = outputs_of(swin, pictures)
    assert [tuple(one.shape[2:]) for one in outputs.maps] == [(2, 2), (4, 4), (8, 8), (64, 64)]
    assert len(outputs.gradients) == 3
    with torch.no_grad():
        torch.testing.assert_close(outputs.maps[-1], swin(pictures))
    loss, _ = loss_of(outputs, torch.ones(1, 1, 64, 64), WEIGHTS)
    loss.backward()
    without = [name for name, one in swin.named_parameters() if one.grad is None]
    assert without in ([], ["bb.norm0.weight", "bb.norm0.bias"])
    swin.zero_grad(set_to_none=True)


@pytest.mark.long
def test_lora_teaches_the_encoder_and_is_summed_into_it(swin: nn.Module) -> None:
    torch.manual_seed(1)
    pictures, truth = torch.randn(1, 3, 64, 64), torch.ones(1, 1, 64, 64)
    keys = swin.state_dict().keys()
    with torch.no_grad():
        before = swin(pictures)
    teaching, settings = teaching_of("birefnet_swin_t"), Training.of(lora=4, freeze="decoder")
    prepare(swin, settings, teaching)
    learnt = learning(swin)
    assert {name.rpartition(".")[2] for name in learnt if "bb." in name} == {"a", "b"}
    optimiser = torch.optim.Adam(learnt.values(), lr=1e-2)
    with torch.no_grad():
        torch.testing.assert_close(swin(pictures), before, rtol=1e-4, atol=1e-4)
    loss, _ = loss_of(outputs_of(swin, pictures), truth, LOSSES["isnet"])
    loss.backward()
    optimiser.step()
    with torch.no_grad():
        after = swin.eval()(pictures)
    assert float((after - before).abs().max()) > 1e-3
    plain = merged(swin)
    assert plain.keys() == keys
    other = birefnet("swin_t").eval()
    other.load_state_dict(plain)
    with torch.no_grad():
        torch.testing.assert_close(other(pictures), after, rtol=1e-4, atol=1e-4)


def test_lora_needs_a_transformer() -> None:
    with pytest.raises(InputError, match="no transformer"):
        prepare(tiny.network(), tiny.settings(lora=4), TEACHING)


@pytest.mark.long
def test_birefnet_on_swin_t_learns_by_heart() -> None:
    """By all its losses, recomputing: the benchmark goes on to an IoU of .98 of eight pictures."""
    torch.manual_seed(0)
    network = birefnet("swin_t")
    for name, one in network.named_parameters():  # as drawn it is too small everywhere to begin with
        if one.dim() > 1 and "bias_table" not in name:
            nn.init.trunc_normal_(one, std=0.02) if "bb." in name else nn.init.kaiming_normal_(one)
    settings, teaching = Training(batch=4, recompute=True, normalisation="trained"), teaching_of("birefnet_swin_t")
    prepare(network, settings, teaching)
    one = Stepper(network, optimiser_of(network, settings, teaching), settings)
    y, x = np.mgrid[:64, :64]
    centres = ((20, 24), (40, 28), (30, 44), (36, 36))
    truths = np.stack([(x - a) ** 2 + (y - b) ** 2 < 15**2 for a, b in centres])[:, None].astype(np.float32)
    noise = np.random.default_rng(0).standard_normal((4, 3, 64, 64)).astype(np.float32)
    pictures = (2 * truths - 1) * np.float32([0.8, -0.5, 0.3])[None, :, None, None] + noise
    told = [one.step(step, Batch(pictures, truths, ("a", "b", "c", "d")), 5e-4, WEIGHTS).loss for step in range(10)]
    with torch.no_grad():
        found = outputs_of(network, torch.from_numpy(pictures)).maps[-1].numpy() > 0
    both, either = (np.sum(part, axis=(1, 2, 3)) for part in (found & (truths > 0), found | (truths > 0)))
    assert told[-1] < 0.6 * told[0]
    assert (both / either).mean() > 0.95


@pytest.mark.long
def test_robust_video_matting_learns_a_clip_through_its_memory() -> None:
    """By its authors' loss, over frames that each remember those before: what one tells counts in the next."""
    torch.manual_seed(0)
    network = rvm_mobilenetv3().train()
    places = torch.arange(96.0)
    away = [((places[:, None] - 48) ** 2 + (places[None] - 40 - 6 * time) ** 2).sqrt() for time in range(3)]
    alpha = ((24 - torch.stack(away)) / 2).clamp(0, 1)[None, :, None]
    true = torch.tensor([0.8, 0.3, 0.2])[None, None, :, None, None].expand(1, 3, 3, 96, 96)
    frames = alpha * true + (1 - alpha) * torch.rand((1, 3, 3, 96, 96)) * 0.5

    def loss() -> Tensor:
        states: tuple[Tensor | None, ...] = (None,) * 4
        found = []
        for frame in frames.unbind(1):
            colours, matte, states = network(frame, states, 1.0)
            found.append((colours, matte))
        stacked = [torch.stack(one, 1) for one in zip(*found, strict=True)]
        value, _ = loss_of(Outputs(matte=(stacked[0], stacked[1])), torch.cat((true, alpha), 2), LOSSES["rvm"])
        return value

    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    values = []
    for _ in range(16):
        optimiser.zero_grad()
        value = loss()
        value.backward()
        optimiser.step()
        values.append(float(value.detach()))
    assert all(one.grad is not None for one in network.decoder.parameters())  # the memory's, too
    assert values[-1] < 0.5 * values[0]
