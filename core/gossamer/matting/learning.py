"""The equations of learning-based matting: alpha is a linear function of the colours, learned window by window.

Zheng and Kambhamettu (ICCV 2009) fit alpha in every 3 x 3 window by ridge regression on the colours; what the fit
leaves, (I - F) alpha with F = X (X'X + e I)^-1 X', is minimised over the whole picture. Levin's Laplacian is the
sum of the I - F themselves, of which this takes the squares: the closed form's solution is nearly this one's, and a
good start.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.conjugate import conjugate_gradients
from gossamer.matting.closed_form.alpha import closed_form_alpha
from gossamer.networks.memory import require_memory
from gossamer.parallel.strips import Strips
from gossamer.progress import Progress

__all__ = ["solve_learning"]

_EPSILON = 1e-7
_CHUNK = 1 << 14  # windows between two chances to cancel
_BLOCK = 1 << 15  # rows of the matrix that a thread multiplies at a time
_PER_UNKNOWN, _PER_PIXEL = 25 * 8 + 150, 20  # bytes at the peak: the matrix with its vectors; planes
_TOLERANCE, _MOST = 1e-5, 1000  # wide bands over flat colours converge slowly, from a start that is good already
_UNSETTLED = (
    "Learning-based matting had not settled after {} iterations, so its alpha may be inexact. Choose a narrower "
    "matting band, or the matting closed_form."
)
_AREA = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)]

_Double = NDArray[np.float64]


def solve_learning(
    image: Array,
    unknown: NDArray[np.bool_],
    foreground: NDArray[np.bool_],
    progress: Progress,
    warn: Callable[[str], object],
) -> NDArray[np.float64]:
    """Return the unknown pixels' alpha, in the order of ``image[unknown]``, not clipped.

    Parameters
    ----------
    image : (H, W, 3) float32 ndarray
    unknown, foreground : (H, W) bool ndarray
        What to solve for, and the certain foreground; the rest is certain background. None of the three is empty.
    progress : Progress
        May raise to cancel.
    warn : callable
        Told in one sentence where the solution had not settled in the end.

    Returns
    -------
    (N,) float64 ndarray

    Raises
    ------
    DeviceError
        The memory does not suffice.
    """
    count = int(np.count_nonzero(unknown))
    require_memory(
        count * _PER_UNKNOWN + unknown.size * _PER_PIXEL,
        f"Learning-based matting of {count / 1e6:.1f} million unknown pixels",
        "Choose a narrower matting band, a smaller picture, or the matting closed_form.",
    )
    trimap = np.where(unknown, np.float32(0.5), foreground.astype(np.float32))
    alpha = closed_form_alpha(image, trimap, progress=progress.part(0.0, 0.4))
    if min(unknown.shape) < 3:  # no window fits
        return alpha[unknown].astype(np.float64)
    at = np.flatnonzero(unknown)
    width = unknown.shape[1]
    offsets = np.array([y * width + x for y in range(-2, 3) for x in range(-2, 3)])
    taps = _taps(image, unknown, at, progress.part(0.4, 0.7))
    steps = progress.part(0.7, 1.0)
    # Two rows and two pixels more on either side: taps that lie outside the picture are zero, but must be read.
    edge = 2 * width + 2
    plane = np.zeros(unknown.size + 2 * edge)

    def product(x: _Double) -> _Double:
        plane[at + edge] = x
        y = np.zeros(count)

        def work(start: int, stop: int) -> None:
            part = slice(start, stop)
            for tap, offset in enumerate(offsets):
                y[part] += taps[part, tap] * plane[at[part] + (edge + offset)]

        strips.each(work, count, _BLOCK, Progress(lambda *_: steps.tick()))
        return y

    diagonal = np.maximum(taps[:, 12], 1e-9)
    with Strips() as strips:
        plane[edge : edge + unknown.size] = alpha.ravel()
        start = alpha[unknown].astype(np.float64)
        residual = -product(start)  # known pixels included, which from here on are zero
        plane[:] = 0.0
        plane[edge : edge + unknown.size][foreground.ravel()] = 1.0
        goal = _TOLERANCE * max(float(np.linalg.norm(product(np.zeros(count)))), 1e-9)  # relative to alpha = 0
        plane[:] = 0.0
        return start + conjugate_gradients(
            product, lambda r: r / diagonal, residual, goal, _MOST, steps, lambda: warn(_UNSETTLED.format(_MOST))
        )


def _taps(image: Array, unknown: NDArray[np.bool_], at: NDArray[np.int64], progress: Progress) -> _Double:
    """Return the (N, 25) weights that tie each unknown pixel to those of its 5 x 5 neighbourhood."""
    import cv2

    width = unknown.shape[1]
    touched = cv2.dilate(unknown.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    touched[[0, -1]] = touched[:, [0, -1]] = False  # windows lie within the picture
    centres = np.flatnonzero(touched)
    number = np.full(unknown.size, -1, np.int32)
    number[at] = np.arange(len(at), dtype=np.int32)
    area = np.array([y * width + x for y, x in _AREA])
    colours = image.reshape(-1, 3)
    taps = np.zeros((len(at), 25))
    for start in range(0, len(centres), _CHUNK):
        progress(start / len(centres))
        pixels = centres[start : start + _CHUNK, None] + area
        sample = np.ones((len(pixels), 9, 4))
        sample[..., :3] = colours[pixels]
        turned = sample.transpose(0, 2, 1)
        left = np.eye(9) - sample @ np.linalg.solve(turned @ sample + _EPSILON * np.eye(4), turned)
        squared = left @ left.transpose(0, 2, 1)
        for a, (y, x) in enumerate(_AREA):
            row = number[pixels[:, a]]
            asked = row >= 0
            row = row[asked]
            for b, (other_y, other_x) in enumerate(_AREA):
                taps[row, 5 * (other_y - y + 2) + other_x - x + 2] += squared[asked, a, b]
    return taps
