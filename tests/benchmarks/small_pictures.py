"""At which size a network of any size should see pictures that are smaller than what it was trained on.

    python tests/benchmarks/small_pictures.py measure ROWS --cut-outs FOLDER --backdrops FOLDER [--part N/M] [--sizes N]
    python tests/benchmarks/small_pictures.py show ROWS ... [--usual N]

FOLDER of the cut-outs holds ``input/*.png`` and ``alpha/*.png`` (the training set of alphamatting.com is laid out so),
that of the backdrops photographs of anything. Pictures are these photographs themselves, their cut-outs before the
backdrops (``crowded_scenes.py``), and before paper and walls with things that are drawn (``plates.py``), whose alpha is
exact; each is made as small as pictures in shops and forums are, 200 to 500 pixels on its longer side. IS-Net in torch
sees each at several sizes.

``measure`` writes a line for each into ROWS. ``show`` prints means for the two halves of the subjects: a size is chosen
on one, and counts where the other, which nobody chose by, agrees.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from crowded_scenes import pictures, scenes
from plates import plated

import gossamer
from gossamer.evaluation import evaluate_matte
from gossamer.evaluation.boundary import boundary_iou
from gossamer.matting.auto import auto_alpha
from gossamer.segmentation.model import SegmentationModel

MODEL = "isnet-general-use"
SIZES = (1024, 896, 768, 640, 512)
SIDES = (200, 280, 360, 440, 500)
"""Pixels of the longer side; each picture is seen at two of them."""
MEASURES = ("error", "mse", "iou", "boundary_iou", "gradient", "matted")
LOWER = {"error", "mse", "gradient", "matted"}


class Small(NamedTuple):
    """A small picture and its truth."""

    kind: str
    name: str
    half: int
    image: np.ndarray
    alpha: np.ndarray


def small_pictures(cut_outs: Path, backdrops: Path) -> Iterator[Small]:
    """Yield every picture at two sizes; the two halves have no subject in common."""
    subjects = {name: number % 2 for number, (name, *_) in enumerate(pictures(cut_outs))}
    photos = [cv2.imread(str(path))[:, :, ::-1].astype(np.float32) / 255 for path in sorted(backdrops.iterdir())]
    found = [("photograph", name, subjects[name], image, alpha) for name, image, alpha in pictures(cut_outs)]
    for seed in range(2):
        made = [scene for scene in scenes(cut_outs, backdrops, seed) if "clutter" in scene.name]
        found += [("composed", f"{each.name} {seed}", subjects[each.subject], each.image, each.alpha) for each in made]
    for kind in ("white", "shop", "wall"):
        for number, each in enumerate(plated(kind, photos, cut_outs, 8, 0.4)):
            half = subjects.get(each.name, number % 2)
            found.append((kind, each.name, half, each.image, each.alpha))
    for number, (kind, name, half, image, alpha) in enumerate(found):
        for side in (SIDES[number % 5], SIDES[(number + 2) % 5]):
            part = side / max(alpha.shape)
            size = max(1, round(alpha.shape[1] * part)), max(1, round(alpha.shape[0] * part))
            seen = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            seen = np.rint(np.clip(seen, 0, 1) * 255).astype(np.uint8)
            yield Small(kind, f"{name} {side}", half, seen, cv2.resize(alpha, size, interpolation=cv2.INTER_AREA))


def measured(mask: np.ndarray, picture: Small) -> list[float]:
    """Return what :data:`MEASURES` names."""
    truth, found = picture.alpha > 0.5, mask > 0.5
    union = int((truth | found).sum())
    matte = evaluate_matte(mask, picture.alpha, measures=("mse", "gradient")).values
    matted = auto_alpha((picture.image / 255).astype(np.float32), mask)
    return [
        float(np.abs(mask - picture.alpha).mean() * 255),
        float(matte["mse"]),
        int((truth & found).sum()) / union if union else 1.0,
        float(boundary_iou(found, truth)),
        float(matte["gradient"]),
        float(np.abs(matted - picture.alpha).mean() * 255),
    ]


def measure(rows: Path, options: argparse.Namespace) -> None:
    """Write a line for each picture and size."""
    part, parts = (int(number) for number in options.part.split("/"))
    usual = gossamer.load_model(MODEL, runtime="torch", precision=options.precision, device="cpu")
    models = {}
    for size in options.sizes:
        fed = dataclasses.replace(usual._input, size=(size, size))
        models[size] = SegmentationModel(MODEL, usual._network, (fed, usual._output))
    with rows.open("w", newline="") as file:
        table = csv.writer(file)
        for number, picture in enumerate(small_pictures(options.cut_outs, options.backdrops)):
            if number % parts != part:
                continue
            for size, model in models.items():
                started = time.perf_counter()
                mask = model.predict(picture.image)
                seconds = time.perf_counter() - started
                table.writerow([*picture[:3], size, f"{seconds:.3f}", *(f"{x:.6g}" for x in measured(mask, picture))])
            file.flush()


def show(paths: list[Path], usual: int) -> None:
    """Print the means of each half, and how many pictures are better and worse than at the usual size."""
    rows = [line for path in paths for line in csv.reader(path.open())]
    values = {(line[0], line[1], int(line[3])): np.array(line[5:], float) for line in rows}
    halves = {(line[0], line[1]): int(line[2]) for line in rows}
    sizes = sorted({key[2] for key in values}, reverse=True)
    kinds = list(dict.fromkeys(key[0] for key in halves))
    for title, chosen in (
        ("first half", [key for key in halves if not halves[key]]),
        ("other half", [key for key in halves if halves[key]]),
        *((kind, [key for key in halves if key[0] == kind]) for kind in kinds),
    ):
        whole = [key for key in chosen if all((*key, size) in values for size in sizes)]
        print(f"\n{title}: {len(whole)} pictures")
        base = np.array([values[*key, usual] for key in whole])
        for size in sizes:
            found = np.array([values[*key, size] for key in whole])
            cells = []
            for at, name in enumerate(MEASURES):
                better = (found[:, at] - base[:, at]) * (-1 if name in LOWER else 1)
                spread = better.std(ddof=1) / math.sqrt(len(whole))
                cells.append(
                    f"{name} {found[:, at].mean():.4g} (median {np.median(found[:, at]):.4g}; better by "
                    f"{better.mean():+.3g} ± {spread:.2g}, in {np.mean(better > 0):.0%})"
                )
            print(f"  {size:5} " + "; ".join(cells))


def main() -> None:
    """Measure, or show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("measure", "show"))
    parser.add_argument("rows", type=Path, nargs="+")
    parser.add_argument("--cut-outs", type=Path)
    parser.add_argument("--backdrops", type=Path)
    parser.add_argument("--part", default="0/1", help="every M-th picture, from the N-th on")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--usual", type=int, default=1024)
    parser.add_argument("--precision", default="float32", choices=("float32", "bfloat16"))
    options = parser.parse_args()
    if options.what == "show":
        show(options.rows, options.usual)
    elif options.cut_outs is None or options.backdrops is None:
        parser.error("--cut-outs and --backdrops are needed")
    else:
        measure(options.rows[0], options)


if __name__ == "__main__":
    main()
