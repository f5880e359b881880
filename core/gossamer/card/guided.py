"""The colour guided filter on tensors (He, Sun and Tang 2013), as :mod:`gossamer.matting.guided` has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["guided_alphas"]


def guided_alphas(pixels: Tensor, masks: Tensor, radius: int, epsilon: float = 1e-4) -> Tensor:
    """Make masks follow the edges of their pictures.

    Parameters
    ----------
    pixels : (N, H, W, 3) uint8 tensor
        RGB: the guide.
    masks : (N, H, W) float32 tensor
        1 = foreground.
    radius : int
        The filter's windows are (2 radius + 1) x (2 radius + 1) pixels; at the border they hold what lies inside.
    epsilon : float
        Regularisation in squared colour units.

    Returns
    -------
    (N, H, W) float32 tensor
        In [0, 1], as :func:`gossamer.matting.guided.guided_alpha` gives it, but for the rounding of sums.

    References
    ----------
    .. [1] He, Sun, Tang: "Guided image filtering", TPAMI 35 (6), 2013, equations 14 to 16.
    """
    import torch

    # Sums in double: a covariance is a small difference of large means.
    planes = list((pixels.to(torch.float32) / 255).to(torch.float64).unbind(dim=3))
    target = masks.to(torch.float64)
    weight = _sums(torch.ones_like(target[:1]), radius)

    def mean(plane: Tensor) -> Tensor:
        return _sums(plane, radius) / weight

    means, middle = [mean(plane) for plane in planes], mean(target)

    def variance(i: int, j: int) -> Tensor:
        return mean(planes[i] * planes[j]) - means[i] * means[j] + (epsilon if i == j else 0.0)

    # A symmetric positive definite 3 x 3 system a pixel, by its Cholesky factor: no determinant cancels.
    d0 = variance(0, 0).sqrt_()
    l10, l20 = variance(0, 1) / d0, variance(0, 2) / d0
    d1 = (variance(1, 1) - l10 * l10).clamp_min_(1e-12).sqrt_()
    l21 = (variance(1, 2) - l20 * l10) / d1
    d2 = (variance(2, 2) - l20 * l20 - l21 * l21).clamp_min_(1e-12).sqrt_()
    right = [mean(plane * target) - own * middle for plane, own in zip(planes, means, strict=True)]
    y0 = right[0] / d0
    y1 = (right[1] - l10 * y0) / d1
    x2 = (right[2] - l20 * y0 - l21 * y1) / (d2 * d2)
    x1 = (y1 - l21 * x2) / d1
    x0 = (y0 - l10 * x1 - l20 * x2) / d0
    slopes = (x0, x1, x2)
    offset = middle - sum(slope * own for slope, own in zip(slopes, means, strict=True))
    seen = mean(offset)
    for slope, plane in zip(slopes, planes, strict=True):
        seen += mean(slope) * plane
    return seen.clamp_(0, 1).to(torch.float32)


def _sums(plane: Tensor, radius: int) -> Tensor:
    """Return sums over windows of (N, H, W), of what of them lies inside."""
    import torch

    for axis in (1, 2):
        size = plane.shape[axis]
        running = torch.nn.functional.pad(plane.cumsum(axis), (1, 0) if axis == 2 else (0, 0, 1, 0))
        places = torch.arange(size, device=plane.device)
        last, first = (places + radius + 1).clamp_max_(size), (places - radius).clamp_min_(0)
        plane = running.index_select(axis, last) - running.index_select(axis, first)
    return plane
