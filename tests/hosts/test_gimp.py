"""Where the plug-in goes, what is recorded there, and that nobody else's files suffer."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

import gossamer
import gossamer_gimp
from gossamer.errors import InputError, OutputError, OutputExists
from gossamer.hosts import gimp
from gossamer.worker.protocol import PROTOCOL
from gossamer_gimp.client import Settings

FILES = {*gimp.FILES, *gimp.TRANSLATIONS, "worker.json"}
SOURCE = Path(gossamer_gimp.__path__[0])


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's home folder in which nothing is."""
    for name in ("GIMP3_DIRECTORY", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    return tmp_path


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def everything(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_symlink() or path.is_file()}


def test_it_goes_into_every_gimp_3_that_has_run(home: Path) -> None:
    configs = [
        home / ".config" / "GIMP" / "3.0",
        home / ".config" / "GIMP" / "3.2",
        home / ".var" / "app" / "org.gimp.GIMP" / "config" / "GIMP" / "3.0",
        home / "snap" / "gimp" / "current" / ".config" / "GIMP" / "3.0",
    ]
    for config in (*configs, home / ".config" / "GIMP" / "2.10"):
        config.mkdir(parents=True)
    assert gimp.config_folders() == configs
    done = gimp.install()
    assert [one.folder for one in done] == [config / "plug-ins" / "gossamer_gimp" for config in configs[:3]]
    for one in done:
        assert everything(one.folder) == FILES
        assert set(one.files) == {one.folder / name for name in FILES}
    assert not (home / ".config" / "GIMP" / "2.10" / "plug-ins").exists()
    assert "flatpak override --user --filesystem=xdg-run/gossamer org.gimp.GIMP" in done[2].notes[-1]
    left_out = f"Left out: {configs[3]}. GIMP from Snap runs in a sandbox"
    assert all(any(left_out in note and "gossamer gimp bundle" in note for note in one.notes) for one in done)
    assert [one.state for one in gimp.status()] == ["installed"] * 3 + ["absent"]
    json.dumps([one.as_dict() for one in (*done, *gimp.status())])


def test_without_any_gimp_it_waits_in_the_default_folder_and_says_so(home: Path) -> None:
    assert gimp.status() == []
    (done,) = gimp.install()
    assert done.folder == home / ".config" / "GIMP" / "3.0" / "plug-ins" / "gossamer_gimp"
    assert "No GIMP 3 has run here yet" in done.notes[0]


@pytest.mark.parametrize(
    ("platform", "folder"),
    [("darwin", "Library/Application Support/GIMP/3.0"), ("win32", "AppData/Roaming/GIMP/3.0")],
)
def test_other_systems(home: Path, monkeypatch: pytest.MonkeyPatch, platform: str, folder: str) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.delenv("APPDATA", raising=False)
    (home / folder).mkdir(parents=True)
    assert gimp.config_folders() == [home / folder] == [gimp.default_folder()]


def test_gimp_s_own_variables_are_followed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "elsewhere"))
    assert gimp.default_folder() == home / "elsewhere" / "GIMP" / "3.0"
    monkeypatch.setenv("GIMP3_DIRECTORY", str(home / "mine"))
    assert gimp.config_folders() == [home / "mine"]
    monkeypatch.setenv("GIMP3_DIRECTORY", "mine")
    assert gimp.config_folders() == [home / "mine"]


def test_what_is_installed_can_run_and_knows_whose_python_to_use(tmp_path: Path) -> None:
    (done,) = gimp.install(tmp_path)
    program = done.folder / "gossamer_gimp.py"
    assert os.access(program, os.X_OK)
    assert program.read_bytes() == (SOURCE / "gossamer_gimp.py").read_bytes()
    settings = Settings.read(str(done.folder))
    assert settings == Settings(sys.executable, ("-I",), gossamer.__version__, PROTOCOL)


def test_links_follow_the_source(tmp_path: Path) -> None:
    (done,) = gimp.install(tmp_path, link=True)
    assert (done.folder / "client.py").resolve() == (SOURCE / "client.py").resolve()
    assert not (done.folder / "worker.json").is_symlink()
    assert [one.state for one in gimp.status(tmp_path)] == ["installed"]
    gimp.install(tmp_path)
    assert not (done.folder / "client.py").is_symlink()
    assert (SOURCE / "client.py").is_file()


