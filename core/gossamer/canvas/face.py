"""The chin by the eyes: an outline has no chin, but how far it lies below the eyes hardly differs between people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.canvas.subject import Box
from gossamer.resampling import shrink

__all__ = ["chin_by_eyes"]

_SIDE = 320  # pixels of the head's height that it is looked at
_ROOM = 0.5  # of the head's height: how far around the head of the outline faces are looked for
_BELOW = 1.75  # of the distance between the pupils from there to the chin: 113 mm of 64 mm (Farkas 1994, both sexes)
_FACE, _EYES = "haarcascade_frontalface_alt2.xml", "haarcascade_eye_tree_eyeglasses.xml"
_LEAST_FACE, _LEAST_EYE = 0.25, 0.15  # of the head's height and the face's width
_UPPER = 0.6  # of a face's height that the eyes are in
_APART = (0.35, 0.65)  # of the face's width, from pupil to pupil
_LEVEL = 0.15  # of that, how much lower one may be
_SHARE = (0.35, 0.62)  # of the way from the crown to the chin that the eyes lie at, hats and high hair included


def chin_by_eyes(pixels: NDArray[Any], head: Box) -> float | None:
    """Return the row of the chin of somebody who looks at the camera; None where no pair of eyes is found.

    Parameters
    ----------
    pixels : (H, W, 3) uint8 or float32
        The photograph, upright.
    head : Box
        Crown and about the chin, as the outline has them.

    Notes
    -----
    Faces and eyes are found by the cascades of Haar features that OpenCV comes with (Viola and Jones, 2001).
    """
    import cv2

    height, width = pixels.shape[:2]
    room = _ROOM * head.height
    top, bottom = max(int(head.top - 0.2 * room), 0), min(int(head.bottom + room) + 1, height)
    left, right = max(int(head.left - room), 0), min(int(head.right + room) + 1, width)
    part = np.ascontiguousarray(pixels[top:bottom, left:right])
    factor = min(_SIDE / max(head.height, 1.0), 1.0)
    if min(part.shape[:2]) * factor < 1:
        return None
    part = shrink(part, (max(round(part.shape[1] * factor), 1), max(round(part.shape[0] * factor), 1)))
    if part.dtype != np.uint8:
        part = np.rint(np.clip(part, 0, 1) * 255).astype(np.uint8)
    grey = cv2.equalizeHist(cv2.cvtColor(part, cv2.COLOR_RGB2GRAY))
    faces = _found(_FACE, grey, _LEAST_FACE * head.height * factor)
    if not faces:
        return None
    x, y, wide, high = max(faces, key=lambda face: face[2])
    eyes = _found(_EYES, grey[y : y + int(_UPPER * high), x : x + wide], _LEAST_EYE * wide)
    pair = _pair([(left + across / 2, above + down / 2) for left, above, across, down in eyes], wide)
    if pair is None:
        return None
    row, apart = y + pair[0], pair[1]
    eyes_at, chin = top + row / factor, top + (row + _BELOW * apart) / factor
    share = (eyes_at - head.top) / (chin - head.top)
    return chin if _SHARE[0] <= share <= _SHARE[1] and chin <= height else None


def _pair(eyes: list[tuple[float, float]], wide: int) -> tuple[float, float] | None:
    """Return the row of the two eyes that are most on one level, and how far they are apart; None of no pair."""
    pairs = []
    for number, (x, y) in enumerate(eyes):
        for other, beside in eyes[number + 1 :]:
            apart = float(np.hypot(other - x, beside - y))
            if _APART[0] * wide <= apart <= _APART[1] * wide and abs(beside - y) <= _LEVEL * apart:
                pairs.append((abs(beside - y), (y + beside) / 2, apart))
    return min(pairs)[1:] if pairs else None


def _found(cascade: str, grey: NDArray[np.uint8], least: float) -> list[tuple[int, int, int, int]]:
    """Return boxes (left, top, width, height) of what a cascade finds; none where OpenCV has it not."""
    import cv2

    make, folder = getattr(cv2, "CascadeClassifier", None), getattr(getattr(cv2, "data", None), "haarcascades", "")
    path = Path(folder, cascade)
    if make is None or not path.is_file() or not grey.size:
        return []
    classifier = make(str(path))
    if classifier.empty():
        return []
    side = max(round(least), 1)
    boxes = classifier.detectMultiScale(grey, 1.05, 4, minSize=(side, side))
    return [(int(left), int(top), int(wide), int(high)) for left, top, wide, high in boxes]
