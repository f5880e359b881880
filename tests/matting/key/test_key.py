"""Keying, against composites whose alpha is known exactly."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import gossamer
from gossamer.errors import InputError
from gossamer.matting.auto import auto_alpha
from gossamer.matting.key import key_alpha
from gossamer.matting.key.noise import picture_noise

Array = NDArray[np.float32]
SIZE = 400, 480


def drawn(*discs: tuple[int, int, int], size: tuple[int, int] = SIZE) -> Array:
    """Return the alpha of discs (x, y, radius), antialiased."""
    big = np.zeros((8 * size[0], 8 * size[1]), np.uint8)
    for x, y, radius in discs:
        cv2.circle(big, (8 * x, 8 * y), 8 * radius, 255, -1)
    return cv2.resize(big, size[::-1], interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def rays(size: tuple[int, int] = SIZE) -> Array:
    """Return the alpha of a disc with thin lines around it."""
    big = np.zeros((8 * size[0], 8 * size[1]), np.uint8)
    middle = (4 * size[1], 4 * size[0])
    cv2.circle(big, middle, 8 * 60, 255, -1)
    for turn in np.linspace(0, 2 * np.pi, 24, endpoint=False):
        end = (int(middle[0] + 8 * 150 * np.cos(turn)), int(middle[1] + 8 * 150 * np.sin(turn)))
        cv2.line(big, middle, end, 255, 16, cv2.LINE_8)
    return cv2.resize(big, size[::-1], interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def over(alpha: Array, colour: object, behind: object, noise: float = 0.0) -> Array:
    front, back = (np.broadcast_to(np.asarray(one, np.float32), (*alpha.shape, 3)) for one in (colour, behind))
    image = alpha[..., None] * front + (1 - alpha[..., None]) * back
    image = image + np.random.default_rng(0).normal(0, noise, image.shape) if noise else image
    return (np.round(np.clip(image, 0, 1) * 255) / 255).astype(np.float32)


def lit(colour: tuple[float, float, float]) -> Array:
    """Return a screen of a colour with light that falls from one corner."""
    y, x = np.mgrid[0 : SIZE[0], 0 : SIZE[1]].astype(np.float32)
    light = 0.75 + 0.4 * x / SIZE[1] - 0.15 * y / SIZE[0]
    return (np.float32(colour) * light[..., None]).astype(np.float32)


GREEN, BLUE, SKIN = (0.15, 0.62, 0.2), (0.1, 0.2, 0.65), (0.8, 0.6, 0.5)


@pytest.mark.long
@pytest.mark.parametrize("screen", [GREEN, BLUE, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (0.7, 0.7, 0.72)])
def test_an_even_screen_is_keyed_to_a_level(screen: tuple[float, float, float]) -> None:
    alpha = rays()
    found = key_alpha(over(alpha, (0.75, 0.3, 0.2), screen))
    assert np.abs(found - alpha).mean() < 0.25 / 255
    # A level of the picture is 1/60 of the way where the colours are nearest, and where lines meet none is opaque.
    assert np.quantile(np.abs(found - alpha), 0.999) < 0.06
    np.testing.assert_array_equal(found[:40], 0)


@pytest.mark.parametrize("screen", [GREEN, BLUE])
def test_uneven_light_and_noise_do_not_matter(screen: tuple[float, float, float]) -> None:
    alpha = rays()
    found = key_alpha(over(alpha, SKIN, lit(screen), 0.012))
    assert np.abs(found - alpha).mean() < 1.2 / 255
    assert np.mean(found[alpha == 0] > 0.05) < 0.003
    assert np.mean(found[alpha == 1] < 0.95) < 0.003


def test_a_screen_that_is_lit_twice_is_the_screen() -> None:
    alpha = drawn((150, 200, 80))
    x = np.arange(SIZE[1]) * np.ones(SIZE)
    spot = 1 + 0.5 * (x > 300)
    found = key_alpha(over(alpha, SKIN, np.float32(GREEN) * spot[..., None].astype(np.float32), 0.006))
    assert np.abs(found - alpha).mean() < 0.6 / 255
    assert found[:, 310:].max() < 0.05


@pytest.mark.parametrize("floor", [(0.22, 0.45, 0.2), (0.1, 0.42, 0.3)])
def test_a_floor_of_another_green_is_the_screen(floor: tuple[float, float, float]) -> None:
    alpha = drawn((240, 200, 90))
    behind = np.broadcast_to(np.float32(GREEN), (*SIZE, 3)).copy()
    behind[280:] = floor
    image = over(alpha, SKIN, cv2.GaussianBlur(behind, (0, 0), 0.8), 0.008)
    for found in (key_alpha(image), key_alpha(image, network_mask(alpha))):
        assert np.abs(found - alpha).mean() < 0.6 / 255
        assert np.quantile(found[alpha == 0], 0.999) < 0.2


def shrunk(plane: Array, width: int) -> Array:
    size = width, width * plane.shape[0] // plane.shape[1]
    return cv2.resize(plane, size, interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize("floor", [(0.2, 0.38, 0.15), (0.22, 0.45, 0.2)])
def test_where_a_floor_meets_the_wall_nothing_is_left_of_a_small_picture(floor: tuple[float, float, float]) -> None:
    """In few pixels the wall's colours are averaged far into the floor's, which ended before they meet."""
    behind = lit(GREEN)
    behind[280:] = floor * np.linspace(0.8, 1.1, SIZE[1], dtype=np.float32)[:, None]
    alpha = rays()
    image, truth = shrunk(over(alpha, (0.75, 0.3, 0.2), behind, 0.01), 96), shrunk(alpha, 96)
    assert np.abs(key_alpha(image) - truth)[truth == 0].mean() < 0.25 / 255  # 5 and 1.5 levels before


def test_hair_in_a_small_picture_is_not_taken_for_the_ringing_of_jpeg() -> None:
    """Both alternate from pixel to pixel near the subject; but ringing does so to both sides of the screen's colour."""
    big = np.zeros((8 * SIZE[0], 8 * SIZE[1]), np.uint8)
    middle, random = (4 * SIZE[1], 4 * SIZE[0]), np.random.default_rng(1)
    cv2.circle(big, middle, 800, 255, -1)
    for turn in random.uniform(0, 2 * np.pi, 90):
        far = random.uniform(900, 1300)
        cv2.line(big, middle, (int(middle[0] + far * np.cos(turn)), int(middle[1] + far * np.sin(turn))), 255, 6)
    alpha = cv2.resize(big, SIZE[::-1], interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    image, field = shrunk(over(alpha, (0.45, 0.5, 0.25), lit(GREEN), 0.01), 120), shrunk(lit(GREEN), 120)
    assert picture_noise(image, field).ringing == 0
    data = cv2.imencode(".jpg", np.round(255 * image[..., ::-1]).astype(np.uint8), (cv2.IMWRITE_JPEG_QUALITY, 85))[1]
    compressed = cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1].astype(np.float32) / 255
    assert picture_noise(compressed, field).ringing > 3 / 255


