"""Compiles the kernels in C when the package is built; without a compiler it is built without them.

Building with GOSSAMER_KERNELS=0 leaves them out, with GOSSAMER_KERNELS=1 fails where they cannot be compiled.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_FLAGS = ("-std=c11", "-O3", "-shared", "-fPIC", "-fvisibility=hidden", "-ffp-contract=fast", "-Wno-psabi")


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
    """Compile the library in place; returns what went wrong, if anything did."""
    folder = root / "core" / "gossamer" / "native"
    spec = importlib.util.spec_from_file_location("native", folder / "__init__.py")
    if spec is None or spec.loader is None:
        raise RuntimeError(f"{folder} is no package")
    native = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(native)
    library: Path = native.LIBRARY
    library.unlink(missing_ok=True)
    compiler = (
        shlex.split(os.environ.get("CC", ""))
        or [found for name in ("cc", "gcc", "clang") if (found := shutil.which(name))][:1]
    )
    if not compiler:
        return "no C compiler was found"
    made = library.with_suffix(".new")
    sources = [str(path) for path in sorted(folder.glob("*.c"))]
    command = [*compiler, *_FLAGS, f'-DSOURCES="{native.digest()}"', *sources, "-o", str(made)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        return str(error)
    if done.returncode != 0:
        made.unlink(missing_ok=True)
        return next((line for line in done.stderr.splitlines() if "error" in line), "the compiler failed")
    made.replace(library)
    return None
