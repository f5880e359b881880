"""Holding still, measured on clips with the truth: mattes frame by frame, and the same held still.

    python tests/benchmarks/video.py FOLDER PHOTOS [--model u2netp] [--width 640] [--frames 24] [--clips 1,3,5,8]
        [--waves none|body|fringe]

FOLDER holds ``input/*.png`` and ``alpha/*.png`` of the same names, PHOTOS what they are put before; see
moving_scenes.py. Mattes are what ``gossamer video`` makes of a frame: the model's mask with its edges found; ``--edges
none`` takes the mask alone. A model that remembers is not held still: its own matte is compared with the same with our
edges.

Prints for each clip the measures of both: MAD and MSE x 1000, the mean error of gradients x 1000, Conn x 1000 by the
number of pixels, in every eighth frame, and dtSSD, also without the step across a cut, which nothing may smooth. The
last line is the mean of the clips' ratios.
"""

from __future__ import annotations

import argparse
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from moving_scenes import WAVES, scenes

import gossamer
from gossamer.matting.stage import matte
from gossamer.networks.recurrence import Recurrence
from gossamer.progress import Progress
from gossamer.settings import ModelChoice, Recipe
from gossamer.settings.video import Video
from gossamer.video import Frame, Steady
from gossamer.video.matters import load_matter

NAMES = ("MAD", "MSE", "Grad", "Conn", "dtSSD", "without the cut")
QUIET = Progress.of(None)


def gradient(mattes: np.ndarray, truths: np.ndarray) -> float:
    """Return the mean error of the gradients."""

    def slopes(plane: np.ndarray) -> np.ndarray:
        smooth = cv2.GaussianBlur(plane, (0, 0), 1.4)
        return np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))

    return float(np.mean([np.square(slopes(a) - slopes(b)).mean() for a, b in zip(mattes, truths, strict=True)]))


def connectivity(mattes: np.ndarray, truths: np.ndarray) -> float:
    """Return the mean error of connectedness, in every eighth frame: it takes longer than all the rest."""
    pairs = list(zip(mattes, truths, strict=True))[::8]
    of_all = [gossamer.evaluation.evaluate_matte(a, b, measures=["connectivity"]) for a, b in pairs]
    return float(np.mean([1e3 * one.values["connectivity"] / one.pixels for one in of_all]))


def measures(mattes: np.ndarray, truths: np.ndarray, cut: int | None) -> np.ndarray:
    """Return what NAMES says, of mattes (N, H, W)."""
    steps = np.square(np.diff(mattes, axis=0) - np.diff(truths, axis=0)).mean((1, 2), dtype=np.float64)
    whole = np.delete(steps, cut - 1) if cut else steps
    off = mattes - truths
    return np.array(
        [
            1e3 * np.abs(off).mean(),
            1e3 * np.square(off).mean(),
            1e3 * gradient(mattes, truths),
            1e3 * connectivity(mattes, truths),
            100 * np.sqrt(steps.mean()),
            100 * np.sqrt(whole.mean()),
        ]
    )


def held(frames: list[np.ndarray], mattes: np.ndarray, strength: float) -> np.ndarray:
    """Return mattes as a clip gets them."""
    steady: Steady[int] = Steady(strength)
    found = [one for number, frame in enumerate(frames) for one in steady.add(number, frame, mattes[number])]
    return np.stack([one.alpha for one in [*found, *steady.rest()]])


def with_edges(frames: list[np.ndarray], masks: np.ndarray) -> np.ndarray:
    """Return masks with the edges that clips get by default."""
    settings = Recipe().matting
    return np.stack(
        [
            matte(frame, mask, settings, progress=QUIET, warn=print, device="cpu", announce=print, of_clip=True)
            for frame, mask in zip(frames, masks, strict=True)
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--model", default="u2netp")
    parser.add_argument("--edges", choices=("auto", "none"), default="auto")
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--clips", default="1,3,5,8")
    parser.add_argument("--waves", choices=tuple(WAVES), default="none")
    parser.add_argument("--strength", type=float, default=Video().hold_strength)
    arguments = parser.parse_args()
    model = load_matter(ModelChoice.of(arguments.model), Recipe(), Video(), QUIET, print)
    chosen = [int(one) for one in arguments.clips.split(",")]
    rows = []
    place = arguments.folder, arguments.photos, arguments.width, arguments.frames
    for number, scene in zip(chosen, scenes(*place, chosen, arguments.waves), strict=True):
        truths, masks, remembered = np.stack(scene.alphas), [], Recurrence()
        for order, frame in enumerate(scene.frames):
            found = model.matte(Frame(order, Fraction(order, 25), frame), remembered, QUIET)
            masks.append(found.alpha)
            remembered = found.remembered
        own = np.stack(masks)
        if model.remembers:
            result = with_edges(scene.frames, own)
        else:
            if arguments.edges == "auto":
                own = with_edges(scene.frames, own)
            result = held(scene.frames, own, arguments.strength)
        cut = 2 * arguments.frames // 3 if number % 2 else None
        before, after = (measures(mattes, truths, cut) for mattes in (own, result))
        rows.append(after / before)
        said = (f"{name} {a:.2f} -> {b:.2f}" for name, a, b in zip(NAMES, before, after, strict=True))
        print(f"{scene.name}: {', '.join(said)}", flush=True)
    mean = np.mean(rows, 0)
    print("mean ratio: " + ", ".join(f"{name} {one:.3f}" for name, one in zip(NAMES, mean, strict=True)))


if __name__ == "__main__":
    main()
