"""Foreground and background by the closed form's equations (Levin, Lischinski and Weiss 2008, section 6).

Both layers explain the picture, ``I = a F + (1 - a) B``, and change where alpha does:

    sum of (a F + (1 - a) B - I)^2 + sum over neighbours of (|a_i - a_j| + r) ((F_i - F_j)^2 + (B_i - B_j)^2).

The equations are solved where alpha is soft, and one pixel around; further away one of the layers is seen and the other
nobody's: there, and as a start, they are those of :mod:`gossamer.foreground.soft_band.solver`, which extend what is
seen.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.conjugate import conjugate_gradients
from gossamer.foreground.soft_band.solver import band_layers
from gossamer.networks.memory import require_memory
from gossamer.parallel.patience import patiently
from gossamer.progress import Progress

__all__ = ["closed_form_layers"]

_REGULARISATION = 1e-5
_PER_SOFT, _PER_PIXEL = 300, 40  # bytes at the peak: neighbours, weights and six vectors of six; both layers and planes
_BLOCK = 1 << 17  # pixels worked on between two chances to cancel
_TOLERANCE, _MOST = 1e-5, 1000
_UNSETTLED = (
    "Closed-form colours had not settled after {} iterations, so they may be inexact. Choose the foreground method "
    "soft_band."
)
_NEIGHBOURS = (-1, 0), (1, 0), (0, -1), (0, 1)


def closed_form_layers(
    image: Array, alpha: Array, progress: Progress, warn: Callable[[str], object]
) -> tuple[Array, Array]:
    """Return foreground and background of checked arrays by the closed-form method.

    `warn` is told in one sentence where the solution had not settled in the end.

    Raises
    ------
    DeviceError
        The memory does not suffice.
    """
    soft = patiently(lambda: _soft(alpha), progress)
    count = int(np.count_nonzero(soft))
    require_memory(
        count * _PER_SOFT + alpha.size * _PER_PIXEL,
        f"Closed-form foreground estimation of {count / 1e6:.1f} million soft pixels",
        "Choose a smaller picture, or the foreground method soft_band.",
    )
    front, back = band_layers(image, alpha, progress.part(0.0, 0.3))
    assert back is not None  # noqa: S101 - asked for by default
    if count:
        system = patiently(lambda: _System(image, alpha, soft), progress)
        residual = patiently(lambda: system.residual(front, back), progress)
        system.progress = progress
        goal = _TOLERANCE * float(np.sqrt(np.square(image[soft], dtype=np.float64).sum()))
        found = conjugate_gradients(
            system.product,
            system.precondition,
            residual,
            goal,
            _MOST,
            progress.part(0.4, 1.0),
            lambda: warn(_UNSETTLED.format(_MOST)),
        )
        for layer, change in ((front, found[:, :3]), (back, found[:, 3:])):
            layer[soft] = np.clip(layer[soft] + change, 0, 1)
            progress.tick()
    # Where one layer is all that is seen, smoothness pulls the solution away from it.
    for layer, alone in ((front, 1), (back, 0)):
        np.copyto(layer, image, where=(alpha == alone)[:, :, None])
        progress.tick()
    return front, back


def _soft(alpha: Array) -> NDArray[np.bool_]:
    """Return the pixels whose alpha is neither 0 nor 1 or not its neighbours', and those beside them."""
    import cv2

    cross = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)
    mixed = ((alpha > 0) & (alpha < 1)).astype(np.uint8)
    edge = cv2.morphologyEx((alpha > 0.5).astype(np.uint8), cv2.MORPH_GRADIENT, cross)
    result: NDArray[np.bool_] = cv2.dilate(mixed | edge, cross).reshape(alpha.shape) > 0
    return result


class _System:
    """The equations of N pixels; vectors are (N, 6): the change of the foreground's colours, then the background's."""

    def __init__(self, image: Array, alpha: Array, soft: NDArray[np.bool_]) -> None:
        self.progress = Progress()  # of the products: a chance to cancel
        self._image, self._soft = image, soft
        height, width = alpha.shape
        y, x = (axis.astype(np.int32) for axis in np.nonzero(soft))
        self._count = len(y)
        number = np.full(soft.shape, self._count, np.int32)
        number[soft] = np.arange(self._count, dtype=np.int32)
        self._alpha = alpha[soft][:, None]
        self._beside = np.empty((self._count, 4), np.int32)  # numbers of the neighbours; N where they are fixed
        self._weights = np.zeros((self._count, 4), np.float32)
        self._places = np.empty((self._count, 4), np.int64)
        for k, (down, right) in enumerate(_NEIGHBOURS):
            there_y, there_x = np.clip(y + down, 0, height - 1), np.clip(x + right, 0, width - 1)
            inside = (there_y != y) | (there_x != x)
            change = np.abs(alpha[there_y, there_x] - self._alpha[:, 0])
            # Every pair of neighbours is counted from both sides.
            self._weights[:, k] = np.float32(2) * (change + np.float32(_REGULARISATION)) * inside
            self._beside[:, k] = number[there_y, there_x]
            self._places[:, k] = there_y.astype(np.int64) * width + there_x
        total = np.maximum(self._weights.sum(axis=1, keepdims=True), np.float32(_REGULARISATION))  # one pixel alone
        a, b = self._alpha, 1 - self._alpha
        self._diagonal = np.hstack([a * a + total, a * b, b * b + total])
        determinant = self._diagonal[:, :1] * self._diagonal[:, 2:] - self._diagonal[:, 1:2] ** 2
        self._inverse = self._diagonal[:, ::-1] / determinant

    def residual(self, front: Array, back: Array) -> Array:
        """Return the right-hand side less the matrix times the given layers, their fixed pixels included."""
        seen = self._image[self._soft]
        a, b = self._alpha, 1 - self._alpha
        layers = [front.reshape(-1, 3), back.reshape(-1, 3)]
        own = [front[self._soft], back[self._soft]]
        mixed = seen - a * own[0] - b * own[1]
        result = np.hstack([a * mixed, b * mixed])
        for half, (layer, mine) in enumerate(zip(layers, own, strict=True)):
            part = result[:, 3 * half : 3 * half + 3]
            for k in range(4):
                part += self._weights[:, k : k + 1] * (layer[self._places[:, k]] - mine)
        del self._places
        return result

    def product(self, x: Array) -> Array:
        """Return the matrix times x."""
        padded = np.concatenate([x, np.zeros((1, 6), np.float32)])
        result = np.empty_like(x)
        for start in range(0, self._count, _BLOCK):
            part = slice(start, start + _BLOCK)
            d, v, y = self._diagonal[part], x[part], result[part]
            y[:, :3] = d[:, :1] * v[:, :3] + d[:, 1:2] * v[:, 3:]
            y[:, 3:] = d[:, 1:2] * v[:, :3] + d[:, 2:] * v[:, 3:]
            for k in range(4):
                y -= self._weights[part, k : k + 1] * padded[self._beside[part, k]]
            self.progress.tick()
        return result

    def precondition(self, r: Array) -> Array:
        """Solve every pixel for itself."""
        result = np.empty_like(r)
        for start in range(0, self._count, _BLOCK):
            part = slice(start, start + _BLOCK)
            i, v, z = self._inverse[part], r[part], result[part]
            z[:, :3] = i[:, :1] * v[:, :3] - i[:, 1:2] * v[:, 3:]
            z[:, 3:] = i[:, 2:] * v[:, 3:] - i[:, 1:2] * v[:, :3]
            self.progress.tick()
        return result
