"""`Image`, and reading one from wherever it is."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, cast

import numpy as np

from gossamer.arrays import in_range, unit_float
from gossamer.errors import GossamerError, InputError, is_lack_of_memory, memory_remedy
from gossamer.image.decode import Decoded, decode, decode_pillow, planes
from gossamer.image.limits import READABLE, check_length, check_size, kind_of, most_bytes, quiet
from gossamer.image.metadata import Metadata
from gossamer.parallel.patience import patiently
from gossamer.paths import cannot_read, source_path
from gossamer.progress import Progress, ProgressCallback

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image as Pillow

__all__ = ["Image", "ImageSource", "bytes_of_stream", "image_of", "read_image"]


@dataclass(frozen=True, eq=False)
class Image:
    """A picture's numbers, with what its file says about them.

    Parameters
    ----------
    pixels : ndarray
        (H, W, 3), straight (not multiplied by alpha), read-only: the numbers as in the file, in the colour space
        of `icc_profile`; uint8 (of 255) for pictures of 8 bits, which stay small so, or float32 in [0, 1].
    alpha : ndarray or None
        (H, W) float32 in [0, 1], read-only, 1 = opaque; None where the file has none.
    icc_profile : bytes or None
        The RGB profile that was in the file, or one made of what else it says of its colours (EXIF, PNG chunks,
        numbers of AVIF and HEIC, TIFF tags, BMP header); None means sRGB.
    bit_depth : int
        Bits a channel of the source: 8, 16 (9 to 16 bits) or 32 (float).
    dpi : tuple of float or None
        Dots per inch, horizontally and vertically.
    name : str
        Stem of the file's name, or "image".
    warnings : tuple of str
        What was lost or guessed in reading, one sentence each.
    metadata : Metadata or None
        The file's EXIF and XMP.
    """

    pixels: NDArray[Any]
    alpha: NDArray[np.float32] | None = None
    icc_profile: bytes | None = None
    bit_depth: int = 8
    dpi: tuple[float, float] | None = None
    name: str = "image"
    warnings: tuple[str, ...] = field(default=())
    metadata: Metadata | None = None

    @cached_property
    def rgb(self) -> NDArray[np.float32]:
        """The colours, (H, W, 3) float32 in [0, 1], read-only; made of `pixels` when first asked for, and kept."""
        colours = unit_float(self.pixels)
        colours.flags.writeable = False
        return colours

    @property
    def height(self) -> int:
        """Height in pixels."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Width in pixels."""
        return int(self.pixels.shape[1])


_HEAD, _PART = 64, 1 << 24  # bytes that tell a picture's kind, and that are read at a time

ImageSource: TypeAlias = "str | os.PathLike[str] | bytes | BinaryIO | Pillow.Image | NDArray[Any] | Image"


def read_image(source: ImageSource, progress: ProgressCallback | Progress | None = None) -> Image:
    """Read a picture.

    Orientation is applied. RGB numbers stay as they are, beside their ICC profile, or one made of what else the file
    says of its colours; CMYK, Lab and grey pictures with a profile are converted to sRGB, HDR (PQ, HLG) and linear
    light to the curve of sRGB. Of several frames or pages the first is read.

    Parameters
    ----------
    source : str, Path, bytes, binary file, PIL.Image.Image, ndarray or Image
        JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF, HEIC (extra ``heif``) or OpenEXR (extra ``video``); or an array
        (H, W), (H, W, 3) or (H, W, 4), RGB, as uint8, uint16 or float in [0, 1] (what overshoots a little, see
        :data:`gossamer.arrays.OVERSHOOT`, is cut off). A float32 array is not copied: do not change it while the Image
        is in use. An Image is returned as it is.
    progress : callable, optional
        ``progress(fraction, message)``, called at least ten times a second; what it raises, such as
        :class:`gossamer.Cancelled`, ends the waiting. With it the picture is read in a thread of its own.

    Returns
    -------
    Image

    Raises
    ------
    InputError
        If there is no such file, it is no picture, too large (300 million pixels, or the environment variable
        ``GOSSAMER_MAX_PIXELS``), damaged or cut off, or an array of another shape, type or range.
    MissingExtra
        For HEIC without pillow-heif, and OpenEXR without PyAV.
    """
    if isinstance(source, Image):
        return source
    if progress is None:
        return _read(source)
    steps = Progress.of(progress)
    steps(0.0, "Reading the picture")
    image = patiently(lambda: _read(source), steps)
    steps(1.0)
    return image


