"""What a file tells about its picture in words: EXIF and XMP, and what of them goes into the next file.

The IPTC digital source type says how a picture came to be: taken by a camera, made or changed by AI. Shops and search
engines ask for it, and whoever edits a picture must not lose it.

References
----------
IPTC Photo Metadata Standard 2023.2, section Digital Source Type. ISO 16684-1 (XMP).
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from gossamer.image.ifd import Directory, first_directory
from gossamer.image.limits import quiet

if TYPE_CHECKING:
    from PIL import Image as Pillow

__all__ = ["Kept", "Metadata", "digital_source_type", "exif_with", "kept_metadata"]

_PACKETS = ((b"<x:xmpmeta", b"</x:xmpmeta>"), (b"<rdf:RDF", b"</rdf:RDF>"))
# As an attribute, as an element, or as an element that refers to it; written with whatever prefix. Nothing in it is
# without bounds: packets are other people's.
_SOURCE_TYPE = re.compile(
    rb"\bDigitalSourceType\s{0,20}=\s{0,20}[\"']\s{0,20}([^\"'<>\s][^\"'<>]{0,300}?)\s{0,20}[\"']"
    rb"|\bDigitalSourceType\b[^<>]{0,300}?\bresource\s{0,20}=\s{0,20}[\"']\s{0,20}([^\"'<>\s][^\"'<>]{0,300}?)\s{0,20}[\"']"
    rb"|\bDigitalSourceType\b[^<>]{0,300}>\s{0,200}([^<>\s][^<>]{0,300}?)\s{0,200}</"
)
_LOOKED_AT = 1 << 20  # bytes of a packet
_ORIENTATION = re.compile(rb"(tiff:Orientation\s*(?:=\s*[\"']|>)\s*)\d")
_PROFILE = re.compile(rb"\s[\w.-]+:ICCProfile\s*=\s*(?:\"[^\"]*\"|'[^']*')|<([\w.-]+:ICCProfile)\b[^>]*>[^<]*</\1\s*>")
_TEMPLATE = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
    'Iptc4xmpExt:DigitalSourceType="{}"/></rdf:RDF></x:xmpmeta>'
)
_MOST = 65_000  # bytes of a block: one segment of a JPEG file holds no more
_UPRIGHT_TAG, _EXIF_IFD, _GPS_IFD, _INTEROPERABILITY_IFD = 0x0112, 0x8769, 0x8825, 0xA005
_COLOUR_SPACE, _WIDE, _HIGH, _SRGB = 0xA001, 0xA002, 0xA003, 1
_BROKEN = (
    AttributeError,
    LookupError,
    OSError,
    OverflowError,
    SyntaxError,
    TypeError,
    ValueError,
    ZeroDivisionError,
    struct.error,
)


@dataclass(frozen=True)
class Metadata:
    """What a file tells.

    Attributes
    ----------
    exif : bytes or None
        A block of EXIF, with or without its name before it.
    xmp : bytes or None
        A packet of XMP, and what its file has around it.
    """

    exif: bytes | None = None
    xmp: bytes | None = None


class Kept(NamedTuple):
    """What of it goes into the next file, and what is to be told about the rest."""

    metadata: Metadata | None
    warnings: tuple[str, ...] = ()


def digital_source_type(xmp: bytes | None) -> str:
    """Return the IPTC digital source type that a packet tells, mostly an address; "" where it tells none."""
    found = _SOURCE_TYPE.search(xmp[:_LOOKED_AT]) if xmp else None
    if found is None:
        return ""
    return next(part for part in found.groups() if part).decode("utf-8", "replace")


def kept_metadata(metadata: Metadata | None, *, whole: bool, srgb: bool = False) -> Kept:
    """Return what of a photograph's metadata its cut-out keeps.

    Parameters
    ----------
    metadata : Metadata or None
        The photograph's.
    whole : bool
        Keep EXIF and XMP; otherwise the digital source type alone.
    srgb : bool
        Whether the colours were converted to sRGB: then they are said to be that.

    Notes
    -----
    What is not true any more is put right: the picture lies upright, has another size, and the thumbnail showed the
    photograph.
    """
    if metadata is None:
        return Kept(None)
    kind = digital_source_type(metadata.xmp)
    warnings = []
    xmp = exif = None
    if whole:
        packet = _packet(metadata.xmp) if metadata.xmp else None
        xmp = _ORIENTATION.sub(rb"\g<1>1", packet) if packet else None
        xmp = _PROFILE.sub(b"", xmp) if xmp and srgb else xmp
        exif = _exif(metadata.exif, srgb) if metadata.exif else None
        if metadata.exif and exif is None:
            warnings.append("The photograph's EXIF is damaged or too long to be kept.")
        if xmp is not None and len(xmp) > _MOST:
            warnings.append("The photograph's XMP is too long to be kept; its digital source type stays.")
            xmp = None
    if xmp is None and kind:
        from xml.sax.saxutils import escape

        xmp = _TEMPLATE.format(escape(kind, {'"': "&quot;"})).encode()
    return Kept(Metadata(exif, xmp) if xmp or exif else None, tuple(warnings))


def _packet(xmp: bytes) -> bytes | None:
    """Return the packet itself, without what its file has around it."""
    for begin, end in _PACKETS:
        first, last = xmp.find(begin), xmp.rfind(end)
        if 0 <= first < last:
            return xmp[first : last + len(end)]
    return None


def _exif(block: bytes, srgb: bool) -> bytes | None:
    """Return a block with what is true of the cut-out; None where it cannot be read or is too long."""
    from PIL import Image

    try:
        whole = first_directory(block)
        inside = [whole.get_ifd(tag) for tag in (_EXIF_IFD, _GPS_IFD)]
        for one in (whole, *inside):  # before Pillow reads them
            if isinstance(one, Directory) and not one.is_sane():
                return None
        with quiet():
            exif = Image.Exif()
            exif.load(block if block.startswith(b"Exif\0\0") else b"Exif\0\0" + block)
            exif[_UPRIGHT_TAG] = 1
            inner: Any = exif.get_ifd(_EXIF_IFD)
            for tag in (_WIDE, _HIGH, *((_INTEROPERABILITY_IFD,) if srgb else ())):
                inner.pop(tag, None)
            if srgb:
                inner[_COLOUR_SPACE] = _SRGB
            written = exif.tobytes()
    except _BROKEN:
        return None
    return written if len(written) <= _MOST else None


def exif_with(block: bytes | None, software: str) -> Pillow.Exif:
    """Return EXIF that names the program, added to a block of :func:`kept_metadata`."""
    from PIL import ExifTags, Image

    exif = Image.Exif()
    if block:
        exif.load(block)
    exif[ExifTags.Base.Software] = software
    return exif
