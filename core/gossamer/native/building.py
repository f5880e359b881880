"""Compiling the kernels in C: when the package is built, or afterwards by ``python -m gossamer.native``.

The package ``ziglang`` is a C compiler for every platform, and for every other one. It makes the five libraries that a
wheel carries, and this machine's where the system has no compiler.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["TARGETS", "ZIG", "compile_library", "compiler", "main", "zig"]

ZIG = "ziglang>=0.13"
"""The requirement that brings a compiler along."""

TARGETS = {
    "linux-x86_64": "x86_64-linux-gnu.2.17",
    "linux-aarch64": "aarch64-linux-gnu.2.17",
    "windows-x86_64": "x86_64-windows-gnu",
    "macos-x86_64": "x86_64-macos",
    "macos-aarch64": "aarch64-macos",
}
"""What a wheel carries libraries for, and what Zig calls these platforms."""

_FLAGS = (
    *("-std=c11", "-O3", "-shared", "-fPIC", "-fvisibility=hidden", "-Wno-psabi"),
    *("-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math"),
)


def zig(name: str | None) -> list[str]:
    """Return the command of Zig's C compiler for a platform of `TARGETS`; for this very processor where it is None."""
    target = [] if name is None else ["-target", TARGETS[name]]
    # -s: without symbols for debugging, which are most of what it makes; -g0 keeps Windows' from a file of their own.
    return [sys.executable, "-m", "ziglang", "cc", *target, "-s", "-g0"]


def compiler(name: str | None) -> list[str] | None:
    """Return the command of a C compiler for this machine, whose platform has this name in `TARGETS` or none.

    The one that ``CC`` names, else the system's, else Zig's where that is installed.
    """
    if named := shlex.split(os.environ.get("CC", "")):
        return named
    for each in ("cc", "gcc", "clang"):
        if path := shutil.which(each):
            return [path]
    if importlib.util.find_spec("ziglang") is None:
        return None
    glibc = platform.libc_ver()[0] == "glibc"
    return zig(name if name in TARGETS and (glibc or not str(name).startswith("linux")) else None)


def compile_library(
    folder: Path,
    library: Path,
    digest: str,
    command: Sequence[str] | None,
    environment: Mapping[str, str] | None = None,
) -> str | None:
    """Compile the sources of a folder.

    Parameters
    ----------
    folder : pathlib.Path
        Where the sources are.
    library : pathlib.Path
        What is made; one that is there is removed first, so that none of other sources is left behind.
    digest : str
        What the sources hash to, which the library will tell.
    command : sequence of str or None
        A C compiler: of :func:`compiler` or :func:`zig`.
    environment : mapping, optional
        Instead of this process's.

    Returns
    -------
    str or None
        What went wrong, if anything did.
    """
    try:
        library.unlink(missing_ok=True)
        if not command:
            return "no C compiler was found"
        sources = [str(path) for path in sorted(folder.glob("*.c"))]
        # In a folder of its own: some compilers leave more than the library.
        with tempfile.TemporaryDirectory(prefix="gossamer-") as made:
            result = Path(made) / "kernels.so"
            line = [*command, *_FLAGS, f'-DSOURCES="{digest}"', *sources, "-o", str(result), "-lm"]
            done = subprocess.run(line, capture_output=True, text=True, check=False, env=environment)
            if done.returncode != 0:
                told = [line for line in done.stderr.splitlines() if line.strip()]
                return next((line for line in told if "error" in line), told[-1] if told else "the compiler failed")
            new = library.with_suffix(".new")
            shutil.copyfile(result, new)
            new.replace(library)  # whole or not at all
    except OSError as error:
        return str(error)
    return None


def main(fetch: bool = True) -> int:
    """Compile into the package's own folder; where there is no compiler, Zig's is fetched for that and not kept."""
    from gossamer import native

    place = native.LIBRARY.parent, native.LIBRARY, native.digest()
    command = compiler(native.platform_name())
    if command is not None or not fetch:
        problem = compile_library(*place, command)
    else:
        problem = _compile_by_fetched_zig(*place)
    if problem is None and native.library() is None:
        problem = "what was compiled cannot be loaded"
    if problem is not None:
        sys.stderr.write(
            f"gossamer: The kernels in C could not be compiled: {problem}. Plain ones, many times as slow, are used.\n"
        )
        return 1
    sys.stdout.write(f"Compiled {native.LIBRARY}\n")
    return 0


def _compile_by_fetched_zig(folder: Path, library: Path, digest: str) -> str | None:
    from gossamer import native

    with tempfile.TemporaryDirectory(prefix="gossamer-zig-") as packages:
        pip = [sys.executable, "-m", "pip"] if importlib.util.find_spec("pip") else ["uv", "pip"]
        try:
            fetched = subprocess.run(
                [*pip, "install", "--quiet", "--target", packages, ZIG], capture_output=True, text=True, check=False
            )
        except OSError:
            return "no C compiler was found, and neither pip nor uv to fetch one"
        if fetched.returncode != 0:
            return "no C compiler was found, and ziglang could not be fetched"
        name = native.platform_name()
        command = zig(name if name in TARGETS and platform.libc_ver()[0] in ("glibc", "") else None)
        environment = {**os.environ, "PYTHONPATH": packages, "ZIG_GLOBAL_CACHE_DIR": str(Path(packages) / "cache")}
        return compile_library(folder, library, digest, command, environment)
