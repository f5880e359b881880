"""From boxes to mattes, measured on photographs with true alpha.

    python tests/benchmarks/grabcut.py FOLDER [--backdrops FOLDER] [--seed N] [--loose SHARE] [--verbose]

FOLDER holds ``input/*.png`` and ``alpha/*.png`` of the same names (the training set of alphamatting.com is laid out
so). The prompt is the tight box of what is more subject than not (alpha above one half): in the thousandths below that
the true alpha of some pictures has noise, far from the subject. Prints mean IoU (at one half), mean SAD / 1000 and the
worst IoU of OpenCV's GrabCut alone (5 rounds), of the installed salient model on the box's crop, of GrabCut started
from that, and of ours: the same with the matting that prompted cut-outs get. With ``--backdrops``, a folder of
photographs of anything, scenes are composed of both (``crowded_scenes.py``): boxes that hold more than the subject, by
their kinds.
Without a salient model: set GOSSAMER_HOME to an empty folder.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from crowded_scenes import box_of, pictures, scenes

from gossamer.matting.auto.alpha import auto_alpha
from gossamer.prompting.choice import load_prompt_model
from gossamer.prompting.grabcut import GrabCut
from gossamer.prompting.prompt import Prompt


def grab(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """OpenCV's GrabCut from labels, at full size."""
    models = np.zeros((1, 65)), np.zeros((1, 65))
    fore = labels % 2 == 1
    if not fore.all() and fore.any():
        cv2.setRNGSeed(0)
        cv2.grabCut(image, labels, None, *models, 5, cv2.GC_INIT_WITH_MASK)
    return (labels % 2).astype(np.float32)


def contenders(image: np.ndarray, box: tuple[int, int, int, int], model: GrabCut) -> dict[str, np.ndarray]:
    """Return the four masks of one picture."""
    x0, y0, x1, y1 = box
    eight_bit = np.rint(image * 255).astype(np.uint8)
    labels = np.zeros(image.shape[:2], np.uint8)
    labels[y0:y1, x0:x1] = cv2.GC_PR_FGD
    masks = {"GrabCut alone": grab(eight_bit, labels.copy())}
    embedding = model.embed(image)
    found = model.predict(embedding, Prompt(boxes=(box,)))
    if found.embedding is not None and found.embedding.seen:
        crop, seen = next(iter(found.embedding.seen.items()))
        salient = np.zeros(image.shape[:2], np.float32)
        salient[crop[1] : crop[3], crop[0] : crop[2]] = seen
        salient[labels == 0] = 0
        masks["salient on the crop"] = salient
        labels[(labels != 0) & (salient <= 0.5)] = cv2.GC_PR_BGD
        masks["GrabCut from that"] = grab(eight_bit, labels)
    masks["ours before matting"] = found[0].mask if found else np.zeros(image.shape[:2], np.float32)
    masks["ours"] = auto_alpha(image, masks["ours before matting"])
    return masks


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--above", type=float, default=0.5, help="the box is around alphas above it (default: 0.5)")
    parser.add_argument("--backdrops", type=Path, help="photographs to compose scenes before")
    parser.add_argument("--seed", type=int, default=0, help="other scenes of the same cut-outs (default: 0)")
    parser.add_argument("--loose", type=float, default=0.0, help="boxes larger on all sides by this share of theirs")
    parser.add_argument("--verbose", action="store_true", help="a line for every picture")
    arguments = parser.parse_args()
    model = load_prompt_model("grabcut")
    assert isinstance(model, GrabCut)
    results: dict[str, list[tuple[float, float]]] = {}
    by_kind: dict[str, list[float]] = {}
    if arguments.backdrops is None:
        measured = pictures(arguments.folder)
    else:
        measured = ((s.name, s.image, s.alpha) for s in scenes(arguments.folder, arguments.backdrops, arguments.seed))
    for title, image, alpha in measured:
        box = box_of(alpha, arguments.loose, arguments.above)
        for name, mask in contenders(image, box, model).items():
            iou = ((mask > 0.5) & (alpha > 0.5)).sum() / ((mask > 0.5) | (alpha > 0.5)).sum()
            results.setdefault(name, []).append((float(iou), float(np.abs(mask - alpha).sum() / 1000)))
        if arguments.backdrops is not None:
            by_kind.setdefault(title.split()[1], []).append(results["ours before matting"][-1][0])
        if arguments.verbose:
            line = "  ".join(f"{name} {all_[-1][0]:.3f} {all_[-1][1]:.1f}" for name, all_ in results.items())
            print(f"  {title}: {line}", flush=True)
    for name, all_ in results.items():
        ious, sads = np.transpose(all_)
        print(f"{name:20} mean IoU {ious.mean():.3f}  mean SAD {sads.mean():6.2f}  worst IoU {ious.min():.3f}")
    for kind, found in by_kind.items():
        print(f"ours before matting, {kind}: mean IoU {np.mean(found):.3f}  worst IoU {min(found):.3f}")


if __name__ == "__main__":
    main()
