"""Shadows beside rendered truths, and what they leave alone."""

from __future__ import annotations

import numpy as np
import pytest

from gossamer.canvas import finish_cutout
from gossamer.canvas.contact import ground_shadow
from gossamer.canvas.ground import foot_of
from gossamer.canvas.placing import Placed
from gossamer.canvas.shadows import cast
from gossamer.canvas.subject import subject_box
from gossamer.progress import Progress
from gossamer.settings import Recipe
from gossamer.settings.canvas import Shadow
from tests.canvas.bodies import disc, picture, rectangle


def test_the_ground_below_a_sphere_is_as_dark_as_theory_has_it() -> None:
    # The form factor of a sphere of radius R for the ground at a distance r from where it touches:
    # R^3 / (r^2 + R^2)^1.5 (Siegel and Howell, configuration factors; all of it is above the horizon).
    radius = 60
    ground = ground_shadow(disc(120, 120, 60), (120, 120), 1.0, Progress())
    rows, columns = np.mgrid[: ground.hidden.shape[0], : ground.hidden.shape[1]]
    away = np.hypot(rows - ground.back, columns - ground.left - 59.5)
    truth = radius**3 / (away**2 + radius**2) ** 1.5
    near = away < 2 * radius
    error = np.abs(ground.hidden - truth)[near]
    assert error.mean() < 0.01
    assert error.max() < 0.05
    assert np.corrcoef(ground.hidden[near], truth[near])[0, 1] > 0.999


def test_the_ground_around_a_cylinder_is_as_dark_as_rays_find_it() -> None:
    tall, half, deep = 90, 30.0, 21.0
    ground = ground_shadow(np.ones((tall, 60), np.float32), (90, 90), deep / half, Progress())
    rng = np.random.default_rng(1)
    u, v = rng.random((2, 6000))
    sine, turn = np.sqrt(u), 2 * np.pi * v
    x, z, y = sine * np.cos(turn), sine * np.sin(turn), np.sqrt(1 - u)
    errors = []
    for px in range(-80, 81, 16):
        for pz in range(-80, 81, 16):
            outside = (px / half) ** 2 + (pz / deep) ** 2 - 1
            if outside < 0.3:
                continue
            a, b = (x / half) ** 2 + (z / deep) ** 2, 2 * (px * x / half**2 + pz * z / deep**2)
            root = b * b - 4 * a * outside
            way = np.where(root > 0, (-b - np.sqrt(np.maximum(root, 0))) / (2 * a), -1)
            truth = np.mean((way > 0) & (way * y <= tall))
            errors.append(ground.hidden[pz + ground.back, px + ground.left + 30] - truth)
    assert len(errors) > 80
    assert np.abs(errors).mean() < 0.012
    assert np.abs(errors).max() < 0.05


def test_a_contact_shadow_lies_where_a_rendering_has_it() -> None:
    # A cylinder on a plane under an overcast sky, seen by an orthographic camera that looks down by 15 degrees.
    radius, tall, size = 24.0, 60.0, 120
    sine, cosine = np.sin(np.deg2rad(15)), np.cos(np.deg2rad(15))
    rows, columns = np.mgrid[:size, :size]
    x, z = columns - size / 2 + 0.5, (rows - 0.7 * size + 0.5) / sine

    def hit(dx: float, up: float, dz: float) -> np.ndarray:
        a, b, c = dx * dx + dz * dz, 2 * (x * dx + z * dz), x * x + z * z - radius * radius
        root = np.sqrt(np.maximum(b * b - 4 * a * c, 0))
        near, far = (-b - root) / (2 * a), np.minimum((-b + root) / (2 * a), tall / up)
        return (b * b - 4 * a * c > 0) & (far > np.maximum(near, 0))

    alpha = hit(0, sine, cosine).astype(np.float32)
    truth = np.zeros(alpha.shape)
    for i in range(192):
        away, turn = np.sqrt((i + 0.5) / 192), 2 * np.pi * (i * 0.618034 % 1)
        truth += hit(away * np.cos(turn), np.sqrt(1 - away**2), away * np.sin(turn)) / 192
    settings = Shadow(kind="contact", opacity=100, tilt=15)
    layer = cast(Placed(np.zeros((size, size, 3), np.float32), alpha), subject_box(alpha), settings, Progress())
    assert layer is not None
    ground = (alpha == 0) & (truth > 0.05)
    error = np.abs(layer.alpha - truth)[ground]
    assert truth[ground].mean() > 0.1  # what no shadow at all would be wrong by
    assert error.mean() < 0.03
    assert np.percentile(error, 95) < 0.08


