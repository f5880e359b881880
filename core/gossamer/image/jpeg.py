"""The colours of a JPEG file."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import ImageFile
from PIL.JpegImagePlugin import JpegImageFile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gossamer.image.jpeg_file import JpegFile

__all__ = ["check_end", "close", "jpeg_rgb", "turned"]

# Sizes in bytes are 32-bit numbers in places inside decoders; a pixel may be 4 bytes there.
_MOST_PIXELS = (1 << 29) - 1
# Bits of any kind but markers: all codes of a Huffman table may come.
_OTHER = bytes((i * i * 31 + i * 97 + 13) % 255 for i in range(1 << 12))
# What may begin them where there was no marker: the last code may lack a bit or two, which libjpeg makes zeros.
_BEGINNINGS = (b"\xfe", b"\xaa", b"\x55", b"\x92", b"\xc4", b"")


def jpeg_rgb(data: bytes) -> NDArray[np.uint8] | None:
    """Decode a JPEG file of RGB colours, not turned, in about half the time of Pillow.

    Pillow gives pixels out of its own memory in small copies, which take as long again as decoding them. OpenCV's
    reader is no way round: it prints libjpeg's remarks about damaged files to stderr, and takes some that Pillow
    refuses. Files are written by Pillow: simplejpeg knows no profiles, no EXIF and no resolution.

    Returns
    -------
    numpy.ndarray or None
        (H, W, 3) uint8, C-contiguous, the very colours that Pillow gives. None for files of other colours,
        damaged or cut-off ones, and where simplejpeg is not installed: Pillow then gives the picture, or says why
        there is none.
    """
    try:
        import simplejpeg

        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
        if colours not in ("RGB", "YCbCr") or width * height > _MOST_PIXELS:
            return None
        return np.asarray(simplejpeg.decode_jpeg(data, "RGB"), np.uint8)
    except Exception:  # whatever it was, it comes again in the ordinary way, where it is told
        return None


def close(jpeg: JpegFile) -> bool:
    """Give a file that has no end marker one; :func:`check_end` then sees whether it has all of its pixels.

    Returns
    -------
    bool
        Whether it has one now: not where a host sets LOAD_TRUNCATED_IMAGES, or where nothing could tell.

    Raises
    ------
    ValueError
        If whole scans are missing.
    """
    if jpeg.end is None or jpeg.arithmetic or ImageFile.LOAD_TRUNCATED_IMAGES:
        jpeg.incomplete = False
        return False
    if jpeg.incomplete:
        raise ValueError("the pixels end too early")
    jpeg.clean = jpeg.clean[: jpeg.end] + b"\xff\xd9"
    return True


def check_end(jpeg: JpegFile, pixels: NDArray[np.uint8]) -> None:
    """Refuse a file that ends, by its marker, before its pixels do.

    libjpeg makes mid-grey of what is missing and says so to nobody here. So where the last pixel is mid-grey, what is
    missing need not show there, or there was no marker, the picture is decoded once more with some other data before
    the end: they change what was missing, and nothing of a picture that was whole.

    Parameters
    ----------
    jpeg : JpegFile
        Its segments.
    pixels : ndarray
        (H, W) or (H, W, C) uint8 as Pillow decodes it, not turned.

    Raises
    ------
    ValueError
        If pixels are missing.
    """
    if jpeg.end is None or jpeg.arithmetic or ImageFile.LOAD_TRUNCATED_IMAGES:
        return
    whole = jpeg.closed and not jpeg.scattered and not jpeg.incomplete
    if whole and np.abs(pixels[-1, -1].astype(np.int16) - 128).max() > 1:
        return
    for beginning in (b"",) if jpeg.closed else _BEGINNINGS:
        more = jpeg.clean[: jpeg.end] + beginning + _OTHER + jpeg.clean[jpeg.end :]
        picture = JpegImageFile(io.BytesIO(more), "")
        if not np.array_equal(np.asarray(picture), pixels):
            raise ValueError("the pixels end too early")


def turned(rgb: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Return (H, W, 3) uint8 as the EXIF orientation (1 to 8) says it is to be seen, C-contiguous.

    OpenCV turns bytes many times faster than NumPy copies a turned view.
    """
    import cv2

    picture: Any = rgb
    if orientation in (5, 6, 7, 8):
        picture = cv2.transpose(picture)
    sideways, upside_down = orientation in (2, 3, 6, 7), orientation in (3, 4, 7, 8)
    if sideways or upside_down:
        picture = cv2.flip(picture, -1 if sideways and upside_down else 1 if sideways else 0)
    return np.asarray(picture, np.uint8)
