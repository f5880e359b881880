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
from gossamer.native.building import TARGETS, zig
from tests.debian import debian

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
ARM = "/usr/aarch64-linux-gnu"  # where Debian keeps the C library of ARM's Linux
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


def replayed(wheel: Path, name: str, calls: Path, folder: Path) -> list[str]:
    """Lay a platform's library out of the wheel and the calls into a folder, and compile what makes them again there.

    Returns
    -------
    list of str
        Its command. The flags are those of the wheel: with others, Zig would make all of the platform's C library anew.
    """
    with zipfile.ZipFile(wheel) as archive:
        body = archive.read(f"gossamer/native/{native.carried(name).name}")
    (folder / "kernels.so").write_bytes(body)  # under that very name it is loaded
    shutil.copy(calls, folder / "calls.bin")
    program = folder / ("replay.exe" if name.startswith("windows") else "replay")
    command = [*zig(name), "-std=c11", "-O3", str(HERE / "replay.c"), "-o", str(program)]
    command += [] if program.suffix else ["-ldl"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [program.name if program.suffix else f"./{program.name}", "calls.bin", "./kernels.so"]


def test_it_is_one_for_all_and_carries_all(wheel: Path) -> None:
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
    command = [debian("wine", "wine", "wine64", recommended=True), *replayed(wheel, "windows-x86_64", calls, tmp_path)]
    environment = {
        **os.environ,
        "WINEPREFIX": str(windows),
        "WINEDEBUG": "-all",
        "WINEDLLOVERRIDES": "mscoree,mshtml=",
    }
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 failed" in done.stdout
    assert len(names(calls)) >= 36


@ONLY_LINUX
def test_arm_library_computes_what_this_one_does(wheel: Path, calls: Path, tmp_path: Path) -> None:
    if any(name.endswith("avx2") for name in names(calls)):
        pytest.skip("ARM has one variant")
    debian(f"{ARM}/lib/ld-linux-aarch64.so.1", "libc6-arm64-cross")
    command = [debian("qemu-aarch64", "qemu-user"), "-L", ARM, *replayed(wheel, "linux-aarch64", calls, tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 failed" in done.stdout
    assert len(names(calls)) >= 36
