"""Nothing leaves the machine that nobody asked for: watched from outside, in a home without any settings."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import skimage.data

from gossamer.image import encode_image
from gossamer_gimp.client import PROTOCOL, Client, Picture, Settings
from tests.cached_weights import weights_home
from tests.debian import debian
from tests.matting.tiny_vitmatte import write_model

ROOT = Path(__file__).parent.parent
PATIENCE = 8  # seconds: ONNX Runtime looks its host up sooner than that

LIBRARY = """
import sys, time
import gossamer
from gossamer.cli import main
from gossamer.matting import vitmatte_alpha
picture, tiny = sys.argv[1:]
found = gossamer.remove_background(picture, model="u2netp", device="cpu")
gossamer.Pipeline(model="u2netp", device="cpu", runtime="torch").run(picture)
image = gossamer.read_image(picture).rgb[:64, :64]
trimap = image[..., 0] * 0 + 0.5
trimap[:8], trimap[-8:] = 0, 1
vitmatte_alpha(image, trimap, model=tiny, device="cpu")
found.save(picture + ".cut.png")
for command in (
    ["doctor"],
    ["models", "list"],
    ["presets", "list"],
    ["check", picture + ".cut.png"],
    ["finish", picture + ".cut.png", picture + ".shop.png", "--preset", "amazon"],
    ["batch", picture, "--out", picture + ".batch", "--model", "u2netp", "--quiet"],
    ["segment", picture, "--box", "100,50,400,500", "--quiet"],
):
    assert main(command) in (0, 1), command
import av, fastapi, huggingface_hub, uvicorn  # what other commands load
"""
HOST = """
import os, sys
import onnxruntime
asked = []
onnxruntime.disable_telemetry_events = lambda: asked.append(onnxruntime.__version__)
import gossamer
gossamer.remove_background(sys.argv[1], model="u2netp", device="cpu", runtime="onnx")  # not our own kernels
assert asked, "the host's ONNX Runtime was not asked to be silent"
assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
"""


@pytest.mark.long
def test_one_file_imports_what_tells_of_its_user() -> None:
    telling, places = ("onnxruntime", "openvino", "openvino_telemetry", "rembg"), []
    for folder in ("core", "comfyui_nodes", "tests", "docs", "gimp_plugin"):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text("utf-8")
            if not any(name in text for name in telling):  # and so it imports none of them
                continue
            for node in ast.walk(ast.parse(text)):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom) and node.level == 0:
                    names = [node.module or ""]
                if any(name.partition(".")[0] in telling for name in names):
                    places.append(path.relative_to(ROOT).as_posix())
    # The benchmarks measure another program, behind the same switches.
    assert set(places) == {"core/gossamer/telemetry.py", "tests/benchmarks/pipeline.py"}


def strace() -> str:
    if shutil.which("strace") is None:
        if os.name != "posix" or os.geteuid() != 0:
            pytest.skip("strace is not installed; to have it, type: sudo apt-get install strace")
    return debian("strace", "strace")


class Watched:
    """Starts processes in a fresh home, and knows what they and those that they start open and call."""

    def __init__(self, folder: Path) -> None:
        self.home, self.log = folder / "home", folder / "calls.txt"
        self.home.mkdir()
        keep = ("PATH", "LANG", "LC_ALL", "PYTHONPATH", "VIRTUAL_ENV", "TMPDIR")
        self.environment = {name: value for name in keep if (value := os.environ.get(name)) is not None}
        self.environment |= {"HOME": str(self.home), "GOSSAMER_HOME": str(weights_home()), "GOSSAMER_OFFLINE": "1"}
        calls = "trace=connect,sendto,sendmsg,sendmmsg,openat,mkdir,mkdirat,creat"
        self.prefix = [strace(), "-f", "--seccomp-bpf", "-s", "300", "-e", calls, "-o", str(self.log)]

    def run(self, program: str, *arguments: str) -> None:
        code = f"{program}\nimport time; time.sleep({PATIENCE})"
        command = [*self.prefix, sys.executable, "-c", code, *arguments]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False, timeout=600)
        assert done.returncode == 0, done.stderr[-3000:]

    def calls(self) -> list[str]:
        """What went to other machines, or to makers' folders in the home."""
        text = self.log.read_text("utf-8", "replace")
        inet = [line for line in text.splitlines() if re.search(r"sa_family=AF_INET6?", line)]
        away = [line for line in inet if '"127.' not in line and '"::1"' not in line]
        return away + [line for line in text.splitlines() if "Microsoft" in line and "ENOENT" not in line]

    def files(self) -> set[str]:
        return {path.relative_to(self.home).as_posix() for path in self.home.rglob("*") if path.is_file()}


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    path = tmp_path / "photograph.png"
    path.write_bytes(encode_image(skimage.data.astronaut().astype(np.float32) / 255, None, "png"))
    return path


@pytest.mark.host  # strace
def test_the_watch_sees_what_it_looks_for(watched: Watched) -> None:
    watched.run("import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.connect(('192.0.2.1', 9)); s.send(b'x')")
    assert len(watched.calls()) == 1


@pytest.mark.host  # strace
def test_the_library_and_the_command_line_call_nobody(watched: Watched, photograph: Path, tmp_path: Path) -> None:
    watched.run(LIBRARY, str(photograph), str(write_model(tmp_path / "tiny-vitmatte")))
    assert watched.calls() == []
    assert {name for name in watched.files() if "/numba/" not in name} == set()


@pytest.mark.host  # strace
def test_the_worker_calls_nobody(watched: Watched, tmp_path: Path) -> None:
    path = tmp_path / "private" / "w.sock"
    (tmp_path / "private").mkdir(mode=0o700)
    command = [*watched.prefix, sys.executable, "-m", "gossamer", "worker", "--socket", str(path), "--idle", "15"]
    process = subprocess.Popen(command, env=watched.environment, stderr=subprocess.DEVNULL)
    while not path.exists():
        assert process.poll() is None
    pixels = skimage.data.astronaut()
    with Client(Settings(sys.executable, (), "0", PROTOCOL), str(path)) as client:
        number = client.open(Picture(512, 512, 3, "u8", pixels.tobytes()))
        client.segment(number, model="u2netp")
        assert client.refine(number, {}).report["coverage"] > 0.1
    assert process.wait(300) == 0  # nobody asked for 15 seconds
    assert watched.calls() == []
    assert watched.files() == set()


@pytest.mark.long
def test_a_host_that_has_imported_onnx_runtime_has_it_silenced_from_then_on(photograph: Path) -> None:
    # What the import has noted by then cannot be taken back; the switch is there for all that the host starts.
    environment = {**os.environ, "GOSSAMER_HOME": str(weights_home())}
    subprocess.run([sys.executable, "-c", HOST, str(photograph)], env=environment, check=True)
