"""A rough mask goes in, a matte comes out: known alphas, other mask makers, odd input, cancelling."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data

from gossamer import InputError
from gossamer.matting.from_mask.alpha import matte_from_mask
from gossamer.matting.signed_distance import signed_distance

HEIGHT, WIDTH = 300, 400


def sad(alpha: np.ndarray, truth: np.ndarray) -> float:
    return float(np.abs(alpha - truth).sum())


def furry_disc(height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """A disc with fine hairs around it: its true alpha, drawn large and averaged down."""
    big = np.zeros((height * 4, width * 4), np.uint8)
    centre, radius = (width * 2, height * 2), height * 1.1
    cv2.circle(big, centre, int(radius), 255, -1)
    random = np.random.default_rng(1)
    for angle in np.linspace(0, 2 * np.pi, 180, endpoint=False):
        reach = radius + random.uniform(0.03, 0.12) * radius
        bend = angle + random.uniform(-0.05, 0.05)
        start = (int(centre[0] + radius * np.cos(angle)), int(centre[1] + radius * np.sin(angle)))
        end = (int(centre[0] + reach * np.cos(bend)), int(centre[1] + reach * np.sin(bend)))
        cv2.line(big, start, end, 255, 5)
    return cv2.resize(big, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def composite(truth: np.ndarray) -> np.ndarray:
    """An orange, mottled subject before a blue-green, mottled background."""
    random = np.random.default_rng(2)
    shape = (*truth.shape, 3)
    noise = [cv2.GaussianBlur(random.standard_normal(shape).astype(np.float32), (0, 0), 3) * 0.2 for _ in range(2)]
    fore, back = np.float32((0.8, 0.45, 0.2)) + noise[0], np.float32((0.15, 0.4, 0.5)) + noise[1]
    image = truth[..., None] * fore + (1 - truth[..., None]) * back
    return np.clip(image, 0, 1).astype(np.float32)


def rough_mask(truth: np.ndarray, side: int = 256) -> np.ndarray:
    """What a promptable model gives: small, soft, enlarged and thresholded."""
    height, width = truth.shape
    factor = side / max(truth.shape)
    small = cv2.resize((truth > 0.5).astype(np.float32), None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    large = cv2.resize(cv2.GaussianBlur(small, (0, 0), 1.5), (width, height), interpolation=cv2.INTER_LINEAR)
    return (large > 0.5).astype(np.float32)


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    return furry_disc()


@pytest.fixture(scope="module")
def image(truth: np.ndarray) -> np.ndarray:
    return composite(truth)


@pytest.mark.parametrize(
    ("maker", "factor"),
    [
        (rough_mask, 0.3),
        (lambda a: (signed_distance(a) > -4).astype(np.float32), 0.2),
        (lambda a: (signed_distance(a) > 4).astype(np.float32), 0.2),
        (lambda a: cv2.GaussianBlur(rough_mask(a), (0, 0), 4), 0.2),
    ],
    ids=["rough", "too wide", "too narrow", "soft"],
)
def test_recovers_a_known_alpha_from_masks_of_many_kinds(image, truth, maker, factor):
    mask = maker(truth)
    alpha = matte_from_mask(image, mask)
    assert alpha.dtype == np.float32
    assert alpha.shape == truth.shape
    assert 0 <= alpha.min() <= alpha.max() <= 1
    assert sad(alpha, truth) < factor * sad(mask, truth)


def test_finds_the_hair_that_the_mask_lacks(image, truth):
    mask = rough_mask(truth)
    hair = (mask == 0) & (truth > 0.3)
    assert matte_from_mask(image, mask)[hair].mean() > 0.75 * truth[hair].mean()


def test_photographs(truth):
    """An astronaut's picture before another photograph, through a known matte."""
    fore = cv2.resize(skimage.data.astronaut(), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    back = cv2.resize(skimage.data.coffee(), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    image = (truth[..., None] * fore + (1 - truth[..., None]) * back).astype(np.float32) / 255
    mask = rough_mask(truth)
    assert sad(matte_from_mask(image, mask), truth) < 0.8 * sad(mask, truth)


@pytest.mark.long
def test_a_large_picture_is_solved_at_its_own_resolution():
    truth = furry_disc(1000, 1200)
    mask = rough_mask(truth)
    alpha = matte_from_mask(composite(truth), mask)
    assert sad(alpha, truth) < 0.5 * sad(mask, truth)


@pytest.mark.long
def test_an_enlarged_matte_has_the_details_of_the_large_picture():
    """Work at 1 megapixel and a picture of 2.7: hairs are thinner than what was seen at first."""
    truth = furry_disc(1500, 1800)
    mask = rough_mask(truth)
    assert sad(matte_from_mask(composite(truth), mask), truth) < 0.3 * sad(mask, truth)


def test_a_soft_mask_that_follows_the_picture_keeps_its_solid_parts(truth):
    """Stripes in the background's own colours (a tiger before a dark wood): colours alone would open them."""
    stripes = np.clip(3 * np.sin(np.arange(WIDTH, dtype=np.float32) / 6) - 1.5, 0, 1) * truth
    background = np.roll(composite(np.zeros_like(truth)), 37, axis=1)
    image = composite(truth) * (1 - stripes[..., None]) + background * stripes[..., None]
    mask = cv2.GaussianBlur(truth, (0, 0), 1)
    alpha = matte_from_mask(image.astype(np.float32), mask)
    assert (1 - alpha)[signed_distance(mask) > 4].sum() < 10
    assert sad(alpha, truth) < 0.85 * sad(mask, truth)


@pytest.mark.parametrize("value", [0.8, 0.95])
def test_a_hole_that_a_soft_mask_doubts_is_opened(truth, value):
    rows, columns = np.ogrid[:HEIGHT, :WIDTH]
    hole = np.hypot(rows - 150, columns - 292) < 8
    mask = np.where(hole, value, cv2.GaussianBlur(truth, (0, 0), 1)).astype(np.float32)
    open_truth = np.where(hole, 0, truth).astype(np.float32)
    assert matte_from_mask(composite(open_truth), mask)[hole].mean() < 0.1


def test_where_colours_cannot_tell_the_mask_stays(truth):
    """Subject and background of the same noise: nothing beats the mask, so little may change."""
    random = np.random.default_rng(3)
    image = np.clip(0.5 + 0.15 * random.standard_normal((HEIGHT, WIDTH, 3)), 0, 1).astype(np.float32)
    mask = rough_mask(truth)
    alpha = matte_from_mask(image, mask)
    far = np.abs(signed_distance(mask)) > 8
    assert np.abs(alpha - mask)[far].max() < 0.1
    assert sad(alpha, truth) < 1.1 * sad(mask, truth)


def test_an_exact_mask_stays_exact():
    """A hard edge that the mask has right may be softened by a fifth of a pixel along its length, no more."""
    mask = np.zeros((HEIGHT, WIDTH), np.float32)
    mask[80:220, 100:300] = 1
    assert sad(matte_from_mask(composite(mask), mask), mask) < 0.2 * (2 * 140 + 2 * 200)


def test_uncertain_values_are_decided_by_colour(image, truth):
    """A mask that does not know half of the subject: one half is known, the rest is 0.45 everywhere."""
    mask = np.where(np.arange(WIDTH)[None] < 170, rough_mask(truth), 0.45).astype(np.float32)
    alpha = matte_from_mask(image, mask)
    assert sad(alpha, truth) < 0.6 * sad((mask > 0.5).astype(np.float32), truth)


@pytest.mark.parametrize("value", [0.0, 1.0, 0.3])
def test_a_mask_without_an_edge_comes_back(image, value):
    mask = np.full((HEIGHT, WIDTH), value, np.float32)
    np.testing.assert_array_equal(matte_from_mask(image, mask), mask)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (2, 2), (3, 3), (5, 4), (40, 3), (3, 200), (64, 64), (65, 127)])
