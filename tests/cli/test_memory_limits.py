"""Limits on a process's addresses (ulimit -v), in which libraries end the process without a word."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import skimage.data
from PIL import Image

from gossamer import read_image
from gossamer.errors import InputError
from gossamer.networks.state_dict import read_state_dict
from tests.cached_weights import weights_home
from tests.cli.test_bad_input import assert_one_sentence

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux enforces a limit on addresses")


def limited(folder: Path, megabytes: int, *arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run `gossamer ARGUMENTS` with so many megabytes of addresses, and with two threads where nothing else is said."""
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_AS, ({megabytes}_000_000,) * 2)"
    return subprocess.run(
        [sys.executable, "-c", f"{limit}; from gossamer.cli import main; raise SystemExit(main())", *arguments],
        capture_output=True,
        cwd=folder,
        env={**os.environ, "GOSSAMER_HOME": str(weights_home()), "OPENBLAS_NUM_THREADS": "2", **environment},
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    ("megabytes", "command"),
    [
        (150, "remove a.png b.png --model u2netp"),  # OpenBLAS interrupted the process: it seemed to be cancelled
        (250, "batch a.png --out out --model u2netp"),  # libgcc aborted
        (400, "refine a.png a.png b.png"),
        (400, "segment a.png --box 1,1,9,9"),
        (600, "compare b.png a.png"),
        (900, "batch a.png --out out --model u2netp"),  # a segmentation fault
        (1000, "video clip.mp4 --out clip.mov"),  # another
        (90, "presets list"),
    ],
)
def test_too_little_room_is_said_before_anything_is_loaded(megabytes: int, command: str, tmp_path: Path) -> None:
    Image.new("RGB", (16, 16)).save(tmp_path / "a.png")
    cores = len(os.sched_getaffinity(0))
    if cores < 2:
        pytest.skip("one core alone makes one thread, which has room")
    done = limited(tmp_path, megabytes, *command.split())
    name = command.partition(" ")[0]
    assert_one_sentence(done, 5, f"`gossamer {name}` needs about", "Raise the limit", "OPENBLAS_NUM_THREADS=1")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.long
def test_what_has_room_works_and_fewer_threads_need_less(tmp_path: Path) -> None:
    Image.fromarray(skimage.data.astronaut()[:64, :64]).save(tmp_path / "a.png")
    Image.fromarray(skimage.data.astronaut()[:64, :64, 0]).save(tmp_path / "mask.png")
    command = ("refine", "a.png", "mask.png", "b.png", "--matting", "none", "--foreground", "none", "--quiet")
    done = limited(tmp_path, 600, *command, OPENBLAS_NUM_THREADS="1")
    assert (done.returncode, done.stderr) == (0, b"")
    assert (tmp_path / "b.png").exists()
    assert limited(tmp_path, 250, "presets", "list").returncode == 0


def test_where_a_limit_is_set_the_remedy_is_to_raise_it() -> None:
    code = (
        "import resource\n"
        "from gossamer.errors import memory_remedy\n"
        "print(memory_remedy('Make it smaller.'))\n"
        "resource.setrlimit(resource.RLIMIT_AS, (4_000_000_000,) * 2)\n"
        "print(memory_remedy('Make it smaller.'))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    free, limited = done.stdout.splitlines()
    assert free == "Make it smaller."
    assert limited.startswith("Raise the limit that is set for this process (ulimit -v")
    assert limited.endswith("Or: make it smaller.")


@pytest.mark.long
@pytest.mark.parametrize("megabytes", [800, 820])  # for the network, and for reading its file
def test_a_model_that_finds_no_room_is_not_called_damaged(megabytes: int, tmp_path: Path) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    model = str(weights_home() / "models" / "isnet-general-use-float16.onnx")
    done = limited(tmp_path, megabytes, "remove", "a.png", "b.png", "--model", model, "--quiet")
    text = done.stderr.decode()
    assert done.returncode in (1, 5), text
    assert text.startswith("gossamer: There is not enough memory"), text
    assert text.count("\n") == 1, text
    assert not (tmp_path / "b.png").exists()


def test_what_does_not_fit_is_not_called_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes")

    for name in ("a.pth", "a.onnx", "a.png"):
        (tmp_path / name).write_bytes(b"anything")
    monkeypatch.setattr("torch.load", full)
    monkeypatch.setattr("onnx.load", full)
    for name in ("a.pth", "a.onnx"):
        with pytest.raises(MemoryError, match="you tried to allocate"):
            read_state_dict(tmp_path / name)
    picture = Image.new("RGB", (4, 4))
    monkeypatch.setattr("gossamer.image.read.decode_pillow", full)
    with pytest.raises(InputError, match="does not fit into memory"):
        read_image(picture)
