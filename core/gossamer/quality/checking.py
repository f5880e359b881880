"""The check: a cut-out in, a score with its reasons out."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gossamer.arguments import check_kind
from gossamer.arrays import Array
from gossamer.cutout import Cutout
from gossamer.errors import InputError
from gossamer.image import Image, ImageSource, MaskSource, read_image, read_mask
from gossamer.parallel.patience import patiently
from gossamer.progress import Progress, ProgressCallback
from gossamer.quality.colour import measure_colour
from gossamer.quality.edge import measure_edge
from gossamer.quality.flags import Flag, flags_of
from gossamer.quality.loss import disagreement, measure_loss
from gossamer.quality.measures import Measures
from gossamer.quality.photograph import edges_of, measure_agreement
from gossamer.quality.scoring import score_of
from gossamer.quality.shape import Shape, measure_shape
from gossamer.quality.sharpness import blur_effect
from gossamer.quality.view import View, look
from gossamer.resampling import Pixels, shrink
from gossamer.settings.recipe import Recipe

__all__ = ["Check", "CutoutSource", "check"]

CutoutSource: TypeAlias = "Cutout | ImageSource"

_PROFILES = (
    "Cut-out and photograph have different colour profiles: their colours are compared as numbers, so a halo may be "
    "missed or imagined."
)
_ASPECT = 0.01  # by which two sizes of one picture may differ in their proportions


@dataclass(frozen=True)
class Check:
    """What a check found.

    Attributes
    ----------
    score : float
        From 0 (of no use) to 100 (nothing to be seen against it). Scores with a photograph know more than those
        without: compare like with like.
    flags : tuple of Flag
        What is, or may be, wrong; faults before notes.
    measures : Measures
        Every number.
    warnings : tuple of str
        What was lost or guessed in reading.
    """

    score: float
    flags: tuple[Flag, ...]
    measures: Measures
    warnings: tuple[str, ...] = ()

    @property
    def faulty(self) -> bool:
        """Whether a flag is a fault."""
        return any(flag.severity == "fault" for flag in self.flags)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain types, ready for JSON."""
        return {
            "score": self.score,
            "flags": [flag.as_dict() for flag in self.flags],
            "measures": self.measures.as_dict(),
            "warnings": list(self.warnings),
        }


def check(
    cutout: CutoutSource,
    photo: ImageSource | None = None,
    mask: MaskSource | None = None,
    recipe: Recipe | None = None,
    *,
    opinion: MaskSource | None = None,
    mirrored: MaskSource | None = None,
    progress: Progress | ProgressCallback | None = None,
) -> Check:
    """Check a cut-out of any tool without knowing the truth.

    Parameters
    ----------
    cutout : Cutout, path, bytes, PIL image, Image or (H, W, 4) array
        Straight colours and alpha. With a photograph also a mask alone: its colours are not looked at then.
    photo : path, bytes, PIL image, Image or array, optional
        The photograph that it was cut from. It may be larger or smaller, in the same proportions; a cut-out that was
        cropped or moved cannot be laid over it. Without one, halos, false holes and a wrong subject cannot be seen.
    mask : the same, or (H, W) array, optional
        The mask that it was made of, to find what of it was lost.
    recipe : Recipe, optional
        Its ``checks`` say from where on something is flagged.
    opinion : mask, optional
        What another model, or person, found in the same picture.
    mirrored : mask, optional
        What the model of `opinion` found in the mirrored picture, mirrored back.
    progress : callable, optional
        ``progress(fraction, message)``; raising :class:`gossamer.Cancelled` in it stops the work.

    Returns
    -------
    Check
        The same for the same cut-out, always.

    Raises
    ------
    InputError
        Something cannot be read, has no alpha, or is not of the cut-out's proportions.
    """
    steps = Progress.of(progress)
    if recipe is not None:
        check_kind(recipe, Recipe, "recipe", 'Give gossamer.Recipe.of({"checks": {"halo": 50}}).')
    limits = (recipe or Recipe()).checks
    steps(0.0, "Reading")
    alpha, colours, profile, warnings = patiently(lambda: _cutout(cutout, photo is not None), steps)
    behind, other, more = patiently(lambda: _photograph(photo, alpha), steps)
    warnings += more
    if behind is not None and colours is not None and profile != other:
        warnings.append(_PROFILES)
    others: dict[str, Array | None] = {}
    for name, given in (("mask", mask), ("opinion", opinion), ("mirrored", mirrored)):
        others[name], more = patiently(functools.partial(_other, given, alpha, name), steps)
        warnings += more
    steps(0.1, "Checking")
    view = look(alpha, colours, behind)
    shape, found = _measured(view, colours if behind is None else behind, steps.part(0.1, 0.9))
    if (made_of := others["mask"]) is not None:
        found = replace(found, **measure_loss(alpha, made_of)._asdict())
    if (opposed := others["opinion"]) is not None:
        found = replace(found, disagreement=disagreement(alpha, opposed))
        if (flipped := others["mirrored"]) is not None:
            found = replace(found, mirrored=disagreement(opposed, flipped))
    flags = flags_of(found, shape.sides, limits, photo=behind is not None)
    flags = tuple(sorted(flags, key=lambda flag: flag.severity))
    steps(1.0)
    return Check(score_of(found, flags), flags, found, tuple(dict.fromkeys(warnings)))


