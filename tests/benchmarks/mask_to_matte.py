"""From rough masks to mattes, measured on photographs with true alpha.

    python tests/benchmarks/mask_to_matte.py FOLDER [--masks rough,wide,narrow,polygon,salient,isnet,calibrated]
        [--overlap 0.85] [--enlarge 4] [--verbose]

FOLDER holds ``input/*.png`` and ``alpha/*.png`` of the same names (the training set of alphamatting.com is laid out
so). Prints, per kind of mask, the mean sum of absolute differences (SAD / 1000) of the masks, and as ratios to it those
of the usual recipe (a trimap 10 pixels wide around the edge, closed-form matting), of the adaptive trimaps with the
same solver, and of ``matte_from_mask``; for the latter also both halves of the set, the worst picture and seconds.
``--overlap`` leaves out masks of something else than the subject. ``--enlarge 4`` lets ``matte_from_mask`` work at a
quarter of each picture's pixels and enlarge, as it does with pictures above a megapixel.
"""

from __future__ import annotations

import argparse
import functools
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from rows import Row, dump

from gossamer.matting.closed_form.alpha import closed_form_alpha
from gossamer.matting.from_mask import estimate
from gossamer.matting.from_mask.alpha import matte_from_mask
from gossamer.matting.signed_distance import signed_distance
from gossamer.matting.trimap import trimap_from_mask


