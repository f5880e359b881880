"""Closed-form matting beside pymatting: time and memory, as ratios, in one run.

    python tests/benchmarks/closed_form.py                          # a made picture of 1.9 megapixels, 39 % unknown
    python tests/benchmarks/closed_form.py --narrow FOLDER          # and FOLDER/input/*.png with FOLDER/trimap1/*.png
    python tests/benchmarks/closed_form.py --image I --trimap T     # a picture of yours, scaled to --megapixels
    python tests/benchmarks/closed_form.py --megapixels 7.6 --alone # ours only
    python tests/benchmarks/closed_form.py --json                   # rows for run.py instead of readable lines

Every measurement is a process of its own: imports, the picture and a small warm-up first, then one timed run. The two
take turns. Memory is the peak of the process over what it held before the timed run.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from rows import Row, dump

ALLOWED = 0.001  # mean difference in the unknown band that counts as the same matte


def made(megapixels: float) -> tuple[np.ndarray, np.ndarray]:
    """Hair-like strands and a soft disc over a photograph, and a trimap for them."""
    import cv2
    from skimage.data import astronaut, coffee

    side = int((megapixels * 1e6) ** 0.5)
    background = cv2.resize(coffee(), (side, side), interpolation=cv2.INTER_CUBIC) / 255
    foreground = cv2.resize(astronaut(), (side, side), interpolation=cv2.INTER_CUBIC) / 255
    rng = np.random.default_rng(0)
    alpha = np.zeros((side, side), np.float32)
    cv2.circle(alpha, (side // 2, side // 2), int(side * 0.3), 1, -1)
    for angle in rng.uniform(0, 2 * np.pi, 600):
        start, turn = np.array([np.cos(angle), np.sin(angle)]), rng.normal(0, 0.4)
        steps = np.linspace(0.28, rng.uniform(0.32, 0.42), 30)[:, None] * side
        bend = np.stack([np.cos(angle + turn * np.linspace(0, 1, 30)), np.sin(angle + turn * np.linspace(0, 1, 30))], 1)
        line = (side / 2 + steps * (start + bend) / 2).astype(np.int32)
        cv2.polylines(alpha, [line], False, 1, max(side // 700, 1), cv2.LINE_AA)
    alpha = cv2.GaussianBlur(alpha, (0, 0), 0.8)
    image = alpha[..., None] * foreground + (1 - alpha[..., None]) * background
    image = np.clip(image + rng.normal(0, 0.004, image.shape), 0, 1)
    image = (np.round(image * 255) / 255).astype(np.float32)
    return image, widened(np.where(alpha > 0.98, 1, np.where(alpha < 0.02, 0, 0.5)))


def widened(trimap: np.ndarray, share: float = 0.39) -> np.ndarray:
    """Let the unknown band grow evenly until it is `share` of the picture."""
    import cv2

    known = (trimap < 0.1) | (trimap > 0.9)
    distance = sum(
        cv2.distanceTransform(side.astype(np.uint8), cv2.DIST_L2, 5) for side in (trimap < 0.1, trimap > 0.9)
    )
    return np.where(known & (distance > np.quantile(distance, share)), trimap > 0.5, 0.5).astype(np.float32)


def read(image: Path, trimap: Path, megapixels: float | None) -> tuple[np.ndarray, np.ndarray]:
    import cv2

    picture, hints = cv2.imread(str(image))[..., ::-1], cv2.imread(str(trimap), cv2.IMREAD_GRAYSCALE)
    if megapixels:
        scale = (megapixels * 1e6 / hints.size) ** 0.5
        size = (round(hints.shape[1] * scale), round(hints.shape[0] * scale))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC)
        hints = cv2.resize(hints, size, interpolation=cv2.INTER_NEAREST)
    hints = np.where(hints > 250, 1, np.where(hints < 5, 0, 0.5)).astype(np.float32)
    return (picture / 255).astype(np.float32), widened(hints) if megapixels else hints


def resident(field: str) -> float:
    """A line of /proc/self/status, in megabytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def child(who: str, folder: Path) -> None:
    """Measure one run."""
    import time

    data = np.load(folder / "picture.npz")
    image, trimap = data["image"], data["trimap"]
    small = np.random.default_rng(0).random((40, 40, 3)), np.repeat([[0.0, 0.5, 0.5, 1.0]], 40, 0).repeat(10, 1)
    if who == "ours":
        from gossamer.matting.closed_form.alpha import closed_form_alpha as run
    else:
        from pymatting import estimate_alpha_cf as run

        image, trimap = image.astype(np.float64), trimap.astype(np.float64)
    run(*small)
    Path("/proc/self/clear_refs").write_text("5")  # start the peak afresh
    held, start = resident("VmRSS"), time.perf_counter()
    alpha = run(image, trimap)
    seconds = time.perf_counter() - start
    np.save(folder / f"{who}.npy", alpha.astype(np.float32))
    print(json.dumps({"seconds": seconds, "extra": resident("VmHWM") - held, "peak": resident("VmHWM")}))


