"""A picture with what was found drawn over it: masks tinted, boxes, labels, scores and the prompt's points."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.prompting.prompt import Prompt
from gossamer.prompting.protocol import Subject

__all__ = ["annotate"]

_TINT = 0.45  # of a mask's colour
_TURN = 0.618034  # the golden ratio: neighbouring numbers get colours far apart on the wheel
_GREEN, _RED = (40, 200, 60), (220, 40, 40)


def annotate(image: Array, subjects: Sequence[Subject], prompt: Prompt | None = None) -> NDArray[np.uint8]:
    """Draw what was found over a picture.

    Parameters
    ----------
    image : (H, W, 3) float32
        RGB in [0, 1].
    subjects : sequence of Subject
    prompt : Prompt, optional
        In pixels: its boxes and points are drawn too.

    Returns
    -------
    (H, W, 3) uint8
    """
    import cv2

    canvas = image.copy()
    colours = [_colour(number) for number in range(len(subjects))]
    for subject, colour in zip(subjects, colours, strict=True):
        weight = (np.float32(_TINT) * subject.mask)[:, :, None]
        canvas += weight * (np.asarray(colour, np.float32) / np.float32(255) - canvas)
    result: NDArray[np.uint8] = np.rint(np.clip(canvas, 0, 1) * np.float32(255)).astype(np.uint8)
    thick = max(round(max(result.shape) / 500), 1)
    for number, (subject, colour) in enumerate(zip(subjects, colours, strict=True)):
        edge = (subject.mask > 0.5).astype(np.uint8)
        contours, _ = cv2.findContours(edge, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(result, contours, -1, colour, thick)
        rows, columns = np.nonzero(edge)
        corner = (int(columns.min()), int(rows.min())) if len(rows) else (0, 0)
        if subject.box is not None:
            x0, y0, x1, y1 = (round(edge) for edge in subject.box)
            cv2.rectangle(result, (x0, y0), (x1 - 1, y1 - 1), colour, thick)
            corner = x0, y0
        # OpenCV's letters are ASCII alone.
        words = subject.label.encode("ascii", "replace").decode() or f"#{number + 1}"
        _write(result, f"{words} {subject.score:.2f}", corner, colour, thick)
    if prompt is not None:
        for points, colour in ((prompt.points, _GREEN), (prompt.not_points, _RED)):
            for x, y in points:
                cv2.circle(result, (int(x), int(y)), 4 * thick, (255, 255, 255), -1)
                cv2.circle(result, (int(x), int(y)), 3 * thick, colour, -1)
    return result


def _colour(number: int) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb((0.6 + number * _TURN) % 1, 0.75, 0.95)
    return round(255 * red), round(255 * green), round(255 * blue)


def _write(
    canvas: NDArray[np.uint8], text: str, corner: tuple[int, int], colour: tuple[int, int, int], thick: int
) -> None:
    import cv2

    size = 0.5 * thick
    (width, height), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, thick)
    x = max(min(corner[0], canvas.shape[1] - width), 0)
    y = max(corner[1], height + below)
    cv2.rectangle(canvas, (x, y - height - below), (x + width, y), colour, -1)
    cv2.putText(canvas, text, (x, y - below), cv2.FONT_HERSHEY_SIMPLEX, size, (0, 0, 0), thick, cv2.LINE_AA)
