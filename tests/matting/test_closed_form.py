"""Closed-form matting against a plain direct solve, pymatting, known mattes and bad input."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gossamer.errors import Cancelled, InputError
from gossamer.matting.closed_form.alpha import closed_form_alpha, solve_matting_laplacian
from tests.matting.published import published


def laplacian(image, epsilon=1e-7):
    """The matting Laplacian straight from Levin's definition, dense, in float64."""
    height, width, _ = image.shape
    pixels = np.arange(height * width).reshape(height, width)
    colours = image.reshape(-1, 3).astype(np.float64)
    result = np.zeros((height * width, height * width))
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            window = pixels[y - 1 : y + 2, x - 1 : x + 2].ravel()
            centred = colours[window] - colours[window].mean(axis=0)
            covariance = centred.T @ centred / 9 + epsilon / 9 * np.eye(3)
            affinity = (1 + centred @ np.linalg.solve(covariance, centred.T)) / 9
            result[np.ix_(window, window)] += np.eye(9) - affinity
    return result


def direct(image, trimap, weight=None, target=None, epsilon=1e-7):
    matrix = laplacian(image, epsilon)
    known = ((trimap <= 0.1) | (trimap >= 0.9)).ravel()
    value = (trimap >= 0.9).ravel().astype(float)
    right = np.zeros(trimap.size)
    if weight is not None:
        matrix = matrix + np.diag(weight.ravel().astype(float))
        right = (weight * target).ravel().astype(float)
    free = ~known
    result = value.copy()
    result[free] = np.linalg.solve(matrix[np.ix_(free, free)], right[free] - matrix[np.ix_(free, known)] @ value[known])
    return np.clip(result, 0, 1).reshape(trimap.shape)


