"""From the bytes of a file, or a Pillow picture, to float32 planes."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from gossamer.arrays import on_another_scale, unit_float
from gossamer.errors import GossamerError, InputError, is_lack_of_memory, memory_remedy
from gossamer.image.cms import grey_table, inks_to_srgb, to_srgb
from gossamer.image.deep import Raw
from gossamer.image.limits import READABLE, check_size, damaged, kind_of, quiet, unknown_kind
from gossamer.image.metadata import Metadata
from gossamer.image.told import Told, told_by_pillow

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image as Pillow

__all__ = ["Decoded", "decode", "decode_pillow", "from_jpeg", "from_raw", "planes", "upright"]

_STRIP = 1 << 19  # pixels converted at a time: stays in the cache
# What decoders say of files that they do not know, rather than of such as are broken.
_UNKNOWN = re.compile(r"unsupported|not supported|not implemented|cannot handle|not available|unknown pixel mode", re.I)


@dataclass
class Decoded:
    """What a file holds: straight colours, uint8 of 255 or float32 of 1, and what goes with them."""

    rgb: NDArray[Any]
    alpha: NDArray[np.float32] | None
    bit_depth: int
    icc_profile: bytes | None = None
    dpi: tuple[float, float] | None = None
    warnings: list[str] = field(default_factory=list)
    metadata: Metadata | None = None


def planes(
    rows: Callable[[int, int], NDArray[Any]], height: int, width: int, channels: int, white: float
) -> tuple[NDArray[Any], NDArray[np.float32] | None]:
    """Convert to (H, W, 3) and, with 2 or 4 channels, (H, W) float32, a strip at a time; colours in bytes stay.

    Parameters
    ----------
    rows : callable
        ``rows(top, bottom)`` returns (bottom - top, W, C) of any number type.
    white : float
        The value that becomes 1.
    """
    stays = rows(0, 1).dtype == np.uint8 and white == 255.0
    rgb: NDArray[Any] = np.empty((height, width, 3), np.uint8 if stays else np.float32)
    alpha = np.empty((height, width), np.float32) if channels in (2, 4) else None
    colours = 3 if channels >= 3 else 1
    scale = np.float32(white)
    step = max(1, _STRIP // width)
    with np.errstate(invalid="ignore"):  # floats of files may be no numbers: whoever calls sees to that
        for top in range(0, height, step):
            strip = rows(top, min(top + step, height))
            part = slice(top, top + strip.shape[0])
            if stays:
                rgb[part] = strip[..., :colours]
            else:
                np.divide(strip[..., :colours], scale, out=rgb[part], dtype=np.float32, casting="same_kind")
            if alpha is not None:
                np.divide(strip[..., colours], scale, out=alpha[part], dtype=np.float32, casting="same_kind")
    return rgb, alpha


def decode(data: bytes, label: str) -> Decoded:
    """Decode the bytes of a picture file.

    Raises
    ------
    InputError
        If they are no picture, too large, of a kind that no decoder knows, damaged or cut off; `label` names the
        file in the message.
    MissingExtra
        For HEIC without pillow-heif, and OpenEXR without PyAV.
    """
    kind = kind_of(data[:64])
    if kind is None:
        raise InputError(f"{label} is not a picture of a kind that Gossamer reads.", READABLE)
    from PIL.Image import DecompressionBombError

    from gossamer.image.kinds import READERS  # which needs what is below

    with quiet():
        try:
            return READERS[kind](data, label)
        except GossamerError:
            raise
        except MemoryError as error:
            raise InputError(f"{label} does not fit into memory.", memory_remedy("Make it smaller.")) from error
        except DecompressionBombError as error:  # Pillow's own limit, which its WebP class heeds
            raise InputError(f"{label} is larger than Pillow reads.", "Convert it to PNG.") from error
        except Exception as error:
            if is_lack_of_memory(error):  # as OpenCV and libtiff say it
                raise InputError(f"{label} does not fit into memory.", memory_remedy("Make it smaller.")) from error
            if _UNKNOWN.search(str(error)):
                raise unknown_kind(label, "HEIC" if kind == "HEIF" else kind) from error
            raise damaged(label) from error


# -- arrays of more than 8 bits --------------------------------------------------------------------------


def upright(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Return a view of `pixels` as the EXIF orientation (1 to 8) says they are to be seen."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels


def from_raw(raw: Raw, label: str, told: Told) -> Decoded:
    """Convert decoded pixels, upright and straight, to what `told` says that they are."""
    pixels = upright(raw.pixels, told.exif.orientation)
    height, width, channels = pixels.shape
    settled = False
    if raw.inks:
        colours, settled = inks_to_srgb(pixels[..., :4], told.icc_profile, told.notes), True
        pixels = np.dstack([colours, pixels[..., 4:]])
        channels = pixels.shape[2]
    elif told.icc_profile and told.icc_profile[16:20] == b"GRAY" and channels < 3 and pixels.dtype == np.uint8:
        grey = np.frombuffer(grey_table(told.icc_profile, told.notes), np.uint8)[pixels[..., :1]]
        pixels, settled = np.concatenate([grey, pixels[..., 1:]], axis=-1), True
    rgb, alpha = planes(lambda a, b: pixels[a:b], height, width, channels, raw.white)
    if pixels.dtype.kind == "f":
        told.notes += _tame(rgb, alpha, label)
    if raw.premultiplied and alpha is not None:
        rgb = unit_float(rgb)
        np.divide(rgb, alpha[..., None], out=rgb, where=alpha[..., None] > 0)
        np.minimum(rgb, 1.0, out=rgb)
    icc = None if settled else told.icc_profile
    if icc is not None and icc[16:20] != b"RGB ":
        icc = None
        told.notes.append("its colour profile is not one for RGB and is left out; the numbers stay as they are")
        settled = True
    return _finished(rgb, alpha, raw.bit_depth, icc, settled, label, told)


def _finished(
    rgb: NDArray[Any],
    alpha: NDArray[np.float32] | None,
    bit_depth: int,
    icc: bytes | None,
    settled: bool,
    label: str,
    told: Told,
) -> Decoded:
    """Bring the colours to what the file says of them, unless a profile says it, or they are in sRGB already."""
    if icc is None and not settled:
        rgb, icc = told.settle(rgb, bit_depth)
    notes = [f"{label}: {note}." for note in told.notes]
    return Decoded(rgb, alpha, bit_depth, icc, told.upright_dpi, notes, told.metadata)


def _tame(rgb: NDArray[np.float32], alpha: NDArray[np.float32] | None, label: str) -> list[str]:
    """Bring floats from a file into [0, 1] in place; return what had to be done."""
    holes = outside = 0
    for plane in (rgb, alpha):
        if plane is not None and on_another_scale(plane):
            raise InputError(
                f"{label} has floats of another scale than 0 to 1.", "Divide them by their white, e.g. 255."
            )
    for plane in (rgb, alpha):
        if plane is None:
            continue
        for part in np.array_split(plane, max(1, plane.shape[0] // 256)):
            holes += int(np.count_nonzero(np.isnan(part)))
            outside += int(np.count_nonzero((part < 0) | (part > 1)))
            np.nan_to_num(part, copy=False, nan=0.0)
            np.clip(part, 0.0, 1.0, out=part)
    notes = []
    if holes:
        notes.append(f"{holes} values are not numbers (NaN) and are taken as 0")
    if outside:
        notes.append(f"{outside} values lie outside 0 to 1 and are clipped")
    return notes


# -- Pillow ----------------------------------------------------------------------------------------------


def decode_pillow(picture: Pillow.Image, label: str, told: Told | None = None, *, turned: bool = False) -> Decoded:
    """Convert a Pillow picture of any mode (its current frame), upright.

    Parameters
    ----------
    told : Told, optional
        What its file says; without it, what Pillow has found is taken.
    turned : bool
        Whether Pillow turns it upright while it loads the pixels.
    """
    from PIL.Image import Transpose

    check_size(*picture.size, label)
    picture = _with_spread_key(picture)
    picture.load()
    if told is None:
        # After load(): Pillow turns TIFFs upright itself and forgets their tag; PNG may keep it at its end.
        told = told_by_pillow(picture, str(getattr(picture, "filename", "")))
    orientation = 1 if turned else told.exif.orientation
    turn = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }.get(orientation)

    if picture.mode.startswith("I") or picture.mode == "F":
        return from_raw(_raw_of(picture, label, told), label, told)
    if picture.format in ("BMP", "DIB") and picture.mode == "RGBA" and picture.getchannel("A").getbbox() is None:
        picture = picture.convert("RGB")  # writers that know no alpha leave its byte 0
    picture, icc, settled = _plain(picture, told.icc_profile, told.notes)
    if turn is not None:
        picture = picture.transpose(turn)
    width, height = picture.size
    channels = len(picture.getbands())

    def rows(top: int, bottom: int) -> NDArray[Any]:
        strip = np.asarray(picture.crop((0, top, width, bottom)))
        return strip if strip.ndim == 3 else strip[..., None]

    rgb, alpha = planes(rows, height, width, channels, 255.0)
    return _finished(rgb, alpha, 8, icc, settled, label, told)


def _with_spread_key(picture: Pillow.Image) -> Pillow.Image:
    """Mend what Pillow makes of a grey PNG of 2 or 4 bits with a transparent shade, before it is loaded.

    It spreads the pixels to 8 bits, but not the shade that it compares them with.
    """
    tiles: Any = getattr(picture, "tile", None)
    key = picture.info.get("transparency")
    spread = {"L;2": 85, "L;4": 17}.get(str(tiles[0][3])) if tiles and picture.format == "PNG" else None
    if spread is None or not isinstance(key, int):
        return picture
    picture = picture.copy()
    picture.info["transparency"] = (key & (255 // spread)) * spread
    return picture


def from_jpeg(picture: Pillow.Image, rgb: NDArray[np.uint8], label: str, told: Told) -> Decoded:
    """Do as decode_pillow() does with a JPEG file of which `picture` has only read the header, `rgb` the pixels."""
    from gossamer.image.jpeg import turned

    _, icc, settled = _plain(picture, told.icc_profile, told.notes)
    return _finished(turned(rgb, told.exif.orientation), None, 8, icc, settled, label, told)


def _raw_of(picture: Pillow.Image, label: str, told: Told) -> Raw:
    """Return Pillow's modes of more than 8 bits: I;16, I;16B, I and F."""
    pixels = np.asarray(picture)[..., None]
    if picture.mode == "F":
        return Raw(pixels, 1.0, 32)
    if picture.mode == "I" and (pixels.min() < 0 or pixels.max() > 65535):
        raise InputError(f"{label} holds whole numbers outside 0 to 65535.", "Save it as 16-bit grey.")
    if picture.mode == "I" and 1 < pixels.max() <= 255:  # what convert("I") makes of 8 bits: it would be all but black
        told.notes.append("none of its numbers is above 255; they are taken as of 255")
        return Raw(pixels, 255.0, 8)
    return Raw(pixels, 65535.0, 16)


