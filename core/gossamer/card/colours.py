"""A subject's colours on tensors: blur fusion, and what lies hidden beyond its reach."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gossamer.foreground.blur_fusion.torch_estimate import fuse_tensors
from gossamer.foreground.hidden import CELL, VISIBLE
from gossamer.segmentation.tensors import resampled

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["fused_colours"]


def fused_colours(pixels: Tensor, alpha: Tensor, radius: int, fine_radius: int, *, eight_bit: bool) -> Tensor:
    """Estimate the foreground's colours, as the stage of that name does by blur fusion.

    Parameters
    ----------
    pixels : (N, H, W, 3) uint8 tensor
    alpha : (N, H, W) float32 tensor
        1 = foreground.
    radius, fine_radius : int
        Sides in pixels of the two box blurs.
    eight_bit : bool
        Whether to return bytes, rounded half up as a file's.

    Returns
    -------
    (N, H, W, 3) float32 or uint8 tensor
        Straight colours: those that are visible as :func:`gossamer.foreground.blur_fusion` has them; the hidden ones
        go on from them smoothly, as by :func:`gossamer.foreground.fill_hidden`.
    """
    import torch

    picture = pixels.to(torch.float32) / 255
    fused = fuse_tensors(picture.permute(0, 3, 1, 2), alpha[:, None], radius, fine_radius).permute(0, 2, 3, 1)
    filled = _with_hidden(fused, alpha, (fine_radius - 1) // 2)
    if not eight_bit:
        return filled
    return (filled.clamp(0, 1) * 255 + 0.5).to(torch.uint8)


def _with_hidden(colours: Tensor, alpha: Tensor, reach: int) -> Tensor:
    import torch
    from torch.nn.functional import interpolate, max_pool2d

    height, width = alpha.shape[1:]
    visible = alpha >= float(VISIBLE)
    near = visible[:, None].to(torch.float32)
    for kernel, padding in (((2 * reach + 1, 1), (reach, 0)), ((1, 2 * reach + 1), (0, reach))):
        near = max_pool2d(near, kernel, 1, padding)
    cells = -(-height // CELL), -(-width // CELL)
    weights = resampled(alpha[..., None], "area", *cells)
    smooth = _filled(resampled(colours * alpha[..., None], "area", *cells), weights)
    smooth = interpolate(smooth.permute(0, 3, 1, 2), (height, width), mode="bilinear").permute(0, 2, 3, 1)
    seen = (near[:, 0] > 0) | ~visible.flatten(1).any(dim=1)[:, None, None]
    return torch.where(seen[..., None], colours, smooth)


def _filled(colours: Tensor, weights: Tensor) -> Tensor:
    """Divide premultiplied colours, (N, h, w, 3), by their weights, filling in from coarser levels."""
    from torch.nn.functional import interpolate

    height, width = weights.shape[1:3]
    own = colours / weights.clamp_min(1e-6)
    if height == 1 and width == 1:
        return own
    half = max(1, -(-height // 2)), max(1, -(-width // 2))
    coarse = _filled(resampled(colours, "area", *half), resampled(weights, "area", *half))
    risen = interpolate(coarse.permute(0, 3, 1, 2), (height, width), mode="bilinear").permute(0, 2, 3, 1)
    solid = (weights * 8).clamp_max(1)  # an eighth of a cell is enough to speak for it
    return solid * own + (1 - solid) * risen
