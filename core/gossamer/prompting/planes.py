"""The planes of a prompt, its mask and its scribbles: in JSON, and at the picture's size."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Any

import numpy as np

from gossamer.arrays import Array
from gossamer.errors import InputError
from gossamer.image import encode_image, read_image

__all__ = ["plane_from_json", "plane_of", "plane_to_json", "to_size"]

_HEAD = "data:image/png;base64,"
# Rounding a picture's sides when it is made smaller changes their ratio by no more than this or by a pixel.
_RATIO = 0.01


def plane_of(source: str | Path | bytes) -> Array:
    """Read a mask or scribbles from a picture: its alpha where it has one, else the mean of its channels."""
    picture = read_image(source)
    if picture.alpha is not None:
        return picture.alpha
    plane: Array = picture.rgb.mean(axis=2, dtype=np.float32)
    return np.clip(plane, 0, 1, out=plane)


def plane_to_json(plane: Array) -> str:
    """Return a plane as a data URL of a grey PNG picture of 16 bits."""
    return _HEAD + base64.b64encode(encode_image(None, plane, "png", bit_depth=16)).decode("ascii")


def plane_from_json(value: Any, name: str, folder: Path | None) -> Any:
    """Return a plane from a data URL or, where `folder` is given, from a picture's path; arrays stay as they are."""
    if not isinstance(value, str):
        return value
    if value.startswith(_HEAD):
        try:
            return plane_of(base64.b64decode(value[len(_HEAD) :], validate=True))
        except binascii.Error:
            raise InputError(f"The prompt's {name} is not valid base64.", "Write it with Prompt.to_json().") from None
    if value.startswith("data:"):
        raise InputError(f"The prompt's {name} is no PNG picture.", f"Give {_HEAD}...")
    if folder is None:
        raise InputError(
            f"The prompt's {name} is a path, and none is allowed here.", f"Give the picture itself: {_HEAD}..."
        )
    return plane_of(folder / value)


def to_size(plane: Array, width: int, height: int, name: str, warnings: list[str]) -> Array:
    """Return a plane at the picture's size.

    Raises
    ------
    InputError
        It has other proportions: it belongs to another picture, or to this one before it was turned.
    """
    rows, columns = plane.shape
    if (rows, columns) == (height, width):
        return plane
    off = abs(columns * height - rows * width)
    # A pixel more or less in either side is rounding too.
    if off > max(_RATIO * rows * width, width, height):
        raise InputError(
            f"The prompt's {name}: {columns} x {rows} pixels do not fit the picture's {width} x {height}.",
            "Draw it over this picture, in the orientation in which it is shown.",
        )
    import cv2

    warnings.append(f"The prompt's {name}: {columns} x {rows} pixels were resized to the picture's {width} x {height}.")
    way = cv2.INTER_AREA if rows > height else cv2.INTER_LINEAR
    if name == "scribbles":
        way = cv2.INTER_NEAREST  # a mark stays a mark
    return np.clip(np.asarray(cv2.resize(plane, (width, height), interpolation=way), dtype=np.float32), 0, 1)
