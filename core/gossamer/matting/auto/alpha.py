"""The matte that is made without being asked for: it does to a mask what each place of it needs, and no more.

Hair and fur are solved, a contour that enlarging blurred becomes as sharp as the picture, what a model overlooked is
added where its colours are the subject's; what is thin, truly transparent or already right stays as it is. Masks that
do not follow the picture, drawn or from prompts, are corrected freely (see :mod:`gossamer.matting.auto.evidence`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from gossamer.arrays import Array, as_mask, as_pixels
from gossamer.matting.auto.doubt import resolved, wide_doubt
from gossamer.matting.auto.evidence import belief, grounds, thinness
from gossamer.matting.auto.lines import faint_lines
from gossamer.matting.auto.mixtures import Mixtures, Told
from gossamer.matting.auto.plain import plain_background
from gossamer.matting.from_mask.enlarge import enlarge_onto
from gossamer.matting.from_mask.estimate import Drawn, estimate, in_doubt, work_size
from gossamer.matting.from_mask.faith import faith_in, ramp
from gossamer.matting.from_mask.hair import hairiness, sample_hair
from gossamer.matting.from_mask.palette import BAND
from gossamer.matting.key.unmix import unmix
from gossamer.matting.signed_distance import has_edge, signed_distance, unit_length
from gossamer.parallel.patience import Begun, patiently
from gossamer.progress import Progress, ProgressCallback
from gossamer.resampling import Pixels, bilinear

__all__ = ["auto_alpha"]

CONTOUR = 14.0  # units on either side of the contour of a mask that follows the picture
HARD, GREY = 1.2, 2.0  # grey pixels for each pixel of contour: of hard masks, antialiased or not; of models' masks
SURE = 0.85, 0.97  # |2 mask - 1| at which a mask's pixel begins to have a say about colours, and has it fully
MODEL = 0.8  # how careful to be with any soft mask: models draw them, also where they do not follow the picture


def auto_alpha(
    image: ArrayLike,
    mask: ArrayLike,
    *,
    of_clip: bool = False,
    progress: Progress | ProgressCallback | None = None,
) -> Array:
    """Estimate alpha from a picture and any mask of the subject, correcting the mask where there is evidence.

    Parameters
    ----------
    image : (H, W, 3) array
        RGB: uint8, uint16 or floats in [0, 1].
    mask : (H, W) array
        Of a model, drawn, or from prompts; hard or soft: bool, uint8, uint16 or floats in [0, 1]; 1 = foreground.
    of_clip : bool
        Whether the picture is a frame of a clip: wide parts that a model half saw are then left as they are, since what
        is decided of them as wholes would be decided otherwise in the next frame, and flicker.
    progress : callable, optional
        Called as ``progress(fraction, message)``; an exception that it raises stops the work and passes through.

    Returns
    -------
    (H, W) float32 ndarray
        Alpha in [0, 1]; the mask itself where nothing speaks against it.

    Raises
    ------
    InputError
        The mask's size is not the picture's, or there are NaN or values outside [0, 1].
    """
    report = Progress.of(progress)
    report(0.0, "Matting")
    picture = patiently(lambda: as_pixels(image), report)
    whole = patiently(lambda: as_mask(mask, picture.shape), report)
    small, hint = patiently(lambda: work_size(picture, whole), report)
    if min(hint.shape) < 3 or not has_edge(hint):
        report(1.0)
        return whole.copy()
    unit = unit_length(hint.shape)
    belonging = None if of_clip else patiently(lambda: wide_doubt(small, hint, unit), report)
    if belonging is not None:
        same, whole = hint is whole, resolved(whole, belonging)
        hint = whole if same else resolved(hint, belonging)
    reading = Begun(lambda: _read(small, hint, unit))  # beside what looks at the background
    try:
        distance = patiently(lambda: signed_distance(hint), report)
        plain = patiently(lambda: plain_background(picture, small, hint, distance, unit), report)
        read = reading.result(report)
    finally:
        reading.end()
    if plain is None:
        return _corrected(picture, whole, small, hint, distance, read, unit, report)
    measured = unmix(picture, small, plain.plate, whole, report.part(0.05, 0.3))
    if plain.dropped.any():
        measured *= 1 - bilinear(plain.dropped.astype(np.float32), *whole.shape)
    if plain.sure.all():
        report(1.0)
        return measured
    usual = _corrected(picture, whole, small, hint, distance, read, unit, report.part(0.3, 1.0))
    measured -= usual
    measured *= bilinear(plain.sure, *whole.shape)
    measured += usual
    return np.clip(measured, 0, 1, out=measured)


class _Read(NamedTuple):
    """What a mask tells of itself.

    How far it follows the picture, how far it is to be treated as a model's, and how far each pixel belongs to a line
    of it, to a narrow gap in it, and to hair: each (H, W) float32 in [0, 1]; the picture's mixtures, and what they tell
    by it.
    """

    faith: Array
    care: Array
    thin: Array
    gaps: Array
    hair: Array
    mixtures: Mixtures
    told: Told


def _read(small: Array, hint: Array, unit: float) -> _Read:
    mixtures = Mixtures(small, unit)
    told = mixtures.told(hint)
    faith = faith_in(small, hint, unit, told.plainly)
    soft = _softness(hint)  # what is not, and follows the picture wherever that can be seen, no enlarging blurred
    least = max(MODEL * soft, (1 - (1 - MODEL) * soft) * faith.shown)
    care = np.maximum(faith.here, np.float32(least))
    return _Read(faith.here, care, thinness(hint), thinness(1 - hint), hairiness(hint), mixtures, told)


def _corrected(
    picture: Pixels,
    whole: Array,
    small: Array,
    hint: Array,
    distance: Array,
    read: _Read,
    unit: float,
    report: Progress,
) -> Array:
    """Return the mask corrected where the picture gives evidence, whatever its background."""
    report(0.05)
    faith, care, thin, gaps, hair, mixtures, told = read
    # Beside the estimate, which has no need of them.
    known = Begun(lambda: grounds(mixtures, told, hint, care, (thin, gaps), unit))
    try:
        reach: Array = np.float32(BAND) + care * np.float32(CONTOUR - BAND)
        asked = in_doubt(hint, distance, reach, unit)
        heard = ramp(np.abs(2 * hint - 1), *SURE)
        drawn = Drawn(hair, np.maximum(thin, gaps))
        found = estimate(small, hint, distance, faith, asked, heard, drawn, unit, report.part(0.05, 0.8))
        places = known.result(report)
    finally:
        known.end()
    trust, room = belief(hint, found, care, places, unit, report.part(0.8, 0.84))
    alpha = found.alpha
    estimated = np.clip(hint + trust * (alpha - hint), 0, 1)
    seen = faint_lines(small, hint, places.thin, unit, report.part(0.84, 0.85))
    if seen is not None:  # one step that stands for both
        first, then = trust * (1 - seen.weight), seen.weight
        trust = first + then
        fainter = np.minimum(seen.alpha, estimated)
        alpha = np.where(trust > 0, (first * alpha + then * fainter) / np.maximum(trust, np.float32(1e-6)), alpha)
        estimated = np.clip(hint + trust * (alpha - hint), 0, 1)
    result = estimated
    if hint is not whole:
        result = enlarge_onto(picture, whole, small, alpha, trust * asked, report.part(0.85, 0.9))
    soft = np.maximum(hair, 1 - care)  # a model draws hair so
    result = sample_hair(picture, result, estimated, found.gate * room * soft, report.part(0.9, 1.0))
    report(1.0)
    return result


def _softness(mask: Array) -> float:
    """Return 0 for a hard mask, with or without antialiasing, and 1 for a soft one."""
    import cv2

    grey = np.count_nonzero((mask > 0.05) & (mask < 0.95))
    edge = cv2.morphologyEx((mask > 0.5).astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    length = np.count_nonzero(edge) / 2  # the gradient is two pixels wide
    return min(max((grey / max(length, 1) - HARD) / (GREY - HARD), 0.0), 1.0)
