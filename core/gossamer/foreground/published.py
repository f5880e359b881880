"""The multi-level method (Germer, Uelwer, Conrad and Harmeling 2020) as PyMatting has it, in strips on every core."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gossamer.arrays import Array
from gossamer.foreground.checks import check_pair
from gossamer.parallel.patience import patiently
from gossamer.parallel.strips import Strips
from gossamer.progress import Progress, ProgressCallback

__all__ = ["multilevel", "multilevel_layers"]

_REGULARISATION = np.float32(1e-5)
_SWEEPS, _SMALL_SWEEPS, _SMALL = 2, 10, 32  # the second for pictures of at most so many pixels a side
_CHUNK = 1 << 15  # pixels of a strip: what is computed from them stays in the cache


def multilevel(image: ArrayLike, alpha: ArrayLike, *, progress: Progress | ProgressCallback | None = None) -> Array:
    """Estimate the foreground's colours by the multi-level method.

    Parameters
    ----------
    image : (H, W, 3) array-like
        The picture: floats in [0, 1], uint8 or uint16.
    alpha : (H, W) array-like
        1 where the foreground is: floats in [0, 1], uint8, uint16 or bool.
    progress : callable, optional
        Called as ``progress(fraction, message)``; may raise to cancel.

    Returns
    -------
    (H, W, 3) float32
        The foreground's straight colours in [0, 1].

    Raises
    ------
    InputError
        A wrong shape, type or size, values outside [0, 1] or not finite.

    References
    ----------
    T. Germer, T. Uelwer, S. Conrad, S. Harmeling, "Fast Multi-Level Foreground Estimation", ICPR 2020.
    """
    report = Progress.of(progress)
    report(0.0, "Estimating foreground colours")
    foreground, _ = multilevel_layers(*check_pair(image, alpha), report)
    report(1.0)
    return foreground


def multilevel_layers(image: Array, alpha: Array, progress: Progress) -> tuple[Array, Array]:
    """Return foreground and background of checked arrays by the multi-level method.

    The published code sweeps from the first pixel to the last; here it is the two colours of a chessboard in turn, so
    that threads share the work and the result does not depend on their number.
    """
    height, width = alpha.shape
    levels = max(math.ceil(math.log2(max(height, width))), 1)
    # The means of what is nearly pure, and a black that hardly counts where nothing is.
    means = patiently(lambda: [_mean(image, alpha > 0.9), _mean(image, alpha < 0.1)], progress)
    layers = np.concatenate(means, axis=2)
    with Strips() as strips:
        for level in range(levels + 1):
            part = progress.part(0.25 ** (levels - level + 1), 0.25 ** (levels - level))
            size = round(height ** (level / levels)), round(width ** (level / levels))
            rows, columns = (np.arange(n) * whole // n for n, whole in zip(size, alpha.shape, strict=True))
            last = level == levels
            picture = image if last else image[rows[:, None], columns]
            matte = alpha if last else alpha[rows[:, None], columns]
            rows, columns = (np.arange(n) * whole // n for n, whole in zip(size, layers.shape, strict=False))
            # One pixel more on every side, a copy of its neighbour, as the published code has its borders.
            grown = np.empty((size[0] + 2, size[1] + 2, 6), np.float32)
            for top in range(0, size[0], 256):
                grown[1 + top : 1 + min(top + 256, size[0]), 1:-1] = layers[rows[top : top + 256, None], columns]
                part.tick()
            layers = grown[1:-1, 1:-1]
            edged = np.pad(matte, 1, mode="edge")
            sweeps = _SMALL_SWEEPS if max(size) <= _SMALL else _SWEEPS
            for sweep in range(2 * sweeps):
                _mirror(grown)

                def work(
                    top: int,
                    bottom: int,
                    colour: int = sweep % 2,
                    planes: tuple[Array, Array, Array] = (picture, edged, grown),
                ) -> None:
                    for y in (0, 1):
                        _relax(*planes, top + y, bottom, (colour + y) % 2)

                step = 2 * (1 + _CHUNK // 2 // size[1])
                strips.each(work, size[0], step, part.part(sweep / sweeps / 2, (sweep + 1) / sweeps / 2))
    return patiently(lambda: _with_what_is_seen(image, alpha, layers), progress)


def _mean(image: Array, where: NDArray[np.bool_]) -> Array:
    count = int(np.count_nonzero(where))
    total = np.einsum("hwc,hw->c", image, where, dtype=np.float64) if count else np.zeros(3)
    return (total / (count + 1e-5)).astype(np.float32).reshape(1, 1, 3)


def _with_what_is_seen(image: Array, alpha: Array, layers: Array) -> tuple[Array, Array]:
    """Write the picture where one layer is all that is seen: smoothness pulls the solution away from it there."""
    front, back = np.ascontiguousarray(layers[..., :3]), np.ascontiguousarray(layers[..., 3:])
    for layer, alone in ((front, 1), (back, 0)):
        np.copyto(layer, image, where=(alpha == alone)[:, :, None])
    return front, back


def _mirror(grown: Array) -> None:
    """Write the border that is one pixel wide."""
    grown[0, 1:-1], grown[-1, 1:-1] = grown[1, 1:-1], grown[-2, 1:-1]
    grown[1:-1, 0], grown[1:-1, -1] = grown[1:-1, 1], grown[1:-1, -2]


def _relax(image: Array, edged: Array, grown: Array, top: int, bottom: int, left: int) -> None:
    """Solve every second pixel of every second row, `top` to `bottom`, for itself, its neighbours given; in place."""
    height, width = image.shape[:2]
    rows, columns = slice(top, min(bottom, height), 2), slice(left, width, 2)
    a = edged[1:-1, 1:-1][rows, columns]
    if not a.size:
        return
    b = 1 - a
    total = np.zeros_like(a)
    near = np.zeros((*a.shape, 6), np.float32)
    for down, right in ((1, 0), (1, 2), (0, 1), (2, 1)):
        there = slice(down + top, down + min(bottom, height), 2), slice(right + left, right + width, 2)
        weight = np.abs(edged[there] - a)
        weight += _REGULARISATION
        total += weight
        near += weight[..., None] * grown[there]
    seen = image[rows, columns]
    near[..., :3] += a[..., None] * seen
    near[..., 3:] += b[..., None] * seen
    a00, a01, a11 = a * a + total, a * b, b * b + total
    inverse = 1 / (a00 * a11 - a01 * a01)
    a00, a01, a11 = ((plane * inverse)[..., None] for plane in (a00, a01, a11))
    result = grown[1:-1, 1:-1][rows, columns]
    np.clip(a11 * near[..., :3] - a01 * near[..., 3:], 0, 1, out=result[..., :3])
    np.clip(a00 * near[..., 3:] - a01 * near[..., :3], 0, 1, out=result[..., 3:])
