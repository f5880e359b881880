"""Whether what a network believes is worth stretching: of nothing that would make a subject."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array

__all__ = ["BLOCKS", "IN_MEANS", "LEAST", "OFF", "SIDE", "SOFT", "SPREAD", "SURE", "is_of_noise"]

SURE = np.float32(0.2)
"""What a network's output must reach somewhere to be stretched: below it the stretching would invent a subject.

What is stretched is the output of a sigmoid, so its numbers are what the network believes. For an empty page, a colour,
a gradient or paper grain, of any size, U2-Net, U2-Netp and IS-Net believe 0.00 to 0.06 at most, which stretched becomes
smears. On photographs with a subject their largest numbers are 0.93 to 1, on narrow cuttings of such 0.22 to 1: tiles
must not be lost, so the limit lies nearer to the pages. A limit of 0.5, which soft blobs pass less often (IS-Net
believes up to 0.42 of them), was tried: it loses what IS-Net finds in a cutting of 151 x 61.
"""

SOFT = 0.6
"""Share of soft numbers (0.1 to 0.9) in what exceeds 0.1, from which on a network is unsure as a whole.

Of noise and cloth it is 0.67 to 1 (U2-Netp), of whole photographs 0.39 at most, but of cuttings up to 1: alone it is
no ground to refuse anything.
"""

SIDE = 320  # pixels, about: noise is less, beside what is seen through it, where a picture is smaller
BLOCKS = 20  # each way
LEAST = 8  # pixels of a block's side: from fewer nothing is told
IN_MEANS = 0.15
SPREAD = 1.6
OFF = 1.3
"""Up to all three a picture is alike everywhere, as noise, grain, cloth and lawn are.

They are measured on 20 x 20 blocks: the share of the variance that lies in the blocks' means, the largest spread of a
block in terms of the median one, and the largest distance of a block's mean from the picture's in standard deviations.
Noise (white, binary, salt and pepper, coloured, JPEG, film grain) and cloth have 0.00 to 0.06, 1.0 to 1.5 and 0.1 to
0.8 from 200 x 260 pixels on, the textures grass, gravel and brick 0.06 to 0.08, 1.5 and 1.0. Of 674 photographs,
drawings, thumbnails and cuttings, plain, in fog or with noise of 40 levels, one is within: a texture in fog and noise.
With noise of 90 levels, in which hardly anything is seen, nine more are; what a network is still sure of there is kept.
A subject or a single line that differs from such a ground by its brightness or by its texture alone shows in the last
two.
"""


def is_of_noise(prediction: Array, seen: NDArray[np.float32]) -> bool:
    """Tell whether a network is unsure as a whole about a picture that is alike everywhere.

    Parameters
    ----------
    prediction : (h, w) float32
        What the network believes, 0 to 1.
    seen : (C, H, W) float32
        What it was fed: a whole picture. Of a part of one nothing is refused, as it may lie within the subject.

    Returns
    -------
    bool
    """
    above = int(np.count_nonzero(prediction > 0.1))
    soft = above - int(np.count_nonzero(prediction >= 0.9))
    return soft >= SOFT * above and _is_alike(seen.mean(axis=0, dtype=np.float32))


def _is_alike(grey: Array) -> bool:
    """Tell whether a picture has no structure larger than its texture."""
    if (step := min(grey.shape) // SIDE) > 1:
        rows, columns = (side // step for side in grey.shape)
        grey = grey[: rows * step, : columns * step].reshape(rows, step, columns, step).mean(axis=(1, 3))
    height, width = (side // BLOCKS for side in grey.shape)
    if min(height, width) < LEAST:
        return False
    inner = grey[: height * BLOCKS, : width * BLOCKS]
    blocks = (inner - inner.mean()).reshape(BLOCKS, height, BLOCKS, width)
    variance = float((blocks * blocks).mean())
    means, spreads = blocks.mean(axis=(1, 3)), blocks.std(axis=(1, 3))
    return bool(
        (means * means).mean() <= IN_MEANS * variance
        and spreads.max() <= SPREAD * np.median(spreads)
        and np.abs(means).max() <= OFF * np.sqrt(variance)
    )