def test_small_pictures(shape):
    random = np.random.default_rng(4)
    mask = (random.random(shape) > 0.5).astype(np.float32)
    alpha = matte_from_mask(random.random((*shape, 3)).astype(np.float32), mask)
    assert alpha.shape == shape
    assert np.isfinite(alpha).all()
    assert 0 <= alpha.min() <= alpha.max() <= 1


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_a_constant_picture_keeps_the_mask(value):
    mask = np.zeros((120, 160), np.float32)
    mask[30:90, :70] = 1
    alpha = matte_from_mask(np.full((120, 160, 3), value, np.float32), mask)
    assert ((alpha > 0.5) == (mask > 0.5)).mean() > 0.99
    assert np.abs(alpha - mask).mean() < 0.05


def test_a_white_picture_that_must_be_shrunk():
    """Averages of white may come out above 1 by a rounding."""
    mask = np.zeros((901, 1203), np.float32)
    mask[300:600, 400:800] = 1
    assert np.isfinite(matte_from_mask(np.ones((901, 1203, 3), np.float32), mask)).all()


@pytest.mark.parametrize("box", [(0, 0, 2, 2), (150, 200, 151, 201), (0, 0, 300, 1), (0, 0, 299, 400)])
def test_tiny_objects_and_objects_at_the_border(box):
    top, left, bottom, right = box
    mask = np.zeros((HEIGHT, WIDTH), np.float32)
    mask[top:bottom, left:right] = 1
    alpha = matte_from_mask(composite(mask), mask)
    assert np.isfinite(alpha).all()
    assert sad(alpha, mask) <= 0.5 * min(mask.sum(), (1 - mask).sum())


