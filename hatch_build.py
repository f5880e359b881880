"""Compiles the kernels in C when the package is built; without a compiler it is built without them.

Building with GOSSAMER_KERNELS=0 leaves them out, with GOSSAMER_KERNELS=1 fails where they cannot be compiled.
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

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile before the files are gathered."""
        wish = os.environ.get("GOSSAMER_KERNELS", "")
        problem = "left out as asked" if wish == "0" else compile_kernels(Path(self.root))
        if problem is None:
            build_data["artifacts"].append("/core/gossamer/native/kernels.so")
            build_data["pure_python"] = version == "editable"
            build_data["infer_tag"] = version != "editable"
        elif wish == "1":
            raise RuntimeError(f"The kernels in C could not be compiled: {problem}")
        else:
            self.app.display_warning(f"Built without the kernels in C ({problem}); numba's are used instead.")


def compile_kernels(root: Path) -> str | None:
    """Compile the library in place, the package not being installed yet; returns what went wrong, if anything did."""
    folder = root / "core" / "gossamer" / "native"
    native, building = _module(folder / "__init__.py"), _module(folder / "building.py")
    problem: str | None = building.compile_library(folder, native.LIBRARY, native.digest())
    return problem


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise RuntimeError(f"{path} is no module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
