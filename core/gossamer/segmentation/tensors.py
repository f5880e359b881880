"""Feeding and reading a network where it runs: the steps of its authors on tensors, for pictures that a card has.

What :mod:`~gossamer.segmentation.preprocessing` and :mod:`~gossamer.segmentation.postprocessing` do on the processor,
step by step, of bytes alone. Nothing here waits for the device or asks it for a number: what is decided of a picture
is decided there. Pillow's resizing is the same to the last bit, the others to the rounding of their sums.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import FLAT
from gossamer.resampling import area_taps, skimage_taps
from gossamer.segmentation.doubt import BLOCKS, IN_MEANS, LEAST, OFF, SIDE, SOFT, SPREAD, SURE
from gossamer.segmentation.preprocessing import letterbox_box, network_size
from gossamer.weights.catalogue import InputSpec, OutputSpec

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["fed", "feeds", "read_masks", "resampled"]

_BITS = 22  # of Pillow's fixed point: what 32 bits leave beside 8 of a pixel and 2 of its filters' overshoot
_KERNELS: dict[str, tuple[Callable[[float], float], float]] = {
    "bilinear_antialias": (lambda x: max(0.0, 1 - abs(x)), 1.0),
    "lanczos": (lambda x: _sinc(x) * _sinc(x / 3) if -3 <= x < 3 else 0.0, 3.0),
}
"""Pillow's filters, and how far they reach."""

_AXIS = {"rows": 1, "columns": 2}  # of (N, H, W, C)


def feeds(spec: InputSpec, output: OutputSpec) -> bool:
    """Return whether this module has all the steps of a network's authors."""
    resizings = {"skimage", "bilinear", "letterbox", *_KERNELS}
    return spec.resize in resizings and output.resize in ("bilinear", "bilinear_align_corners")


def fed(pixels: Tensor, spec: InputSpec) -> Tensor:
    """Turn pictures into what a network was trained on, as :func:`~gossamer.segmentation.preprocessing.preprocess`.

    Parameters
    ----------
    pixels : (N, H, W, 3) uint8 tensor
        sRGB, on any device.
    spec : InputSpec
        One that :func:`feeds` has the steps of.

    Returns
    -------
    (N, 3, h, w) float32 tensor
        On that device.
    """
    import torch

    height, width = network_size(spec, *pixels.shape[1:3])
    if spec.resize in _KERNELS:
        small = _as_pillow(pixels, height, width, spec.resize)
    elif spec.resize == "skimage":
        small = _as_skimage(pixels, height, width)
    elif spec.resize == "letterbox":
        box = letterbox_box((height, width), *pixels.shape[1:3])
        inside = resampled(pixels, "linear", box.height, box.width)
        small = inside.new_zeros((len(pixels), height, width, 3))
        small[:, box.top : box.top + box.height, box.left : box.left + box.width] = inside
    else:
        small = resampled(pixels, "linear", height, width)
        if spec.quantize == "truncate":
            small = small.floor_()
    small /= 255
    if spec.scale == "max":
        small /= small.amax(dim=(1, 2, 3), keepdim=True).clamp_min(1e-6)
    for channel in range(3):
        small[..., channel] -= spec.mean[channel]
        small[..., channel] /= spec.std[channel]
    return small.permute(0, 3, 1, 2).to(torch.float32)


