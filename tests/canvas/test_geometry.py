"""Where the subject comes to lie: counted in pixels."""

from __future__ import annotations

import numpy as np
import pytest

from gossamer.canvas import finish_cutout
from gossamer.canvas.subject import Box, centre_of_mass, cut_off, subject_box
from gossamer.cutout import Cutout
from gossamer.errors import InputError
from gossamer.lengths import read_aspect, read_margin, read_size
from gossamer.settings import Recipe
from tests.canvas.bodies import picture, rectangle

BODY = rectangle(300, 400, 60, 100, 120, 200)  # 200 x 120 pixels


def finished(alpha: np.ndarray = BODY, **canvas: object) -> Cutout:
    return finish_cutout(picture(alpha), Recipe.of({"canvas": canvas}))


def box(cutout: Cutout) -> tuple[int, int, int, int]:
    return tuple(round(side) for side in subject_box(cutout.alpha))  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("canvas", "size", "place"),
    [
        ({"crop": "subject"}, (200, 120), (0, 0, 200, 120)),
        ({"margin": "10px"}, (220, 140), (10, 10, 210, 130)),
        ({"margin": "10"}, (220, 140), (10, 10, 210, 130)),
        ({"margin": "10px 20px"}, (240, 140), (20, 10, 220, 130)),
        ({"margin": "1 2 3 4"}, (206, 124), (4, 1, 204, 121)),
        ({"margin": "10%"}, (250, 150), (25, 15, 225, 135)),  # of the finished picture
        ({"margin": "0 25% 0 25%"}, (400, 120), (100, 0, 300, 120)),
        ({"aspect": "1:1"}, (200, 200), (0, 40, 200, 160)),
        ({"aspect": "1:2", "margin": "10px"}, (220, 440), (10, 160, 210, 280)),
        ({"fill": 80}, (250, 150), (25, 15, 225, 135)),
        ({"fill": 80, "aspect": "1:1"}, (250, 250), (25, 65, 225, 185)),
        ({"size": "100x100"}, (100, 100), (0, 20, 100, 80)),
        ({"size": "100"}, (100, 100), (0, 20, 100, 80)),
        ({"size": "100x100", "fill": 50}, (100, 100), (25, 35, 75, 65)),
        ({"size": "120x100", "margin": "10px"}, (120, 100), (10, 20, 110, 80)),
        ({"size": "120x100", "margin": "10px", "align": "bottom"}, (120, 100), (10, 30, 110, 90)),
        ({"crop": "frame", "size": "200x200"}, (200, 200), (50, 55, 150, 115)),
        ({"crop": "frame", "margin": "0 0 100 0"}, (400, 400), (100, 60, 300, 180)),
    ],
)
def test_a_box_is_where_the_settings_have_it(
    canvas: dict[str, object], size: tuple[int, int], place: tuple[int, int, int, int]
) -> None:
    cutout = finished(**canvas)
    assert cutout.alpha.shape[::-1] == size
    assert cutout.foreground.shape == (*cutout.alpha.shape, 3)
    assert np.abs(np.subtract(box(cutout), place)).max() <= (0 if "size" not in canvas else 1)


def test_what_is_not_scaled_keeps_its_pixels() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (30, 40, 3), np.uint8)
    alpha = np.where(rectangle(30, 40, 5, 10, 12, 20) > 0, rng.uniform(0.6, 1, (30, 40)), 0).astype(np.float32)
    cutout = finish_cutout(
        np.dstack([pixels, np.round(255 * alpha).astype(np.uint8)]), Recipe.of({"canvas": {"margin": 3}})
    )
    assert cutout.pixels.dtype == np.uint8
    assert np.array_equal(cutout.pixels[3:-3, 3:-3], pixels[5:17, 10:30])
    assert np.allclose(cutout.alpha[3:-3, 3:-3], np.round(255 * alpha[5:17, 10:30]) / 255)


def test_scaling_takes_means_and_no_hidden_colour() -> None:
    alpha = rectangle(64, 64, 16, 16, 31, 31)  # an edge in the middle of a pixel to be
    cutout = finished(alpha, crop="frame", size="32x32")
    assert cutout.alpha[23, 12] == pytest.approx(0.5, abs=1e-5)
    assert cutout.alpha.sum() == pytest.approx(31 * 31 / 4, rel=1e-5)
    seen = cutout.alpha > 0
    assert np.abs(cutout.foreground[seen] - np.float32([0.8, 0.3, 0.1])).max() < 1e-4  # none of the green


def test_nothing_is_enlarged_unless_told() -> None:
    kept = finished(size="1000x1000")
    assert (kept.alpha.shape, box(kept)) == ((1000, 1000), (400, 440, 600, 560))
    assert any("not enlarged: it has more room" in told for told in kept.report.warnings)
    smaller = finished(size="1000x1000", fill=80, too_small="shrink")
    assert (smaller.alpha.shape, box(smaller)) == ((250, 250), (25, 65, 225, 185))
    assert np.array_equal(smaller.foreground[65:185, 25:225], picture(BODY).pixels[60:180, 100:300])
    assert any("the picture is 250 x 250" in told for told in smaller.report.warnings)
    larger = finished(size="1000x1000", fill=80, too_small="enlarge")
    assert larger.alpha.shape == (1000, 1000)
    assert np.abs(np.subtract(box(larger), (100, 260, 900, 740))).max() <= 3  # cubic edges are soft
    assert any("enlarged 4.0 times" in told for told in larger.report.warnings)


