"""Shadows and reflections of a subject on its canvas, each made from its alpha."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gossamer.arrays import Array, unit_float
from gossamer.canvas.contact import ground_shadow
from gossamer.canvas.placing import Placed
from gossamer.canvas.subject import Box
from gossamer.compositing import parse_colour
from gossamer.progress import Progress
from gossamer.resampling import area, wide_blur
from gossamer.settings.canvas import Shadow

__all__ = ["ShadowLayer", "cast"]

_SMALL = 176  # pixels of the longer side of what a contact shadow is worked out of
_DEPTH = 0.7  # how deep bodies are, of their width: nothing tells it, and people, shoes and bottles differ
_FAR = 1.25  # of the subject's longer side: beyond it a contact shadow is nothing to see
_CUT = 0.02  # of the shadow's darkest: what is less at the picture's edge is not seen to be cut off
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


def cast(placed: Placed, box: Box, settings: Shadow, progress: Progress) -> ShadowLayer | None:
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
    """
    if settings.kind == "none" or settings.opacity == 0:
        return None
    strength = np.float32(settings.opacity / 100)
    if settings.kind == "reflection":
        layer = _reflection(placed, box, settings)
    else:
        make = _drop if settings.kind == "drop" else _contact
        layer = ShadowLayer(parse_colour(settings.colour), make(placed.alpha, box, settings, progress))
    layer.alpha[...] *= strength
    return layer._replace(warnings=_cut_warnings(layer.alpha, placed.alpha, settings.kind))


def _drop(alpha: Array, box: Box, settings: Shadow, progress: Progress) -> Array:
    """Return the shadow on a wall behind the subject: its alpha, moved and blurred.

    A wall, a subject that is parallel to it and a light that is a disc make exactly the alpha convolved with a disc. A
    Gaussian of half the disc's radius has the same variance, and differs from it nowhere by more than 0.03.
    """
    import cv2

    long = max(box.width, box.height)
    away = settings.distance / 100 * long
    turn = np.deg2rad(settings.angle)
    moved = np.array([[1, 0, -away * np.cos(turn)], [0, 1, away * np.sin(turn)]], np.float32)
    shadow = np.asarray(cv2.warpAffine(alpha, moved, alpha.shape[::-1], flags=cv2.INTER_LINEAR), np.float32)
    progress(0.5)
    sigma = settings.softness / 100 * long / 2
    if sigma < 0.3:
        return shadow
    # Beyond the canvas there is no subject: as wide_blur would take it from the border's pixels.
    rim = int(np.ceil(3 * sigma))
    wider = cv2.copyMakeBorder(shadow, rim, rim, rim, rim, cv2.BORDER_CONSTANT, value=0)
    blurred = wide_blur(np.asarray(wider, np.float32), sigma)
    return np.clip(blurred[rim:-rim, rim:-rim], 0, 1)


def _contact(alpha: Array, box: Box, settings: Shadow, progress: Progress) -> Array:
    """Return the shadow on the ground, as a camera sees it that looks down a little."""
    import cv2

    left, top = max(0, int(box.left)), max(0, int(box.top))
    right, bottom = min(alpha.shape[1], int(np.ceil(box.right))), min(alpha.shape[0], int(np.ceil(box.bottom)))
    part = np.ascontiguousarray(alpha[top:bottom, left:right])
    factor = min(1.0, _SMALL / max(part.shape))
    height, width = (max(1, round(side * factor)) for side in part.shape)
    small = area(part, height, width)
    far = int(_FAR * max(height, width))
    # What lies beyond the canvas is not worked out.
    sides = min(far, int(np.ceil(max(left, alpha.shape[1] - right) * factor)) + 2)
    ground = ground_shadow(small, (sides, far), _DEPTH, progress)
    hidden = np.asarray(cv2.GaussianBlur(ground.hidden, (0, 0), 1.0), np.float32)
    # What ends where the work ends fades out before.
    fade = np.minimum(1, np.linspace(0, 4, far + 1, dtype=np.float32))
    hidden *= np.concatenate([fade, fade[-2::-1]])[:, None]
    sine = float(np.sin(np.deg2rad(settings.tilt)))
    across, down = part.shape[1] / width, part.shape[0] / height * sine
    # The lowest row of the subject is the near edge of its foot: its middle lies farther back.
    middle = bottom - ground.foot * down
    onto = np.array(
        [[across, 0, left + across * (0.5 - ground.left) - 0.5], [0, down, middle - down * ground.back]], np.float32
    )
    seen = cv2.warpAffine(hidden, onto, alpha.shape[::-1], flags=cv2.INTER_CUBIC)
    return np.clip(np.asarray(seen, np.float32), 0, 1)


def _reflection(placed: Placed, box: Box, settings: Shadow) -> ShadowLayer:
    """Return the subject upside down below its foot, fainter and more blurred the farther down."""
    import cv2

    height, width = placed.alpha.shape
    foot = min(height, int(np.ceil(box.bottom)))
    reach = max(1, round(settings.reach / 100 * box.height))
    rows = min(height - foot, reach, foot)
    alpha = np.zeros((height, width), np.float32)
    pixels = np.zeros((height, width, 3), np.float32)
    if rows < 1:
        return ShadowLayer(pixels, alpha)
    # More rows than are shown: blurring looks at them.
    sigma = settings.softness / 100 * max(box.width, box.height) / 2
    source = slice(max(0, foot - rows - int(3 * sigma) - 1), foot)
    mirrored = np.ascontiguousarray(placed.alpha[source][::-1])
    colours = unit_float(np.ascontiguousarray(placed.pixels[source][::-1]))
    sharp = np.dstack([colours * mirrored[..., None], mirrored])
    soft = sharp
    if sigma > 0.3:
        soft = np.asarray(cv2.GaussianBlur(sharp, (0, 0), sigma, borderType=cv2.BORDER_REFLECT), np.float32)
    away = (np.arange(rows, dtype=np.float32) + 0.5) / reach
    share = np.clip(away + np.float32(_SHARP), 0, 1)[:, None, None]
    mixed = soft[:rows] * share + sharp[:rows] * (1 - share)
    seen = mixed[..., 3]
    straight = np.divide(mixed[..., :3], seen[..., None], out=colours[:rows].copy(), where=seen[..., None] > 1e-4)
    pixels[foot : foot + rows] = np.clip(straight, 0, 1)
    alpha[foot : foot + rows] = np.clip(seen, 0, 1) * ((1 - away) ** 2)[:, None]
    return ShadowLayer(pixels, alpha)


def _cut_warnings(shadow: Array, subject: Array, kind: str) -> tuple[str, ...]:
    """Return what is to be told where a shadow ends at the picture's edge, and is not hidden there."""
    seen = shadow * (1 - subject)
    darkest = float(seen.max())
    edges = {"top": seen[0], "right": seen[:, -1], "bottom": seen[-1], "left": seen[:, 0]}
    cut = [side for side, edge in edges.items() if float(edge.max()) > max(_CUT, 5 * _CUT * darkest)]
    what = "reflection" if kind == "reflection" else "shadow"
    if darkest <= 0:
        return (f"There is no room for the {what}: give the canvas a margin.",)
    if cut:
        return (f"The {what} is cut off at the {' and '.join(cut)}: give the canvas more margin there.",)
    return ()