def test_an_update_keeps_what_others_put_there(tmp_path: Path) -> None:
    (done,) = gimp.install(tmp_path)
    (done.folder / "notes.txt").write_text("mine")
    (done.folder / "client.py").write_text("old")
    assert [one.state for one in gimp.status(tmp_path)] == ["outdated"]
    (again,) = gimp.install(tmp_path)
    assert (done.folder / "notes.txt").read_text() == "mine"
    assert again.kept == (done.folder / "notes.txt",)
    assert names(tmp_path / "plug-ins") == {"gossamer_gimp"}
    assert [one.state for one in gimp.status(tmp_path)] == ["installed"]


def test_what_is_not_ours_is_refused_and_put_aside_on_demand(tmp_path: Path) -> None:
    theirs = tmp_path / "plug-ins" / "gossamer_gimp"
    theirs.mkdir(parents=True)
    (theirs / "gossamer_gimp.py").write_text("somebody else's")
    assert [one.state for one in gimp.status(tmp_path)] == ["foreign"]
    with pytest.raises(OutputExists, match="--force"):
        gimp.install(tmp_path)
    assert gimp.uninstall(tmp_path) == []
    assert (theirs / "gossamer_gimp.py").read_text() == "somebody else's"
    (done,) = gimp.install(tmp_path, force=True)
    (aside,) = done.kept
    assert (aside / "gossamer_gimp.py").read_text() == "somebody else's"
    assert everything(done.folder) == FILES


@pytest.mark.long
@pytest.mark.parametrize("at_once", [True, False], ids=["exchange", "two renames"])
@pytest.mark.parametrize("foreign", [False, True])
def test_an_installation_that_is_cut_short_anywhere_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: bool, foreign: bool
) -> None:
    """Stopped at each of its renames and removals, it leaves a whole plug-in, and the next one clears up."""

    class Killed(BaseException):
        """Nothing that is cleared up after: as SIGKILL."""

    plug_ins = tmp_path / "plug-ins"
    place = plug_ins / "gossamer_gimp"
    exchange, rename, remove = gimp.exchange, Path.rename, gimp.shutil.rmtree
    for stop in range(40):
        if foreign:
            place.mkdir(parents=True)
        else:
            gimp.install(tmp_path)
        for name in ("notes.txt", "more.txt"):
            (place / name).write_text("mine")
        left = iter(range(stop))

        def step(function, *arguments, left=left, **more):
            if next(left, None) is None:
                raise Killed
            return function(*arguments, **more)

        with monkeypatch.context() as context:
            context.setattr(Path, "rename", lambda *names: step(rename, *names))
            context.setattr(gimp.shutil, "rmtree", lambda *names, **more: step(remove, *names, **more))
            context.setattr(gimp, "exchange", lambda *names: at_once and step(exchange, *names))
            finished = True
            try:
                gimp.install(tmp_path, force=True)
            except Killed:
                finished = False
        mine = sorted(path.name for path in plug_ins.rglob("*.txt"))
        assert mine == ["more.txt", "notes.txt"]
        if at_once and not foreign:
            assert everything(place) >= FILES
        if at_once or place.exists():
            assert place.exists()
        else:
            assert [one.state for one in gimp.status(tmp_path)] == ["broken"]
        gimp.install(tmp_path, force=True)
        assert [one.state for one in gimp.status(tmp_path)] == ["installed"]
        (kept,) = {path.parent for path in plug_ins.rglob("notes.txt")}
        assert names(plug_ins) == {"gossamer_gimp", kept.name}
        assert kept == place if not foreign else kept.name.startswith("gossamer_gimp.kept")
        assert names(kept) >= {"notes.txt", "more.txt"}
        remove(plug_ins)
        if finished:
            break
    assert finished
    assert stop > 3


def test_what_a_cut_short_removal_left_is_no_obstacle(tmp_path: Path) -> None:
    (done,) = gimp.install(tmp_path)
    for path in done.files:
        path.unlink()
    assert [one.state for one in gimp.status(tmp_path)] == ["absent"]
    gimp.install(tmp_path)
    assert [one.state for one in gimp.status(tmp_path)] == ["installed"]


