"""Foreground colours beside the published code: speed, peak memory and error, measured in one run.

    python tests/benchmarks/foreground.py [--megapixels 7.6] [--rounds 5] [--data FOLDER] [--json]

Times are medians of alternating rounds. Memory is the peak of resident memory in a fresh process, in float32
copies of the picture (the picture itself included). Errors are in 1/255, weighted by alpha over soft pixels, on
exact composites: with ``--data`` (a folder with ``input/*.png`` and ``alpha/*.png``, e.g. alphamatting.com's
training set) of foregrounds that the closed form finds from the true alpha, over unrelated photographs of the
set; without it, of made-up furry subjects over the photographs that scikit-image ships.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from rows import Row, dump, table

from gossamer.foreground import METHODS, blur_fusion, estimate_foreground


def published_blur_fusion(image, alpha, radius=90, fine_radius=6):
    """Forte's code: float64 and cv2.blur."""

    def blur(plane, side):
        return cv2.blur(plane, (side, side)).reshape(plane.shape)

    def fusion(image, foreground, background, alpha, side):
        blurred_alpha = blur(alpha, side)
        blurred_f = blur(foreground * alpha, side) / (blurred_alpha + 1e-5)
        blurred_b = blur(background * (1 - alpha), side) / ((1 - blurred_alpha) + 1e-5)
        foreground = blurred_f + alpha * (image - alpha * blurred_f - (1 - alpha) * blurred_b)
        return np.clip(foreground, 0, 1), blurred_b

    image, alpha = image.astype(np.float64), alpha.astype(np.float64)[:, :, None]
    foreground, background = fusion(image, image, image, alpha, radius)
    return fusion(image, foreground, background, alpha, fine_radius)[0]


def pymatting_multilevel(image, alpha):
    from pymatting import estimate_foreground_ml

    return estimate_foreground_ml(image, alpha)


CONTESTANTS: dict[str, Callable] = {
    "published blur fusion": published_blur_fusion,
    "gossamer blur_fusion": blur_fusion,
    "pymatting multi-level": pymatting_multilevel,
    "gossamer auto": lambda image, alpha: estimate_foreground(image, alpha).foreground,
}


