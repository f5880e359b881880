from __future__ import annotations

import tracemalloc

import cv2
import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st

from gossamer.errors import InputError
from gossamer.foreground import METHODS, ForegroundBackground, estimate_foreground, multilevel, soft_band

OWN = ("auto", "none", "blur_fusion", "multilevel", "soft_band")
SOLVERS = ("auto", "multilevel", "soft_band")


@pytest.fixture(scope="module")
def errors(composite):
    return {
        method: composite.error(estimate_foreground(composite.image, composite.alpha, method).foreground)
        for method in METHODS
    }


@pytest.mark.parametrize(
    ("method", "bound"),
    [("blur_fusion", 6.5), ("multilevel", 4.2), ("closed_form", 2.2), ("soft_band", 1.8), ("auto", 1.8)],
)
def test_recovers_a_known_foreground(errors, method, bound):
    assert errors[method] < bound


@pytest.mark.parametrize("most", [0.95, 0.8, 0.6])
def test_smoke_before_a_photograph_keeps_its_own_colour(most):
    """Nowhere is it seen alone: what is behind it must not count as its own texture."""
    random = np.random.default_rng(3)
    colour = np.float32((0.8, 0.75, 0.7))
    y, x = np.mgrid[:300, :400].astype(np.float32)
    clouds = cv2.GaussianBlur(random.random((300, 400), dtype=np.float32), (0, 0), 12)
    clouds = np.clip(0.35 + (clouds - clouds.min()) / np.ptp(clouds), 0, 1)
    alpha = most * clouds * np.exp(-(((x / 400 - 0.5) / 0.25) ** 2) - ((y / 300 - 0.5) / 0.3) ** 2)
    behind = skimage.data.chelsea()[:300, :400].astype(np.float32) / 255
    image = np.rint((alpha[..., None] * colour + (1 - alpha[..., None]) * behind) * 255).astype(np.uint8)

    def off(colours):
        return float((np.abs(colours - colour).mean(2) * alpha).sum() / alpha.sum() * 255)

    assert off(soft_band(image, alpha)) < 0.5 * off(image / np.float32(255))


def test_auto_is_the_best(errors):
    assert errors["auto"] < 0.5 * errors["multilevel"]
    assert errors["auto"] < 0.35 * errors["blur_fusion"]
    assert errors["auto"] < 0.2 * errors["none"]


@pytest.mark.parametrize("method", METHODS)
def test_result_is_float32_in_range_and_explains_the_picture(composite, method):
    result = estimate_foreground(composite.image, composite.alpha, method)
    assert isinstance(result, ForegroundBackground)
    for layer in result:
        assert layer.dtype == np.float32
        assert layer.shape == composite.image.shape
        assert layer.min() >= 0
        assert layer.max() <= 1
    alpha = composite.alpha[:, :, None]
    again = alpha * result.foreground + (1 - alpha) * result.background
    if method != "blur_fusion":  # whose background is blurred
        assert np.abs(again - composite.image).mean() * 255 < 0.5


def test_soft_band_alone_is_the_same_foreground_for_floats_and_bytes(composite):
    both = estimate_foreground(composite.image, composite.alpha, "soft_band").foreground
    np.testing.assert_array_equal(soft_band(composite.image, composite.alpha), both)
    as_bytes = np.rint(composite.image * 255).astype(np.uint8)
    exact = as_bytes.astype(np.float32) / np.float32(255)
    again = estimate_foreground(exact, composite.alpha, "soft_band").foreground
    np.testing.assert_array_equal(soft_band(as_bytes, composite.alpha), again)


def test_soft_band_takes_views(composite):
    as_bytes = np.rint(composite.image * 255).astype(np.uint8)
    expected = soft_band(np.ascontiguousarray(as_bytes[::-1, ::2, ::-1]), composite.alpha[::-1, ::2])
    np.testing.assert_array_equal(soft_band(as_bytes[::-1, ::2, ::-1], composite.alpha[::-1, ::2]), expected)


def test_soft_band_does_not_hold_a_second_picture():
    height, width = 1500, 2000
    image = np.zeros((height, width, 3), np.uint8)
    image[:, ::3] = 200
    alpha = np.clip((np.arange(width, dtype=np.float32) - 900) / 200, 0, 1)[None].repeat(height, 0)
    soft_band(image, alpha)  # compiled
    tracemalloc.start()
    soft_band(image, alpha)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2.2 * height * width * 12  # the result, both layers at half size and strips


