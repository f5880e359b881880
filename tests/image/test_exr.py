from __future__ import annotations

import struct
import sys

import numpy as np
import pytest

from gossamer.errors import InputError, MissingExtra
from gossamer.image import read_image
from gossamer.image.exr_file import STRAIGHT
from gossamer.light import from_linear
from tests.image.exr import NONE, ZIPS, exr_bytes

HEIGHT, WIDTH = 23, 37
DOWN, ACROSS = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
COLOURS = np.dstack([ACROSS / WIDTH, DOWN / HEIGHT, np.full_like(DOWN, 0.3)]).astype(np.float32)
ALPHA = np.clip(ACROSS / WIDTH * 1.4 - 0.2, 0, 1).astype(np.float32)


def planes(colours: np.ndarray, alpha: np.ndarray | None = None, kind: type = np.float32) -> dict[str, np.ndarray]:
    found = {name: colours[..., place].astype(kind) for place, name in enumerate("RGB")}
    return found if alpha is None else {**found, "A": alpha.astype(kind)}


@pytest.mark.parametrize("compression", [NONE, ZIPS])
@pytest.mark.parametrize(("kind", "step"), [(np.float32, 1e-6), (np.float16, 5e-4)])
def test_light_becomes_the_numbers_of_srgb(kind: type, step: float, compression: int) -> None:
    image = read_image(exr_bytes(planes(COLOURS, kind=kind), compression=compression))
    assert np.abs(image.rgb - from_linear(COLOURS)).max() < step
    assert (image.alpha, image.bit_depth, image.icc_profile) == (None, 32, None)
    grey = read_image(exr_bytes({"Y": COLOURS[..., 0].astype(kind)}, compression=compression))
    assert np.abs(grey.rgb - from_linear(COLOURS[..., :1])).max() < step


@pytest.mark.parametrize("kind", [np.float32, np.float16])
def test_colours_are_multiplied_by_alpha_but_where_they_say_or_show_that_they_are_not(kind: type) -> None:
    many = planes(COLOURS * ALPHA[..., None], ALPHA, kind)
    image = read_image(exr_bytes(many))
    assert image.alpha is not None
    assert np.abs(image.alpha - ALPHA).max() < 1e-3
    assert np.abs(image.rgb - from_linear(COLOURS))[ALPHA > 0.1].max() < 5e-3
    assert any("multiplied by alpha" in said for said in image.warnings)
    shown = read_image(exr_bytes(planes(COLOURS, ALPHA, kind)))  # colours above their alpha
    told = read_image(exr_bytes(many, more={(b"writer", b"string"): STRAIGHT}))
    for straight, true in ((shown, COLOURS), (told, COLOURS * ALPHA[..., None])):
        assert not any("multiplied" in said for said in straight.warnings)
        assert np.abs(straight.rgb - from_linear(true)).max() < 1e-3


def test_a_glow_is_no_sign_of_straight_colours() -> None:
    glowing = COLOURS * ALPHA[..., None]
    glowing[8:11, :8] = 0.9  # shines through nothing
    assert any("multiplied" in said for said in read_image(exr_bytes(planes(glowing, ALPHA))).warnings)


def test_primaries_become_a_profile_and_what_is_brighter_than_white_is_told() -> None:
    corners = struct.pack("<8f", 0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.3127, 0.3290)
    wide = read_image(exr_bytes(planes(COLOURS), more={(b"chromaticities", b"chromaticities"): corners}))
    assert wide.icc_profile is not None
    assert np.abs(wide.rgb - from_linear(COLOURS)).max() < 1e-6
    assert any("Display P3" in said for said in wide.warnings)
    bright = COLOURS.copy()
    bright[0, 0] = 40
    assert any("clipped" in said for said in read_image(exr_bytes(planes(bright))).warnings)


@pytest.mark.parametrize("compression", [NONE, ZIPS])
@pytest.mark.parametrize("origin", [(0, 0), (-4, 7), (100, 50)])
def test_the_display_window_is_shown_and_what_has_no_data_is_empty(origin: tuple[int, int], compression: int) -> None:
    """The data begin within it, or go beyond it, wherever it begins."""
    x, y = origin
    whole = {**planes(COLOURS, np.ones_like(ALPHA)), "Z": ALPHA}
    within = exr_bytes(whole, compression=compression, at=(x + 3, y + 2), window=(x, y, x + WIDTH + 5, y + HEIGHT + 3))
    image = read_image(within)
    assert image.rgb.shape == (HEIGHT + 4, WIDTH + 6, 3)
    assert image.alpha is not None
    assert (image.alpha[2:-2, 3:-3] == 1).all()
    assert image.alpha.sum() == HEIGHT * WIDTH
    assert np.abs(image.rgb[2:-2, 3:-3] - from_linear(COLOURS)).max() < 1e-6
    assert any("Z left out" in said for said in image.warnings)
    beyond = exr_bytes(whole, compression=compression, at=(x - 3, y - 2), window=(x, y, x + WIDTH - 7, y + HEIGHT - 6))
    cropped = read_image(beyond)
    assert np.abs(cropped.rgb - from_linear(COLOURS[2:-3, 3:-3])).max() < 1e-6


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (exr_bytes({"beauty.R": ALPHA, "beauty.G": ALPHA, "beauty.B": ALPHA}), "no channels R, G and B, or Y"),
        (exr_bytes({"Y": ALPHA, "A": ALPHA}), "no channels R, G and B, or Y alone"),
        (exr_bytes({"Y": ALPHA, "RY": ALPHA, "BY": ALPHA}), "no channels R, G and B, or Y"),
        (exr_bytes(planes(COLOURS), flags=0x1000), "no channels R, G and B, or Y"),
        (exr_bytes(planes(COLOURS), compression=8), "compressed by DWA"),
        (exr_bytes(planes(COLOURS))[:-1], "damaged or cut off"),
        (exr_bytes(planes(COLOURS))[:200], "damaged or cut off"),
        (exr_bytes(planes(255 * COLOURS)), "another scale"),
    ],
)
def test_what_cannot_be_read_is_told(data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_image(data)


def test_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingExtra, match=r"OpenEXR.*\[video\]"):
        read_image(exr_bytes(planes(COLOURS)))
