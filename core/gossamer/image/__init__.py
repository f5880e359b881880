"""Pictures: `Image`, and reading and writing it with everything that its file says about the numbers."""

from __future__ import annotations

from gossamer.files import write_bytes
from gossamer.image.masks import MaskPicture, MaskSource, read_mask
from gossamer.image.read import Image, ImageSource, read_image
from gossamer.image.write import check_output, encode_image, format_of, rounded

__all__ = [
    "Image",
    "ImageSource",
    "MaskPicture",
    "MaskSource",
    "check_output",
    "encode_image",
    "format_of",
    "read_image",
    "read_mask",
    "rounded",
    "write_bytes",
]
