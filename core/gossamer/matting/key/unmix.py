"""Alpha where the backdrop is known: each pixel of the edge lies on a line from the backdrop's colour to the subject's.

How far along that line decides. The subject's colour there is not seen, so several are tried: those of the opaque
subject nearby, those that occur anywhere in it, and the strongest colour on the same line in a small window (of
letters, wires and hair nothing else is opaque). Each counts by how well the pixel lies on its line and how doubtful it
is here; none may make the subject's colour leave the range of colours.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array, unit_float
from gossamer.matting.key.noise import Noise
from gossamer.matting.key.screen import Screen, behind_place, between
from gossamer.matting.key.shaded import shaded
from gossamer.matting.key.subject import ANYWHERE, SubjectColours, subject_colours_around
from gossamer.matting.signed_distance import unit_length
from gossamer.parallel.patience import patiently
from gossamer.parallel.strips import Strips
from gossamer.progress import Progress
from gossamer.resampling import Pixels

__all__ = ["Cleared", "Plate", "clear", "cleared_small", "unmix"]

QUANTUM = 1.2 / 255  # no picture's colours are known more exactly
ITS, AROUND = 4.0, 2.2  # variances of noise up to which a pixel is backdrop, if its window is so on average
VERY = 0.5  # up to which it is, whatever is beside it
FEWEST = 100  # opaque pixels that make a subject's colours known
STRONG = 2.0  # times the most of the ringing
RIM = 4.0  # units: pixels this near to the backdrop may be mixed with it
BESIDE = 10.0  # units from the backdrop that what is known of the subject's inside may be missing
SEEN, GAP = 0.2, 0.02  # of a gap between hairs, more than such a share is less opaque
SOLID, EMPTY = 0.97, 0.03  # of the prior: beyond these there is nothing to decide away from the backdrop
STEPS = 2  # to each side of the window in which the strongest colour of a line is looked for
STRONGEST = 0.8  # the doubt about it
OFF, OFF_SHARE = 3.0, 0.08  # how far from a line a colour may lie: standard deviations of noise, share of its length
EXACT, TEXTURE = 2.0, 0.04  # what a pixel may be off its line: standard deviations of noise, and texture
FAINT = 4.0  # standard deviations: a subject's colour nearer to the backdrop's says nothing
SELECTIVE = 1.5  # how much more the likelier of several counts
IMPOSSIBLE = 50.0  # the doubt about a colour that says nothing
TRACE = 3.0  # standard deviations of a screen's light, or of ringing, that may be noise
HUE = 0.3  # what differences of hue count where only brightness is exact
_GREY = np.full((3, 3), 1 / 3, np.float32)
BRIGHTNESS = _GREY + np.float32(HUE) * (np.eye(3, dtype=np.float32) - _GREY)
LOST = np.float32(0.3)  # of the way from the backdrop to the subject, what ringing hides at most
SIDE = 192  # of the pieces that are decided at a time


class Plate(NamedTuple):
    """What is known of a picture before a plain backdrop.

    Attributes
    ----------
    screen : Screen
    noise : Noise
        Of the picture's own pixels around the backdrop.
    channel : int or None
        Of a coloured screen, the channel in which no subject exceeds its others.
    """

    screen: Screen
    noise: Noise
    channel: int | None = None


class Cleared(NamedTuple):
    """What is backdrop, and how far from it everything is.

    Attributes
    ----------
    empty : (h, w) bool
    away : (h, w) float32
        Pixels.
    """

    empty: NDArray[np.bool_]
    away: Array


def clear(image: Array, behind: Array, noise: Noise) -> Cleared:
    """Tell the backdrop from what stands before it; both (h, w, 3) float32."""
    import cv2

    least, off = max(noise.camera, QUANTUM), image - behind
    variances = _dot(off, off) / np.float32(3 * least * least)
    around = cv2.blur(variances, (3, 3), borderType=cv2.BORDER_REPLICATE)
    empty = (variances < ITS) & (around < AROUND) | (variances < VERY)
    if noise.ringing:  # edges have something strong right beside them, what rings has not
        most = _largest(np.abs(off, out=off))
        beside = cv2.dilate(most, np.ones((5, 5), np.uint8))
        empty |= (most < noise.ringing) & (beside < STRONG * noise.ringing)
    if not empty.any():
        return Cleared(empty, np.full(empty.shape, 1e6, np.float32))
    return Cleared(empty, np.asarray(cv2.distanceTransform((~empty).astype(np.uint8), cv2.DIST_L2, 5), np.float32))


def cleared_small(small: Array, plate: Plate, shape: tuple[int, ...]) -> Cleared:
    """Do the same at the size of the screen's field, of a picture of a (height, width, ...)."""
    shrunk = math.sqrt(shape[0] * shape[1] / (small.shape[0] * small.shape[1]))
    behind = between(small, plate.screen.field, plate.screen.other)
    return clear(small, behind, Noise(plate.screen.noise, plate.noise.ringing / shrunk))


