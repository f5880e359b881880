"""Whole batches from a cold start, `gossamer batch` beside `rembg p`, in turns.

    python tests/benchmarks/batch.py --rembg PYTHON [--photos FOLDER] [--pictures 40] [--rounds 3] [--made FOLDER]
        [--only KIND] [--way WAY] [--json]

Pictures are JPEGs cut out of the photographs of a folder (without one, of scikit-image), enlarged to 12 and to 1
megapixels. Ours are with foreground colours, which rembg does not estimate unless it is asked; with matting, which is
our default, and as rembg without; with and without the checks. ``PYTHON`` has ``rembg[cpu,cli]``; the weights are
found (or fetched) by Gossamer and lent to rembg as links. ``--made`` keeps the pictures for the next time.
Processor use is that of the programs against all cores: what others do there meanwhile is told as the load.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from rows import Row, dump, table

from gossamer.weights import store
from gossamer.weights.catalogue import model_card

WAYS = {
    "default": [],
    "no check": ["--no-check"],
    "no matting": ["--matting", "none"],
    "no matting, no check": ["--matting", "none", "--no-check"],
}
KINDS = {"12 MP, u2netp": ((4000, 3000), "u2netp", 2.5), "1 MP, u2net": ((1200, 900), "u2net", 1.2)}


class Taken(NamedTuple):
    """What a run took, in seconds of the clock and of the processor."""

    seconds: float
    processor: float


def photographs(folder: str | None) -> list[np.ndarray]:
    """Return pictures to cut from, (H, W, 3) BGR."""
    if folder is not None:
        found = [cv2.imread(str(path)) for path in sorted(Path(folder).iterdir())]
        return [picture for picture in found if picture is not None]
    import skimage.data

    names = ("astronaut", "chelsea", "coffee", "rocket")
    return [np.ascontiguousarray(getattr(skimage.data, name)()[..., 2::-1]) for name in names]


def make(pictures: list[np.ndarray], folder: Path, count: int, size: tuple[int, int]) -> None:
    """Write so many JPEGs, each another piece of a picture, where they are not there."""
    if folder.is_dir() and len(list(folder.iterdir())) == count:
        return
    chance = np.random.default_rng(3)
    folder.mkdir(parents=True)
    for number in range(count):
        whole = pictures[number % len(pictures)]
        height, width = whole.shape[:2]
        part = 1 - 0.15 * chance.random()
        top, left = (int(chance.random() * side * (1 - part)) for side in (height, width))
        piece = whole[top : top + int(part * height), left : left + int(part * width)]
        piece = cv2.resize(piece, size if width >= height else size[::-1], interpolation=cv2.INTER_CUBIC)
        noisy = piece + chance.normal(0, 2, piece.shape).astype(np.float32)
        cv2.imwrite(str(folder / f"p{number:04d}.jpg"), np.clip(noisy, 0, 255).astype(np.uint8), [1, 92])


def lend(model: str, folder: Path) -> None:
    """Let rembg find the weights of a model that Gossamer has."""
    weights = store.fetch(model_card(model), announce=print, runtime="onnx")
    folder.mkdir(exist_ok=True)
    link = folder / f"{model}.onnx"
    link.unlink(missing_ok=True)
    link.symlink_to(weights.path)
    os.environ["U2NET_HOME"] = str(folder)


def run(command: list[str], out: Path, count: int) -> Taken:
    """Run a program that fills a new folder."""
    shutil.rmtree(out, ignore_errors=True)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, check=False)
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if len(list(out.glob("*.png"))) != count:
        raise SystemExit(f"{command} made not all: {done.stderr.decode()[-2000:]}")
    return Taken(seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def main() -> None:
    """Run as a program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rembg", required=True, help="an interpreter")
    parser.add_argument("--photos")
    parser.add_argument("--pictures", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=tuple(KINDS), action="append")
    parser.add_argument("--way", choices=tuple(WAYS), action="append", help="of ours; all without it")
    parser.add_argument("--made", help="a folder that keeps the pictures")
    parser.add_argument("--json", action="store_true", help="print rows for run.py")
    options = parser.parse_args()
    rembg = str(Path(options.rembg).with_name("rembg"))
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind, (size, model, goal) in KINDS.items():
            if options.only and kind not in options.only:
                continue
            source = (Path(options.made) if options.made else folder) / f"in-{model}-{options.pictures}"
            out = folder / "out"
            lend(model, folder / "lent")
            make(photographs(options.photos), source, options.pictures, size)
            ours = [sys.executable, "-m", "gossamer", "batch", str(source), "--out", str(out), "--model", model]
            commands = {"rembg p": [rembg, "p", "-m", model, str(source), str(out)]}
            commands |= {way: [*ours, *WAYS[way]] for way in options.way or WAYS}
            taken: dict[str, list[Taken]] = {each: [] for each in commands}
            for _ in range(options.rounds):
                for each, command in commands.items():
                    taken[each].append(run(command, out, options.pictures))
            for each, several in taken.items():
                seconds = statistics.median(one.seconds for one in several)
                processor = statistics.median(one.processor for one in several)
                used = processor / seconds / (os.cpu_count() or 1)
                print(
                    f"{kind}: {each}: {seconds / options.pictures:.2f} s a picture, "
                    f"{processor / options.pictures:.2f} s of the processor, {used:.0%} of all cores; "
                    f"load {os.getloadavg()[0]:.1f}",
                    file=sys.stderr,
                    flush=True,
                )
            for each, several in list(taken.items())[1:]:
                theirs, own = (statistics.median(one.seconds for one in some) for some in (taken["rembg p"], several))
                what = f"{kind}, {options.pictures} pictures, {each}"
                rows.append(Row("Batches", what, "rembg p", "s", theirs, own, goal))
    print(dump(rows) if options.json else table(rows))


if __name__ == "__main__":
    main()
