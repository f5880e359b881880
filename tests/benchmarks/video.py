"""Holding still, measured on clips with the truth: a model of pictures frame by frame, and its mattes held still.

    python tests/benchmarks/video.py FOLDER PHOTOS [--model u2netp] [--width 640] [--frames 24] [--clips 1,3,5,8]

FOLDER holds ``input/*.png`` and ``alpha/*.png`` of the same names, PHOTOS what they are put before; see
moving_scenes.py. Prints for each clip dtSSD, MAD and gradient error of the mattes held still, each divided by that of
the model's own, dtSSD also without the step across a cut, which nothing may smooth.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
from moving_scenes import scenes

import gossamer
from gossamer.settings.video import Video
from gossamer.video import Steady


def steps(mattes: np.ndarray, truths: np.ndarray) -> np.ndarray:
    """Return the mean square of what changes wrongly, for each step."""
    return np.square(np.diff(mattes, axis=0) - np.diff(truths, axis=0)).mean((1, 2), dtype=np.float64)


def gradient(mattes: np.ndarray, truths: np.ndarray) -> float:
    """Return the error of the gradients."""

    def slopes(plane: np.ndarray) -> np.ndarray:
        smooth = cv2.GaussianBlur(plane, (0, 0), 1.4)
        return np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))

    return float(np.mean([np.square(slopes(a) - slopes(b)).mean() for a, b in zip(mattes, truths, strict=True)]))


def held(frames: list[np.ndarray], mattes: np.ndarray, strength: float) -> np.ndarray:
    """Return mattes as a clip gets them."""
    steady: Steady[int] = Steady(strength)
    found = [one for number, frame in enumerate(frames) for one in steady.add(number, frame, mattes[number])]
    return np.stack([one.alpha for one in [*found, *steady.rest()]])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--model", default="u2netp")
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--clips", default="1,3,5,8")
    parser.add_argument("--strength", type=float, default=Video().hold_strength)
    arguments = parser.parse_args()
    model = gossamer.load_model(arguments.model)
    chosen = [int(one) for one in arguments.clips.split(",")]
    rows = []
    for scene in scenes(arguments.folder, arguments.photos, arguments.width, arguments.frames, chosen):
        truths = np.stack(scene.alphas)
        own = np.stack([model.predict(frame) for frame in scene.frames])
        start = time.perf_counter()
        result = held(scene.frames, own, arguments.strength)
        spent = (time.perf_counter() - start) / arguments.frames
        before, after = steps(own, truths), steps(result, truths)
        cut = 2 * arguments.frames // 3 - 1
        whole = np.arange(len(before)) != (cut if chosen[len(rows)] % 2 else -1)
        row = (
            np.sqrt(after.mean() / before.mean()),
            np.sqrt(after[whole].mean() / before[whole].mean()),
            np.abs(result - truths).mean() / np.abs(own - truths).mean(),
            gradient(result, truths) / gradient(own, truths),
        )
        rows.append(row)
        print(
            f"{scene.name}: dtSSD {row[0]:.2f} ({row[1]:.2f} without a cut), MAD {row[2]:.3f}, gradient {row[3]:.2f}, "
            f"{1000 * spent:.0f} ms a frame",
            flush=True,
        )
    mean = np.mean(rows, 0)
    print(f"mean: dtSSD {mean[0]:.2f} ({mean[1]:.2f} without a cut), MAD {mean[2]:.3f}, gradient {mean[3]:.2f}")


if __name__ == "__main__":
    main()