def read_masks(
    maps: Tensor, seen: Tensor | None, spec: OutputSpec, shape: tuple[int, int], fed_as: InputSpec
) -> Tensor:
    """Turn a network's output into masks, as :func:`~gossamer.segmentation.postprocessing.postprocess`.

    Parameters
    ----------
    maps : (N, h, w) float32 tensor
        The network's output; what is not finite stays so, for who asks in the end.
    seen : (N, 3, h, w) float32 tensor or None
        What was fed, where those were whole pictures.
    spec : OutputSpec
        One that :func:`feeds` has the steps of.
    shape : (int, int)
        Height and width of the pictures.
    fed_as : InputSpec
        How they were fed.

    Returns
    -------
    (N, H, W) float32 tensor
        1 = foreground.
    """
    import torch
    from torch.nn.functional import interpolate

    height, width = shape
    if spec.activation == "sigmoid":
        maps = maps.sigmoid()
    if fed_as.resize == "letterbox":
        box = letterbox_box((maps.shape[-2], maps.shape[-1]), height, width)
        rows, columns = slice(box.top, box.top + box.height), slice(box.left, box.left + box.width)
        maps = maps[:, rows, columns]
        seen = None if seen is None else seen[..., rows, columns]
    empty = None
    if spec.normalise != "none":
        empty = maps.amax(dim=(1, 2)) < float(SURE)
        if seen is not None:
            empty = empty | _are_of_noise(maps, seen)
    if spec.normalise == "before_resize":
        maps = _stretched(maps)
    corners = spec.resize == "bilinear_align_corners"
    masks = maps
    if maps.shape[1:] != shape:
        masks = interpolate(maps[:, None], shape, mode="bilinear", align_corners=corners)[:, 0]
    if spec.normalise == "after_resize":
        masks = _stretched(masks)
    masks = masks.clamp(0, 1)
    return masks if empty is None else torch.where(empty[:, None, None], masks.new_zeros(()), masks)


def _stretched(planes: Tensor) -> Tensor:
    """Stretch each plane to [0, 1], as :func:`gossamer.arrays.normalise`; one that is flat stays."""
    import torch

    low, high = planes.amin(dim=(1, 2), keepdim=True), planes.amax(dim=(1, 2), keepdim=True)
    span = high - low
    flat = span < FLAT
    return (planes - torch.where(flat, 0.0, low)) / torch.where(flat, 1.0, span)


def _as_pillow(pixels: Tensor, height: int, width: int, kernel: str) -> Tensor:
    """Resize in whole numbers as Pillow does: along the rows, rounded, then along the columns; float of 0 to 255."""
    import torch

    for axis, size in (("columns", width), ("rows", height)):
        if pixels.shape[_AXIS[axis]] == size:
            continue
        places, weights = _taps(kernel, pixels.shape[_AXIS[axis]], size, str(pixels.device))
        total = torch.full((), 1 << (_BITS - 1), dtype=torch.int32, device=pixels.device)
        for place, weight in zip(places, weights, strict=True):
            total = total + pixels.index_select(_AXIS[axis], place).to(torch.int32) * _along(weight, axis)
        pixels = (total >> _BITS).clamp_(0, 255).to(torch.uint8)
    return pixels.to(torch.float32)


def _as_skimage(pixels: Tensor, height: int, width: int) -> Tensor:
    """Resize as scikit-image does, see :func:`gossamer.resampling.skimage_resize`; float of 0 to 255."""
    import torch

    small = resampled(pixels, "skimage", height, width)
    low, high = (each(dim=(1, 2, 3), keepdim=True).to(torch.float32) for each in (pixels.amin, pixels.amax))
    return torch.where(small == 0, small, torch.minimum(torch.maximum(small, low), high))


def resampled(pixels: Tensor, kernel: str, height: int, width: int) -> Tensor:
    """Apply a linear map in float32 along the rows and then along the columns, as OpenCV does.

    Parameters
    ----------
    pixels : (N, H, W, C) tensor
        Of any type.
    kernel : {"linear", "skimage", "area"}
        `linear`: OpenCV's bilinear interpolation; `area`: means of areas, to fewer pixels.
    height, width : int

    Returns
    -------
    (N, height, width, C) float32 tensor
    """
    import torch

    planes = pixels
    for axis, size in (("columns", width), ("rows", height)):
        places, weights = _taps(kernel, planes.shape[_AXIS[axis]], size, str(pixels.device))
        total = torch.zeros((), dtype=torch.float32, device=pixels.device)
        for place, weight in zip(places, weights, strict=True):
            total = total + planes.index_select(_AXIS[axis], place).to(torch.float32) * _along(weight, axis)
        planes = total
    return planes


def _along(weight: Tensor, axis: str) -> Tensor:
    return weight[:, None, None] if axis == "rows" else weight[:, None]


