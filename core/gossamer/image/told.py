"""What a file, or a Pillow picture, says about its pixels; and the colours brought to what that means."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from gossamer.arrays import unit_float
from gossamer.image.colour import SRGB, Colour, Primaries, by_chromaticities, by_cicp, gamma, png_chunks
from gossamer.image.exif import Exif, exif_of, xmp_colour
from gossamer.image.metadata import Metadata
from gossamer.image.profiles import icc_profile

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image as Pillow

__all__ = ["Told", "dpi_of", "told_by_pillow"]


@dataclass
class Told:
    """What is said beside the pixels, from what counts most to what counts least.

    Attributes
    ----------
    icc_profile : bytes or None
        A profile, of any colours.
    colour : Colour or None
        The format's own numbers: chunks, boxes or header fields.
    exif : Exif
        Orientation, size on paper and colours.
    xmp : bytes or None
        A packet, for the name of a profile.
    dpi : tuple of float or None
        The format's own dots per inch, of the picture as it lies in the file.
    narrow : bool
        Whether the numbers are of video's range: 16 to 235 of 255.
    notes : list of str
        What was lost or guessed, for warnings: "it ...", "its ...".
    block : bytes or None
        The whole of EXIF, as it lies in the file.
    """

    icc_profile: bytes | None = None
    colour: Colour | None = None
    exif: Exif = field(default_factory=Exif)
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None
    narrow: bool = False
    notes: list[str] = field(default_factory=list)
    block: bytes | None = None

    @property
    def metadata(self) -> Metadata | None:
        """What the file tells in words; None where it tells nothing."""
        return Metadata(self.block, self.xmp) if self.block or self.xmp else None

    @property
    def upright_dpi(self) -> tuple[float, float] | None:
        """Dots per inch of the picture as it is to be seen."""
        dpi = dpi_of(self.dpi) or dpi_of(self.exif.dpi)
        return dpi[::-1] if dpi and self.exif.orientation >= 5 else dpi

    def settle(self, rgb: NDArray[Any], bits: int) -> tuple[NDArray[Any], bytes | None]:
        """Return the colours and their profile, where no ICC profile was given; None is sRGB.

        The numbers stay, with a profile made for them, where an ICC profile can say what they are; else
        (HDR, linear light) they are brought to sRGB's curve. Either is noted.

        Parameters
        ----------
        rgb : ndarray
            (H, W, 3), uint8 (of 255) or float32 in [0, 1].
        bits : int
            Bits a channel in the file.
        """
        xmp, xmp_note = xmp_colour(self.xmp)
        colour = self.colour or self.exif.colour or xmp
        if colour is None:
            self.notes += [note for note in (self.exif.note or xmp_note,) if note]
        elif self.colour and self.exif.colour and colour.is_srgb and not self.exif.colour.is_srgb:
            # Encoders write sRGB of their own accord, whatever the camera wrote.
            other = self.exif.colour
            self.notes.append(
                f"its colours are {other.name} by {other.source}, but {colour.source} says sRGB, which counts"
            )
        if self.narrow:
            rgb = np.array(unit_float(rgb))
            step = 2 ** (max(bits, 8) - 8)
            rgb *= np.float32((2**bits - 1) / (219 * step))
            rgb -= np.float32(16 / 219)
            np.clip(rgb, 0.0, 1.0, out=rgb)
            self.notes.append("its numbers are of video's range and are spread to the full one")
        if colour is None or colour.is_srgb:
            return rgb, None
        what = f"its colours are {colour.name} by {colour.source}"
        if colour.fits_profile:
            self.notes.append(f"{what}; they are kept, with a profile made for them")
            return rgb, icc_profile(colour)
        rgb = np.array(unit_float(rgb))
        shown = colour.shown(rgb)
        if colour.curve.kind in ("pq", "hlg"):
            self.notes.append(f"{what} (HDR); its brightness is mapped to that of ordinary pictures (BT.2390)")
        else:
            self.notes.append(f"{what}; they are brought to the curve of sRGB")
        return rgb, None if shown.is_srgb else icc_profile(shown)


def dpi_of(value: Any) -> tuple[float, float] | None:
    """Return two sensible numbers, or None."""
    try:
        x, y = (float(part) for part in value)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (x, y) if 1 < x < 1e6 and 1 < y < 1e6 else None  # 1: what writers put who do not know


def told_by_pillow(picture: Pillow.Image, name: str = "", exif: bytes | None = None) -> Told:
    """Gather what Pillow found; of all kinds but JPEG after their pixels are loaded.

    Parameters
    ----------
    exif : bytes, optional
        The block of the file; without it, what the picture has been made to hold.
    """
    info = picture.info
    dpi = info.get("dpi")
    if picture.format == "JPEG" and info.get("jfif_unit") not in (1, 2):
        dpi = None  # Pillow's, out of EXIF: the horizontal for both, and 72 where it is not told
    xmp = info.get("xmp")
    told = Told(
        info.get("icc_profile") or None,
        None,
        exif_of(picture.getexif if exif is None else exif, name),
        xmp.encode() if isinstance(xmp, str) else xmp if isinstance(xmp, bytes) else None,
        dpi_of(dpi),
    )
    told.block = exif or (block if isinstance(block := info.get("exif"), bytes) else None) or None
    try:
        told.colour = _colour(info)
    except (TypeError, ValueError, KeyError, ZeroDivisionError):
        told.notes.append("its numbers name no colour space that there is; it is taken as sRGB")
    return told


def _colour(info: dict[Any, Any]) -> Colour | None:
    """Return what PNG's sRGB, gAMA and cHRM chunks or HEIC's numbers say, as Pillow and pillow-heif keep them."""
    if isinstance(nclx := info.get("nclx_profile"), dict):
        return by_cicp(int(nclx["color_primaries"]), int(nclx["transfer_characteristics"]), "its nclx box")
    if "srgb" in info:
        return SRGB.told_by("its sRGB chunk")
    power, corners = info.get("gamma"), info.get("chromaticity")
    if power is None and corners is None:
        return None
    primaries = None
    if corners is not None:
        primaries = Primaries(*((float(x), float(y)) for x, y in zip(corners[::2], corners[1::2], strict=True)))
    curve = None if power is None else gamma(1 / power)
    return by_chromaticities(primaries, curve, png_chunks(curve, primaries))
