"""From a network's output to a mask of the picture's size, exactly as its authors do it."""

from __future__ import annotations

import numpy as np

from gossamer.arrays import Array, normalise
from gossamer.errors import ModelError
from gossamer.resampling import area, bilinear, bilinear_align_corners
from gossamer.segmentation.doubt import SURE, is_of_noise
from gossamer.segmentation.preprocessing import letterbox_box
from gossamer.weights.catalogue import InputSpec, OutputSpec

__all__ = ["postprocess"]


def postprocess(
    prediction: Array,
    spec: OutputSpec,
    height: int,
    width: int,
    *,
    fed: InputSpec | None = None,
    seen: Array | None = None,
) -> Array:
    """Turn a network's output into a mask of the picture's size.

    Everything but the last resizing happens at the network's size, so a large picture costs one mask.

    Parameters
    ----------
    prediction : (h, w) float32
        The network's output.
    spec : OutputSpec
        The authors' own steps, see the catalogue.
    height, width : int
        The picture's size.
    fed : InputSpec, optional
        How the picture was fed: what a letterbox added is cut off again.
    seen : (C, h, w) float32, optional
        What was fed, where that was a whole picture.

    Returns
    -------
    (height, width) float32
        1 = foreground. Where `spec` stretches the mask to [0, 1] and the prediction nowhere reaches
        :data:`~gossamer.segmentation.doubt.SURE`, or is unsure about a picture of noise, it is empty; where it is flat,
        it is not stretched.

    Raises
    ------
    ModelError
        The prediction is not finite, or the catalogue asks for a resizing that this version does not have.
    """
    if not np.isfinite(prediction).all():
        raise ModelError("The model's prediction is not a number.", "Fetch its weights again, or try --device cpu.")
    if spec.activation == "sigmoid":
        prediction = _sigmoid(prediction)
    if fed is not None and fed.resize == "letterbox":
        prediction = _unboxed(prediction, height, width)
        seen = None if seen is None else _unboxed(seen, height, width)
    if spec.normalise != "none":
        unsure = float(prediction.max()) < SURE
        if unsure or (seen is not None and is_of_noise(prediction, seen)):
            return np.zeros((height, width), np.float32)
    if spec.normalise == "before_resize":
        prediction = normalise(prediction)
    if spec.resize == "bilinear":
        mask = bilinear(prediction, height, width)
    elif spec.resize == "bilinear_align_corners":
        mask = bilinear_align_corners(prediction, height, width)
    elif spec.resize == "area":
        mask = area(prediction, height, width)
    else:
        raise ModelError(f"The resizing {spec.resize!r} is not supported.", "Install a newer Gossamer.")
    if np.shares_memory(mask, prediction):
        mask = mask.copy()
    if spec.normalise == "after_resize":
        normalise(mask, out=mask)
    return np.clip(mask, 0, 1, out=mask)


def _unboxed(plane: Array, height: int, width: int) -> Array:
    """Return (…, h, w) without what a letterbox added to a picture of that size."""
    box = letterbox_box((plane.shape[-2], plane.shape[-1]), height, width)
    return plane[..., box.top : box.top + box.height, box.left : box.left + box.width]


def _sigmoid(logits: Array) -> Array:
    """Return 1 / (1 + exp(-x)), written so that no exponential overflows."""
    result = logits * np.float32(0.5)
    np.tanh(result, out=result)
    result *= np.float32(0.5)
    result += np.float32(0.5)
    return result
