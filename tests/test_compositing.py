"""Compositing with known answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from gossamer.compositing import cover, over, parse_colour, read_backdrop
from gossamer.errors import InputError
from gossamer.light import from_linear, to_linear
from gossamer.settings.recipe import Background


def test_over_is_the_compositing_equation() -> None:
    rng = np.random.default_rng(0)
    foreground, background = rng.random((2, 5, 7, 3), dtype=np.float32)
    alpha = rng.random((5, 7), dtype=np.float32)
    expected = alpha[..., None] * foreground + (1 - alpha[..., None]) * background
    np.testing.assert_allclose(over(foreground, alpha, background), expected, atol=1e-6)


def test_over_a_colour_leaves_its_inputs_alone() -> None:
    foreground, alpha = np.ones((2, 2, 3), np.float32), np.float32([[0, 0.5], [0.25, 1]])
    result = over(foreground, alpha, (1, 0, 0))
    assert result[0, 0].tolist() == [1, 0, 0]
    assert result[1, 0].tolist() == [1, 0.25, 0.25]
    assert (foreground == 1).all()


def test_linear_light_mixes_light_and_keeps_what_is_not_mixed() -> None:
    rng = np.random.default_rng(1)
    foreground, background = rng.random((2, 300, 400, 3), dtype=np.float32)
    alpha = rng.choice(np.float32([0, 0.25, 0.5, 1]), (300, 400))
    mixed = over(foreground, alpha, background, linear_light=True)
    np.testing.assert_array_equal(mixed[alpha == 1], foreground[alpha == 1])
    np.testing.assert_array_equal(mixed[alpha == 0], background[alpha == 0])
    light = alpha[..., None] * to_linear(foreground) + (1 - alpha[..., None]) * to_linear(background)
    np.testing.assert_allclose(to_linear(mixed), light, atol=2e-6)
    half = over(np.ones((1, 1, 3), np.float32), np.float32([[0.5]]), (0, 0, 0), linear_light=True)
    np.testing.assert_allclose(half, 0.735357, atol=1e-5)  # the sRGB number of half the light
    assert over(np.ones((1, 1, 3), np.float32), np.float32([[0.5]]), (0, 0, 0)).max() == 0.5


def test_srgb_s_curve_at_known_points_and_back() -> None:
    numbers = np.linspace(0, 1, 4097, dtype=np.float32)
    np.testing.assert_allclose(to_linear(np.float32([0, 0.04045, 0.5, 1])), [0, 0.0031308, 0.2140411, 1], atol=1e-6)
    np.testing.assert_allclose(from_linear(to_linear(numbers)), numbers, atol=1e-6)
    assert (np.diff(to_linear(numbers)) > 0).all()


@pytest.mark.parametrize(("text", "colour"), [("#ffffff", [1, 1, 1]), ("#FF0000", [1, 0, 0]), ("#003300", [0, 0.2, 0])])
def test_colours(text: str, colour: list[float]) -> None:
    np.testing.assert_allclose(parse_colour(text), colour, atol=1e-7)


@pytest.mark.parametrize("text", ["#ff", "redd", "#gggggg", "", "#ffffff00", "255,255", "256,0,0", "rgb(1,2)"])
def test_a_bad_colour_says_how_to_write_one(text: str) -> None:
    with pytest.raises(InputError, match="#rrggbb"):
        parse_colour(text)


def test_cover_keeps_the_middle_and_the_aspect_ratio() -> None:
    stripes = np.zeros((10, 40, 3), np.float32)
    stripes[:, 10:30] = 1  # the middle half
    covered = cover(stripes, 20, 40)
    assert covered.shape == (20, 40, 3)
    assert covered[:, 1:-1].min() == 1


def behind(fill: str, image: np.ndarray, icc_profile: bytes | None = None, **settings: float) -> np.ndarray | None:
    return read_backdrop(Background(fill=fill, **settings), icc_profile).behind(image)


def test_backgrounds(tmp_path: Path) -> None:
    image = np.random.default_rng(0).random((40, 60, 3), dtype=np.float32)
    assert behind("transparent", image) is None
    assert behind("#00ff00", image).tolist() == [0, 1, 0]
    blurred = behind("blur", image, blur=10)
    assert blurred.shape == image.shape
    assert blurred.std() < image.std() / 4
    np.testing.assert_allclose(blurred.mean(), image.mean(), atol=0.02)
    PIL.Image.new("RGB", (30, 20), (255, 0, 51)).save(tmp_path / "sky.png")
    sky = behind(str(tmp_path / "sky.png"), image)
    np.testing.assert_allclose(sky, np.broadcast_to([1, 0, 0.2], image.shape), atol=1e-6)


def test_a_background_is_converted_to_the_picture_s_profile(tmp_path: Path) -> None:
    """#808080 in sRGB is another number in a linear profile; converting there and back gives it again."""
    from PIL import ImageCms

    image = np.zeros((4, 4, 3), np.float32)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    same = behind("#3366cc", image, icc_profile=srgb)
    np.testing.assert_allclose(same, [0.2, 0.4, 0.8], atol=1.01 / 255)
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    with pytest.raises(InputError, match="colour profile"):
        behind("#3366cc", image, icc_profile=lab)


def test_a_missing_background_picture_is_named() -> None:
    with pytest.raises(InputError, match="nowhere"):
        behind("nowhere.png", np.zeros((2, 2, 3), np.float32))


def test_sizes_must_agree() -> None:
    foreground = np.zeros((4, 5, 3), np.float32)
    with pytest.raises(InputError, match="alpha is 4 x 4"):
        over(foreground, np.zeros((4, 4), np.float32), (0, 0, 0))
    with pytest.raises(InputError, match="background"):
        over(foreground, np.zeros((4, 5), np.float32), np.zeros((3, 5, 3)))


def test_highlights_stay_as_bright_as_they_are() -> None:
    rng = np.random.default_rng(0)
    front, behind = 8 * rng.random((2, 6, 7, 3), dtype=np.float32)
    alpha = np.zeros((6, 7), np.float32)
    alpha[2:4], alpha[4:] = 0.25, 1
    mixed = alpha[..., None] * front + (1 - alpha[..., None]) * behind
    np.testing.assert_allclose(over(front, alpha, behind, highlights=True), mixed, rtol=1e-6)
    for linear in (False, True):
        result = over(front, alpha, behind, linear_light=linear, highlights=True)
        np.testing.assert_array_equal(result[:2], behind[:2])
        np.testing.assert_array_equal(result[4:], front[4:])
    np.testing.assert_allclose(
        to_linear(result)[2:4], 0.25 * to_linear(front)[2:4] + 0.75 * to_linear(behind)[2:4], rtol=1e-4
    )
    with pytest.raises(InputError):
        over(front, alpha, behind)


def test_a_colour_may_be_transparent_where_that_is_asked_for() -> None:
    np.testing.assert_allclose(parse_colour("#33669980", transparent=True), [0.2, 0.4, 0.6, 128 / 255], atol=1e-6)
    np.testing.assert_allclose(parse_colour("#fff", transparent=True), np.ones(4))
