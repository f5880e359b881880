"""Convolutions in bfloat16 that a processor's library computes wrongly: found by trying, and run in float32.

oneDNN's convolutions for processors with AMX (torch 2.13, 2026) give garbage for some shapes, such as the first layer
of a plain vision transformer over four channels, 4 x 16 x 16; nothing warns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

__all__ = ["mend_convolutions"]

_WRONG = 0.05
"""Of the result's largest value: bfloat16's own rounding stays below a hundredth, what is wrong is off by about 1."""


def mend_convolutions(module: nn.Module) -> tuple[str, ...]:
    """Let those convolutions of a module run in float32 that are wrong in bfloat16 on this processor.

    Parameters
    ----------
    module : torch.nn.Module
        On the CPU, to be run in bfloat16, cast or by autocast; changed in place.

    Returns
    -------
    tuple of str
        The names of the layers that were changed.
    """
    import torch

    right: dict[tuple[Any, ...], bool] = {}
    mended = []
    for name, layer in module.named_modules():
        if isinstance(layer, torch.nn.Conv2d) and max(layer.kernel_size) > 1:
            shape = (layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, layer.groups)
            if shape not in right:
                right[shape] = _is_right(layer)
            if not right[shape]:
                _run_in_float32(layer)
                mended.append(name)
    return tuple(mended)


def _is_right(layer: nn.Conv2d) -> bool:
    import torch

    generator = torch.Generator().manual_seed(1)
    weight = layer.weight.detach().bfloat16()  # its own: drawing as many numbers takes longer than the rest
    size = [2 * side + step for side, step in zip(layer.kernel_size, layer.stride, strict=True)]
    picture = torch.randn((1, layer.in_channels, *size), generator=generator).bfloat16()

    def convolved(dtype: torch.dtype) -> torch.Tensor:
        return torch.nn.functional.conv2d(
            picture.to(dtype), weight.to(dtype), None, layer.stride, groups=layer.groups
        ).float()

    with torch.no_grad():
        truth = convolved(torch.float32)
        return bool((convolved(torch.bfloat16) - truth).abs().max() <= _WRONG * truth.abs().max())


def _run_in_float32(layer: nn.Conv2d) -> None:
    import torch

    layer.float()
    forward = layer.forward

    def exact(picture: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", enabled=False):
            return forward(picture.float()).to(picture.dtype)

    layer.forward = exact  # type: ignore[method-assign, assignment]
