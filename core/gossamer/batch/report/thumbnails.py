"""Small pictures of a large one: before and after for a list, larger ones to be compared, the worst edges enlarged.

They are made once, of one picture at a time, and kept in ``OUT/.gossamer/thumbnails``: there they are found again as
long as neither the photograph nor the cut-out has changed.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array, unit_float
from gossamer.batch.addresses import Address, Where
from gossamer.batch.objects import read_object
from gossamer.errors import GossamerError, OutputError
from gossamer.files import make_folder, write_bytes
from gossamer.image import Image, read_image
from gossamer.quality.places import Place, worst_places
from gossamer.quality.view import View, look
from gossamer.resampling import shrink

__all__ = ["Thumbnails", "Zoom", "forget_others", "kept_thumbnails", "key_of", "make_thumbnails"]

_VERSION = 1  # of what is kept: another one is made anew
_LIST, _COMPARED = 112, 720  # longer side in pixels
_MOST = 3000  # bytes of one picture of the list
_SIDE, _LARGE_SIDE, _LARGE = 128, 192, 4_000_000  # pixels of an enlarged place, and from which area on it is larger
_PLACES = 3
_SAME_SHAPE = 0.01  # by which the proportions of two pictures of one thing may differ
_SAME_COLOURS, _SOLID = 0.12, 0.98  # median difference of what is opaque, in [0, 1]
_UNLIKE = 0.08  # colours that differ by more from the photograph are another background's
_SAME, _SOLID_COLOUR = 0.02, 0.25  # differences from a plain background: up to there it is that, from there on no more
_EDGE = 0.004  # of the longer side: how wide a soft edge before a plain background may be


@dataclass(frozen=True)
class Zoom:
    """A place at the cut-out's own size, as WebP in base64: of the cut-out, and of the photograph where it is known."""

    top: int
    left: int
    side: int
    after: str
    before: str = ""


@dataclass(frozen=True)
class Thumbnails:
    """What a page shows of one picture; every picture is WebP in base64, or "" where there is none.

    Attributes
    ----------
    before, after : str
        Photograph and cut-out for a list, 112 pixels long and at most some 3 kB each.
    photo, cutout : str
        The same, 720 pixels long.
    shadow : str
        The layer with the photograph's shadow, as long.
    zooms : tuple of Zoom
        The worst places.
    apart : bool
        Photograph and cut-out do not lie over one another: the cut-out was put on another canvas.
    notes : tuple of str
        What could not be shown, one sentence each.
    """

    before: str = ""
    after: str = ""
    photo: str = ""
    cutout: str = ""
    shadow: str = ""
    zooms: tuple[Zoom, ...] = ()
    apart: bool = False
    notes: tuple[str, ...] = field(default=())


