"""One GIMP user with the plug-in installed, and one GIMP run that works through all cases without windows."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data

import gossamer
from gossamer.hosts.gimp import install
from gossamer.image import encode_image
from gossamer.settings.parameters import recipe_from_flat
from tests.cached_weights import cache_folder, weights_home
from tests.canvas.test_photographed import scene
from tests.gimp.box import Box, python_for_box

SCRIPTS = Path(__file__).parent / "scripts"


@dataclass
class Desk:
    """A box together with the folder that it shares with the tests."""

    box: Box
    share: Path
    python: Path

    def batch(self, script: str, **env: str) -> subprocess.CompletedProcess[str]:
        return self.box.batch(
            SCRIPTS / script, env={"SHARE": str(self.share), "SCRIPTS": str(SCRIPTS), **env}, timeout=800
        )


def make_desk(folder: Path) -> Desk:
    share, runtime, profile = folder / "share", folder / "run", folder / "profile"
    share.mkdir()
    runtime.mkdir(mode=0o700)
    home = share / "home"  # with the smallest model alone: that is what auto takes then
    (home / "models").mkdir(parents=True)
    shutil.copy(weights_home() / "models" / "u2netp.onnx", home / "models")
    python, places = python_for_box(folder / "python")
    box = Box(
        profile,
        read_only=(*places, SCRIPTS),
        writable=(share, runtime, Path(gossamer.__file__).parents[1]),  # compiled kernels are kept beside it
        env={
            "GOSSAMER_HOME": str(home),
            "HF_HUB_CACHE": "/nowhere",
            "U2NET_HOME": "/nowhere",
            "XDG_RUNTIME_DIR": str(runtime),
        },
    )
    (installed,) = install(box.gimp_folder, python=python)
    assert installed.folder == box.gimp_folder / "plug-ins" / "gossamer_gimp"
    return Desk(box, share, python)


def driven(
    make: Callable[[], Desk],
    script: str,
    cat: np.ndarray,
    env: Callable[[Desk], Mapping[str, str]],
    shortcuts: Mapping[str, str] | None = None,
) -> Desk:
    """Let a script drive a GIMP with windows in which a photograph of a cat is to be opened; return its desk.

    On a busy machine GTK may ask where the pointer is in a window that was just closed (seen once), which ends GIMP
    (BadWindow): it is started once more then, as a person would.
    """
    lines = [f'(action "{action}" "<Primary><Shift>{key}")' for action, key in (shortcuts or {}).items()]
    for again in (True, False):
        desk = make()
        (desk.share / "cat.png").write_bytes(encode_image(cat.astype(np.float32) / 255, None, "png"))
        if lines:
            (desk.box.gimp_folder / "shortcutsrc").write_text("\n".join(["(file-version 1)", *lines]) + "\n")
        given = {"SHARE": str(desk.share), "SCRIPTS": str(SCRIPTS), **env(desk)}
        done = desk.box.run(["/usr/bin/python3", str(SCRIPTS / script)], env=given, timeout=600)
        screens = cache_folder() / "gimp-screens"  # for people to look at, also after a failure
        screens.mkdir(exist_ok=True)
        for screen in desk.share.glob("*.png"):
            shutil.copy(screen, screens)
        if not (again and "The program 'gimp' received an X Window System error" in done.stdout):
            break
    assert "Traceback" not in done.stdout, done.stdout[-6000:]  # what fails in a callback reaches nobody else
    assert "GUI-TEST-OK" in done.stdout, f"{done.stdout[-3000:]}\nThe screens are in {screens}."
    return desk


@dataclass
class Cases:
    """What GIMP left behind for each case: facts, and planes of pixels."""

    share: Path
    facts: dict[str, dict[str, Any]]
    output: str

    def __getitem__(self, case: str) -> dict[str, Any]:
        return self.facts[case]

    def plane(self, case: str, name: str) -> np.ndarray:
        """Return the pixels that the script saved as `name`, as (H, W) or (H, W, C)."""
        kind, height, width, channels = self.facts[case]["planes"][name]
        pixels = np.fromfile(self.share / f"{case}.{name}", kind)
        return pixels.reshape((height, width) if channels == 1 else (height, width, channels))


@pytest.fixture(scope="session")
def cat() -> np.ndarray:
    """A real photograph: (300, 451, 3) uint8."""
    return skimage.data.chelsea()


@pytest.fixture(scope="session")
def cat16(cat: np.ndarray) -> np.ndarray:
    """The same with 16 bits, whose low bits are in use: (300, 451, 3) uint16."""
    smooth = cv2.GaussianBlur(cat.astype(np.float32), (0, 0), 0.7)
    return (smooth * 257).round().astype(np.uint16)


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return make_desk(tmp_path_factory.mktemp("gimp"))


@pytest.fixture(scope="session")
def cases(desk: Desk, cat: np.ndarray, cat16: np.ndarray) -> Cases:
    ramp = np.tile(np.linspace(0, 1, cat.shape[1], dtype=np.float32), (cat.shape[0], 1))
    pictures = {
        "cat.png": encode_image(cat.astype(np.float32) / 255, None, "png"),
        "cat16.png": encode_image(cat16.astype(np.float32) / 65535, None, "png", bit_depth=16),
        "alpha.png": encode_image(cat.astype(np.float32) / 255, ramp, "png"),
        "product.png": encode_image(scene()[0], None, "png"),
        "astronaut.png": encode_image(skimage.data.astronaut().astype(np.float32) / 255, None, "png"),
    }
    for name, data in pictures.items():
        (desk.share / name).write_bytes(data)
    done = desk.batch("cases.py")
    facts = json.loads((desk.share / "facts.json").read_text())
    return Cases(desk.share, facts, done.stdout)


@pytest.fixture(scope="session")
def library() -> Library:
    return Library()


class Library:
    """What the library itself makes of a picture, with the model that the cases use."""

    def __init__(self) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("GOSSAMER_HOME", str(weights_home()))
            self._pipeline = gossamer.Pipeline(model="u2netp", device="cpu")
            self._pipeline.load()

    def __call__(self, pixels: np.ndarray, **options: Any) -> gossamer.Cutout:
        return self._pipeline.run(pixels, recipe=recipe_from_flat(options))
