# SPDX-License-Identifier: GPL-3.0-or-later
"""ComfyUI's batches of tensors as the library's single arrays, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import comfy.model_management
import numpy as np
import torch

__all__ = ["Images", "Masks", "empty", "put", "together"]

_CHANNELS = (1, 3, 4)
_NOTHING = (64, 64)  # the size of the zeros that Load Image gives where there is no mask


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
    def of(cls, given: Any, name: str) -> Images:
        """Check an IMAGE; raises InputError for what is none, and for an empty batch."""
        from gossamer import InputError

        tensor = _tensor(given, name, "an IMAGE, e.g. Load Image's")
        if tensor.ndim == 3 and tensor.shape[-1] in _CHANNELS:
            tensor = tensor[None]
        if tensor.ndim == 3:
            raise InputError(
                f"The {name} is a MASK of the shape {tuple(tensor.shape)}.", "Put Convert Mask to Image before it."
            )
        if tensor.ndim != 4 or tensor.shape[-1] not in _CHANNELS:
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
        """Return picture `index` as (H, W, 3) float32 in [0, 1]: highlights above 1 are cut off.

        Raises
        ------
        InputError
            It is of another scale, or holds numbers that are none.
        """
        return np.clip(self.light(index), 0.0, 1.0)

    def light(self, index: int) -> np.ndarray:
        """Return picture `index` as (H, W, 3) float32, with highlights above 1; raises as :meth:`rgb`."""
        array = _picture(self.tensor[index % len(self)][..., :3], self.name, index % len(self))
        return np.repeat(array, 3, axis=2) if array.shape[2] == 1 else np.ascontiguousarray(array)

    def alpha(self, index: int) -> np.ndarray | None:
        """Return the alpha channel of picture `index` as (H, W) float32 in [0, 1], None without one."""
        tensor = self.tensor[index % len(self)]
        return _mask(tensor[:, :, 3], f"{self.name}'s alpha", index % len(self)) if tensor.shape[2] == 4 else None


@dataclass(frozen=True)
class Masks:
    """A batch of masks, (B, H, W), 1 = foreground; a batch of one serves any index.

    Attributes
    ----------
    tensor : torch.Tensor
        The MASK that ComfyUI handed over, with three axes.
    name : str
        What messages call it.
    inverted : bool
        Whether 1 is the background in it; :meth:`alpha` turns it round.
    """

    tensor: torch.Tensor
    name: str
    inverted: bool = False

    @classmethod
    def of(cls, given: Any, name: str, *, inverted: bool = False) -> Masks:
        """Check a MASK; (H, W), (B, 1, H, W) and (B, H, W, 1), which some nodes hand out, are taken too.

        Raises
        ------
        InputError
            It is none, or the batch is empty.
        """
        from gossamer import InputError

        tensor = _tensor(given, name, "a MASK, e.g. Predict Mask (Gossamer)'s")
        shape = tuple(tensor.shape)
        if tensor.ndim == 4 and shape[1] == 1:
            tensor = tensor[:, 0]
        elif tensor.ndim == 4 and shape[3] == 1:
            tensor = tensor[..., 0]
        elif tensor.ndim == 3 and shape[2] == 1:
            tensor = tensor[None, ..., 0]
        elif tensor.ndim == 2:
            tensor = tensor[None]
        if tensor.ndim == 4 and shape[3] in _CHANNELS:
            raise InputError(f"The {name} is an IMAGE of the shape {shape}.", "Put Convert Image to Mask before it.")
        if tensor.ndim != 3:
            raise InputError(f"The {name} has the shape {shape}.", "Give a MASK: (batch, height, width).")
        return cls(tensor, name, inverted)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.tensor.shape[1], self.tensor.shape[2]

    def __len__(self) -> int:
        """Return how many masks there are."""
        return len(self.tensor)

    def alpha(self, index: int) -> np.ndarray:
        """Return mask `index` as (H, W) float32 in [0, 1], 1 = foreground; raises InputError for other numbers."""
        mask = _mask(self.tensor[index % len(self)], self.name, index % len(self))
        return 1 - mask if self.inverted else mask


def together(images: Images, masks: Masks, *more: Images) -> int:
    """Return how many results a batch of pictures, its masks and `more` make.

    Raises
    ------
    InputError
        The masks are of another size than the pictures, or a batch is neither 1 nor as long as the longest.
    """
    from gossamer import InputError

    if masks.size != images.size:
        if masks.size == _NOTHING and not masks.tensor.any():
            raise InputError(
                f"The {masks.name} is Load Image's empty one: its file is opaque, and nothing is painted on it.",
                "Paint it in the mask editor, or connect a mask from another node, e.g. Predict Mask (Gossamer).",
            )
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
    """Return an uninitialised tensor where, and of the type that, ComfyUI wants results to be."""
    wanted = getattr(comfy.model_management, "intermediate_dtype", None)  # 0.25 and later
    dtype = torch.float32 if wanted is None else wanted()
    return torch.empty(shape, dtype=dtype, device=comfy.model_management.intermediate_device())


def put(target: torch.Tensor, array: np.ndarray) -> None:
    """Copy `array` into `target`, a part of a tensor of :func:`empty`."""
    # a copy where the array is read-only, which torch would warn about
    target.copy_(torch.from_numpy(np.require(array, np.float32, ["C", "W"])))


def _tensor(given: Any, name: str, what: str) -> torch.Tensor:
    """Return a tensor that holds something; raises InputError."""
    from gossamer import InputError

    if not isinstance(given, torch.Tensor):
        raise InputError(f"The {name} is no picture but of the type {type(given).__name__}.", f"Connect {what} output.")
    if not given.numel():
        raise InputError(
            f"The {name} is an empty batch of the shape {tuple(given.shape)}.",
            "Look at the node before it, which hands out nothing.",
        )
    return given


def _picture(tensor: torch.Tensor, name: str, index: int) -> np.ndarray:
    """Return a float32 array, checked; highlights may be above 1."""
    from gossamer import InputError
    from gossamer.arrays import on_another_scale

    array = _numbers(tensor, name, index)
    if on_another_scale(array):
        raise InputError(f"The {name} has values up to {array.max():g}, not 1.", "Divide 8-bit values by 255.")
    return array


def _mask(tensor: torch.Tensor, name: str, index: int) -> np.ndarray:
    from gossamer.arrays import as_mask

    return as_mask(_numbers(tensor, name, index), name=name)


def _numbers(tensor: torch.Tensor, name: str, index: int) -> np.ndarray:
    """Return a float32 array; raises InputError where something in it is no number."""
    from gossamer import InputError

    array = tensor.detach().to("cpu", torch.float32).numpy()
    if not np.isfinite(array).all():
        raise InputError(
            f"The {name} holds NaN or infinity (number {index + 1} of the batch).",
            "Look at the node before it: where that is a VAE, start ComfyUI with --fp32-vae.",
        )
    return array


def _pixels(size: tuple[int, int]) -> str:
    return f"{size[1]} x {size[0]}"
