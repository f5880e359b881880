"""What the compiled kernels are to give: no waiting on first use, and mattes from masks in moments.

    python tests/benchmarks/kernels.py [--rounds 5] [--json]

The first `gossamer refine` after an installation is beside later ones; both are processes of their own. Mattes from
masks of a made-up furry subject are beside the seconds that they may take on two cores.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from foreground import made_up
from rows import Row, dump, table

import gossamer
from gossamer.matting import auto_alpha, matte_from_mask

ALLOWED = {"from_mask": {0.5: 0.25, 12.0: 1.2}, "auto": {0.5: 0.25, 12.0: 1.0}}  # seconds at so many megapixels


def first_use(rounds: int) -> Row:
    """Measure a fresh copy of the package, its bytecode made as pip does, and the same copy again."""
    first, later = [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            shutil.copytree(Path(gossamer.__file__).parent, folder / "gossamer", ignore=shutil.ignore_patterns("*.pyc"))
            subprocess.run([sys.executable, "-m", "compileall", "-q", str(folder)], check=True)
            image, alpha, _ = made_up(900, 600, 0)
            cv2.imwrite(str(folder / "photo.png"), np.rint(image * 255).astype(np.uint8)[..., ::-1])
            cv2.imwrite(str(folder / "mask.png"), np.where(alpha > 0.5, 255, 0).astype(np.uint8))
            command = [sys.executable, "-m", "gossamer", "refine", "photo.png", "mask.png", "out.png"]
            environment = {**os.environ, "PYTHONPATH": str(folder), "HOME": temporary, "XDG_CACHE_HOME": temporary}
            for number in range(3):
                start = time.perf_counter()
                subprocess.run(
                    [*command, "--matting", "from_mask", "--force", "--quiet"],
                    cwd=folder,
                    env=environment,
                    check=True,
                    stdout=subprocess.DEVNULL,
                )
                (later if number else first).append(time.perf_counter() - start)
    times = statistics.median(later), statistics.median(first)
    return Row("Compiled kernels", "first refine after an installation", "a later one", "s", *times, 1 / 1.1)


def matting(method: str, megapixels: float, rounds: int) -> Row:
    """Measure a method at one size: from_mask with a hard mask, auto with what a network of 1024 pixels would give."""
    width = int((megapixels * 1.5e6) ** 0.5)
    image, alpha, _ = made_up(width, int(megapixels * 1e6 / width), 0)
    mask = (alpha > 0.5).astype(np.float32)
    if method == "auto":
        seen = cv2.resize(alpha, (1024, 1024), interpolation=cv2.INTER_AREA)
        mask = cv2.resize(seen, alpha.shape[::-1], interpolation=cv2.INTER_LINEAR)
    matte = {"from_mask": matte_from_mask, "auto": auto_alpha}[method]
    matte(image, mask)
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        matte(image, mask)
        times.append(time.perf_counter() - start)
    what = f"{method}, {megapixels:g} MP"
    return Row("Compiled kernels", what, "allowed", "s", ALLOWED[method][megapixels], statistics.median(times), 1)


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = [
        first_use(options.rounds),
        *(matting(method, size, options.rounds) for method, sizes in ALLOWED.items() for size in sizes),
    ]
    print(dump(rows) if options.json else table(rows))


if __name__ == "__main__":
    main()
