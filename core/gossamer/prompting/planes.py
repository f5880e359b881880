"""The planes of a prompt, its mask and its scribbles, in JSON."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Any

from gossamer.arrays import Array
from gossamer.errors import InputError
from gossamer.image import encode_image

__all__ = ["plane_from_json", "plane_to_json"]

_HEAD = "data:image/png;base64,"


def plane_to_json(plane: Array) -> str:
    """Return a plane as a data URL of a grey PNG picture of 16 bits."""
    return _HEAD + base64.b64encode(encode_image(None, plane, "png", bit_depth=16)).decode("ascii")


def plane_from_json(value: Any, name: str, folder: Path | None) -> Any:
    """Return what a plane is read from: bytes of a data URL, or a picture's path where `folder` is given.

    Numbers stay as they are.
    """
    if not isinstance(value, str):
        return value
    if value.startswith(_HEAD):
        try:
            return base64.b64decode(value[len(_HEAD) :], validate=True)
        except binascii.Error:
            raise InputError(f"The prompt's {name} is not valid base64.", "Write it with Prompt.to_json().") from None
    if value.startswith("data:"):
        raise InputError(f"The prompt's {name} is no PNG picture.", f"Give {_HEAD}...")
    if folder is None:
        raise InputError(
            f"The prompt's {name} is a path, and none is allowed here.", f"Give the picture itself: {_HEAD}..."
        )
    return folder / value