@lru_cache(maxsize=32)
def _taps(kernel: str, size: int, new_size: int, device: str) -> tuple[list[Tensor], list[Tensor]]:
    """Return which pixels along an axis become each of the new ones, and with which weights, tap by tap.

    They stay on the device: of pictures of one size the pictures alone are copied there.
    """
    import torch

    weights: NDArray[Any]
    if kernel == "linear":
        start, weights = _linear_taps(size, new_size)
    elif kernel in ("skimage", "area"):
        taps = skimage_taps(size, new_size) if kernel == "skimage" else area_taps(size, new_size)
        start, weights = taps.start, taps.weights
    else:
        start, weights = _pillow_taps(kernel, size, new_size)
    places = np.minimum(start[:, None] + np.arange(weights.shape[1]), size - 1)
    with torch.inference_mode(False):
        columns = torch.from_numpy(np.ascontiguousarray(places.T)).to(device)
        shares = torch.from_numpy(np.ascontiguousarray(weights.T)).to(device)
        return list(columns.unbind()), list(shares.unbind())


def _linear_taps(size: int, new_size: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return OpenCV's two neighbours and shares for bilinear interpolation, borders repeated."""
    place = ((np.arange(new_size) + 0.5) * (size / new_size) - 0.5).astype(np.float32)
    start = np.floor(place).astype(np.int64)
    share = place - start.astype(np.float32)
    outside = (start < 0) | (start >= size - 1)
    share[outside] = 0
    start = np.clip(start, 0, size - 1)
    return start, np.stack([1 - share, share], axis=1).astype(np.float32)


def _pillow_taps(kernel: str, size: int, new_size: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return Pillow's coefficients, which are whole numbers: ``precompute_coeffs`` and ``normalize_coeffs_8bpc``."""
    of, reach = _KERNELS[kernel]
    scale = size / new_size
    wide = max(scale, 1.0)
    support = reach * wide
    start = np.zeros(new_size, np.int64)
    weights = np.zeros((new_size, math.ceil(support) * 2 + 1), np.int32)
    for number in range(new_size):
        centre = (number + 0.5) * scale
        first, last = max(int(centre - support + 0.5), 0), min(int(centre + support + 0.5), size)
        own = [of((place - centre + 0.5) / wide) for place in range(first, last)]
        total = sum(own)
        start[number] = first
        for tap, share in enumerate(own):
            exact = (share / total if total else share) * (1 << _BITS)
            weights[number, tap] = int(exact + math.copysign(0.5, exact))
    return start, weights


def _sinc(x: float) -> float:
    return 1.0 if x == 0 else math.sin(x * math.pi) / (x * math.pi)


def _are_of_noise(maps: Tensor, seen: Tensor) -> Tensor:
    """Tell of each picture what :func:`~gossamer.segmentation.doubt.is_of_noise` tells."""
    above, sure = (maps > 0.1).sum(dim=(1, 2)), (maps >= 0.9).sum(dim=(1, 2))
    return (above - sure >= SOFT * above) & _are_alike(seen.mean(dim=1))


def _are_alike(grey: Tensor) -> Tensor:
    import torch

    count = len(grey)
    if (step := min(grey.shape[1:]) // SIDE) > 1:
        rows, columns = (side // step for side in grey.shape[1:])
        cut = grey[:, : rows * step, : columns * step]
        grey = cut.reshape(count, rows, step, columns, step).mean(dim=(2, 4))
    height, width = (side // BLOCKS for side in grey.shape[1:])
    if min(height, width) < LEAST:
        return torch.zeros(count, dtype=torch.bool, device=grey.device)
    inner = grey[:, : height * BLOCKS, : width * BLOCKS]
    inner = inner - inner.mean(dim=(1, 2), keepdim=True)
    blocks = inner.reshape(count, BLOCKS, height, BLOCKS, width)
    variance = blocks.square().mean(dim=(1, 2, 3, 4))
    means = blocks.mean(dim=(2, 4)).flatten(1)
    spreads = blocks.std(dim=(2, 4), correction=0).flatten(1).sort(dim=1).values
    middle = BLOCKS * BLOCKS // 2
    median = (spreads[:, middle - 1] + spreads[:, middle]) / 2
    return (
        (means.square().mean(dim=1) <= IN_MEANS * variance)
        & (spreads[:, -1] <= SPREAD * median)
        & (means.abs().amax(dim=1) <= OFF * variance.sqrt())
    )
