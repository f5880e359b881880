"""Make the pictures in docs with `python docs/make_pictures.py`, or some of them: `… before_after choosing`.

The photographs come with scikit-image (dev extra): its documentation of each says that it is in the public domain
(astronaut, rocket) or CC0 (chelsea, coffee).
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import skimage.data

import gossamer
from gossamer.compositing import cover, over
from gossamer.image import encode_image, write_bytes
from gossamer.sheets.layout import labelled

HERE = Path(__file__).parent
GREEN = np.float32([0.09, 0.42, 0.36])
GAP = 6
MODELS = ("u2netp", "u2net", "isnet-general-use")
# What of each photograph is shown three times as large: the upper left corner, (row, column).
DETAILS = {"astronaut": (8, 128), "chelsea": (216, 346), "coffee": (60, 380), "rocket": (200, 282)}
WIDTH, ZOOM = 240, 3


def before_after() -> None:
    """Show a photograph, its cut-out over squares, and over a colour: for the README."""
    photograph = skimage.data.astronaut()
    cutout = gossamer.remove_background(photograph, model="isnet-general-use")
    height, width = cutout.alpha.shape
    squares = (np.indices((height, width)) // 12).sum(0) % 2
    checks = np.where(squares[..., None], 0.8, 1.0).astype(np.float32).repeat(3, axis=2)
    row = [gossamer.read_image(photograph).rgb, *(over(cutout.foreground, cutout.alpha, b) for b in (checks, GREEN))]
    _write("before-after", _beside([cover(cell, height, width) for cell in row]))


def choosing() -> None:
    """Show photographs and their cut-outs by the models that are small: whole, and their edges enlarged."""
    import cv2

    whole, edges = [], []
    for name, (top, left) in DETAILS.items():
        photograph = getattr(skimage.data, name)()
        cells = [gossamer.read_image(photograph).rgb]
        for model in MODELS:
            cutout = gossamer.remove_background(photograph, model=model)
            cells.append(over(cutout.foreground, cutout.alpha, GREEN))
        height = round(cells[0].shape[0] * WIDTH / cells[0].shape[1])
        small = [cv2.resize(cell, (WIDTH, height), interpolation=cv2.INTER_AREA) for cell in cells]
        side = WIDTH // ZOOM
        crops = [cell[top : top + side, left : left + side] for cell in cells]
        large = [crop.repeat(ZOOM, axis=0).repeat(ZOOM, axis=1) for crop in crops]
        if not whole:
            titles = ("photograph", *MODELS)
            small, large = ([labelled(t, c) for t, c in zip(titles, row, strict=True)] for row in (small, large))
        whole.append(_beside(small))
        edges.append(_beside(large))
    _write("choosing", _under(whole), quality=85)
    _write("choosing-edges", _under(edges), quality=85)


def report() -> None:
    """Show the page of a batch in Chromium, as a person looks through it."""
    from playwright.sync_api import sync_playwright

    from gossamer.cli import main
    from tests.comfyui.browser import chromium

    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        folder = Path(temporary)
        photographs = folder / "photographs"
        photographs.mkdir()
        for name in DETAILS:
            photograph = getattr(skimage.data, name)()
            (photographs / f"{name}.jpg").write_bytes(encode_image(photograph, None, "jpeg"))
        out, page = folder / "summer-catalogue", folder / "report.html"
        main(["batch", str(photographs), "--out", str(out), "--model", "isnet-general-use", "--report", str(page)])
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        shown = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme="light")
        shown.goto(page.as_uri())
        shown.select_option("#sort", "name")
        for key in "ajrkkk":
            shown.keyboard.press(key)
        shown.wait_for_timeout(500)
        shown.screenshot(path=HERE / "report.jpg", type="jpeg", quality=85)
        browser.close()


def _beside(cells: list[np.ndarray]) -> np.ndarray:
    row = [np.pad(cell, ((0, 0), (0, GAP), (0, 0)), constant_values=1) for cell in cells]
    return np.hstack(row)[:, :-GAP]


def _under(rows: list[np.ndarray]) -> np.ndarray:
    return np.vstack([np.pad(row, ((0, GAP), (0, 0), (0, 0)), constant_values=1) for row in rows])[:-GAP]


def _write(name: str, sheet: np.ndarray, quality: int = 95) -> None:
    write_bytes(HERE / f"{name}.jpg", encode_image(sheet, None, "jpeg", quality=quality), force=True)


PICTURES: dict[str, Callable[[], None]] = {"before_after": before_after, "choosing": choosing, "report": report}

if __name__ == "__main__":
    for wanted in sys.argv[1:] or PICTURES:
        PICTURES[wanted]()