def test_a_drop_shadow_s_edge_is_that_of_a_light_that_is_a_disc() -> None:
    # A straight edge's penumbra under a disc of radius r: 1/2 - (t sqrt(1 - t^2) + asin t) / pi, t = x / r.
    alpha = rectangle(400, 400, 100, 100, 200, 200)
    settings = Shadow(kind="drop", opacity=100, softness=20, distance=0)  # 20 % of 200: r = 40
    layer = cast(Placed(np.zeros((400, 400, 3), np.float32), alpha), subject_box(alpha), settings, Progress())
    assert layer is not None
    t = np.clip((np.arange(400) + 0.5 - 300) / 40, -1, 1)
    truth = 0.5 - (t * np.sqrt(1 - t**2) + np.arcsin(t)) / np.pi
    assert np.abs(layer.alpha[200, 220:] - truth[220:]).max() < 0.01


@pytest.mark.parametrize(("angle", "way"), [(90, (0, 1)), (0, (-1, 0)), (180, (1, 0)), (135, (0.7071, 0.7071))])
def test_a_drop_shadow_falls_away_from_the_light(angle: float, way: tuple[float, float]) -> None:
    alpha = rectangle(300, 300, 100, 100, 100, 100)
    settings = Shadow(kind="drop", opacity=50, softness=5, distance=20, angle=angle)
    layer = cast(Placed(np.zeros((300, 300, 3), np.float32), alpha), subject_box(alpha), settings, Progress())
    assert layer is not None
    rows, columns = np.mgrid[:300, :300]
    total = layer.alpha.sum()
    middle = (columns * layer.alpha).sum() / total - 149.5, (rows * layer.alpha).sum() / total - 149.5
    assert middle == pytest.approx((20 * way[0], 20 * way[1]), abs=0.2)
    assert layer.alpha.max() == pytest.approx(0.5, abs=1e-3)


def test_a_reflection_is_the_subject_upside_down_and_touches_it() -> None:
    alpha = rectangle(200, 100, 40, 30, 80, 40)
    pixels = np.zeros((200, 100, 3), np.float32)
    pixels[..., 0] = np.linspace(0, 1, 200)[:, None]
    settings = Shadow(kind="reflection", opacity=60, softness=0, reach=50)
    layer = cast(Placed(pixels, alpha), subject_box(alpha), settings, Progress())
    assert layer is not None
    assert np.abs(layer.pixels[120:150, 50] - pixels[90:120, 50][::-1]).max() < 0.006
    assert layer.alpha[120, 50] == pytest.approx(0.6, abs=0.04)
    assert (np.diff(layer.alpha[120:160, 50]) < 0).all()
    assert layer.alpha[160:, 50].max() < 1e-3
    assert layer.alpha[:120].max() == 0
    assert layer.alpha[:, :29].max() == 0


def test_a_round_foot_meets_the_ground_along_its_edge_and_what_hangs_over_does_not() -> None:
    height, width = 300, 200
    rows, columns = np.mgrid[:height, :width]
    bottle = (
        (np.abs(columns - 99.5) < 50)
        & (rows > 40)
        & (rows < 200 + 12 * np.sqrt(np.clip(1 - ((columns - 99.5) / 50) ** 2, 0, 1)))
    )
    arm = (rows > 60) & (rows < 70) & (columns > 10) & (columns < 100)
    alpha = (bottle | arm).astype(np.float32)
    foot = foot_of(alpha, subject_box(alpha))
    edge = 200 + 12 * np.sqrt(1 - ((np.arange(60, 140) - 99.5) / 50) ** 2)
    assert np.abs(foot.line[60:140] - edge).max() < 1.5
    assert foot.line[:40].max() < 213  # not up at the arm: the ground goes on where the foot ends
    assert foot.line[:40].min() > 195
    assert abs(foot.slope) < 0.02


