"""Build the wheel that everyone gets: one file for all platforms, with the kernels in C for five of them.

    pip install ziglang && python tools/build_wheel.py [--out dist]

Zig compiles for every platform on any; the wheel's library for this one is loaded before it is believed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LEFT_OUT = ("__pycache__", ".*", "*.so", "*.egg-info", "dist", "build", "tests", "docs", "example_workflows")


def main() -> int:
    """Build it and tell where it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="folder to write to")
    out = parser.parse_args().out.resolve()
    if find_spec("ziglang") is None:
        sys.exit("build_wheel: Zig's C compiler is not installed. Type: pip install ziglang")
    with tempfile.TemporaryDirectory(prefix="gossamer-wheel-") as temporary:
        tree = Path(temporary) / "tree"
        shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*LEFT_OUT))
        sys.path.insert(0, str(tree / "core"))
        from gossamer import native
        from gossamer.native import building

        def compiled(name: str) -> str | None:
            command = building.zig(name)
            return building.compile_library(native.LIBRARY.parent, native.carried(name), native.digest(), command)

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            problems = list(pool.map(compiled, building.TARGETS))
        for name, problem in zip(building.TARGETS, problems, strict=True):
            if problem is not None:
                sys.exit(f"build_wheel: The kernels for {name} could not be compiled: {problem}")
            print(f"{name}: {native.carried(name).stat().st_size / 1000:.0f} kB")
        if native.platform_name() in building.TARGETS and native.library() is None:
            sys.exit("build_wheel: The kernels for this platform cannot be loaded.")
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", temporary, str(tree)]
        done = subprocess.run(command, env={**os.environ, "GOSSAMER_KERNELS": "carried"}, check=False)
        if done.returncode != 0:
            sys.exit("build_wheel: pip could not build the wheel; see above.")
        wheel = next(Path(temporary).glob("gossamer-*.whl"))
        out.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(wheel, out / f"{wheel.name}.new")
        (out / f"{wheel.name}.new").replace(out / wheel.name)
        print(out / wheel.name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
