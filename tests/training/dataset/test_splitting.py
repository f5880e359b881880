from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from gossamer.errors import InputError
from gossamer.settings.dataset import Data
from gossamer.training.dataset import read_dataset, split
from gossamer.training.dataset.duplicates import find_duplicates, look_at
from gossamer.training.dataset.examples import Example
from tests.training.dataset.scenes import fill_folder, save_mask, save_picture, scene, textured


def _jpeg(rgb: np.ndarray, quality: int) -> np.ndarray:
    return cv2.imdecode(cv2.imencode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 1)


CHANGES = {
    "resized": lambda rgb: cv2.resize(rgb, (150, 110), interpolation=cv2.INTER_AREA),
    "compressed": lambda rgb: _jpeg(rgb, 20),
    "cropped": lambda rgb: rgb[8:-9, 12:-10],
    "cropped at one side": lambda rgb: rgb[:, 22:],
    "mirrored": lambda rgb: np.ascontiguousarray(rgb[:, ::-1]),
    "all of it": lambda rgb: _jpeg(np.ascontiguousarray(rgb[6:, 8:, :][:, ::-1]), 50),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_same_picture_is_known_again_and_others_are_not(change: str) -> None:
    pictures = [scene(seed, 216, 288)[0] for seed in range(12)]
    looks = [look_at(rgb) for rgb in pictures]
    assert not find_duplicates(looks)
    changed = [look_at(CHANGES[change](rgb)) for rgb in pictures]
    found = {(pair.first, pair.second) for pair in find_duplicates([*looks, *changed])}
    assert found == {(number, number + 12) for number in range(12)}
    if change == "mirrored":
        assert {pair.how for pair in find_duplicates([looks[0], changed[0]])} == {"mirrored"}


def test_products_before_white_are_not_all_one_picture() -> None:
    rows, columns = np.mgrid[0:200, 0:200]
    looks = []
    for seed in range(10):
        lots = np.random.default_rng(seed)
        tall, wide = lots.uniform(45, 75), lots.uniform(45, 75)
        inside = ((rows - 100) / tall) ** 2 + ((columns - 100) / wide) ** 2 < 1
        picture = np.where(inside[..., None], textured(seed, 200, 200), 1)
        looks.append(look_at(np.rint(picture * 255).astype(np.uint8)))
    assert not find_duplicates(looks)


def _examples(count: int, per_group: int) -> list[Example]:
    return [
        Example(f"p{n:03d}", f"sku {n // per_group}", Path("x"), None, "table", look=look_at(scene(n)[0]))
        for n in range(count)
    ]


def test_groups_stay_together_and_shares_are_kept() -> None:
    examples = _examples(60, 3)
    made = split(examples, Data(validation=20, test=20))
    parts = (made.train, made.validation, made.test)
    assert [len(part) for part in parts] == [36, 12, 12]
    groups = [{one.group for one in part} for part in parts]
    assert not groups[0] & groups[1]
    assert not groups[0] & groups[2]
    assert not groups[1] & groups[2]
    assert sorted(one.name for part in parts for one in part) == [one.name for one in examples]


def test_the_seed_decides_and_the_order_does_not() -> None:
    examples = _examples(30, 1)
    first = split(examples)
    assert first == split(examples[::-1])
    assert first != split(examples, Data(split_seed=1))


def test_near_duplicates_never_cross_the_split(tmp_path: Path) -> None:
    fill_folder(tmp_path, 10)
    for seed in range(10):
        rgb, alpha = scene(seed)
        save_picture(tmp_path / "images" / f"again-{seed}.jpg", np.ascontiguousarray(rgb[4:, :-5][:, ::-1]))
        save_mask(tmp_path / "masks" / f"again-{seed}.png", np.ascontiguousarray(alpha[4:, :-5][:, ::-1]))
    made = split(read_dataset(tmp_path).examples, Data(validation=20, test=20))
    for part in (made.train, made.validation, made.test):
        numbers = [int(one.name.rpartition("-")[2]) for one in part]
        assert part
        assert all(numbers.count(number) == 2 for number in numbers)


def test_too_few_groups_are_told() -> None:
    with pytest.raises(InputError, match="6 pictures make 2 groups"):
        split(_examples(6, 3))


@pytest.mark.parametrize(
    ("how", "groups"),
    [
        ("none", ["picture images/item-000", "picture images/item-001"]),
        ("folder", ["folder images", "folder images"]),
        ("prefix", ["prefix item", "prefix item"]),
        (r"item-(\d\d)", ["match 00", "match 00"]),
    ],
)
def test_groups_by_name(tmp_path: Path, how: str, groups: list[str]) -> None:
    fill_folder(tmp_path, 2)
    assert [one.group for one in read_dataset(tmp_path, Data(group=how)).examples] == groups


def test_nothing_left_for_training_is_refused() -> None:
    with pytest.raises(InputError, match="together are 160 %"):
        Data(validation=80, test=80)


def test_a_wrong_expression_is_refused() -> None:
    with pytest.raises(InputError, match="group"):
        Data(group="(")
