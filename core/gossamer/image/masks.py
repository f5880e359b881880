"""Masks from wherever they are: one reader for files, PIL pictures and arrays, which says what it had to guess.

What a picture of a mask means, in this order:

1. It is read upright, as :func:`gossamer.image.read_image` reads pictures.
2. An alpha that is opaque everywhere says nothing. Any other alpha is the mask; only where the visible colours are both
   black and white, the mask is white where it is visible.
3. Else a grey picture is the mask itself, 1 = white = foreground. Numbers of 0 and 1 only are labels; a grey map of
   several labels is none.
4. Else paint of one colour on black (or white) is foreground where it covers; several flat colours on black, or a
   palette's other colours than its first, are the labels of subjects: all of them are foreground.
5. Any other colour picture is none.

Scribbles (and trimaps) are grey too: 1 = foreground, 0 = background, between: nothing. What is transparent in them says
nothing, and what is painted in one colour that is not black says foreground.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, cast

import numpy as np

from gossamer.arguments import described
from gossamer.arrays import Array, check_size, plane_of, unit_float, unit_mask
from gossamer.errors import InputError
from gossamer.image.read import Image, ImageSource, read_image

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["MaskPicture", "MaskSource", "read_mask"]

MaskSource: TypeAlias = "ImageSource | ArrayLike"

_COLOUR = 16 / 255  # a grey picture from a JPEG file may be so much coloured by its compression
_OPAQUE = 250 / 255  # lossy formats round an opaque alpha down to about this
_ENDS = 0.05  # this near to 0 and 1 grey is black and white
_PAINT = 40 / 255  # JPEG colours the edge of paint by so much
_STRAY = 0.01  # the share of pixels that may be coloured worse
_FEW = 64  # more colours than that are a photograph's
_FLAT = 16  # so few are a drawing's
_WHITES = {8: 255.0, 16: 65535.0, 32: 4294967295.0}
_REMEDY = "Give a grey picture, white = foreground, or one whose alpha is the mask."


class MaskPicture(NamedTuple):
    """A mask that was read.

    Attributes
    ----------
    plane : (H, W) float32
        In [0, 1], 1 = foreground.
    warnings : tuple of str
        What was lost or guessed in reading, one sentence each.
    """

    plane: Array
    warnings: tuple[str, ...] = ()


def read_mask(
    source: MaskSource,
    shape: tuple[int, ...] | None = None,
    name: str = "mask",
    *,
    scribbles: bool = False,
    measured: bool = False,
) -> MaskPicture:
    """Read a mask, and say what was guessed about it; the module's docstring has the rules.

    Parameters
    ----------
    source : str, Path, bytes, binary file, PIL.Image.Image, Image or array-like
        A picture as :func:`gossamer.image.read_image` takes them, of any mode; or an array: (H, W) as
        :func:`gossamer.arrays.as_mask` takes it, or with 2 to 4 channels, grey or RGB with or without alpha; or a
        Cutout, whose alpha is the mask.
    shape : tuple of int, optional
        The picture's shape; its first two entries must be the mask's.
    name : str
        What messages call it.
    scribbles : bool
        Read marks: what is transparent is one half, that is nothing.
    measured : bool
        Read what an evaluation measures: cut-outs stand for their alpha without a word, an opaque photograph is all
        foreground, and masks may be as faint as they like.

    Returns
    -------
    MaskPicture

    Raises
    ------
    InputError
        It cannot be read, is no mask or of another size, or has values outside [0, 1].
    """
    if not isinstance(source, Image) and isinstance(matte := getattr(source, "alpha", None), np.ndarray):
        source = matte
    if source is None:
        raise InputError(f"There is no {name}.", "Give one of the picture's size, 1 = foreground.")
    if not _is_picture(source):
        found = _of_array(source, name, scribbles, measured)
    else:
        try:
            picture = read_image(cast("ImageSource", source))
        except InputError as error:
            raise InputError(_called(error.message, name), error.remedy) from error
        label = str(source) if isinstance(source, (str, os.PathLike)) else f"The {name}"
        white = _WHITES.get(picture.bit_depth, 0.0)
        found = _of_planes(picture.pixels, picture.alpha, white, label, scribbles, measured, source)
        found = MaskPicture(found.plane, (*(_called(text, name) for text in picture.warnings), *found.warnings))
    check_size(found.plane.shape, shape, name)
    return found


def _called(text: str, name: str) -> str:
    """Return what is told of a picture, where that is a mask."""
    return f"The {name}{text.removeprefix('The picture')}" if text.startswith("The picture") else text


def _is_picture(source: Any) -> bool:
    if isinstance(source, (str, os.PathLike, bytes, bytearray, memoryview, Image)):
        return True
    return hasattr(source, "getbands") or (hasattr(source, "read") and not hasattr(source, "__array__"))


def _of_array(source: Any, name: str, scribbles: bool, measured: bool) -> MaskPicture:
    try:
        array = np.asarray(source)
    except (TypeError, ValueError, RuntimeError) as error:  # rows of unlike lengths, a tensor that is not on the CPU
        reason = str(error).partition("\n")[0].rstrip(".")
        raise InputError(f"The {name} is no mask ({reason}).", "Give (height, width), 1 = foreground.") from None
    if array.ndim == 0:
        remedy = "Give a path, a PIL picture or an array (height, width), 1 = foreground."
        raise InputError(f"The {name} is {described(source)}.", remedy)
    label = f"The {name}"
    if array.ndim != 3 or array.shape[2] not in (2, 3, 4):
        unit, note = unit_mask(plane_of(array, name), name, measured=measured)
        return MaskPicture(unit, _told(label, note))
    colours, alpha = array[..., :3] if array.shape[2] > 2 else array[..., :1], None
    notes: tuple[str, ...] = ()
    if array.shape[2] != 3:
        alpha, note = unit_mask(array[..., -1], f"{name}'s alpha", measured=measured)
        notes = _told(f"{label}'s alpha", note)
    is_grey = bool((colours == colours[..., :1]).all())
    says = alpha is not None and float(alpha.min()) < _OPAQUE
    white = _white_of(colours) if not is_grey else 0.0
    if white == 1 and not says:
        raise _no_mask(label, scribbles)
    # What is beside an alpha that is the mask, and paint, may be as dark as it likes.
    rgb, note = unit_mask(colours[..., :1] if is_grey else colours, name, measured=measured or says or not is_grey)
    found = _of_planes(np.broadcast_to(rgb, (*rgb.shape[:2], 3)), alpha, white, label, scribbles, measured)
    return MaskPicture(found.plane, (*notes, *_told(label, note), *found.warnings))


def _white_of(colours: NDArray[Any]) -> float:
    """Return which whole number is white in an array of colours, 1 for yes and no; 0 of floats."""
    if colours.dtype.kind not in "biu":
        return 0.0
    high = int(colours.max(initial=0))
    if high <= 1:
        return 1.0
    return 255.0 if colours.dtype == np.uint8 or (high <= 255 and colours.dtype != np.uint16) else 65535.0


def _no_mask(label: str, scribbles: bool) -> InputError:
    remedy = "Draw white on the subject and black off it, on grey or nothing." if scribbles else _REMEDY
    return InputError(f"{label} is a colour picture without alpha: it is no mask.", remedy)


def _told(label: str, note: str) -> tuple[str, ...]:
    return (f"{label}: {note}.",) if note else ()


def _of_planes(
    pixels: NDArray[Any],
    alpha: Array | None,
    white: float,
    label: str,
    scribbles: bool,
    measured: bool,
    source: Any = None,
) -> MaskPicture:
    """Apply the rules to colours, (H, W, 3) bytes or floats, and alpha."""
    name = label.removeprefix("The ") if label.startswith("The ") else f"mask {label}"
    notes: tuple[str, ...] = ()
    if alpha is not None:
        alpha, note = unit_mask(alpha, f"alpha of the {name}", white=white, measured=measured)
        notes = _told(f"{label}, alpha", note)
    # Deep pictures may be dark as a whole, and are not of JPEG's: their colours count by their own brightness.
    brightest = float(unit_float(pixels).max()) if white > 255 else 1.0
    grey = _grey(pixels, brightest)
    if alpha is not None and float(alpha.min()) < _OPAQUE:
        plane, note = _with_alpha(pixels, grey, alpha, scribbles, label)
        note = "" if measured and note == _CUTOUT else note
        return MaskPicture(np.ascontiguousarray(plane), (*notes, *_told(label, note)))
    if grey is not None:
        unit, note = unit_mask(grey, name, white=white, measured=measured)
        return MaskPicture(np.ascontiguousarray(unit), (*notes, *_told(label, note)))
    rgb = unit_float(pixels) if brightest == 1 else unit_float(pixels) / np.float32(brightest)
    shades = _shades(rgb)
    painted = None if scribbles else _painted(rgb, shades, source)
    if painted is not None:
        return MaskPicture(painted[0], (*notes, *_told(label, painted[1])))
    if alpha is not None and measured and len(np.unique(shades)) > _FLAT:
        return MaskPicture(alpha, _told(label, "it is a colour picture with an opaque alpha, all foreground"))
    raise _no_mask(label, scribbles)


def _grey(pixels: NDArray[Any], brightest: float) -> NDArray[Any] | None:
    """Return the grey of a picture to the last bit, or the mean where its channels hardly differ, or None."""
    red, green, blue = (pixels[..., channel] for channel in range(3))
    if np.array_equal(red, green) and np.array_equal(green, blue):
        return np.ascontiguousarray(red)
    rgb = unit_float(pixels)
    red, green, blue = (rgb[..., channel] for channel in range(3))
    if max(float(np.abs(red - green).max()), float(np.abs(green - blue).max())) > _COLOUR * brightest:
        return None
    return np.asarray(rgb.mean(axis=2, dtype=np.float64), np.float32)


_CUTOUT = "both its colours and its alpha vary: its alpha is taken"


def _with_alpha(
    pixels: NDArray[Any], grey: NDArray[Any] | None, alpha: Array, scribbles: bool, label: str
) -> tuple[NDArray[Any], str]:
    """Return the mask of a picture whose alpha says something, and what was guessed."""
    visible = alpha > 0.5 * float(alpha.max())
    if not visible.any():
        return (np.full_like(alpha, 0.5), "") if scribbles else (alpha, "")
    seen = unit_float(pixels[visible])
    flat = bool((seen.max(axis=0) - seen.min(axis=0) <= _COLOUR).all())
    if scribbles and (flat or grey is not None):
        paint = np.float32(1) if grey is None else unit_float(grey)
        marks: Array = np.float32(0.5) + (paint - np.float32(0.5)) * alpha
        return marks, "what is transparent in it says nothing"
    if flat:
        return alpha, ""
    if grey is not None:
        ends = unit_float(grey[visible])
        dark, light = float((ends < _ENDS).mean()), float((ends > 1 - _ENDS).mean())
        if dark + light > 1 - _STRAY and min(dark, light) > 0:
            return unit_float(grey) * alpha, "it is black, white and transparent: what is white is taken"
    elif scribbles and len(np.unique(_shades(seen[:, None]))) <= _FEW:
        raise InputError(
            f"{label} has marks in several colours.", "Draw white on the subject and black off it, on grey or nothing."
        )
    return alpha, _CUTOUT


def _shades(rgb: Array) -> NDArray[np.uint32]:
    """Return one number for each colour of 24 bits, 0 for black; (H, W, 3) to (H, W)."""
    bits: NDArray[np.uint32] = np.rint(rgb * np.float32(255)).astype(np.uint32) @ np.array([65536, 256, 1], np.uint32)
    return bits


def _painted(rgb: Array, shades: NDArray[np.uint32], source: Any) -> tuple[Array, str] | None:
    """Return the mask that colours paint and what was guessed, or None where they paint none."""
    colour = _one_colour(rgb)
    if colour is not None:
        return colour, "it is painted in one colour on black: taken as foreground where it is painted"
    kinds = np.unique(shades)
    if len(kinds) <= _FEW and kinds[0] == 0:
        note = f"it shows {len(kinds) - 1} colours on black, as a map of labels does: all of them are foreground"
        return (shades > 0).astype(np.float32), note
    labels = _palette(source, shades.shape) if len(kinds) <= _FEW else None
    if labels is not None and labels.any() and not labels.all():
        note = "it has a palette, as a map of labels does: all but its first colour are foreground"
        return (labels > 0).astype(np.float32), note
    return _on_white(rgb)


def _on_white(rgb: Array) -> tuple[Array, str] | None:
    colour = _one_colour(1 - rgb)
    if colour is None:
        return None
    return colour, "it is painted in one colour on white: taken as foreground where it is painted"


def _one_colour(rgb: Array) -> Array | None:
    """Return how much paint of one colour covers black, (H, W), or None where there are several, or no black."""
    bright = rgb.max(axis=2)
    top = float(bright.max())
    colour = rgb[bright >= 0.9 * top].mean(axis=0, dtype=np.float64).astype(np.float32)
    colour *= np.float32(top / float(colour.max()))
    cover: Array = np.clip(rgb @ (colour / np.float32(colour @ colour)), 0, 1)
    off = np.abs(rgb - cover[..., None] * colour).max(axis=2) > _PAINT
    if float(off.mean()) > _STRAY or not float(bright.min()) < _ENDS:
        return None
    return cover


def _palette(source: Any, shape: tuple[int, ...]) -> NDArray[Any] | None:
    """Return the numbers of a picture with a palette, upright, or None where `source` is none."""
    import io

    from PIL import Image as Pillow
    from PIL import ImageOps

    try:
        if isinstance(source, (bytes, bytearray, memoryview)):
            source = io.BytesIO(bytes(source))
        if isinstance(source, (str, os.PathLike, io.BytesIO)):
            with Pillow.open(source) as picture:
                numbers = np.asarray(ImageOps.exif_transpose(picture)) if picture.mode == "P" else None
        else:
            numbers = np.asarray(ImageOps.exif_transpose(source)) if getattr(source, "mode", "") == "P" else None
    except Exception:  # our own reader has read it: Pillow's limits, and what it knows of damage, are not ours
        return None
    return numbers if numbers is not None and numbers.shape == tuple(shape) else None
