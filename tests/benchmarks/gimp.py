"""How fast a real GIMP follows: sliders, views and strokes on a preview, and what a large layer costs besides.

``python -m tests.benchmarks.gimp preview`` opens a photograph of 12 megapixels in a GIMP on a screen of its own, moves
each of the four sliders by keys, five times, and watches the canvas on the screen: what is told is the time from the
key to the first change that can be seen there. Then it goes through the views, and brushes. ``overhead`` cuts a layer
of 24 megapixels out, to a mask and to a new layer, and tells what of the time is not the worker's own stages. Both need
what the tests of GIMP need, and a machine that has nothing else to do.

``edge --cut-outs FOLDER --photos FOLDER`` needs no GIMP: cut-outs with their true alpha (``input/*.png`` and
``alpha/*.png`` of the same names) are put before photographs, and what a mask alone and a new layer show over another
colour is compared with the truth; and the same with the true colours or the true alpha, to see which part is whose.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import shutil
import tempfile
from pathlib import Path

import cv2
import numpy as np
import skimage.data

import gossamer
from gossamer.compositing import over
from gossamer.foreground import estimate_foreground
from gossamer.image import encode_image
from tests.benchmarks.thin_scenes import _spread, network_mask
from tests.gimp.conftest import SCRIPTS, Desk, make_desk

NEW = {
    "dark": np.float32([0.06, 0.09, 0.16]),
    "light": np.float32([0.9, 0.9, 0.88]),
    "green": np.float32([0.09, 0.42, 0.36]),
}
"""Colours that a cut-out is put over."""

_SHORTCUT = '(file-version 1)\n(action "plug-in-gossamer-remove-background" "<Primary><Shift>j")\n'


def photograph(width: int) -> np.ndarray:
    """Return a photograph of a cat, so wide, with the grain of a camera: (H, W, 3) uint8."""
    small = skimage.data.chelsea()
    height = round(width * small.shape[0] / small.shape[1])
    large = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    grain = np.random.default_rng(1).normal(0, 2, (height, width, 1)).astype(np.float32)
    return np.clip(large + grain + 0.5, 0, 255).astype(np.uint8)


def preview(desk: Desk) -> None:
    """Measure the preview, and print what was found."""
    save(desk, 4250)
    (desk.box.gimp_folder / "shortcutsrc").write_text(_SHORTCUT)
    done = desk.box.run(
        ["/usr/bin/python3", str(SCRIPTS / "measure.py")],
        env={"SHARE": str(desk.share), "SCRIPTS": str(SCRIPTS)},
        timeout=200,
    )
    if "MEASURED-OK" not in done.stdout:
        raise SystemExit(done.stdout[-4000:])
    found = json.loads((desk.share / "measured.json").read_text())
    print(f"dialog to first preview: {found['opened']} s")
    first = []
    for name, moves in found["sliders"].items():
        first += [times[0] for times in moves if times]
        print(f"{name}: {moves}")
    print(f"{len(first)} moves: median {np.median(first):.3f} s, 95 % under {np.percentile(first, 95):.3f} s")
    for name, entered in found["views"].items():
        print(f"view {name}: {entered}")
    print(f"refine brush, from the stroke's end: {found['brush']}")


def overhead(desk: Desk) -> None:
    """Measure what a large layer costs besides the worker's stages, and print it."""
    save(desk, 6000)
    desk.batch("overhead.py")
    for one in json.loads((desk.share / "overhead.json").read_text()):
        stages = 0.0
        for text in re.findall(r"{.*}", one["log"]):  # the report alone: it has the subject's seconds, too
            own = ast.literal_eval(text).get("seconds", {})
            stages += sum(value for name, value in own.items() if name != "read")
        print(
            f"{one['output']}: {one['seconds']:.2f} s, of which the worker's stages {stages:.2f} s: "
            f"{one['seconds'] - stages:.2f} s besides"
        )


