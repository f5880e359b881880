"""What bfloat16 wins and what it costs: every runtime that is installed, beside ONNX Runtime in float32, in one run.

    python tests/benchmarks/precisions.py --data FOLDER [--only MODEL ...] [--runs N]

Each picture goes through every runtime in turn, so that others on the machine slow all of them down alike; times are
medians of the network with its resizing, differences those of the masks at the picture's size (at most 1200 pixels)
from ONNX Runtime's. The catalogue's `bfloat16` is the mean difference of torch, in 255ths, over all pictures of FOLDER.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import time
from pathlib import Path

import cv2
import numpy as np

import gossamer
from gossamer.evaluation.boundary import boundary_iou

MODELS = ("u2netp", "u2net", "isnet-general-use")
PICTURES = {".jpg", ".jpeg", ".png", ".webp"}


def pictures(folder: Path) -> list[np.ndarray]:
    """Return the pictures of a folder, none larger than 1200 pixels."""
    found = []
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURES):
        pixels = gossamer.read_image(path).pixels
        scale = min(1.0, 1200 / max(pixels.shape[:2]))
        size = (round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
        found.append(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))
    return found


def measure(name: str, found: list[np.ndarray], runs: int) -> None:
    """Print a line for each runtime and precision of a model."""
    ways = [("onnx", "float32")]
    for runtime in ("torch", "openvino"):
        if importlib.util.find_spec(runtime) is not None:
            ways += [(runtime, "float32"), (runtime, "bfloat16")]
    models = {way: gossamer.load_model(name, runtime=way[0], precision=way[1], device="cpu") for way in ways}
    seconds: dict[tuple[str, str], list[float]] = {way: [] for way in ways}
    apart: dict[tuple[str, str], list[tuple[float, float, float]]] = {way: [] for way in ways}
    for number, picture in enumerate(found):
        truth = models[ways[0]].predict(picture)
        for way, model in models.items():
            if number and way[1] == "float32" and number > runs:
                continue
            started = time.perf_counter()
            mask = model.predict(picture)
            seconds[way].append(time.perf_counter() - started)
            solid, true = mask > 0.5, truth > 0.5
            iou = float((solid & true).sum() / max(1, (solid | true).sum()))
            edge = boundary_iou(solid.astype(np.float32), true.astype(np.float32))
            apart[way].append((float(np.abs(mask - truth).mean()) * 255, iou, edge))
    usual = statistics.median(seconds[ways[0]][1:] or seconds[ways[0]])
    for way in ways:
        median = statistics.median(seconds[way][1:] or seconds[way])
        difference, iou, edge = np.array(apart[way]).T
        print(
            f"{name:18} {' '.join(way):18} {median:7.3f} s {usual / median:5.2f} x   mean difference "
            f"{difference.mean():.4f}/255, worst {difference.max():.3f}; IoU {iou.mean():.4f}, worst {iou.min():.4f}; "
            f"boundary IoU {edge.mean():.4f}, worst {edge.min():.4f}",
            flush=True,
        )


def main() -> None:
    """Measure each model in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--runs", type=int, default=8, help="pictures that float32 is timed on")
    options = parser.parse_args()
    found = pictures(options.data)
    for name in options.only:
        measure(name, found, options.runs)


if __name__ == "__main__":
    main()
