"""Pictures: `Image`, and reading and writing it with everything that its file says about the numbers."""

from __future__ import annotations

from gossamer.files import check_folder, write_bytes, write_together
from gossamer.image.masks import MaskPicture, MaskSource, read_mask
from gossamer.image.metadata import Metadata, kept_metadata
from gossamer.image.origin import software_of
from gossamer.image.read import Image, ImageSource, read_image
from gossamer.image.within import best_within
from gossamer.image.write import (
    SHEET,
    SOFTWARE,
    check_output,
    check_size_for,
    encode_image,
    format_of,
    rounded,
)

__all__ = [
    "SHEET",
    "SOFTWARE",
    "Image",
    "ImageSource",
    "MaskPicture",
    "MaskSource",
    "Metadata",
    "best_within",
    "check_folder",
    "check_output",
    "check_size_for",
    "encode_image",
    "format_of",
    "kept_metadata",
    "read_image",
    "read_mask",
    "rounded",
    "software_of",
    "write_bytes",
    "write_together",
]
