# SPDX-License-Identifier: GPL-3.0-or-later
"""ComfyUI's batches of tensors as the library's single arrays, and back."""

from __future__ import annotations

from dataclasses import dataclass

import comfy.model_management
import numpy as np
import torch

__all__ = ["Images", "Masks", "empty", "put", "together"]


@dataclass(frozen=True)
class Images:
    """A batch of pictures, (B, H, W, C) with C 1 (grey), 3 (RGB) or 4 (RGBA); one serves any index.

    Attributes
    ----------
    tensor : torch.Tensor
        The IMAGE that ComfyUI handed over.
    name : str
        What messages call it.
    """

    tensor: torch.Tensor
    name: str

    @classmethod
    def of(cls, tensor: torch.Tensor, name: str) -> Images:
        """Check an IMAGE; raises InputError for a shape that is none."""
        from gossamer import InputError

        if tensor.ndim == 3:
            tensor = tensor[None]
        if tensor.ndim != 4 or tensor.shape[-1] not in (1, 3, 4):
            raise InputError(
                f"The {name} has the shape {tuple(tensor.shape)}.",
                "Give an IMAGE: (batch, height, width, 3 or 4).",
            )
        return cls(tensor, name)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.tensor.shape[1], self.tensor.shape[2]

    def __len__(self) -> int:
        """Return how many pictures there are."""
        return len(self.tensor)

    def rgb(self, index: int) -> np.ndarray:
        """Return picture `index` as (H, W, 3) float32 in [0, 1]; raises InputError for one of another scale."""
        array = _picture(self.tensor[index % len(self)], self.name)
        return np.repeat(array, 3, axis=2) if array.shape[2] == 1 else np.ascontiguousarray(array[:, :, :3])

    def alpha(self, index: int) -> np.ndarray | None:
        """Return the alpha channel of picture `index` as (H, W) float32 in [0, 1], None without one."""
        tensor = self.tensor[index % len(self)]
        return _mask(tensor[:, :, 3], f"{self.name}'s alpha") if tensor.shape[2] == 4 else None


@dataclass(frozen=True)
class Masks:
    """A batch of masks, (B, H, W), 1 = foreground; a batch of one serves any index."""

    tensor: torch.Tensor
    name: str

    @classmethod
    def of(cls, tensor: torch.Tensor, name: str) -> Masks:
        """Check a MASK; (H, W) and (B, 1, H, W), which some nodes hand out, are taken too."""
        return cls(tensor.reshape((-1, tensor.shape[-2], tensor.shape[-1])), name)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.tensor.shape[1], self.tensor.shape[2]

    def __len__(self) -> int:
        """Return how many masks there are."""
        return len(self.tensor)

    def alpha(self, index: int) -> np.ndarray:
        """Return mask `index` as (H, W) float32 in [0, 1]; raises InputError for one of another scale."""
        return _mask(self.tensor[index % len(self)], self.name)


def together(images: Images, masks: Masks, *more: Images) -> int:
    """Return how many results a batch of pictures, its masks and `more` make.

    Raises
    ------
    InputError
        The masks are of another size than the pictures, or a batch is neither 1 nor as long as the longest.
    """
    from gossamer import InputError

    if masks.size != images.size:
        turned = masks.size == images.size[::-1]
        raise InputError(
            f"The {masks.name} is {_pixels(masks.size)} pixels, but the {images.name} is {_pixels(images.size)}.",
            f"Turn the {masks.name} by a quarter (ImageRotate), or make it from this very {images.name}."
            if turned
            else f"Make the {masks.name} from this very {images.name}, or resize one to the other's size.",
        )
    batches = (images, masks, *more)
    count = max(len(batch) for batch in batches)
    if any(len(batch) not in (1, count) for batch in batches):
        lengths = ", ".join(f"{len(batch)} in {batch.name}" for batch in batches)
        raise InputError(f"The batches do not fit together: {lengths}.", "Give batches of the same length, or of one.")
    return count


def empty(*shape: int) -> torch.Tensor:
    """Return an uninitialised float32 tensor where ComfyUI wants results to be."""
    return torch.empty(shape, dtype=torch.float32, device=comfy.model_management.intermediate_device())


def put(target: torch.Tensor, array: np.ndarray) -> None:
    """Copy `array` into `target`, a part of a tensor of :func:`empty`."""
    # a copy where the array is read-only, which torch would warn about
    target.copy_(torch.from_numpy(np.require(array, np.float32, ["C", "W"])))


def _picture(tensor: torch.Tensor, name: str) -> np.ndarray:
    """Return a float32 array within [0, 1]: highlights, and what sharpening overshoots, are cut off; NaN stays NaN."""
    from gossamer import InputError
    from gossamer.arrays import on_another_scale

    array = tensor.detach().to("cpu", torch.float32).numpy()
    if on_another_scale(array):
        raise InputError(f"The {name} has values up to {array.max():g}, not 1.", "Divide 8-bit values by 255.")
    return np.clip(array, 0.0, 1.0)


def _mask(tensor: torch.Tensor, name: str) -> np.ndarray:
    from gossamer.arrays import as_mask

    return as_mask(tensor.detach().to("cpu", torch.float32).numpy(), name=name)


def _pixels(size: tuple[int, int]) -> str:
    return f"{size[1]} x {size[0]}"