def test_takes_what_people_have(image, truth):
    """Eight bits, booleans and read-only arrays; nothing of the caller's is changed; the same answer every time."""
    eight = np.round(image * 255).astype(np.uint8)
    mask = rough_mask(truth) > 0.5
    eight.setflags(write=False)
    mask.setflags(write=False)
    first = matte_from_mask(eight, mask)
    floats = (eight / np.float32(255)).astype(np.float32)
    floats.setflags(write=False)
    np.testing.assert_array_equal(first, matte_from_mask(floats, mask.astype(np.float32)))


def test_wrong_input_is_refused(image):
    with pytest.raises(InputError, match="Resize"):
        matte_from_mask(image, np.zeros((HEIGHT, WIDTH - 1), np.float32))
    with pytest.raises(InputError):
        matte_from_mask(np.full_like(image, np.nan), np.zeros((HEIGHT, WIDTH), np.float32))
    with pytest.raises(InputError):
        matte_from_mask(image, np.full((HEIGHT, WIDTH), np.nan, np.float32))
    with pytest.raises(InputError):
        matte_from_mask(image[..., 0], np.zeros((HEIGHT, WIDTH), np.float32))


def test_progress_rises_and_cancels(image, truth):
    fractions: list[float] = []
    matte_from_mask(image, rough_mask(truth), progress=lambda fraction, message: fractions.append(fraction))
    assert fractions[0] == 0
    assert fractions[-1] == 1
    assert fractions == sorted(fractions)

    class Stop(Exception):
        pass

    for limit in (0.05, 0.3, 0.7):

        def stop(fraction: float, message: str, limit: float = limit) -> None:
            if fraction > limit:
                raise Stop

        before = threading.active_count()
        with pytest.raises(Stop):
            matte_from_mask(image, rough_mask(truth), progress=stop)
        assert threading.active_count() == before


@pytest.mark.long
def test_progress_is_frequent():
    truth = furry_disc(700, 900)
    image, mask = composite(truth), rough_mask(truth)
    matte_from_mask(image, mask)  # compiled by now
    times = [time.process_time()]  # CPU time, not the clock: the machine may be busy with other work
    matte_from_mask(image, mask, progress=lambda fraction, message: times.append(time.process_time()))
    assert max(np.diff(times)) < 0.5


_ELSEWHERE = """
import sys
import numpy as np
from gossamer.matting.from_mask.alpha import matte_from_mask
np.save(sys.argv[2], matte_from_mask(**np.load(sys.argv[1])))
"""


@pytest.mark.long
def test_it_does_not_depend_on_the_processor_s_linear_algebra(truth: np.ndarray, tmp_path: Path) -> None:
    """OpenBLAS rounds differently on other processors; colours that were sorted by it made 17/255 of that."""
    np.savez(tmp_path / "in.npz", image=composite(truth), mask=rough_mask(truth))
    mattes = []
    for kind in ("Nehalem", "Haswell"):
        command = [sys.executable, "-c", _ELSEWHERE, str(tmp_path / "in.npz"), str(tmp_path / f"{kind}.npy")]
        subprocess.run(command, env={**os.environ, "OPENBLAS_CORETYPE": kind}, check=True)
        mattes.append(np.load(tmp_path / f"{kind}.npy"))
    assert np.array_equal(*mattes)
