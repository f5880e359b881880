"""From a network's output to a mask of the picture's size, exactly as its authors do it."""

from __future__ import annotations

import numpy as np

from gossamer.arrays import Array, normalise
from gossamer.errors import ModelError
from gossamer.resampling import area, bilinear, bilinear_align_corners
from gossamer.segmentation.preprocessing import letterbox_box
from gossamer.weights.catalogue import InputSpec, OutputSpec

__all__ = ["SURE", "postprocess"]

SURE = np.float32(0.2)
"""What a network's output must reach somewhere to be stretched: below it the stretching would invent a subject.

What is stretched is the output of a sigmoid, so its numbers are what the network believes. For an empty page, a colour,
a gradient or paper grain, of any size, U2-Net, U2-Netp and IS-Net believe 0.00 to 0.06 at most, which stretched becomes
smears. On photographs with a subject their largest numbers are 0.93 to 1, on narrow cuttings of such 0.22 to 1: tiles
must not be lost, so the limit lies nearer to the pages. A limit of 0.5, which noise and soft blobs pass less often
(IS-Net believes up to 0.42 of them), was tried: it loses what IS-Net finds in a cutting of 151 x 61. Noise of full
contrast passes it with U2-Net and U2-Netp where the picture is hardly larger than what they see, up to 1.00. There the
share of soft numbers (0.1 to 0.9) in what exceeds 0.1 tells more: 0.81 to 1.00 in noise and bricks, 0.39 at most in 28
photographs, fogged or not (U2-Netp). It is not taken: cuttings of photographs reach 0.61, one without a whole subject
0.95, and nobody has measured glass, smoke or most other models. Nor do mirrored and shifted pictures tell: of noise the
masks agree by up to 0.84, of photographs by 0.78 and more. Of coarse stripes, chessboards and wood they are as sure as
of any subject.
"""


def postprocess(prediction: Array, spec: OutputSpec, height: int, width: int, *, fed: InputSpec | None = None) -> Array:
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

    Returns
    -------
    (height, width) float32
        1 = foreground. Where `spec` stretches the mask to [0, 1] and the prediction nowhere reaches :data:`SURE`, it is
        empty; where it is flat, it is not stretched.

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
        box = letterbox_box((prediction.shape[0], prediction.shape[1]), height, width)
        prediction = prediction[box.top : box.top + box.height, box.left : box.left + box.width]
    if spec.normalise != "none" and float(prediction.max()) < SURE:
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


def _sigmoid(logits: Array) -> Array:
    """Return 1 / (1 + exp(-x)), written so that no exponential overflows."""
    result = logits * np.float32(0.5)
    np.tanh(result, out=result)
    result *= np.float32(0.5)
    result += np.float32(0.5)
    return result