@pytest.mark.parametrize("method", METHODS)
def test_solid_pixels_keep_their_colour(composite, method):
    solid = composite.alpha == 1
    foreground, background = estimate_foreground(composite.image, composite.alpha, method)
    assert np.abs(foreground - composite.image)[solid].max() <= 1e-6
    if method != "blur_fusion":
        clear = composite.alpha == 0
        np.testing.assert_array_equal(background[clear], composite.image[clear])


@pytest.mark.parametrize("method", OWN)
def test_the_same_input_gives_the_same_result(composite, method):
    first = estimate_foreground(composite.image, composite.alpha, method)
    second = estimate_foreground(composite.image, composite.alpha, method)
    np.testing.assert_array_equal(first.foreground, second.foreground)
    np.testing.assert_array_equal(first.background, second.background)


def test_inputs_stay_untouched(composite):
    image, alpha = composite.image.copy(), composite.alpha.copy()
    for method in OWN:
        result = estimate_foreground(image, alpha, method)
        result.foreground[:] = 0
        result.background[:] = 0
    np.testing.assert_array_equal(image, composite.image)
    np.testing.assert_array_equal(alpha, composite.alpha)


def test_hidden_colours_continue_the_subject():
    # A red subject on a blue screen: under alpha 0 the foreground stays red, however far away.
    alpha = np.zeros((90, 120), np.float32)
    alpha[30:60, 40:80] = 1
    alpha[29, 40:80] = alpha[60, 40:80] = alpha[30:60, 39] = alpha[30:60, 80] = 0.5
    red, blue = np.array([0.8, 0.2, 0.1]), np.array([0.1, 0.2, 0.9])
    image = alpha[:, :, None] * red + (1 - alpha[:, :, None]) * blue
    result = estimate_foreground(image, alpha)
    assert np.abs(result.foreground - red).max() < 0.01
    assert np.abs(result.background - blue).max() < 0.01


def test_texture_is_left_to_the_layer_that_has_it():
    # A plain subject, half transparent, over stripes: neither equation nor smoothness alone can tell.
    columns = np.arange(160)
    stripes = np.where(columns % 8 < 4, 0.2, 0.8)
    background = np.repeat(np.repeat(stripes[None, :, None], 120, 0), 3, 2)
    alpha = np.clip((columns - 60) / 40, 0, 1)[None, :].repeat(120, 0).astype(np.float32)
    image = alpha[:, :, None] * 0.6 + (1 - alpha[:, :, None]) * background
    soft = (alpha > 0.2) & (alpha < 1)
    ours = np.abs(estimate_foreground(image, alpha).foreground - 0.6)[soft].mean()
    theirs = np.abs(multilevel(image, alpha) - 0.6)[soft].mean()
    assert ours < 0.05
    assert ours < 0.6 * theirs


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (2, 3)])
def test_tiny_pictures(method, shape):
    random = np.random.default_rng(1)
    image, alpha = random.random((*shape, 3)), random.random(shape)
    for layer in estimate_foreground(image, alpha, method):
        assert layer.shape == image.shape
        assert np.isfinite(layer).all()


@pytest.mark.parametrize("method", METHODS)
def test_everything_and_nothing(method):
    image = np.random.default_rng(2).random((20, 30, 3), dtype=np.float32)
    everything = estimate_foreground(image, np.ones((20, 30)), method)
    nothing = estimate_foreground(image, np.zeros((20, 30)), method)
    np.testing.assert_allclose(everything.foreground, image, atol=1e-6)
    if method != "blur_fusion":  # which gives the blurred background
        np.testing.assert_allclose(nothing.background, image, atol=1e-6)
    for layer in (*everything, *nothing):
        assert np.isfinite(layer).all()


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    seed=st.integers(0, 2**32 - 1),
    alpha_kind=st.sampled_from(["soft", "hard", "constant"]),
    flat=st.booleans(),
    method=st.sampled_from(OWN),
)
def test_holds_for_any_picture(shape, seed, alpha_kind, flat, method):
    random = np.random.default_rng(seed)
    alpha = random.random(shape, dtype=np.float32)
    if alpha_kind == "hard":
        alpha = np.round(alpha)
    elif alpha_kind == "constant":
        alpha = np.full_like(alpha, alpha[0, 0])
    image = random.random((*shape, 3), dtype=np.float32)
    if flat:
        image[:] = image[0, 0]
    foreground, background = estimate_foreground(image, alpha, method)
    for layer in (foreground, background):
        assert np.isfinite(layer).all()
        assert layer.min() >= 0
        assert layer.max() <= 1
    if method in SOLVERS:
        np.testing.assert_array_equal(foreground[alpha == 1], image[alpha == 1])
        if flat and method != "multilevel":  # one colour everywhere explains itself
            np.testing.assert_allclose(foreground, image, atol=1e-3)
            np.testing.assert_allclose(background, image, atol=1e-3)


