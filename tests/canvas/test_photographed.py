"""The photograph's own shadow, kept: against composites whose shadow is known exactly."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import gossamer
from gossamer.canvas.photographed import photographed_shadow

Array = NDArray[np.float32]
SIZE = 420, 560


def scene(noise: float = 0.006) -> tuple[Array, Array, Array, Array]:
    """Return a photograph, the subject's alpha and colour, and its shadow."""
    alpha = np.zeros(SIZE, np.float32)
    cv2.circle(alpha, (250, 190), 90, 1, -1, cv2.LINE_AA)
    shadow = np.zeros(SIZE, np.float32)
    cv2.ellipse(shadow, (300, 285), (130, 30), 0, 0, 360, 0.5, -1, cv2.LINE_AA)
    shadow = cv2.GaussianBlur(shadow, (0, 0), 12)
    y, x = np.mgrid[0 : SIZE[0], 0 : SIZE[1]].astype(np.float32)
    wall = (0.85 + 0.1 * x / SIZE[1] - 0.08 * y / SIZE[0])[..., None] * np.float32([1, 0.99, 0.97])
    colour = np.broadcast_to(np.float32([0.7, 0.25, 0.2]), (*SIZE, 3))
    image = alpha[..., None] * colour + (1 - alpha[..., None]) * (1 - shadow[..., None]) * wall
    image = image + np.random.default_rng(0).normal(0, noise, image.shape)
    return np.clip(image, 0, 1).astype(np.float32), alpha, colour, shadow


def test_the_shadow_is_found_as_dark_as_it_is() -> None:
    image, alpha, _, shadow = scene()
    found = photographed_shadow(image, alpha)
    assert found is not None
    outside = alpha == 0
    assert np.abs(found - shadow)[outside].mean() < 0.008
    assert np.abs(found - shadow)[outside].max() < 0.12
    np.testing.assert_array_equal(found[:60], 0)


@pytest.mark.long
def test_over_another_background_it_looks_as_if_taken_there() -> None:
    image, alpha, colour, shadow = scene()
    new = np.float32([0.3, 0.5, 0.7])
    truth = alpha[..., None] * colour + (1 - alpha[..., None]) * (1 - shadow[..., None]) * new
    recipe = gossamer.Recipe.of({"foreground": {"shadow": "keep"}, "background": {"fill": "rgb(30%, 50%, 70%)"}})
    cutout = gossamer.refine(image, alpha, recipe)
    assert cutout.composite is not None
    error = np.abs(cutout.composite - truth).mean()
    assert error < 1.2 / 255
    without = gossamer.refine(image, alpha, gossamer.Recipe.of({"background": {"fill": "rgb(30%, 50%, 70%)"}}))
    assert without.composite is not None
    assert error < 0.4 * np.abs(without.composite - truth).mean()


@pytest.mark.parametrize(("margin", "told"), [("35%", False), ("4%", True)])
def test_a_canvas_that_cuts_it_off_is_told(margin: str, told: bool) -> None:
    image, alpha, _, _ = scene()
    recipe = gossamer.Recipe.of({"foreground": {"shadow": "keep"}, "canvas": {"margin": margin}})
    warnings = " ".join(gossamer.refine(image, alpha, recipe).report.warnings)
    assert ("The shadow is cut off at the right" in warnings) == told


def test_on_nothing_it_is_a_part_of_the_transparency_and_a_layer_of_its_own() -> None:
    image, alpha, _, shadow = scene()
    cutout = gossamer.refine(image, alpha, gossamer.Recipe.of({"foreground": {"shadow": "keep"}}))
    assert cutout.shadow is not None
    assert cutout.composite_alpha is not None
    wanted = alpha + (1 - alpha) * shadow
    assert np.abs(cutout.composite_alpha - wanted).mean() < 2 / 255
    dark = (alpha == 0) & (shadow > 0.3)
    assert cutout.composite is not None
    dark &= cutout.alpha == 0
    assert cutout.composite[dark].max() < 0.02
    assert np.abs(cutout.alpha - alpha).mean() < 1 / 255  # the subject's alone


def test_what_is_no_shadow_does_not_come_along() -> None:
    image, alpha, _, _ = scene()
    image[20:60, 480:540] = (0.1, 0.3, 0.8)  # something blue on the wall
    image[350:400, 40:90] *= 0.6  # a dark spot that does not touch the subject
    found = photographed_shadow(image, alpha)
    assert found is not None
    assert found[20:60, 480:540].max() < 0.02
    assert found[355:395, 45:85].max() < 0.02


def test_before_a_lively_background_it_is_said_that_none_was_kept() -> None:
    _, alpha, _, _ = scene()
    image = np.random.default_rng(3).uniform(0, 1, (*SIZE, 3)).astype(np.float32)
    cutout = gossamer.refine(
        image, alpha, gossamer.Recipe.of({"foreground": {"shadow": "keep"}, "matting": {"method": "none"}})
    )
    assert any("shadow was not kept" in warning for warning in cutout.report.warnings)
    assert cutout.shadow is None


def test_what_stands_below_a_plain_sky_is_no_shadow() -> None:
    """The sky is plain enough to be a screen; trees and grass, some of which are of its hue, reach the subject."""
    _, alpha, colour, _ = scene()
    rng = np.random.default_rng(5)
    y = np.linspace(0, 1, SIZE[0], dtype=np.float32)[:, None, None]
    image = np.float32([0.45, 0.7, 0.95]) * (0.8 + 0.4 * y) * np.ones((*SIZE, 1), np.float32)
    texture = cv2.GaussianBlur(rng.normal(0, 1, SIZE).astype(np.float32), (0, 0), 3)
    trees, grass = slice(150, 240), slice(240, None)
    image[trees] *= np.clip(0.5 + 1.5 * texture[trees, :, None], 0.1, 1)
    image[grass] = np.float32([0.5, 0.55, 0.2]) * np.clip(1 + texture[grass, :, None], 0, 2)
    image = np.clip(alpha[..., None] * colour + (1 - alpha[..., None]) * image, 0, 1).astype(np.float32)
    assert photographed_shadow(image, alpha) is None
    recipe = gossamer.Recipe.of({"foreground": {"shadow": "keep"}, "matting": {"method": "none"}})
    assert any("shadow was not kept" in warning for warning in gossamer.refine(image, alpha, recipe).report.warnings)


@pytest.mark.long
@pytest.mark.parametrize("margin", ["10%", "20px"])
def test_the_canvas_takes_it_along(margin: str) -> None:
    image, alpha, _, _ = scene()
    recipe = gossamer.Recipe.of({"foreground": {"shadow": "keep"}, "canvas": {"crop": "subject", "margin": margin}})
    cutout = gossamer.refine(image, alpha, recipe)
    assert cutout.shadow is not None
    assert cutout.shadow.shape == cutout.alpha.shape
    assert cutout.shadow.max() > 0.3