def test_the_centre_of_mass_comes_to_the_middle_as_far_as_margins_allow() -> None:
    alpha = rectangle(100, 200, 20, 20, 60, 40) + rectangle(100, 200, 48, 60, 4, 120)  # a heavy end and a long arm
    cutout = finished(alpha, size="400x200", align="mass")
    assert centre_of_mass(cutout.alpha)[0] == pytest.approx(200, abs=1)
    tight = finished(alpha, size="180x100", margin="10px", align="mass")
    assert box(tight)[0] == 10  # further to the right its arm would stand in the margin
    assert box(finished(alpha, size="400x200"))[0] == 120


def test_a_size_on_paper() -> None:
    cutout = finished(crop="frame", size="35x45mm")
    assert cutout.alpha.shape == (531, 413)
    assert cutout.dpi == pytest.approx((300, 300), rel=1e-3)
    fine = finished(crop="frame", size="35x45mm", dpi=600, too_small="shrink")
    assert fine.alpha.shape[1] == 400  # the photograph's pixels
    assert fine.alpha.shape[1] / fine.dpi[0] * 25.4 == pytest.approx(35, rel=2e-3)


def test_what_the_frame_cuts_off_stays_at_the_edge() -> None:
    alpha = rectangle(100, 100, 40, 30, 60, 40)
    cutout = finished(alpha, margin="10px", aspect="1:1")
    assert box(cutout)[3] == cutout.alpha.shape[0]
    assert any("cuts the subject off at the bottom, where it stays" in told for told in cutout.report.warnings)
    floating = finished(alpha, margin="10px", align="centre")
    assert any("the cut can be seen at the bottom" in told for told in floating.report.warnings)
    assert finished(margin="10px").report.warnings == ()
    assert cut_off(rectangle(9, 9, 0, 0, 9, 4), Box(0, 0, 4, 9)) == ("top", "bottom", "left")


def test_specks_move_no_box_and_faint_hair_does() -> None:
    alpha = BODY.copy()
    alpha[5, 5] = 1
    assert subject_box(alpha) == (100, 60, 300, 180)
    alpha[40:60, 150:160] = 0.3
    assert subject_box(alpha) == (100, 40, 300, 180)
    assert subject_box(0.2 * BODY) == (100, 60, 300, 180)  # glass


@pytest.mark.parametrize(
    ("alpha", "canvas", "words"),
    [
        (0 * BODY, {"margin": "5%"}, "nothing in the matte"),
        (BODY, {"size": "100x100", "margin": "50px"}, "no room on a canvas of 100 x 100"),
        (BODY, {"size": "100x100", "margin": "80px 0"}, "no room on a canvas of 100 x 100"),
        (BODY, {"size": "100x100", "aspect": "4:5"}, "has not the ratio 4:5"),
        (BODY, {"fill": 0.01}, "The canvas would be"),
    ],
)
def test_what_cannot_be_is_told(alpha: np.ndarray, canvas: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        finish_cutout(as_array(alpha), Recipe.of({"canvas": canvas}))


def as_array(alpha: np.ndarray) -> np.ndarray:
    return np.dstack([np.full((*alpha.shape, 3), 0.5, np.float32), alpha])


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("margin", "60%", "Give less than 50% a side"),
        ("margin", "1 2 3 4 5", "one to four lengths"),
        ("margin", "-5px", "one to four lengths"),
        ("margin", "5em", "one to four lengths"),
        ("size", "0x5", "width x height"),
        ("size", "2000x", "width x height"),
        ("size", "99999", "width x height"),
        ("aspect", "0:1", "width:height"),
        ("aspect", "wide", "width:height"),
        ("fill", 101, "0 to 100"),
        ("head", "50% 20%", "two heights"),
    ],
)
def test_impossible_settings_are_refused(field: str, value: object, words: str) -> None:
    with pytest.raises(InputError, match=rf"canvas\.{field}.*{words}"):
        Recipe.of({"canvas": {field: value}})


def test_lengths_as_people_write_them() -> None:
    assert [one.of(200) for one in read_margin("5% 20px")] == [10, 20, 10, 20]
    assert [one.of(200) for one in read_margin("1, 2 ,3")] == [1, 2, 3, 2]
    assert read_size("35x45mm").in_pixels(300) == (413, 531)  # type: ignore[union-attr]
    assert read_size("1600 X 900 px") == (1600, 900, False)
    assert (read_aspect("4:5"), read_aspect("1.5"), read_aspect("")) == (0.8, 1.5, None)
    assert Recipe.of({"canvas": {"size": 500, "margin": 4}}).canvas.size == "500"
