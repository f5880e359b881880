"""Shadows and reflections of a subject on its canvas, each made from its alpha."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gossamer.arrays import Array, unit_float
from gossamer.canvas.contact import depth_of, ground_shadow
from gossamer.canvas.ground import foot_of
from gossamer.canvas.placing import Placed
from gossamer.canvas.subject import Box
from gossamer.compositing import parse_colour
from gossamer.progress import Progress
from gossamer.resampling import area
from gossamer.settings.canvas import Shadow

__all__ = ["ShadowLayer", "cast", "cut_warnings"]

_SMALL = 176  # pixels of the longer side of what a contact shadow is worked out of
_DEPTH = 0.8  # how deep bodies are, of their width: nothing tells it, and people, shoes and bottles differ
_FAR = 1.25  # of the subject's longer side: beyond it a contact shadow is nothing to see
_CUT, _CUT_SHARE = 0.03, 0.25  # at the picture's edge, and of the darkest: what is less is not seen to be cut off
_COARSE = 12  # pixels of a drop shadow's radius that are blurred one by one
_SHARP = 0.05  # of a reflection's blur: how sharp it is at the foot


class ShadowLayer(NamedTuple):
    """What lies between the background and the subject.

    Attributes
    ----------
    pixels : (H, W, 3) or (3,) float32
        Straight colours.
    alpha : (H, W) float32
    warnings : tuple of str
        What the user should know.
    """

    pixels: Array
    alpha: Array
    warnings: tuple[str, ...] = ()


def cast(
    placed: Placed, box: Box, settings: Shadow, progress: Progress, *, footless: bool = False
) -> ShadowLayer | None:
    """Return the shadow of a subject; None where there is to be none.

    Parameters
    ----------
    placed : Placed
        The subject on its canvas.
    box : Box
        Where it is on it.
    settings : Shadow
    progress : Progress
        May raise to cancel.
    footless : bool
        Whether the photograph cuts the subject off at the bottom: it stands on no ground then.
    """
    if settings.kind == "none" or settings.opacity == 0:
        return None
    if footless and settings.kind != "drop":
        what = "reflection" if settings.kind == "reflection" else "contact shadow"
        told = f"The photograph cuts the subject's foot off, so that it gets no {what}."
        return ShadowLayer(np.zeros(3, np.float32), np.zeros_like(placed.alpha), (told,))
    strength = np.float32(settings.opacity / 100)
    if settings.kind == "reflection":
        layer = _reflection(placed, box, settings)
    else:
        make = _drop if settings.kind == "drop" else _contact
        layer = ShadowLayer(parse_colour(settings.colour), make(placed.alpha, box, settings, progress))
    layer.alpha[...] *= strength
    return layer._replace(warnings=cut_warnings(layer.alpha, placed.alpha, settings.kind))


def _drop(alpha: Array, box: Box, settings: Shadow, progress: Progress) -> Array:
    """Return the shadow on a wall behind the subject: its alpha, moved and blurred.

    A wall, a subject that is parallel to it and a light that is a disc make exactly this: the alpha convolved with a
    disc, whose radius is half the width of a straight edge's penumbra.
    """
    import cv2

    long = max(box.width, box.height)
    away = settings.distance / 100 * long
    turn = np.deg2rad(settings.angle)
    moved = np.array([[1, 0, -away * np.cos(turn)], [0, 1, away * np.sin(turn)]], np.float32)
    shadow = np.asarray(cv2.warpAffine(alpha, moved, alpha.shape[::-1], flags=cv2.INTER_LINEAR), np.float32)
    progress(0.5)
    return _disc_blur(shadow, settings.softness / 100 * long)


def _disc_blur(plane: Array, radius: float) -> Array:
    """Convolve a plane, 0 around it, with a disc: of coarser pixels where it is large."""
    import cv2

    if radius < 0.5:
        return plane
    step = max(1, int(radius // _COARSE))
    height, width = plane.shape
    rim = int(np.ceil(radius)) + step
    high, wide = (-(-(side + 2 * rim) // step) * step for side in (height, width))
    padded = cv2.copyMakeBorder(plane, rim, high - height - rim, rim, wide - width - rim, cv2.BORDER_CONSTANT, value=0)
    small = area(np.asarray(padded, np.float32), high // step, wide // step) if step > 1 else padded
    reach = int(np.ceil(radius / step)) + 1
    away = np.hypot(*np.mgrid[-reach : reach + 1, -reach : reach + 1])
    disc = np.clip(radius / step + 0.5 - away, 0, 1)
    blurred = cv2.filter2D(small, -1, (disc / disc.sum()).astype(np.float32), borderType=cv2.BORDER_CONSTANT)
    if step > 1:
        blurred = cv2.resize(blurred, (wide, high), interpolation=cv2.INTER_CUBIC)
    return np.clip(np.asarray(blurred, np.float32)[rim : rim + height, rim : rim + width], 0, 1)


def _contact(alpha: Array, box: Box, settings: Shadow, progress: Progress) -> Array:
    """Return the shadow on the ground, as a camera sees it that looks down a little."""
    import cv2

    left, top = max(0, int(box.left)), max(0, int(box.top))
    right, bottom = min(alpha.shape[1], int(np.ceil(box.right))), min(alpha.shape[0], int(np.ceil(box.bottom)))
    foot = foot_of(alpha, box)
    sine = float(np.sin(np.deg2rad(settings.tilt)))
    # Where the subject stands at a slant, as a car seen from its corner does, and where its foot is round, the picture
    # is moved down, column by column: as it is seen from the height of the ground.
    columns = np.arange(left, right, dtype=np.float32)
    moved = bottom - foot.level - foot.slope * (columns + np.float32(0.5)) + foot.round_drop(sine)[left:right]
    rows = np.arange(bottom - top, dtype=np.float32)[:, None] - moved[None, :]
    across = np.ascontiguousarray(np.broadcast_to(columns - left, rows.shape))
    part = cv2.remap(np.ascontiguousarray(alpha[top:bottom, left:right]), across, rows, cv2.INTER_LINEAR)
    factor = min(1.0, _SMALL / max(part.shape))
    height, width = (max(1, round(side * factor)) for side in part.shape)
    small = area(np.asarray(part, np.float32), height, width)
    far = int(_FAR * max(height, width))
    # What lies beyond the canvas is not worked out.
    sides = min(far, int(np.ceil(max(left, alpha.shape[1] - right) * factor)) + 2)
    stands = depth_of(foot.spread(sine, part.shape[0]), part.shape[0], _DEPTH)
    ground = ground_shadow(small, (sides, far), _DEPTH, progress, foot=stands * factor)
    hidden = np.asarray(cv2.GaussianBlur(ground.hidden, (0, 0), 1.0), np.float32)
    # What ends where the work ends fades out before.
    fade = np.minimum(1, np.linspace(0, 4, far + 1, dtype=np.float32))
    hidden *= np.concatenate([fade, fade[-2::-1]])[:, None]
    wide, down = part.shape[1] / width, part.shape[0] / height * sine
    # The lowest row of the subject is the near edge of all that it stands on: the middle lies farther back.
    back = stands / 2 * sine + down * ground.back
    start = left + wide * (0.5 - ground.left) - 0.5
    middle = foot.level + foot.slope * (start + 0.5) - back
    onto = np.array([[wide, 0, start], [foot.slope * wide, down, middle]], np.float32)
    seen = cv2.warpAffine(hidden, onto, alpha.shape[::-1], flags=cv2.INTER_CUBIC)
    return np.clip(np.asarray(seen, np.float32), 0, 1)


def _reflection(placed: Placed, box: Box, settings: Shadow) -> ShadowLayer:
    """Return the subject upside down below its foot, fainter and more blurred the farther down.

    Every column is mirrored where the subject meets the ground in it: a round foot, seen from a little above, touches
    its reflection all along.
    """
    import cv2

    height, width = placed.alpha.shape
    line = foot_of(placed.alpha, box).line
    first = int(max(0, np.floor(line.min())))
    reach = max(1, round(settings.reach / 100 * box.height))
    last = min(height, int(np.ceil(line.max())) + reach)
    alpha = np.zeros((height, width), np.float32)
    pixels = np.zeros((height, width, 3), np.float32)
    sigma = settings.softness / 100 * max(box.width, box.height) / 2
    # More rows than are shown: blurring looks at them.
    more = int(np.ceil(3 * sigma))
    rows = np.arange(first - more, last + more, dtype=np.float32)[:, None] + np.float32(0.5)
    if last <= first:
        return ShadowLayer(pixels, alpha)
    mirror = np.ascontiguousarray(2 * line[None, :] - rows - np.float32(0.5))
    columns = np.ascontiguousarray(np.broadcast_to(np.arange(width, dtype=np.float32)[None, :], mirror.shape))
    front = unit_float(placed.pixels)

    def mirrored(plane: Array) -> Array:
        turned = cv2.remap(plane, columns, mirror, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
        return np.asarray(turned, np.float32)

    sharp = np.dstack([mirrored(front * placed.alpha[..., None]), mirrored(placed.alpha)])
    soft = sharp
    if sigma > 0.3:
        soft = np.asarray(cv2.GaussianBlur(sharp, (0, 0), sigma, borderType=cv2.BORDER_REFLECT), np.float32)
    shown = slice(more, more + last - first)
    away = (rows[shown] - line[None, :]) / np.float32(reach)
    share = np.clip(away + np.float32(_SHARP), 0, 1)[..., None]
    mixed = soft[shown] * share + sharp[shown] * (1 - share)
    seen = mixed[..., 3]
    straight = np.divide(
        mixed[..., :3], seen[..., None], out=np.zeros_like(mixed[..., :3]), where=seen[..., None] > 1e-4
    )
    pixels[first:last] = np.clip(straight, 0, 1)
    below = np.clip(away * np.float32(reach) + np.float32(0.5), 0, 1)
    alpha[first:last] = np.clip(seen, 0, 1) * np.clip(1 - away, 0, 1) ** 2 * below
    return ShadowLayer(pixels, alpha)


def cut_warnings(shadow: Array, subject: Array, kind: str) -> tuple[str, ...]:
    """Return what is to be told where a shadow ends at the picture's edge, and is not hidden there."""
    seen = shadow * (1 - subject)
    darkest = float(seen.max())
    edges = {"top": seen[0], "right": seen[:, -1], "bottom": seen[-1], "left": seen[:, 0]}
    cut = [side for side, edge in edges.items() if float(edge.max()) > max(_CUT, _CUT_SHARE * darkest)]
    what = "reflection" if kind == "reflection" else "shadow"
    if darkest <= 0:
        return (f"There is no room for the {what}: give the canvas a margin.",)
    if cut:
        return (f"The {what} is cut off at the {' and '.join(cut)}: give the canvas more margin there.",)
    return ()
