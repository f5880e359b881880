from __future__ import annotations

import numpy as np
import pytest
import torch

from gossamer.errors import InputError
from gossamer.foreground import blur_fusion, blur_fusion_torch
from gossamer.foreground.blur_fusion import estimate

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def tensors(image, alpha, device):
    picture = torch.from_numpy(image).permute(0, 3, 1, 2).to(device)
    return picture, torch.from_numpy(alpha)[:, None].to(device)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("height", "width", "radius", "fine_radius"),
    [(1, 1, 90, 6), (1, 8, 5, 2), (7, 5, 90, 6), (64, 48, 90, 6), (120, 90, 31, 7), (2, 30, 300, 1)],
)
def test_agrees_with_arrays(device, height, width, radius, fine_radius):
    random = np.random.default_rng(width)
    image = random.random((3, height, width, 3), dtype=np.float32)
    alpha = random.random((3, height, width), dtype=np.float32)
    alpha[1] **= 30
    alpha[2] = alpha[2] > 0.9
    result = blur_fusion_torch(*tensors(image, alpha, device), radius, fine_radius)
    assert result.dtype == torch.float32
    assert result.device.type == device
    for index in range(3):
        expected = blur_fusion(image[index], alpha[index], radius, fine_radius)
        assert np.abs(result[index].permute(1, 2, 0).cpu().numpy() - expected).max() < 0.05 / 255


def test_half_precision_comes_out_as_float32():
    random = np.random.default_rng(0)
    image, alpha = tensors(random.random((1, 20, 20, 3)), random.random((1, 20, 20)), "cpu")
    result = blur_fusion_torch(image.half(), alpha.half())
    assert result.dtype == torch.float32
    torch.testing.assert_close(result, blur_fusion_torch(image, alpha), atol=0.01, rtol=0)


@pytest.mark.parametrize(
    ("image", "alpha", "said"),
    [
        (torch.zeros(1, 3, 4, 4), torch.zeros(1, 1, 4, 5), "shape"),
        (torch.zeros(1, 3, 4, 4), torch.zeros(2, 1, 4, 4), "shape"),
        (torch.zeros(1, 4, 4, 4), torch.zeros(1, 1, 4, 4), "shape"),
        (torch.zeros(3, 4, 4), torch.zeros(1, 4, 4), "shape"),
        (torch.zeros(1, 3, 0, 4), torch.zeros(1, 1, 0, 4), "no pixels"),
        (torch.zeros(1, 3, 4, 4), torch.full((1, 1, 4, 4), 1.5), "1.5"),
        (torch.full((1, 3, 4, 4), torch.nan), torch.zeros(1, 1, 4, 4), "nan"),
        (torch.zeros(1, 3, 4, 4, dtype=torch.uint8), torch.zeros(1, 1, 4, 4), "floating-point"),
    ],
)
def test_bad_tensors_are_refused(image, alpha, said):
    with pytest.raises(InputError, match=said) as caught:
        blur_fusion_torch(image, alpha)
    assert caught.value.remedy


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("on_a_card", [False, True])
def test_one_picture_s_tensors_stay_tensors(device, on_a_card, monkeypatch):
    if on_a_card:  # the way of tensors on a card, also where there is none
        monkeypatch.setattr(estimate, "_is_on_a_card", lambda tensor: True)
    random = np.random.default_rng(5)
    image, alpha = random.random((40, 30, 3), dtype=np.float32), random.random((40, 30), dtype=np.float32)
    result = blur_fusion(torch.from_numpy(image).to(device), torch.from_numpy(alpha).to(device))
    assert isinstance(result, torch.Tensor)
    assert result.device.type == device
    assert np.abs(result.cpu().numpy() - blur_fusion(image, alpha)).max() < 0.05 / 255
    if on_a_card:
        with pytest.raises(InputError, match="not tensors of"):
            blur_fusion(torch.zeros(1, 3, 4, 4), torch.zeros(1, 1, 4, 4))