def furry_matte(width, height, seed):
    random = np.random.default_rng(seed)
    matte = np.zeros((height, width), np.uint8)
    size, thick = min(width, height), max(1, min(width, height) // 300)
    centre = np.array([width / 2, height / 2])
    cv2.circle(matte, centre.astype(int).tolist(), int(0.28 * size), 255, -1, cv2.LINE_AA)
    for angle in random.uniform(0, 2 * np.pi, 900):
        way = np.array([np.cos(angle), np.sin(angle)])
        end = centre + random.uniform(0.3, 0.47) * size * way + random.normal(0, 0.03, 2) * size
        start = (centre + 0.27 * size * way).astype(int).tolist()
        cv2.line(matte, start, end.astype(int).tolist(), 255, int(random.integers(1, thick + 2)), cv2.LINE_AA)
    return cv2.GaussianBlur(matte.astype(np.float32) / 255, (0, 0), thick * 0.7)


def compose(foreground, alpha, background):
    image = alpha[:, :, None] * foreground + (1 - alpha[:, :, None]) * background
    return (np.round(image * 255) / 255).astype(np.float32)


def made_up(width, height, seed):
    """Return picture, alpha and foreground of a made-up subject over a photograph."""
    from skimage import data

    random = np.random.default_rng(seed)
    alpha = furry_matte(width, height, seed)
    foreground = cv2.resize(random.random((6, 8, 3), dtype=np.float32), (width, height)) * 0.7
    grain = random.random((height // 3, width // 3, 3), dtype=np.float32)
    foreground += cv2.resize(grain, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 1) * 0.25
    photograph = [data.chelsea, data.astronaut, data.coffee, data.rocket][seed % 4]().astype(np.float32) / 255
    return compose(foreground, alpha, cv2.resize(photograph, (width, height))), alpha, foreground


def from_folder(folder: Path) -> Iterator[tuple]:
    from pymatting import estimate_foreground_cf

    names = [path.name for path in sorted((folder / "input").glob("*.png"))]
    pictures = [cv2.imread(str(folder / "input" / name))[:, :, ::-1] / 255.0 for name in names]
    for index, name in enumerate(names):
        alpha = cv2.imread(str(folder / "alpha" / name), cv2.IMREAD_GRAYSCALE) / 255.0
        foreground = np.clip(estimate_foreground_cf(pictures[index], alpha, rtol=1e-4), 0, 1)
        other = pictures[(index + 5) % len(pictures)]
        behind = cv2.resize(other, alpha.shape[::-1], interpolation=cv2.INTER_AREA)
        yield compose(foreground, alpha, behind), alpha.astype(np.float32), foreground


def error(estimate, alpha, foreground):
    soft = (alpha > 0) & (alpha < 1)
    weight = alpha[soft]
    return float((np.abs(estimate - foreground)[soft].mean(1) * 255) @ weight / weight.sum())


def speed(megapixels: float, rounds: int) -> list[Row]:
    width = int((megapixels * 1.5e6) ** 0.5)
    image, alpha, _ = made_up(width, int(megapixels * 1e6 / width), 0)
    times: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    results = {name: work(image, alpha) for name, work in CONTESTANTS.items()}  # and compile
    for _ in range(rounds):
        for name, work in CONTESTANTS.items():
            start = time.perf_counter()
            work(image, alpha)
            times[name].append(time.perf_counter() - start)
    median = {name: statistics.median(each) for name, each in times.items()}
    copies = {}
    for name in CONTESTANTS:
        command = [sys.executable, __file__, "--peak", name, "--megapixels", str(megapixels)]
        copies[name] = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    soft = 100 * float(((alpha > 0) & (alpha < 1)).mean())
    where = f"{alpha.size / 1e6:.1f} MP, {soft:.0f} % soft"
    fused, fusion, levels, ours = CONTESTANTS
    difference = np.abs(results[fusion] - results[fused]).max() * 255
    topic, published, germer = "Foreground colours", "the published code", "pymatting multi-level"
    memory = "its peak memory, in pictures"
    return [
        Row(topic, f"Blur fusion, {where}", published, "s", median[fused], median[fusion], 11),
        Row(topic, memory, published, "", copies[fused], copies[fusion]),
        Row(topic, "its largest difference", "1/255", "/255", 1, difference, 1),
        Row(topic, f"auto, {where}", germer, "s", median[levels], median[ours], 1),
        Row(topic, memory, germer, "", copies[levels], copies[ours]),
    ]


def peak(name: str, megapixels: float) -> None:
    """Print this process's peak memory while one contestant works, in copies of the picture."""
    work = CONTESTANTS[name]
    work(*made_up(60, 40, 0)[:2])  # compiles and imports
    width = int((megapixels * 1.5e6) ** 0.5)
    height = int(megapixels * 1e6 / width)
    image = np.full((height, width, 3), 0.5, np.float32)
    alpha = np.full((height, width), 0.5, np.float32)
    alpha[: height // 2, : int(width * 0.8)] = 0
    alpha[height // 2 :, : int(width * 0.8)] = 1
    image[::7, ::3] = 0.25
    before = _status("VmRSS") - (image.nbytes + alpha.nbytes) / 1024
    Path("/proc/self/clear_refs").write_text("5")  # begins the peak anew
    work(image, alpha)
    print(f"{(_status('VmHWM') - before) * 1024 / image.nbytes:.2f}")


def _status(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return float(next(line for line in lines if line.startswith(field)).split()[1])


def errors(folder: Path | None) -> list[Row]:
    cases = list(from_folder(folder)) if folder else [made_up(600, 400, seed) for seed in range(4)]
    mean = {
        method: statistics.mean(
            error(estimate_foreground(image, alpha, method).foreground, alpha, foreground)
            for image, alpha, foreground in cases
        )
        for method in METHODS
    }
    ours = mean.pop("auto")
    goals = {"multilevel": 4.2 / 3.6}
    return [
        Row(
            f"Error of foreground colours on {len(cases)} composites",
            "auto",
            peer,
            "/255",
            value,
            ours,
            goals.get(peer),
        )
        for peer, value in mean.items()
        if peer != "soft_band"
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megapixels", type=float, default=7.6)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--peak", choices=list(CONTESTANTS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        peak(options.peak, options.megapixels)
        return
    rows = [*speed(options.megapixels, options.rounds), *errors(options.data)]
    print(dump(rows) if options.json else table(rows))


if __name__ == "__main__":
    main()