def _read(source: ImageSource) -> Image:
    if isinstance(source, np.ndarray):
        return _finish(_from_array(source), "image")
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _finish(decode(_not_empty(bytes(source), "The picture"), "The picture"), "image")
    if isinstance(source, (str, os.PathLike)):
        path = source_path(source)
        return _finish(decode(_bytes_of(path), str(path)), path.stem or "image")
    if hasattr(source, "getbands") and hasattr(source, "load"):  # a PIL.Image, without importing Pillow
        return _finish(_from_pillow(source), _stem(getattr(source, "filename", "")))
    if hasattr(source, "read"):
        label = _stem(getattr(source, "name", ""))
        start = _place(source)
        try:
            data = bytes_of_stream(cast("BinaryIO", source), f"The file {label}")
            return _finish(decode(_not_empty(data, f"The file {label}"), f"The file {label}"), label)
        except (OSError, ValueError) as error:
            raise InputError(
                f"The file {label} cannot be read ({str(error).rstrip('.')}).", "Open it with open(path, 'rb')."
            ) from None
        except InputError:
            if start > 0 and _place(source) == start:
                raise InputError(f"The file {label} has been read to its end.", "Rewind it: file.seek(0).") from None
            if start > 0:
                raise InputError(
                    f"The file {label} holds no picture from where it stands, at byte {start}.",
                    "Rewind it: file.seek(0).",
                ) from None
            raise
    raise InputError(
        f"A picture cannot be made of {type(source).__name__}.",
        "Give a path, bytes, a binary file, a PIL image or a numpy array.",
    )


def image_of(data: bytes, label: str, name: str) -> Image:
    """Read the bytes of a picture that has a name although it is no file.

    Parameters
    ----------
    data : bytes
    label : str
        What messages call it.
    name : str
        Its :attr:`Image.name`.

    Raises
    ------
    InputError, MissingExtra
        As :func:`read_image`.
    """
    return _finish(decode(_not_empty(data, label), label), name or "image")


def _place(source: Any) -> int:
    """Return how many bytes of a file lie before its place; 0 where it does not tell."""
    try:
        return int(source.tell())
    except (AttributeError, OSError, ValueError):
        return 0


def _stem(name: object) -> str:
    return (Path(name).stem if isinstance(name, str) else "") or "image"


def _finish(decoded: Decoded, name: str) -> Image:
    decoded.rgb.flags.writeable = False
    if decoded.alpha is not None:
        decoded.alpha.flags.writeable = False
    return Image(
        decoded.rgb,
        decoded.alpha,
        decoded.icc_profile,
        decoded.bit_depth,
        decoded.dpi,
        name,
        tuple(decoded.warnings),
        decoded.metadata,
    )


def _not_empty(data: bytes, label: str) -> bytes:
    if not data:
        raise InputError(f"{label} is empty.", "Get a complete copy.")
    return data


def bytes_of_stream(file: BinaryIO, label: str) -> bytes:
    """Return what is left of an open file, of which only the first bytes are read where they are no picture's.

    Parameters
    ----------
    file : binary file
        A pipe or standard input, too, which may have no end.
    label : str
        What messages call it.

    Returns
    -------
    bytes
        Empty where nothing is left.

    Raises
    ------
    InputError
        It is no picture, larger than any, or open as text.
    OSError, ValueError
        It cannot be read.
    """
    data = bytearray()
    while len(data) <= most_bytes() and (part := file.read(_PART if len(data) >= _HEAD else _HEAD)):
        if not isinstance(part, bytes):
            raise InputError("The file is open as text.", "Open it in binary mode: open(path, 'rb').")
        data += part
        if len(data) >= _HEAD and len(data) - len(part) < _HEAD and kind_of(bytes(data[:_HEAD])) is None:
            raise InputError(f"{label} is not a picture of a kind that Gossamer reads.", READABLE)
    check_length(len(data), label)
    return bytes(data)


