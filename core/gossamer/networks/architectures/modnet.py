"""MODNet: portrait matting without a trimap, in three branches: what, where exactly, and both.

Ke, Sun, Li, Yan, Lau: "MODNet: Real-Time Trimap-Free Portrait Matting via Objective Decomposition", AAAI 2022, on
MobileNetV2 (Sandler, Howard, Zhu, Zhmoginov, Chen, CVPR 2018). Published weights: https://github.com/ZHKKKe/MODNet;
their keys begin with ``module.``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["MODNet", "modnet"]

_ENCODER = (16, 24, 32, 96, 1280)
"""Channels of the maps of the backbone, from 1/2 to 1/32 of the size."""
_DETAIL = 32
"""Channels of the detail branch."""
# Expansion, channels, blocks and stride of MobileNetV2's stages.
_STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
_TAPS = (1, 3, 6, 13, 18)
"""After which of its 19 layers the maps are taken."""


class IBNorm(nn.Module):
    """Batch normalisation for the first half of the channels, instance normalisation for the others."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bnorm = nn.BatchNorm2d(channels // 2)
        self.inorm = nn.InstanceNorm2d(channels - channels // 2)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C, H, W)."""
        half = self.bnorm.num_features
        return torch.cat((self.bnorm(x[:, :half]), self.inorm(x[:, half:])), 1)


class Conv2dIBNormRelu(nn.Module):
    """A convolution, both normalisations and a ReLU; or the convolution alone."""

    def __init__(self, channels: int, out_channels: int, kernel: int, stride: int = 1, plain: bool = False) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(channels, out_channels, kernel, stride, kernel // 2))
        if not plain:
            self.layers.extend((IBNorm(out_channels), nn.ReLU()))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C', H / stride, W / stride)."""
        return self.layers(x)  # type: ignore[no-any-return]


class InvertedResidual(nn.Module):
    """MobileNetV2's block: wide and depthwise inside, narrow and linear at both ends."""

    def __init__(self, channels: int, out_channels: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = channels * expansion
        layers = list(_conv(channels, wide, 1)) if expansion > 1 else []
        layers += _conv(wide, wide, 3, stride, groups=wide)
        self.conv = nn.Sequential(*layers, nn.Conv2d(wide, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels))
        self.residual = stride == 1 and channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C', H / stride, W / stride)."""
        y: Tensor = self.conv(x)
        return x + y if self.residual else y


class MobileNetV2(nn.Module):
    """The backbone."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [_conv(3, 32, 3, 2)]
        channels = 32
        for expansion, out_channels, count, stride in _STAGES:
            for i in range(count):
                layers.append(InvertedResidual(channels, out_channels, 1 if i else stride, expansion))
                channels = out_channels
        layers.append(_conv(channels, _ENCODER[-1], 1))
        self.features = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map (N, 3, h, w) to five maps, from 1/2 to 1/32 of the size."""
        maps = []
        for i, layer in enumerate(self.features):
            x = layer(x)
            if i in _TAPS:
                maps.append(x)
        return maps


class Backbone(nn.Module):
    """What checkpoints have around the backbone."""

    def __init__(self) -> None:
        super().__init__()
        self.model = MobileNetV2()

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map (N, 3, h, w) to five maps, from 1/2 to 1/32 of the size."""
        return self.model(x)  # type: ignore[no-any-return]


class SEBlock(nn.Module):
    """Squeeze and excitation: channels weighted by what the whole map holds."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = channels // 4
        self.fc = nn.Sequential(
            nn.Linear(channels, inner, bias=False), nn.ReLU(), nn.Linear(inner, channels, bias=False), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C, H, W)."""
        weights: Tensor = self.fc(x.mean((2, 3)))
        return x * weights[..., None, None]


class LRBranch(nn.Module):
    """What the subject is, at 1/8 of the size."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone
        self.se_block = SEBlock(_ENCODER[4])
        self.conv_lr16x = Conv2dIBNormRelu(_ENCODER[4], _ENCODER[3], 5)
        self.conv_lr8x = Conv2dIBNormRelu(_ENCODER[3], _ENCODER[2], 5)
        self.conv_lr = Conv2dIBNormRelu(_ENCODER[2], 1, 3, 2, plain=True)  # for training

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map (N, 3, h, w) to the backbone's maps at 1/2 and 1/4 and the branch's at 1/8."""
        enc2x, enc4x, *_, enc32x = self.backbone(x)
        return enc2x, enc4x, self.conv_lr8x(_doubled(self.conv_lr16x(_doubled(self.se_block(enc32x)))))


class HRBranch(nn.Module):
    """Where its edge runs, at half the size."""

    def __init__(self) -> None:
        super().__init__()
        conv, c = Conv2dIBNormRelu, _DETAIL
        self.tohr_enc2x = conv(_ENCODER[0], c, 1)
        self.conv_enc2x = conv(c + 3, c, 3, 2)
        self.tohr_enc4x = conv(_ENCODER[1], c, 1)
        self.conv_enc4x = conv(2 * c, 2 * c, 3)
        self.conv_hr4x = nn.Sequential(conv(3 * c + 3, 2 * c, 3), conv(2 * c, 2 * c, 3), conv(2 * c, c, 3))
        self.conv_hr2x = nn.Sequential(conv(2 * c, 2 * c, 3), conv(2 * c, c, 3), conv(c, c, 3), conv(c, c, 3))
        self.conv_hr = nn.Sequential(conv(c + 3, c, 3), conv(c, 1, 1, plain=True))  # for training

    def forward(self, x: Tensor, enc2x: Tensor, enc4x: Tensor, lr8x: Tensor) -> Tensor:
        """Map the picture and the maps of `LRBranch` to (N, 32, h / 2, w / 2)."""
        half = functional.interpolate(x, scale_factor=0.5, mode="bilinear")
        quarter = functional.interpolate(x, scale_factor=0.25, mode="bilinear")
        enc2x = self.tohr_enc2x(enc2x)
        hr4x = self.conv_enc2x(torch.cat((half, enc2x), 1))
        hr4x = self.conv_enc4x(torch.cat((hr4x, self.tohr_enc4x(enc4x)), 1))
        hr4x = self.conv_hr4x(torch.cat((hr4x, _doubled(lr8x), quarter), 1))
        return self.conv_hr2x(torch.cat((_doubled(hr4x), enc2x), 1))  # type: ignore[no-any-return]


class FusionBranch(nn.Module):
    """The matte from both."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_lr4x = Conv2dIBNormRelu(_ENCODER[2], _DETAIL, 5)
        self.conv_f2x = Conv2dIBNormRelu(2 * _DETAIL, _DETAIL, 3)
        self.conv_f = nn.Sequential(
            Conv2dIBNormRelu(_DETAIL + 3, _DETAIL // 2, 3), Conv2dIBNormRelu(_DETAIL // 2, 1, 1, plain=True)
        )

    def forward(self, x: Tensor, lr8x: Tensor, hr2x: Tensor) -> Tensor:
        """Map the picture and the maps of both branches to logits, (N, 1, h, w)."""
        lr2x = _doubled(self.conv_lr4x(_doubled(lr8x)))
        f2x = self.conv_f2x(torch.cat((lr2x, hr2x), 1))
        return self.conv_f(torch.cat((_doubled(f2x), x), 1))  # type: ignore[no-any-return]


class MODNet(nn.Module):
    """The network. The backbone is there under two names, as checkpoints have it."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = Backbone()
        self.lr_branch = LRBranch(self.backbone)
        self.hr_branch = HRBranch()
        self.f_branch = FusionBranch()

    def forward(self, x: Tensor) -> Tensor:
        """Matte portraits.

        Parameters
        ----------
        x : Tensor, (N, 3, h, w)
            In [-1, 1]; h and w multiples of 32. Trained at 512.

        Returns
        -------
        Tensor, (N, 1, h, w)
            The matte, in [0, 1].

        Raises
        ------
        ValueError
            The size is not a multiple of 32.
        """
        height, width = x.shape[2:]
        if height % 32 or width % 32:
            raise ValueError(f"MODNet takes sides that are multiples of 32, not {height} x {width}.")
        enc2x, enc4x, lr8x = self.lr_branch(x)
        logits: Tensor = self.f_branch(x, lr8x, self.hr_branch(x, enc2x, enc4x, lr8x))
        # In float32 also where the network runs in half precision, whose steps next to 1 would show.
        return torch.sigmoid(logits.float())


def modnet() -> MODNet:
    """Return MODNet (6.5 million parameters), weights not set."""
    return MODNet()


def _conv(channels: int, out_channels: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU6(),
    )


def _doubled(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2, mode="bilinear")
