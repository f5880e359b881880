"""The library as scripts use it, on real photographs with real weights."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import skimage.data

import gossamer
from gossamer.errors import OutputExists
from tests.cached_weights import weights_home


@pytest.fixture(autouse=True)
def _real_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOSSAMER_HOME", str(weights_home()))


@pytest.fixture(scope="module")
def pipeline() -> gossamer.Pipeline:
    return gossamer.Pipeline(model="u2netp", device="cpu")


@pytest.mark.long
def test_every_kind_of_picture_gives_the_same_cutout(tmp_path: Path) -> None:
    array = skimage.data.chelsea()
    PIL.Image.fromarray(array).save(tmp_path / "cat.png")
    kinds = [array, array.astype(np.float32) / 255, PIL.Image.fromarray(array), tmp_path / "cat.png"]
    kinds += [str(tmp_path / "cat.png"), (tmp_path / "cat.png").read_bytes(), gossamer.read_image(array)]
    results = [gossamer.remove_background(kind, model="u2netp") for kind in kinds]
    for result in results[1:]:
        assert np.array_equal(result.alpha, results[0].alpha)
        np.testing.assert_allclose(result.foreground, results[0].foreground, atol=1e-6)
    first = results[0]
    assert first.alpha.shape == (300, 451)
    assert first.alpha.dtype == np.float32
    assert first.foreground.shape == (300, 451, 3)
    assert first.foreground.dtype == np.float32
    assert first.report.model == "u2netp"
    assert first.recipe == gossamer.Recipe()


@pytest.mark.long
def test_the_model_stays_warm_and_runs_repeat_exactly(pipeline: gossamer.Pipeline) -> None:
    one = pipeline.run(skimage.data.astronaut())
    two = pipeline.run(skimage.data.astronaut())
    assert pipeline.load() is pipeline.load()
    assert np.array_equal(one.alpha, two.alpha)
    assert np.array_equal(one.foreground, two.foreground)
    assert two.report.seconds["load"] < 0.05


@pytest.mark.long
def test_the_caller_s_array_is_not_touched(pipeline: gossamer.Pipeline) -> None:
    array = skimage.data.chelsea().astype(np.float32) / 255
    before = array.copy()
    pipeline.run(array, recipe=gossamer.Recipe.of({"background": {"fill": "#ffffff"}}))
    assert np.array_equal(array, before)


def test_foreground_colours_leave_the_background_s_behind() -> None:
    """A red disc with a soft edge over blue: its edge must come out red, whatever lies behind."""
    y, x = np.mgrid[:200, :200]
    alpha = np.clip((70 - np.hypot(x - 100, y - 100)) / 12 + 0.5, 0, 1).astype(np.float32)
    red, blue = np.float32([0.8, 0.1, 0.1]), np.float32([0.1, 0.1, 0.8])
    picture = alpha[..., None] * red + (1 - alpha[..., None]) * blue
    soft = (alpha > 0.2) & (alpha < 0.8)
    errors = {}
    for method in ("none", "blur_fusion", "multilevel"):
        recipe = gossamer.Recipe.of({"matting": {"method": "none"}, "foreground": {"method": method}})
        cutout = gossamer.refine(picture, alpha, recipe)
        errors[method] = float(np.abs(cutout.foreground[soft] - red).mean())
        assert np.array_equal(cutout.alpha, alpha)
    assert errors["blur_fusion"] < 0.1 * errors["none"]
    assert errors["multilevel"] < 0.1 * errors["none"]


def test_an_amount_says_how_much_of_the_old_light_goes() -> None:
    ramp = np.linspace(0, 1, 64, dtype=np.float32)
    alpha = np.tile(ramp, (48, 1))
    picture = alpha[..., None] * np.float32([0.8, 0.1, 0.1]) + (1 - alpha[..., None]) * np.float32([0.1, 0.2, 0.9])
    made = {}
    for amount in (0.0, 40.0, 100.0):
        recipe = gossamer.Recipe.of({"matting": {"method": "none"}, "foreground": {"decontaminate": amount}})
        made[amount] = gossamer.refine(picture, alpha, recipe).foreground
    assert np.array_equal(made[0.0], picture)
    assert np.abs(made[100.0] - picture).max() > 0.2
    assert np.abs(made[40.0] - (0.4 * made[100.0] + 0.6 * picture)).max() < 1e-6


def test_matting_recovers_an_edge_that_the_mask_has_lost() -> None:
    y, x = np.mgrid[:160, :160]
    alpha = np.clip((50 - np.hypot(x - 80, y - 80)) / 8 + 0.5, 0, 1).astype(np.float32)
    rng = np.random.default_rng(0)
    red = np.float32([0.8, 0.2, 0.1]) + 0.01 * rng.standard_normal((160, 160, 3), dtype=np.float32)
    picture = np.clip(alpha[..., None] * red + (1 - alpha[..., None]) * np.float32([0.1, 0.3, 0.7]), 0, 1)
    hard = (alpha > 0.5).astype(np.float32)
    recipe = gossamer.Recipe.of({"matting": {"method": "closed_form", "band": 12}})
    found = gossamer.refine(picture, hard, recipe).alpha
    assert np.abs(found - alpha).mean() < 0.3 * np.abs(hard - alpha).mean()


@pytest.mark.parametrize("method", ["closed_form", "from_mask", "guided", "knn", "learning_based"])
def test_every_matting_method_keeps_the_sure_and_mends_the_edge(method: str) -> None:
    y, x = np.mgrid[:160, :160]
    alpha = np.clip((50 - np.hypot(x - 80, y - 80)) / 8 + 0.5, 0, 1).astype(np.float32)
    noise = 0.01 * np.random.default_rng(0).standard_normal((160, 160, 3))
    colours = alpha[..., None] * [0.8, 0.2, 0.1] + (1 - alpha[..., None]) * [0.1, 0.3, 0.7] + noise
    rough = np.roll((alpha > 0.5).astype(np.float32), 3, 1)
    recipe = gossamer.Recipe.of({"matting": {"method": method, "band": 12}})
    cutout = gossamer.refine(np.clip(colours, 0, 1).astype(np.float32), rough, recipe)
    assert cutout.report.seconds["matting"] > 0
    assert np.abs(cutout.alpha - alpha).mean() < 0.8 * np.abs(rough - alpha).mean()
    assert cutout.alpha[80, 80] > 0.95
    assert cutout.alpha[2, 2] < 0.05


def test_a_band_too_wide_for_the_subject_is_a_warning() -> None:
    mask = np.zeros((60, 60), np.float32)
    mask[25:35, 25:35] = 1
    recipe = gossamer.Recipe.of({"matting": {"method": "closed_form", "band": 20}})
    cutout = gossamer.refine(np.full((60, 60, 3), 0.5, np.float32), mask, recipe)
    assert "no certain foreground" in " ".join(cutout.report.warnings)
    assert np.array_equal(cutout.alpha, mask)


def test_an_empty_mask_is_a_warning() -> None:
    cutout = gossamer.refine(np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8)))
    assert "subject" in cutout.report.warnings[0]
    assert cutout.report.coverage == 0


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(gossamer.InputError, match="7 x 6 pixels, but the picture is 8 x 8"):
        gossamer.refine(np.zeros((8, 8, 3), np.uint8), np.zeros((6, 7)))


@pytest.mark.long
def test_an_existing_alpha_multiplies_and_colours_stay_straight(pipeline: gossamer.Pipeline) -> None:
    array = skimage.data.chelsea()
    ramp = np.linspace(0, 255, 451).astype(np.uint8)[None].repeat(300, 0)
    plain, with_alpha = pipeline.run(array), pipeline.run(np.dstack([array, ramp]))
    np.testing.assert_allclose(with_alpha.alpha, plain.alpha * (ramp / np.float32(255)), atol=1e-6)
    assert np.array_equal(with_alpha.foreground, plain.foreground)


@pytest.mark.long
def test_hidden_colours_stay_sensible(pipeline: gossamer.Pipeline) -> None:
    """Under alpha 0 lies neither black nor noise: editors that feather or unpremultiply show those colours."""
    cutout = pipeline.run(skimage.data.astronaut())
    hidden = cutout.foreground[cutout.alpha == 0]
    assert np.isfinite(hidden).all()
    rgba = np.asarray(cutout.to_pil())
    edge = (rgba[..., 3] > 0) & (rgba[..., 3] < 32)
    assert rgba[edge][:, :3].mean() > 20


def test_far_from_the_subject_its_colours_go_on() -> None:
    alpha = np.zeros((400, 500), np.float32)
    alpha[180:220, 100:140] = 1
    picture = np.zeros((400, 500, 3), np.float32)
    picture[..., 2] = 1
    picture[alpha == 1] = [0.8, 0.4, 0.2]
    plain = gossamer.Recipe.of({"matting": {"method": "none"}})
    foreground = gossamer.refine(picture, alpha, plain).foreground
    np.testing.assert_allclose(foreground[300, 400], [0.8, 0.4, 0.2], atol=0.01)
    assert (foreground[..., 0] > 0.7).all()
    assert np.array_equal(foreground[alpha == 1], picture[alpha == 1])


@pytest.mark.long
def test_progress_rises_and_cancelling_stops(pipeline: gossamer.Pipeline) -> None:
    seen: list[tuple[float, str]] = []
    pipeline.run(skimage.data.chelsea(), lambda fraction, message: seen.append((fraction, message)))
    fractions = [fraction for fraction, _ in seen]
    assert fractions == sorted(fractions)
    assert fractions[0] == 0
    assert fractions[-1] == 1
    assert all(message for _, message in seen)
    for stop_at in ("Reading", "Finding", "Estimating"):

        def stop(fraction: float, message: str, word: str = stop_at) -> None:
            if message.startswith(word):
                raise gossamer.Cancelled

        with pytest.raises(gossamer.Cancelled):
            pipeline.run(skimage.data.chelsea(), stop)


@pytest.mark.long
def test_one_pipeline_serves_several_threads(pipeline: gossamer.Pipeline) -> None:
    expected = pipeline.run(skimage.data.chelsea()).alpha
    results: list[np.ndarray] = []
    threads = [
        threading.Thread(target=lambda: results.append(pipeline.run(skimage.data.chelsea()).alpha)) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 3
    assert all(np.array_equal(result, expected) for result in results)


@pytest.mark.long
def test_saving(pipeline: gossamer.Pipeline, tmp_path: Path) -> None:
    cutout = pipeline.run(skimage.data.chelsea())
    cutout.save(tmp_path / "cat.png")
    saved = np.asarray(PIL.Image.open(tmp_path / "cat.png"))
    assert np.array_equal(saved, np.asarray(cutout.to_pil()))
    with pytest.raises(OutputExists):
        cutout.save(tmp_path / "cat.png")
    cutout.save(tmp_path / "cat.png", force=True)
    cutout.save(tmp_path / "mask.png", mask_only=True)
    assert np.array_equal(np.asarray(PIL.Image.open(tmp_path / "mask.png")), saved[..., 3])
    with pytest.raises(gossamer.InputError, match="JPEG"):
        cutout.save(tmp_path / "cat.jpg")
    assert not (tmp_path / "cat.jpg").exists()
    white = pipeline.run(skimage.data.chelsea(), recipe=gossamer.Recipe.of({"background": {"fill": "#ffffff"}}))
    white.save(tmp_path / "cat.jpg")
    assert white.to_pil().mode == "RGB"
    assert np.asarray(PIL.Image.open(tmp_path / "cat.jpg"))[5, 5].min() >= 252


@pytest.mark.long
def test_the_profile_stays(pipeline: gossamer.Pipeline, tmp_path: Path) -> None:
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    PIL.Image.fromarray(skimage.data.chelsea()).save(tmp_path / "cat.jpg", icc_profile=profile)
    cutout = pipeline.run(tmp_path / "cat.jpg")
    assert cutout.to_pil().info["icc_profile"] == profile
    for name in ("cat.png", "cat.webp", "cat.tif"):
        cutout.save(tmp_path / name)
        with PIL.Image.open(tmp_path / name) as saved:
            assert saved.info["icc_profile"] == profile


@pytest.mark.long
def test_a_picture_of_bytes_stays_bytes_and_gives_the_same_as_its_floats(tmp_path: Path) -> None:
    picture = skimage.data.astronaut()
    image = gossamer.read_image(picture)
    assert image.pixels.dtype == np.uint8
    assert image.bit_depth == 8
    np.testing.assert_array_equal(image.rgb, picture.astype(np.float32) / np.float32(255))
    assert not image.rgb.flags.writeable
    alpha = np.clip((np.arange(512, dtype=np.float32) - 200) / 100, 0, 1)[None].repeat(512, 0)
    for method in ("auto", "blur_fusion", "none"):
        recipe = gossamer.Recipe.of({"foreground": {"method": method}})
        from_bytes, from_floats = (gossamer.refine(each, alpha, recipe) for each in (picture, image.rgb))
        np.testing.assert_array_equal(from_bytes.foreground, from_floats.foreground)


def test_despill_takes_the_screen_s_tint_off_the_edge() -> None:
    subject, screen = np.float32([0.6, 0.55, 0.5]), np.float32([0.1, 0.8, 0.1])
    alpha = np.clip((np.arange(120, dtype=np.float32) - 40) / 40, 0, 1)[None].repeat(60, 0)
    tinted = subject + 0.3 * (1 - alpha[..., None]) * np.float32([0, 1, 0])  # the screen shines on the edge
    picture = alpha[..., None] * tinted + (1 - alpha[..., None]) * screen
    spill = []
    for settings in ({}, {"despill": "green"}, {"despill": "green", "despill_strength": 0.5}):
        colours = gossamer.refine(picture, alpha, gossamer.Recipe.of({"foreground": settings})).foreground
        soft = (alpha > 0.1) & (alpha < 0.9)
        spill.append(float(np.maximum(colours[soft][:, 1] - colours[soft][:, [0, 2]].mean(1), 0).mean()))
    assert spill[1] < 0.02 < spill[2] < spill[0]


def test_linear_light_keeps_a_soft_edge_bright() -> None:
    alpha = np.full((20, 20), 0.5, np.float32)
    recipes = [
        gossamer.Recipe.of(
            {"foreground": {"method": "none"}, "background": {"fill": "#000000", "linear_light": linear}}
        )
        for linear in (False, True)
    ]
    plain, linear = (gossamer.refine(np.ones((20, 20, 3), np.float32), alpha, each).composite for each in recipes)
    np.testing.assert_allclose(plain, 0.5, atol=1e-6)
    np.testing.assert_allclose(linear, 0.735357, atol=1e-5)


def test_a_report_says_where_the_kernels_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    picture, mask = skimage.data.chelsea(), np.zeros((300, 451), np.float32)
    mask[80:200, 100:300] = 1
    assert not any(
        "kernels" in warning for warning in gossamer.refine(picture, mask, gossamer.Recipe()).report.warnings
    )
    monkeypatch.setattr("gossamer.native.library", lambda: None)
    warnings = gossamer.refine(picture, mask, gossamer.Recipe()).report.warnings
    assert sum("python -m gossamer.native" in warning for warning in warnings) == 1


@pytest.mark.long
def test_the_best_quality_looks_closer_unless_it_is_told_not_to() -> None:
    photo = skimage.data.astronaut()
    best = gossamer.Pipeline(model="u2netp", device="cpu", quality="best")
    told: list[str] = []
    closer = best.run(photo, lambda fraction, message: told.append(message))
    first = next(message for message in told if message.startswith("Looking closer"))
    assert re.fullmatch(r"Looking closer, 1 of \d+, about \d+ s", first)  # what it costs, before it begins
    seconds = closer.report.seconds
    assert seconds["detail"] > seconds["segment"] > 0  # each for itself alone
    same = gossamer.Recipe.of({"segmentation": {"detail": True}})
    assert np.array_equal(closer.alpha, gossamer.remove_background(photo, same, model="u2netp", device="cpu").alpha)
    told.clear()
    off = gossamer.Recipe.of({"segmentation": {"detail": False}})
    assert "detail" not in best.run(photo, lambda _, message: told.append(message), recipe=off).report.seconds
    assert not any(message.startswith("Looking closer") for message in told)


@pytest.mark.long
def test_noise_has_no_subject_and_a_noisy_photograph_has(pipeline: gossamer.Pipeline) -> None:
    rng = np.random.default_rng(5)
    for noise in (rng.integers(0, 256, (120, 160, 1)), rng.integers(0, 2, (200, 260, 1)) * 255):
        cutout = pipeline.run(noise.astype(np.uint8).repeat(3, axis=2))
        assert cutout.alpha.max() == 0
        assert any("Almost nothing was found" in warning for warning in cutout.report.warnings)
    photograph = skimage.data.astronaut()
    noisy = np.clip(photograph + rng.normal(0, 60, photograph.shape), 0, 255).astype(np.uint8)
    assert 0.1 < pipeline.run(noisy).report.coverage < 0.3
