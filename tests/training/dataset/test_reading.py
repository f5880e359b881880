from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gossamer.errors import InputError
from gossamer.progress import Progress
from gossamer.prompting.coco import encode_rle
from gossamer.settings.dataset import Data
from gossamer.training.dataset import read_dataset
from gossamer.training.dataset.outlines import Outlines, decode_rle
from tests.training.dataset.scenes import blob, fill_folder, save_cutout, save_mask, save_picture, scene


def _same(example, seed: int, tolerance: float = 0.003) -> None:
    rgb, alpha = example.load()
    truth, matte = scene(seed)
    assert rgb.dtype == np.uint8
    assert alpha.dtype == np.float32
    assert np.abs(rgb.astype(float) - truth).mean() < 3
    assert np.abs(alpha - matte).max() <= tolerance


@pytest.mark.parametrize(
    ("picture", "mask"),
    [
        ("images/{}.jpg", "masks/{}.png"),
        ("train/im/{}.jpg", "train/gt/{}.png"),
        ("{}.jpg", "{}.png"),
        ("{}.png", "{}-mask.png"),
        ("{}.jpg", "masks/{}.png"),
        ("a/b/{}.jpg", "masks/a/b/{}.png"),
        ("shoes/{}.jpg", "shoes_masks/{}.png"),
        ("images/{}.png", "masks/{}_mask.png"),
    ],
)
def test_masks_are_found_where_people_put_them(tmp_path: Path, picture: str, mask: str) -> None:
    for seed in (1, 2):
        rgb, alpha = scene(seed)
        save_picture(tmp_path / picture.format(f"item{seed}"), rgb)
        save_mask(tmp_path / mask.format(f"item{seed}"), alpha)
    found = read_dataset(tmp_path)
    assert not found.left_out
    assert not found.notes
    assert [Path(one.name).name for one in found.examples] == ["item1", "item2"]
    for seed, example in zip((1, 2), found.examples, strict=True):
        _same(example, seed)


def test_a_folder_of_masks_can_be_named_and_black_can_be_the_subject(tmp_path: Path) -> None:
    for seed in (1, 2, 3):
        rgb, alpha = scene(seed)
        save_picture(tmp_path / "photos" / f"{seed}.jpg", rgb)
        save_mask(tmp_path / "elsewhere" / f"{seed}.png", 1 - alpha)
    settings = Data(masks=str(tmp_path / "elsewhere"), white="background")
    found = read_dataset(tmp_path / "photos", settings)
    assert len(found.examples) == 3
    _same(found.examples[1], 2)
    with pytest.raises(InputError, match=r"inverted.*--white background"):
        read_dataset(tmp_path / "photos", Data(masks=str(tmp_path / "elsewhere")))


def test_cut_outs_are_examples_of_their_own(tmp_path: Path) -> None:
    for seed in (1, 2):
        save_cutout(tmp_path / f"{seed}.png", *scene(seed))
    found = read_dataset(tmp_path)
    assert [one.is_cutout for one in found.examples] == [True, True]
    _same(found.examples[0], 1)


def test_what_cannot_be_used_is_named_and_left_out(tmp_path: Path) -> None:
    fill_folder(tmp_path, 12)
    folder, masks = tmp_path / "images", tmp_path / "masks"
    (folder / "item-000.jpg").write_bytes(b"no picture")
    save_mask(masks / "item-001.png", np.zeros((96, 128), np.float32))
    save_mask(masks / "item-002.png", 1 - blob(2))
    save_mask(masks / "item-003.png", blob(3)[:, :100])
    (masks / "item-004.png").unlink()
    save_mask(masks / "item-099.png", blob(4))
    save_mask(masks / "item-005.png", np.ones((96, 128), np.float32))
    Image.open(folder / "item-006.jpg").convert("L").save(masks / "item-006.png")
    with pytest.raises(InputError, match=r"8 of 13 pictures \(62 %\) cannot be used, more than 10 %"):
        read_dataset(tmp_path)
    found = read_dataset(tmp_path, Data(left_out=70))
    assert [one.name for one in found.examples] == [f"images/item-{n:03d}" for n in range(7, 12)]
    reasons = dict(found.left_out)
    wanted = {
        "images/item-000": "not a picture",
        "images/item-001": "empty",
        "images/item-002": "inverted",
        "images/item-003": r"100 x 96.*128 x 96",
        "images/item-004": "has no mask",
        "masks/item-099": "has no picture",
        "images/item-005": "covers everything",
        "images/item-006": "the picture itself",
    }
    assert reasons.keys() == wanted.keys()
    for name, reason in wanted.items():
        assert re.search(reason, reasons[name]), reasons[name]