def measure(name: str, image: np.ndarray, trimap: np.ndarray, options: argparse.Namespace) -> dict[str, float]:
    """Print a readable line; return the medians."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        np.savez(folder / "picture.npz", image=image, trimap=trimap)
        who = ["ours"] if options.alone else ["pymatting", "ours"]
        found: dict[str, list[dict[str, float]]] = {w: [] for w in who}
        for _ in range(options.repeats):
            for w in who:
                done = subprocess.run(
                    [sys.executable, __file__, "--child", w, str(folder)], check=True, capture_output=True, text=True
                )
                found[w].append(json.loads(done.stdout.splitlines()[-1]))
        median = {w: {k: statistics.median(r[k] for r in found[w]) for k in found[w][0]} for w in who}
        ours, unknown = median["ours"], trimap == 0.5
        line = f"{name:12} {trimap.size / 1e6:5.2f} MP {unknown.mean():4.0%} unknown  ours {ours['seconds']:7.2f} s"
        line += f" {ours['extra']:6.0f} MB (peak {ours['peak']:.0f})"
        result = {"ours": ours["seconds"], "extra": ours["extra"]}
        if not options.alone:
            theirs = median["pymatting"]
            gap = np.abs(np.load(folder / "ours.npy") - np.load(folder / "pymatting.npy"))[unknown]
            line += f"  pymatting {theirs['seconds']:7.2f} s {theirs['extra']:6.0f} MB (peak {theirs['peak']:.0f})"
            line += f"  {theirs['seconds'] / ours['seconds']:5.1f} x as fast, {ours['extra'] / theirs['extra']:.2f} of"
            line += f" the memory, difference {gap.mean():.6f} (largest {gap.max():.3f})"
            result |= {"pymatting": theirs["seconds"], "pymatting extra": theirs["extra"], "gap": float(gap.mean())}
        print(line, flush=True, file=sys.stderr if options.json else sys.stdout)
        return result


def rows(wide: dict[str, float], narrow: list[dict[str, float]], where: str) -> list[Row]:
    """Return what was measured as rows of the benchmarks."""
    topic, peer = "Closed-form matting", "pymatting"
    found = [
        Row(topic, f"wide band, {where}", peer, "s", wide["pymatting"], wide["ours"], 30),
        Row(topic, "its memory over what was held", peer, "MB", wide["pymatting extra"], wide["extra"], 4),
    ]
    if narrow:
        times = [sum(each[who] for each in narrow) for who in ("pymatting", "ours")]
        found.append(Row(topic, f"{len(narrow)} photographs with narrow bands", peer, "s", times[0], times[1], 6))
    gap = max(each["gap"] for each in (wide, *narrow))
    found.append(Row(topic, "largest mean difference in a band", "allowed", "", ALLOWED, gap, 1))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", type=Path)
    parser.add_argument("--trimap", type=Path)
    parser.add_argument("--narrow", type=Path)
    parser.add_argument("--megapixels", type=float, default=1.9)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--alone", action="store_true", help="do not run pymatting")
    parser.add_argument("--json", action="store_true", help="print rows as JSON; the readable lines go to stderr")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.json and options.alone:
        parser.error("--json compares; leave --alone away")
    if options.child:
        child(options.child[0], Path(options.child[1]))
        return
    given = options.image and options.trimap
    image, trimap = read(options.image, options.trimap, options.megapixels) if given else made(options.megapixels)
    wide = measure("wide", image, trimap, options)
    where, narrow = f"{trimap.size / 1e6:.1f} MP, {(trimap == 0.5).mean():.0%} unknown", []
    if options.narrow:
        for path in sorted((options.narrow / "input").glob("*.png")):
            image, trimap = read(path, options.narrow / "trimap1" / path.name, None)
            narrow.append(measure(path.stem, image, trimap, options))
    if options.json:
        print(dump(rows(wide, narrow, where)))
    elif narrow and not options.alone:
        theirs, ours = (sum(each[who] for each in narrow) for who in ("pymatting", "ours"))
        print(f"all narrow   ours {ours:.2f} s, pymatting {theirs:.2f} s: {theirs / ours:.1f} x as fast")


if __name__ == "__main__":
    main()
