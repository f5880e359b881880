"""The matting method auto, measured: on masks of models and rough ones of real photographs, and on exact scenes.

    python tests/benchmarks/auto_matting.py FOLDER [--masks isnet,u2net,rough] [--photos PHOTOS]
        [--scenes 28] [--from 0] [--megapixels 2] [--verbose]

FOLDER holds ``input/*.png`` and ``alpha/*.png`` of the same names. Prints, per kind of mask, of the mask's SAD what is
left (the mean of the pictures' ratios, and the worst) for auto and for from_mask, and how much of what is thin in the
mask is kept. With a folder of PHOTOS scenes are made of them (see thin_scenes.py), with masks as networks of 1024 and
of 320 pixels would give; for these also the contour at one half: its mean distance to the true one in pixels, and its
length as a share of the true one's, of the mask and of auto.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from mask_to_matte import isnet, rough
from thin_scenes import SOFT, THINGS, Scene, scene

from gossamer.matting.auto.alpha import auto_alpha
from gossamer.matting.from_mask.alpha import matte_from_mask


def u2net(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    import gossamer

    return gossamer.load_model("u2net").predict(image)


MAKERS = {"isnet": isnet, "u2net": u2net, "rough": rough}


def thin_kept(mask: np.ndarray, alpha: np.ndarray) -> float:
    """Return how much of what a disc of 0.4 % of the diagonal does not fit into is left, where the mask is above half.

    1 where nothing is thin.
    """
    radius = max(2, round(0.004 * float(np.hypot(*mask.shape))))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    thin = np.clip(mask - cv2.morphologyEx(mask, cv2.MORPH_OPEN, disc), 0, 1) * (mask > 0.5)
    return float((np.minimum(alpha, mask) * thin).sum() / max(float((mask * thin).sum()), 1e-9))


def contour(alpha: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Return the mean distance in pixels from alpha's contour to the truth's, and its length against that one's."""
    edges = [
        cv2.morphologyEx((plane > 0.5).astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
        for plane in (alpha, truth)
    ]
    if not all(edge.any() for edge in edges):
        return float("nan"), float("nan")
    away = cv2.distanceTransform((~edges[1]).astype(np.uint8), cv2.DIST_L2, 5)
    return float(away[edges[0]].mean()), float(edges[0].sum() / edges[1].sum())


def photographs(folder: Path, kind: str) -> Iterator[Scene]:
    for path in sorted((folder / "input").glob("*.png")):
        image = np.ascontiguousarray(cv2.imread(str(path))[:, :, ::-1].astype(np.float32) / 255)
        alpha = cv2.imread(str(folder / "alpha" / path.name), cv2.IMREAD_GRAYSCALE).astype(np.float32) / 255
        yield Scene(path.stem, image, alpha, MAKERS[kind](image, alpha))


def made(folder: Path, first: int, count: int, megapixels: float, side: int) -> Iterator[Scene]:
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    photos = [cv2.imread(str(path))[:, :, ::-1].astype(np.float32) / 255 for path in paths]
    names = [*THINGS, *SOFT]
    for seed in range(first, first + count):
        yield scene(names[seed % len(names)], photos, seed, megapixels, side)


def measure(title: str, scenes: Iterator[Scene], verbose: bool, exact: bool) -> None:
    rows = []
    for each in scenes:
        before = float(np.abs(each.mask - each.alpha).sum())
        start = time.perf_counter()
        auto = auto_alpha(each.image, each.mask)
        seconds = time.perf_counter() - start
        usual = matte_from_mask(each.image, each.mask)
        row = [float(np.abs(alpha - each.alpha).sum()) / before for alpha in (auto, usual)]
        row += [thin_kept(each.mask, alpha) for alpha in (auto, usual, each.alpha)]
        row += [seconds, *(contour(each.mask, each.alpha) + contour(auto, each.alpha) if exact else ())]
        rows.append(row)
        if verbose:
            print(f"  {each.name:14}", " ".join(f"{value:.3f}" for value in row), flush=True)
    table = np.array(rows)
    mean, worst = table.mean(axis=0), table.max(axis=0)
    print(
        f"{title}: {len(rows)} pictures; SAD auto {mean[0]:.3f} (worst {worst[0]:.3f}), from_mask {mean[1]:.3f} "
        f"(worst {worst[1]:.3f}); thin kept: auto {mean[2]:.3f}, from_mask {mean[3]:.3f}, truth {mean[4]:.3f}; "
        f"{np.median(table[:, 5]):.2f} s a picture (median)"
    )
    if exact:
        away, length, ours, our_length = np.nanmean(table[:, 6:], axis=0)
        print(f"  contour: mask {away:.2f} px, length {length:.3f}; auto {ours:.2f} px, length {our_length:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--masks", default="isnet,u2net,rough", help=f"of {', '.join(MAKERS)}; empty: none")
    parser.add_argument("--photos", type=Path, help="photographs to make scenes of")
    parser.add_argument("--scenes", type=int, default=28, help="how many")
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first scene's number")
    parser.add_argument("--megapixels", type=float, default=2.0)
    parser.add_argument("--verbose", action="store_true", help="a line for every picture")
    arguments = parser.parse_args()
    for kind in filter(None, arguments.masks.split(",")):
        measure(f"{kind} masks", photographs(arguments.folder, kind), arguments.verbose, exact=False)
    if arguments.photos:
        for side in (1024, 320):
            scenes = made(arguments.photos, arguments.first, arguments.scenes, arguments.megapixels, side)
            measure(f"scenes, masks of {side} pixels", scenes, arguments.verbose, exact=True)


if __name__ == "__main__":
    main()
