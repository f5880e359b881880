"""From the bytes of a file, or a Pillow picture, to float32 planes."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from gossamer.arrays import on_another_scale, unit_float
from gossamer.errors import GossamerError, InputError
from gossamer.image.deep import Raw, orientation_of, png_is_deep, read_heif, read_png, read_tiff
from gossamer.image.limits import READABLE, check_size, kind_of, quiet

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image as Pillow

__all__ = ["Decoded", "decode", "decode_pillow", "planes"]

_STRIP = 1 << 19  # pixels converted at a time: stays in the cache
_BROKEN = "Get a complete copy, or open it in an image editor and save it again."


@dataclass
class Decoded:
    """What a file holds: straight colours, uint8 of 255 or float32 of 1, and what goes with them."""

    rgb: NDArray[Any]
    alpha: NDArray[np.float32] | None
    bit_depth: int
    icc_profile: bytes | None = None
    dpi: tuple[float, float] | None = None
    warnings: list[str] = field(default_factory=list)


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
        If they are no picture, too large, damaged or cut off; `label` names the file in the message.
    MissingExtra
        For HEIC without pillow-heif.
    """
    kind = kind_of(data[:64])
    if kind is None:
        raise InputError(f"{label} is not a picture of a kind that Gossamer reads.", READABLE)
    from PIL.Image import DecompressionBombError

    with quiet():
        try:
            return _decode(data, kind, label)
        except GossamerError:
            raise
        except MemoryError as error:
            raise InputError(f"{label} does not fit into memory.", "Make it smaller.") from error
        except DecompressionBombError as error:  # Pillow's own limit, which its WebP class heeds
            raise InputError(f"{label} is larger than Pillow reads.", "Convert it to PNG.") from error
        except Exception as error:
            raise InputError(f"{label} is damaged or cut off and cannot be read.", _BROKEN) from error


def _decode(data: bytes, kind: str, label: str) -> Decoded:
    if kind == "HEIF":
        return _from_raw(read_heif(data, label), label)
    if kind == "PNG" and png_is_deep(data):
        return _from_raw(read_png(data, label), label)
    notes: list[str] = []
    if kind == "TIFF":
        raw = read_tiff(data, label, notes)
        if raw is not None:
            return _from_raw(raw, label)
    picture = _plugin(kind)(io.BytesIO(data), "")
    check_size(*picture.size, label)
    frames = getattr(picture, "n_frames", 1) if kind != "TIFF" else 1
    if frames > 1:
        notes.append(f"it has {frames} frames; only the first is used")
    if kind == "JPEG" and picture.mode == "RGB":
        from gossamer.image.jpeg import jpeg_rgb

        rgb = jpeg_rgb(data)
        if rgb is not None:
            return _from_jpeg(picture, rgb, label, notes)
    decoded = decode_pillow(picture, label, notes)
    if kind == "AVIF":
        config = data.find(b"av1C")
        if config > 0 and data[config + 6 : config + 7] and data[config + 6] & 0x40:
            decoded.warnings.append(f"{label} has more than 8 bits a channel; it is read as 8 bits.")
    return decoded


def _plugin(kind: str) -> Callable[[io.BytesIO, str], Pillow.Image]:
    """Return Pillow's class for `kind`.

    Not PIL.Image.open: its limit on pixels belongs to the process (a host such as ComfyUI may rely on it),
    and ours differs; and a file is read as what its first bytes say, never as something rarer.
    """
    from PIL import (
        AvifImagePlugin,
        BmpImagePlugin,
        GifImagePlugin,
        JpegImagePlugin,
        PngImagePlugin,
        TiffImagePlugin,
        WebPImagePlugin,
    )

    classes: dict[str, Any] = {
        "AVIF": AvifImagePlugin.AvifImageFile,
        "BMP": BmpImagePlugin.BmpImageFile,
        "GIF": GifImagePlugin.GifImageFile,
        "JPEG": JpegImagePlugin.JpegImageFile,
        "PNG": PngImagePlugin.PngImageFile,
        "TIFF": TiffImagePlugin.TiffImageFile,
        "WEBP": WebPImagePlugin.WebPImageFile,
    }
    return classes[kind]  # type: ignore[no-any-return]


# -- arrays of more than 8 bits --------------------------------------------------------------------------