GOOD_IMAGE, GOOD_ALPHA = np.zeros((4, 5, 3), np.float32), np.zeros((4, 5), np.float32)


@pytest.mark.parametrize(
    ("image", "alpha"),
    [
        (GOOD_IMAGE, GOOD_ALPHA + 1.1),
        (GOOD_IMAGE, GOOD_ALPHA - 0.1),
        (GOOD_IMAGE, GOOD_ALPHA + np.nan),
        (GOOD_IMAGE, GOOD_ALPHA + np.inf),
        (GOOD_IMAGE + np.nan, GOOD_ALPHA),
        (GOOD_IMAGE - np.inf, GOOD_ALPHA),
        (GOOD_IMAGE + 255, GOOD_ALPHA),
        (GOOD_IMAGE, GOOD_ALPHA.T),
        (GOOD_IMAGE, GOOD_ALPHA[:3]),
        (GOOD_IMAGE, GOOD_IMAGE),
        (GOOD_ALPHA, GOOD_ALPHA),
        (np.zeros((4, 5, 4)), GOOD_ALPHA),
        (np.zeros((0, 5, 3)), np.zeros((0, 5))),
        (GOOD_IMAGE.astype(complex), GOOD_ALPHA),
        (GOOD_IMAGE, GOOD_ALPHA.astype(object)),
        ("a picture", GOOD_ALPHA),
        (None, GOOD_ALPHA),
    ],
)
@pytest.mark.parametrize("method", ["auto", "blur_fusion", "multilevel"])
def test_bad_pictures_are_refused_with_a_remedy(image, alpha, method):
    with pytest.raises(InputError) as caught:
        estimate_foreground(image, alpha, method)
    assert caught.value.remedy


@settings(max_examples=30, deadline=None)
@given(
    place=st.integers(0, 19),
    value=st.one_of(st.just(float("nan")), st.floats(max_value=-0.31), st.floats(min_value=1.31, allow_infinity=True)),
)
def test_one_bad_alpha_is_enough(place, value):
    alpha = GOOD_ALPHA.copy()
    alpha.flat[place] = np.float32(np.clip(value, -3e38, 3e38))
    with pytest.raises(InputError, match="alpha"):
        estimate_foreground(GOOD_IMAGE, alpha)


@pytest.mark.parametrize("value", [0, -3, 2.5, "6", True, None])
@pytest.mark.parametrize("name", ["radius", "fine_radius"])
def test_bad_radii_are_refused(name, value):
    with pytest.raises(InputError, match="radius") as caught:
        estimate_foreground(GOOD_IMAGE, GOOD_ALPHA, "blur_fusion", **{name: value})
    assert caught.value.remedy


def test_an_unknown_method_is_refused():
    with pytest.raises(InputError, match="magic") as caught:
        estimate_foreground(GOOD_IMAGE, GOOD_ALPHA, "magic")
    assert "soft_band" in caught.value.remedy


@pytest.mark.parametrize("method", [method for method in METHODS if method != "none"])
def test_progress_rises_and_may_cancel(composite, method):
    seen: list[float] = []

    def note(fraction, message):
        seen.append(fraction)

    estimate_foreground(composite.image, composite.alpha, method, progress=note)
    assert seen == sorted(seen)
    assert seen[0] == 0
    assert seen[-1] == 1

    class StopError(Exception):
        pass

    def stop(fraction, message):
        seen.append(fraction)
        if len(seen) > 2:
            raise StopError

    seen.clear()
    with pytest.raises(StopError):
        estimate_foreground(composite.image, composite.alpha, method, progress=stop)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("colour", [(0, 0, 0), (1, 1, 1), (0, 0.4, 1)])
def test_constant_pictures(method, colour):
    image = np.broadcast_to(np.array(colour, np.float32), (16, 20, 3))
    alpha = np.linspace(0, 1, 20)[None, :].repeat(16, 0)
    foreground, _ = estimate_foreground(image, alpha, method)
    assert np.abs(foreground - image)[alpha > 0.1].max() < 0.02