def textured(height, width, seed=0):
    """Two noisy colour ramps and a soft, wavy border between them: picture, alpha, trimap."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / max(height, width)
    alpha = np.clip((x - 0.4 - 0.06 * np.sin(14 * y)) / 0.1 + 0.5, 0, 1)
    foreground = np.stack([0.8 + 0.1 * y, 0.6 - 0.2 * x, 0.2 + 0.1 * x], axis=-1)
    background = np.stack([0.1 + 0.1 * x, 0.3 + 0.2 * y, 0.7 - 0.1 * y], axis=-1)
    image = alpha[..., None] * foreground + (1 - alpha[..., None]) * background
    image = np.clip(image + rng.normal(0, 0.003, image.shape), 0, 1).astype(np.float32)
    trimap = np.full((height, width), 0.5, np.float32)
    trimap[x < 0.2] = 0
    trimap[x > 0.6] = 1
    return image, alpha.astype(np.float32), trimap


@pytest.mark.parametrize(("height", "width"), [(3, 12), (9, 9), (17, 40), (40, 33)])
def test_is_the_direct_solution(height, width):
    image, _, trimap = textured(height, width)
    trimap[height // 2, width // 2] = 0  # a stray known pixel
    alpha = closed_form_alpha(image, trimap)
    assert alpha.dtype == np.float32
    np.testing.assert_allclose(alpha, direct(image, trimap), atol=1e-3)


@pytest.mark.parametrize(("height", "width"), [(16, 24), (21, 27), (33, 8)])
@pytest.mark.parametrize("where", ["corners", "rows", "scattered"])
def test_unknown_pixels_at_every_edge_of_the_picture(height, width, where):
    # The solver keeps the pixels in one long row: the end of one line must not become the neighbour of the next.
    image, _, _ = textured(height, width)
    trimap = np.full((height, width), 0.5, np.float32)
    if where == "corners":
        trimap[height // 2 - 2 : height // 2 + 2, 2:-2] = np.arange(width - 4) % 4 > 1
    elif where == "rows":
        trimap[::3] = np.arange(0, height, 3)[:, None] % 2
    else:
        drawn = np.random.default_rng(4).random((height, width))
        trimap[drawn < 0.2], trimap[drawn > 0.8] = 0, 1
    np.testing.assert_allclose(closed_form_alpha(image, trimap), direct(image, trimap), atol=2e-3)


@pytest.mark.long
def test_is_pymattings_solution():
    from skimage.data import astronaut

    image = (astronaut()[20:276, 90:346] / 255).astype(np.float32)
    y, x = np.mgrid[:256, :256]
    distance = np.hypot((y - 110) / 1.3, x - 130)
    trimap = np.where(distance < 50, 1, np.where(distance > 95, 0, 0.5)).astype(np.float32)
    ours = closed_form_alpha(image, trimap)
    theirs = published("estimate_alpha_cf")(image.astype(np.float64), trimap.astype(np.float64))
    difference = np.abs(ours - theirs)[trimap == 0.5]
    assert difference.mean() < 5e-4
    assert difference.max() < 2e-2


def test_the_plain_solver_finds_the_same(monkeypatch):
    from gossamer.matting.closed_form import alpha as closed_form
    from gossamer.matting.closed_form import plain as closed_form_plain

    image, _, trimap = textured(90, 120)
    weight = np.where(np.arange(120) % 7 == 0, 0.1, 0).repeat(90).reshape(120, 90).T.astype(np.float32)
    found = {}
    for solve in (closed_form._solver(), closed_form_plain.solve):
        monkeypatch.setattr(closed_form, "_solver", lambda solve=solve: solve)
        found[solve] = (
            closed_form_alpha(image, trimap),
            solve_matting_laplacian(image, trimap != 0.5, trimap, weight=weight, target=np.full_like(weight, 0.3)),
        )
    assert len(found) == 2
    for one, other in zip(*found.values(), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-3)
    # A checkerboard makes all functions of colour but one alike, a constant picture leaves only one.
    for picture in (
        np.full((30, 34, 3), 0.5, np.float32),
        np.indices((30, 34)).sum(axis=0)[..., None] % 2 * np.ones(3),
    ):
        hints = np.full((30, 34), 0.5, np.float32)
        hints[:, :4], hints[:, -5:] = 0, 1
        assert np.isfinite(closed_form_alpha(picture, hints)).all()


def test_recovers_a_known_matte():
    image, alpha, trimap = textured(120, 160)
    found = closed_form_alpha(image, trimap)
    unknown = trimap == 0.5
    assert np.abs(found - alpha)[unknown].mean() < 0.01
    np.testing.assert_array_equal(found[~unknown], trimap[~unknown])


def test_pieces_cut_off_by_a_thin_line_are_right_too():
    # The sky behind a thin leaf: two flat regions of one colour, of which the trimap knows only one. Such a piece
    # hangs on hardly anything, and a solver that stops by the size of its steps leaves it wrong.
    image = np.full((48, 48, 3), (0.3, 0.5, 0.8), np.float32)
    y, x = np.mgrid[:48, :48]
    ring = np.abs(np.hypot(y - 24, x - 24) - 9)
    leaf = np.clip(2.5 - ring, 0, 1)[..., None].astype(np.float32)
    image = image * (1 - leaf) + np.float32((0.2, 0.4, 0.1)) * leaf
    image += np.random.default_rng(1).normal(0, 0.002, image.shape).astype(np.float32)
    trimap = np.full((48, 48), 0.5, np.float32)
    trimap[:3] = trimap[-3:] = trimap[:, :3] = trimap[:, -3:] = 0
    trimap[ring < 1] = np.where(np.arange(48) < 30, 1, 0.5)[None, :].repeat(48, 0)[ring < 1]
    np.testing.assert_allclose(closed_form_alpha(image, trimap), direct(image, trimap), atol=5e-3)


def degenerate():
    y, x = np.mgrid[:30, :34]
    checker = ((y + x) % 2).astype(np.float32)
    grey = np.random.default_rng(2).random((30, 34)).astype(np.float32)
    outlier = np.full((30, 34), 0.25, np.float32)
    outlier[::7, ::5] = 1
    yield pytest.param(np.full((30, 34, 3), 0.5, np.float32), id="constant")
    yield pytest.param(np.zeros((30, 34, 3), np.float32), id="black")
    yield pytest.param(np.repeat(grey[..., None], 3, axis=2), id="grey")
    yield pytest.param(np.repeat(np.round(grey)[..., None], 3, axis=2), id="black and white noise")
    yield pytest.param(np.repeat((x / 33.0).astype(np.float32)[..., None], 3, axis=2), id="ramp")
    yield pytest.param(np.repeat(checker[..., None], 3, axis=2), id="checkerboard")
    yield pytest.param(np.where((x < 17)[..., None], np.float32(1), np.float32((1, 0, 0))), id="two colours")
    yield pytest.param(np.repeat(outlier[..., None], 3, axis=2), id="single pixels")


@pytest.mark.parametrize("image", list(degenerate()))
def test_degenerate_pictures(image):
    trimap = np.full((30, 34), 0.5, np.float32)
    trimap[:, :4], trimap[:, -5:] = 0, 1
    alpha = closed_form_alpha(image, trimap)
    assert np.isfinite(alpha).all()
    matrix = laplacian(image)
    exact = direct(image, trimap)
    # Where the picture leaves alpha undetermined down to epsilon, rounding the colours to float32 decides; what
    # has to agree is the energy, and alpha itself wherever the energy is clear about it.
    energy = [float(a.ravel() @ matrix @ a.ravel()) for a in (alpha.astype(np.float64), exact)]
    assert energy[0] <= energy[1] * 1.02 + 1e-5


def test_constant_picture_interpolates_smoothly():
    trimap = np.full((20, 41), 0.5, np.float32)
    trimap[:, :1], trimap[:, -1:] = 0, 1
    alpha = closed_form_alpha(np.full((20, 41, 3), 0.3, np.float32), trimap)
    assert (np.diff(alpha, axis=1) > 0).all()
    np.testing.assert_allclose(alpha + alpha[:, ::-1], 1, atol=1e-3)
    np.testing.assert_allclose(alpha, alpha[::-1], atol=1e-4)


def test_soft_constraints():
    rng = np.random.default_rng(3)
    image, _, trimap = textured(24, 30)
    weight = (rng.random((24, 30)) * (rng.random((24, 30)) > 0.5)).astype(np.float32)
    target = rng.random((24, 30)).astype(np.float32)
    known = trimap != 0.5
    found = solve_matting_laplacian(image, known, (trimap > 0.5) * 1.0, weight=weight, target=target)
    np.testing.assert_allclose(found, direct(image, trimap, weight, target), atol=1e-3)


def test_soft_constraints_alone_are_enough():
    image, _, _ = textured(24, 30)
    nothing = np.zeros((24, 30), bool)
    weight, target = np.full((24, 30), 0.05, np.float32), np.full((24, 30), 0.5, np.float32)
    target[:, 15:] = 0.8
    found = solve_matting_laplacian(image, nothing, nothing * 1.0, weight=weight, target=target)
    np.testing.assert_allclose(found, direct(image, np.full((24, 30), 0.5), weight, target), atol=1e-3)


@settings(max_examples=40, deadline=None)
@given(
    st.data(),
    st.integers(1, 14),
    st.integers(1, 14),
)
def test_any_size_and_trimap(data, height, width):
    trimap = data.draw(hnp.arrays(np.float32, (height, width), elements=st.sampled_from([0.0, 0.5, 1.0])))
    image = data.draw(hnp.arrays(np.float32, (height, width, 3), elements=st.sampled_from([0.0, 0.25, 0.5, 1.0])))
    if (trimap == 0.5).any() and not ({0.0, 1.0} <= set(trimap.ravel().tolist())):
        with pytest.raises(InputError, match="no known"):
            closed_form_alpha(image, trimap)
        return
    alpha = closed_form_alpha(image, trimap)
    assert alpha.shape == trimap.shape
    assert alpha.dtype == np.float32
    assert alpha.min() >= 0
    assert alpha.max() <= 1
    np.testing.assert_array_equal(alpha[trimap != 0.5], trimap[trimap != 0.5])


def test_too_small_for_a_window_takes_the_nearest():
    trimap = np.float32([[0, 0.5, 0.5, 0.5, 0.5, 1]])
    alpha = closed_form_alpha(np.zeros((1, 6, 3)), trimap)
    np.testing.assert_array_equal(alpha, [[0, 0, 0, 1, 1, 1]])


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_everything_known_is_the_answer(value):
    trimap = np.full((5, 4), value)
    np.testing.assert_array_equal(closed_form_alpha(np.zeros((5, 4, 3)), trimap), trimap)


def spoilt(image=None, trimap=None):
    ok_image, _, ok_trimap = textured(8, 9)
    return ok_image if image is None else image(ok_image), ok_trimap if trimap is None else trimap(ok_trimap)


@pytest.mark.parametrize(
    ("image", "trimap"),
    [
        spoilt(trimap=lambda t: t * 0 + 0.5),
        spoilt(trimap=lambda t: np.where(t == 0, 0.5, t)),
        spoilt(trimap=lambda t: np.where(t == 1, 0.5, t)),
        spoilt(trimap=lambda t: t[:-1]),
        spoilt(trimap=lambda t: np.dstack([t, t])),
        spoilt(trimap=lambda t: np.where(t == 0.5, np.nan, t)),
        spoilt(trimap=lambda t: t * 255),
        spoilt(trimap=lambda t: t - 0.5),
        spoilt(image=lambda i: i[..., 0]),
        spoilt(image=lambda i: i[:0]),
        spoilt(image=lambda i: i * 255),
        spoilt(image=lambda i: i - 1),
        spoilt(image=lambda i: np.where(i > 0.7, np.inf, i)),
        spoilt(image=lambda i: np.where(i > 0.7, np.nan, i)),
        spoilt(image=lambda i: i.astype(complex)),
    ],
)
def test_bad_input_is_refused_with_a_remedy(image, trimap):
    with pytest.raises(InputError) as caught:
        closed_form_alpha(image, trimap)
    assert caught.value.remedy


def test_weights_need_targets_and_something_must_hold_alpha():
    image, _, trimap = textured(8, 9)
    nothing = np.zeros((8, 9), bool)
    with pytest.raises(InputError, match="target"):
        solve_matting_laplacian(image, trimap != 0.5, trimap, weight=trimap)
    with pytest.raises(InputError, match="unknown"):
        solve_matting_laplacian(image, nothing, trimap)
    with pytest.raises(InputError, match="bool"):
        solve_matting_laplacian(image, trimap, trimap)
    with pytest.raises(InputError, match="at least 0"):
        solve_matting_laplacian(image, trimap != 0.5, trimap, weight=trimap - 1, target=trimap)


def test_the_same_bits_for_any_number_of_threads(monkeypatch):
    from gossamer.matting.closed_form import solver as closed_form_solver
    from gossamer.matting.closed_form.layout import Team

    image, _, trimap = textured(400, 500)
    before = image.copy(), trimap.copy()
    found = []
    for threads in (1, 2, 5):
        monkeypatch.setattr(closed_form_solver, "Team", lambda progress, n=threads: Team(progress, n))
        found.append(closed_form_alpha(image, trimap))
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(trimap, before[1])


def test_a_team_returns_results_in_order_and_stops_at_an_error():
    from gossamer.matting.closed_form.layout import Team
    from gossamer.progress import Progress

    done = []

    def work(number):
        if number == 7:
            raise ValueError(number)
        done.append(number)
        time.sleep(0.002)
        return number**2

    for threads in (1, 2, 5):
        team = Team(Progress.of(None), threads)
        try:
            assert team.run(work, [(n,) for n in range(8, 40)]) == [n**2 for n in range(8, 40)]
            done.clear()
            with pytest.raises(ValueError, match="7"):
                team.run(work, [(n,) for n in range(40)])
        finally:
            team.close()
        assert len(done) <= 7 + threads


@pytest.mark.long
def test_progress_rises_to_one_and_is_told_often():
    image, _, trimap = textured(700, 900)
    fractions = []
    closed_form_alpha(image, trimap, progress=lambda fraction, message: fractions.append(fraction))
    assert fractions == sorted(fractions)
    assert fractions[0] == 0
    assert fractions[-1] == 1
    assert all(0 <= f <= 1 for f in fractions)
    assert len(set(fractions)) > 10
    assert np.diff(fractions).max() < 0.35


@pytest.mark.parametrize("after", [0, 3, 12])
def test_cancel_passes_through(after):
    image, _, trimap = textured(300, 400)
    count = 0

    def stop(fraction, message):
        nonlocal count
        count += 1
        if count > after:
            raise Cancelled

    with pytest.raises(Cancelled):
        closed_form_alpha(image, trimap, progress=stop)
    assert count == after + 1


@pytest.mark.long
def test_importing_compiles_nothing():
    code = (
        "import sys, gossamer, gossamer.matting.closed_form.alpha; "
        "sys.exit('numba' in sys.modules or 'scipy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, env=os.environ).returncode == 0


GROWTH = """
import sys
from pathlib import Path

import numpy as np

from gossamer.matting import closed_form_alpha, matte_from_mask


def resident():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


y, x = np.mgrid[:200, :240]
image = np.random.default_rng(0).random((200, 240, 3)).astype(np.float32) * np.float32(0.1)
image[..., 0] += np.clip((x - 110) / 20, 0, 1) * 0.8
trimap = np.where(x < 40, 0, np.where(x > 200, 1, 0.5)).astype(np.float32)
for work in (lambda: closed_form_alpha(image, trimap), lambda: matte_from_mask(image, (x > 125).astype(np.float32))):
    for _ in range(10):
        work()
    before = resident()
    for _ in range(50):
        work()
    print(resident() - before)
"""


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_fifty_mattes_take_no_more_memory_than_ten():
    done = subprocess.run([sys.executable, "-c", GROWTH], capture_output=True, text=True, check=True)
    grown = [float(line) for line in done.stdout.split()]
    assert len(grown) == 2
    assert max(grown) < 15  # megabytes; the factors of fifty coarse matrices are some hundreds