def _measured(view: View, sharp: Pixels | None, steps: Progress) -> tuple[Shape, Measures]:
    support = None if view.photo is None else edges_of(view)
    shape = measure_shape(view, support)
    values = {**shape._asdict(), **measure_edge(view)._asdict(), **measure_colour(view)._asdict()}
    steps(0.3)
    if support is not None and view.inside.any() and not view.inside.all():
        values |= measure_agreement(view, support, steps.part(0.3, 0.9))._asdict()
    if sharp is not None:
        values["blur"] = blur_effect(sharp, view.whole if sharp.shape[:2] == view.whole.shape else view.alpha)
    values["relative_size"] = shape.size / max(view.whole.shape)
    del values["sides"]
    return shape, Measures(**values)


def _cutout(source: CutoutSource, with_photo: bool) -> tuple[Array, Pixels | None, bytes | None, list[str]]:
    """Return alpha, straight colours, their profile and what is to be said of reading them."""
    if isinstance(source, Cutout):
        return source.alpha, source.pixels, source.icc_profile, []
    if isinstance(source, np.ndarray) and source.ndim == 2 and with_photo:
        return read_mask(source, name="cut-out").plane, None, None, []
    picture = read_image(source)
    label = _label(source, "The cut-out")
    if picture.alpha is not None:
        return np.asarray(picture.alpha), picture.pixels, picture.icc_profile, list(picture.warnings)
    if not with_photo:
        raise InputError(
            f"{label} has no alpha: it is no cut-out.",
            "Give a picture with transparency, or a mask together with its photograph.",
        )
    found = read_mask(picture, name=label)
    return found.plane, None, None, [*found.warnings]


def _photograph(source: ImageSource | None, alpha: Array) -> tuple[NDArray[Any] | None, bytes | None, list[str]]:
    """Return the photograph at the cut-out's size, its profile, and what is to be said of it."""
    if source is None:
        return None, None, []
    photo: Image = read_image(source)
    if photo.pixels.shape[:2] == alpha.shape:
        return photo.pixels, photo.icc_profile, list(photo.warnings)
    note = _scaled("photograph", photo.pixels.shape, alpha.shape)
    return _resized(photo.pixels, alpha.shape), photo.icc_profile, [*photo.warnings, note]


def _other(source: MaskSource | None, alpha: Array, name: str) -> tuple[Array | None, list[str]]:
    if source is None:
        return None, []
    found = read_mask(source, name=name)
    if found.plane.shape == alpha.shape:
        return found.plane, list(found.warnings)
    note = _scaled(name, found.plane.shape, alpha.shape)
    return _resized(found.plane, alpha.shape), [*found.warnings, note]


def _scaled(name: str, shape: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    """Return what is said of a picture of another size; raises InputError where it is of other proportions."""
    (height, width), (rows, columns) = shape[:2], wanted[:2]
    if abs(width * rows / (height * columns) - 1) > _ASPECT + 1 / min(rows, columns, height, width):
        raise InputError(
            f"The {name} is {width} x {height} pixels, but the cut-out is {columns} x {rows}: it was cropped or moved.",
            f"Give the {name} that it is from, in its proportions.",
        )
    return f"The {name} is {width} x {height} pixels: it was scaled to the cut-out's {columns} x {rows}."


def _resized(array: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Return an array at another size: by areas where that is smaller, else bilinearly."""
    import cv2

    height, width = shape
    if height <= array.shape[0] and width <= array.shape[1]:
        return shrink(array, (width, height))
    return np.asarray(cv2.resize(array, (width, height), interpolation=cv2.INTER_LINEAR))


def _label(source: object, otherwise: str) -> str:
    import os

    return str(source) if isinstance(source, (str, os.PathLike)) else otherwise