def unmix(
    picture: Pixels, small: Array, plate: Plate, prior: Array | None, report: Progress, solid: Array | None = None
) -> Array:
    """Find alpha at the edges of what stands before a known backdrop.

    Parameters
    ----------
    picture : (H, W, 3) uint8 or float32
    small : (h, w, 3) float32
        The same at the size of the screen's field.
    plate : Plate
    prior : (H, W) float32 or None
        What alpha is where nothing of the backdrop is near: a mask; 1 without it, less before a coloured screen
        where its colour shows through.
    report : Progress
        What it raises passes through.
    solid : (h, w) float32, optional
        Without a prior: how opaque the subject is known to be at least where the backdrop is not seen.

    Returns
    -------
    (H, W) float32
        0 where the backdrop is seen, the prior away from it, and in between what the colours say.
    """
    import cv2

    height, width = picture.shape[:2]
    unit = unit_length(small.shape)
    cleared = cleared_small(small, plate, picture.shape)
    if prior is None:
        before = _through(small, plate.screen.field, plate.channel, plate.screen.noise)
        solid = _solid(before, cleared, solid, unit, small, plate)
        if solid is not None:
            before = np.maximum(before, solid)
    else:
        before = cv2.resize(prior, small.shape[1::-1], interpolation=cv2.INTER_AREA)
    opaque = _opaque(cleared.away, before, unit)
    colours = patiently(lambda: subject_colours_around(small, opaque, unit), report)
    report(0.3)
    scale = unit_length(picture.shape)
    rim, step = RIM * scale, max(1, round(scale / 2.5))
    halo = math.ceil(rim) + STEPS * step + 1
    result = np.empty((height, width), np.float32)
    # Of what is clear in the small picture nothing needs to be looked at again.
    nothing = cv2.erode(cleared.empty.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    reach = None
    if solid is not None:  # as far as the backdrop, its colours decide
        side = 2 * math.ceil(2 * RIM * unit + 2) + 1
        reach = cv2.dilate(solid, np.ones((side, side), np.uint8))
        reach[cleared.away > BESIDE * unit] = 0
    settled = (cleared.away > RIM * unit + 2) & ((before > SOLID) | ((before < EMPTY) & (prior is not None)))

    def work(top: int, bottom: int) -> None:
        for left in range(0, width, SIDE):
            right = min(left + SIDE, width)
            place = slice(top, bottom), slice(left, right)
            cells = (
                slice(top * small.shape[0] // height, -(-bottom * small.shape[0] // height)),
                slice(left * small.shape[1] // width, -(-right * small.shape[1] // width)),
            )
            if nothing[cells].all():
                result[place] = 0
            elif settled[cells].all():
                result[place] = 1 if prior is None else prior[place]
            else:
                decide(top, bottom, left, right)

    def decide(top: int, bottom: int, left: int, right: int) -> None:
        above, before_it = max(top - halo, 0), max(left - halo, 0)
        around = slice(above, min(bottom + halo, height)), slice(before_it, min(right + halo, width))
        part = np.ascontiguousarray(unit_float(picture[around]))
        behind = behind_place(plate.screen.field, around, height, width)
        if plate.screen.other is not None:
            behind = between(part, behind, behind_place(plate.screen.other, around, height, width))
        known = clear(part, behind, plate.noise)
        inner = slice(top - above, bottom - above), slice(left - before_it, right - before_it)
        place = slice(top, bottom), slice(left, right)
        if prior is None:
            wanted = _through(part[inner], behind[inner], plate.channel, plate.noise.camera)
            if solid is not None:
                wanted = np.maximum(wanted, behind_place(solid, place, height, width))
        else:
            wanted = prior[top:bottom, left:right]
        empty, away = known.empty[inner], known.away[inner]
        mixed = ~empty & ((away <= rim) | ((wanted > EMPTY) & (wanted < SOLID)))
        rows, columns = np.nonzero(mixed)
        out = result[top:bottom, left:right]
        np.copyto(out, wanted)
        out[empty] = 0
        if not len(rows):
            return
        whole = top + rows, left + columns
        spot = _Spot(part, behind, rows + (top - above), columns + (left - before_it), whole, (height, width))
        found = _mixed(spot, colours, plate.noise, step, wanted[mixed])
        if plate.channel is not None:
            most = wanted if reach is None else np.maximum(wanted, behind_place(reach, place, height, width))
            found = np.minimum(found, most[mixed])
        out[mixed] = found

    with Strips() as strips:
        strips.each(work, height, SIDE, report.part(0.3, 1.0))
    return result


def _solid(
    before: Array, cleared: Cleared, inside: Array | None, unit: float, small: Array, plate: Plate
) -> Array | None:
    """Return how opaque those places are at least through which a backdrop only seems to shine; None: nowhere at all.

    The subject is of such a colour there: well inside of what a mask shows, and where none of the backdrop is around.
    What is as fine as hair and its gaps is left alone.
    """
    import cv2

    side = 2 * round(RIM * unit) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    veiled = ((before < SOLID) & ~cleared.empty).astype(np.uint8)
    wide = cv2.morphologyEx(veiled, cv2.MORPH_OPEN, disc)
    if not wide.any():
        return None
    there = wide > 0
    _, labels = cv2.connectedComponents(wide, connectivity=8, ltype=cv2.CV_32S)
    flat, count = labels[there], int(labels.max()) + 1
    apart = np.full(count, np.inf, np.float32)
    np.minimum.at(apart, flat, cleared.away[there])
    clear_through = np.bincount(flat, before[there] < SEEN, count) / np.maximum(np.bincount(flat, minlength=count), 1)
    enclosed = there & ((apart > RIM * unit) & (clear_through < GAP))[labels]
    field, noise = plate.screen.field, plate.screen.noise
    result = enclosed.astype(np.float32)
    if plate.channel is not None:
        sure = (before > SOLID) & (cleared.away > RIM * unit)
        own = shaded(small, field, there, sure, noise, disc, plate.channel).astype(np.uint8)
        own = cv2.morphologyEx(cv2.morphologyEx(own, cv2.MORPH_CLOSE, disc), cv2.MORPH_OPEN, disc) & veiled
        joined = cv2.morphologyEx(own | sure, cv2.MORPH_CLOSE, disc) & cv2.dilate(own, disc)
        np.maximum(result, cv2.erode(own, disc) | (joined & (cleared.away > RIM * unit)), out=result)
    if inside is not None:
        np.maximum(result, inside * cv2.dilate(wide, disc), out=result)
    return result if result.any() else None


def _opaque(away: Array, prior: Array, unit: float) -> NDArray[np.bool_]:
    """Return what is subject and nothing else: far from the backdrop, or as far as something thin ever is."""
    sure = prior > SOLID
    for rim in (RIM * unit, RIM * unit / 2, 1.0):
        opaque: NDArray[np.bool_] = sure & (away > rim)
        if np.count_nonzero(opaque) >= FEWEST:
            break
    return opaque


class _Spot(NamedTuple):
    """Pixels to be decided: a piece of the picture and of the backdrop, and where they are in it and in the whole."""

    part: Array
    behind: Array
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    whole: tuple[NDArray[np.intp], NDArray[np.intp]]
    shape: tuple[int, int]


def _mixed(spot: _Spot, colours: SubjectColours | None, noise: Noise, step: int, prior: Array) -> Array:
    """Return alpha of the pixels of a spot, (N,)."""
    least = max(math.hypot(noise.camera, noise.ringing / 3), QUANTUM)
    behind = spot.behind[spot.rows, spot.columns]
    off = spot.part[spot.rows, spot.columns] - behind
    far = np.sqrt(_dot(off, off))
    towards = off / np.maximum(far, np.float32(1e-6))[:, None]
    low = _lowest(off, behind, least, OFF * least + STRONG * noise.ringing)
    tried = [(towards * _strongest(spot, towards, far, least, step)[:, None], STRONGEST)]
    if colours is not None:
        small = colours.near.shape[1:3]
        at = tuple(one * side // of for one, side, of in zip(spot.whole, small, spot.shape, strict=True))
        tried += [(layer[at] - behind, doubt) for layer, doubt in zip(colours.near, colours.doubts, strict=True)]
        tried += [(colour - behind, ANYWHERE) for colour in colours.anywhere]
    if noise.ringing:  # JPEG keeps colours at half the resolution: brightness tells where an edge is
        off = off @ BRIGHTNESS
        tried = [(line @ BRIGHTNESS, doubt) for line, doubt in tried]
    total, weight = np.zeros_like(far), np.zeros_like(far)
    allowed = (EXACT * least) ** 2 + TEXTURE**2
    costs, alphas = [], []
    for line, doubt in tried:
        length = _dot(line, line)
        alpha = np.clip(_dot(off, line) / np.maximum(length, np.float32(1e-6)), low, 1)
        rest = off - alpha[:, None] * line
        left = _dot(rest, rest)
        costs.append(left / np.float32(allowed) + np.float32(doubt) + IMPOSSIBLE * (length < (FAINT * least) ** 2))
        if noise.ringing:
            trace = np.minimum(
                np.float32(TRACE * least) / np.sqrt(np.maximum(length, np.float32(1e-6))), np.float32(0.3)
            )
            alpha = np.clip((alpha - trace) / (1 - 2 * trace), 0, 1)
        alphas.append(alpha)
    best = np.min(costs, axis=0)
    for cost, alpha in zip(costs, alphas, strict=True):
        share = np.exp(np.float32(SELECTIVE) * (best - cost))
        total += share * alpha
        weight += share
    return np.where(best < IMPOSSIBLE, total / weight, prior)  # of what is hardly to be seen nothing is known


def _dot(one: Array, other: Array) -> Array:
    """Return products of colours, (..., 3) each."""
    return np.asarray(np.einsum("...i,...i->...", one, other), np.float32)


def _largest(colours: Array) -> Array:
    """Return the largest of each colour's three numbers: faster than a maximum over so short an axis."""
    return np.asarray(np.maximum(np.maximum(colours[..., 0], colours[..., 1]), colours[..., 2]), np.float32)


def _lowest(off: Array, behind: Array, noise: float, most: float) -> Array:
    """Return the least alpha with which the subject's colour is one: further out there are no colours.

    What is off by no more than `most` may be noise.
    """
    room = np.where(off > 0, 1 - behind, behind) + np.float32(2 * noise)
    least: Array = np.clip(_largest((np.abs(off) - np.float32(most)) / room), 0, 1)
    return least


def _strongest(spot: _Spot, towards: Array, far: Array, noise: float, step: int) -> Array:
    """Return how far from the backdrop the furthest colour on each pixel's line is, in a small window."""
    best = far.copy()
    last_row, last_column = spot.part.shape[0] - 1, spot.part.shape[1] - 1
    for down in range(-STEPS * step, STEPS * step + 1, step):
        rows = np.clip(spot.rows + down, 0, last_row)
        for right in range(-STEPS * step, STEPS * step + 1, step):
            if down == right == 0:
                continue
            columns = np.clip(spot.columns + right, 0, last_column)
            other = spot.part[rows, columns] - spot.behind[rows, columns]
            along = _dot(other, towards)
            aside = _dot(other, other) - along * along
            fits = (along > best) & (aside < (OFF * noise) ** 2 + np.square(np.float32(OFF_SHARE) * along))
            best[fits] = along[fits]
    return best


def _through(image: Array, behind: Array, channel: int | None, noise: float) -> Array:
    """Return alpha as far as a coloured screen's light tells: exact for what is grey, and never less than the truth.

    After Vlahos' colour difference: nothing before the screen is more of its colour than grey is.
    """
    if channel is None:
        return np.ones(image.shape[:-1], np.float32)

    def excess(colours: Array) -> Array:
        others = [colours[..., one] for one in range(3) if one != channel]
        result: Array = colours[..., channel] - np.maximum(*others)
        return result

    screen = np.maximum(excess(behind), np.float32(0.02))
    share, trace = np.maximum(excess(image), 0) / screen, np.float32(TRACE * max(noise, QUANTUM)) / screen
    share = np.where(share < 2 * trace, 2 * np.maximum(share - trace, 0), share)  # grey subjects have noise, too
    result: Array = np.clip(1 - share, 0, 1)
    return result
