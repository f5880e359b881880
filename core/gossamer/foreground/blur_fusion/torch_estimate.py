"""Blur fusion on tensors, for pictures that are on a graphics card already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gossamer.arrays import in_range, range_remedy
from gossamer.errors import InputError
from gossamer.foreground.checks import check_radius

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["blur_fusion_torch", "fuse_tensors"]

_EPSILON = 1e-5


def blur_fusion_torch(image: Tensor, alpha: Tensor, radius: int = 90, fine_radius: int = 6) -> Tensor:
    """Estimate the foreground's colours by blur fusion, on the device where the tensors are.

    The same result as :func:`blur_fusion`, borders included. Sums are float64, which CUDA and CPU have.

    Parameters
    ----------
    image : (B, 3, H, W) floating-point tensor
        In [0, 1].
    alpha : (B, 1, H, W) floating-point tensor
        1 where the foreground is; on the same device.
    radius, fine_radius : int
        Sides in pixels of the box blurs of the first and the second pass, at least 1.

    Returns
    -------
    (B, 3, H, W) float32 tensor
        The foreground's straight colours in [0, 1].

    Raises
    ------
    InputError
        A wrong shape or type, values outside [0, 1] or not finite, a radius below 1.

    References
    ----------
    M. Forte, "Approximate Fast Foreground Colour Estimation", ICIP 2021.
    """
    import torch

    _check(image, alpha)
    sides = check_radius(radius, "radius"), check_radius(fine_radius, "fine radius")
    with torch.no_grad():
        return fuse_tensors(image, alpha, *sides)


def fuse_tensors(image: Tensor, alpha: Tensor, radius: int, fine_radius: int) -> Tensor:
    """Do what :func:`blur_fusion_torch` does, of tensors that are known to be right: nothing waits for the device."""
    import torch

    picture = image.to(torch.float64).clamp(0, 1)
    matte = alpha.to(torch.float64).clamp(0, 1)
    foreground = background = picture
    for side in (radius, fine_radius):
        mean = _means(matte, side)
        front = _means(foreground * matte, side) / (mean + _EPSILON)
        background = _means(background * (1 - matte), side) / ((1 - mean) + _EPSILON)
        rest = picture - matte * front - (1 - matte) * background
        foreground = (front + matte * rest).clamp_(0, 1)
    return foreground.to(torch.float32)


def _means(planes: Tensor, side: int) -> Tensor:
    """Return means over squares of `side` pixels, placed and reflected at the borders as cv2.blur does."""
    import torch

    for axis in (2, 3):
        n = planes.shape[axis]
        # Reflecting borders repeat a line with a period, and every full period has the same sum.
        period = max(1, 2 * (n - 1))
        full, rest = divmod(side, period)
        index = (torch.arange(n + rest, device=planes.device) - side // 2).remainder(period)
        index = torch.minimum(index, period - index) if n > 1 else index
        total = planes.sum(axis, keepdim=True)
        if n > 1:
            total = 2 * total - planes.narrow(axis, 0, 1) - planes.narrow(axis, n - 1, 1)
        lines = planes.index_select(axis, index)
        running = lines.cumsum(axis)
        # The window that starts at x holds lines x to x + rest - 1: without its own last and first line.
        window = running - lines
        planes = (window.narrow(axis, rest, n) - window.narrow(axis, 0, n) + full * total) / side
    return planes


def _check(image: Tensor, alpha: Tensor) -> None:
    import torch

    for name, tensor, channels in (("image", image, 3), ("alpha", alpha, 1)):
        if not isinstance(tensor, torch.Tensor) or not tensor.is_floating_point():
            raise InputError(f"The {name} is no floating-point tensor.", "Give float tensors in [0, 1].")
        if tensor.ndim != 4 or tensor.shape[1] != channels:
            raise InputError(
                f"The {name} has the shape {tuple(tensor.shape)}.", f"Give (batch, {channels}, height, width)."
            )
    if alpha.shape[0] != image.shape[0] or alpha.shape[2:] != image.shape[2:]:
        raise InputError(
            f"The alpha has the shape {tuple(alpha.shape)}, the image {tuple(image.shape)}.",
            "Give the same batch, height and width for both.",
        )
    if alpha.device != image.device:
        raise InputError(f"The alpha is on {alpha.device}, the image on {image.device}.", "Move both to one.")
    if image.numel() == 0:
        raise InputError("The image has no pixels.", "Give a picture of at least 1 x 1.")
    for name, tensor in (("image", image), ("alpha", alpha)):
        low, high = (float(value) for value in tensor.aminmax())
        if not in_range(low, high):
            raise InputError(f"The {name} has values from {low:g} to {high:g}.", range_remedy(low, high))