def test_a_contact_shadow_follows_what_stands_at_a_slant() -> None:
    alpha = np.zeros((200, 300), np.float32)
    alpha[60:156, 60:80], alpha[60:180, 220:240], alpha[60:90, 60:240] = 1, 1, 1  # two legs, one nearer
    foot = foot_of(alpha, subject_box(alpha))
    assert foot.slope == pytest.approx(24 / 160, rel=0.15)
    assert foot.line[70] == pytest.approx(156, abs=4)
    assert foot.line[230] == pytest.approx(180, abs=4)
    settings = Shadow(kind="contact", opacity=100)
    layer = cast(Placed(np.zeros((200, 300, 3), np.float32), alpha), subject_box(alpha), settings, Progress())
    assert layer is not None
    assert layer.alpha[157, 70] > 0.5
    assert layer.alpha[181, 230] > 0.5


def test_shadows_are_part_of_a_transparent_picture_and_leave_the_subject_s_alpha() -> None:
    source = picture(disc(200, 200, 50))
    recipe = Recipe.of({"canvas": {"crop": "frame", "margin": "20px"}, "shadow": {"kind": "drop", "colour": "#0000ff"}})
    cutout = finish_cutout(source, recipe)
    assert cutout.composite is not None
    assert cutout.composite_alpha is not None
    assert np.array_equal(cutout.alpha[20:-20, 20:-20], source.alpha)
    shadowed = (cutout.composite_alpha > 0.05) & (cutout.alpha == 0)
    assert shadowed.any()
    assert np.abs(cutout.composite[shadowed] - np.float32([0, 0, 1])).max() < 1e-5
    # Over white the transparent picture is what the opaque one is.
    opaque = finish_cutout(source, Recipe.of({**recipe.model_dump(), "background": {"fill": "white"}}))
    assert opaque.composite_alpha is None
    a = cutout.composite_alpha[..., None]
    assert np.abs(cutout.composite * a + 1 - a - opaque.composite).max() < 1e-5
    assert np.asarray(cutout.to_pil()).shape[2] == 4


def test_white_stays_white_where_no_shadow_is() -> None:
    source = picture(disc(100, 100, 20))
    recipe = Recipe.of({"background": {"fill": "white"}, "shadow": {"kind": "drop", "softness": 2, "distance": 3}})
    composite = finish_cutout(source, recipe).composite
    assert composite is not None
    assert (composite[:25] == 1).all()
    assert composite.min() < 0.9


def test_what_a_shadow_lacks_is_told() -> None:
    small = finish_cutout(
        picture(rectangle(100, 100, 20, 20, 60, 60)),
        Recipe.of({"canvas": {"crop": "subject"}, "shadow": {"kind": "reflection"}}),
    )
    assert any("no room for the reflection" in told for told in small.report.warnings)
    cut = finish_cutout(
        picture(rectangle(100, 100, 40, 30, 60, 40)),
        Recipe.of({"canvas": {"margin": "10%"}, "shadow": {"kind": "contact"}}),
    )
    assert any("gets no contact shadow" in told for told in cut.report.warnings)
    assert cut.composite_alpha is not None
    assert cut.composite_alpha.max() == pytest.approx(1)
    assert np.array_equal(cut.composite_alpha, cut.alpha)
    near = finish_cutout(
        picture(disc(100, 100, 40)), Recipe.of({"canvas": {"margin": "1px"}, "shadow": {"kind": "drop"}})
    )
    assert any("cut off at the right and bottom" in told for told in near.report.warnings)
    nothing = finish_cutout(picture(disc(50, 50, 10) * 0.001), Recipe.of({"shadow": {"kind": "drop"}}))
    assert any("Almost nothing" in told for told in nothing.report.warnings)
