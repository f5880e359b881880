"""What a prompt may be, its JSON form, and how it is fitted to a picture."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from gossamer.errors import InputError
from gossamer.prompting.prompt import Prompt


def plane(height: int, width: int) -> np.ndarray:
    mask = np.zeros((height, width), np.float32)
    mask[height // 4 : height // 2, width // 4 : width // 2] = 1
    return mask


def test_one_form_for_what_people_give() -> None:
    prompt = Prompt(text="  the   lamp ", boxes=[[1, 2, 30, 40]], points=np.array([[5, 6]]), mask=plane(8, 8) > 0.5)
    assert prompt.text == ("the lamp",)
    assert prompt.boxes == ((1.0, 2.0, 30.0, 40.0),)
    assert prompt.points == ((5.0, 6.0),)
    assert prompt.mask is not None
    assert prompt.mask.dtype == np.float32
    assert Prompt(text=("a", "b", "a")).text == ("a", "b")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"text": ""}, "empty"),
        ({"text": " . "}, "empty"),
        ({"text": ["lamp", ""]}, "empty"),
        ({"text": 7}, "no text"),
        ({"boxes": [[1, 2, 3]]}, "3 numbers, not 4"),
        ({"boxes": [1, 2, 3, 4]}, "not made of numbers"),
        ({"boxes": [[0, 0, float("nan"), 4]]}, "not finite"),
        ({"points": [[float("inf"), 0]]}, "not finite"),
        ({"points": [["x", 0]]}, "not made of numbers"),
        ({"mask": np.full((4, 4), np.nan, np.float32)}, "values from nan"),
        ({"mask": np.zeros((4, 4, 3), np.float32)}, "shape"),
        ({"scribbles": np.full((4, 4), 2.0)}, "values from 2"),
        ({"unit": "cm"}, "no unit"),
    ],
)
def test_impossible_prompts_are_refused(fields: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Prompt(**fields)


def test_fractions_become_pixels() -> None:
    prompt = Prompt(boxes=[(0.1, 0.2, 0.5, 1)], points=[(0.25, 0.5)], unit="fraction")
    pixels, warnings = prompt.in_pixels(201, 99)
    assert pixels.boxes == ((pytest.approx(20.1), pytest.approx(19.8), pytest.approx(100.5), pytest.approx(99)),)
    assert pixels.points == ((50.25, 49.5),)
    assert (pixels.unit, warnings) == ("px", ())


def test_boxes_are_clipped_and_turned_with_a_warning() -> None:
    pixels, warnings = Prompt(boxes=[(-5, 10, 30, 999), (40, 50, 20, 30)]).in_pixels(100, 60)
    assert pixels.boxes == ((0, 10, 30, 60), (20, 30, 40, 50))
    assert len(warnings) == 2
    assert "cut off" in warnings[0]
    assert "turned round" in warnings[1]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "empty"),
        ({"boxes": [(200, 0, 300, 50)]}, "outside the picture of 100 x 60"),
        ({"boxes": [(-9, -9, 0, 0)]}, "outside"),
        ({"boxes": [(10, 10, 10, 20)]}, "no whole pixel"),
        ({"boxes": [(0.1, 0.2, 0.5, 0.9)]}, "no whole pixel"),
        ({"points": [(150, 5)]}, "outside"),
        ({"points": [(5.2, 5)], "not_points": [(5.8, 5.9)]}, "both as the subject"),
        ({"not_points": [(5, 5)]}, "only says what is not meant"),
        ({"scribbles": np.zeros((60, 100))}, "only says what is not meant"),
        ({"scribbles": np.full((60, 100), 0.5)}, "mark nothing"),
        ({"points": [(5, 5)], "scribbles": np.zeros((60, 100))}, "contradicts the scribble"),
        ({"mask": np.zeros((60, 100))}, "marks nothing"),
        ({"mask": plane(100, 60)}, "60 x 100 pixels, but the picture is 100 x 60. Turn the"),
        ({"mask": plane(30, 50)}, "50 x 30 pixels, but the picture is 100 x 60. Resize the"),
        ({"scribbles": plane(59, 100)}, "100 x 59 pixels, but the picture is 100 x 60"),
    ],
)
def test_nonsense_for_this_picture_is_refused(fields: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Prompt(**fields).in_pixels(100, 60)


def test_points_on_the_border_are_moved_inside() -> None:
    pixels, warnings = Prompt(points=[(100, 60), (0, 0), (99.5, 30)]).in_pixels(100, 60)
    assert pixels.points == ((99.5, 59.5), (0, 0), (99.5, 30))
    assert len(warnings) == 1
    assert "on the border" in warnings[0]


def test_a_point_outside_every_box_is_told() -> None:
    _, warnings = Prompt(boxes=[(0, 0, 10, 10)], points=[(50, 50)]).in_pixels(100, 60)
    assert any("outside every box" in warning for warning in warnings)


def test_json_there_and_back() -> None:
    marks = np.full((6, 9), 0.5, np.float32)
    marks[1, 1], marks[4, 4] = 1, 0
    soft = np.linspace(0, 1, 54, dtype=np.float32).reshape(6, 9)
    prompt = Prompt("lamp", [(1, 2, 3, 4)], [(1, 1)], [(2, 2)], soft, marks, "fraction")
    again = Prompt.from_json(prompt.to_json())
    for name in ("text", "boxes", "points", "not_points", "unit"):
        assert getattr(again, name) == getattr(prompt, name)
    assert again.mask is not None
    assert again.scribbles is not None
    assert np.abs(again.mask - soft).max() < 1e-5
    assert np.abs(again.scribbles - marks).max() < 1e-5


def test_json_as_people_write_it(tmp_path: Path) -> None:
    prompt = Prompt.from_json('{"text": "the lamp", "box": [1, 2, 3, 4], "not_point": [5, 6], "mask": null}')
    assert (prompt.text, prompt.boxes, prompt.not_points) == (("the lamp",), ((1, 2, 3, 4),), ((5, 6),))
    PIL.Image.fromarray((plane(8, 8) * 255).astype(np.uint8)).save(tmp_path / "rough.png")
    assert np.array_equal(Prompt.from_json({"mask": "rough.png"}, folder=tmp_path).mask, plane(8, 8))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{", "not valid JSON"),
        ("[1]", "no JSON object"),
        ('{"txt": "a"}', "no field 'txt'"),
        ('{"box": [1, 2, 3, 4], "boxes": []}', "twice"),
        ('{"mask": "/etc/passwd"}', "none is allowed"),
        ('{"mask": "data:image/png;base64,@@"}', "not valid base64"),
        ('{"mask": "data:image/gif;base64,aa"}', "no PNG"),
        (json.dumps({"mask": [1, 2]}), "shape"),
        (json.dumps({"mask": [[0, 1], [1]]}), "mask is no mask"),
        ("[" * 100_000, "nested too deeply"),
        ('{"box": [1, 2, 3, NaN]}', "not finite"),
        (f'{{"box": [1, 2, 3, 1{"0" * 400}]}}', "not made of numbers"),
        ('{"boxes": [1, 2, 3, 4]}', "list of all of them"),
        ('{"unit": [], "box": [1, 2, 3, 4]}', "no unit"),
    ],
)
def test_bad_json(source: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Prompt.from_json(source)
