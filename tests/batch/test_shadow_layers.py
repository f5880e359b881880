"""The photograph's shadow as a second file beside each cut-out: whole with it, known again, and nobody's replaced."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from gossamer.batch.journal import read_journal
from gossamer.batch.results import FolderResults
from gossamer.cli import main
from gossamer.errors import OutputError
from tests.batch.conftest import KEYED, Batch
from tests.batch.test_run import files


def product(path: Path, seed: int = 0, *, noise: float = 0.0) -> Path:
    """Write a red disc before a green screen, with a soft shadow beside it."""
    height, width = 120, 160
    alpha, shadow = np.zeros((2, height, width), np.float32)
    cv2.circle(alpha, (60 + 3 * seed, 50), 26, 1, -1)
    alpha = cv2.GaussianBlur(alpha, (0, 0), 0.8)
    cv2.ellipse(shadow, (80 + 3 * seed, 80), (40, 9), 0, 0, 360, 0.5, -1)
    shadow = cv2.GaussianBlur(shadow, (0, 0), 4)[..., None]
    wall = np.broadcast_to(np.float32([40, 180, 60]), (height, width, 3)) * (1 - shadow)
    wall = wall + np.random.default_rng(seed).normal(0, 255 * noise, wall.shape)
    picture = alpha[..., None] * np.float32([190, 40, 60]) + (1 - alpha[..., None]) * wall
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).save(path)
    return path


@pytest.fixture
def products(tmp_path: Path) -> Path:
    """Return a folder of three, one of them in a folder of its own."""
    for number, name in enumerate(("a.png", "b.png", "more/c.png")):
        product(tmp_path / "in" / name, number)
    return tmp_path / "in"


NAMES = ["a-shadow.png", "a.png", "b-shadow.png", "b.png", "more/c-shadow.png", "more/c.png"]


def test_each_pair_is_that_of_remove_and_done_once(batch: Batch, products: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shown = batch(products, "--out", out, "--shadow-layer", "--json")
    assert (shown.status, shown.summary["done"]) == (0, 3), shown.err
    made = files(out)
    assert list(made) == NAMES
    assert shown.summary["bytes"] == sum(map(len, made.values()))
    single, layer = tmp_path / "single.png", tmp_path / "layer.png"
    assert main(["remove", str(products / "b.png"), str(single), "--shadow-layer", str(layer), *KEYED, "--quiet"]) == 0
    assert (made["b.png"], made["b-shadow.png"]) == (single.read_bytes(), layer.read_bytes())
    with Image.open(layer) as opened:
        assert np.asarray(opened)[82, 100, 3] > 60  # the shadow is there
    record = read_journal(out).records["b.png"]
    assert record.shadow is not None
    assert (record.shadow.output, record.shadow.bytes) == ("b-shadow.png", len(made["b-shadow.png"]))
    again = batch(products, "--out", out, "--shadow-layer", "--resume", "--json")
    assert (again.status, again.summary["already"], again.summary["done"]) == (0, 3, 0)
    without = batch(products, "--out", out, "--resume", "--json")  # its layers are nothing any more
    assert (without.summary["already"], without.summary["done"]) == (0, 3)
    assert list(files(out)) == ["a.png", "b.png", "more/c.png"]


@pytest.mark.long
def test_whatever_ended_it_and_whatever_is_there_by_then_resume_makes_it_whole(
    batch: Batch, products: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    one = products / "a.png"
    batch(one, "--out", out, "--shadow-layer")
    wanted = files(out)
    lines = (out / ".gossamer" / "journal.jsonl").read_text().splitlines(keepends=True)
    assert [next(iter(json.loads(line))) for line in lines] == ["run", "intent", "source"]
    for told in (2, 3):  # killed after the intent, or when all was done
        for there in ((), ("a-shadow.png",), ("a.png",), ("a-shadow.png", "a.png")):
            shutil.rmtree(out)
            (out / ".gossamer").mkdir(parents=True)
            (out / ".gossamer" / "journal.jsonl").write_text("".join(lines[:told]))
            for name in there:
                (out / name).write_bytes(wanted[name])
            shown = batch(one, "--out", out, "--shadow-layer", "--resume", "--json")
            assert shown.status == 0, (told, there, shown.err)
            assert shown.summary["already"] == (len(there) == 2)
            assert files(out) == wanted
            if there:
                refused = batch(one, "--out", out, "--shadow-layer")
                assert refused.status == 3
                assert "--resume" in refused.err


@pytest.mark.long
def test_killed_between_the_two_files_of_another_recipe(batch: Batch, products: Path, tmp_path: Path) -> None:
    out, one, more = tmp_path / "out", products / "a.png", ("--refinement-feather", "2")
    batch(one, "--out", out, "--shadow-layer")
    before = files(out)
    journal = out / ".gossamer" / "journal.jsonl"
    first = journal.read_text()
    assert batch(one, "--out", out, "--shadow-layer", "--resume", *more).status == 0
    wanted = files(out)
    head, intent = journal.read_text()[len(first) :].splitlines(keepends=True)[:2]
    assert wanted["a.png"] != before["a.png"]
    journal.write_text(first + head + intent)
    (out / "a.png").write_bytes(before["a.png"])  # the layer is of the new recipe
    assert batch(one, "--out", out, "--shadow-layer", "--resume", *more).status == 0
    assert files(out) == wanted


def test_nobody_s_file_is_replaced(batch: Batch, products: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "a-shadow.png").write_bytes(b"mine")
    for how in ((), ("--resume",), ("--reprocess",)):
        shown = batch(products, "--out", out, "--shadow-layer", *how)
        assert shown.status == 3
        assert "a-shadow.png" in shown.err
        assert files(out) == {"a-shadow.png": b"mine"}
    assert batch(products, "--out", out).status == 0  # without layers it is in nobody's way
    shown = batch(products, "--out", out, "--shadow-layer", "--resume", "--json")
    assert (shown.status, shown.summary["changed"], shown.summary["done"]) == (1, ["a-shadow.png"], 2)
    assert files(out)["a-shadow.png"] == b"mine"
    Image.new("RGBA", (5, 5)).save(out / "b-shadow.png")
    retouched = (out / "b-shadow.png").read_bytes()
    shown = batch(products, "--out", out, "--shadow-layer", "--reprocess", "--json")
    assert (shown.status, shown.summary["changed"]) == (1, ["a-shadow.png", "b-shadow.png"])
    assert files(out)["b-shadow.png"] == retouched
    assert batch(products, "--out", out, "--shadow-layer", "--reprocess", "--force").status == 0
    assert retouched not in files(out).values()


def test_names_that_clash_are_refused_before_anything_starts(batch: Batch, products: Path, tmp_path: Path) -> None:
    product(products / "a-shadow.png", 4)
    shown = batch(products, "--out", tmp_path / "out", "--shadow-layer")
    assert shown.status == 3
    assert "a.png and a-shadow.png (a-shadow.png)" in shown.err or "a-shadow.png and a.png (a-shadow.png)" in shown.err
    assert not (tmp_path / "out").exists()
    apart = batch(products, "--out", tmp_path / "out", "--shadow-layer", "--name", "{stem}-{number}{suffix}")
    assert apart.status == 0
    assert len(files(tmp_path / "out")) == 8


def test_where_nothing_tells_a_shadow_there_is_no_layer(batch: Batch, tmp_path: Path) -> None:
    product(tmp_path / "in" / "noisy.png", noise=0.09)
    out = tmp_path / "out"
    shown = batch(tmp_path / "in", "--out", out, "--shadow-layer", "--json")
    assert shown.status == 0
    assert list(files(out)) == ["noisy.png"]
    record = read_journal(out).records["noisy.png"]
    assert record.shadow is None
    assert any("shadow was not kept" in warning for warning in record.warnings)
    assert batch(tmp_path / "in", "--out", out, "--shadow-layer", "--resume", "--json").summary["already"] == 1


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (("--format", "jpeg"), "JPEG cannot hold a shadow's alpha"),
        (("--background", "white"), "goes beneath a cut-out that stands on nothing"),
        (("--shadow", "drop"), "goes beneath a cut-out that stands on nothing"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    batch: Batch, products: Path, tmp_path: Path, more: tuple[str, ...], sentence: str
) -> None:
    shown = batch(products, "--out", tmp_path / "out", "--shadow-layer", *more)
    assert shown.status == 2
    assert sentence in shown.err
    assert shown.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_row_that_cannot_be_is_named(batch: Batch, products: Path, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text('source;recipe\nin/a.png;\nin/b.png;"{""background"": {""fill"": ""white""}}"\n')
    shown = batch(table, "--out", tmp_path / "out", "--shadow-layer")
    assert shown.status == 2
    assert "b.png: A shadow's layer goes beneath" in shown.err


@pytest.mark.long
def test_what_is_set_aside_takes_its_layer_along(batch: Batch, products: Path, tmp_path: Path) -> None:
    out, one = tmp_path / "out", products / "a.png"
    empty = np.full((120, 160, 3), (40, 180, 60), np.uint8)
    Image.fromarray(empty).save(one)
    set_aside = ("--shadow-layer", "--on-flag", "set-aside")
    assert batch(one, "--out", out, *set_aside).status == 0
    assert list(files(out)) == ["set-aside/a-shadow.png", "set-aside/a.png"]
    assert batch(one, "--out", out, *set_aside, "--resume", "--json").summary["already"] == 1
    product(one)
    assert batch(one, "--out", out, *set_aside, "--resume").status == 0
    assert list(files(out)) == ["a-shadow.png", "a.png"]


def test_a_cut_out_that_cannot_be_written_leaves_no_layer(
    batch: Batch, products: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = FolderResults.put

    def refusing(self: FolderResults, record: Any, data: bytes, **more: Any) -> Any:
        if record.output == "a.png":
            raise OutputError("a.png could not be written: too long a name.", "Give another.")
        return real(self, record, data, **more)

    monkeypatch.setattr(FolderResults, "put", refusing)
    shown = batch(products, "--out", tmp_path / "out", "--shadow-layer", "--json")
    assert (shown.status, shown.summary["done"], shown.summary["failed"]) == (1, 2, 1)
    assert list(files(tmp_path / "out")) == NAMES[2:]
