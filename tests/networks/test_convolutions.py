"""What a processor's library computes wrongly in bfloat16 runs in float32: here every shape is right."""

from __future__ import annotations

import pytest
import torch

from gossamer.networks.convolutions import mend_convolutions


@pytest.mark.parametrize("channels", [3, 4, 8, 16])
@pytest.mark.parametrize("side", [3, 4, 8, 16])
def test_every_convolution_in_bfloat16_is_near_that_in_float32(channels: int, side: int) -> None:
    torch.manual_seed(0)
    exact = torch.nn.Sequential(torch.nn.Conv2d(channels, 24, side, stride=side))
    picture = torch.randn(1, channels, 64, 64)
    with torch.no_grad():
        truth = exact(picture)
        half = torch.nn.Sequential(torch.nn.Conv2d(channels, 24, side, stride=side))
        half.load_state_dict(exact.state_dict())
        half.bfloat16()
        mend_convolutions(half)
        found = half(picture.bfloat16())
        assert found.dtype == torch.bfloat16
        assert (found.float() - truth).abs().max() < 0.03 * truth.abs().max()
