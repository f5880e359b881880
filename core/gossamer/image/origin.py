"""Which program wrote a picture, as the file itself says."""

from __future__ import annotations

from pathlib import Path

from gossamer.image.kinds import plugin
from gossamer.image.limits import kind_of, quiet

__all__ = ["software_of"]

_SOFTWARE = 0x0131  # the tag of TIFF and EXIF


def software_of(path: Path) -> str:
    """Return what a PNG, TIFF, JPEG or WebP file says of the program that wrote it; "" where it says nothing.

    Nothing is decoded, and what cannot be read says nothing.
    """
    try:
        with quiet(), path.open("rb") as file:
            kind = kind_of(file.read(64))
            file.seek(0)
            if kind not in ("PNG", "TIFF", "JPEG", "WEBP"):
                return ""
            picture = plugin(kind)(file, "")
            said = picture.info.get("Software") if kind == "PNG" else picture.getexif().get(_SOFTWARE)
            return str(said).rstrip("\0") if said else ""
    except Exception:  # the decoders raise nearly anything for damaged files
        return ""
