"""The terms that losses are sums of, each equal to its authors' code.

BCE is taken from logits, which is the same as theirs from probabilities but does not lose its gradient where the
sigmoid has rounded to 0 or 1, and may run beside half precision.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["Structure", "gradient_map", "iou", "laplacian", "matting_terms"]

_WINDOW = 11
_SIGMA = 1.5


def iou(prediction: Tensor, truth: Tensor) -> Tensor:
    """Return 1 - intersection over union, summed over the batch (BiRefNet's ``IoULoss``).

    Parameters
    ----------
    prediction, truth : Tensor, (N, 1, h, w)
        In [0, 1].
    """
    both = (prediction * truth).sum((1, 2, 3))
    either = prediction.sum((1, 2, 3)) + truth.sum((1, 2, 3)) - both
    # Theirs divides 0 by 0 where both are empty: nothing is wrong there.
    return (1 - both / either.clamp_min(1e-12)).where(either > 0, torch.zeros_like(either)).sum()


class Structure:
    """What is compared with a truth in structure: its means and squares are taken once for all maps of a network.

    Parameters
    ----------
    truth : Tensor, (N, 1, h, w)
        In [0, 1].
    """

    def __init__(self, truth: Tensor) -> None:
        self._truth = truth
        self._mean, square = _blurred(torch.cat((truth, truth * truth))).chunk(2)
        self._variance = square - self._mean * self._mean

    def unlike(self, prediction: Tensor) -> Tensor:
        """Return how unlike a map is in structure, 0 to 1 (BiRefNet's ``SSIMLoss``, a Gaussian window of 11 pixels).

        Parameters
        ----------
        prediction : Tensor, (N, 1, h, w)
            In [0, 1].
        """
        mean, square, product = _blurred(
            torch.cat((prediction, prediction * prediction, prediction * self._truth))
        ).chunk(3)
        variance = square - mean * mean
        covariance = product - mean * self._mean
        c1, c2 = 0.01**2, 0.03**2
        likeness = ((2 * mean * self._mean + c1) * (2 * covariance + c2)) / (
            (mean * mean + self._mean * self._mean + c1) * (variance + self._variance + c2)
        )
        return 1 - (1 + likeness.mean()) / 2


def gradient_map(picture: Tensor) -> Tensor:
    """Return what BiRefNet's gradient maps are taught from: the Laplacian, 5 x 5, of the picture's mean colour.

    Parameters
    ----------
    picture : Tensor, (N, 3, h, w)
        Normalised, as the network sees it.

    Returns
    -------
    Tensor, (N, 1, h, w)
    """
    grey = picture.mean(1, keepdim=True)
    kernel = torch.ones(1, 1, 5, 5, dtype=grey.dtype, device=grey.device)
    kernel[0, 0, 2, 2] = -24
    return functional.conv2d(functional.pad(grey, (2, 2, 2, 2), mode="reflect"), kernel / 48)


def laplacian(prediction: Tensor, truth: Tensor, levels: int = 5) -> Tensor:
    """Return the distance of two Laplacian pyramids, coarse levels weighing more (RVM's ``laplacian_loss``).

    Parameters
    ----------
    prediction, truth : Tensor, (N, C, h, w)
    levels : int
        Both sides must be at least ``3 * 2 ** (levels - 1)`` pixels.
    """
    total = prediction.new_zeros(())
    for level in range(levels):
        rows, columns = (side // 2 * 2 for side in prediction.shape[2:])
        fine = [values[:, :, :rows, :columns] for values in (prediction, truth)]
        coarse = [_smoothed(values)[:, :, ::2, ::2] for values in fine]
        details = [one - _enlarged(small) for one, small in zip(fine, coarse, strict=True)]
        total = total + 2**level * functional.l1_loss(details[0], details[1])
        prediction, truth = coarse
    return total / levels


def matting_terms(colours: Tensor, alpha: Tensor, true_colours: Tensor, true_alpha: Tensor) -> dict[str, Tensor]:
    """Return the terms that Robust Video Matting is trained by, whose sum is its loss (``matting_loss``).

    Parameters
    ----------
    colours, true_colours : Tensor, (N, T, 3, h, w)
        Of the foreground, frame by frame.
    alpha, true_alpha : Tensor, (N, T, 1, h, w)

    Returns
    -------
    dict of str to Tensor
    """
    shown = true_alpha.gt(0)
    colours, true_colours = colours * shown, true_colours * shown

    def steady(values: Tensor, true: Tensor) -> Tensor:
        if values.shape[1] < 2:
            return values.new_zeros(())
        return 5 * functional.mse_loss(values[:, 1:] - values[:, :-1], true[:, 1:] - true[:, :-1])

    return {
        "alpha": functional.l1_loss(alpha, true_alpha),
        "laplacian": laplacian(alpha.flatten(0, 1), true_alpha.flatten(0, 1)),
        "alpha_steady": steady(alpha, true_alpha),
        "colours": functional.l1_loss(colours, true_colours),
        "colours_steady": steady(colours, true_colours),
    }


@functools.lru_cache(maxsize=8)
def _blur(side: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return the matrix that blurs a line of so many pixels, zeros beyond its ends."""
    places = torch.arange(_WINDOW, dtype=torch.float32) - _WINDOW // 2
    line = torch.exp(-(places**2) / (2 * _SIGMA**2))
    line = line / line.sum()
    away = torch.arange(side)[None, :] - torch.arange(side)[:, None] + _WINDOW // 2
    inside = (away >= 0) & (away < _WINDOW)
    return (line[away.clamp(0, _WINDOW - 1)] * inside).to(device, dtype)


def _blurred(planes: Tensor) -> Tensor:
    """Return planes, (N, 1, h, w), blurred by the Gaussian window."""
    rows, columns = (_blur(side, planes.device, planes.dtype) for side in planes.shape[2:])
    # Convolutions of one channel are what torch is slowest at: as products of matrices it takes a tenth of that.
    return rows @ planes @ columns.T


def _binomial(values: Tensor) -> Tensor:
    line = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0], device=values.device, dtype=values.dtype)
    return (line[:, None] * line[None, :] / 256)[None, None]


def _smoothed(values: Tensor) -> Tensor:
    n, channels, height, width = values.shape
    flat = functional.pad(values.reshape(n * channels, 1, height, width), (2, 2, 2, 2), mode="reflect")
    return functional.conv2d(flat, _binomial(values)).reshape(n, channels, height, width)


def _enlarged(values: Tensor) -> Tensor:
    n, channels, height, width = values.shape
    spread = values.new_zeros(n, channels, height * 2, width * 2)
    spread[:, :, ::2, ::2] = values * 4
    return _smoothed(spread)
