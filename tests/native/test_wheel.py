"""The wheel that everyone gets, and its libraries on the systems that are not this one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from gossamer import native
from tests.debian import debian

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
ONLY_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="Debian's packages emulate the other systems")

USED = """
import sys
import numpy as np
from gossamer import native, resampling
from gossamer.foreground import blur_fusion, soft_band
from gossamer.image.png import encode_png

assert "site-packages" in native.__file__, native.__file__
assert native.library() is not None
assert not native.LIBRARY.exists(), "it is the carried one"
image = np.random.default_rng(0).random((60, 70, 3)).astype(np.float32)
alpha = np.tile(np.linspace(0, 1, 70, dtype=np.float32), (60, 1))
assert soft_band(image, alpha).shape == blur_fusion(image, alpha).shape == image.shape
assert "numba" not in sys.modules
print(native.variant())
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as for a release."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "tools/build_wheel.py", "--out", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (found,) = folder.iterdir()
    return found


@pytest.fixture(scope="module", params=["plain", "avx2"])
def calls(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What this machine's kernels read and wrote, in a file."""
    if request.param == "avx2" and native.variant() != "avx2":
        pytest.skip("this processor has no AVX2")
    path = tmp_path_factory.mktemp("calls") / f"{request.param}.bin"
    subprocess.run([sys.executable, str(HERE / "replay.py"), str(path), request.param], check=True)
    return path


@pytest.fixture(scope="module")
def windows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where Wine keeps its Windows, which takes longer to make than all else here."""
    return tmp_path_factory.mktemp("windows") / "wine"


def names(calls: Path) -> list[str]:
    return calls.with_suffix(".names").read_text().split()


def zig(target: str, *arguments: str | Path) -> None:
    command = [sys.executable, "-m", "ziglang", "cc", "-target", target, "-std=c11", "-O1", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_it_is_one_for_all_and_carries_all(wheel: Path) -> None:
    from gossamer.native.building import TARGETS

    assert wheel.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        libraries = {name for name in archive.namelist() if name.endswith(".so")}
        assert libraries == {f"gossamer/native/{native.carried(name).name}" for name in TARGETS}
        for name in TARGETS:
            body = archive.read(f"gossamer/native/{native.carried(name).name}")
            assert native.digest().encode() in body
            magic = {"linux": b"\x7fELF", "windo": b"MZ", "macos": b"\xcf\xfa\xed\xfe"}[name[:5]]
            assert body.startswith(magic)
        assert any(name.endswith("gossamer_gimp.py") for name in archive.namelist())


def test_it_works_where_no_compiler_is(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv")
    bin_ = tmp_path / "venv" / ("Scripts" if sys.platform == "win32" else "bin")
    python = bin_ / "python"
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "CC")}
    wanted = ["numpy", "opencv-python-headless", "isal", "pydantic", "scipy", "pillow"]
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-compile"]  # for a single start
    subprocess.run([*pip, *wanted], check=True, env=environment)
    environment["PATH"] = str(bin_)
    subprocess.run([*pip, "--no-deps", wheel], check=True, env=environment)
    done = subprocess.run(
        [python, "-c", USED], capture_output=True, text=True, check=False, env=environment, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == native.variant()


@ONLY_LINUX
def test_windows_library_computes_what_this_one_does(wheel: Path, windows: Path, calls: Path, tmp_path: Path) -> None:
    wine = debian("wine", "wine", "wine64", recommended=True)
    with zipfile.ZipFile(wheel) as archive:
        body = archive.read(f"gossamer/native/{native.carried('windows-x86_64').name}")
    (tmp_path / "kernels.so").write_bytes(body)  # under that very name it is loaded
    zig("x86_64-windows-gnu", HERE / "replay.c", "-o", tmp_path / "replay.exe")
    shutil.copy(calls, tmp_path / "calls.bin")
    environment = {
        **os.environ,
        "WINEPREFIX": str(windows),
        "WINEDEBUG": "-all",
        "WINEDLLOVERRIDES": "mscoree,mshtml=",
    }
    command = [wine, "replay.exe", "calls.bin", "kernels.so"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 failed" in done.stdout
    assert len(names(calls)) >= 33


@ONLY_LINUX
def test_arm_computes_what_this_one_does(calls: Path, tmp_path: Path) -> None:
    if any(name.endswith("avx2") for name in names(calls)):
        pytest.skip("ARM has one variant")
    qemu = debian("qemu-aarch64", "qemu-user", recommended=True)
    table = "".join(f"K({name}) " for name in names(calls))
    sources = sorted(native.LIBRARY.parent.glob("*.c"))
    zig("aarch64-linux-musl", f"-DTABLE={table}", "-static", HERE / "replay.c", *sources, "-o", tmp_path / "replay")
    done = subprocess.run([qemu, tmp_path / "replay", calls], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 failed" in done.stdout
