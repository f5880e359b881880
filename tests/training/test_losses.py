"""Losses equal those of the authors' own code, which gave these numbers for the same seeded input."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from gossamer.networks.architectures.isnet import isnet
from gossamer.networks.architectures.u2net import u2netp
from gossamer.settings.training import LOSSES, LossWeights, Training, teaching_of
from gossamer.training import schedules, terms
from gossamer.training.losses import loss_of, loss_of_change
from gossamer.training.supervision import Outputs, outputs_of

NEAR = {"rel": 1e-5}


def seeded(shape: tuple[int, ...], seed: int, scale: float = 1.0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * scale


def truth() -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(48.0), torch.arange(64.0), indexing="ij")
    large = ((20 - ((y - 24) ** 2 + (x - 30) ** 2).sqrt()) / 4 + 0.5).clamp(0, 1)
    small = ((9 - ((y - 10) ** 2 + (x - 50) ** 2).sqrt()) / 2 + 0.5).clamp(0, 1)
    return torch.stack([large, small])[:, None]


def maps() -> list[torch.Tensor]:
    sizes = [(6, 8), (12, 16), (24, 32), (48, 64)]
    return [seeded((2, 1, *size), number, 2.0).requires_grad_() for number, size in enumerate(sizes)]


# The value, and the norm of the gradient in each of the four maps: PixLoss of BiRefNet's loss.py with the weights of
# its config.py for DIS5K, General and Matting.
PIXELS = {
    "birefnet_dis": (137.0749053955078, 1.58330047, 0.81028926, 0.40553960, 0.22441567),
    "birefnet_general": (330.7678527832031, 3.17807412, 1.69265437, 0.86420739, 0.41182479),
    "birefnet_matting": (327.554443359375, 3.17003703, 1.68801618, 0.86176336, 0.41078928),
}


@pytest.mark.parametrize("name", PIXELS)
def test_birefnets_losses(name: str) -> None:
    given = maps()
    loss, parts = loss_of(Outputs(tuple(given)), truth(), LOSSES[name])
    loss.backward()
    found = [float(loss.detach()), *(float(one.grad.norm()) for one in given)]  # type: ignore[union-attr]
    assert found == pytest.approx(PIXELS[name], **NEAR)
    assert sum(parts.values()) == pytest.approx(float(loss.detach()), **NEAR)


def test_birefnets_gradient_maps_teach_the_maps_that_label_them_too() -> None:
    """As its train.py has it: the value, then the gradients of three predictions and of three maps."""
    given, label = maps()[:3], seeded((2, 1, 48, 64), 9)
    sizes = [(6, 8), (12, 16), (24, 32)]
    predictions = [seeded((2, 1, *size), 20 + number).requires_grad_() for number, size in enumerate(sizes)]

    def enlarged(one: torch.Tensor) -> torch.Tensor:
        return functional.interpolate(one, label.shape[2:], mode="bilinear", align_corners=True)

    pairs = tuple((one, label * enlarged(other)) for one, other in zip(predictions, given, strict=True))
    loss, _ = loss_of(Outputs(gradients=pairs), truth(), LossWeights(gradient=1))
    loss.backward()
    found = [float(loss.detach()), *(float(one.grad.norm()) for one in (*predictions, *given))]  # type: ignore[union-attr]
    expected = (2.22572732, 0.0107376594, 0.00614832342, 0.00342372339, 0.000834584178, 0.000879628409, 0.000991501147)
    assert found == pytest.approx(expected, **NEAR)


def test_a_gradient_map_is_the_laplacian_that_kornia_gives() -> None:
    """A bright pixel alone: 24 / 48 of it in its place, 1 / 48 taken off around it, nothing further away."""
    picture = torch.zeros(1, 3, 9, 9)
    picture[:, :, 4, 4] = 1
    found = terms.gradient_map(picture)[0, 0]
    expected = torch.zeros(9, 9)
    expected[2:7, 2:7] = 1 / 48
    expected[4, 4] = -24 / 48
    torch.testing.assert_close(found, expected)


def filled(network: torch.nn.Module) -> torch.nn.Module:
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, one in sorted(network.named_parameters()):
            if one.dim() > 1:
                one.copy_(torch.randn(one.shape, generator=generator) * (2 / one[0].numel()) ** 0.5)
            else:
                one.fill_(1.0 if name.endswith("weight") else 0.0)
    return network.train()


@pytest.mark.long
@pytest.mark.parametrize(
    ("make", "side", "seed", "expected"),
    [
        # Theirs, in double precision: loss, norm of the gradient, and the loss after a step of Adam at 1e-3. In single
        # precision the norm differs from processor to processor, by up to 0.008 of it.
        (u2netp, 64, 33, (7.720894262798601, 608.7343740561445, 6.338174156270963)),
        (isnet, 192, 34, (4.405698606797057, 765.9750129948941, 4.086904097539451)),
    ],
)
def test_a_step_of_the_nested_networks(make: object, side: int, seed: int, expected: tuple[float, ...]) -> None:
    network = filled(make()).double()  # type: ignore[operator]
    pictures = seeded((2, 3, side, side), seed).double()
    alpha = functional.interpolate(truth(), (side, side), mode="bilinear").double()
    optimiser = torch.optim.Adam(network.parameters(), lr=teaching_of("u2net").rate)
    loss, _ = loss_of(outputs_of(network, pictures), alpha, LOSSES["u2net"])
    loss.backward()
    norm = torch.nn.utils.get_total_norm([one.grad for one in network.parameters() if one.grad is not None])
    optimiser.step()
    with torch.no_grad():
        after, _ = loss_of(outputs_of(network, pictures), alpha, LOSSES["u2net"])
    assert (float(loss.detach()), float(norm), float(after)) == pytest.approx(expected, rel=1e-6)


def test_robust_video_mattings_loss() -> None:
    colours, alpha = seeded((1, 3, 3, 96, 96), 41).sigmoid(), seeded((1, 3, 1, 96, 96), 42).sigmoid()
    colours.requires_grad_()
    alpha.requires_grad_()
    others = seeded((1, 3, 3, 96, 96), 43).sigmoid(), seeded((1, 3, 1, 96, 96), 44).clamp(0, 1)
    loss, parts = loss_of(Outputs(matte=(colours, alpha)), torch.cat(others, 2), LOSSES["rvm"])
    loss.backward()
    assert list(parts.values()) == pytest.approx([0.42680028, 0.18984924, 1.99710989, 0.11949285, 0.43158886], **NEAR)
    assert colours.grad is not None
    assert alpha.grad is not None
    assert (float(colours.grad.norm()), float(alpha.grad.norm())) == pytest.approx((0.0193717219, 0.0802238285), **NEAR)


def test_the_losses_of_parts_sum_up_to_that_of_the_whole() -> None:
    given, alpha = maps()[-1], truth()
    whole, _ = loss_of(Outputs((given,)), alpha, LOSSES["birefnet_general"])
    parts = [
        loss_of(Outputs((given[i : i + 1],)), alpha[i : i + 1], LOSSES["birefnet_general"], 0.5)[0] for i in (0, 1)
    ]
    assert float((parts[0] + parts[1]).detach()) == pytest.approx(float(whole.detach()), **NEAR)


def test_where_neither_map_shows_anything_iou_finds_nothing_wrong() -> None:
    nothing = torch.zeros(1, 1, 4, 4, requires_grad=True)
    loss = terms.iou(nothing, torch.zeros(1, 1, 4, 4))
    loss.backward()
    assert float(loss.detach()) == 0
    assert nothing.grad is not None
    assert not nothing.grad.isnan().any()


def test_in_the_last_epochs_terms_change_each_epoch_anew() -> None:
    """Of 100 epochs of 2 steps, BiRefNet's general training changes the last 20."""
    teaching = teaching_of("birefnet_swin_t")
    settings = Training(steps=200)
    before, first, second = (schedules.weights_at(step, settings, teaching, 2) for step in (159, 160, 162))
    assert (before.bce, before.iou, before.mae) == (30, 0.5, 100)
    assert (first.bce, first.iou, first.mae, first.ssim) == (0, 0.25, 90, 10)
    assert (second.bce, second.iou, second.mae) == (0, 0.125, pytest.approx(81))
    last = schedules.weights_at(199, settings, teaching, 2)
    assert (last.iou, last.mae) == (pytest.approx(0.5**21), pytest.approx(100 * 0.9**20))


