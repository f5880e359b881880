"""Blur fusion (Forte 2021): foreground colours by two passes of box blurs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gossamer.arrays import Array
from gossamer.errors import InputError
from gossamer.foreground.checks import check_pair, check_radius
from gossamer.native import COUNT, PLACE, function
from gossamer.parallel.strips import Strips
from gossamer.progress import Progress, ProgressCallback

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["blur_fusion", "fuse"]

EPSILON = 1e-5  # the published method's; the kernel has it too
_PIXELS = 1 << 21  # a strip's pixels: enough that the rows summed before its first do not matter


@overload
def blur_fusion(
    image: Tensor, alpha: Tensor, radius: int = ..., fine_radius: int = ..., *, progress: Any = ...
) -> Tensor: ...


@overload
def blur_fusion(
    image: ArrayLike, alpha: ArrayLike, radius: int = ..., fine_radius: int = ..., *, progress: Any = ...
) -> Array: ...


def blur_fusion(
    image: Any,
    alpha: Any,
    radius: int = 90,
    fine_radius: int = 6,
    *,
    progress: Progress | ProgressCallback | None = None,
) -> Any:
    """Estimate the foreground's colours by blur fusion.

    The same result as the authors' code, ``cv2.blur`` in float64, borders included, to about a hundredth of
    an 8-bit step. Both passes run in one sweep, so that nothing but the result has the size of the picture.

    Parameters
    ----------
    image : (H, W, 3) array-like, or torch tensor
        The picture: floats in [0, 1], uint8 or uint16; floats on a graphics card.
    alpha : (H, W) array-like, or torch tensor
        1 where the foreground is: floats in [0, 1], uint8, uint16 or bool; floats on a graphics card.
    radius, fine_radius : int
        Sides in pixels of the box blurs of the first and the second pass, at least 1, odd or even.
    progress : callable, optional
        Called as ``progress(fraction, message)``; may raise to cancel.

    Returns
    -------
    (H, W, 3) float32
        The foreground's straight colours in [0, 1]. Black where the alpha is 0 as far as the blurs reach. An array; of
        tensors a tensor on their device, which a picture on a graphics card never leaves.

    Raises
    ------
    InputError
        A wrong shape, type or size, values outside [0, 1] or not finite, a radius below 1.

    References
    ----------
    M. Forte, "Approximate Fast Foreground Colour Estimation", ICIP 2021;
    https://github.com/Photoroom/fast-foreground-estimation
    """
    if _is_tensor(image) and _is_on_a_card(image):
        from gossamer.foreground.blur_fusion.torch_estimate import blur_fusion_torch

        if image.ndim != 3 or getattr(alpha, "ndim", 0) != 2 or not _is_tensor(alpha):
            raise InputError(
                "Picture and alpha are not tensors of (H, W, 3) and (H, W).",
                "Give both so on one device, or batches of (B, 3, H, W) and (B, 1, H, W) to blur_fusion_torch.",
            )
        planes = blur_fusion_torch(image.permute(2, 0, 1)[None], alpha[None, None], radius, fine_radius)
        return planes[0].permute(1, 2, 0).contiguous()
    pair = (each.detach().numpy() if _is_tensor(each) else each for each in (image, alpha))
    picture, matte = check_pair(*pair)
    sides = check_radius(radius, "radius"), check_radius(fine_radius, "fine radius")
    foreground = np.empty_like(picture)
    fuse(picture, matte, *sides, foreground, None, Progress.of(progress))
    if _is_tensor(image):
        import torch

        return torch.from_numpy(foreground)
    return foreground


def _is_tensor(given: object) -> bool:
    """Whether something is a torch tensor; torch is not imported for that."""
    return type(given).__module__.partition(".")[0] == "torch"


def _is_on_a_card(tensor: Any) -> bool:
    return bool(tensor.device.type != "cpu")


def fuse(
    image: Array,
    alpha: Array,
    radius: int,
    fine_radius: int,
    foreground: Array,
    background: Array | None,
    progress: Progress,
) -> None:
    """Write the foreground of checked arrays in `foreground` and, if asked, the background in `background`."""
    progress(0.0, "Estimating foreground colours")
    strip = _plain_strip if _compiled() is None else _compiled_strip
    height, width = alpha.shape

    def work(top: int, bottom: int) -> None:
        strip(image, alpha, radius, fine_radius, top, bottom, foreground, background)

    # Every strip repeats the first pass for as many rows as the second one's blur is high.
    with Strips() as strips:
        strips.each(work, height, max(_PIXELS // width, 4 * fine_radius, 32), progress)


def _compiled() -> Any:
    return function("blur_fusion", PLACE, PLACE, *6 * (COUNT,), PLACE, COUNT, PLACE, COUNT, PLACE, PLACE)


def _compiled_strip(
    image: Array,
    alpha: Array,
    side: int,
    fine_side: int,
    top: int,
    bottom: int,
    foreground: Array,
    background: Array | None,
) -> None:
    """Write rows `top` to `bottom` of both layers."""
    height, width = alpha.shape
    period = max(1, 2 * (width - 1))
    wide = width + max(each % period + each // 2 % period for each in (side, fine_side)) + 1
    kept = min(height, fine_side // 2 * 2 + 2)
    sums, ring = np.zeros((2, wide, 8)), np.empty((kept, width, 8), np.float32)
    _compiled()(
        *(image, alpha, height, width, side, fine_side, top, bottom, sums, wide, ring, kept, foreground, background)
    )


def _plain_strip(
    image: Array,
    alpha: Array,
    side: int,
    fine_side: int,
    top: int,
    bottom: int,
    foreground: Array,
    background: Array | None,
) -> None:
    """Do what the compiled kernel does, as the paper's code does it, where that was not compiled."""
    first = max(0, top - side - fine_side) if side + fine_side < len(alpha) else 0
    last = min(len(alpha), bottom + side + fine_side) if side + fine_side < len(alpha) else len(alpha)
    picture, matte = image[first:last].astype(np.float64), alpha[first:last, :, None].astype(np.float64)
    front = behind = picture
    for each in (side, fine_side):
        weight = _box_blur(matte, each)
        front = _box_blur(front * matte, each) / (weight + EPSILON)
        behind = _box_blur(behind * (1 - matte), each) / (1 - weight + EPSILON)
        front = np.clip(front + matte * (picture - matte * front - (1 - matte) * behind), 0, 1)
    foreground[top:bottom] = front[top - first : bottom - first]
    if background is not None:
        background[top:bottom] = np.clip(behind[top - first : bottom - first], 0, 1)


def _box_blur(plane: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Return ``cv2.blur`` of (H, W, C): OpenCV's own sums lose what is left where next to nothing is."""
    for axis in (0, 1):
        size = plane.shape[axis]
        # Reflecting borders repeat a line with a period, and every full period has the same sum.
        period = max(1, 2 * (size - 1))
        full, rest = divmod(side, period)
        places = np.arange(-(side // 2), size + rest - side // 2) % period
        line = np.take(plane, np.minimum(places, period - places) % size, axis)
        ends = np.take(plane, [0, size - 1], axis).sum(axis=axis, keepdims=True)
        whole = 2 * plane.sum(axis=axis, keepdims=True) - ends if size > 1 else plane
        sums = np.insert(np.cumsum(line, axis), 0, 0, axis)
        indices = np.arange(size)
        plane = (np.take(sums, indices + rest, axis) - np.take(sums, indices, axis) + full * whole) / side
    return plane