def test_masks_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    """A picture whose folder has no masks finds those of its name everywhere: only folders say which they are."""
    rgb, alpha = scene(1)
    save_picture(tmp_path / "images" / "new" / "1.jpg", rgb)
    for folder in "abcdef":
        save_picture(tmp_path / "images" / folder / "1.jpg", rgb)
        save_mask(tmp_path / "masks" / folder / "1.png", alpha)
    ((name, why),) = read_dataset(tmp_path, Data(left_out=70)).left_out
    assert name == "images/new/1"
    assert why.endswith("6 possible masks: masks/a/1.png, masks/b/1.png, masks/c/1.png, masks/d/1.png and others.")


def test_a_mask_of_another_picture_is_pointed_out(tmp_path: Path) -> None:
    fill_folder(tmp_path, 6)
    # The subject is somewhere else in the picture than the mask says.
    moved = np.roll(blob(3), (-28, -36), (0, 1))
    save_mask(tmp_path / "masks" / "item-003.png", moved)
    found = read_dataset(tmp_path)
    assert [name for name, _ in found.notes] == ["images/item-003"]


def test_a_sideways_photograph_has_its_mask_upright(tmp_path: Path) -> None:
    rgb, alpha = scene(1)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter when shown
    (tmp_path / "images").mkdir()
    Image.fromarray(np.ascontiguousarray(np.rot90(rgb))).save(tmp_path / "images/1.jpg", exif=exif, quality=95)
    save_mask(tmp_path / "masks/1.png", alpha)
    _same(read_dataset(tmp_path).examples[0], 1)