def test_what_is_green_in_the_subject_stays() -> None:
    alpha, leaf = drawn((240, 200, 110)), drawn((150, 230, 45))  # which reaches out of it
    whole = np.maximum(alpha, leaf)
    shirt = drawn((270, 210, 40))
    colours = np.float32([0.6, 0.4, 0.35]) * np.ones((*SIZE, 1), np.float32)
    for shape, green in ((leaf, (0.35, 0.5, 0.1)), (shirt, (0.25, 0.42, 0.24))):
        colours = colours * (1 - shape[..., None]) + shape[..., None] * np.float32(green)
    found = key_alpha(over(whole, colours, GREEN, 0.008), cv2.GaussianBlur(whole, (0, 0), 2.0))
    assert np.abs(found - whole).mean() < 0.8 / 255
    assert found[shirt == 1].min() > 0.95
    assert found[leaf == 1].mean() > 0.97
    # Without a mask what has nothing of the screen around it is the subject's.
    assert (
        key_alpha(over(alpha, colours * (1 - leaf[..., None]) + 0.5 * leaf[..., None], GREEN, 0.008))[shirt == 1].min()
        > 0.95
    )


def test_what_is_green_over_the_screen_is_told_without_a_mask_by_its_light_and_by_its_colour() -> None:
    y, x = np.mgrid[0 : SIZE[0], 0 : SIZE[1]].astype(np.float32)
    body, leaf, cloth = drawn((240, 200, 60)), drawn((90, 110, 35)), drawn((380, 290, 60))
    alpha = np.maximum.reduce([body, leaf, cloth])
    colours = np.float32([0.5, 0.35, 0.6]) * np.ones((*SIZE, 1), np.float32)
    for shape, green, light in (
        (leaf, (0.33, 0.48, 0.1), 1.0),  # were it see-through it would be a pure yellow, which nothing here is
        (cloth, (0.24, 0.4, 0.25), 1 + 0.35 * np.sin(x / 17) * np.cos(y / 23)),  # as grey glass would be, but for folds
    ):
        folds = np.float32(green) * np.broadcast_to(light, SIZE)[..., None]
        colours = colours * (1 - shape[..., None]) + shape[..., None] * folds
    found = key_alpha(over(alpha, colours, lit(GREEN), 0.008))
    assert np.abs(found - alpha).mean() < 0.8 / 255
    assert found[leaf == 1].mean() > 0.98
    assert found[cloth == 1].mean() > 0.98


