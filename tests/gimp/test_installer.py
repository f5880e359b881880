"""The set-up's building of an environment, with Pythons and tools that are not what they should be."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

from gossamer_gimp import environment, installer, system
from gossamer_gimp.installer import GivenUp, Installer, SetUpFailure
from tests.gimp.box import Box, gimp_root

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the stand-ins for tools are scripts of Unix")

TOOL = """#!{python} -I
import json, os, pathlib, shutil, sys, time
here = pathlib.Path(sys.argv[0])
acts = json.loads(pathlib.Path({acts!r}).read_text())
words = sys.argv[1:]
with open(acts["called"], "a") as file:
    file.write(json.dumps(words) + chr(10))
def made(place):
    (pathlib.Path(place) / "bin").mkdir(parents=True)
    shutil.copy(here, pathlib.Path(place) / "bin" / "python")
if "--python" in words and "venv" in words:
    made(words[-1])
elif "-m" in words and "venv" in words:
    if acts["venv"]:
        sys.exit(acts["venv"])
    made(words[-1])
elif "pip" in words:
    print(acts["pip"], flush=True)
    time.sleep(acts["sleep"])
    sys.exit(acts["status"])
elif "PROTOCOL" in words[-1]:
    print(json.dumps(acts["gossamer"]))
else:
    print(json.dumps(acts["probe"]))
"""


class World:
    """A computer with one Python, or what is made of it; and the plug-in's folder."""

    def __init__(self, folder: Path) -> None:
        self.plug_in = folder / "gossamer_gimp"
        self.plug_in.mkdir()
        self.calls = folder / "called"
        self.calls.touch()
        self.acts: dict[str, Any] = {
            "called": str(self.calls),
            "probe": {
                "version": [3, 12, 1],
                "executable": str(folder / "python"),
                "venv": True,
                "bits": 64,
                "platform": "linux-x86_64",
            },
            "venv": None,
            "pip": "Collecting numpy\nDownloading numpy-2.whl (17 MB)\nInstalling collected packages: numpy",
            "sleep": 0,
            "status": 0,
            "gossamer": {"gossamer": "0.1.0", "protocol": 2},
        }
        self.python = str(folder / "python")
        self.uv = str(folder / "uv")
        for tool in (self.python, self.uv):
            Path(tool).write_text(TOOL.format(python=sys.executable, acts=str(folder / "acts.json")))
            os.chmod(tool, 0o700)
        self._file = folder / "acts.json"
        (self.plug_in / "bundle.json").write_text('{"gossamer": "0.1.0", "protocol": 2, "wheel": null}')
        self.said: list[str] = []

    def act(self, **changed: Any) -> World:
        probe = changed.pop("probe", {})
        self.acts = {**self.acts, **changed, "probe": {**self.acts["probe"], **probe}}
        self._file.write_text(json.dumps(self.acts))
        return self

    def installer(self, uv: str = "") -> Installer:
        return Installer(str(self.plug_in), lambda fraction, text: self.said.append(text), pythons=[self.python], uv=uv)

    @property
    def record(self) -> dict[str, Any]:
        return json.loads((self.plug_in / "worker.json").read_text())

    @property
    def called(self) -> list[list[str]]:
        return [json.loads(line) for line in self.calls.read_text().splitlines()]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return World(tmp_path).act()


def left() -> list[str]:
    """What lies where environments are made."""
    folder = Path(system.data_folder())
    return sorted(path.name for path in folder.iterdir() if path.name != "set-up.log")


def test_a_second_environment_takes_the_place_of_the_first(world: World) -> None:
    first = world.installer().run()
    assert world.record == {"python": first.python, "flags": ["-I"], "gossamer": "0.1.0", "protocol": 2}
    assert environment.is_set_up(str(world.plug_in))
    assert any("numpy-2.whl" in text for text in world.said)
    pip = next(words for words in world.called if "pip" in words)
    assert pip[-1] == "gossamer==0.1.0"
    assert ["--only-binary", ":all:"] == pip[-5:-3]  # nothing of a stranger's is run to build a package
    other = Path(system.data_folder()) / "environment-0ther-1"
    other.mkdir()  # of another GIMP
    second = world.installer().run()
    assert second.python != first.python
    assert world.record["python"] == second.python
    assert left() == sorted(["environment-0ther-1", Path(second.python).parents[1].name])
    assert "numpy" in Path(installer.log_path()).read_text()


