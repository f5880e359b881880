"""Compiling the kernels in C: when the package is built, or afterwards by ``python -m gossamer.native``."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["compile_library"]

_FLAGS = ("-std=c11", "-O3", "-shared", "-fPIC", "-fvisibility=hidden", "-ffp-contract=fast", "-Wno-psabi")


def compile_library(folder: Path, library: Path, digest: str) -> str | None:
    """Compile the sources of a folder with the system's C compiler, or the one that ``CC`` names.

    Parameters
    ----------
    folder : pathlib.Path
        Where the sources are.
    library : pathlib.Path
        What is made; one that is there is removed first, so that none of other sources is left behind.
    digest : str
        What the sources hash to, which the library will tell.

    Returns
    -------
    str or None
        What went wrong, if anything did.
    """
    found = [path for name in ("cc", "gcc", "clang") if (path := shutil.which(name))]
    compiler = shlex.split(os.environ.get("CC", "")) or found[:1]
    made = library.with_suffix(".new")
    try:
        library.unlink(missing_ok=True)
        if not compiler:
            return "no C compiler was found"
        sources = [str(path) for path in sorted(folder.glob("*.c"))]
        command = [*compiler, *_FLAGS, f'-DSOURCES="{digest}"', *sources, "-o", str(made)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            made.unlink(missing_ok=True)
            return next((line for line in done.stderr.splitlines() if "error" in line), "the compiler failed")
        made.replace(library)  # whole or not at all
    except OSError as error:
        return str(error)
    return None


def main() -> int:
    """Compile into the package's own folder."""
    from gossamer import native

    problem = compile_library(native.LIBRARY.parent, native.LIBRARY, native.digest())
    if problem is None and native.library() is None:
        problem = "what was compiled cannot be loaded"
    if problem is not None:
        sys.stderr.write(f"gossamer: The kernels in C could not be compiled: {problem}. Numba's are used instead.\n")
        return 1
    sys.stdout.write(f"Compiled {native.LIBRARY}\n")
    return 0
