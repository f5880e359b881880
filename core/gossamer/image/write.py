"""Pictures to bytes, in the formats that are written."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from gossamer.arrays import unit_float
from gossamer.errors import OutputError
from gossamer.files import check_place
from gossamer.image.metadata import Metadata, exif_with
from gossamer.image.png import encode_png, png_chunk
from gossamer.parallel.patience import while_waited_for
from gossamer.paths import target_path
from gossamer.progress import Progress, ProgressCallback

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "SHEET",
    "SOFTWARE",
    "check_output",
    "check_size_for",
    "encode_image",
    "format_of",
    "rounded",
]

SOFTWARE = "Gossamer"
"""What every picture of ours says of its origin: in PNG a text, in TIFF, JPEG and WebP the tag of TIFF and EXIF."""
SHEET = "Gossamer (contact sheet)"


_FORMATS = {".png": "png", ".webp": "webp", ".tif": "tiff", ".tiff": "tiff", ".jpg": "jpeg", ".jpeg": "jpeg"}
_LARGEST = {"webp": 16383, "jpeg": 65535, "png": 1_000_000}
_BLOCK = 1 << 16  # pixels rounded at a time: stays in the cache


# -- encoding --------------------------------------------------------------------------------------------


def format_of(path: str | os.PathLike[str]) -> str:
    """Return the format that the suffix of `path` names: "png", "webp", "tiff" or "jpeg".

    Raises
    ------
    OutputError
        For any other suffix.
    """
    suffix = target_path(path).suffix.lower()
    if suffix not in _FORMATS:
        what = f"ends in {suffix}, which Gossamer does not write" if suffix else "has no suffix"
        raise OutputError(f"{path} {what}.", f"Give a name that ends in one of {' '.join(_FORMATS)}")
    return _FORMATS[suffix]


def encode_image(
    rgb: NDArray[Any] | None,
    alpha: NDArray[np.float32] | None,
    format: str,
    *,
    bit_depth: int = 8,
    icc_profile: bytes | None = None,
    dpi: tuple[float, float] | None = None,
    quality: int = 95,
    software: str = SOFTWARE,
    metadata: Metadata | None = None,
    ycbcr: bool = False,
    progress: ProgressCallback | Progress | None = None,
) -> bytes:
    """Encode a picture, straight alpha, colours under alpha 0 kept.

    Parameters
    ----------
    rgb : ndarray or None
        (H, W, 3) float32 in [0, 1], or uint8 (of 255); None to write `alpha` as a grey picture.
    alpha : ndarray or None
        (H, W) float32 in [0, 1]; None for an opaque picture.
    format : str
        "png", "webp" (lossless), "tiff" (deflate) or "jpeg" (4:4:4).
    bit_depth : int
        8, 16 or 32 bits a channel (32: float). A format that has not so many gets the most it has: PNG 16,
        WebP and JPEG 8.
    icc_profile : bytes, optional
        Embedded as it is; left out of grey pictures, which an RGB profile does not fit.
    dpi : tuple of float, optional
        Dots per inch (WebP has no place for it).
    quality : int
        Of JPEG, 1 to 100.
    software : str
        What the file says it was written by, in ASCII.
    metadata : Metadata, optional
        What of EXIF (TIFF has its own tags instead) and XMP goes into the file: that of
        :func:`~gossamer.image.metadata.kept_metadata`.
    ycbcr : bool
        `rgb` holds bytes of YCbCr, for a JPEG file to keep as they are.
    progress : callable, optional
        ``progress(fraction, message)``, called at least ten times a second; what it raises ends the work, but for
        WebP, which runs to its end unheard.

    Returns
    -------
    bytes

    Raises
    ------
    OutputError
        If the format is not known, cannot hold alpha (JPEG) or a picture so large.
    ValueError
        If the shapes or the bit depth are none of the above.
    """
    if format not in _FORMATS.values():
        raise OutputError(f"{format} is not a format that Gossamer writes.", "Choose png, webp, tiff or jpeg.")
    if bit_depth not in (8, 16, 32):
        raise ValueError(f"bit_depth is 8, 16 or 32, not {bit_depth}")
    if rgb is None and alpha is None:
        raise ValueError("rgb or alpha must be given")
    shape = rgb.shape[:2] if rgb is not None else alpha.shape[:2]  # type: ignore[union-attr]
    if ycbcr and (format != "jpeg" or rgb is None or rgb.dtype != np.uint8):
        raise ValueError("YCbCr is for bytes in JPEG")
    if (rgb is not None and rgb.shape != (*shape, 3)) or (alpha is not None and alpha.shape != shape):
        raise ValueError("rgb must be (H, W, 3) and alpha (H, W)")
    if format == "jpeg" and rgb is not None and alpha is not None:
        raise OutputError("JPEG cannot hold transparency.", "Give a background, or write PNG, WebP or TIFF.")
    check_size_for(format, shape[1], shape[0])
    if rgb is None:
        icc_profile = None

    def work(reached: Callable[[float], None]) -> bytes:
        if format == "png":
            return _png(rgb, alpha, min(bit_depth, 16), icc_profile, dpi, software, metadata, reached)
        if format == "tiff":
            return _tiff(rgb, alpha, bit_depth, icc_profile, dpi, software, metadata, reached)
        return _pillow(rgb, alpha, format, icc_profile, dpi, quality, software, metadata, ycbcr, reached)

    if progress is None:
        return work(lambda fraction: None)
    steps = Progress.of(progress)
    steps(0.0, "Encoding the picture")
    data = while_waited_for(work, steps)
    steps(1.0)
    return data


class _Heard(io.BytesIO):
    """A file in memory that tells how much of `most` bytes is written, which encoders do part by part.

    Parameters
    ----------
    reached : callable
        Told the fraction; what it raises ends the encoding.
    most : int
        Bytes before compression.
    """

    def __init__(self, reached: Callable[[float], None], most: int) -> None:
        super().__init__()
        self._reached, self._most, self._written = reached, max(most, 1), 0

    def write(self, data: Any, /) -> int:
        count = super().write(data)
        self._written += count
        self._reached(min(0.2 + self._written / self._most, 1.0))
        return count


def check_size_for(format: str, width: int, height: int) -> None:
    """Refuse a picture that is too large for a format: as well before the work as after it.

    Raises
    ------
    OutputError
        If a side is longer than the format has numbers for.
    """
    if max(width, height) > _LARGEST.get(format, max(width, height)):
        raise OutputError(
            f"The picture is {width} × {height}; {format} holds at most {_LARGEST[format]} each way.",
            "Write it as TIFF." if format == "png" else "Write it as PNG or TIFF.",
        )


def rounded(rgb: NDArray[Any] | None, alpha: NDArray[np.float32] | None, bits: int) -> NDArray[Any]:
    """Return the planes interleaved, (H, W, C) or (H, W), rounded half up to `bits` (32: float as they are)."""
    height, width, channels = _shape(rgb, alpha)
    kind: Any = {8: np.uint8, 16: np.uint16, 32: np.float32}[bits]
    out = np.empty((height, width, channels), kind)
    _round_rows(rgb, alpha, bits, 0, height, out)
    return out if channels > 1 else out[..., 0]


def _shape(rgb: NDArray[Any] | None, alpha: NDArray[np.float32] | None) -> tuple[int, int, int]:
    height, width = (rgb if rgb is not None else alpha).shape[:2]  # type: ignore[union-attr]
    return height, width, (3 if rgb is not None else 0) + (alpha is not None)


def _round_rows(
    rgb: NDArray[Any] | None,
    alpha: NDArray[np.float32] | None,
    bits: int,
    top: int,
    bottom: int,
    out: NDArray[Any],
) -> None:
    """Write rows into `out`, (bottom - top, W, C), a block at a time."""
    import cv2

    step = max(1, _BLOCK // out.shape[1])
    for start in range(top, bottom, step):
        rows = slice(start, min(start + step, bottom))
        planes = [_round(plane[rows], bits) for plane in (rgb, alpha) if plane is not None]
        target = out[start - top : rows.stop - top]
        if len(planes) == 1:
            target[...] = np.atleast_3d(planes[0])
        else:
            cv2.mixChannels(planes, [target], [0, 0, 1, 1, 2, 2, 3, 3])


def _round(plane: NDArray[Any], bits: int) -> NDArray[Any]:
    """Return floats in [0, 1] or bytes as numbers of `bits`."""
    if plane.dtype == np.uint8 and bits == 8:
        return plane
    work = np.clip(unit_float(plane), np.float32(0), np.float32(1))
    if bits == 32:
        return work
    work *= np.float32(2**bits - 1)
    work += np.float32(0.5)
    return work.astype(np.uint8 if bits == 8 else np.uint16)


def _png(
    rgb: NDArray[Any] | None,
    alpha: NDArray[np.float32] | None,
    bits: int,
    icc_profile: bytes | None,
    dpi: tuple[float, float] | None,
    software: str,
    metadata: Metadata | None,
    reached: Callable[[float], None],
) -> bytes:
    chunks = [png_chunk(b"tEXt", b"Software\0" + software.encode("ascii"))]
    if icc_profile:
        chunks.append(png_chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(icc_profile, 9)))
    if dpi:
        chunks.append(png_chunk(b"pHYs", struct.pack(">IIB", *(max(1, round(v / 0.0254)) for v in dpi), 1)))
    if metadata and metadata.exif:
        chunks.append(png_chunk(b"eXIf", exif_with(metadata.exif, software).tobytes().removeprefix(b"Exif\0\0")))
    if metadata and metadata.xmp:
        chunks.append(png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + metadata.xmp))
    shape, done = _shape(rgb, alpha), [0]

    def rows(top: int, bottom: int, out: NDArray[Any]) -> None:
        reached(min(done[0] / shape[0], 1.0))
        _round_rows(rgb, alpha, bits, top, bottom, out)
        done[0] += bottom - top

    return encode_png(rows, shape, bits, chunks=chunks)


def _tiff(
    rgb: NDArray[Any] | None,
    alpha: NDArray[np.float32] | None,
    bits: int,
    icc_profile: bytes | None,
    dpi: tuple[float, float] | None,
    software: str,
    metadata: Metadata | None,
    reached: Callable[[float], None],
) -> bytes:
    import tifffile

    pixels = rounded(rgb, alpha, bits)
    reached(0.2)
    options: dict[str, Any] = {"photometric": "minisblack" if rgb is None else "rgb"}
    if rgb is not None and alpha is not None:
        options["extrasamples"] = ["unassalpha"]
    if dpi:
        options |= {"resolution": dpi, "resolutionunit": "INCH"}
    if metadata and metadata.xmp:
        options["extratags"] = [(700, 1, len(metadata.xmp), metadata.xmp, True)]
    stream = _Heard(reached, pixels.nbytes)
    tifffile.imwrite(
        stream,
        pixels,
        compression="zlib",
        compressionargs={"level": 1},
        predictor=bits < 32,
        rowsperstrip=max(1, (1 << 20) // (pixels.nbytes // pixels.shape[0])),
        iccprofile=icc_profile,
        metadata=None,
        software=software,
        **options,
    )
    return stream.getvalue()


def _pillow(
    rgb: NDArray[Any] | None,
    alpha: NDArray[np.float32] | None,
    format: str,
    icc_profile: bytes | None,
    dpi: tuple[float, float] | None,
    quality: int,
    software: str,
    metadata: Metadata | None,
    ycbcr: bool,
    reached: Callable[[float], None],
) -> bytes:
    from PIL import Image

    exif = exif_with(metadata.exif if metadata else None, software)
    options: dict[str, Any] = {"exif": exif.tobytes()} | ({"icc_profile": icc_profile} if icc_profile else {})
    if metadata and metadata.xmp:
        options["xmp"] = metadata.xmp
    if format == "webp":
        options |= {"lossless": True, "exact": True, "method": 1, "quality": 20}
    else:
        options |= {"quality": quality, "subsampling": 0}
        if dpi:
            options["dpi"] = dpi
    pixels = rounded(rgb, alpha, 8)
    reached(0.2)
    stream = _Heard(reached, pixels.nbytes)
    try:
        picture = Image.frombytes("YCbCr", pixels.shape[1::-1], pixels.tobytes()) if ycbcr else Image.fromarray(pixels)
        picture.save(stream, format.upper(), **options)
    except (OSError, ValueError) as error:
        raise OutputError(f"The picture could not be encoded as {format}.", "Write it as PNG or TIFF.") from error
    return stream.getvalue()


# -- files -----------------------------------------------------------------------------------------------


def check_output(path: str | os.PathLike[str], force: bool = False) -> None:
    """Refuse, before the work, an output that could not be written after it.

    Raises
    ------
    OutputExists
        If `path` exists and `force` is not set.
    OutputError
        If its suffix is not known, it is a folder, its folder is missing or not writable, or it is a link that
        somebody else planted.
    """
    path = target_path(path)
    with suppress(OSError, ValueError):  # of which check_place tells
        if not path.is_dir():
            format_of(path)
    check_place(path, force)
