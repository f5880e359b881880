"""Deformable convolution, beside torchvision's numbers and beside the definition written out."""

import itertools
import math

import numpy as np
import pytest
import torch

from gossamer.native import function
from gossamer.networks.architectures import deformable
from gossamer.networks.architectures.deformable import DeformableConv2d, deform_conv2d


@pytest.fixture(params=["kernel", "plain"], autouse=True)
def _way(request, monkeypatch):
    if request.param == "plain":
        monkeypatch.setattr(deformable, "_compiled", lambda *_: None)
    elif function("deformed") is None:
        pytest.skip("the kernels are not compiled")


def case(seed, n, channels, out_channels, height, width, kernel, spread):
    rng = np.random.Generator(np.random.PCG64(seed))

    def normal(*shape, scale=1.0):
        return torch.from_numpy((rng.normal(0, 1, shape) * scale).astype(np.float32))

    x = normal(n, channels, height, width)
    offset = normal(n, 2 * kernel**2, height, width, scale=spread)
    weight = normal(out_channels, channels, kernel, kernel, scale=0.3)
    mask = torch.sigmoid(normal(n, kernel**2, height, width)) * 2
    return x, offset, weight, mask


def by_definition(x, offset, weight, mask, padding):
    """One output pixel and one tap after the other, in float64."""
    x, offset, weight, mask = (value.double().numpy() for value in (x, offset, weight, mask))
    n, _, height, width = x.shape
    kernel_h, kernel_w = weight.shape[2:]

    def look(image, y, x_):
        top, left = math.floor(y), math.floor(x_)
        value = np.zeros(image.shape[0])
        for row, column in itertools.product((top, top + 1), (left, left + 1)):
            if 0 <= row < height and 0 <= column < width:
                value += image[:, row, column] * (1 - abs(y - row)) * (1 - abs(x_ - column))
        return value

    out = np.zeros((n, weight.shape[0], *offset.shape[2:]))
    for i, row, column in itertools.product(range(n), range(out.shape[2]), range(out.shape[3])):
        for tap in range(kernel_h * kernel_w):
            down, right = offset[i, 2 * tap, row, column], offset[i, 2 * tap + 1, row, column]
            seen = look(x[i], row - padding + tap // kernel_w + down, column - padding + tap % kernel_w + right)
            out[i, :, row, column] += weight[:, :, tap // kernel_w, tap % kernel_w] @ seen * mask[i, tap, row, column]
    return out


def test_the_numbers_of_torchvision():
    # torchvision.ops.deform_conv2d 0.28 on the same numbers.
    out = deform_conv2d(*case(7, 2, 5, 4, 9, 13, 3, spread=3), padding=1)
    assert out.mean().item() == pytest.approx(-0.00780928, abs=1e-6)
    assert out.std().item() == pytest.approx(1.13060999, abs=1e-5)
    places = ((0, 0, 0, 0), (1, 3, 8, 12), (0, 2, 4, 6), (1, 1, 0, 12), (0, 3, 8, 0), (1, 0, 5, 5))
    seen = [out[place].item() for place in places]
    assert seen == pytest.approx([-0.13703, -0.08468, -0.52027, 1.22038, 0.61217, -0.92588], abs=2e-5)


@pytest.mark.parametrize(
    ("size", "kernel", "spread"),
    [((2, 3, 4, 5, 7), 3, 2), ((1, 2, 3, 1, 1), 1, 0.5), ((1, 2, 2, 2, 3), 7, 4), ((1, 3, 2, 6, 1), 3, 30)],
)
def test_the_definition(size, kernel, spread):
    x, offset, weight, mask = case(1, *size, kernel, spread)
    out = deform_conv2d(x, offset, weight, mask, kernel // 2)
    np.testing.assert_allclose(out.numpy(), by_definition(x, offset, weight, mask, kernel // 2), atol=2e-5)


def test_taps_on_and_just_beyond_the_border():
    x = torch.ones(1, 1, 1, 4)
    offset = torch.zeros(1, 2, 1, 4)
    offset[0, 1, 0] = torch.tensor([-0.25, -1.0, 1.5, 0.5])  # looks at -0.25, 0, 3.5 and 3.5
    out = deform_conv2d(x, offset, torch.ones(1, 1, 1, 1), torch.ones(1, 1, 1, 4))
    np.testing.assert_allclose(out.flatten().numpy(), [0.75, 1, 0.5, 0.5], atol=1e-6)


def test_without_offsets_it_is_a_convolution():
    x, offset, weight, mask = case(2, 1, 4, 5, 8, 6, 3, spread=1)
    out = deform_conv2d(x, offset * 0, weight, torch.ones_like(mask), padding=1)
    torch.testing.assert_close(out, torch.nn.functional.conv2d(x, weight, padding=1), atol=1e-5, rtol=0)


@pytest.mark.parametrize("traced", [False, True])
def test_chunks_and_the_traced_form_change_nothing(monkeypatch, traced):
    arguments = case(3, 2, 3, 4, 6, 9, 7, spread=3)
    whole = deform_conv2d(*arguments, padding=3)
    monkeypatch.setattr(deformable, "_CHUNK", 1)
    monkeypatch.setattr(deformable, "_traced", lambda: traced)
    torch.testing.assert_close(deform_conv2d(*arguments, padding=3), whole, atol=1e-5, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_positions_stay_exact_in_half_precision(dtype):
    # A ramp looked at a little to the right, far from the left edge: rounded positions would not move at all.
    ramp = (torch.arange(256) / 256).to(dtype)[None, None, None]
    offset = torch.zeros(1, 2, 1, 256, dtype=dtype)
    offset[:, 1] = 0.5
    one = torch.ones(1, 1, 1, 256, dtype=dtype)
    out = deform_conv2d(ramp, offset, one[..., :1], one)
    assert out.dtype == dtype
    between = (ramp[..., 199].float() + ramp[..., 200].float()) / 2
    assert out[0, 0, 0, 199].item() == pytest.approx(between.item(), abs=torch.finfo(dtype).eps / 2)


def test_module_finds_its_own_offsets():
    torch.manual_seed(0)
    module = DeformableConv2d(3, 4, 3)
    x = torch.randn(2, 3, 5, 7)
    with torch.no_grad():
        mask = 2 * torch.sigmoid(module.modulator_conv(x))
        expected = by_definition(x, module.offset_conv(x), module.regular_conv.weight, mask, 1)
        np.testing.assert_allclose(module(x).numpy(), expected, atol=2e-5)


def test_it_can_be_left_between_its_parts(monkeypatch):
    """Of a map 256 pixels wide, with a 7 x 7 kernel, it takes 15 seconds."""
    monkeypatch.setattr(deformable, "_CHUNK", 64)
    module = DeformableConv2d(3, 4, 3)
    passed = 0

    def leave(layer, inputs):
        nonlocal passed
        passed += 1
        if passed == 3:
            raise InterruptedError

    module.between.register_forward_pre_hook(leave)
    with torch.no_grad(), pytest.raises(InterruptedError):
        module(torch.randn(1, 3, 5, 7))
    assert "between" not in "".join(module.state_dict())


@pytest.mark.parametrize("channels", [5, 8, 29])
def test_bfloat16_is_rounded_once(channels):
    x, offset, _, mask = case(4, 1, channels, channels, 6, 7, 1, spread=2)
    x, mask, offset = x.bfloat16(), mask.bfloat16(), offset.bfloat16()
    eye = torch.eye(channels)[..., None, None]
    seen = deform_conv2d(x, offset, eye.bfloat16(), mask)
    exact = by_definition(x.float(), offset.float(), eye, mask.float(), 0)
    assert np.abs(seen.float().numpy() - exact).max() <= np.abs(exact).max() / 128


def test_gradients_come_through():
    x, offset, weight, mask = case(5, 1, 2, 3, 4, 5, 3, spread=1)
    weight.requires_grad_()
    deform_conv2d(x, offset, weight, mask, 1).sum().backward()
    assert weight.grad is not None
    assert weight.grad.abs().sum() > 0


def test_far_beyond_any_picture_there_is_nothing():
    x, offset, weight, mask = case(6, 1, 8, 3, 4, 5, 3, spread=1)
    for far in (1e9, -1e9, 3e38, float("inf"), float("-inf"), float("nan")):
        offset[0, 0, 2, 2] = far
        seen = deform_conv2d(x, offset, weight, mask, 1)
        assert torch.isfinite(seen[0, :, 0, 0]).all()