def test_glass_in_uneven_light_and_what_moves_stay_as_clear_as_they_are_without_a_mask() -> None:
    y, x = np.mgrid[0 : SIZE[0], 0 : SIZE[1]].astype(np.float32)
    screen = lit(GREEN) * (1 - 0.25 * np.exp(-(((x + 0.3 * y - 420) / 8) ** 2)))[..., None]  # with a fold
    body, pane = drawn((130, 200, 60)), 0.4 * drawn((360, 190, 80))
    moving = cv2.blur(body, (61, 1))
    yellow, grey = np.float32([0.8, 0.7, 0.15]), np.float32([0.75, 0.75, 0.78])
    alpha = np.maximum(moving, pane)
    colours = np.where((pane > moving)[..., None], grey, yellow)
    found = key_alpha(over(alpha, colours, screen, 0.008))
    assert np.abs(found - alpha)[:, 270:450].mean() < 4 / 255
    assert found[pane == 0.4].max() < 0.75
    assert found[(moving > 0.2) & (moving < 0.6)].mean() < 0.6


@pytest.mark.parametrize("seen", [0.35, 0.5])
def test_glass_and_a_hole_stay_clear_whatever_is_solid_beside_them(seen: float) -> None:
    body, glass, hole = drawn((160, 200, 90)), drawn((350, 200, 70)), drawn((160, 200, 25))
    alpha = np.maximum(body - hole, seen * glass)
    colours = np.where((glass > body)[..., None], np.float32([0.8, 0.8, 0.8]), np.float32([0.35, 0.5, 0.1]))
    mask = np.maximum(cv2.GaussianBlur(body, (0, 0), 2.0), 0.7 * cv2.GaussianBlur(glass, (0, 0), 2.0))
    found = key_alpha(over(alpha, colours, GREEN, 0.006), mask)
    assert np.abs(found - alpha)[100:300, 290:410].mean() < 4 / 255
    assert found[190:210, 150:170].max() < 0.05
    assert found[190:210, 90:110].min() > 0.95


def test_smoke_before_a_screen_keeps_its_alpha() -> None:
    y, x = np.mgrid[0 : SIZE[0], 0 : SIZE[1]].astype(np.float32)
    smoke = (0.6 * np.exp(-(((x - 240) / 90) ** 2) - ((y - 200) / 70) ** 2)).astype(np.float32)
    smoke[smoke < 0.02] = 0
    found = key_alpha(over(smoke, (0.7, 0.7, 0.7), GREEN, 0.004))
    assert np.abs(found - smoke).mean() < 3.5 / 255  # its faintest tenth is taken for uneven light
    assert found[200, 240] == pytest.approx(0.6, abs=0.04)


def test_a_screen_may_be_named_and_be_smaller_than_its_surroundings() -> None:
    alpha = drawn((240, 200, 70))
    image = over(alpha, SKIN, GREEN)
    image[:, :150], image[:, 330:] = (0.3, 0.25, 0.2), (0.35, 0.3, 0.25)
    found = key_alpha(image, screen="#269e33")
    assert np.abs(found - alpha)[:, 160:320].mean() < 0.5 / 255
    assert found[:, :140].min() == 1  # it is not the screen


@pytest.mark.long
def test_what_stands_apart_from_the_mask_goes() -> None:
    subject, lamp = drawn((160, 200, 80)), drawn((400, 90, 25))
    found = key_alpha(over(np.maximum(subject, lamp), SKIN, GREEN), (subject > 0.5).astype(np.float32))
    assert np.abs(found - subject).mean() < 0.25 / 255
    assert key_alpha(over(np.maximum(subject, lamp), SKIN, GREEN))[90, 400] == 1


def test_a_picture_without_a_screen_is_said_to_have_none() -> None:
    noise = np.random.default_rng(1).uniform(0, 1, (*SIZE, 3)).astype(np.float32)
    with pytest.raises(InputError, match="No screen of one colour"):
        key_alpha(noise)
    with pytest.raises(InputError, match="no screen's colour"):
        key_alpha(noise, screen="transparent-ish")


@pytest.mark.long
def test_a_screen_s_tint_goes_by_itself_and_the_subject_s_own_stays() -> None:
    alpha = cv2.GaussianBlur(drawn((240, 200, 100)), (0, 0), 3)
    keyed = gossamer.Recipe.of({"matting": {"method": "key"}})

    def edge_of(colour: object, recipe: gossamer.Recipe) -> NDArray[np.float32]:
        cutout = gossamer.Pipeline(recipe, model="none").run(over(alpha, colour, GREEN, 0.01))
        return cutout.foreground[(cutout.alpha > 0.2) & (cutout.alpha < 0.9)].mean(axis=0)

    red, green, blue = edge_of((0.6, 0.6, 0.6), keyed)
    assert green < max(red, blue) + 0.005
    olive = np.float32([0.45, 0.42, 0.1])
    assert np.abs(edge_of(olive, keyed) - olive).max() < 0.04
    # Asked for, the light on the subject itself goes as well, as keyers do it.
    lit_skin = np.float32(SKIN) * np.float32([1, 1.25, 1])
    asked = gossamer.Recipe.of({"matting": {"method": "key"}, "foreground": {"despill": "green"}})
    red, green, blue = edge_of(lit_skin, asked)
    assert green - (red + blue) / 2 < 0.01
    red, green, blue = edge_of(lit_skin, keyed)
    assert green - (red + blue) / 2 > 0.05


