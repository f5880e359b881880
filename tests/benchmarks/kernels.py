"""What the compiled kernels are to give: no waiting on first use, and mattes from masks in moments.

    python tests/benchmarks/kernels.py [--rounds 5] [--data FOLDER] [--json]

The first `gossamer refine` after an installation is beside later ones; both are processes of their own. Mattes from
masks of a made-up furry subject are beside the seconds that they may take on two cores, and so are those of the
photographs in FOLDER, ``input/*.png`` and ``alpha/*.png`` of the same names.
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


def seen(method: str, alpha: np.ndarray) -> np.ndarray:
    """Return the mask that a method is given: from_mask a hard one, auto what a network of 1024 pixels would give."""
    if method == "from_mask":
        return (alpha > 0.5).astype(np.float32)
    small = cv2.resize(alpha, (1024, 1024), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, alpha.shape[::-1], interpolation=cv2.INTER_LINEAR)


def seconds(method: str, image: np.ndarray, mask: np.ndarray, rounds: int) -> float:
    """Return the median after a first time."""
    matte = {"from_mask": matte_from_mask, "auto": auto_alpha}[method]
    matte(image, mask)
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        matte(image, mask)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def matting(method: str, megapixels: float, rounds: int) -> Row:
    """Measure a method at one size, on a subject that is furry all around."""
    width = int((megapixels * 1.5e6) ** 0.5)
    image, alpha, _ = made_up(width, int(megapixels * 1e6 / width), 0)
    what = f"{method}, {megapixels:g} MP, a very furry made-up subject"
    taken = seconds(method, image, seen(method, alpha), rounds)
    return Row("Compiled kernels", what, "allowed", "s", ALLOWED[method][megapixels], taken, 1)


def photographs(method: str, folder: Path, rounds: int, megapixels: float = 0.5) -> list[Row]:
    """Measure a method on the photographs of a folder."""
    found = []
    for path in sorted((folder / "input").glob("*.png")):
        picture, alpha = (cv2.imread(str(folder / each / path.name)) for each in ("input", "alpha"))
        factor = (megapixels * 1e6 / (picture.shape[0] * picture.shape[1])) ** 0.5
        image, truth = (
            cv2.resize(each, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA) for each in (picture, alpha)
        )
        found.append(seconds(method, image[..., ::-1].copy(), seen(method, np.float32(truth[..., 0] / 255)), rounds))
    allowed, of = ALLOWED[method][megapixels], f"{method}, {megapixels:g} MP, {len(found)} photographs"
    numbers = {"mean": statistics.mean(found), "median": statistics.median(found), "worst": max(found)}
    return [Row("Compiled kernels", f"{of}, {name}", "allowed", "s", allowed, one, 1) for name, one in numbers.items()]


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = [
        first_use(options.rounds),
        *(matting(method, size, options.rounds) for method, sizes in ALLOWED.items() for size in sizes),
    ]
    if options.data:
        rows += [row for method in ALLOWED for row in photographs(method, options.data, options.rounds)]
    print(dump(rows) if options.json else table(rows))


if __name__ == "__main__":
    main()
