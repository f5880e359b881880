"""The kernels in C: there wherever a compiler is, and the same as what stands in for them."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

from gossamer import native, resampling
from gossamer.cli import doctor
from gossamer.foreground.soft_band import native as band_native
from gossamer.foreground.soft_band import plain as band_plain
from gossamer.foreground.soft_band import solver as band_solver
from gossamer.image import png
from gossamer.progress import Progress

ROOT = Path(__file__).parents[2]
STEP = 1 / 255


def fresh(name: str, path: Path) -> ModuleType:
    """Return a module anew, under another name."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def hasty(folder: Path) -> None:
    """Have a copy of the folder of kernels compile them as they are, which takes a part of the time."""
    rules = folder / "building.py"
    said = rules.read_text()
    assert said.count('"-O3"') == 1
    rules.write_text(said.replace('"-O3"', '"-O1"'))


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The kernels for every processor of the family."""
    monkeypatch.setattr(native, "variant", lambda: "plain")
    return fresh("band_native_plain", Path(str(band_native.__file__)))


def scene(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """A soft disc of noise over a ramp, in bytes, with solid and with hidden parts."""
    random = np.random.default_rng(height)
    y, x = np.mgrid[:height, :width]
    alpha = np.clip(1.2 - 3 * np.hypot(y / height - 0.4, x / width - 0.5), 0, 1).astype(np.float32)
    front, back = random.random((height, width, 3)), np.dstack([x / width, y / height, np.full(x.shape, 0.3)])
    mixed = alpha[..., None] * front + (1 - alpha[..., None]) * back
    return np.rint(mixed * 255).astype(np.uint8), alpha


def layers(kernels: ModuleType, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int], **options: bool):
    monkeypatch.setattr(band_solver, "_kernels", lambda: kernels)
    image, alpha = scene(*shape)
    return alpha, band_solver.band_layers(image, alpha, Progress(), **options)


def test_they_are_compiled_where_a_compiler_is() -> None:
    assert any(shutil.which(name) for name in ("cc", "gcc", "clang")), "CI has a compiler"
    assert native.library() is not None, "type: pip install -e ."
    assert native.variant() in ("avx2", "plain")


# Odd sides, single rows and columns, and, over two megapixels, the finest level solved in strips.
SHAPES = [(1, 1), (1, 40), (33, 1), (97, 130), (1501, 1403)]


@pytest.mark.long
@pytest.mark.parametrize("shape", SHAPES)
def test_they_give_what_numpy_s_give(shape, monkeypatch, plain) -> None:
    _, expected = layers(band_plain, monkeypatch, shape)
    for kernels in (band_native, plain):
        _, found = layers(kernels, monkeypatch, shape)
        for one, other in zip(found, expected, strict=True):
            assert one.dtype == np.float32
            np.testing.assert_allclose(one, other, atol=2e-5)


@pytest.mark.long
@pytest.mark.parametrize("shape", SHAPES)
def test_bytes_are_the_floats_rounded_but_for_hidden_colours_that_hardly_differ(shape, monkeypatch, plain) -> None:
    alpha, (floats, _) = layers(band_plain, monkeypatch, shape)
    hidden = alpha < 0.5 * STEP
    for kernels in (band_native, plain, band_plain):
        _, (found, nothing) = layers(kernels, monkeypatch, shape, background=False, eight_bit=True)
        assert nothing is None
        assert found.dtype == np.uint8
        error = np.abs(found * np.float32(STEP) - floats)
        assert error[~hidden].max(initial=0) <= 0.501 * STEP
        assert error.max() <= 1.26 * STEP


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_resampling_is_numpy_s(kind, monkeypatch) -> None:
    random = np.random.default_rng(0)
    for shape in ((700, 333, 3), (5, 3, 3), (1, 1, 1), (64, 50, 4)):
        picture = (random.random(shape) * 255).astype(kind)
        found = resampling.skimage_resize(picture, 32, 40)
        with monkeypatch.context() as without:
            without.setattr(resampling, "_compiled_resample", lambda: None)
            expected = resampling.skimage_resize(picture, 32, 40)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("pixel", [1, 3, 4, 8])
def test_png_filters_are_numpy_s(pixel, monkeypatch) -> None:
    padded = np.random.default_rng(pixel).integers(0, 256, (40, 33 * pixel), np.uint8)
    padded[5:9] = padded[4]
    for kind in (2, 3, 4):
        found = png._filtered(padded, pixel, kind)
        with monkeypatch.context() as without:
            without.setattr(png, "_compiled_filter", lambda: None)
            assert np.array_equal(png._filtered(padded, pixel, kind), found)


def test_strided_arrays_are_refused() -> None:
    with pytest.raises(ValueError, match="contiguous"):
        native.PLACE.from_param(np.zeros((4, 4))[:, ::2])


def test_a_library_of_other_sources_or_none_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "native"
    shutil.copytree(native.LIBRARY.parent, folder, ignore=shutil.ignore_patterns("__pycache__"))
    assert fresh("native_same", folder / "__init__.py").library() is not None
    (folder / "library.c").write_text("/* changed */")
    other = fresh("native_other", folder / "__init__.py")
    assert other.library() is None
    assert other.variant() is None
    assert other.function("rise") is None
    (folder / "kernels.so").unlink()  # first: this very process runs it
    (folder / "kernels.so").write_bytes(b"no library")
    assert fresh("native_broken", folder / "__init__.py").library() is None


def test_without_a_library_numpy_s_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    assert band_solver._kernels() is band_native
    monkeypatch.setattr(native, "library", lambda: None)
    monkeypatch.delitem(sys.modules, "gossamer.foreground.soft_band.native")
    monkeypatch.delattr(sys.modules["gossamer.foreground.soft_band"], "native")
    assert band_solver._kernels() is band_plain


def test_doctor_tells_which_and_how_to_get_them(monkeypatch, capsys) -> None:
    doctor.run([])
    assert f"in C ({native.variant()})" in capsys.readouterr().out
    monkeypatch.setattr(native, "variant", lambda: None)
    doctor.run([])
    assert (
        "NumPy's and SciPy's, many times as slow; to have those in C, type: python -m gossamer.native"
        in capsys.readouterr().out
    )


@pytest.mark.host  # Zig's compiler, which takes as long as all other tests here
def test_building_without_a_compiler_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "core" / "gossamer" / "native"
    shutil.copytree(native.LIBRARY.parent, folder, ignore=shutil.ignore_patterns("__pycache__"))
    hasty(folder)
    source = (ROOT / "hatch_build.py").read_text()
    stub = "BuildHookInterface = object\n"
    source = source.replace("from hatchling.builders.hooks.plugin.interface import BuildHookInterface\n", stub)
    (tmp_path / "hatch_build.py").write_text(source)
    build = fresh("hatch_build", tmp_path / "hatch_build.py")

    assert build.compile_kernels(tmp_path) is None
    assert fresh("native_built", folder / "__init__.py").library() is not None
    (folder / "band.c").write_text("this is not C")
    assert "error" in build.compile_kernels(tmp_path)
    assert not (folder / "kernels.so").exists()  # one of other sources is not left behind
    monkeypatch.setenv("CC", "no-such-compiler")
    assert "no-such-compiler" in build.compile_kernels(tmp_path)
    monkeypatch.delenv("CC")
    hook = build.KernelsHook()
    hook.root = str(tmp_path)
    assert hook.dependencies() == []  # the system's compiler does
    monkeypatch.setenv("PATH", str(tmp_path))
    assert hook.dependencies() == []  # Zig's is here already
    assert "error" in build.compile_kernels(tmp_path)
    shutil.copy(native.LIBRARY.parent / "band.c", folder)
    assert build.compile_kernels(tmp_path) is None
    assert fresh("native_by_zig", folder / "__init__.py").variant() == native.variant()
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "ziglang" else find(name, *rest)
    )
    assert hook.dependencies() == ["ziglang>=0.13"]
    assert build.compile_kernels(tmp_path) == "no C compiler was found"


@pytest.mark.long
def test_a_clone_is_compiled_by_its_install_script(tmp_path: Path) -> None:
    shutil.copy(ROOT / "install.py", tmp_path)
    package = tmp_path / "core" / "gossamer"
    shutil.copytree(ROOT / "core" / "gossamer", package, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    hasty(package / "native")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [sys.executable, str(tmp_path / "install.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert (package / "native" / "kernels.so").is_file()
    broken = {**environment, "CC": "no-such-compiler"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=broken)
    assert done.returncode == 0  # the nodes work without, too
    assert done.stderr.count("\n") == 1


@pytest.mark.long
def test_they_can_be_compiled_after_installing(tmp_path: Path) -> None:
    package = tmp_path / "gossamer"
    shutil.copytree(ROOT / "core" / "gossamer", package, ignore=shutil.ignore_patterns("__pycache__", "kernels.so"))
    hasty(package / "native")
    command = [sys.executable, "-m", "gossamer.native"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"Compiled {package / 'native' / 'kernels.so'}\n"
    environment = {**os.environ, "CC": "no-such-compiler"}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "no-such-compiler" in done.stderr


@pytest.mark.parametrize(("shape", "size"), [((1100, 1003, 3), (407, 301)), ((1403, 1501), (700, 699))])
def test_means_of_areas_are_opencv_s(shape: tuple[int, ...], size: tuple[int, int]) -> None:
    floats = np.random.default_rng(0).random(shape, np.float32)
    expected = cv2.resize(floats, size, interpolation=cv2.INTER_AREA)
    assert resampling._means(floats, *size) is not None
    np.testing.assert_allclose(resampling.shrink(floats, size), expected, atol=1e-5)
    array = (floats * 255).astype(np.uint8)
    found = resampling.shrink(array, size) * 255
    off = np.abs(found - cv2.resize(array, size, interpolation=cv2.INTER_AREA))
    assert off.max() < 1.001  # sums of another order round to the next number here and there
    assert (off > 0.5).mean() < 1e-3
