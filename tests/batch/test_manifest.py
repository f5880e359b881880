"""Tables: every form, and rows that make no sense told by their number."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gossamer.batch.manifest import listed, read_decisions, read_manifest
from gossamer.errors import InputError
from tests.batch.conftest import Batch

ROWS = [
    {"source": "a.jpg", "name": "one", "prompt": "the lamp", "sku": "7"},
    {"source": "sub/b.jpg", "name": "", "prompt": "", "sku": "8"},
]


def written(path: Path) -> Path:
    """Write the rows in the form of a file's suffix."""
    if path.suffix in (".csv", ".tsv"):
        mark = {".csv": ",", ".tsv": "\t"}[path.suffix]
        lines = [mark.join(ROWS[0]), *(mark.join(row.values()) for row in ROWS)]
        path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    elif path.suffix == ".json":
        path.write_text(json.dumps(ROWS))
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".json", ".jsonl"])
def test_every_form_says_the_same(tmp_path: Path, suffix: str) -> None:
    first, second = read_manifest(str(written(tmp_path / f"table{suffix}")))
    assert (first.path, first.output, first.prompt) == (tmp_path / "a.jpg", "one", "the lamp")
    assert (second.path, second.output, second.prompt) == (tmp_path / "sub" / "b.jpg", None, None)
    assert first.fields == {"sku": "7"}


def test_a_recipe_is_a_file_or_settings(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text("[matting]\nband = 30\n")
    lines = [{"source": "a", "recipe": "r.toml"}, {"source": "b", "recipe": {"matting": {"method": "none"}}}]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, lines)))
    first, second = read_manifest(str(tmp_path / "t.jsonl"))
    assert first.recipe is not None
    assert first.recipe["matting"]["band"] == 30
    assert second.recipe == {"matting": {"method": "none"}}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("path of it\n1\n", "no column source"),
        ("source,name\na.jpg\n", "Row 1"),
        ("source,recipe\na.jpg,{\n", "row 1"),
        (f"source,recipe\na.jpg,{'[' * 3000}\n", "Row 1"),
        (f'source,recipe\na.jpg,"{{""a"":{"[" * 3000}"\n', "row 1"),
        ('source,recipe\na.jpg,"{""matting"": {""band"": -1}}"\n', "Row 1"),
        ("source,preset\na.jpg,nowhere\n", "Row 1"),
        ("source,name\n,b\n", "Row 1"),
        ("source\n", "no rows"),
        ('source\n"a', "line"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InputError, match=told):
        read_manifest(str(tmp_path / "t.csv"))


def test_lists_end_names_with_lines_or_with_nul() -> None:
    assert listed(b"a b.jpg\r\nc.jpg\n\n") == ["a b.jpg", "c.jpg"]
    assert listed(b"a\nb.jpg\0c.jpg\0") == ["a\nb.jpg", "c.jpg"]


def test_a_review_names_what_is_done_again(tmp_path: Path) -> None:
    review = tmp_path / "r.json"
    rows = [{"source": name, "decision": name} for name in ("accept", "reject", "redo")]
    review.write_text(json.dumps({"rows": rows}))
    assert read_decisions(str(review)) == {"reject", "redo"}
    review.write_text(json.dumps(rows[:1]))
    with pytest.raises(InputError, match="nothing"):
        read_decisions(str(review))
    review.write_text(json.dumps([{"source": "a", "decision": "perhaps"}]))
    with pytest.raises(InputError, match="perhaps"):
        read_decisions(str(review))


@pytest.mark.long
def test_each_row_has_a_prompt_of_its_own(batch: Batch, tmp_path: Path) -> None:
    """Two boxes in one picture: a row asks for the left one, a row for the right one, by boxes for GrabCut."""
    pixels = np.full((120, 240, 3), (40, 180, 60), np.uint8)
    sides = {"left": slice(30, 90), "right": slice(150, 210)}
    for columns in sides.values():
        pixels[30:90, columns] = (190, 40, 60)
    pixels += np.random.default_rng(4).integers(0, 12, pixels.shape, dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "two.png")
    rows = [
        {"source": "two.png", "name": name, "prompt": json.dumps({"boxes": [[at.start - 12, 18, at.stop + 12, 102]]})}
        for name, at in sides.items()
    ]
    table, lines = tmp_path / "table.csv", tmp_path / "table.jsonl"
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert [row.prompt for row in read_manifest(str(table))] == [row["prompt"] for row in rows]
    assert read_manifest(str(table)) == read_manifest(str(lines))
    out = tmp_path / "out"
    assert batch(table, "--out", out, "--no-check", "--prompt-model", "grabcut", keyed=False).status == 0
    for name, at in sides.items():
        alpha = np.asarray(Image.open(out / f"{name}.png"))[..., 3] / 255
        truth = np.zeros(alpha.shape)
        truth[30:90, at] = 1
        assert np.abs(alpha - truth).mean() < 0.01


def test_of_json_lines_the_line_that_is_wrong_is_named(tmp_path: Path) -> None:
    table = tmp_path / "table.jsonl"
    table.write_text('{"source": "a.jpg"}\r\n\r\nnothing\r\n')
    with pytest.raises(InputError, match=r"Line 3 of the manifest .* is no valid JSON"):
        read_manifest(str(table))
    with pytest.raises(InputError, match=r"Line 3 of the review .* is no valid JSON") as caught:
        read_decisions(str(table))
    assert caught.value.remedy == "Give what the report's page has exported."