def rough(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """What promptable models give: 256 pixels on the long side, smooth, enlarged, thresholded."""
    height, width = alpha.shape
    factor = 256 / max(height, width)
    size = (max(round(width * factor), 1), max(round(height * factor), 1))
    small = cv2.resize((alpha > 0.5).astype(np.float32), size, interpolation=cv2.INTER_AREA)
    large = cv2.resize(cv2.GaussianBlur(small, (0, 0), 1.5), (width, height), interpolation=cv2.INTER_LINEAR)
    return (large > 0.5).astype(np.float32)


def wide(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    return (signed_distance(alpha) > -4).astype(np.float32)


def narrow(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    return (signed_distance(alpha) > 4).astype(np.float32)


def polygon(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """What people click together: corners within 6 pixels of the outline, no holes smaller than 100 pixels."""
    mask = np.zeros(alpha.shape, np.uint8)
    contours, links = cv2.findContours((alpha > 0.5).astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    for fill in (1, 0):
        for contour, link in zip(contours, links[0] if links is not None else (), strict=True):
            if (link[3] < 0) == (fill == 1) and cv2.contourArea(contour) >= 100:
                cv2.fillPoly(mask, [cv2.approxPolyDP(contour, 6, True)], fill)
    return mask.astype(np.float32)


def salient(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """The soft mask of a salient-object model, whatever it took for the subject."""
    import gossamer

    return gossamer.load_model("u2netp").predict(image)


def isnet(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """The soft mask of a salient-object model that draws finer edges."""
    import gossamer

    return gossamer.load_model("isnet-general-use").predict(image)


def calibrated(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """A soft mask without any error: the true alpha at 256 pixels on the long side, enlarged."""
    height, width = alpha.shape
    factor = 256 / max(height, width)
    size = (max(round(width * factor), 1), max(round(height * factor), 1))
    small = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)
    return np.clip(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), 0, 1)


def overlap(mask: np.ndarray, alpha: np.ndarray) -> float:
    """Return the intersection over union of the two where they are above one half."""
    found, wanted = mask > 0.5, alpha > 0.5
    return float((found & wanted).sum() / max((found | wanted).sum(), 1))


MAKERS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    maker.__name__: maker for maker in (rough, wide, narrow, polygon, salient, isnet, calibrated)
}
USUAL = "rough,wide,narrow,polygon,salient"


def _solved(image: np.ndarray, trimap: np.ndarray) -> np.ndarray:
    known = trimap[trimap != 0.5]
    return closed_form_alpha(image, trimap) if known.size and known.min() == 0 and known.max() == 1 else trimap


METHODS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "10 x 10 band": lambda image, mask: _solved(image, trimap_from_mask(mask, band=5)),
    "adaptive band": lambda image, mask: _solved(image, trimap_from_mask(mask)),
    "adaptive, colours": lambda image, mask: _solved(image, trimap_from_mask(mask, image)),
    "matte_from_mask": matte_from_mask,
}


def measure(
    folder: Path, kind: str, verbose: bool, least: float, enlarge: float, say: Callable[..., None]
) -> list[Row]:
    names = sorted(path.name for path in (folder / "input").glob("*.png"))
    if not names:
        raise SystemExit(f"No pictures in {folder / 'input'}.")
    pictures = [cv2.imread(str(folder / "input" / name))[:, :, ::-1].astype(np.float32) / 255 for name in names]
    alphas = [cv2.imread(str(folder / "alpha" / name), cv2.IMREAD_GRAYSCALE).astype(np.float32) / 255 for name in names]
    masks = [MAKERS[kind](image, alpha) for image, alpha in zip(pictures, alphas, strict=True)]
    kept = [i for i in range(len(names)) if overlap(masks[i], alphas[i]) >= least]
    if not kept:
        raise SystemExit(f"No {kind} mask overlaps its subject by {least}.")
    names = [names[i] for i in kept]
    before = np.zeros(len(names))
    after = {method: np.zeros(len(names)) for method in METHODS}
    seconds = np.zeros(len(names))
    usual = estimate.WORK_AREA
    for i, name in enumerate(names):
        image, alpha, mask = pictures[kept[i]], alphas[kept[i]], masks[kept[i]]
        estimate.WORK_AREA = usual if enlarge == 1 else int(mask.size / enlarge)
        before[i] = np.abs(mask - alpha).sum() / 1000
        for method, matte in METHODS.items():
            start = time.perf_counter()
            after[method][i] = np.abs(matte(image, mask) - alpha).sum() / 1000
            seconds[i] = time.perf_counter() - start
        if verbose:
            ratios = "  ".join(f"{method} {values[i] / before[i]:.3f}" for method, values in after.items())
            say(f"  {kind} {name}: mask {before[i]:.2f}  {ratios}  {seconds[i]:.2f} s", flush=True)
    estimate.WORK_AREA = usual
    say(f"{kind}: {len(names)} pictures, mean SAD of the masks {before.mean():.2f}")
    for method, values in after.items():
        ratio = values / before
        halves = [values[part].sum() / before[part].sum() for part in (slice(0, None, 2), slice(1, None, 2))]
        say(
            f"  {method:18} {values.sum() / before.sum():.3f}  halves {halves[0]:.3f} {halves[1]:.3f}  "
            f"worst {ratio.max():.2f} ({names[int(ratio.argmax())]})  "
            f"worse by 2 %: {(ratio > 1.02).sum()}/{len(names)}",
            flush=True,
        )
    say(f"  matte_from_mask: {np.median(seconds):.2f} s a picture (median), {seconds.max():.2f} s at most", flush=True)
    theirs, ours = (after[name].mean() for name in ("10 x 10 band", "matte_from_mask"))
    topic, what = "From mask to matte: sum of absolute differences / 1000", f"from_mask of {kind} masks"
    return [
        Row(topic, what, "the mask itself", "", before.mean(), ours, 1 / 0.6 if kind == "rough" else 1),
        Row(topic, what, "a 10 × 10 band and closed form", "", theirs, ours, 1),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--masks", default=USUAL, help=f"kinds of mask, separated by commas: {', '.join(MAKERS)}")
    parser.add_argument("--overlap", type=float, default=0.0, help="leave out masks that overlap the subject less")
    parser.add_argument("--enlarge", type=float, default=1.0, help="work at a size with so many times fewer pixels")
    parser.add_argument("--verbose", action="store_true", help="a line for every picture")
    parser.add_argument("--json", action="store_true", help="print rows for run.py, and all else to stderr")
    arguments = parser.parse_args()
    say = functools.partial(print, file=sys.stderr if arguments.json else sys.stdout)
    rows: list[Row] = []
    tiny = np.zeros((70, 70), np.float32)
    tiny[20:50, 20:50] = 1
    METHODS["matte_from_mask"](np.dstack([tiny] * 3), tiny)  # compiled by now
    for kind in arguments.masks.split(","):
        rows += measure(arguments.folder, kind, arguments.verbose, arguments.overlap, arguments.enlarge, say)
    if arguments.json:
        print(dump(rows))


if __name__ == "__main__":
    main()