def _plain(picture: Pillow.Image, icc: bytes | None, notes: list[str]) -> tuple[Pillow.Image, bytes | None, bool]:
    """Convert to L, LA, RGB or RGBA and an RGB profile or none; return too whether it is settled as sRGB."""
    if picture.mode in ("CMYK", "LAB"):
        return to_srgb(picture, icc, notes), None, True
    if "transparency" in picture.info and picture.mode in ("1", "L", "RGB", "P"):
        grey = picture.mode in ("1", "L")
        picture = picture.convert("RGBA")
        if grey:
            from PIL import Image

            picture = Image.merge("LA", (picture.getchannel("G"), picture.getchannel("A")))
    wanted = {
        "1": "L",
        "L": "L",
        "LA": "LA",
        "La": "LA",
        "RGB": "RGB",
        "RGBA": "RGBA",
        "RGBa": "RGBA",
        "PA": "RGBA",
    }
    mode = wanted.get(picture.mode, "RGB")
    if picture.mode == "P" and picture.palette is not None and picture.palette.mode == "RGBA":
        mode = "RGBA"
    if picture.mode != mode:
        picture = picture.convert(mode)
    space = icc[16:20] if icc else b"RGB "
    if space == b"RGB ":
        return picture, icc, False
    if space == b"GRAY" and mode in ("L", "LA"):
        from PIL import Image

        grey_picture = picture.getchannel(0).point(grey_table(icc, notes))
        if mode == "L":
            return grey_picture, None, True
        return Image.merge("LA", (grey_picture, picture.getchannel(1))), None, True
    notes.append("its colour profile is not one for RGB and is left out; the numbers stay as they are")
    return picture, None, True
