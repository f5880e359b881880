"""One example looked at: whether it can be trained on, and what about it is odd."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.errors import GossamerError
from gossamer.training.dataset.duplicates import look_at
from gossamer.training.dataset.examples import Example

__all__ = ["Inspection", "faults_of", "inspect"]

_SIDE = 256  # pixels of the longer side that is looked at
_SMALLEST = 32  # pixels: networks see no less
_EMPTY = 0.0002  # the share of a picture below which a subject is none: 5 x 5 pixels of 512 x 512
_INVERTED = 0.85  # the share of the frame that only a mask of the background covers, with something left in the middle
_TURNED = 0.5  # as much of the frame, for a note
_LIKE = 0.8  # the overlap of colours from which on a subject looks as what is behind it
_ITSELF = 0.98  # the correlation with the picture's brightness from which on a mask is the picture in grey
_FAINT = 1.4  # a picture changes across the edge of its subject 2 to 8 times as much as along it, elsewhere 1 time


class Inspection(NamedTuple):
    """What was seen of an example.

    Attributes
    ----------
    example : Example
        With its look and size.
    fault : str
        Why it cannot be used, a sentence; or empty.
    notes : tuple of str
        What is odd, one sentence each.
    """

    example: Example
    fault: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Small:
    rgb: Array
    alpha: Array


def inspect(example: Example) -> Inspection:
    """Read an example and say whether it can be trained on."""
    try:
        rgb, alpha = example.load()
    except GossamerError as error:
        return Inspection(example, error.message, ())
    except MemoryError:
        return Inspection(example, f"There is not enough memory for {example.picture}.", ())
    height, width = alpha.shape
    fault, notes = faults_of(rgb, alpha, cutout=example.is_cutout)
    look = look_at(_shown(rgb, alpha) if example.is_cutout else rgb)
    seen = dataclasses.replace(example, look=look, size=(width, height))
    return Inspection(seen, fault, notes)


def faults_of(rgb: NDArray[np.uint8], alpha: Array, *, cutout: bool = False) -> tuple[str, tuple[str, ...]]:
    """Return why a picture and its mask cannot be used, or "", and what is odd about them.

    Parameters
    ----------
    rgb : (H, W, 3) uint8
    alpha : (H, W) float32
        1 = foreground.
    cutout : bool
        Whether the colours are those of a cut-out, whose background says nothing.
    """
    height, width = alpha.shape
    if min(height, width) < _SMALLEST:
        return f"It is {width} x {height} pixels: too small to learn from.", ()
    covered = float((alpha > 0.5).mean(dtype=np.float64))
    if covered < _EMPTY:
        return "Its mask is empty.", ()
    if float((alpha < 0.5).mean(dtype=np.float64)) < _EMPTY:
        kind = "It is opaque: it has no mask and is no cut-out." if cutout else "Its mask covers everything."
        return kind, ()
    small = _smaller(rgb, alpha)
    frame, inside = _on_frame(small.alpha)
    if frame > _INVERTED and inside < frame - 0.02 and not cutout:
        return "Its mask seems to be inverted: it covers the frame and leaves something within.", ()
    notes: list[str] = []
    if cutout:
        return "", ()
    if _is_itself(small):
        return "Its mask is the picture itself in grey.", ()
    if frame > _TURNED:
        notes.append(f"Its mask covers {frame:.0%} of the frame: is it inverted?")
    likeness = _likeness(small)
    if likeness > _LIKE:
        notes.append(
            f"Its subject has the background's colours (they overlap by {likeness:.0%}): is it the right mask?"
        )
    elif _edge(small) < _FAINT:
        notes.append("Its mask's edge follows nothing in the picture: is it the right mask?")
    return "", tuple(notes)


def _smaller(rgb: NDArray[np.uint8], alpha: Array) -> _Small:
    import cv2

    height, width = alpha.shape
    scale = min(1.0, _SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    colours = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    return _Small(
        np.asarray(colours, np.float32) / np.float32(255),
        np.asarray(cv2.resize(alpha, size, interpolation=cv2.INTER_AREA), np.float32),
    )


def _frame(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return which pixels are of the outermost twenty-fifth of a picture."""
    edge = np.ones(shape[:2], np.bool_)
    rim = max(1, round(0.04 * min(shape[:2])))
    edge[rim:-rim, rim:-rim] = False
    return edge