def _bytes_of(path: Path) -> bytes:
    """Return the content of a picture file; of another file, however large, only the first bytes are read."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) and not stat.S_ISFIFO(status.st_mode):
                raise InputError(f"{path} is a device, not a file.", READABLE)
            head = _not_empty(file.read(64), str(path))
            if kind_of(head) is None:
                raise InputError(f"{path} is not a picture of a kind that Gossamer reads.", READABLE)
            limit, total, parts = most_bytes(), status.st_size, [head]
            while total <= limit and (part := file.read(max(1 << 20, status.st_size))):
                parts.append(part)
                total = sum(map(len, parts)) if stat.S_ISFIFO(status.st_mode) else total
            check_length(total, str(path))
            return b"".join(parts)
    except IsADirectoryError:
        raise InputError(f"{path} is a folder, not a picture.", "Name one picture file in it.") from None
    except (OSError, ValueError) as error:
        raise cannot_read(path, error) from error


def _from_pillow(source: Any) -> Decoded:
    file = getattr(source, "fp", None)  # which Pillow lets go of once it has the pixels
    failure: Exception | None = None
    with quiet():
        try:
            decoded = decode_pillow(source, "The picture")
            ends_blank = _ends_blank(source)
        except GossamerError:
            raise
        except Exception as error:
            if is_lack_of_memory(error):
                raise InputError("The picture does not fit into memory.", memory_remedy("Make it smaller.")) from error
            failure = error
    if failure is None and not ends_blank:
        return decoded
    data = _file_of(source, file)
    if failure is not None:
        if data:  # Pillow refuses what lacks only an end marker, too
            return decode(data, "The picture")
        raise InputError(
            "The PIL picture cannot be read: its file is damaged, cut off or closed.", "Open it again."
        ) from failure
    if data:
        decode(data, "The picture")  # raises where pixels are missing
    elif decoded.alpha is None and not _ends_blank(source, first=True):
        decoded.warnings.append(
            "The picture: its last rows are of one colour, as Pillow leaves them where a file is cut short; "
            "to have that checked, give the file itself."
        )
    return decoded


def _ends_blank(picture: Any, first: bool = False) -> bool:
    """Return whether the last row (or the first) is what Pillow leaves where a file's pixels end early, silently."""
    width, height = picture.size
    top = 0 if first else height - 1
    row = np.asarray(picture.crop((0, top, width, top + 1)))
    if picture.format == "JPEG":
        return bool((np.abs(row.astype(np.int16) - 128) <= 1).all())
    if picture.format == "GIF":
        return bool((row == row[:, :1]).all())
    return picture.format in ("PNG", "TIFF") and not row.any()


def _file_of(picture: Any, file: Any) -> bytes:
    """Return the content of the file that a PIL picture has its pixels from, as far as that can be had."""
    try:
        if file is not None and not file.closed:
            place = file.tell()
            file.seek(0)
            data = bytes(file.read())
            file.seek(place)  # more frames may be read from there
            return data
        return _bytes_of(Path(picture.filename)) if picture.filename else b""
    except (AttributeError, OSError, TypeError, ValueError, GossamerError):
        return b""


_DARK = "The array has no number above 255, of 65535 for white: it is all but black. If its white is 255, give uint8."


def _from_array(array: NDArray[Any]) -> Decoded:
    """Check the contract of an array and bring it to float32."""
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise InputError(f"An array of shape {array.shape} is not a picture.", "Give (H, W), (H, W, 3) or (H, W, 4).")
    height, width = array.shape[:2]
    check_size(width, height, "The picture")
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind != "f" and (kind, size) not in (("u", 1), ("u", 2)):
        raise InputError(
            f"An array of {array.dtype} is not a picture.",
            "Give uint8 (0 to 255), uint16 (0 to 65535) or float32 (0 to 1).",
        )
    pixels = np.asarray(array if array.ndim == 3 else array[..., None])
    channels = pixels.shape[2]
    if kind == "u":
        rgb, alpha = planes(lambda a, b: pixels[a:b], height, width, channels, 255.0 if size == 1 else 65535.0)
        told = [_DARK] if size == 2 and 1 < int(array.max()) <= 255 else []
        return Decoded(rgb, alpha, 8 * size, warnings=told)
    low, high = float(array.min()), float(array.max())
    if not np.isfinite((low, high)).all():
        raise InputError("The array has values that are not numbers (NaN, infinity).", "Replace them: np.nan_to_num.")
    if not in_range(low, high):
        raise InputError(
            f"The array has values from {low:g} to {high:g}, not from 0 to 1.",
            "Divide 8-bit values by 255, or clip the array.",
        )
    if low < 0.0 or high > 1.0:
        pixels = np.clip(pixels, 0, 1)
    if array.dtype == np.float32 and channels == 3:
        return Decoded(np.ascontiguousarray(pixels[...]), None, 32)  # a view, so that only it is read-only
    rgb, alpha = planes(lambda a, b: pixels[a:b], height, width, channels, 1.0)
    return Decoded(rgb, alpha, 32)
