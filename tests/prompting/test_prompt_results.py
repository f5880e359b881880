"""What becomes of found masks: COCO's encoding, unions, intersections, and the picture with all of it drawn."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from gossamer.prompting.coco import encode_rle
from gossamer.prompting.combining import intersection, union
from gossamer.prompting.prompt import Prompt
from gossamer.prompting.protocol import Subject
from gossamer.sheets.annotations import annotate
from tests.prompting.coco import decode_rle

Y, X = np.mgrid[:300, :400]


def block() -> np.ndarray:
    mask = np.zeros((5, 7), bool)
    mask[1:4, 2:5] = True
    return mask


# What pycocotools 2.0 wrote for the same masks.
KNOWN = [
    (block(), ";320009"),
    (np.zeros((4, 3)), "<"),
    (np.ones((4, 3)), "0<"),
    (
        (Y[:40, :60] - 20) ** 2 + (X[:40, :60] - 25) ** 2 < 225,
        "W>;k04M2M4M2O0O2N2O0O2O00000000000000000001N101N2N101N3L3N3Lch0",
    ),
    ((X // 100) % 2 == 1, "`Ym0`Ym0`Ym00"),
]


@pytest.mark.parametrize(("mask", "counts"), KNOWN)
def test_rle_is_that_of_coco(mask: np.ndarray, counts: str) -> None:
    rle = encode_rle(mask)
    assert rle == {"size": list(mask.shape), "counts": counts}
    assert np.array_equal(decode_rle(rle), mask.astype(bool))


def test_rle_of_a_busy_mask() -> None:
    mask = ((Y - 140) ** 2 + (X - 210) ** 2 < 8100) | ((X * 7 + Y * 13) % 11 == 0)
    counts = encode_rle(mask)["counts"]
    assert len(counts) == 17859
    digest = "f9e66158b076f9991f03641ac021d77fdbf90b55fe1e83cadfe86045e5d2475d"
    assert hashlib.sha256(counts.encode()).hexdigest() == digest
    assert np.array_equal(decode_rle({"size": [300, 400], "counts": counts}), mask)


def test_union() -> None:
    assert union([np.float32([[0.2, 0.9]]), np.float32([[0.5, 0.1]])]).tolist() == np.float32([[0.5, 0.9]]).tolist()


def test_intersection_takes_the_choice_from_one_and_the_hair_from_the_other() -> None:
    automatic = np.zeros((256, 256), np.float32)
    automatic[100:150, 40:80] = 1  # the one that is meant
    automatic[90:100, 50:52] = 0.7  # its hair
    automatic[100:150, 180:220] = 1  # another
    prompted = np.zeros_like(automatic)
    prompted[98:152, 38:82] = 1  # coarse: it knows of no hair
    mask = intersection(prompted, automatic)
    assert np.array_equal(mask[100:150, 40:80], automatic[100:150, 40:80])
    assert mask[94:98, 50:52].min() >= 0.69
    assert mask[:, 120:].max() == 0
    assert (mask <= automatic).all()
    assert intersection(np.zeros_like(automatic), automatic).max() == 0


def test_the_picture_shows_masks_boxes_and_points() -> None:
    image = np.full((80, 120, 3), 0.5, np.float32)
    mask = np.zeros((80, 120), np.float32)
    mask[30:60, 40:90] = 1
    drawn = annotate(image, [Subject(mask, 0.9, "Lämpchen", (40, 30, 90, 60))], Prompt(points=[(60, 45)]))
    assert (drawn.shape, drawn.dtype) == ((80, 120, 3), np.uint8)
    assert drawn[75, 5].tolist() == [128, 128, 128]
    assert drawn[55, 80].tolist() != [128, 128, 128]
    assert drawn[45, 60].tolist() == [40, 200, 60]
    assert np.array_equal(image, np.full((80, 120, 3), 0.5, np.float32))
