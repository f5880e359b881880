"""Whole runs: what comes out, what is named, and what a second run does."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gossamer.batch import job, results
from gossamer.batch.journal import read_journal
from gossamer.cli import main
from gossamer.errors import ModelError, OutputError
from gossamer.pipeline import Pipeline
from tests.batch.conftest import KEYED, Batch, photograph


def files(out: Path) -> dict[str, bytes]:
    """Return all outputs of a folder."""
    paths = [path for path in out.rglob("*") if path.is_file() and ".gossamer" not in path.parts]
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in sorted(paths)}


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Return a folder of six, two of them in a folder of their own."""
    for number in range(4):
        photograph(tmp_path / "in" / f"p{number}.png", number)
    for number in range(4, 6):
        photograph(tmp_path / "in" / "more" / "deep" / f"p{number}.jpg", number)
    return tmp_path / "in"


def test_a_tree_is_mirrored_and_each_output_is_that_of_remove(batch: Batch, pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert batch(pictures, "--out", out).status == 0
    made = files(out)
    assert list(made) == ["more/deep/p4.png", "more/deep/p5.png", "p0.png", "p1.png", "p2.png", "p3.png"]
    for name, data in made.items():
        source = next(pictures.glob(f"**/{Path(name).stem}.*"))
        single = tmp_path / f"single-{source.stem}.png"
        assert main(["remove", str(source), str(single), *KEYED, "--quiet"]) == 0
        assert data == single.read_bytes()


def test_bad_files_are_named_and_the_good_ones_are_done(batch: Batch, pictures: Path, tmp_path: Path) -> None:
    whole = (pictures / "p0.png").read_bytes()
    bad = {
        "cut.png": whole[: len(whole) // 2],
        "empty.jpg": b"",
        "text.jpeg": b"no picture at all, whatever its name says",
        "huge.png": whole[:16] + (60000).to_bytes(4, "big") * 2 + whole[24:],
        "raw.cr2": b"\0" * 100,
    }
    for name, data in bad.items():
        (pictures / name).write_bytes(data)
    (pictures / "notes.txt").write_text("not a picture")
    (pictures / "named like none").write_bytes(whole)
    for name in ("Thumbs.db", ".DS_Store", "._p0.png"):
        (pictures / name).write_bytes(b"system")
    shown = batch(pictures, "--out", tmp_path / "out", "--json")
    assert shown.status == 1
    assert (shown.summary["done"], shown.summary["failed"], shown.summary["skipped"]) == (7, 5, 1)
    assert shown.summary["passed_over"] == 3
    assert {failure["source"] for failure in shown.summary["failures"]} == set(bad)
    assert all(failure["message"] and failure["remedy"] for failure in shown.summary["failures"])
    assert all(name in shown.err for name in (*bad, "notes.txt"))
    states = {record.source: record.state for record in read_journal(tmp_path / "out").records.values()}
    assert states["notes.txt"] == "skipped"
    assert states["cut.png"] == "failed"
    assert states["named like none"] == "done"


def test_nothing_done_is_status_2(batch: Batch, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(b"nothing")
    assert batch(tmp_path / "in", "--out", tmp_path / "out").status == 2


@pytest.mark.long
def test_a_second_run_is_refused_resumed_or_done_again_as_it_is_asked_for(
    batch: Batch, pictures: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert batch(pictures, "--out", out, "--first", "4").status == 0
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.png")}
    assert len(before) == 4
    again = batch(pictures, "--out", out)
    assert again.status == 3
    assert "--resume" in again.err
    shown = batch(pictures, "--out", out, "--resume", "--json")
    assert (shown.summary["done"], shown.summary["already"]) == (2, 4)
    assert all(path.stat().st_mtime_ns == changed for path, changed in before.items())
    shown = batch(pictures, "--out", out, "--reprocess", "--json")
    assert (shown.summary["done"], shown.summary["already"]) == (6, 0)
    assert all(path.stat().st_mtime_ns != changed for path, changed in before.items())


@pytest.mark.long
def test_resume_does_again_what_is_damaged_of_another_recipe_or_of_another_source(
    batch: Batch, pictures: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    batch(pictures, "--out", out)
    wanted = files(out)
    (out / "p0.png").write_bytes(wanted["p0.png"][:100])
    (out / "p1.png").unlink()
    photograph(pictures / "p2.png", 40)
    shown = batch(pictures, "--out", out, "--resume", "--json")
    assert (shown.summary["done"], shown.summary["already"]) == (3, 3)
    made = files(out)
    assert made["p0.png"] == wanted["p0.png"]
    assert made["p1.png"] == wanted["p1.png"]
    assert made["p2.png"] != wanted["p2.png"]
    shown = batch(pictures, "--out", out, "--resume", "--refinement-feather", "2", "--json")
    assert (shown.summary["done"], shown.summary["already"]) == (6, 0)


@pytest.mark.long
def test_what_somebody_has_changed_since_is_left_to_them(batch: Batch, pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    batch(pictures, "--out", out)
    Image.new("RGBA", (5, 5)).save(out / "p0.png")
    retouched = (out / "p0.png").read_bytes()
    for how in ("--resume", "--reprocess"):
        shown = batch(pictures, "--out", out, how, "--json")
        assert shown.status == 1
        assert shown.summary["changed"] == ["p0.png"]
        assert (out / "p0.png").read_bytes() == retouched
    assert batch(pictures, "--out", out, "--reprocess", "--force").status == 0
    assert (out / "p0.png").read_bytes() != retouched


@pytest.mark.long
def test_an_output_without_its_record_is_known_by_its_intent(batch: Batch, pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    batch(pictures, "--out", out)
    journal = out / ".gossamer" / "journal.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    for kept in range(len(lines)):  # as if it had been killed after each line
        shutil.copytree(out, tmp_path / f"out{kept}")
        (tmp_path / f"out{kept}" / ".gossamer" / "journal.jsonl").write_text("".join(lines[:kept]))
        intended = {json.loads(line)["intent"]["target"] for line in lines[:kept] if "intent" in json.loads(line)}
        for name in set(files(out)) - intended:
            (tmp_path / f"out{kept}" / name).unlink()
        stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / f"out{kept}").rglob("*.png")}
        shown = batch(pictures, "--out", tmp_path / f"out{kept}", "--resume", "--json")
        assert (shown.status, shown.summary["already"]) == (0, len(intended))
        assert all(path.stat().st_mtime_ns == changed for path, changed in stamps.items())
        assert files(tmp_path / f"out{kept}") == files(out)


def test_foreign_files_are_never_replaced_unasked(batch: Batch, pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "p1.png").write_bytes(b"mine")
    for how in ((), ("--resume",), ("--reprocess",)):
        shown = batch(pictures, "--out", out, *how)
        assert shown.status == 3
        assert files(out) == {"p1.png": b"mine"}
    assert batch(pictures, "--out", out, "--force").status == 0


def test_two_runs_do_not_share_a_folder(batch: Batch, pictures: Path, tmp_path: Path) -> None:
    from gossamer.batch.results import locked

    with locked(tmp_path / "out"):
        shown = batch(pictures, "--out", tmp_path / "out")
    assert shown.status == 3
    assert "Another batch" in shown.err
    assert not files(tmp_path / "out")


def test_a_dry_run_writes_nothing_and_tells_all(batch: Batch, pictures: Path, tmp_path: Path) -> None:
    (pictures / "notes.txt").write_text("words")
    shown = batch(pictures, "--out", tmp_path / "out", "--dry-run", "--json")
    assert shown.status == 0
    assert not (tmp_path / "out").exists()
    assert shown.summary["pictures"] == 6
    assert shown.summary["skipped"] == 1
    assert shown.summary["seconds"] > 0
    real = batch(pictures, "--out", tmp_path / "out", "--json").summary["bytes"]
    assert 0.5 * real < shown.summary["bytes"] < 2 * real
    assert batch(pictures, "--out", tmp_path / "out", "--resume", "--dry-run", "--json").summary["already"] == 6


def test_a_full_disk_ends_the_run_cleanly_and_it_goes_on_later(
    batch: Batch, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = 0
    real = results.write_bytes

    def full(path: Path, data: bytes, *, force: bool = False) -> None:
        nonlocal written
        written += 1
        if written > 2:
            raise OutputError(f"{path} could not be written: full.", "Make room.") from OSError(errno.ENOSPC, "full")
        real(path, data, force=force)

    monkeypatch.setattr(results, "write_bytes", full)
    shown = batch(pictures, "--out", tmp_path / "out", "--json")
    assert shown.status == 1
    assert (shown.summary["done"], shown.summary["failed"], shown.summary["left"]) == (2, 0, 4)
    assert "--resume" in shown.err
    monkeypatch.undo()
    shown = batch(pictures, "--out", tmp_path / "out", "--resume", "--json")
    assert (shown.status, shown.summary["done"], shown.summary["already"]) == (0, 4, 2)


def test_sources_that_vanish_or_change_are_named(
    batch: Batch, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = job.read_image

    def reading(path: Path) -> object:
        if path.name == "p1.png":
            path.unlink()
        image = real(path)
        if path.name == "p2.png":
            with path.open("ab") as file:
                file.write(b"more")
        return image

    monkeypatch.setattr(job, "read_image", reading)
    shown = batch(pictures, "--out", tmp_path / "out", "--json")
    assert (shown.status, shown.summary["done"]) == (1, 4)
    told = {failure["source"]: failure["message"] for failure in shown.summary["failures"]}
    assert "does not exist" in told["p1.png"]
    assert "changed while it was read" in told["p2.png"]


def test_a_background_that_all_pictures_lack_is_told_once(batch: Batch, pictures: Path, tmp_path: Path) -> None:
    shown = batch(pictures, "--out", tmp_path / "out", "--background", "nowhere.png")
    assert (shown.status, shown.err) == (2, "gossamer: nowhere.png does not exist. Check its name and folder.\n")
    assert not (tmp_path / "out").exists()


@pytest.mark.long
def test_a_prompt_model_that_all_pictures_lack_is_told_once(
    batch: Batch, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GOSSAMER_HOME", "HF_HUB_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / "nowhere"))
    monkeypatch.setenv("GOSSAMER_OFFLINE", "1")
    prompted = (pictures, "--out", tmp_path / "out", "--box", "10,10,50,40", "--prompt-model")
    shown = batch(*prompted, "sam2.1-hiera-tiny")
    assert shown.status == 4
    assert shown.err.count("would have to be fetched") == 1
    assert not (tmp_path / "out").exists()
    assert batch(*prompted, "auto").err.count("Prompt model grabcut") == 1


def test_a_fault_of_ours_is_a_record_and_not_the_end(
    batch: Batch, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = job.check

    def checking(cutout: object, *rest: object, **more: object) -> object:
        if not hasattr(checking, "raised"):
            checking.raised = True  # type: ignore[attr-defined]
            raise ZeroDivisionError("division by zero")
        return real(cutout, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(job, "check", checking)
    shown = batch(pictures, "--out", tmp_path / "out", "--json")
    assert (shown.status, shown.summary["done"], shown.summary["failed"]) == (1, 5, 1)
    assert shown.summary["failures"][0]["exit_code"] == 70


@pytest.mark.long
def test_ctrl_c_ends_after_the_pictures_in_hand(batch: Batch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(40):
        photograph(tmp_path / "in" / f"p{number}.png", number)
    real, placed = results.write_bytes, []

    def writing(path: Path, data: bytes, *, force: bool = False) -> None:
        real(path, data, force=force)
        placed.append(path)
        if len(placed) == 3:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(results, "write_bytes", writing)
    shown = batch(tmp_path / "in", "--out", tmp_path / "out", "--json")
    assert shown.status == 130
    assert shown.summary["stopped"]
    assert shown.summary["left"] == 40 - shown.summary["done"] > 0
    assert len(placed) == shown.summary["done"]
    shown = batch(tmp_path / "in", "--out", tmp_path / "out", "--resume", "--json")
    assert shown.status == 0
    assert shown.summary["done"] + shown.summary["already"] == 40


def test_ctrl_c_twice_ends_at_once(batch: Batch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(10):
        photograph(tmp_path / "in" / f"p{number}.png", number)
    real = job.finish
    began: list[float] = []

    def slow(*arguments: object) -> object:
        steps = arguments[5]
        if not began:
            began.append(time.monotonic())
            for wait in (0.2, 0.4):
                threading.Timer(wait, os.kill, (os.getpid(), signal.SIGINT)).start()
        for _ in range(600):
            time.sleep(0.05)
            steps.tick()  # type: ignore[attr-defined]
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(job, "finish", slow)
    assert batch(tmp_path / "in", "--out", tmp_path / "out").status == 130
    assert time.monotonic() - began[0] < 10  # not the minutes that the pictures in hand would take
    assert not files(tmp_path / "out")
    assert not list((tmp_path / "out").rglob(".gossamer-*"))


def test_a_jpeg_is_refused_before_the_work_where_it_cannot_be(batch: Batch, pictures: Path, tmp_path: Path) -> None:
    assert batch(pictures, "--out", tmp_path / "out", "--format", "jpeg").status == 2
    assert not (tmp_path / "out").exists()
    assert batch(pictures, "--out", tmp_path / "out", "--format", "jpeg", "--background", "white").status == 0
    assert sorted(files(tmp_path / "out"))[0] == "more/deep/p4.jpg"


@pytest.mark.long
def test_what_is_flagged_is_kept_set_aside_or_tried_again(
    batch: Batch, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = np.full((60, 80, 3), (40, 180, 60), np.uint8)
    Image.fromarray(pixels).save(pictures / "nothing.png")  # flagged as empty
    shown = batch(pictures, "--out", tmp_path / "kept", "--json")
    assert (shown.status, shown.summary["done"], shown.summary["flagged"]) == (0, 7, 1)
    shown = batch(pictures, "--out", tmp_path / "aside", "--on-flag", "set-aside", "--json")
    assert (shown.status, shown.summary["done"], shown.summary["set_aside"]) == (0, 6, 1)
    assert "set-aside/nothing.png" in files(tmp_path / "aside")
    record = read_journal(tmp_path / "aside").records["nothing.png"]
    assert (record.state, record.output) == ("set-aside", "set-aside/nothing.png")
    assert [flag["name"] for flag in record.flags] == ["empty"]
    shown = batch(pictures, "--out", tmp_path / "aside", "--on-flag", "set-aside", "--resume", "--json")
    assert shown.summary["already"] == 7
    # Done again without the fault, it does not stay set aside.
    photograph(pictures / "nothing.png", 3)
    assert batch(pictures, "--out", tmp_path / "aside", "--on-flag", "set-aside", "--resume").status == 0
    assert "nothing.png" in files(tmp_path / "aside")
    assert "set-aside/nothing.png" not in files(tmp_path / "aside")


def test_only_does_again_what_a_review_rejects_without_naming_the_input(
    batch: Batch, pictures: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    batch(pictures, "--out", out)
    before = files(out)
    review = tmp_path / "review.csv"
    review.write_text("source,decision\np0.png,accept\nmore/deep/p4.jpg,redo\np2.png,reject\n")
    shown = batch("--only", review, "--out", out, "--refinement-feather", "3", "--json")
    assert (shown.status, shown.summary["done"]) == (0, 2)
    after = files(out)
    assert {name for name in before if after[name] != before[name]} == {"more/deep/p4.png", "p2.png"}


def test_a_list_on_stdin_and_a_manifest_with_recipes(
    batch: Batch, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stdin:
        buffer = io.BytesIO(b"\0".join(os.fsencode(pictures / f"p{number}.png") for number in (0, 3)))

        def isatty(self) -> bool:
            return False

    monkeypatch.setattr(sys, "stdin", Stdin())
    shown = batch("-", "--out", tmp_path / "listed", "--json")
    assert shown.summary["done"] == 2
    assert list(files(tmp_path / "listed")) == ["p0.png", "p3.png"]
    table = tmp_path / "table.csv"
    table.write_text(
        "source;sku;name;recipe\n"
        'in/p0.png;A/1;;"{""output"": {""srgb"": true}, ""background"": {""fill"": ""white""}}"\n'
        "in/p1.png;B 2;shop/b;\n"
    )
    shown = batch(table, "--out", tmp_path / "tabled", "--name", "{sku}-{number}{suffix}", "--json")
    assert shown.status == 0, shown.err
    assert list(files(tmp_path / "tabled")) == ["A_1-00001.png", "shop/b.png"]
    for name, mode in {"A_1-00001.png": "RGB", "shop/b.png": "RGBA"}.items():
        with Image.open(tmp_path / "tabled" / name) as picture:
            assert picture.mode == mode


def test_a_watched_folder_takes_what_has_stopped_growing(
    batch: Batch, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gossamer.batch import watch

    monkeypatch.setattr(watch, "_LOOK", 0.05)
    monkeypatch.setattr(watch, "_SETTLED", 0.6)
    whole = photograph(tmp_path / "late.png", 9).read_bytes()
    out = tmp_path / "out"

    def bring() -> None:
        with (pictures / "late.png").open("wb") as file:
            for start in range(0, len(whole), len(whole) // 4 + 1):
                file.write(whole[start : start + len(whole) // 4 + 1])
                file.flush()
                time.sleep(0.2)
        end = time.monotonic() + 30
        while not (out / "late.png").exists() and time.monotonic() < end:
            time.sleep(0.05)
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=bring)
    thread.start()
    shown = batch(pictures, "--out", out, "--watch", "--json")
    thread.join()
    assert (shown.status, shown.summary["done"], shown.summary["failed"]) == (0, 7, 0)
    assert not any("late" in failure["source"] for failure in shown.summary["failures"])


def test_a_model_that_does_not_run_ends_the_run_and_fails_no_picture(
    batch: Batch, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> object:
        raise ModelError("The weights are damaged.", "Fetch them again.")

    monkeypatch.setattr(Pipeline, "find", broken)
    shown = batch(pictures, "--out", tmp_path / "out", "--json")
    assert shown.status == 2
    assert (shown.summary["done"], shown.summary["failed"], shown.summary["left"]) == (0, 0, 6)
    assert "The weights are damaged. Fetch them again." in shown.err


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not take such names")
def test_names_of_all_kinds(batch: Batch, tmp_path: Path) -> None:
    names = [
        "-dash.png",
        "<script>alert(1).png",
        "new\nline.png",
        "a b'c\".png",
        "ü\u202e.png",
        os.fsdecode(b"\xe9.png"),
    ]
    (tmp_path / "in").mkdir()
    for name in names:
        photograph(tmp_path / "x.png").rename(tmp_path / "in" / name)
    assert batch(tmp_path / "in", "--out", tmp_path / "out").status == 0
    assert set(files(tmp_path / "out")) == set(names)
    shown = batch(tmp_path / "in", "--out", tmp_path / "out", "--resume", "--json")
    assert shown.summary["already"] == len(names)