def test_without_a_model_only_keying_works() -> None:
    image = over(drawn((240, 200, 100)), SKIN, GREEN)
    with pytest.raises(InputError, match="only the matting key"):
        gossamer.Pipeline(model="none").run(image)
    recipe = gossamer.Recipe.of({"matting": {"method": "key", "screen": "blue"}})
    report = gossamer.Pipeline(recipe, model="none").run(np.full((60, 60, 3), 0.5, np.float32)).report
    assert any("Keying was left out" in warning for warning in report.warnings)


# What auto does with a background that is plain already.


def network_mask(alpha: Array) -> Array:
    """Return about what a network gives: blurred, and without half of what is thin."""
    soft = cv2.GaussianBlur(alpha, (0, 0), 2.0)
    soft[: SIZE[0] // 2] = cv2.GaussianBlur(cv2.erode(alpha, np.ones((5, 5), np.uint8)), (0, 0), 2)[: SIZE[0] // 2]
    return np.clip((soft - 0.5) * 1.6 + 0.5, 0, 1).astype(np.float32)


@pytest.mark.parametrize("behind", [(1.0, 1.0, 1.0), (0.2, 0.3, 0.4)])
def test_auto_is_exact_before_a_plain_background(behind: tuple[float, float, float]) -> None:
    alpha = rays()
    mask = network_mask(alpha)
    found = auto_alpha(over(alpha, (0.8, 0.2, 0.3), behind), mask)
    assert np.abs(mask - alpha).mean() > 5 / 255
    assert np.abs(found - alpha).mean() < 0.25 / 255


def test_auto_keeps_white_before_white_as_the_mask_has_it() -> None:
    alpha = drawn((240, 200, 120))
    colours = np.broadcast_to(np.float32([0.3, 0.3, 0.6]), (*SIZE, 3)).copy()
    colours[200:] = 1.0  # the lower half is as white as the paper
    mask = cv2.GaussianBlur(alpha, (0, 0), 2.0)
    found = auto_alpha(over(alpha, colours, (1.0, 1.0, 1.0)), mask)
    assert np.abs(found - alpha)[210:].mean() < 1.25 * np.abs(mask - alpha)[210:].mean()
    assert np.abs(found - alpha)[:180].mean() < 0.25 / 255


def test_auto_drops_dust_but_nothing_that_the_model_saw() -> None:
    subject, other, dust = drawn((160, 200, 80)), drawn((400, 200, 40)), drawn((330, 60, 4))
    image = over(np.maximum(np.maximum(subject, other), dust), (0.2, 0.3, 0.6), (1.0, 1.0, 1.0))
    mask = cv2.GaussianBlur(np.maximum(subject, 0.45 * other), (0, 0), 1.5)
    found = auto_alpha(image, mask)
    assert found[50:70, 320:340].max() == 0
    assert found[180:220, 380:420].min() >= 0.44
    assert np.abs(found - subject)[:, :280].mean() < 0.25 / 255


def test_auto_leaves_a_shadow_out() -> None:
    alpha = drawn((240, 160, 90))
    shadow = cv2.GaussianBlur(drawn((250, 260, 80)), (0, 0), 15) * 0.4
    found = auto_alpha(over(alpha, (0.7, 0.2, 0.2), 1 - np.dstack([shadow] * 3)), alpha)
    assert np.abs(found - alpha).mean() < 0.7 / 255
    assert found[300:].max() < 0.05


@pytest.mark.parametrize("quality", [80, 92])
def test_auto_does_not_take_the_ringing_of_jpeg_for_the_subject(quality: int) -> None:
    alpha = drawn((240, 200, 110))
    _, data = cv2.imencode(".jpg", over(alpha, (0.6, 0.2, 0.2), 0.98) * 255, (cv2.IMWRITE_JPEG_QUALITY, quality))
    image = cv2.imdecode(data, cv2.IMREAD_COLOR).astype(np.float32) / 255
    mask = cv2.GaussianBlur(alpha, (0, 0), 1.5)
    found = auto_alpha(image, mask)
    assert np.abs(found - alpha).mean() < 0.6 * np.abs(mask - alpha).mean()
    apart = cv2.erode((alpha == 0).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    assert found[apart].max() < 0.1
