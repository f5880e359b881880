"""What a network is taught with: the domain read as it was said, and general data as anybody's."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from gossamer.progress import Progress
from gossamer.settings.dataset import Data
from gossamer.training.lessons import lessons_of
from tests.training import tiny


def filled(folder: Path, numbers: range, masks: Path, inverted: bool = False) -> Path:
    for path in (folder, masks):
        path.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        rgb, alpha = tiny.Ellipse(number).load()
        cv2.imwrite(str(folder / f"a{number}.jpg"), rgb[..., ::-1])
        cv2.imwrite(str(masks / f"a{number}.png"), np.rint(abs(alpha - inverted) * 255).astype(np.uint8))
    return folder


@pytest.mark.parametrize(
    "asked",
    [
        {"group": "column:sku"},
        {"group": r"a(\d)\d*"},
        {"masks": "{masks}", "white": "background"},
        {"photos": "{photos}"},
    ],
)
def test_masks_names_and_groups_are_those_of_the_domain_alone(tmp_path: Path, asked: dict[str, str]) -> None:
    """General data have their own masks, beside them or in folders named as usual, and no column of the table's."""
    photos, masks = tmp_path / "domain", tmp_path / "elsewhere"
    filled(photos, range(12), masks, inverted="white" in asked)
    general = filled(tmp_path / "general" / "images", range(20, 30), tmp_path / "general" / "masks").parent
    table = tmp_path / "tables" / "t.jsonl"
    table.parent.mkdir()
    named = "{}.jpg" if "photos" in asked else str(photos / "{}.jpg")
    rows = [
        {
            "picture": named.format(f"a{number}"),
            "mask": str(masks / f"a{number}.png"),
            "sku": number // 2,
            "name": f"{number}-x",
        }
        for number in range(12)
    ]
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = {name: value.format(masks=masks, photos=photos) for name, value in asked.items()}
    lessons = lessons_of(
        photos if "masks" in asked else table,
        general,
        None,
        Data(validation=20, test=20, **settings),  # type: ignore[arg-type]
        Progress(),
        pytest.fail,
    )
    assert len(lessons.train) + len(lessons.validation) + len(lessons.test) == 12
    assert len(lessons.general) + len(lessons.general_validation) + len(lessons.general_test) == 10
    for lesson in (*lessons.train, *lessons.general):
        rgb, alpha = lesson.load()
        inside, outside = (float(rgb[part].mean()) for part in (alpha > 0.9, alpha < 0.1))
        assert inside > outside + 50
