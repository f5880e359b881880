"""Which stages of a recipe a card can run right after the network, and what has been made of a picture there.

A recipe whose matting is none or guided and whose colours are none or blur fusion has no stage that needs the
processor, but for what is thin in a mask. So the card goes on where the mask lies, and what it makes comes back with
it, in one copy. Every other recipe takes the mask from there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.canvas.stage import changes_the_picture
from gossamer.cutout import Ahead
from gossamer.errors import DeviceError
from gossamer.foreground.stage import subject_colours as stage_colours
from gossamer.image import Image
from gossamer.networks.memory import card_memory
from gossamer.networks.pictures import Further, Plane
from gossamer.parallel.patience import patiently
from gossamer.platform import available_memory
from gossamer.progress import Progress
from gossamer.resampling import Pixels
from gossamer.segmentation.model import SegmentationModel
from gossamer.settings import Recipe
from gossamer.settings.recipe import Refinement

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["further_of", "made_ahead", "matte", "subject_colours"]

_A_PIXEL = 400  # bytes that the two stages take at their peak, counted plane by plane, most of them in float64
_DOUBLE = ("cuda", "cpu")  # devices that have float64: MPS has none, nor have many of Intel's cards


def further_of(recipe: Recipe, pixels: NDArray[Any], device: str) -> Further | None:
    """Return what a device can make of a picture beyond its mask, by a recipe; None where it is nothing.

    Parameters
    ----------
    recipe : Recipe
    pixels : (H, W, 3) array
        The picture: bytes, or nothing is made ahead.
    device : str
        As torch calls it.
    """
    # Each of these loads kernels: only where there is a card.
    from gossamer.foreground.soft_band.solver import LARGE
    from gossamer.matting.stage import band_pixels

    guided = recipe.matting.method == "guided"
    coloured = _wants_colours(recipe)
    bare = recipe.matting.method in ("none", "guided") and recipe.refinement == Refinement()
    if pixels.dtype != np.uint8 or device not in _DOUBLE or not bare or not (guided or coloured):
        return None
    shape = (pixels.shape[0], pixels.shape[1])
    radius = band_pixels(recipe.matting, shape)
    own = recipe.foreground
    planes = [Plane(shape, "float32")] if guided else []
    large = shape[0] * shape[1] > LARGE
    if coloured:
        planes.append(Plane((*shape, 3), "uint8" if large else "float32"))

    def work(pictures: Tensor, masks: Tensor) -> list[Tensor]:
        import torch

        from gossamer.card.colours import fused_colours
        from gossamer.card.guided import guided_alphas

        found: list[list[Tensor]] = [[] for _ in planes]
        for picture, mask in zip(torch.split(pictures, 1), torch.split(masks, 1), strict=True):  # in the memory of one
            made = []
            if guided:
                mask = guided_alphas(picture, mask, radius)
                made.append(mask)
            if coloured:
                made.append(fused_colours(picture, mask, own.radius, own.fine_radius, eight_bit=large))
            for each, plane in zip(found, made, strict=True):
                each.append(plane)
        return [torch.cat(each) for each in found]

    return Further((guided, radius, coloured, own.radius, own.fine_radius), tuple(planes), work)


def _shortage(pixels: NDArray[Any], device: str) -> str:
    """Return what a report says where a card has no room for the stages of a picture; "" where it has."""
    height, width = pixels.shape[:2]
    left = available_memory() if device == "cpu" else card_memory(device)
    if left is None or height * width * _A_PIXEL <= left:
        return ""
    return (
        f"The graphics card has {left / 1e9:.1f} GB left, too little for the edges and colours of {width} x {height} "
        "pixels: the processor makes them."
    )


def made_ahead(
    model: SegmentationModel, pixels: NDArray[Any], recipe: Recipe, steps: Progress
) -> tuple[Ahead | None, tuple[str, ...]]:
    """Find the subject of a picture and make what can be made of it while it is on the model's card.

    Parameters
    ----------
    model : SegmentationModel
    pixels : (H, W, 3) array
    recipe : Recipe
    steps : Progress
        As for :meth:`SegmentationModel.predict <gossamer.segmentation.model.SegmentationModel.predict>`.

    Returns
    -------
    Ahead or None
        None where the model's mask is all that it can make.
    tuple of str
        What a report says where the card has no room.

    Raises
    ------
    ModelError
        The network could not be run.
    """
    wanted = further_of(recipe, pixels, model.device) if model.takes_pictures else None
    if wanted is None:
        return None, ()
    if short := _shortage(pixels, model.device):
        return None, (short,)
    try:
        planes = model.predict_further(pixels, wanted, steps)
    except DeviceError as error:  # where it is not for want of room, the mask alone will meet the same
        return None, (f"{error.message} The processor makes its edges and colours.",)
    if planes is None:
        return None, ()
    mask, *rest = planes
    alpha = rest.pop(0) if recipe.matting.method == "guided" else mask
    return Ahead(mask, alpha, rest[0] if rest else None, recipe.matting, recipe.foreground), ()


def matte(
    pixels: Pixels,
    mask: Array,
    recipe: Recipe,
    ahead: Ahead | None,
    progress: Progress,
    warn: Callable[[str], object],
    device: str,
    announce: Callable[[str], object] | None,
    of_clip: bool = False,
) -> Array:
    """Do what :func:`gossamer.matting.stage.matte` does, of an alpha that was made ahead where one was."""
    from gossamer.matting import stage
    from gossamer.matting.thin_parts import keep_thin, loss_warnings

    if ahead is None or mask is not ahead.mask or recipe.matting != ahead.matting:
        how: dict[str, Any] = {"progress": progress, "warn": warn, "device": device, "announce": announce}
        return stage.matte(pixels, mask, recipe.matting, of_clip=of_clip, **how)
    kept = patiently(lambda: keep_thin(ahead.alpha, mask), progress)
    if float(mask.min()) < 1:
        for warning in patiently(lambda: loss_warnings(kept, mask), progress):
            warn(warning)
    return kept


def subject_colours(source: Image, alpha: Array, recipe: Recipe, ahead: Ahead | None, **how: Any) -> NDArray[Any]:
    """Do what :func:`gossamer.foreground.stage.subject_colours` does; return what was made ahead by that very alpha."""
    if ahead is not None and ahead.colours is not None and how["final"] and recipe.foreground == ahead.foreground:
        if alpha is ahead.alpha or np.array_equal(alpha, ahead.alpha):
            return ahead.colours
    return stage_colours(source, alpha, recipe.foreground, **how)


def _wants_colours(recipe: Recipe) -> bool:
    """Return whether the colours are blur fusion's, and nothing is made of them but a file."""
    own = recipe.foreground
    plain = own.decontaminate >= 100 and own.despill in ("none", "auto")
    final = recipe.background.fill == "transparent" and not changes_the_picture(recipe)
    return own.method == "blur_fusion" and plain and final
