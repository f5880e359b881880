"""The matting kernels in C beside the plain statements of the same."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest

from gossamer import native
from gossamer.matting import guided
from gossamer.matting.closed_form import multigrid
from gossamer.matting.closed_form import plain as closed_form_plain
from gossamer.matting.closed_form import solver as closed_form_solver
from gossamer.matting.closed_form.layout import Team
from gossamer.matting.from_mask import colour_sampling, enlarge, hair, palette
from gossamer.matting.from_mask.colour_sampling import Sampled, sample_alpha
from gossamer.matting.from_mask.enlarge import enlarge_onto
from gossamer.matting.from_mask.nearest import Nearest
from gossamer.matting.from_mask.palette import Palette
from gossamer.matting.signed_distance import weighted_distance
from gossamer.progress import Progress


@pytest.fixture
def plainly(monkeypatch: pytest.MonkeyPatch) -> Callable[..., object]:
    """Call a function as if what some modules use were not compiled."""

    def call(work: Callable[[], object], *modules: ModuleType) -> object:
        with monkeypatch.context() as without:
            for module in modules:
                without.setattr(module, "function", lambda *_, **__: None)
            return work()

    return call


def scene(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """A bluish disc with a soft rim on a noisy, reddish ground."""
    random = np.random.default_rng(width)
    y, x = np.mgrid[:height, :width]
    alpha = np.clip(4 - np.hypot(y - height / 2, x - width / 2) / 8, 0, 1)
    front, back = np.array([0.2, 0.4, 0.8]), np.array([0.7, 0.3, 0.2])
    image = alpha[..., None] * front + (1 - alpha[..., None]) * back
    image += random.normal(0, 0.03, image.shape)
    return np.clip(image, 0, 1).astype(np.float32), alpha.astype(np.float32)


@pytest.mark.parametrize(("count", "axes", "wanted"), [(1, 2, 1), (7, 5, 7), (16, 2, 3), (17, 2, 12), (3000, 5, 40)])
@pytest.mark.parametrize("kind", ["spread", "clusters", "equal"])
def test_the_nearest_are_the_nearest(count: int, axes: int, wanted: int, kind: str) -> None:
    random = np.random.default_rng(count)
    points = random.random((count, axes)).astype(np.float32)
    queries = random.random((500, axes)).astype(np.float32) * 1.4 - np.float32(0.2)
    if kind == "clusters":
        points = np.round(points * 4) / 4 + points / 1000
    elif kind == "equal":
        points[:] = points[0]
        queries[:5] = points[0]
    index, squared = np.empty((500, wanted), np.int32), np.empty((500, wanted), np.float32)
    tree = Nearest(points)
    tree.find(queries, 0, 130, index, squared)
    tree.find(queries, 130, 500, index, squared)
    distances = ((queries[:, None].astype(np.float64) - points[None]) ** 2).sum(axis=2)
    np.testing.assert_allclose(squared, np.sort(distances, axis=1)[:, :wanted], rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(np.take_along_axis(distances, index, 1), squared, rtol=1e-4, atol=1e-7)
    assert all(len(set(row)) == wanted for row in index.tolist())


@pytest.mark.parametrize(("shape", "scale"), [((70, 90), 1.0), ((131, 67), 1.0), ((155, 161), 4.0)])  # squares share
def test_sampling_is_numpy_s(shape: tuple[int, int], scale: float, plainly: Callable[..., object]) -> None:
    image, alpha = scene(*shape)
    asked = (alpha > 0.02) & (alpha < 0.98)
    asked[-1, -1] = asked[0, -1] = True  # tiles that hang over the picture's edge
    team = Team(Progress())

    def work() -> object:
        return sample_alpha(image, asked, alpha > 0.98, alpha < 0.02, scale, team)

    try:
        found, expected = work(), plainly(work, colour_sampling)  # of samples equally far either may be taken
    finally:
        team.close()
    for one, other in ((found.alpha, expected.alpha), (found.confidence, expected.confidence)):
        close = np.abs(one - other) < 1e-3
        assert close[asked].mean() > 0.99  # pairs as good as each other may change places
        assert not one[~asked].any()
    assert found.confidence[asked].mean() > 0.3
    rim = asked.copy()
    rim[-1, -1] = rim[0, -1] = False
    assert np.abs(found.alpha - alpha)[rim].mean() < 0.08


def test_hair_goes_towards_its_samples_as_numpy_s_does(plainly: Callable[..., object]) -> None:
    random = np.random.default_rng(2)
    alpha, seen, sure = (random.random((60, 45), np.float32) for _ in range(3))
    sure *= random.random(sure.shape) > 0.5
    share = random.random((9, 7), np.float32)

    def work() -> np.ndarray:
        result = alpha.copy()
        for top in range(0, 60, 20):
            hair._settle(Sampled(seen, sure), share, 15, 90, result, top, top + 20)
        return result

    found, expected = work(), plainly(work, hair)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.array_equal(found[sure == 0], alpha[sure == 0])
    nearer = np.abs(found - seen) < np.abs(alpha - seen)
    assert nearer[(sure > 0) & (np.abs(alpha - seen) > 1e-3)].mean() > 0.99


def test_palettes_are_numpy_s(plainly: Callable[..., object]) -> None:
    image, alpha = scene(140, 150)
    distance = weighted_distance((alpha > 0.5).astype(np.float32), 60.0)
    heard = np.random.default_rng(0).random(alpha.shape).astype(np.float32)

    def work() -> list[np.ndarray]:
        colours = Palette(image, distance, heard, 1.0)
        return [colours.gate, colours.vote(), colours.vote(alpha), *colours.look_alikes(alpha)]

    found, expected = work(), plainly(work, palette)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)
    solid = np.zeros((140, 150), bool)
    solid[60:80, 65:85] = True
    votes = Palette(image, distance, None, 1.0).vote()[solid]
    assert votes.mean() > 0.95
    assert votes.min() > 0.85


@pytest.mark.parametrize(
    ("shape", "small"), [((140, 150), (50, 61)), ((60, 7), (20, 1)), ((5, 90), (1, 31)), ((40, 50), (40, 50))]
)
def test_enlarging_is_numpy_s(shape: tuple[int, int], small: tuple[int, int], plainly: Callable[..., object]) -> None:
    random = np.random.default_rng(0)
    image, mask = random.random((*shape, 3), np.float32), random.random(shape, np.float32)
    little = image if small == shape else random.random((*small, 3), np.float32)
    alpha = random.random(small, np.float32)
    belief = (random.random(small) > 0.6).astype(np.float32)

    def work() -> np.ndarray:
        return enlarge_onto(image, mask, little, alpha, belief, Progress())

    found, expected = work(), plainly(work, enlarge)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    if small == shape:  # nothing is between the pixels
        np.testing.assert_allclose(found, mask + belief * (alpha - mask), atol=1e-3)


def test_bytes_and_hard_masks_are_taken_as_they_are() -> None:
    random = np.random.default_rng(1)
    image, mask = random.integers(0, 256, (90, 70, 3), np.uint8), random.random((90, 70), np.float32)
    little, alpha = random.random((30, 20, 3), np.float32), random.random((30, 20), np.float32)
    belief = (random.random((30, 20)) > 0.5).astype(np.float32)
    floats, hard = image / np.float32(255), (mask > 0.5).astype(np.float32)
    found = enlarge_onto(image, mask, little, alpha, belief, Progress(), hard=True)
    np.testing.assert_allclose(found, enlarge_onto(floats, hard, little, alpha, belief, Progress()), atol=1e-6)
    assert np.array_equal(enlarge_onto(image, mask, little, alpha, 0 * belief, Progress(), hard=True), hard)
    team = Team(Progress())
    try:
        sampled = [sample_alpha(each, mask < 0.3, mask > 0.6, mask < 0.6, 1.0, team) for each in (image, floats)]
    finally:
        team.close()
    assert np.array_equal(sampled[0].alpha, sampled[1].alpha)
    assert np.array_equal(sampled[0].confidence, sampled[1].confidence)


@pytest.mark.parametrize(
    ("shape", "radius"), [((140, 90), 2), ((150, 33), 7), ((9, 40), 12), ((1, 7), 1), ((70, 1), 3)]
)
def test_guided_filters_are_numpy_s(shape: tuple[int, int], radius: int, plainly: Callable[..., object]) -> None:
    image, alpha = scene(*shape) if min(shape) > 20 else (
        np.random.default_rng(0).random((*shape, 3), np.float32), np.random.default_rng(1).random(shape, np.float32)
    )  # fmt: skip
    image[: shape[0] // 3] = 0.5  # nothing but one colour

    def work() -> list[np.ndarray]:
        lines = np.zeros((*shape, 6), np.float32)
        guided.local_lines(image, alpha, radius, 1e-4, lines, Progress())
        return [guided.guided_alpha(image, alpha, radius=radius, epsilon=1e-4), lines]

    found, expected = work(), plainly(work, guided)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-4)
    lines = found[1]
    np.testing.assert_allclose((lines[..., :3] * image).sum(axis=2) + lines[..., 3], alpha, atol=1e-5)
    assert not lines[..., 4:].any()


@pytest.mark.parametrize("cuts", [[0, 360], [0, 180, 360], [0, 120, 240, 360]])
def test_smoothing_ends_with_the_remainder_however_it_is_shared_out(cuts: list[int]) -> None:
    random = np.random.default_rng(0)
    number = np.arange(360, dtype=np.int32).reshape(60, 6)
    nodes = multigrid._Nodes(number, np.zeros((360, 3)), np.tile(np.eye(4), (360, 1, 1)))
    dense = np.zeros((360, 4, 360, 4), np.float32)
    stencil = np.zeros((360, 25, 4, 4), np.float32)
    for n, k in zip(*np.nonzero(nodes.near >= 0), strict=True):
        m = nodes.near[n, k]
        if m >= n:
            block = random.standard_normal((4, 4)).astype(np.float32)
            block = block + block.T + 40 * np.eye(4, dtype=np.float32) if m == n else block
            dense[n, :, m], dense[m, :, n] = block, block.T
        stencil[n, k] = dense[n, :, m]
    matrix = dense.reshape(1440, 1440)
    team = Team(Progress())
    try:
        level = multigrid._Level(nodes, stencil, team)
        level._cuts = cuts
        b = random.standard_normal((360, 4)).astype(np.float32)
        x, rest = level.smooth(b)
        np.testing.assert_allclose(rest.ravel(), b.ravel() - matrix @ x.ravel(), atol=1e-4)
        assert np.linalg.norm(rest) < 0.5 * np.linalg.norm(b)
        once = x.copy()
        level.smooth_again(b, x)
        after = b.ravel() - matrix @ x.ravel()
        assert np.linalg.norm(after) < 0.5 * np.linalg.norm(rest)
        # The smoother is linear: as much again of twice the right-hand side.
        doubled = 2 * once
        level.smooth_again(2 * b, doubled)
        np.testing.assert_allclose(doubled, 2 * x, atol=1e-5)
    finally:
        team.close()


def matrix_of(image: np.ndarray, free: np.ndarray, team: Team) -> closed_form_solver._Matrix:
    return closed_form_solver._Matrix(closed_form_solver.Groundwork(image, free, 1e-5, team), None, team)


def test_the_matrix_is_levin_s() -> None:
    image, alpha = scene(40, 60)
    free = (alpha > 0.02) & (alpha < 0.98)
    free[:3] = free[-1] = free[5:9, :2] = True  # at the picture's edges, where windows are missing
    team = Team(Progress())
    try:
        matrix = matrix_of(image, free, team)
        layout = matrix.layout
        x = np.random.default_rng(0).random((40, 60)).astype(np.float32)
        out = np.zeros(layout.size, np.float32)
        matrix.product(layout.gather(np.where(free, x, 0)), out)
    finally:
        team.close()
    plain = closed_form_plain.laplacian(image, free, 1e-5)
    expected = (plain @ np.where(free, x, 0).ravel().astype(np.float64)).reshape(40, 60)
    np.testing.assert_allclose(layout.scatter(out)[free], expected[free], atol=1e-5)


@pytest.mark.parametrize("pieces", [1, 3, 40])
def test_two_steps_in_one_pass_are_two_passes(pieces: int) -> None:
    """However the blocks are shared out, and also where a share is shorter than what its ends leave to others."""
    image, alpha = scene(90, 140)
    free = (alpha > 0.02) & (alpha < 0.98)
    free[::17] = True  # blocks near ones that are far away in the order
    team = Team(Progress())
    try:
        matrix = matrix_of(image, free, team)
        layout = matrix.layout
        count = len(matrix._near)
        matrix._shares = [(count * i // pieces, count * (i + 1) // pieces) for i in range(pieces)]
        random = np.random.default_rng(0)
        r, first, z = (layout.gather(np.where(free, random.random(free.shape), 0).astype(np.float32)) for _ in range(3))
        none = np.zeros(0, np.float32)

        def vectors() -> list[np.ndarray]:
            return [first.copy(), z.copy(), np.zeros_like(r), np.zeros_like(r)]

        one, start, other, rest = vectors()
        matrix.smooth(r, start, one, other, rest)
        one_, start_, other_, rest_ = vectors()
        matrix._run(2, one_, r, start_, other_, rest_, *closed_form_solver._SECOND)
        matrix._run(1, other_, rest_, none, one_, none)
        for found, expected in ((one, one_), (start, start_), (other, other_), (rest, rest_)):
            np.testing.assert_array_equal(found, expected)
        _, again, other, rest = vectors()
        product = matrix.smooth_again(r, again, other, rest)
        _, again_, other_, rest_ = vectors()
        matrix._run(3, again_, r, none, other_, rest_, closed_form_solver._FIRST)
        product_ = matrix._run(4, other_, r, again_, none, rest_, *closed_form_solver._SECOND)
        np.testing.assert_array_equal(again, again_)
        assert product == pytest.approx(product_, rel=1e-6)
    finally:
        team.close()


@pytest.mark.parametrize("kind", ["plain", "avx2"])
def test_both_variants_are_in_the_library(kind: str) -> None:
    if kind == "avx2" and native.variant() != "avx2":
        pytest.skip("this processor has no AVX2")
    suffix = "_avx2" if kind == "avx2" else ""
    names = ("apply", "blur_fusion", "deflate", "filter", "finish", "galerkin", "nearest", "resample", "sample")
    assert all(hasattr(native.library(), f"gossamer_{name}{suffix}") for name in names)