def key_of(source: Where | None, output: Where | None, shadow: Where | None = None) -> str:
    """Return the name under which the thumbnails of some files are kept: another one as soon as one of them changes."""
    marks = [str(_VERSION)]
    for path in (source, output) if shadow is None else (source, output, shadow):
        marks.append("" if path is None else str(path))
        if isinstance(path, Address):
            marks.append("" if path.status is None else f"{path.status.st_size} {path.status.tag}")
            continue
        with suppress(OSError, ValueError):
            status = os.stat(path) if path is not None else None
            marks.append("" if status is None else f"{status.st_size} {status.st_mtime_ns}")
    return hashlib.sha256("\0".join(marks).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def kept_thumbnails(
    folder: Path,
    source: Where | None,
    output: Where | None,
    go_on: Callable[[], None] = lambda: None,
    shadow: Where | None = None,
) -> Thumbnails:
    """Return the thumbnails of a photograph, its cut-out and its shadow; make and keep them where there are none.

    Parameters
    ----------
    folder : Path
        Where they are kept. Where that cannot be written to, they are made nevertheless.
    source, output : Path, Address or None
        The two files. What is missing or cannot be read is told in the notes.
    go_on : callable
        Called every tenth of a second or two; raises to stop.
    shadow : Path, Address or None
        The layer beneath the cut-out.
    """
    place = folder / f"{key_of(source, output, shadow)}.json"
    with suppress(OSError, ValueError, TypeError, KeyError):
        found = json.loads(place.read_text("utf-8"))
        return Thumbnails(
            **{**found, "zooms": tuple(Zoom(**zoom) for zoom in found["zooms"]), "notes": tuple(found["notes"])}
        )
    made = make_thumbnails(source, output, go_on, shadow)
    with suppress(OSError, OutputError):
        make_folder(folder)
        write_bytes(place, json.dumps(asdict(made)).encode(), force=True)
    return made


def forget_others(folder: Path, keys: set[str]) -> None:
    """Remove kept thumbnails of other files, or of the same before they changed."""
    with suppress(OSError):
        for path in folder.glob("*.json"):
            if len(path.stem) == 32 and path.stem not in keys:
                with suppress(OSError):
                    path.unlink()


def make_thumbnails(
    source: Where | None,
    output: Where | None,
    go_on: Callable[[], None] = lambda: None,
    shadow: Where | None = None,
) -> Thumbnails:
    """Make the thumbnails of :func:`kept_thumbnails`; what cannot be read is told in their notes, not raised."""
    notes: list[str] = []
    photo = _read(source, "photograph", notes)
    go_on()
    cutout = _read(output, "cut-out", notes)
    go_on()
    if cutout is None:
        if photo is None:
            return Thumbnails(notes=tuple(notes))
        whole = _small(_pixels(photo), _COMPARED)
        return Thumbnails(
            before=_webp(_small(whole, _LIST), photo, _MOST), photo=_webp(whole, photo), notes=tuple(notes)
        )
    layer = _read(shadow, "shadow", notes)
    go_on()
    made = _of_both(photo, cutout, notes, go_on)
    return made if layer is None else replace(made, shadow=_webp(_small(_pixels(layer), _COMPARED), layer))


def _of_both(photo: Image | None, cutout: Image, notes: list[str], go_on: Callable[[], None]) -> Thumbnails:
    """Return the thumbnails where there is a cut-out."""
    shape = cutout.pixels.shape[:2]
    behind = None if photo is None else _laid_under(photo, cutout)
    apart = photo is not None and behind is None
    alpha = cutout.alpha
    view = look(np.ones(shape, np.float32) if alpha is None else np.asarray(alpha), cutout.pixels, behind)
    assert view.colours is not None  # noqa: S101 - it was given pixels
    go_on()
    after = view.colours if alpha is None else np.dstack([view.colours, view.alpha])
    compared = _small(after, _COMPARED)
    before = small_photo = ""
    if photo is not None:
        whole = _small(_pixels(photo), _COMPARED)
        before, small_photo = _webp(_small(whole, _LIST), photo, _MOST), _webp(whole, photo)
    if alpha is None:  # it has a background of its own, before which its edge is guessed
        guessed = _unlike_its_border(cutout) if behind is None else _like(cutout, behind)
        view = look(guessed, cutout.pixels, behind)
    go_on()
    return Thumbnails(
        before=before,
        after=_webp(_small(compared, _LIST), cutout, _MOST),
        photo=small_photo,
        cutout=_webp(compared, cutout),
        zooms=_zooms(view, cutout, photo, behind),
        apart=apart,
        notes=tuple(notes),
    )


def _zooms(view: View, cutout: Image, photo: Image | None, behind: NDArray[Any] | None) -> tuple[Zoom, ...]:
    """Return the worst places of a cut-out."""
    side = _LARGE_SIDE if view.whole.size > _LARGE else _SIDE
    zooms = []
    for place in worst_places(view, count=_PLACES, side=side):
        own = _cropped(cutout.pixels, place)
        if cutout.alpha is not None:
            own = np.dstack([own, _cropped(cutout.alpha, place)])
        before = "" if behind is None or photo is None else _webp(_cropped(behind, place), photo, quality=88)
        zooms.append(Zoom(*place, after=_webp(own, cutout, quality=90), before=before))
    return tuple(zooms)


def _read(path: Where | None, what: str, notes: list[str]) -> Image | None:
    if path is None:
        return None
    try:
        return read_image(path) if isinstance(path, Path) else read_object(path)
    except GossamerError as error:
        notes.append(f"The {what} cannot be shown: {error.message}")
    return None


def _laid_under(photo: Image, cutout: Image) -> NDArray[Any] | None:
    """Return the photograph at the cut-out's size, or None where the cut-out was cropped or moved."""
    import cv2

    (height, width), (rows, columns) = photo.pixels.shape[:2], cutout.pixels.shape[:2]
    if abs(width * rows / (height * columns) - 1) > _SAME_SHAPE + 1 / min(rows, columns, height, width):
        return None
    pixels = photo.pixels
    if (height, width) != (rows, columns):
        how = cv2.INTER_AREA if height > rows else cv2.INTER_LINEAR
        pixels = np.asarray(cv2.resize(pixels, (columns, rows), interpolation=how))
    if cutout.alpha is None:
        return pixels
    step = max(rows * columns // 200_000, 1)  # some of its pixels tell as much
    solid = np.flatnonzero(np.asarray(cutout.alpha).reshape(-1)[::step] > _SOLID) * step
    if len(solid) < 16:
        return pixels
    own, below = (unit_float(picture.reshape(-1, 3)[solid]) for picture in (cutout.pixels, pixels))
    return pixels if float(np.median(np.abs(own - below).max(axis=1))) < _SAME_COLOURS else None


def _like(cutout: Image, behind: NDArray[Any]) -> Array:
    """Return where a result without alpha is like its photograph, (H, W): there is its subject."""
    import cv2

    unlike = np.abs(unit_float(cutout.pixels) - unit_float(behind)).max(axis=2)
    smooth = cv2.GaussianBlur(unlike, (0, 0), 1.5)
    alpha: Array = np.clip(2 - smooth / np.float32(_UNLIKE), 0, 1).astype(np.float32)
    return alpha


def _unlike_its_border(cutout: Image) -> Array:
    """Return where a result without alpha is not its plain background, (H, W); all of it where that is not plain."""
    import cv2

    pixels = unit_float(cutout.pixels)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    unlike = np.abs(pixels - np.median(border, axis=0).astype(np.float32)).max(axis=2)
    _, labels = cv2.connectedComponents((unlike < _SAME).astype(np.uint8), connectivity=4)
    outside = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    empty = np.isin(labels, outside[outside > 0])
    if not empty.any():
        return np.ones(empty.shape, np.float32)
    # Beside what is empty a faint colour is a soft edge; within the subject it is the subject's.
    reach = 2 * max(round(_EDGE * max(empty.shape)), 1) + 1
    beside = cv2.dilate(empty.astype(np.uint8), np.ones((reach, reach), np.uint8)) > 0
    alpha: Array = np.where(beside, np.clip(unlike / np.float32(_SOLID_COLOUR), 0, 1), 1).astype(np.float32)
    alpha[empty] = 0
    return alpha


def _pixels(image: Image) -> NDArray[Any]:
    """Return colours, with alpha where the picture has one."""
    if image.alpha is None:
        return image.pixels
    return np.dstack([unit_float(image.pixels), image.alpha])


def _small(picture: NDArray[Any], longest: int) -> Array:
    """Return a picture of three or four channels with its longer side at most so long, in [0, 1]."""
    height, width = picture.shape[:2]
    factor = longest / max(height, width)
    if factor >= 1:
        return unit_float(picture)
    size = max(round(width * factor), 1), max(round(height * factor), 1)
    if picture.shape[2] == 3:
        return shrink(picture, size)
    alpha = picture[..., 3:]
    small = shrink(np.dstack([picture[..., :3] * alpha, alpha]), size)
    small[..., :3] = np.clip(small[..., :3] / np.maximum(small[..., 3:], np.float32(1 / 512)), 0, 1)
    return small


def _cropped(plane: NDArray[Any], place: Place) -> Array:
    return unit_float(plane[place.top : place.top + place.side, place.left : place.left + place.side])


def _webp(picture: Array, of: Image, most: int = 0, quality: int = 78) -> str:
    """Return a picture as WebP in base64, in sRGB, coarser where it would be longer than `most` bytes."""
    from PIL import Image as Pillow

    from gossamer.image.cms import to_srgb

    levels = np.rint(np.clip(picture, 0, 1) * np.float32(255)).astype(np.uint8)
    colours = Pillow.fromarray(np.ascontiguousarray(levels[..., :3]))
    if of.icc_profile is not None:
        colours = to_srgb(colours, of.icc_profile, [])
    if levels.shape[2] == 4:
        colours.putalpha(Pillow.fromarray(np.ascontiguousarray(levels[..., 3])))
    for coarser in (quality, 60, 40, 20, 5):
        file = io.BytesIO()
        fine = 100 if coarser >= 78 else 60
        colours.save(file, "WEBP", quality=coarser, alpha_quality=fine, method=4)
        if not most or file.tell() <= most:
            break
    return base64.b64encode(file.getvalue()).decode("ascii")