def test_the_wheel_beside_it_is_taken(world: World) -> None:
    wheel = world.plug_in / "gossamer-0.1.0-py3-none-any.whl"
    wheel.touch()
    (world.plug_in / "bundle.json").write_text(json.dumps({"gossamer": "0.1.0", "protocol": 2, "wheel": wheel.name}))
    world.installer().run()
    assert next(words for words in world.called if "pip" in words)[-1] == str(wheel)


@pytest.mark.parametrize(
    ("probe", "words"),
    [
        ({"version": [3, 9, 6]}, ("needs Python 3.11 or newer", "3.9.6", "Install Python")),
        ({"venv": False}, ("venv and ensurepip are missing",)),
        ({"platform": "mingw_x86_64_ucrt"}, ("no packages for the Python", "Install Python")),
        ({"bits": 32}, ("no packages for the Python",)),
    ],
    ids=["old", "no venv", "of MSYS2", "32 bits"],
)
def test_a_python_that_will_not_do(world: World, probe: dict[str, Any], words: tuple[str, ...]) -> None:
    world.act(probe=probe)
    with pytest.raises(SetUpFailure) as caught:
        world.installer().run()
    for one in words:
        assert one in str(caught.value)
    assert left() == []
    assert not (world.plug_in / "worker.json").exists()


def test_no_python_at_all(world: World) -> None:
    builder = Installer(str(world.plug_in), pythons=["/nowhere/python", "/bin/false"], uv="")
    with pytest.raises(SetUpFailure, match="There is no Python on this computer"):
        builder.run()


def test_the_system_s_advice_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {}
    for name in ("win32", "darwin", "linux"):
        monkeypatch.setattr(system.sys, "platform", name)
        said[name] = system.python_advice()
    assert "Microsoft Store" in said["win32"]
    assert "Homebrew" in said["darwin"]
    assert "package manager" in said["linux"]


def test_uv_helps_where_python_cannot(world: World) -> None:
    world.act(probe={"venv": False})
    settings = world.installer(uv=world.uv).run()
    assert settings.gossamer == "0.1.0"
    made, installed = (words for words in world.called if words[0] in ("venv", "pip"))
    assert made[:3] == ["venv", "--no-config", "--python"]
    assert installed[:4] == ["pip", "install", "--python", settings.python]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk is full"),
        ("OSError: [WinError 112] Es steht nicht genug Speicherplatz zur Verfügung", "disk is full"),
        (
            "WARNING: Retrying after NewConnectionError('Failed to establish a new connection: [Errno 111]')\n"
            "ERROR: No matching distribution found for gossamer==0.1.0",
            "cannot be reached. Connect",
        ),
        ("error: Request failed\n  Caused by: dns error: failed to lookup address information", "cannot be reached."),
        ("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]", "reached safely"),
        ("ERROR: Could not install packages due to an OSError: [Errno 13] Permission denied: '/x'", "rights"),
        ("ERROR: No matching distribution found for onnxruntime>=1.20", "nothing that fits"),
        ("Segmentation fault", "The log says why"),
    ],
    ids=["disk", "disk on Windows", "network", "network with uv", "certificates", "rights", "no wheel", "else"],
)
def test_each_thing_that_is_missing_has_a_sentence(world: World, said: str, words: str) -> None:
    before = world.installer().run()
    kept = left()
    world.act(pip=said, status=1)
    with pytest.raises(SetUpFailure) as caught:
        world.installer().run()
    assert words in str(caught.value)
    assert str(caught.value).count("\n") == 0
    assert world.record["python"] == before.python  # what worked still does
    assert left() == kept
    assert said.splitlines()[-1] in Path(installer.log_path()).read_text()