def test_rates_rise_and_fall() -> None:
    cosine = Training(steps=110, warmup=10)
    assert schedules.rate_at(0, cosine, 1.1) == pytest.approx(0.1)
    assert schedules.rate_at(10, cosine, 1.0) == pytest.approx(1.0)
    assert schedules.rate_at(60, cosine, 1.0) == pytest.approx(0.505)
    halved = Training(steps=100, warmup=0, schedule="halved")
    assert [schedules.rate_at(step, halved, 16.0) for step in (0, 20, 40, 60, 80, 99)] == [16, 8, 4, 2, 1, 1]
    assert schedules.base_rate(Training(batch=16), "birefnet_swin_t", teaching_of("birefnet_swin_t")) == 2e-5
    assert schedules.base_rate(Training(), "u2netp", teaching_of("u2netp")) == 1e-4
    assert schedules.base_rate(Training(freeze="kernels"), "u2netp", teaching_of("u2netp")) == 3e-3


def test_what_a_base_leaves_open_holds_nothing_back() -> None:
    """Of a pixel the divergence from what the base gave counts (2 p - 1)² as much: not at all where p is 1/2."""
    chances = torch.tensor([0.5, 0.6, 0.75, 0.97]).view(1, 1, 2, 2)
    before = Outputs((chances.logit(),))
    now = torch.full((1, 1, 2, 2), 0.25).logit().requires_grad_()
    loss, parts = loss_of_change(Outputs((now,)), before, 3.0)
    loss.backward()
    divergence = chances * (chances / 0.25).log() + (1 - chances) * ((1 - chances) / 0.75).log()
    assert float(loss.detach()) == pytest.approx(3 * float(((2 * chances - 1) ** 2 * divergence).mean()), **NEAR)
    assert parts == {"change": pytest.approx(float(loss.detach()))}
    assert now.grad is not None
    torch.testing.assert_close(now.grad, 3 * (2 * chances - 1) ** 2 * (0.25 - chances) / 4)
    assert now.grad[0, 0, 0, 0] == 0
