"""Tables in Parquet. To run these, type: pip install pyarrow."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gossamer.batch.manifest import read_manifest
from gossamer.errors import InputError
from tests.batch.conftest import Batch, photograph

parquet = pytest.importorskip("pyarrow.parquet", reason="not installed here: tests/test_overlays.py runs these")


def written(path: Path, rows: list[dict[str, object]]) -> Path:
    import pyarrow

    names = dict.fromkeys(name for row in rows for name in row)
    parquet.write_table(pyarrow.table({name: [row.get(name) for row in rows] for name in names}), path)
    return path


def test_parquet_says_what_other_tables_say(tmp_path: Path) -> None:
    """Structs have every field in every row there: one that a row leaves out is none of its settings."""
    rows = [
        {"source": "a.jpg", "name": "one", "prompt": {"boxes": [[1, 2, 3, 4]]}, "recipe": {"matting": {"band": 30}}},
        {"source": "b.jpg", "name": None, "prompt": {"text": ["the lamp"]}, "recipe": {"refinement": {"smooth": 2}}},
        {"source": "c.jpg", "sku": 7, "day": datetime.date(2026, 11, 28)},
    ]
    first, second, third = read_manifest(str(written(tmp_path / "table.parquet", rows)))
    assert (first.path, first.output, second.output) == (tmp_path / "a.jpg", "one", None)
    assert first.recipe is not None
    assert second.recipe is not None
    assert first.recipe["matting"]["band"] == 30
    assert second.recipe["refinement"]["smooth"] == 2
    assert (first.prompt, second.prompt) == ('{"boxes": [[1, 2, 3, 4]]}', '{"text": ["the lamp"]}')
    assert (third.prompt, third.recipe) == (None, None)
    assert third.fields == {"sku": "7", "day": "2026-11-28"}


def test_a_batch_of_a_parquet_table_is_named_by_its_columns(batch: Batch, tmp_path: Path) -> None:
    for number in range(2):
        photograph(tmp_path / f"p{number}.png", number)
    rows: list[dict[str, object]] = [
        {"source": f"p{number}.png", "sku": 40 + number, "recipe": {"background": {"fill": fill}}}
        for number, fill in enumerate(("transparent", "#102030"))
    ]
    table = written(tmp_path / "table.parquet", rows)
    assert batch(table, "--out", tmp_path / "out", "--name", "{sku}", "--no-check").status == 0
    first, second = (np.asarray(Image.open(tmp_path / "out" / f"{sku}.png")) for sku in (40, 41))
    assert (first.shape[2], first[0, 0, 3]) == (4, 0)
    assert second[0, 0, :3].tolist() == [16, 32, 48]


def test_what_is_no_parquet_is_told(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(InputError, match="Parquet"):
        read_manifest(str(tmp_path / "t.parquet"))