def _upright(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Return a view of `pixels` as the EXIF orientation (1 to 8) says they are to be seen."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels


def _from_raw(raw: Raw, label: str) -> Decoded:
    pixels = _upright(raw.pixels, raw.orientation)
    height, width, channels = pixels.shape
    rgb, alpha = planes(lambda a, b: pixels[a:b], height, width, channels, raw.white)
    notes = list(raw.warnings)
    if pixels.dtype.kind == "f":
        notes += _tame(rgb, alpha, label)
    if raw.premultiplied and alpha is not None:
        rgb = unit_float(rgb)
        np.divide(rgb, alpha[..., None], out=rgb, where=alpha[..., None] > 0)
        np.minimum(rgb, 1.0, out=rgb)
    icc = raw.icc_profile
    if icc is not None and icc[16:20] != b"RGB ":
        icc = None
        notes.append("its colour profile is not one for RGB and is left out; the numbers stay as they are")
    dpi = _dpi(raw.dpi)
    dpi = dpi[::-1] if dpi and raw.orientation in (5, 6, 7, 8) else dpi
    return Decoded(rgb, alpha, raw.bit_depth, icc, dpi, [f"{label}: {note}." for note in notes])


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


def decode_pillow(picture: Pillow.Image, label: str, notes: list[str] | None = None) -> Decoded:
    """Convert a Pillow picture of any mode (its current frame), upright; `notes` come before its warnings."""
    from PIL.Image import Transpose

    check_size(*picture.size, label)
    notes = [] if notes is None else notes
    picture.load()
    # After load(): Pillow turns TIFFs upright itself and forgets their tag; PNG may keep it at its end.
    orientation = orientation_of(picture.getexif)
    icc = picture.info.get("icc_profile") or None
    dpi = _dpi(picture.info.get("dpi"))
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
        return _from_raw(_raw_of(picture, orientation, icc, dpi, notes, label), label)
    picture, icc = _plain(picture, icc, notes)
    if turn is not None:
        picture = picture.transpose(turn)
        dpi = dpi[::-1] if dpi and orientation >= 5 else dpi
    width, height = picture.size
    channels = len(picture.getbands())

    def rows(top: int, bottom: int) -> NDArray[Any]:
        strip = np.asarray(picture.crop((0, top, width, bottom)))
        return strip if strip.ndim == 3 else strip[..., None]

    rgb, alpha = planes(rows, height, width, channels, 255.0)
    return Decoded(rgb, alpha, 8, icc, dpi, [f"{label}: {note}." for note in notes])


def _from_jpeg(picture: Pillow.Image, rgb: NDArray[np.uint8], label: str, notes: list[str]) -> Decoded:
    """Do as decode_pillow() does with a JPEG file of which `picture` has only read the header, `rgb` the pixels."""
    from gossamer.image.jpeg import turned

    orientation = orientation_of(picture.getexif)
    dpi = _dpi(picture.info.get("dpi"))
    dpi = dpi[::-1] if dpi and orientation >= 5 else dpi
    _, icc = _plain(picture, picture.info.get("icc_profile") or None, notes)
    return Decoded(turned(rgb, orientation), None, 8, icc, dpi, [f"{label}: {note}." for note in notes])


def _dpi(value: Any) -> tuple[float, float] | None:
    try:
        x, y = (float(part) for part in value)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (x, y) if 1 < x < 1e6 and 1 < y < 1e6 else None  # 1: what writers put who do not know


def _raw_of(
    picture: Pillow.Image,
    orientation: int,
    icc: bytes | None,
    dpi: tuple[float, float] | None,
    notes: list[str],
    label: str,
) -> Raw:
    """Return Pillow's modes of more than 8 bits: I;16, I;16B, I and F."""
    pixels = np.asarray(picture)[..., None]
    if picture.mode == "F":
        return Raw(pixels, 1.0, 32, orientation, False, icc, dpi, notes)
    if picture.mode == "I" and (pixels.min() < 0 or pixels.max() > 65535):
        raise InputError(f"{label} holds whole numbers outside 0 to 65535.", "Save it as 16-bit grey.")
    if picture.mode == "I" and 1 < pixels.max() <= 255:  # what convert("I") makes of 8 bits: it would be all but black
        notes.append("none of its numbers is above 255; they are taken as of 255")
        return Raw(pixels, 255.0, 8, orientation, False, icc, dpi, notes)
    return Raw(pixels, 65535.0, 16, orientation, False, icc, dpi, notes)


def _plain(picture: Pillow.Image, icc: bytes | None, notes: list[str]) -> tuple[Pillow.Image, bytes | None]:
    """Convert to L, LA, RGB or RGBA and an RGB profile or none."""
    if picture.mode in ("CMYK", "LAB"):
        return _to_srgb(picture, icc, notes), None
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
        return picture, icc
    if space == b"GRAY" and mode in ("L", "LA"):
        # A table, worked out once without lcms's short cuts (wrong by 10 of 255 in the darks of some
        # profiles); green for all three keeps greys neutral to the last bit.
        from PIL import Image

        ramp = Image.frombytes("L", (256, 1), bytes(range(256)))
        table = _to_srgb(ramp, icc, notes, exact=True).getchannel("G").tobytes()
        grey_picture = picture.getchannel(0).point(table)
        if mode == "L":
            return grey_picture, None
        return Image.merge("LA", (grey_picture, picture.getchannel(1))), None
    notes.append("its colour profile is not one for RGB and is left out; the numbers stay as they are")
    return picture, None


def _to_srgb(picture: Pillow.Image, icc: bytes | None, notes: list[str], *, exact: bool = False) -> Pillow.Image:
    """Convert CMYK, Lab or grey to sRGB through the profile `icc`, or plainly where that is not possible."""
    from PIL import ImageCms

    try:
        if icc is None and picture.mode == "LAB":
            source = ImageCms.createProfile("LAB")
        elif icc is None:
            raise ValueError("no profile")
        else:
            source = ImageCms.getOpenProfile(io.BytesIO(icc)).profile
        converted = ImageCms.profileToProfile(
            picture,
            ImageCms.ImageCmsProfile(source),
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION | (ImageCms.Flags.NOOPTIMIZE if exact else ImageCms.Flags.NONE),
        )
        assert converted is not None  # noqa: S101 - None only for inPlace
        return converted
    except (ValueError, OSError, TypeError, ImageCms.PyCMSError):
        why = "has no colour profile" if icc is None else "has a colour profile that cannot be used"
        notes.append(f"it {why}: its {picture.mode} colours are converted to RGB by a plain formula")
        return picture.convert("RGB")
