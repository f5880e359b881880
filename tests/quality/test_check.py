"""What a check finds in cut-outs whose faults are known, and what it says of true ones."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest

import gossamer
from gossamer.cutout import Cutout, Report
from gossamer.errors import InputError
from gossamer.quality import Check, Measures
from gossamer.quality.flags import flags_of
from gossamer.settings.checks import Checks
from tests.quality.scenes import CENTRE, RADIUS, SIZE, over, rgba, scene, true_cutout


def flags(found: Check) -> set[str]:
    return {flag.id for flag in found.flags}


# -- true cut-outs -----------------------------------------------------------------------------------------


def test_a_true_cutout_has_no_flag_and_a_high_score() -> None:
    for found in (gossamer.check(true_cutout(), scene().photo), gossamer.check(true_cutout())):
        assert flags(found) == set()
        assert not found.faulty
        assert found.score > 80


@pytest.mark.long
def test_the_same_cutout_gets_the_same_numbers_and_they_are_plain() -> None:
    one, other = (gossamer.check(true_cutout(), scene().photo, scene().alpha) for _ in range(2))
    assert one == other == pickle.loads(pickle.dumps(one))  # noqa: S301
    assert json.loads(json.dumps(one.as_dict())) == one.as_dict()
    assert set(one.as_dict()) == {"score", "flags", "measures", "warnings"}


@pytest.mark.long
def test_measures_mean_the_same_at_four_times_the_pixels() -> None:
    size = (2 * SIZE[1], 2 * SIZE[0])
    small, photo = true_cutout(), scene().photo
    large = cv2.resize(small, size)
    one, other = gossamer.check(small, photo).measures, gossamer.check(large, cv2.resize(photo, size)).measures
    assert other.coverage == pytest.approx(one.coverage, abs=0.002)
    assert other.relative_size == pytest.approx(one.relative_size, abs=0.01)
    assert other.size == pytest.approx(2 * one.size, rel=0.02)
    assert other.holes == pytest.approx(one.holes, abs=4)
    assert (other.haze, other.unsupported, other.false_holes) == (one.haze, one.unsupported, one.false_holes)


@pytest.mark.long
def test_what_the_faces_make_is_taken_as_it_is() -> None:
    cutout = Cutout(scene().colours, scene().alpha, Report(), gossamer.Recipe())
    assert gossamer.check(cutout, scene().photo).score == pytest.approx(
        gossamer.check(true_cutout(), scene().photo).score, abs=1
    )


@pytest.mark.parametrize(("halo", "seen"), [(0.2, True), (-0.01, False), (None, True)])
def test_what_an_edge_keeps_is_a_halo_only_where_it_leans_to_its_background(halo: float | None, seen: bool) -> None:
    found = flags_of(Measures(coverage=0.3, kept=1.1, halo=halo, relative_size=0.5), (), Checks(), photo=True)
    assert ("halo" in {flag.id for flag in found}) == seen


# -- colours -----------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize("left", [0.0, 0.5, 1.0])
def test_how_much_of_the_background_is_left_is_recovered(left: float) -> None:
    true = scene()
    colours = true.colours + left * (true.photo - true.colours)
    found = gossamer.check(rgba(colours, true.alpha), true.photo)
    assert found.measures.kept == pytest.approx(left, abs=0.2)
    assert ("halo" in flags(found)) == (left == 1)


def test_an_edge_that_is_too_wide_is_a_halo() -> None:
    wide = cv2.dilate(scene().alpha, np.ones((7, 7), np.uint8))
    found = gossamer.check(rgba(scene().photo, wide), scene().photo)
    assert "halo" in flags(found)
    assert found.measures.halo is not None
    assert found.measures.halo > 0.7


@pytest.mark.long
@pytest.mark.parametrize("size", [1, 3])
def test_premultiplied_colours_are_noticed_without_the_photograph(size: int) -> None:
    true = scene()
    alpha, colours = (
        cv2.resize(plane, (size * SIZE[1], size * SIZE[0]), interpolation=cv2.INTER_LINEAR)
        for plane in (true.alpha, true.colours)
    )
    found = gossamer.check(rgba(colours * alpha[..., None], alpha))
    assert flags(found) - {"blur"} == {"premultiplied"}  # enlarged, it is blurred
    assert found.measures.premultiplied == pytest.approx(1, abs=0.05)
    straight = rgba(colours, alpha)
    straight[alpha == 0] = 0  # as most tools leave it
    assert gossamer.check(straight).measures.premultiplied == pytest.approx(0, abs=0.05)


def test_a_light_fringe_has_its_height() -> None:
    true = scene()
    soft = (true.alpha < 0.98)[..., None]
    found = gossamer.check(rgba(np.where(soft, np.clip(true.colours + 0.2, 0, 1), true.colours), true.alpha)).measures
    assert found.light_fringe == pytest.approx(0.2, abs=0.03)
    assert found.dark_fringe == pytest.approx(0, abs=0.02)


# -- shape and edge ----------------------------------------------------------------------------------------


def test_a_hole_is_false_only_where_the_photograph_shows_the_subject() -> None:
    true = scene()
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    left = np.clip((np.hypot(x - CENTRE[0] + 30, y - CENTRE[1]) - 20) / 2 + 0.5, 0, 1).astype(np.float32)
    alpha = true.alpha * left
    torn = gossamer.check(rgba(true.colours, alpha), true.photo)
    assert "hole" in flags(torn)
    area = np.pi * 20**2 / np.count_nonzero(alpha > 0.5)
    assert torn.measures.false_holes == pytest.approx(area, rel=0.1)
    through = alpha[..., None] * true.colours + (1 - alpha[..., None]) * true.background
    whole = gossamer.check(rgba(true.colours, alpha), through.astype(np.float32))
    assert whole.measures.holes >= 1
    assert "hole" not in flags(whole)


def test_the_frame_that_is_touched_is_told_with_its_share() -> None:
    true, top = scene(), CENTRE[1] - 60
    found = gossamer.check(rgba(true.colours, true.alpha)[top:], true.photo[top:])
    assert flags(found) == {"frame"}
    assert "top" in next(flag.reason for flag in found.flags)
    assert not found.faulty  # photographs do that
    touched = np.count_nonzero(true.alpha[top] > 0.5) / (2 * (SIZE[1] + SIZE[0] - top))
    assert found.measures.frame == pytest.approx(touched)


@pytest.mark.long
@pytest.mark.parametrize("angle", [0.0, 0.6, np.pi / 2])
def test_a_part_that_is_cut_off_is_seen_beside_the_photograph(angle: float) -> None:
    true = scene()
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    beyond = (x - CENTRE[0]) * np.cos(angle) + (y - CENTRE[1]) * np.sin(angle) - 40
    found = gossamer.check(rgba(true.colours, true.alpha * (beyond < 0)), true.photo)
    assert flags(found) & {"cut", "outline"}
    assert found.faulty


@pytest.mark.parametrize(("width", "cut"), [(7, False), (120, True)])
def test_a_side_that_cannot_be_seen_is_no_end_where_the_thing_is_thin(width: int, cut: bool) -> None:
    true = scene()
    alpha = true.alpha.copy()
    alpha[10:260, 320 : 320 + width] = 1
    flat = np.broadcast_to(true.background.mean((0, 1)), true.background.shape)
    colours = np.where((np.arange(SIZE[0]) < 110)[:, None, None], flat, true.colours)
    found = gossamer.check(rgba(colours, alpha), over(colours, alpha, flat))
    assert (found.measures.cut > 0.05) == cut
    assert ("cut" in flags(found)) == cut


@pytest.mark.long
@pytest.mark.parametrize("slope", [0.0, 0.3])
def test_a_cut_through_thin_parts_is_seen_where_the_photograph_goes_on(slope: float) -> None:
    true = scene()
    y, x = np.mgrid[: SIZE[0], : SIZE[1]].astype(np.float32)
    bars = np.clip(2.5 - np.abs((x - 200) % 40 - 20), 0, 1) * (x > 200) * (x < 440)  # six, 3 pixels wide
    whole = np.maximum(bars * np.clip(y - 99.5, 0, 1) * (y < 300), np.clip(121 - np.hypot(x - 320, y - 300), 0, 1))
    calm = [plane.mean((0, 1)) + 0.3 * (plane - plane.mean((0, 1))) for plane in (true.colours, true.background)]
    photo = over(calm[0], whole, calm[1])
    limit = 140 + slope * (x - 320)
    cut = whole * np.clip(y - limit + 0.5, 0, 1)
    there, here = (gossamer.check(rgba(calm[0], alpha), photo) for alpha in (whole, cut))
    assert there.measures.ends == 0
    assert "cut" not in flags(there)
    assert "cut" in flags(here)
    length = 6 * 3 * np.hypot(1, slope) / np.hypot(*SIZE)
    assert here.measures.ends == pytest.approx(length, rel=0.4)


def test_another_thing_s_mask_is_seen_beside_the_photograph() -> None:
    found = gossamer.check(rgba(scene().photo, np.roll(scene().alpha, (40, 150), (0, 1))), scene().photo)
    assert "outline" in flags(found)
    assert found.score < 40


@pytest.mark.parametrize("share", [0.2, 0.7])
def test_haze_is_measured_where_it_lies(share: float) -> None:
    haze = np.zeros(SIZE, np.float32)
    haze[: int(share * SIZE[0])] = 0.04
    found = gossamer.check(rgba(scene().colours, np.maximum(scene().alpha, haze)))
    assert "haze" in flags(found)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    far = np.hypot(x - CENTRE[0], y - CENTRE[1]) > RADIUS + 80
    assert found.measures.haze == pytest.approx(float((haze > 0)[far].mean()), abs=0.04)


def test_stairs_are_jagged_and_the_side_of_a_box_is_not() -> None:
    hard = gossamer.check(rgba(scene().colours, (scene().alpha > 0.5).astype(np.float32)))
    assert flags(hard) == {"jagged"}
    assert hard.measures.steps == 1
    small = cv2.resize(scene().alpha, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    blocks = cv2.resize(small, SIZE[::-1], interpolation=cv2.INTER_NEAREST)
    assert "jagged" in flags(gossamer.check(rgba(scene().colours, blocks)))
    box = np.zeros(SIZE, np.float32)
    box[100:400, 150:500] = 1
    assert gossamer.check(rgba(scene().colours, box)).measures.steps == 0


def test_small_subjects_specks_and_veils() -> None:
    tiny = np.zeros(SIZE, np.float32)
    tiny[200:230, 300:320] = 1
    assert "small" in flags(gossamer.check(rgba(scene().colours, tiny)))
    random = np.random.default_rng(0)
    specked = scene().alpha.copy()
    for row, column in random.integers(5, (60, 635), (90, 2)):
        specked[row : row + 4, column : column + 4] = 1
    assert "specks" in flags(gossamer.check(rgba(scene().colours, specked)))
    found = gossamer.check(rgba(scene().colours, scene().alpha * np.float32(0.8)))
    assert "veil" in flags(found)
    assert found.measures.veil == 1


@pytest.mark.long
def test_blur_of_the_photograph_grows_with_it() -> None:
    effects = []
    for sigma in (0, 0.8, 1.5):
        photo = scene().photo if sigma == 0 else cv2.GaussianBlur(scene().photo, (0, 0), sigma)
        effects.append(gossamer.check(rgba(photo, scene().alpha), photo).measures.blur)
    assert None not in effects
    assert effects == sorted(effects)  # type: ignore[type-var]
    assert effects[0] < 0.25 < 0.33 < effects[2]  # type: ignore[operator]


# -- masks -------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_lost_hair_is_measured_against_the_mask() -> None:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))
    bald = cv2.morphologyEx(scene().alpha, cv2.MORPH_OPEN, disc)
    found = gossamer.check(rgba(scene().colours, bald), scene().photo, scene().alpha)
    assert "lost" in flags(found)
    assert found.measures.thin_lost is not None
    assert found.measures.thin_lost > 0.8
    whole = gossamer.check(true_cutout(), scene().photo, scene().alpha)
    assert whole.measures.thin_lost == pytest.approx(0, abs=0.01)
    assert whole.measures.lost == 0


def test_opinions_differ_by_their_areas() -> None:
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    one, other = ((np.hypot(x - 300, y - 240) < radius).astype(np.float32) for radius in (100, 120))
    found = gossamer.check(rgba(scene().colours, one), opinion=other, mirrored=one)
    assert found.measures.disagreement == pytest.approx(1 - (100 / 120) ** 2, abs=0.01)
    assert found.measures.mirrored == found.measures.disagreement
    assert "doubt" in flags(found)
    same = gossamer.check(rgba(scene().colours, one), opinion=one)
    assert same.measures.disagreement == 0


def test_thresholds_are_the_recipe_s() -> None:
    hazy = rgba(scene().colours, np.maximum(scene().alpha, np.float32(0.04)))
    recipe = gossamer.Recipe.of({"checks": {"haze": 100}})
    assert "haze" in flags(gossamer.check(hazy))
    assert "haze" not in flags(gossamer.check(hazy, recipe=recipe))


@pytest.mark.long
def test_worse_mattes_get_lower_scores() -> None:
    true = scene()
    scores = [gossamer.check(true_cutout(), true.photo).score]
    for radius in (3, 7):
        narrow = cv2.erode(true.alpha, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2))
        scores.append(gossamer.check(rgba(true.colours, narrow), true.photo).score)
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > scores[-1] + 30


# -- bad input ---------------------------------------------------------------------------------------------


def test_empty_and_full_mattes_are_flagged() -> None:
    for alpha, name in ((0, "empty"), (1, "full")):
        found = gossamer.check(rgba(scene().colours, np.full(SIZE, alpha, np.float32)), scene().photo)
        assert flags(found) == {name}
        assert found.score == 0


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (3, 3), (9, 7)])
@pytest.mark.parametrize("kind", ["empty", "full", "half", "noise"])
def test_pictures_of_few_pixels_are_checked(shape: tuple[int, int], kind: str) -> None:
    random = np.random.default_rng(0)
    alpha = {"empty": np.zeros(shape), "full": np.ones(shape), "noise": random.random(shape)}.get(kind)
    if alpha is None:
        alpha = np.zeros(shape)
        alpha[: (shape[0] + 1) // 2, : (shape[1] + 1) // 2] = 1
    photo = random.integers(0, 256, (*shape, 3), np.uint8)
    cutout = np.dstack([photo, np.round(alpha * 255).astype(np.uint8)])
    for found in (gossamer.check(cutout), gossamer.check(cutout, photo, alpha)):
        assert 0 <= found.score <= 100


def test_a_photograph_of_another_size_is_scaled_and_that_is_said() -> None:
    photo = cv2.resize(scene().photo, None, fx=1.5, fy=1.5)
    found = gossamer.check(true_cutout(), photo)
    assert found.warnings == ("The photograph is 960 x 720 pixels: it was scaled to the cut-out's 640 x 480.",)
    assert not found.faulty
    with pytest.raises(InputError, match=r"640 x 400 pixels, but the cut-out is 640 x 480: it was cropped or moved"):
        gossamer.check(true_cutout(), scene().photo[:400])


def test_profiles_that_differ_are_told(tmp_path: Path) -> None:
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    PIL.Image.fromarray(true_cutout()).save(tmp_path / "cut.png", icc_profile=profile)
    found = gossamer.check(tmp_path / "cut.png", scene().photo)
    assert any("different colour profiles" in warning for warning in found.warnings)


@pytest.mark.long
def test_a_mask_is_checked_beside_its_photograph_and_refused_alone(tmp_path: Path) -> None:
    mask = PIL.Image.fromarray(np.round(scene().alpha * 255).astype(np.uint8))
    mask.save(tmp_path / "mask.png")
    found = gossamer.check(tmp_path / "mask.png", scene().photo)
    assert found.measures.kept is None
    assert found.score > 80
    assert gossamer.check(scene().alpha, scene().photo).score == pytest.approx(found.score, abs=1)
    with pytest.raises(InputError, match=r"mask\.png has no alpha: it is no cut-out"):
        gossamer.check(tmp_path / "mask.png")
    for opaque in (scene().photo, np.full((4, 4, 4), 255, np.uint8)[..., :3]):
        with pytest.raises(InputError, match="it is no cut-out"):
            gossamer.check(opaque)


@pytest.mark.long
@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "16"])
def test_files_of_any_kind_are_checked(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "cut.png"
    if mode == "16":
        cv2.imwrite(str(path), true_cutout()[..., [2, 1, 0, 3]].astype(np.uint16) * 257)
    else:
        PIL.Image.fromarray(true_cutout()).convert(mode).save(path)
    found = gossamer.check(path, scene().photo)
    assert found.measures.coverage == pytest.approx(float(scene().alpha.mean()), abs=0.02)


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cut.png").write_bytes(b"not a picture")
    for source in (tmp_path / "cut.png", tmp_path / "none.png", tmp_path, b"", 3, None):
        with pytest.raises(InputError):
            gossamer.check(source)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="recipe"):
        gossamer.check(true_cutout(), recipe={"checks": {}})  # type: ignore[arg-type]


def test_it_can_be_cancelled() -> None:
    def stop(fraction: float, message: str) -> None:
        if fraction > 0.5:
            raise gossamer.Cancelled

    with pytest.raises(gossamer.Cancelled):
        gossamer.check(true_cutout(), scene().photo, progress=stop)
