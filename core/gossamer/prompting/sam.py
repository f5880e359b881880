"""What SAM 2 and SAM 3 share: how they see a picture, its feature maps, and masks at its size from logits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gossamer.arrays import Array
from gossamer.networks.transformers_network import TransformersModel, TransformersNetwork, checked_pixels
from gossamer.parallel.patience import patiently
from gossamer.progress import Progress, ProgressCallback
from gossamer.prompting.protocol import BOX_THRESHOLD
from gossamer.resampling import Pixels

__all__ = ["FeatureMaps", "Sam", "mask_of", "stretched"]


@dataclass(frozen=True, eq=False)
class FeatureMaps:
    """What a SAM remembers of a picture: no pixels.

    Attributes
    ----------
    size : tuple of int
        Height and width of the picture.
    features : list of torch.Tensor or transformers' Sam3VisionEncoderOutput
    """

    size: tuple[int, int]
    features: Any = field(repr=False)


class Sam(TransformersModel, ABC):
    """A loaded SAM, as far as it looks at pictures.

    Parameters
    ----------
    module : torch.nn.Module
        Of transformers.
    title, id : str
        What messages and reports call it.
    side : int
        Of the pictures that it sees.
    device, precision : str
        As for :class:`~gossamer.networks.transformers_network.TransformersNetwork`; ``auto`` is bfloat16 on
        CUDA, as the authors run it.
    """

    box_threshold = BOX_THRESHOLD

    def __init__(self, module: Any, title: str, id: str, side: int, *, device: str, precision: str) -> None:
        network = TransformersNetwork(module, title, device=device, precision=precision, automatic="bfloat16")
        super().__init__(network, id)
        self._side = side

    def embed(self, image: ArrayLike, progress: ProgressCallback | Progress | None = None) -> FeatureMaps:
        """Run the image encoder on a picture: nearly all of the work.

        Parameters
        ----------
        image : (H, W, 3) array
            RGB, uint8, uint16 or float in [0, 1].
        progress : callable, optional
            What it raises stops the work and passes through.

        Returns
        -------
        FeatureMaps
            Of use for any number of prompts.

        Raises
        ------
        InputError
            The picture has another shape or values outside [0, 1].
        DeviceError, ModelError
            Memory does not hold it, or the network could not be run.
        """
        steps = Progress.of(progress)
        steps(0.0, f"Looking at the picture with {self.id}")
        pixels = patiently(lambda: checked_pixels(image), steps)
        features = self._network.run(lambda module: self._encoded(module, pixels), steps)
        steps(1.0)
        return FeatureMaps(pixels.shape[:2], features)

    @abstractmethod
    def _encoded(self, module: Any, image: Pixels) -> Any:
        """Return what the image encoder makes of a picture."""


def stretched(planes: NDArray[Any], height: int, width: int) -> Any:
    """Return planes (H, W, n) as a tensor (1, n, height, width), resized in their own type as the authors do."""
    import torch
    from torch.nn.functional import interpolate

    tensor = torch.from_numpy(np.ascontiguousarray(planes.transpose(2, 0, 1)))[None]
    return interpolate(tensor, (height, width), mode="bilinear", align_corners=False, antialias=True)


def mask_of(logits: Any, height: int, width: int) -> Array:
    """Return the mask of logits, (h, w): their sigmoid, enlarged to the picture's size as the authors do."""
    from torch.nn.functional import interpolate

    large = interpolate(logits[None, None], (height, width), mode="bilinear", align_corners=False)
    mask: Array = large[0, 0].sigmoid().cpu().numpy()
    return mask
