"""The kinds of picture file: what is looked at in each before it is decoded, and what decodes it."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from gossamer.errors import InputError
from gossamer.image.decode import Decoded, decode_pillow, from_jpeg, from_raw
from gossamer.image.deep import read_heif, read_png, read_tiff
from gossamer.image.exif import exif_of
from gossamer.image.ifd import first_directory
from gossamer.image.limits import check_delivered, check_size, silence
from gossamer.image.told import Told, told_by_pillow

if TYPE_CHECKING:
    from PIL import Image as Pillow

__all__ = ["READERS", "plugin"]

_UNENDED = "its end is missing, but all of its pixels are there"
_AVIF_SIDE, _AVIF_PIXELS = 32768, 1 << 28  # libavif's own limits


def _png(data: bytes, label: str) -> Decoded:
    from gossamer.image.png_file import read_chunks

    png = read_chunks(data, label)
    exif = exif_of(png.exif, label)
    told = Told(png.icc_profile, png.colour, exif, png.xmp, png.dpi, png.narrow, png.notes, png.exif)
    if not png.closed:
        png.check_whole()
        told.notes.append(_UNENDED)
    if png.frames > 1:
        told.notes.append(_several(png.frames, "frames"))
    if png.bits == 16:
        return from_raw(read_png(png), label, told)
    picture = _open("PNG", png.clean)
    picture.load()
    # Pillow takes a stream that ends early, well closed, as whole: what it lacks stays 0. One that is not
    # interlaced comes from the top, so that any other number in the last row says that all is there.
    if png.interlaced or not np.asarray(picture.crop((0, png.height - 1, png.width, png.height))).any():
        png.check_whole()
    return decode_pillow(picture, label, told)


def _jpeg(data: bytes, label: str) -> Decoded:
    from gossamer.image.jpeg import check_end, close, jpeg_rgb
    from gossamer.image.jpeg_file import read_segments

    jpeg = read_segments(data, label)
    completed = not jpeg.closed and close(jpeg)
    picture = _open("JPEG", jpeg.clean)
    rgb = jpeg_rgb(jpeg.clean) if picture.mode == "RGB" else None
    told = told_by_pillow(picture, label, jpeg.exif)
    told.xmp = jpeg.xmp
    if completed:
        told.notes.append(_UNENDED)
    if jpeg.incomplete:
        told.notes.append("its last scans are missing, so that fine detail may be")
    if rgb is None:
        decoded = decode_pillow(picture, label, told)
        check_end(jpeg, np.asarray(picture))
        return decoded
    check_end(jpeg, rgb)
    return from_jpeg(picture, rgb, label, told)


def _tiff(data: bytes, label: str) -> Decoded:
    from gossamer.image.tiff_file import first_picture

    tiff = first_picture(data, label)
    icc, xmp = tiff.tag(34675), tiff.tag(700)
    told = Told(
        bytes(icc) if icc else None,
        None,
        exif_of(data, label, "its tags"),
        xmp if isinstance(xmp, bytes) else None,
    )
    if tiff.pages > 1:
        told.notes.append(_several(tiff.pages, "pages", tiff.countless))
    raw = read_tiff(tiff, told.notes)
    if raw is not None:
        return from_raw(raw, label, told)
    if tiff.fax_may_lack_lines():
        told.notes.append("its fax data have no end, so that lines may be missing")
    with silence():
        picture = _open("TIFF", data)
        picture.load()
    return decode_pillow(picture, label, told, turned=True)  # Pillow turns TIFFs upright itself


def _gif(data: bytes, label: str) -> Decoded:
    from gossamer.image.gif_file import check_whole, lacks_colours, read_blocks

    gif = read_blocks(data)
    check_size(gif.width, gif.height, label)
    check_delivered(gif.width, gif.height, len(data), label)
    told = Told(gif.icc_profile)
    if gif.frames > 1:
        told.notes.append(_several(gif.frames, "frames", gif.countless))
    picture = _open("GIF", gif.clean)
    check_size(*picture.size, label)
    picture.load()
    pixels = np.asarray(picture)
    check_whole(gif, pixels)
    if lacks_colours(gif, pixels):
        told.notes.append("some of its pixels have colours that its palette lacks: they are black, it may be damaged")
    return _uncovered(decode_pillow(picture, label, told), gif.box, label)


def _uncovered(decoded: Decoded, box: tuple[int, int, int, int], label: str) -> Decoded:
    """Make transparent what the first frame of an animation does not cover, which decoders leave black."""
    left, top, width, height = box
    if (left, top) != (0, 0) or (height, width) != decoded.rgb.shape[:2]:
        alpha = np.zeros(decoded.rgb.shape[:2], np.float32)
        inside = slice(top, top + height), slice(left, left + width)
        alpha[inside] = 1.0 if decoded.alpha is None else decoded.alpha[inside]
        decoded.alpha = alpha
        decoded.warnings.append(f"{label}: its first frame does not cover it; the rest is transparent.")
    return decoded


def _bmp(data: bytes, label: str) -> Decoded:
    from gossamer.image.bmp_file import read_header

    bmp = read_header(data, label)
    picture = _open("BMP", bmp.clean)
    return decode_pillow(
        picture, label, Told(bmp.icc_profile, bmp.colour, dpi=picture.info.get("dpi"), notes=bmp.notes)
    )


def _webp(data: bytes, label: str) -> Decoded:
    from gossamer.image.webp_file import first_frame, webp_size

    width, height = webp_size(data)
    check_size(width, height, label)
    check_delivered(width, height, len(data), label)
    picture = _open("WEBP", data)
    picture.load()
    told = told_by_pillow(picture, label, picture.info.get("exif") or b"")
    decoded, box = _by_pillow(picture, label, told), first_frame(data)
    return _uncovered(decoded, box, label) if box and told.exif.orientation == 1 else decoded


def _avif(data: bytes, label: str) -> Decoded:
    from gossamer.image.boxes import properties

    box = properties(data)
    width, height = box.size or (0, 0)
    if max(width, height) > _AVIF_SIDE or width * height > _AVIF_PIXELS:
        check_size(width, height, label)
        raise InputError(f"{label} is larger than AVIF pictures that can be read.", "Convert it to PNG.")
    for block in box.exif:
        if not first_directory(block).is_sane():  # before Pillow reads it
            raise ValueError("EXIF that claims more than there is")
    picture = _open("AVIF", data)
    check_size(*picture.size, label)
    check_delivered(*picture.size, len(data), label)
    picture.load()
    told = told_by_pillow(picture, label, picture.info.get("exif") or b"")
    told.icc_profile = told.icc_profile or box.icc_profile
    told.colour = box.colour
    told.notes += [note for note in (box.note,) if note and told.icc_profile is None]
    decoded = _by_pillow(picture, label, told)
    if box.deep:
        decoded.warnings.append(f"{label} has more than 8 bits a channel; it is read as 8 bits.")
    return decoded


def _heif(data: bytes, label: str) -> Decoded:
    from gossamer.image.boxes import properties

    box = properties(data)
    raw, info = read_heif(data, label)
    block = info.get("exif")
    exif = exif_of(block, label)
    told = Told(info.get("icc_profile") or box.icc_profile, box.colour, exif, info.get("xmp"), block=block or None)
    told.notes += [note for note in (box.note,) if note and told.icc_profile is None]
    told.exif = exif.upright()
    return from_raw(raw, label, told)


def _exr(data: bytes, label: str) -> Decoded:
    from gossamer.image.exr_file import read_exr

    told = Told()
    raw, told.colour = read_exr(data, label, told.notes)
    return from_raw(raw, label, told)


READERS: dict[str, Callable[[bytes, str], Decoded]] = {
    "AVIF": _avif,
    "BMP": _bmp,
    "EXR": _exr,
    "GIF": _gif,
    "HEIF": _heif,
    "JPEG": _jpeg,
    "PNG": _png,
    "TIFF": _tiff,
    "WEBP": _webp,
}


def _several(count: int, what: str, countless: bool = False) -> str:
    return f"it has {f'at least {count}' if countless else count} {what}; only the first is used"


def _by_pillow(picture: Pillow.Image, label: str, told: Told) -> Decoded:
    """Decode with Pillow what may have several frames."""
    frames = getattr(picture, "n_frames", 1)
    if frames > 1:
        told.notes.insert(0, _several(frames, "frames"))
    return decode_pillow(picture, label, told)


def _open(kind: str, data: bytes) -> Pillow.Image:
    """Read the header of a file with Pillow's class for `kind`."""
    return plugin(kind)(io.BytesIO(data), "")


def plugin(kind: str) -> Callable[[IO[bytes], str], Pillow.Image]:
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