def test_a_disk_that_is_too_small_is_told_of_before_anything_is_made(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(installer.shutil, "disk_usage", lambda _: usage(10**9, 10**9 - 5_000_000, 5_000_000))
    with pytest.raises(SetUpFailure, match=r"not enough room .* 5 MB are free"):
        world.installer().run()
    assert world.called == []


def test_a_gossamer_of_another_protocol_is_refused(world: World) -> None:
    world.act(gossamer={"gossamer": "7.0", "protocol": 99})
    with pytest.raises(SetUpFailure, match=r"Gossamer 7\.0 do not fit together"):
        world.installer().run()
    assert left() == []


def test_a_gossamer_that_does_not_answer(world: World) -> None:
    world.act(gossamer=None)
    with pytest.raises(SetUpFailure, match="does not answer"):
        world.installer().run()
    assert left() == []


def test_a_data_folder_that_cannot_be_written(world: World, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where a folder should be")
    with pytest.raises(SetUpFailure, match="cannot be written"):
        world.installer().run()


def test_a_folder_that_is_not_whole(world: World) -> None:
    (world.plug_in / "bundle.json").unlink()
    with pytest.raises(SetUpFailure, match="unzip it again"):
        world.installer().run()


def test_cancelling_leaves_no_process_and_no_folder(world: World) -> None:
    world.act(sleep=60, pip="Downloading numpy-2.whl")
    builder = world.installer()
    caught: list[BaseException] = []

    def go() -> None:
        try:
            builder.run()
        except GivenUp as error:
            caught.append(error)

    thread = threading.Thread(target=go)
    thread.start()
    until = time.monotonic() + 20
    while not any("numpy-2.whl" in text for text in world.said):
        assert time.monotonic() < until
        time.sleep(0.02)
    child = builder._child
    assert child is not None
    builder.cancel()
    thread.join(20)
    assert not thread.is_alive()
    assert caught
    assert not system.is_running(child.pid)
    assert left() == []
    assert not (world.plug_in / "worker.json").exists()


def test_cancelling_before_it_begins(world: World) -> None:
    builder = world.installer()
    builder.cancel()
    with pytest.raises(GivenUp):
        builder.run()
    assert left() == []


def test_what_a_killed_set_up_left_is_cleared_away(world: World) -> None:
    first = world.installer().run()
    name = Path(first.python).parents[1].name
    key = name.rsplit("-", 1)[0]
    folder = Path(system.data_folder())
    for number, maker in ((7, 2**22 - 3), (8, os.getppid())):  # nobody has the first number; the second is at work
        (folder / f"{key}-{number}").mkdir()
        (folder / f"{key}-{number}.making").write_text(str(maker))
    second = world.installer().run()
    name = Path(second.python).parents[1].name
    assert left() == sorted([name, f"{key}-8", f"{key}-8.making"])


REAL = """
import sys
sys.path.insert(0, {plug_in!r})
import installer
installer.ROOM = {room}
try:
    installer.Installer({folder!r}, pythons=[{python!r}], uv="").run()
except installer.SetUpFailure as failure:
    print("TOLD", failure)
"""


@pytest.mark.parametrize(
    ("place", "room", "words"),
    [
        (["--size", "6000000", "--tmpfs"], 0, "The disk is full."),
        (["--unshare-net", "--tmpfs"], 0, "The package index cannot be reached. Connect this computer"),
        (["--size", "6000000", "--tmpfs"], 10**8, "6 MB are free, and 100 MB are needed"),
    ],
    ids=["a full disk", "no network", "a small disk"],
)
def test_real_tools_on_a_real_computer_that_lacks(
    world: World, tmp_path: Path, place: list[str], room: int, words: str
) -> None:
    """Without stand-ins: this Python's own venv and pip, in a box."""
    gimp_root()  # brings bubblewrap
    data = tmp_path / "data"
    data.mkdir()
    plug_in = str(Path(installer.__file__).parent)
    code = REAL.format(plug_in=plug_in, room=room, folder=str(world.plug_in), python=sys.executable)
    box = ["bwrap", "--die-with-parent", "--bind", "/", "/", "--dev", "/dev", "--proc", "/proc", *place, str(data)]
    done = subprocess.run(
        [*box, sys.executable, "-c", code],
        env={**os.environ, "XDG_DATA_HOME": str(data), "PIP_CONFIG_FILE": "/dev/null", "PIP_RETRIES": "1"},
        capture_output=True, text=True, check=False, timeout=200,
    )  # fmt: skip
    assert "TOLD" in done.stdout, done.stdout + done.stderr
    assert words in done.stdout
    assert not (world.plug_in / "worker.json").exists()


def test_debian_s_python_without_venv_gets_debian_s_advice(tmp_path: Path) -> None:
    plug_in = Path(installer.__file__).parent
    box = Box(tmp_path / "profile", read_only=(plug_in,))
    code = f"import sys; sys.path.insert(0, {str(plug_in)!r}); import environment as e; "
    code += "print(e.why_none(e.found(['/usr/bin/python3'])))"
    said = box.run(["/usr/bin/python3", "-B", "-c", code]).stdout
    assert said.strip() == (
        "/usr/bin/python3 cannot make environments: its modules venv and ensurepip are missing. "
        "Type in a terminal: sudo apt install python3-venv"
    )


def test_this_computer_has_a_python(monkeypatch: pytest.MonkeyPatch) -> None:
    found = environment.found([sys.executable])
    assert [one.version for one in found] == [sys.version_info[:3]]
    assert found[0].fits
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    assert sys.executable in system.python_commands()
