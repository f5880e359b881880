"""Pictures that Pillow reduces to 8 bits, or reads with pieces missing: 16-bit PNG, TIFF, HEIC."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gossamer.errors import InputError, import_failure
from gossamer.image.limits import check_delivered, check_size, unknown_kind
from gossamer.image.tiff_segments import BY_US, JPEG, samples

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gossamer.image.png_file import PngFile
    from gossamer.image.tiff_file import TiffPicture

__all__ = ["Raw", "read_heif", "read_png", "read_tiff"]

_CMYK = 1
_WHITE_IS_ZERO, _PALETTE, _SEPARATED, _YCBCR = 0, 3, 5, 6
_COLOURS = {_WHITE_IS_ZERO: 1, 1: 1, 2: 3, _PALETTE: 1, _SEPARATED: 4}  # channels but extra ones
_REMEDY_TIFF = "Save it as an 8- or 16-bit RGB TIFF without compression, or as PNG."


@dataclass
class Raw:
    """Decoded pixels.

    Attributes
    ----------
    pixels : ndarray
        (H, W, C) with C 1 (grey), 2 (grey and alpha), 3 or 4: unsigned integers or floats, RGB order; with `inks`
        (H, W, 4), or 5 with alpha, uint8.
    white : float
        The value that means 1.
    """

    pixels: NDArray[Any]
    white: float
    bit_depth: int
    premultiplied: bool = False
    inks: bool = False


def read_png(png: PngFile) -> Raw:
    """Read a 16-bit PNG; its tRNS colour becomes alpha."""
    import cv2

    # libpng writes its complaints to stderr, past Python: it is given nothing to complain about.
    data = png.clean if png.check_whole() else png.plain()
    found: NDArray[Any] | None = cv2.imdecode(
        np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
    )
    if found is None:
        raise ValueError("OpenCV cannot decode it")
    channels = png.channels
    pixels = found if found.ndim == 3 else found[..., None]
    if channels == 2:  # OpenCV spreads grey and alpha to four channels
        pixels = pixels[..., [0, 3]]
    elif channels == 3:
        pixels = pixels[..., ::-1]
    elif channels == 4:
        red = pixels[..., 2].copy()
        pixels[..., 2] = pixels[..., 0]
        pixels[..., 0] = red
    if png.key is not None and channels in (1, 3):
        opaque = np.any(pixels != np.array(png.key, np.uint16), axis=-1, keepdims=True)
        pixels = np.concatenate([pixels, opaque * np.uint16(65535)], axis=-1, dtype=np.uint16)
    return Raw(pixels, 65535.0, 16)


def read_tiff(tiff: TiffPicture, notes: list[str]) -> Raw | None:
    """Read a TIFF; None for one of the rarer kinds that are left to Pillow (fax, Lab, YCbCr but JPEG's).

    `notes` gets what is left out.
    """
    page, label = tiff.page, tiff.label
    photometric, count, bits = int(page.photometric), page.samplesperpixel, page.bitspersample
    preview = bool(int(tiff.tag(254) or 0) & 1) and 330 in page.tags
    if preview or 50706 in page.tags or photometric in (32803, 34892) or tiff.data[8:10] == b"CR":
        raise InputError(
            f"{label} is a camera raw file, not a developed picture.",
            "Develop it in a raw converter and save it as 16-bit TIFF or PNG.",
        )
    kind = "u" if bits in (1, 2, 4) else "?" if page.dtype is None else np.dtype(page.dtype).kind
    compression = int(page.compression)
    known = photometric in _COLOURS or (photometric == _YCBCR and compression == JPEG)
    if not known or compression not in BY_US:
        return None
    if kind == "i":
        raise InputError(f"{label} holds signed numbers, which are not colours.", _REMEDY_TIFF)
    colours = _COLOURS.get(photometric, 3)
    if kind not in "uf" or count < colours or (photometric in (_PALETTE, _SEPARATED) and (kind, bits > 16) != ("u", 0)):
        raise unknown_kind(label, "TIFF")
    if photometric == _SEPARATED and int(tiff.tag(332) or _CMYK) != _CMYK:
        raise unknown_kind(label, "TIFF")

    pixels, premultiplied = _with_alpha(tiff, samples(tiff), colours, notes)
    white: float = 1 if kind == "f" else 2**bits - 1
    if photometric == _PALETTE:
        return Raw(_looked_up(tiff, pixels), 255.0, 8)
    if bits < 8:
        pixels, white = pixels * np.uint8(255 // int(white)), 255
    if photometric == _WHITE_IS_ZERO:
        grey = pixels[..., :1]
        with np.errstate(invalid="ignore"):  # what is no number stays none, and is told of below
            grey = (1.0 - grey) if kind == "f" else np.subtract(int(white), grey, dtype=pixels.dtype)
        pixels = grey if pixels.shape[2] == 1 else np.concatenate([grey, pixels[..., 1:]], axis=-1)
    if photometric == _SEPARATED:
        if bits == 16:  # as Pillow reads it: profiles of inks are tables of few bits
            pixels = (pixels >> 8).astype(np.uint8)
        return Raw(pixels, 255.0, 8, premultiplied, inks=True)
    return Raw(pixels, float(white), 8 if bits <= 8 else 16 if bits <= 16 else 32, premultiplied)


def _looked_up(tiff: TiffPicture, numbers: NDArray[Any]) -> NDArray[np.uint8]:
    """Return the colours of a palette, (H, W, 3), or 4 with alpha."""
    table = np.array(tiff.tag(320), np.uint16).reshape(-1)
    if len(table) != 3 << tiff.page.bitspersample:
        raise ValueError("no palette")
    # Old writers put bytes where numbers of 16 bits belong.
    colours = (table >> 8 if table.max() > 255 else table).astype(np.uint8).reshape(3, -1).T
    found: NDArray[np.uint8] = colours[numbers[..., 0]]
    if numbers.shape[2] == 1:
        return found
    alpha = numbers[..., 1:] * np.uint8(255 // (2 ** min(8, tiff.page.bitspersample) - 1))
    return np.concatenate([found, alpha.astype(np.uint8)], axis=-1)


def _with_alpha(tiff: TiffPicture, pixels: NDArray[Any], colours: int, notes: list[str]) -> tuple[NDArray[Any], bool]:
    """Return the colours and alpha, if one of the extra channels is that; and whether it is premultiplied."""
    count = tiff.page.samplesperpixel
    if count == colours:
        return pixels, False
    marks = [int(mark) for mark in tiff.page.extrasamples]
    marks = marks or [2]  # OpenCV writes RGBA without saying what the fourth channel is
    alpha = next((i for i, mark in enumerate(marks) if mark in (1, 2)), None)
    if len(marks) > 1 or alpha is None:
        notes.append("its extra channels are not used")
    keep = [*range(colours)] if alpha is None else [*range(colours), colours + alpha]
    premultiplied = alpha is not None and marks[alpha] == 1
    return (pixels if keep == [*range(count)] else pixels[..., keep]), premultiplied


def read_heif(data: bytes, label: str) -> tuple[Raw, dict[str, Any]]:
    """Read a HEIC picture at its own depth; libheif has turned it upright already.

    Returns
    -------
    Raw
    dict
        What pillow-heif found beside the pixels: ``icc_profile``, ``nclx_profile``, ``exif``, ``xmp``.
    """
    try:
        import pillow_heif
    except ImportError as error:
        raise import_failure(error, "Reading HEIC pictures", "heif") from error

    heif = pillow_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=False, hdr_to_16bit=False)
    width, height = heif.size
    check_size(width, height, label)
    check_delivered(width, height, len(data), label)
    pixels = np.asarray(heif)
    bits = int(heif.info.get("bit_depth", 8))
    raw = Raw(
        pixels if pixels.ndim == 3 else pixels[..., None],
        float(2**bits - 1),
        8 if bits <= 8 else 16,
        bool(heif.premultiplied_alpha),
    )
    return raw, dict(heif.info)
