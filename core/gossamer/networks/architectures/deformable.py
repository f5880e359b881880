"""Deformable convolution: every tap of the kernel looks where the picture tells it to.

Zhu, Hu, Lin, Dai: "Deformable ConvNets v2: More Deformable, Better Results", CVPR 2019 (the modulated form).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gossamer.native import COUNT, PLACE, function
from gossamer.parallel.strips import Strips
from gossamer.progress import Progress

__all__ = ["DeformableConv2d", "deform_conv2d"]

_CHUNK = 1 << 22
"""Sampled values held at a time, 16 MB in float32: all 49 taps of a 7 x 7 kernel on a 256 x 256 map are 822 MB."""

_STRIPS = 8
"""Parts of the sampling that threads share out."""

_TYPES = (torch.float32, torch.bfloat16)

_TOGETHER = 4
"""Taps at a time at least, as threads share them out: as many rows as that allows."""


def deform_conv2d(
    x: Tensor,
    offset: Tensor,
    weight: Tensor,
    mask: Tensor,
    padding: int = 0,
    between: Callable[[Tensor], object] | None = None,
) -> Tensor:
    """Convolve with taps that are moved by `offset` and weighted by `mask`.

    Equals ``torchvision.ops.deform_conv2d`` with stride 1, no dilation, one group and no bias, and calls it on CUDA
    in float32 where torchvision is installed. On a processor the taps are sampled by ``native/deform.c``, elsewhere and
    for training by ``grid_sample``, a few at a time: on a CPU torchvision is slower, and in half precision it rounds
    the positions of the taps as well, by an eighth of a pixel in the right half of a map 256 pixels wide. Here
    positions stay float32, whatever the type of `x`.

    Parameters
    ----------
    x : Tensor, (N, C, H, W)
    offset : Tensor, (N, 2 * kh * kw, H', W')
        Down and right, in pixels, of every tap in reading order. H' = H + 2 * padding - kh + 1, W' alike.
    weight : Tensor, (C', C, kh, kw)
    mask : Tensor, (N, kh * kw, H', W')
        Weight of every tap.
    padding : int
        Zeros around `x`. Beyond them it is zero as well.
    between : callable, optional
        Called with some tensor between one part of the work and the next, which each take a fraction of a second: what
        it raises ends the work.

    Returns
    -------
    Tensor, (N, C', H', W')
    """
    operator = _torchvision_operator() if x.is_cuda and x.dtype == torch.float32 and not _traced() else None
    if operator is not None:
        return operator(x, offset, weight, padding=padding, mask=mask)
    kernel = _compiled(x, offset, weight, mask)
    if kernel is not None:
        return _convolved(kernel, x, offset, weight, mask, padding, between)
    n, channels, height, width = x.shape
    out_channels, _, kernel_h, kernel_w = weight.shape
    taps, (out_h, out_w) = kernel_h * kernel_w, offset.shape[2:]
    source = x.float()
    # Where every tap looks, in pixels, then in the coordinates of grid_sample, whose -1 and 1 are the outer edges.
    rows = torch.arange(out_h, device=x.device, dtype=source.dtype)[:, None] - padding
    columns = torch.arange(out_w, device=x.device, dtype=source.dtype) - padding
    moves = offset.reshape(n, taps, 2, out_h, out_w)
    kernels = weight.flatten(2).permute(0, 2, 1)  # (C', taps, C)

    def convolved(top: int, bottom: int, step: int) -> Tensor:
        """Return rows of the result, (N, C', rows * W'), `step` taps at a time."""
        total: Tensor | None = None
        for first in range(0, taps, step):
            last = min(first + step, taps)
            index = torch.arange(first, last, device=x.device)
            tap_y = (index // kernel_w).to(source.dtype)[:, None, None] + rows[top:bottom]
            tap_x = (index % kernel_w).to(source.dtype)[:, None, None] + columns
            tap_y, tap_x = (tap + moves[:, first:last, k, top:bottom] for k, tap in enumerate((tap_y, tap_x)))
            grid = torch.stack(((2 * tap_x + 1) / width - 1, (2 * tap_y + 1) / height - 1), -1)
            sampled = _sample(source, grid).to(x.dtype) * mask[:, first:last, None, top:bottom]
            sampled = sampled.reshape(n, -1, (bottom - top) * out_w)
            kernel = kernels[:, first:last].reshape(1, out_channels, -1).expand(n, -1, -1)
            total = kernel.bmm(sampled) if total is None else torch.baddbmm(total, kernel, sampled)
            if between is not None:
                between(total)
        assert total is not None  # noqa: S101  (a kernel has at least one tap)
        return total

    if _traced():  # a graph is for other sizes too: it takes one row of the kernel at a time
        return convolved(0, out_h, kernel_w).reshape(n, out_channels, out_h, out_w)
    row = n * channels * out_w
    band = min(out_h, max(1, _CHUNK // (_TOGETHER * row)))
    step = max(1, _CHUNK // (band * row))
    bands = [convolved(top, min(top + band, out_h), step) for top in range(0, out_h, band)]
    return torch.cat(bands, 2).reshape(n, out_channels, out_h, out_w)


def _compiled(*tensors: Tensor) -> Callable[..., None] | None:
    """Return the kernel that samples on a processor, where there is one and nobody asks for gradients."""
    ours = all(one.device.type == "cpu" and one.dtype in _TYPES for one in tensors) and not _traced()
    if not ours or (torch.is_grad_enabled() and any(one.requires_grad for one in tensors)):
        return None
    return function("deformed", *[PLACE] * 3, *[COUNT] * 10, *[PLACE] * 2)  # type: ignore[no-any-return]


def _convolved(
    sample: Callable[..., None],
    x: Tensor,
    offset: Tensor,
    weight: Tensor,
    mask: Tensor,
    padding: int,
    between: Callable[[Tensor], object] | None,
) -> Tensor:
    """Convolve on a processor: all taps of some pixels are sampled, then multiplied with the kernel at once."""
    n, channels, height, width = x.shape
    out_channels, _, kernel_h, kernel_w = weight.shape
    taps, high, wide = kernel_h * kernel_w, *offset.shape[2:]
    sizes = height, width, channels, kernel_h, kernel_w, padding, high, wide
    kernel = weight.flatten(2).transpose(1, 2).reshape(out_channels, -1)  # in the order of what is sampled
    result = x.new_empty(n, out_channels, high * wide)
    seen = x.new_empty(max(1, min(high * wide, _CHUNK // (2 * taps * channels))), taps * channels)
    full = x.dtype == torch.float32
    places = seen.numpy() if full else seen.view(torch.int16).numpy()

    def sampled(arrays: tuple[Any, ...], first: int, start: int, end: int) -> None:
        to = places[start:end]
        sample(*arrays, *sizes, first + start, end - start, to if full else None, None if full else to)

    with Strips() as strips:
        for one, moves, weights, to in zip(x, offset, mask, result, strict=True):
            laid_out = one.permute(1, 2, 0), moves, weights
            arrays = tuple(part.float().contiguous().numpy() for part in laid_out)
            for first in range(0, high * wide, len(seen)):
                count = min(len(seen), high * wide - first)
                strips.each(partial(sampled, arrays, first), count, -(-count // _STRIPS), Progress())
                torch.mm(kernel, seen[:count].t(), out=to[:, first : first + count])
                if between is not None:
                    between(to)
    return result.reshape(n, out_channels, high, wide)


class DeformableConv2d(nn.Module):
    """A deformable convolution that finds its offsets and its modulation from its own input."""

    def __init__(self, channels: int, out_channels: int, kernel: int) -> None:
        super().__init__()
        self.padding = kernel // 2
        self.offset_conv = nn.Conv2d(channels, 2 * kernel**2, kernel, padding=self.padding)
        self.modulator_conv = nn.Conv2d(channels, kernel**2, kernel, padding=self.padding)
        self.regular_conv = nn.Conv2d(channels, out_channels, kernel, padding=self.padding, bias=False)
        self.between = nn.Identity()
        """Does nothing, but is a layer: who watches layers can stop between two parts of this one, too."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C', H, W)."""
        mask = 2 * torch.sigmoid(self.modulator_conv(x))
        between = None if _traced() else self.between
        return deform_conv2d(x, self.offset_conv(x), self.regular_conv.weight, mask, self.padding, between)


def _sample(x: Tensor, grid: Tensor) -> Tensor:
    """Sample (N, C, H, W) at (N, taps, H', W', 2), zero outside; return (N, taps, C, H', W')."""
    n, taps, out_h, out_w = grid.shape[:4]
    if x.device.type == "cpu" and not _traced():
        # On a CPU grid_sample spreads over the batch only, so the taps are its batch, each looking at the same map.
        return torch.stack(
            [_grid_sample(one.expand(taps, *one.shape), places) for one, places in zip(x, grid, strict=True)]
        )
    sampled = _grid_sample(x, grid.reshape(n, taps * out_h, out_w, 2))
    return sampled.reshape(n, -1, taps, out_h, out_w).transpose(1, 2)


def _grid_sample(x: Tensor, grid: Tensor) -> Tensor:
    return functional.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _traced() -> bool:
    """Whether this run is for torch.compile or an export, whose graph is to hold grid_sample and no choices."""
    return torch.compiler.is_compiling() or torch.onnx.is_in_onnx_export()


@cache
def _torchvision_operator() -> Callable[..., Tensor] | None:
    """Return torchvision's operator if it is there with its compiled part, else None."""
    try:
        from torchvision.ops import deform_conv2d as operator  # type: ignore[import-not-found,unused-ignore]

        torch.ops.torchvision.deform_conv2d  # noqa: B018  (raises where only the Python part is installed)
    except (ImportError, AttributeError, RuntimeError, OSError):
        return None
    return operator  # type: ignore[no-any-return,unused-ignore]
