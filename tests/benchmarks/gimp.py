"""How fast a real GIMP follows: sliders, views and strokes on a preview, and what a large layer costs besides.

``python -m tests.benchmarks.gimp preview`` opens a photograph of 12 megapixels in a GIMP on a screen of its own, moves
each of the four sliders by keys, five times, and watches the canvas on the screen: what is told is the time from the
key to the first change that can be seen there. Then it goes through the views, and brushes. ``overhead`` cuts a layer
of 24 megapixels out, to a mask and to a new layer, and tells what of the time is not the worker's own stages. It needs
what the tests of GIMP need, and a machine that has nothing else to do.
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

from gossamer.image import encode_image
from tests.gimp.conftest import SCRIPTS, Desk, make_desk

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


def save(desk: Desk, width: int) -> None:
    """Write the photograph, so wide, into the folder that GIMP sees."""
    (desk.share / "large.png").write_bytes(encode_image(photograph(width).astype(np.float32) / 255, None, "png"))


def main() -> None:
    """Measure, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("preview", "overhead"))
    parser.add_argument("--screens", type=Path, help="a folder for pictures of the screen")
    options = parser.parse_args()
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
