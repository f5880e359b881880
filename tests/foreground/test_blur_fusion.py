from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossamer.foreground import blur_fusion, estimate_foreground
from gossamer.foreground.blur_fusion import estimate as box_blur


@pytest.fixture(scope="module", autouse=True, params=["compiled", "plain"])
def _way(request):
    """Run everything both ways: results must not depend on which one there is."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "plain":
            patch.setattr(box_blur, "_compiled", lambda: None)
        yield


STEP = 1 / 255
EXACT = 0.05 * STEP  # asked for is one step; what is lost should be far less


def published(image, alpha, radius=90, fine_radius=6):
    """Forte's code: float64, cv2.blur, two passes."""

    def blur(plane, side):
        return cv2.blur(plane, (side, side)).reshape(plane.shape)

    def fusion(image, foreground, background, alpha, side):
        blurred_alpha = blur(alpha, side)
        blurred_f = blur(foreground * alpha, side) / (blurred_alpha + 1e-5)
        blurred_b = blur(background * (1 - alpha), side) / ((1 - blurred_alpha) + 1e-5)
        foreground = blurred_f + alpha * (image - alpha * blurred_f - (1 - alpha) * blurred_b)
        return np.clip(foreground, 0, 1), blurred_b

    image, alpha = image.astype(np.float64), alpha.astype(np.float64)[:, :, None]
    foreground, background = fusion(image, image, image, alpha, radius)
    return fusion(image, foreground, background, alpha, fine_radius)


def mattes(random, height, width):
    """Alphas of every kind, above all those whose blurred alpha, or what it lacks to 1, vanishes."""
    soft = random.random((height, width), dtype=np.float32)
    yield "random", soft
    yield "hard", (soft > 0.5).astype(np.float32)
    yield "sparse", np.where(soft < 0.002, soft, 0).astype(np.float32)
    yield "nearly nothing", soft**30
    yield "tiny", soft * np.float32(1e-5)
    yield "nearly everything", 1 - np.where(soft < 0.01, soft * np.float32(1e-4), 0).astype(np.float32)
    half = np.zeros((height, width), np.float32)
    half[:, width // 2 :] = 1
    yield "edge", half
    yield "nothing", np.zeros_like(soft)
    yield "everything", np.ones_like(soft)


@pytest.mark.long
@pytest.mark.parametrize(
    ("height", "width", "radius", "fine_radius"),
    [
        (1, 1, 90, 6),
        (1, 1, 1, 1),
        (1, 9, 90, 6),
        (9, 1, 3, 5),
        (2, 2, 5, 7),
        (7, 5, 90, 6),
        (20, 2, 91, 30),
        (48, 64, 90, 6),
        (64, 48, 90, 6),
        (37, 53, 7, 4),
        (200, 300, 1, 1),
        (300, 200, 90, 6),
        (300, 200, 31, 90),
        (61, 40, 500, 121),
    ],
)
def test_equals_the_published_code_at_every_pixel(height, width, radius, fine_radius):
    random = np.random.default_rng(height * 1000 + width)
    image = random.random((height, width, 3), dtype=np.float32)
    for name, alpha in mattes(random, height, width):
        expected, behind = published(image, alpha, radius, fine_radius)
        result = estimate_foreground(image, alpha, "blur_fusion", radius=radius, fine_radius=fine_radius)
        assert np.abs(result.foreground - expected).max() <= EXACT, name
        assert np.abs(result.background - np.clip(behind, 0, 1)).max() <= EXACT, name
        np.testing.assert_array_equal(blur_fusion(image, alpha, radius, fine_radius), result.foreground)


@pytest.mark.long
def test_strips_do_not_show(monkeypatch):
    # Enough for the three strips that 1100 x 5000 pixels are; the blurred alpha vanishes in some and not in others.
    monkeypatch.setattr(box_blur, "_PIXELS", box_blur._PIXELS // 10)
    random = np.random.default_rng(3)
    height, width = 1100, 500
    image = np.tile(random.random((110, 100, 3), dtype=np.float32), (10, 5, 1))
    alpha = np.zeros((height, width), np.float32)
    alpha[300:700, 100:400] = np.tile(random.random((100, 100), dtype=np.float32), (4, 3))
    alpha[416:424] = 1
    expected, _ = published(image, alpha)
    result = blur_fusion(image, alpha)
    assert np.abs(result - expected).max() <= EXACT
    np.testing.assert_array_equal(blur_fusion(image, alpha), result)


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 24), st.integers(1, 24)),
    sides=st.tuples(st.integers(1, 120), st.integers(1, 60)),
    seed=st.integers(0, 2**32 - 1),
    power=st.sampled_from([0.0, 0.1, 1.0, 5.0, 40.0]),
)
def test_any_size_and_any_radius(shape, sides, seed, power):
    random = np.random.default_rng(seed)
    image = random.random((*shape, 3), dtype=np.float32)
    alpha = random.random(shape, dtype=np.float32) ** np.float32(power)
    expected, _ = published(image, alpha, *sides)
    assert np.abs(blur_fusion(image, alpha, *sides) - expected).max() <= EXACT


def test_a_radius_far_beyond_the_picture_is_the_mean_over_endless_reflections():
    random = np.random.default_rng(5)
    image, alpha = random.random((6, 7, 3), dtype=np.float32), random.random((6, 7), dtype=np.float32)
    # 60,000,000 = whole numbers of periods both ways (10 rows, 12 columns); so is 60.
    np.testing.assert_allclose(blur_fusion(image, alpha, 60_000_000, 6), blur_fusion(image, alpha, 60, 6), atol=1e-5)


def test_takes_integers_read_only_and_sliced_arrays():
    random = np.random.default_rng(11)
    image = random.integers(0, 256, (40, 50, 3), dtype=np.uint8)
    alpha = random.integers(0, 256, (40, 50), dtype=np.uint8)
    expected, _ = published(image / 255, alpha / 255)
    assert np.abs(blur_fusion(image, alpha) - expected).max() <= EXACT
    flipped = (image.astype(np.uint16) * 257)[::-1, ::-1]
    expected_flipped, _ = published(flipped / 65535, alpha / 255)
    assert np.abs(blur_fusion(flipped, alpha) - expected_flipped).max() <= EXACT
    frozen = image.astype(np.float64) / 255
    frozen.flags.writeable = False
    before = frozen.copy()
    single = frozen.astype(np.float32)
    single.flags.writeable = False
    assert np.abs(blur_fusion(frozen, alpha) - expected).max() <= EXACT
    assert np.abs(blur_fusion(single, alpha) - expected).max() <= EXACT
    np.testing.assert_array_equal(frozen, before)


def test_importing_compiles_nothing():
    code = (
        "import sys, gossamer.foreground as f; f.blur_fusion, f.estimate_foreground, f.despill;"
        "heavy = {'numba', 'torch', 'pymatting', 'scipy', 'cv2'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_progress_rises_and_may_cancel(monkeypatch):
    monkeypatch.setattr(box_blur, "_PIXELS", box_blur._PIXELS // 10)
    image, alpha = np.zeros((1200, 200, 3), np.float32), np.zeros((1200, 200), np.float32)
    seen: list[float] = []
    blur_fusion(image, alpha, progress=lambda fraction, message: seen.append(fraction))
    assert seen == sorted(seen)
    assert seen[-1] == 1.0

    class StopError(Exception):
        pass

    def stop(fraction, message):
        raise StopError

    with pytest.raises(StopError):
        blur_fusion(image, alpha, progress=stop)