def test_a_table_says_what_belongs_together(tmp_path: Path) -> None:
    fill_folder(tmp_path, 4)
    rows = [
        {"picture": f"images/item-{n:03d}.jpg", "mask": f"masks/item-{n:03d}.png", "sku": f"s{n // 2}"}
        for n in range(4)
    ]
    (tmp_path / "set.csv").write_text(
        "picture,mask,sku\n" + "".join(f"{row['picture']},{row['mask']},{row['sku']}\n" for row in rows)
    )
    (tmp_path / "set.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name in ("set.csv", "set.jsonl"):
        found = read_dataset(tmp_path / name, Data(group="column:sku"))
        assert [one.group for one in found.examples] == ["sku s0", "sku s0", "sku s1", "sku s1"]
        _same(found.examples[2], 2)
    with pytest.raises(InputError, match=r"no column 'person'.*picture, mask, sku"):
        read_dataset(tmp_path / "set.csv", Data(group="column:person"))


def _coco(root: Path) -> Path:
    """Write a set in which one subject is a polygon with whole corners, one is runs, one has nothing."""
    images, annotations = [], []
    for number in range(3):
        rgb, alpha = scene(number)
        save_picture(root / "images" / f"{number}.jpg", rgb)
        images.append({"id": number, "file_name": f"{number}.jpg", "width": 128, "height": 96})
        if number == 1:
            annotations.append({"image_id": 1, "category_id": 7, "segmentation": encode_rle(alpha)})
    square = {"image_id": 0, "category_id": 7, "segmentation": [[20, 10, 60, 10, 60, 50, 20, 50]]}
    other = {"image_id": 0, "category_id": 8, "segmentation": [[80, 60, 100, 60, 100, 80, 80, 80]]}
    categories = [{"id": 7, "name": "shoe"}, {"id": 8, "name": "box"}]
    path = root / "annotations.json"
    data = {"images": images, "annotations": [*annotations, square, other], "categories": categories}
    path.write_text(json.dumps(data))
    return path


def test_coco_polygons_and_runs(tmp_path: Path) -> None:
    path = _coco(tmp_path)
    found = read_dataset(path)
    assert not found.left_out
    assert dict(found.passed_over) == {"2": "Nothing is annotated in it."}
    both = found.examples[0].load()[1]
    truth = np.zeros((96, 128), np.float32)
    truth[10:50, 20:60] = 1
    box = truth.copy()
    box[60:80, 80:100] = 1
    # Corners at whole numbers are between pixels: OpenCV draws its outline as well, half a pixel around.
    assert np.count_nonzero(both != box) <= 2 * (4 * 40 + 4 * 20)
    assert both[12:48, 22:58].all()
    assert not both[:9].any()
    assert np.array_equal(found.examples[1].load()[1], (scene(1)[1] > 0.5).astype(np.float32))
    shoes = read_dataset(path, Data(categories="shoe"))
    assert not shoes.examples[0].load()[1][60:80, 80:100].any()
    with pytest.raises(InputError, match=r"category 'shoes'.*Did you mean shoe\?"):
        read_dataset(path, Data(categories="shoes"))


@pytest.mark.parametrize("seed", range(3))
def test_runs_are_read_as_they_were_written(seed: int) -> None:
    mask = np.random.default_rng(seed).random((37, 23)) > 0.5 + 0.2 * seed
    rle = encode_rle(mask)
    assert np.array_equal(decode_rle(rle, 37, 23), mask)
    flat = mask.ravel(order="F").astype(int)
    changes = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff([0, *changes, flat.size]).tolist()
    plain = {"size": [37, 23], "counts": [0, *runs] if flat[0] else runs}
    assert np.array_equal(decode_rle(plain, 37, 23), mask)


def test_damaged_outlines_are_refused_in_a_sentence() -> None:
    for shape in ({"size": [4, 4], "counts": "~~~~~"}, {"size": [4, 4], "counts": [3]}, {"size": [4, 4]}, [[1, 2]]):
        with pytest.raises(InputError):
            Outlines(4, 4, (shape,)).drawn(4, 4)
    with pytest.raises(InputError, match="5 x 4"):
        Outlines(4, 4, ()).drawn(4, 5)


@pytest.mark.parametrize(
    "text",
    [
        '{"images": [{"id": 1, "file_name": 5}], "annotations": []}',
        '{"images": [{"id": [1], "file_name": "a.jpg", "width": 1, "height": 1}], '
        '"annotations": [{"image_id": [1], "segmentation": [[1, 2, 3]]}]}',
        '{"images": [], "annotations": 5}',
        '{"images": [], "annotations": [5]}',
        '{"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": []}',
        '{"images": 5, "annotations": []}',
    ],
)
def test_a_damaged_coco_file_is_refused_in_a_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError) as told:
        read_dataset(tmp_path / "a.json")
    assert told.value.remedy


def test_reading_stops_when_it_is_cancelled(tmp_path: Path) -> None:
    fill_folder(tmp_path, 4)

    def stop(fraction: float, message: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read_dataset(tmp_path, progress=Progress(stop))


@pytest.mark.parametrize("kind", ["nothing", "empty", "text", "json"])
def test_what_is_no_data_set_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "data"
    if kind == "empty":
        path.mkdir()
    elif kind == "text":
        path = tmp_path / "data.txt"
        path.write_text("a")
    elif kind == "json":
        path = tmp_path / "data.json"
        path.write_text('{"a": ')
    with pytest.raises(InputError) as told:
        read_dataset(path)
    assert told.value.remedy


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("t.jsonl", '{"picture": "a.jpg"}\n\n{"picture": \n', "Line 3 of the table .* is no valid JSON"),
        ("t.jsonl", '{"picture": "a.jpg"}\n["b.jpg"]\n', "Line 2 of the table .* is no row"),
        ("t.csv", "picture,mask\na.jpg\n", "Row 1 of .* has not as many cells"),
        ("t.csv", 'picture,mask\n"a.jpg" x,b\n', "no valid CSV: line 2"),
        ("t.csv", "a,b\n1,2\n", "has no column picture"),
        ("t.tsv", "", "has no column picture"),
    ],
)
def test_of_a_table_that_cannot_be_read_it_is_said_where_and_what_it_is_to_have(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read_dataset(tmp_path / name, Data(), Progress())
    assert caught.value.remedy == "Give a table with the columns picture and mask, as CSV or as JSON lines."


def test_data_are_looked_at_without_torch() -> None:
    """`gossamer dataset`, clips included, is for who prepares data, on a machine that may never train."""
    code = "import sys; sys.modules['torch'] = None; import gossamer.cli.dataset"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
