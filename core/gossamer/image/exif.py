"""What EXIF and XMP say about a picture's numbers: which way up, how large on paper, in which colours."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from gossamer.image.colour import (
    ADOBE_RGB,
    SRGB,
    Colour,
    Curve,
    Primaries,
    by_chromaticities,
    by_cicp,
    by_tables,
    gamma,
)
from gossamer.image.ifd import Directory, first_directory

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Exif", "exif_of", "xmp_colour"]

_BROKEN = (SyntaxError, ValueError, TypeError, LookupError, struct.error, OSError, ZeroDivisionError, OverflowError)
_EXIF_IFD, _INTEROPERABILITY_IFD = 0x8769, 0xA005
_INCH = {2: 1.0, 3: 2.54}  # dots per inch in one dot per unit of ResolutionUnit
_SAID_SRGB, _SAID_ADOBE, _UNCALIBRATED = 1, 2, 65535
# The DCF standard's name of a file in Adobe RGB: an underscore for the first of four free characters.
_DCF_ADOBE = re.compile(r"_[A-Za-z0-9_]{3}\d{4}", re.ASCII)
_XMP_PROFILE = re.compile(rb"ICCProfile\s*(?:=\s*[\"']|>)\s*([^\"'<]{1,100})")


class Tags(Protocol):
    """What Pillow's Exif and a :class:`~gossamer.image.ifd.Directory` have in common."""

    def get(self, code: int, /, default: Any = None) -> Any:
        """Return a value, or `default`."""

    def __getitem__(self, code: int, /) -> Any:
        """Return a value."""

    def get_ifd(self, code: int, /) -> Any:
        """Return the directory to which a tag points."""


@dataclass(frozen=True)
class Exif:
    """What was found.

    Attributes
    ----------
    orientation : int
        1 to 8; 1 where it is not told, or the block is broken.
    dpi : tuple of float or None
        Dots per inch, of the picture as it lies in the file.
    colour : Colour or None
        What the numbers are; None where it does not say.
    note : str
        What could not be understood of the colours, for a warning; or empty.
    """

    orientation: int = 1
    dpi: tuple[float, float] | None = None
    colour: Colour | None = None
    note: str = ""

    def upright(self) -> Exif:
        """Return the same of a picture that its decoder has turned upright."""
        dpi = self.dpi[::-1] if self.dpi and self.orientation >= 5 else self.dpi
        return replace(self, orientation=1, dpi=dpi)


def exif_of(block: bytes | Callable[[], Image.Exif] | None, name: str = "", source: str = "its EXIF") -> Exif:
    """Read a block of EXIF, with or without its name before it, or a TIFF file, or one that Pillow has read.

    Parameters
    ----------
    name : str
        The file's: cameras that put no colour space into EXIF begin it with an underscore for Adobe RGB.
    source : str
        What notes call it.
    """
    if not block:
        return Exif()
    try:
        exif: Any = block() if callable(block) else first_directory(block)
        dpi = _dpi(exif)
    except _BROKEN:
        return Exif()
    colour, note = _colour(exif, name, source)
    return Exif(_orientation(exif), dpi, colour, note)


def _orientation(exif: Tags) -> int:
    try:
        orientation = int(exif.get(0x0112, 1))
    except _BROKEN:
        return 1
    return orientation if 1 <= orientation <= 8 else 1


def _dpi(exif: Tags) -> tuple[float, float] | None:
    try:
        unit = _INCH[int(exif.get(0x0128, 2))]
        x, y = float(exif[0x011A]) * unit, float(exif[0x011B]) * unit
    except _BROKEN:
        return None
    return (x, y) if x > 1 and y > 1 else None


def _colour(exif: Tags, name: str, source: str) -> tuple[Colour | None, str]:
    try:
        inner: Any = exif.get_ifd(_EXIF_IFD)
        space = int(inner.get(0xA001, 0))
    except _BROKEN:
        return None, ""
    if space == _SAID_SRGB:
        return SRGB.told_by("its EXIF"), ""
    if space == _SAID_ADOBE:
        return ADOBE_RGB.told_by("its EXIF"), ""
    interoperability = ""
    try:
        pointed: Any = inner.get(_INTEROPERABILITY_IFD)
        # Pillow gives the block itself or, of some files, the place where it is.
        whole = isinstance(inner, Directory)
        further: Any = (
            pointed if isinstance(pointed, dict) else (inner if whole else exif).get_ifd(_INTEROPERABILITY_IFD)
        )
        index = further.get(1, "")
        interoperability = index.decode("ascii", "replace") if isinstance(index, bytes) else str(index)
    except _BROKEN:
        pass
    if interoperability.strip("\0 ") == "R03":
        return ADOBE_RGB.told_by("its EXIF"), ""
    try:
        told = _numbers(exif, inner, source)
    except _BROKEN:
        told = None
    if told is not None:
        return told, ""
    if space == 0:
        return None, ""
    if space == _UNCALIBRATED and _DCF_ADOBE.match(PurePath(name).name):
        return ADOBE_RGB.told_by("its name and its EXIF"), ""
    return None, "its EXIF says that its colours are not sRGB, but not which; they are taken as sRGB"


def _numbers(exif: Tags, inner: Any, source: str) -> Colour | None:
    """Return the space that WhitePoint, PrimaryChromaticities, TransferFunction and Gamma give, or None."""
    white, corners, power, table = exif.get(0x013E), exif.get(0x013F), inner.get(0xA500), exif.get(0x012D)
    primaries = None
    if white is not None and corners is not None:
        x, y = (float(value) for value in white)
        rx, ry, gx, gy, bx, by = (float(value) for value in corners)
        primaries = Primaries((x, y), (rx, ry), (gx, gy), (bx, by))
    if table is not None and len(table) >= 2:
        values = np.array(table, np.uint16)
        count = 1 if len(values) & (len(values) - 1) == 0 else 3
        return by_tables(primaries, np.split(values, count), source)
    curve: Curve | None = gamma(float(power)) if power else None
    if primaries is None:
        return by_chromaticities(None, curve, source) if curve else None
    if curve is None and primaries.near(ADOBE_RGB.primaries):
        return ADOBE_RGB.told_by(source)
    return by_chromaticities(primaries, curve, source)


def xmp_colour(packet: bytes | None) -> tuple[Colour | None, str]:
    """Return the space that XMP's photoshop:ICCProfile names, and a note where it names one unknown here.

    Editors that leave the profile out still write its name.
    """
    found = _XMP_PROFILE.search(packet[: 1 << 20]) if packet else None
    if not found:
        return None, ""
    name = found[1].decode("utf-8", "replace").strip()
    known = {"Adobe RGB (1998)": ADOBE_RGB, "Display P3": by_cicp(12, 13, ""), "sRGB IEC61966-2.1": SRGB}.get(name)
    if known is not None:
        return known.told_by("its XMP"), ""
    if "srgb" in name.lower():
        return SRGB.told_by("its XMP"), ""
    return None, f"its XMP says that its colours are {name!r}, which it does not hold; they are taken as sRGB"