def test_uninstalling_removes_ours_alone(tmp_path: Path) -> None:
    (done,) = gimp.install(tmp_path)
    (removed,) = gimp.uninstall(tmp_path)
    assert set(removed.files) == set(done.files)
    assert not done.folder.exists()
    assert gimp.uninstall(tmp_path) == []
    gimp.install(tmp_path)
    (done.folder / "notes.txt").write_text("mine")
    (removed,) = gimp.uninstall(tmp_path)
    assert removed.kept == (done.folder / "notes.txt",)
    assert names(done.folder) == {"notes.txt"}
    json.dumps(removed.as_dict())


@pytest.mark.parametrize(
    ("change", "state", "words"),
    [
        (lambda place: (place / "gossamer_gimp.py").chmod(0o644), "broken", "run bit"),
        (lambda place: (place / "gossamer_gimp.py").unlink(), "broken", "missing"),
        (lambda place: (place / "worker.json").write_text("{"), "broken", "worker.json"),
        (lambda place: _record(place, python="/nowhere/python"), "broken", "/nowhere/python"),
        (lambda place: _record(place, gossamer="0.0.1"), "outdated", "gossamer gimp install"),
        (lambda place: _record(place, protocol=0), "outdated", "gossamer gimp install"),
    ],
    ids=["run bit", "program", "record", "python", "version", "protocol"],
)
def test_the_status_says_what_is_wrong(tmp_path: Path, change, state: str, words: str) -> None:
    (done,) = gimp.install(tmp_path)
    change(done.folder)
    (found,) = gimp.status(tmp_path)
    assert found.state == state
    assert any(words in note for note in found.notes)
    gimp.install(tmp_path)
    assert [one.state for one in gimp.status(tmp_path)] == ["installed"]


def _record(place: Path, **changed: object) -> None:
    path = place / "worker.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))


def test_where_it_could_not_work_it_is_refused_with_the_way_that_does(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flatpak = home / ".var" / "app" / "org.gimp.GIMP" / "config" / "GIMP" / "3.0"
    flatpak.mkdir(parents=True)
    monkeypatch.setattr(gimp, "check_can_work", lambda python: None)
    with pytest.raises(InputError, match=r"in /usr, without this Python.*gossamer gimp bundle"):
        gimp.install(python=Path("/usr/bin/env"))
    with pytest.raises(InputError, match="Snap"):
        gimp.install(home / "snap" / "gimp" / "current" / ".config" / "GIMP" / "3.0")
    assert not (flatpak / "plug-ins").exists()
    assert not (home / "snap").exists()


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("exit 1", "would not find Gossamer"),
        (None, "cannot be started"),
    ],
)
def test_a_python_that_the_worker_could_not_run_in_is_refused(tmp_path: Path, script: str | None, words: str) -> None:
    python = tmp_path / "python"
    if script is not None:
        python.write_text(f"#!/bin/sh\n{script}\n")
        python.chmod(0o700)
    with pytest.raises(InputError, match=words):
        gimp.install(tmp_path / "config", python=python)
    assert not (tmp_path / "config").exists()


def test_a_python_of_uvx_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="uv tool install gossamer"):
        gimp.install(tmp_path, python=tmp_path / "uv" / "archive-v0" / "abc" / "bin" / "python")


def test_a_folder_that_cannot_be_written_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "plug-ins").write_text("a file where a folder should be")
    with pytest.raises(OutputError, match="plug-ins"):
        gimp.install(tmp_path)


def test_absent(tmp_path: Path) -> None:
    (found,) = gimp.status(tmp_path)
    assert found.state == "absent"
    assert "gossamer gimp install" in found.notes[0]


def test_the_files_of_the_package_fit_the_library() -> None:
    plug_in = Path(__file__).parents[2] / "gimp_plugin" / "gossamer_gimp"
    recorded: dict[str, Any] = json.loads((plug_in / "parameters.json").read_text())
    assert recorded == json.loads(json.dumps(gimp.plug_in_arguments())), (
        "Type: python -m gossamer.hosts.gimp > gimp_plugin/gossamer_gimp/parameters.json"
    )
    assert [model["id"] for model in recorded["models"]] == list(gossamer.load_catalogue())
    assert (plug_in / "gossamer_gimp.py").stat().st_mode & 0o111 == 0o111
    assert "GNU GENERAL PUBLIC LICENSE" in (plug_in.parent / "LICENSE").read_text()
