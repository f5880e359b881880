"""The other commands, and how quickly help answers."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import gossamer as library
from tests.cached_weights import weights_home
from tests.cli.conftest import Run


def test_help_needs_no_heavy_import() -> None:
    script = (
        "import sys; from gossamer.cli import main; main(['--help']);"
        "heavy = {'numpy', 'cv2', 'PIL', 'pydantic', 'onnxruntime', 'argparse'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for command in ("remove", "models", "doctor", "gimp", "worker"):
        assert f"\n  {command} " in done.stdout


@pytest.mark.parametrize("before", ["enable", "disable"])
def test_the_garbage_collector_is_left_as_it_was(before: str) -> None:
    """It rests while a command is imported."""
    script = (
        f"import gc, sys; gc.{before}(); from gossamer.cli import main; main(['batch', '--help']);"
        f"sys.exit(gc.isenabled() != {before == 'enable'})"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=False).returncode == 0


def test_version(process: Run) -> None:
    assert process("--version").stdout.decode().split() == ["gossamer", library.__version__]


def test_every_command_has_help(gossamer: Run) -> None:
    for command in ("remove", "models", "models get", "doctor", "gimp", "gimp install", "worker"):
        done = gossamer(*command.split(), "--help")
        assert done.returncode == 0, (command, done.stderr)
        assert done.stdout.startswith(b"usage: gossamer " + command.encode()), done.stdout[:80]


def test_models_list(gossamer: Run) -> None:
    rows = {row["id"]: row for row in json.loads(gossamer("models", "list", "--json").stdout)}
    assert {"isnet-general-use", "u2net", "u2netp"} <= set(rows)
    assert rows["u2netp"]["licence"] == "Apache-2.0"
    assert rows["u2netp"]["commercial"] is True
    assert rows["u2netp"]["bytes"] == 4_574_861
    assert Path(rows["u2netp"]["path"]).is_file()
    for row in rows.values():
        assert {"id", "title", "architecture", "licence", "commercial", "sources", "path"} <= set(row)
        assert all(source["from"] for weights in row.get("weights", ()) for source in weights["sources"])
    assert {row["id"] for row in rows.values() if row.get("task") == "prompting"} >= {"sam3", "sam2.1-hiera-tiny"}
    assert {row["id"] for row in rows.values() if row.get("task") == "matting"} >= {"vitmatte-small-composition-1k"}
    assert rows["rmbg-2.0"]["commercial"] is False
    assert rows["birefnet-hr"]["trained_size"] == [2048, 2048]
    table = gossamer("models", "list").stdout.decode()
    lines = {line.split()[0]: line for line in table.splitlines() if not line.startswith(" ")}
    assert set(lines) == {"id", *rows}
    assert lines["u2netp"].endswith(rows["u2netp"]["path"])
    assert "Apache-2.0" in lines["u2netp"]
    assert "about 885 MB" in lines["birefnet-cod"] or "972.7 MB" in lines["birefnet-cod"]
    assert "needs --accept-licence once" in table


def test_models_path_and_verify(gossamer: Run, tmp_path: Path) -> None:
    path = gossamer("models", "path", "u2netp").stdout.decode().strip()
    assert Path(path) == weights_home() / "models" / "u2netp.onnx"
    assert json.loads(gossamer("models", "verify", "u2netp", "--json").stdout)[0]["good"] is True
    empty = {
        "GOSSAMER_HOME": str(tmp_path / "home"),
        "HOME": str(tmp_path),
        "XDG_DATA_HOME": str(tmp_path / "d"),
    }
    absent = gossamer("models", "path", "u2netp", **empty)
    assert absent.returncode == 4
    assert b"gossamer models get u2netp" in absent.stderr
    assert gossamer("models", "verify", **empty).stdout.startswith(b"No model is installed")
    assert gossamer("models", "verify", "u2netp", **empty).returncode == 4


def test_models_remove_deletes_what_gossamer_fetched_and_nothing_else(gossamer: Run, tmp_path: Path) -> None:
    home = tmp_path / "home"
    for folder in (home / "models", tmp_path / "shared"):
        folder.mkdir(parents=True)
        shutil.copy(weights_home() / "models" / "u2netp.onnx", folder)
    env = {"GOSSAMER_HOME": str(home), "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "d")}
    shared = {**env, "GOSSAMER_MODEL_PATH": str(tmp_path / "shared")}
    done = gossamer("models", "remove", "u2netp", "--json", **shared)
    assert json.loads(done.stdout) == [{"id": "u2netp", "path": str(home / "models" / "u2netp.onnx")}]
    assert not (home / "models" / "u2netp.onnx").exists()
    again = gossamer("models", "remove", "u2netp", **shared)
    assert again.returncode != 0
    assert b"not Gossamer's own folder" in again.stderr
    assert (tmp_path / "shared" / "u2netp.onnx").exists()
    absent = gossamer("models", "remove", "u2netp", **env)
    assert absent.returncode == 4
    assert b"Traceback" not in absent.stderr


def test_models_get_of_something_installed_is_offline(gossamer: Run) -> None:
    done = gossamer("models", "get", "u2netp", "--json", GOSSAMER_OFFLINE="1")
    assert done.returncode == 0
    assert json.loads(done.stdout)[0]["id"] == "u2netp"


def test_models_get_wants_the_licence_accepted(gossamer: Run, tmp_path: Path) -> None:
    empty = {"GOSSAMER_HOME": str(tmp_path / "home"), "GOSSAMER_MIRROR": "http://127.0.0.1:9"}
    refused = gossamer("models", "get", "silueta", **empty)
    assert refused.returncode == 4
    assert b"gossamer models get silueta --accept-licence" in refused.stderr
    assert not (tmp_path / "home" / "licences.json").exists()
    # What follows is a matter of the network, so it is not asked.
    offline = gossamer("models", "get", "silueta", "--accept-licence", **empty, GOSSAMER_OFFLINE="1")
    assert b"GOSSAMER_OFFLINE forbids it" in offline.stderr
    assert json.loads((tmp_path / "home" / "licences.json").read_text())["silueta"]["licence"] == "unclear"


def test_models_get_auto_takes_a_quality_and_says_what_it_took(gossamer: Run) -> None:
    done = gossamer("models", "get", "auto", "--quality", "fast", GOSSAMER_OFFLINE="1")
    assert done.returncode == 0, done.stderr
    assert b"Model u2netp: the best model that is installed, in fast quality on a CPU." in done.stderr


@pytest.mark.long
def test_doctor(gossamer: Run, tmp_path: Path) -> None:
    done = gossamer("doctor", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["ready"] is True
    assert {model["id"] for model in found["models"]["installed"]} >= {"u2netp", "u2net", "isnet-general-use"}
    assert found["devices"][0] == {"device": "cpu", "available": True, "note": found["devices"][0]["note"]}
    assert b"Ready." in gossamer("doctor").stdout
    empty = {
        "GOSSAMER_HOME": str(tmp_path / "home"),
        "HOME": str(tmp_path),
        "XDG_DATA_HOME": str(tmp_path / "d"),
    }
    missing = gossamer("doctor", **empty).stdout.decode()
    assert "gossamer models get isnet-general-use" in missing


def test_gimp(gossamer: Run, tmp_path: Path) -> None:
    folder = tmp_path / "GIMP" / "3.0"
    folder.mkdir(parents=True)
    here = {"GIMP3_DIRECTORY": str(folder), "HOME": str(tmp_path)}
    plug_in = folder / "plug-ins" / "gossamer_gimp" / "gossamer_gimp.py"
    assert gossamer("gimp", "status", **here).stdout.startswith(b"absent ")
    done = gossamer("gimp", "install", **here)
    assert done.returncode == 0, done.stderr
    assert plug_in.stat().st_mode & 0o111
    state = json.loads(gossamer("gimp", "status", "--json", **here).stdout)
    assert [place["state"] for place in state] == ["installed"]
    assert state[0]["python"] == sys.executable
    assert gossamer("gimp", "uninstall", **here).stdout.startswith(b"Removed ")
    assert not plug_in.parent.exists()
