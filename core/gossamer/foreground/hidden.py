"""Colours where nobody sees them: under alpha 0, beyond the reach of an estimate."""

from __future__ import annotations

import numpy as np

from gossamer.arrays import Array

__all__ = ["CELL", "VISIBLE", "fill_hidden"]

CELL = 16  # pixels: hidden colours need no detail
_BAND = 32 * CELL  # rows worked on at a time
VISIBLE = np.float32(0.5 / 255)  # what 8 bits round to zero is not seen; blur fusion fades to black there too


def fill_hidden(foreground: Array, alpha: Array, reach: int) -> Array:
    """Continue the subject's colours smoothly where nothing is visible in 8 bits within `reach`.

    Blur fusion leaves black there, which shows as soon as somebody feathers, scales or smudges the cut-out.
    Means of coarse cells rise through a pyramid until they find colours, as in pull-push interpolation [1]_.

    Parameters
    ----------
    foreground : (H, W, 3) float32
        Straight colours; changed in place, so give it only what is yours.
    alpha : (H, W) float32
        1 = foreground.
    reach : int
        Pixels, horizontally and vertically, as far as `foreground` is defined around the visible ones.

    Returns
    -------
    (H, W, 3) float32
        `foreground` itself.

    References
    ----------
    .. [1] Gortler, Grzeszczuk, Szeliski, Cohen: "The lumigraph", SIGGRAPH 1996, section 3.4.
    """
    import cv2

    visible = (alpha >= VISIBLE).astype(np.uint8)
    if visible.all() or not visible.any():
        return foreground
    height, width = alpha.shape
    near = np.asarray(cv2.dilate(visible, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)))
    cells = _extended(foreground, alpha)
    scale = np.array([[cells.shape[1] / width, 0, 0], [0, cells.shape[0] / height, 0]])
    for top in range(0, height, _BAND):
        rows = slice(top, min(top + _BAND, height))
        far = (near[rows] == 0).astype(np.uint8)
        if far.any():
            # Pixel centres: x' = (x + 1/2) scale - 1/2; WARP_INVERSE_MAP takes the map from pixels to cells.
            scale[:, 2] = (scale[0, 0] - 1) / 2, (top + 0.5) * scale[1, 1] - 0.5
            smooth = cv2.warpAffine(
                cells,
                scale,
                (width, rows.stop - top),
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_REPLICATE,
            )
            cv2.copyTo(np.asarray(smooth), far, foreground[rows])
    return foreground


def _extended(foreground: Array, alpha: Array) -> Array:
    """Return the colours of cells, those of empty cells taken from coarser ones; at least one has a colour."""
    import cv2

    height, width = alpha.shape
    columns = -(-width // CELL)
    sums, weights = [], []
    for top in range(0, height, _BAND):
        matte = alpha[top : top + _BAND]
        size = (columns, -(-len(matte) // CELL))
        premultiplied = foreground[top : top + _BAND] * matte[..., None]
        sums.append(np.asarray(cv2.resize(premultiplied, size, interpolation=cv2.INTER_AREA)).reshape(*size[::-1], 3))
        weights.append(np.asarray(cv2.resize(matte, size, interpolation=cv2.INTER_AREA)).reshape(size[::-1]))
    return _filled(np.concatenate(sums), np.concatenate(weights))


def _filled(colours: Array, weights: Array) -> Array:
    """Divide premultiplied colours by their weights, blending in coarser levels where there is little weight."""
    import cv2

    height, width = weights.shape
    solid = np.minimum(weights * 8, 1)[..., None]  # an eighth of a cell is enough to speak for it
    own = colours / np.maximum(weights, np.float32(1e-6))[..., None]
    if solid.min() == 1 or (height == 1 and width == 1):
        return np.asarray(own, dtype=np.float32)
    half = (max(1, -(-width // 2)), max(1, -(-height // 2)))
    coarse = _filled(
        np.asarray(cv2.resize(colours, half, interpolation=cv2.INTER_AREA)).reshape(half[1], half[0], 3),
        np.asarray(cv2.resize(weights, half, interpolation=cv2.INTER_AREA)).reshape(half[1], half[0]),
    )
    risen = np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)).reshape(height, width, 3)
    return np.asarray(solid * own + (1 - solid) * risen, dtype=np.float32)
