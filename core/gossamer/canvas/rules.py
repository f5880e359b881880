"""Whether an encoded picture is what a preset asks for, measured in what a shop will decode."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.canvas.presets import Preset
from gossamer.canvas.subject import Box, far_off, subject_box
from gossamer.errors import InputError
from gossamer.image import Image, read_image
from gossamer.image.limits import kind_of
from gossamer.lengths import read_aspect
from gossamer.settings.recipe import Recipe

__all__ = ["check_picture"]

_NAMES = {"JPEG": "jpeg", "PNG": "png", "WEBP": "webp", "TIFF": "tiff"}
_CLEAR = 0.5 / 255  # of alpha: what 8 bits round to nothing
_HAZE = 0.05  # of alpha: less than that, far off the subject, is no hair but background
_BLOCK = 8  # pixels of a JPEG block: one with the subject in it rings, one without does not
_NOT_WHITE = 250  # of 255: what is brighter is taken as background where no alpha tells
_RINGING = 245  # of 255: darker than that near the subject is to be seen, where nothing tells its edge from white
_STRAY = 0.05  # percent of the background
_UNLIKE = 0.01  # between two ratios that are said to be one
_ROUNDING = 0.5  # percent: of a small picture's side, a pixel


def check_picture(data: bytes, wanted: Preset, alpha: Array | None = None, recipe: Recipe | None = None) -> list[str]:
    """Return what in an encoded picture is not as a preset has it, in one sentence each.

    Parameters
    ----------
    data : bytes
        The file.
    wanted : Preset
    alpha : (H, W) float32, optional
        The subject's, of the picture's size; without it what differs from white is the subject.
    recipe : Recipe, optional
        What the picture was made with.

    Raises
    ------
    InputError
        The file is no picture.
    """
    rules, title = wanted.rules, wanted.title
    picture = read_image(data)
    width, height = picture.width, picture.height
    long, short = max(width, height), min(width, height)
    found = []

    def tell(wrong: bool, what: str) -> None:
        if wrong:
            found.append(f"{title}: {what}")

    kind = _NAMES.get(str(kind_of(data[:64])), "another format")
    if rules.formats:
        tell(kind not in rules.formats, f"the file is {kind}; write one of {', '.join(rules.formats)}.")
    if rules.min_longest:
        tell(long < rules.min_longest, f"the longest side has {long} pixels of {rules.min_longest} at least.")
    if rules.min_shortest:
        tell(short < rules.min_shortest, f"the shortest side has {short} pixels of {rules.min_shortest} at least.")
    if rules.max_longest:
        tell(long > rules.max_longest, f"the longest side has {long} pixels of {rules.max_longest} at most.")
    if rules.advised_longest and long >= rules.min_longest:
        tell(long < rules.advised_longest, f"{rules.advised_longest} pixels are advised; the longest side has {long}.")
    if rules.advised_shortest and short >= rules.min_shortest:
        advised = rules.advised_shortest
        tell(short < advised, f"{advised} pixels are advised; the shortest side has {short}.")
    if rules.max_megapixels:
        pixels = width * height / 1e6
        tell(pixels > rules.max_megapixels, f"{pixels:.1f} megapixels are more than {rules.max_megapixels:g}.")
    if rules.max_mb:
        size = len(data) / 1e6
        tell(size > rules.max_mb, f"{size:.1f} MB are more than {rules.max_mb:g}: see --output-max-kb.")
    aspect = read_aspect(rules.aspect)
    if aspect is not None:
        tell(abs(width / height / aspect - 1) > _UNLIKE, f"the ratio is {width}:{height}, not {rules.aspect}.")
    if not rules.enlarging and recipe is not None:
        tell(recipe.canvas.too_small == "enlarge", "pictures must not be enlarged.")
    if rules.min_fill or rules.max_fill:
        share = _fill(picture, alpha)
        wrong = share < rules.min_fill - _ROUNDING or (rules.max_fill and share > rules.max_fill + _ROUNDING)
        span = f"{rules.min_fill:g} to {rules.max_fill or 100:g} %"
        tell(bool(wrong), f"the subject fills {share:.0f} % of the picture, and should {span}.")
    if rules.white:
        for what in _whiteness(picture, alpha, kind):
            tell(True, what)
    return found


def _darkest(picture: Image) -> NDArray[np.uint8]:
    """Return the smallest of every pixel's three numbers, of 255."""
    pixels = picture.pixels
    if pixels.dtype != np.uint8:
        pixels = np.round(picture.rgb * np.float32(255)).astype(np.uint8)
    return np.asarray(np.minimum(np.minimum(pixels[..., 0], pixels[..., 1]), pixels[..., 2]))


def _fill(picture: Image, alpha: Array | None) -> float:
    """Return how much of the width or the height the subject takes, whichever is more, in percent."""
    if alpha is None:
        alpha = (_darkest(picture) < _NOT_WHITE).astype(np.float32)
    try:
        box = subject_box(alpha)
    except InputError:
        box = Box(0, 0, 0, 0)
    return 100 * max(box.width / picture.width, box.height / picture.height)


def _whiteness(picture: Image, alpha: Array | None, kind: str) -> list[str]:
    """Return what is wrong with a background that must be white in every pixel."""
    import cv2

    if picture.alpha is not None and float(picture.alpha.min()) < 1:
        return ["the background is transparent, and must be white."]
    darkest = _darkest(picture)
    clear = darkest >= _NOT_WHITE if alpha is None else (alpha < _CLEAR) | (far_off(alpha, 2) & (alpha < _HAZE))
    if not clear.any():
        return ["there is no white background."]
    near = np.zeros_like(clear)
    if kind == "jpeg" or alpha is None:  # without an alpha the subject's own edge may be as white
        high, wide = -(-clear.shape[0] // _BLOCK), -(-clear.shape[1] // _BLOCK)
        taken = np.zeros((high * _BLOCK, wide * _BLOCK), bool)
        taken[: clear.shape[0], : clear.shape[1]] = ~clear
        blocks = taken.reshape(high, _BLOCK, wide, _BLOCK).any((1, 3)).astype(np.uint8)
        if alpha is None:
            blocks = np.asarray(cv2.dilate(blocks, np.ones((3, 3), np.uint8)))
        whole = cv2.resize(blocks, taken.shape[::-1], interpolation=cv2.INTER_NEAREST).astype(bool)
        near = whole[: clear.shape[0], : clear.shape[1]] & clear
    told = []
    far = clear & ~near
    # A few pixels are where haze that was cleared met what was not.
    share = 100 * np.count_nonzero(darkest[far] < 255) / max(1, int(np.count_nonzero(far)))
    if share > _STRAY:
        told.append(
            f"{share:.3g} % of the background is not pure white, and {int(darkest[far].min())} of 255 where it is "
            "darkest."
        )
    beside = near if alpha is None else near & (alpha < _CLEAR)
    if beside.any() and int(darkest[beside].min()) < (_RINGING if alpha is None else 255):
        told.append(
            f"JPEG darkens the white beside the subject to {int(darkest[beside].min())} of 255: the highest quality "
            "keeps it, in a file that may be large enough."
        )
    return told
