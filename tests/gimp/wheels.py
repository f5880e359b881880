"""Wheels for the set-up without a network: ours, packed from the sources, and empty ones of what it needs."""

from __future__ import annotations

import re
import sysconfig
import tomllib
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import gossamer

ROOT = Path(__file__).parents[2]


def pack(folder: Path, name: str, version: str, files: Mapping[str, bytes], needs: Iterable[str] = ()) -> Path:
    """Write a wheel for any Python and system."""
    stem = f"{name.replace('-', '_')}-{version}"
    about = f"{stem}.dist-info"
    metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}", *(f"Requires-Dist: {one}" for one in needs)]
    held = {
        **files,
        f"{about}/METADATA": ("\n".join(metadata) + "\n").encode(),
        f"{about}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    path = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for file, data in held.items():
            archive.writestr(file, data)
        archive.writestr(f"{about}/RECORD", "".join(f"{file},,\n" for file in (*held, f"{about}/RECORD")))
    return path


def gossamer_wheel(folder: Path) -> Path:
    """Pack these sources, with the kernels that are compiled in them."""
    files = {}
    for package in (ROOT / "core" / "gossamer", ROOT / "gimp_plugin" / "gossamer_gimp"):
        for path in package.rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith("."):
                files[path.relative_to(package.parent).as_posix()] = path.read_bytes()
    return pack(folder, "gossamer", gossamer.__version__, files, requirements())


def stand_ins(folder: Path) -> Path:
    """Pack what Gossamer needs, empty; the first leads to where the tests' own packages lie. Returns their folder."""
    outside = f"{sysconfig.get_path('purelib')}\n".encode()
    for number, one in enumerate(requirements()):
        name = re.split(r"[<>=!~\[; ]", one)[0]
        pack(folder, name, "9999.0", {"outside.pth": outside} if number == 0 else {})
    return folder


def requirements() -> list[str]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
