"""What holds for every command alike: names that cannot be, pipes, and machines with little memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import PIL.Image
import pytest

from gossamer.errors import is_lack_of_memory
from tests.cli.conftest import Run
from tests.cli.test_bad_input import assert_one_sentence
from tests.permissions import bound_by_permissions

KEYED = ("--model", "none", "--matting", "key")
READERS = {
    "batch": ("batch", "{}", "--out", "out", *KEYED),
    "camera": ("camera", "{}", "-", *KEYED),
    "check": ("check", "{}"),
    "compare": ("compare", "out.png", "{}"),
    "evaluate": ("evaluate", "{}", "{}"),
    "finish": ("finish", "{}", "out.png"),
    "refine": ("refine", "{}", "{}", "out.png"),
    "remove": ("remove", "{}", "out.png", *KEYED),
    "report": ("report", "{}", "out.html"),
    "segment": ("segment", "{}", "out", "--box", "1,1,9,9"),
    "video": ("video", "{}", "out.mkv", *KEYED),
}


@pytest.mark.parametrize("command", sorted(READERS))
def test_a_name_that_cannot_be_read_is_told_as_one(gossamer: Run, command: str, tmp_path: Path) -> None:
    (tmp_path / "loop.png").symlink_to("loop.png")
    (tmp_path / "file").write_text("")
    before = sorted(tmp_path.iterdir())
    for name, words in [
        ("n" * 300, ["Give a shorter name."]),
        ("loop.png", ["circle"]),
        ("file/x.png", ["file/x.png", "A part of its path is a file"]),
        ("absent", ["absent does not exist"]),
        ("\x1b[31m.png", ["\\x1b[31m.png"]),
    ]:
        told = gossamer(*(part.format(name) for part in READERS[command]))
        if command == "batch" and name.startswith("\x1b"):  # brackets make it a pattern
            words = ["Nothing matches \\x1b[31m.png"]
        assert_one_sentence(told, 2, *words)
        assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("name", ["n" * 300, "loop", "file/out", "dangling"])
def test_an_out_that_cannot_be_a_folder_is_told_as_one(gossamer: Run, name: str, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("no/where")
    (tmp_path / "file").write_text("")
    PIL.Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    before = sorted(tmp_path.iterdir())
    remedies = {"loop": "circle", "file/out": "A part of its path", "dangling": "Remove it, or give another folder."}
    done = gossamer("batch", "a.png", "--out", name, *KEYED)
    assert_one_sentence(done, 3, name, remedies.get(name, "Give a shorter name."))
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes with names")
def test_a_pipe_that_nobody_writes_to_stops_no_batch(gossamer: Run, tmp_path: Path) -> None:
    """It waited for ever, and heard neither Ctrl-C nor SIGTERM."""
    os.mkfifo(tmp_path / "p.jpg")
    PIL.Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    told = gossamer("batch", "a.png", "p.jpg", "--out", "out", *KEYED)
    assert_one_sentence(told, 2, "p.jpg is a pipe or a device, not a file.", "Save it as a file first.")
    assert not (tmp_path / "out").exists()
    done = gossamer("batch", ".", "--out", "out", *KEYED)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (tmp_path / "out").glob("*.png")] == ["a.png"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes with names")
def test_a_pipe_is_no_clip(gossamer: Run, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p.mkv")
    told = gossamer("video", "p.mkv", "out.mkv", *KEYED)
    assert_one_sentence(told, 2, "p.mkv is a pipe or a device, not a clip.", "Save it as a file first.")


@pytest.mark.parametrize("command", ["batch", "evaluate", "report", "video"])
def test_a_folder_that_may_not_be_read_is_told_as_one(command: str, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    line = [*bound_by_permissions(), sys.executable, "-m", "gossamer"]
    line += [part.format("closed") for part in READERS[command]]
    told = subprocess.run(line, capture_output=True, cwd=tmp_path, timeout=60, check=False)
    assert told.returncode == 2
    assert b"may not be read" in told.stderr


def test_a_text_that_may_not_be_read_is_not_to_be_made_anew(tmp_path: Path) -> None:
    """As the keys of a service that a container mounts, which only their maker may read."""
    PIL.Image.new("RGB", (32, 32)).save(tmp_path / "a.png")
    (tmp_path / "r.json").write_text("{}")
    (tmp_path / "r.json").chmod(0)
    line = [*bound_by_permissions(), sys.executable, "-m", "gossamer", "remove", "a.png", "--recipe", "r.json"]
    told = subprocess.run(line, capture_output=True, cwd=tmp_path, timeout=60, check=False)
    assert_one_sentence(told, 2, "r.json may not be read. Check its permissions, and its owner.")


@pytest.mark.long
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes with names")
@pytest.mark.parametrize("command", ["remove", "compare", "check"])
def test_who_waits_for_a_pipe_can_leave(command: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p.png")
    line = ["timeout", "-s", "INT", "3", sys.executable, "-m", "gossamer"]
    done = subprocess.run(
        [*line, *(part.format("p.png") for part in READERS[command])],
        capture_output=True,
        cwd=tmp_path,
        timeout=60,
        check=False,
    )
    assert done.stderr.decode().strip().endswith("gossamer: Cancelled.")
    assert done.returncode == 124  # of timeout, which had to end it by Ctrl-C and nothing worse


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (MemoryError(), True),
        (RuntimeError("can't start new thread"), True),
        (RuntimeError("std::bad_alloc"), True),
        (RuntimeError("could not create a primitive"), True),
        (RuntimeError("could not create a primitive descriptor for a convolution forward propagation"), False),
        (RuntimeError("BFCArena: Failed to allocate memory for requested buffer of size 26214400"), True),
        (ImportError("libavcodec.so.62: failed to map segment from shared object"), True),
        (ImportError("x.so: failed to map segment from shared object: Operation not permitted"), False),
        (ImportError("No module named 'cv2'"), False),
        (ValueError("failed to map segment from shared object"), False),
    ],
)
def test_what_others_say_for_lack_of_memory(error: Exception, is_one: bool) -> None:
    assert is_lack_of_memory(error) is is_one


def test_no_memory_is_no_fault_of_ours(gossamer: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    PIL.Image.new("RGB", (8, 8)).save(tmp_path / "a.png")

    def full(*_: object) -> None:
        raise ImportError("cv2.abi3.so: failed to map segment from shared object")

    monkeypatch.setattr("gossamer.image.read.decode", full)
    told = gossamer("remove", "a.png", *KEYED)
    assert_one_sentence(told, 1, "There is not enough memory for this picture.")
    done = gossamer("batch", "a.png", "--out", "out", *KEYED)
    assert b"There is not enough memory for this picture." in done.stderr
    assert b"fault of Gossamer" not in done.stderr