def edge(cut_outs: Path, photos: Path) -> None:
    """Compare the network's mask with a layer that has the subject's own colours, over new colours, and print it."""
    found = [gossamer.read_image(path).rgb for path in sorted(photos.glob("*.jpg"))]
    for kind in ("as of 320 pixels", "as of 1024 pixels", "u2netp", "isnet-general-use"):
        errors, shares = [], []
        model = gossamer.load_model(kind, device="cpu") if not kind.startswith("as") else None
        for number, path in enumerate(sorted((cut_outs / "input").glob("*.png"))):
            colours, alpha = small_cut_out(path, cut_outs / "alpha" / path.name)
            behind = _spread(found[number % len(found)], *alpha.shape)
            shot = np.round((alpha[..., None] * colours + (1 - alpha[..., None]) * behind).clip(0, 1) * 255)
            if model is None:
                side, chance = int(kind.split()[2]), np.random.default_rng(number)
                mask = network_mask(alpha, side, chance, gaps=0.3 if side == 320 else 0.0)
            else:
                mask = model.predict(shot.astype(np.uint8))
            cutout = gossamer.refine(shot.astype(np.uint8), mask)
            own = shot.astype(np.float32) / 255
            solved = estimate_foreground(own, alpha, "soft_band").foreground
            pairs = (
                *((own, mask), (own, cutout.alpha), (cutout.foreground, cutout.alpha)),
                *((colours, cutout.alpha), (solved, alpha)),
            )
            for colour in NEW.values():
                truth = over(colours, alpha, colour)
                errors.append([np.abs(over(*pair, colour) - truth).mean() * 255 for pair in pairs])
            wrong = np.abs(cutout.alpha - alpha)
            shares.append(wrong[(alpha > 0.01) & (alpha < 0.99)].sum() / wrong.sum())
        table = np.array(errors).reshape(-1, len(NEW), 5)
        for place, name in enumerate(NEW):
            bare, masked, layered, at_alpha, at_colours = table[:, place].T
            ratios = layered / bare
            print(
                f"masks {kind}, over {name}: the mask {bare.mean():.2f}, with solved edges {masked.mean():.2f}, "
                f"new layer {layered.mean():.2f} (of 255): {layered.mean() / bare.mean():.2f} of the first (ratios: "
                f"mean {ratios.mean():.2f}, median {np.median(ratios):.2f}), {layered.mean() / masked.mean():.2f} of "
                f"the second; true colours by this alpha {at_alpha.mean():.2f}, colours of the true alpha "
                f"{at_colours.mean():.2f}",
                flush=True,
            )
        print(f"masks {kind}: {np.mean(shares):.0%} of alpha's error is where the truth is between 0 and 1")


def small_cut_out(picture: Path, matte: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return a cut-out's colours (H, W, 3) and its alpha (H, W), of 0.6 megapixels at most."""
    image, alpha = gossamer.read_image(picture).rgb, cv2.imread(str(matte), cv2.IMREAD_GRAYSCALE)
    assert alpha is not None
    scale = min(1.0, (0.6e6 / alpha.size) ** 0.5)
    size = round(alpha.shape[1] * scale), round(alpha.shape[0] * scale)
    image, alpha = (cv2.resize(one, size, interpolation=cv2.INTER_AREA) for one in (image, np.float32(alpha) / 255))
    return estimate_foreground(image, alpha, "multilevel").foreground, alpha


def save(desk: Desk, width: int) -> None:
    """Write the photograph, so wide, into the folder that GIMP sees."""
    (desk.share / "large.png").write_bytes(encode_image(photograph(width).astype(np.float32) / 255, None, "png"))


def main() -> None:
    """Measure, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("preview", "overhead", "edge"))
    parser.add_argument("--cut-outs", type=Path)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--screens", type=Path, help="a folder for pictures of the screen")
    options = parser.parse_args()
    if options.what == "edge":
        edge(options.cut_outs, options.photos)
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        desk = make_desk(Path(folder))
        try:
            {"preview": preview, "overhead": overhead}[options.what](desk)
        finally:
            if options.screens is not None:
                options.screens.mkdir(exist_ok=True)
                for screen in desk.share.glob("*.png"):
                    if screen.name != "large.png":
                        shutil.copy(screen, options.screens)


if __name__ == "__main__":
    main()