def _on_frame(alpha: Array) -> tuple[float, float]:
    """Return how much of the frame a mask covers, and how much of what is within."""
    frame = _frame(alpha.shape)
    return float((alpha[frame] > 0.5).mean()), float((alpha[~frame] > 0.5).mean())


def _is_itself(small: _Small) -> bool:
    grey = (small.rgb @ np.array([0.299, 0.587, 0.114], np.float32)).ravel()  # as programs make grey of colours
    alpha = small.alpha.ravel()
    # A mask of a white thing before black is the picture in grey, and right: it is black and white.
    between = float(((alpha > 0.1) & (alpha < 0.9)).mean())
    if between < 0.2 or min(float(grey.std()), float(alpha.std())) < 1e-3:
        return False
    return float(np.corrcoef(grey, alpha)[0, 1]) > _ITSELF


def _likeness(small: _Small) -> float:
    """Return how much the colours of the subject overlap with those of the background at the frame, 0 to 1."""
    behind = _frame(small.alpha.shape) & (small.alpha < 0.1)
    subject = small.alpha > 0.9
    if min(int(behind.sum()), int(subject.sum())) < 64:
        return 0.0
    one, other = _histogram(small.rgb[subject]), _histogram(small.rgb[behind])
    return float(np.minimum(one, other).sum())


def _histogram(colours: Array) -> NDArray[np.float64]:
    """Return the shares of colours in 12 steps a channel, blurred a little, so that a step's border does not count."""
    import cv2

    counts, _ = np.histogramdd(colours, bins=(12, 12, 12), range=((0, 1),) * 3)
    for axis in range(3):
        turned = np.moveaxis(counts, axis, 0).reshape(12, -1)
        blurred = cv2.sepFilter2D(turned, cv2.CV_64F, np.ones(1), np.array([0.25, 0.5, 0.25]))
        counts = np.moveaxis(np.asarray(blurred).reshape(12, 12, 12), 0, axis)
    return np.asarray(counts / max(counts.sum(), 1e-9))


def _edge(small: _Small) -> float:
    """Return how much more the picture changes across the mask's contour than along it."""
    import cv2

    across, down = (cv2.Sobel(cv2.GaussianBlur(small.rgb, (0, 0), 1), cv2.CV_32F, *way) for way in ((1, 0), (0, 1)))
    normal = [cv2.Sobel(cv2.GaussianBlur(small.alpha, (0, 0), 1), cv2.CV_32F, *way) for way in ((1, 0), (0, 1))]
    length = np.hypot(*normal) + np.float32(1e-6)
    x, y = ((one / length)[..., None] for one in normal)
    hard = (small.alpha > 0.5).astype(np.uint8)
    contour = np.asarray(cv2.morphologyEx(hard, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))) > 0
    contour &= ~_frame(hard.shape)
    if int(contour.sum()) < 32:
        return float("inf")
    through, beside = (
        float(np.asarray(cv2.dilate(np.abs(change).max(axis=2), np.ones((3, 3), np.uint8)))[contour].mean())
        for change in (across * x + down * y, across * y - down * x)
    )
    return through / beside if beside > 1e-3 else float("inf")


def _shown(rgb: NDArray[np.uint8], alpha: Array) -> NDArray[np.uint8]:
    """Return a cut-out over grey: what is behind it must not make two of them alike."""
    return np.asarray(np.rint(rgb * alpha[..., None] + np.float32(128) * (1 - alpha[..., None])), np.uint8)
