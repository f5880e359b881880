"""Standard streams that are full, closed or broken, and names that would do something to a terminal."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import PIL.Image
import pytest

from gossamer.cli.terminal import visible
from tests.cached_weights import weights_home
from tests.cli.conftest import Run

Shell = Callable[..., subprocess.CompletedProcess[bytes]]


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Return a function that runs a line of shell, in which $G is the command line, in tmp_path."""

    def run(line: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
        command = shlex.join([sys.executable, "-m", "gossamer"])
        return subprocess.run(
            ["bash", "-c", line],
            capture_output=True,
            cwd=tmp_path,
            env={**os.environ, "GOSSAMER_HOME": str(weights_home()), "G": command, **environment},
            timeout=300,
            check=False,
        )

    return run


def assert_told(done: subprocess.CompletedProcess[bytes], status: int, *words: str) -> None:
    text = done.stderr.decode()
    assert done.returncode == status, text
    assert text.startswith("gossamer: "), text
    assert text.count("\n") == 1, text
    assert "fault of Gossamer" not in text
    for word in words:
        assert word in text, text


@pytest.mark.long
@pytest.mark.parametrize("command", ["--help", "--version", "remove --help", "models list", "models path u2netp"])
def test_every_listing_says_that_stdout_cannot_be_written(shell: Shell, command: str) -> None:
    assert_told(shell(f"$G {command} > /dev/full"), 3, "No space left on device")


@pytest.mark.long
def test_a_listing_for_nobody(shell: Shell) -> None:
    assert_told(shell("$G models list >&-"), 3, "closed")
    gone = shell("$G models list | true; exit ${PIPESTATUS[0]}")
    assert (gone.returncode, gone.stderr) == (3, b"")


@pytest.mark.long
def test_a_picture_for_a_stdout_that_takes_none(shell: Shell, photograph: Path) -> None:
    remove = "$G remove photo.jpg - --model u2netp --quiet"
    assert_told(shell(f"{remove} > /dev/full"), 3, "No space left on device")
    assert_told(shell(f"{remove} >&-"), 3, "closed")
    gone = shell(f"{remove} | true; exit ${{PIPESTATUS[0]}}")
    assert (gone.returncode, gone.stderr) == (3, b"")
    assert_told(shell("$G remove photo.jpg out.png --json >&-"), 3, "closed")
    assert not photograph.with_name("out.png").exists()


@pytest.mark.long
@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full", "2>&1 >&- | true", ">&- 2>&- <&-"])
def test_the_work_is_done_where_nobody_can_be_told(shell: Shell, photograph: Path, redirection: str) -> None:
    done = shell(f"$G remove photo.jpg out.png --model u2netp {redirection}; exit ${{PIPESTATUS[0]}}")
    assert done.returncode == 0
    assert done.stdout == b""
    with PIL.Image.open(photograph.with_name("out.png")) as picture:
        picture.load()
        assert picture.size == (451, 300)


@pytest.mark.long
def test_stderr_that_is_closed_does_not_get_into_the_picture(shell: Shell, photograph: Path) -> None:
    PIL.Image.new("RGB", (40, 30), "white").save(photograph.with_name("blank.png"))  # which is warned about
    assert shell("$G remove blank.png - --model u2netp --background white > out.png 2>&-").returncode == 0
    with PIL.Image.open(photograph.with_name("out.png")) as picture:
        picture.load()
    assert photograph.with_name("out.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.long
def test_stdin_that_holds_no_picture(shell: Shell) -> None:
    assert_told(shell("$G remove - out.png <&-"), 2, "standard input")
    assert_told(shell("$G remove - out.png < /dev/null"), 2, "empty")
    assert_told(shell("$G remove - out.png < /dev/zero"), 2, "not a picture of a kind")  # which has no end


@pytest.mark.long
def test_names_do_nothing_to_a_terminal(shell: Shell, tmp_path: Path) -> None:
    evil = "\x1b]0;gotcha\x07\x1b[31m\u202egnp.\nb\xff"
    done = shell(f"$G remove {shlex.quote(evil)}.png")
    assert_told(done, 2, "\\x1b]0;gotcha\\x07\\x1b[31m\\u202egnp.\\nb")
    assert b"\x1b" not in done.stderr
    raw = os.fsdecode(b"a\xffb.png")
    assert_told(shell(f"$G remove {shlex.quote(raw)}"), 2, "a\\xffb.png does not exist")
    as_json = shell(f"$G remove {shlex.quote(evil)}.png --json")
    assert evil in json.loads(as_json.stdout)["error"]["message"]
    listed = shell("$G models list", GOSSAMER_MODEL_PATH=f"{tmp_path}/\x1b[31m")
    assert b"\x1b" not in listed.stdout
    PIL.Image.new("RGB", (40, 30)).save(tmp_path / "a  b\x1b.jpg")
    assert b"Wrote a  b\\x1b-cutout.png" in shell("$G remove 'a  b\x1b.jpg' --model u2netp").stderr


def test_what_is_visible() -> None:
    assert visible("photo of a café, 写真, ‍🏳️‍🌈.png") == "photo of a café, 写真, ‍🏳️‍🌈.png"
    assert visible("a\tb\x00c\x9bd\u2028e\u2066f\udce9") == "a\\tb\\x00c\\x9bd\\u2028e\\u2066f\\xe9"
    assert visible("C:\\new\\photo.png") == "C:\\new\\photo.png"


@pytest.mark.long
def test_an_encoding_without_the_letters_escapes_them(shell: Shell, tmp_path: Path) -> None:
    done = shell("$G models list", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.returncode == 0, done.stderr
    assert b"u2netp" in done.stdout
    PIL.Image.new("RGB", (40, 30)).save(tmp_path / "é.jpg")
    done = shell("$G remove é.jpg --model u2netp", LC_ALL="C", PYTHONCOERCECLOCALE="0", PYTHONUTF8="0")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "é-cutout.png").exists()


def test_a_path_for_a_program_is_exact(shell: Shell, gossamer: Run, tmp_path: Path) -> None:
    odd = tmp_path / "mo\tdels"
    odd.mkdir()
    (odd / "u2netp.onnx").symlink_to(weights_home() / "models" / "u2netp.onnx")
    environment = {"GOSSAMER_HOME": str(tmp_path / "home"), "GOSSAMER_MODEL_PATH": str(odd), "HOME": str(tmp_path)}
    found = shell("$G models path u2netp", **environment, XDG_DATA_HOME=str(tmp_path / "data"))
    assert found.stdout == f"{odd}/u2netp.onnx\n".encode()
