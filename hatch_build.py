"""Compiles the kernels in C when the package is built; without a compiler it is built without them.

The system's compiler is taken, else that of the package ``ziglang``, which pip then brings along for the build alone.
GOSSAMER_KERNELS=0 leaves the kernels out, GOSSAMER_KERNELS=1 fails where they cannot be compiled, and
GOSSAMER_KERNELS=carried packs those that ``tools/build_wheel.py`` has made for every platform.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class KernelsHook(BuildHookInterface):
    """Adds the compiled library to the wheel, or to the tree that is installed editable."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Ask for a compiler where the system has none."""
        native, building = _modules(Path(self.root))
        wished = os.environ.get("GOSSAMER_KERNELS", "") not in ("0", "carried")
        return [building.ZIG] if wished and building.compiler(native.platform_name()) is None else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile before the files are gathered."""
        wish = os.environ.get("GOSSAMER_KERNELS", "")
        if wish == "carried":
            build_data["artifacts"].append("/core/gossamer/native/kernels-*.so")
            return
        problem = "left out as asked" if wish == "0" else compile_kernels(Path(self.root))
        if problem is None:
            build_data["artifacts"].append("/core/gossamer/native/kernels.so")
            build_data["pure_python"] = version == "editable"
            build_data["infer_tag"] = version != "editable"
        elif wish == "1":
            raise RuntimeError(f"The kernels in C could not be compiled: {problem}")
        else:
            instead = "plain ones are used instead, as exact and many times as slow"
            self.app.display_warning(f"Built without the kernels in C ({problem}); {instead}.")


def compile_kernels(root: Path) -> str | None:
    """Compile the library in place, the package not being installed yet; returns what went wrong, if anything did."""
    native, building = _modules(root)
    command = building.compiler(native.platform_name())
    problem: str | None = building.compile_library(native.LIBRARY.parent, native.LIBRARY, native.digest(), command)
    return problem


def _modules(root: Path) -> tuple[ModuleType, ModuleType]:
    folder = root / "core" / "gossamer" / "native"
    return _module(folder / "__init__.py"), _module(folder / "building.py")


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise RuntimeError(f"{path} is no module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
