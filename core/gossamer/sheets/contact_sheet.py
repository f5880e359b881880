"""Contact sheets: cut-outs over the backgrounds that show their faults, and their edges enlarged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gossamer.arrays import Array, as_mask, as_rgb
from gossamer.compositing import over, parse_colour
from gossamer.errors import InputError
from gossamer.sheets.layout import GAP, LABEL, framed, labelled, scaled

__all__ = ["Entry", "contact_sheet", "edge_windows", "sheet_size"]

BACKGROUNDS = ("#000000", "#ffffff", "#808080", "#ff00ff")
"""Black shows light fringes, white dark ones, grey both, and a saturated colour what is left of the old background."""


class Entry(NamedTuple):
    """One row of a contact sheet."""

    label: str
    foreground: Array
    """(H, W, 3) float32, straight colours."""
    alpha: Array
    """(H, W) float32, 1 = foreground."""


def edge_windows(alpha: Array, size: int, count: int) -> list[tuple[int, int]]:
    """Return the top left corners of the `count` windows with the most soft edge in them, none overlapping.

    Parameters
    ----------
    alpha : (H, W) float32
        1 = foreground.
    size : int
        Side of the windows in pixels.
    count : int
        At most so many.

    Returns
    -------
    list of (row, column)
        The window with the most edge first; empty for a matte without an edge.
    """
    import cv2

    height, width = alpha.shape
    if height < size or width < size:
        return []
    softness = (alpha * (1 - alpha)).astype(np.float32) + np.float32(0.02) * (
        np.abs(cv2.Laplacian(alpha, cv2.CV_32F)) > 0.1
    ).astype(np.float32)
    sums = cv2.boxFilter(softness, cv2.CV_32F, (size, size), anchor=(0, 0), normalize=False)[
        : height - size + 1, : width - size + 1
    ].copy()
    corners: list[tuple[int, int]] = []
    while len(corners) < count and sums.size and sums.max() > 0.5:
        row, column = (int(i) for i in np.unravel_index(int(sums.argmax()), sums.shape))
        corners.append((row, column))
        sums[max(0, row - size + 1) : row + size, max(0, column - size + 1) : column + size] = 0
    return corners


def contact_sheet(entries: Sequence[Entry], *, width: int = 320, crops: int = 2, zoom: int = 4) -> Array:
    """Lay cut-outs of one picture out over several backgrounds, with the same edges enlarged for each.

    Parameters
    ----------
    entries : sequence of Entry
        One row each; all of the same size.
    width : int
        Width of one cell in pixels.
    crops : int
        How many edge windows to enlarge; they are where the first entry has the most soft edge.
    zoom : int
        Enlargement of the crops, by whole pixels, so that nothing is smoothed away.

    Returns
    -------
    (h, w, 3) float32

    Raises
    ------
    InputError
        There are no entries, or their sizes differ.
    """
    if not entries:
        raise InputError("There is nothing to compare.", "Give at least one cut-out.")
    entries = [
        Entry(
            entry.label,
            as_rgb(entry.foreground, f"picture {entry.label}"),
            as_mask(entry.alpha, name=f"alpha of {entry.label}", measured=True),
        )
        for entry in entries
    ]
    shape = entries[0].alpha.shape
    for entry in entries:
        if entry.alpha.shape != shape:
            raise InputError(
                f"{entry.label} is {entry.alpha.shape[1]} x {entry.alpha.shape[0]} pixels, "
                f"but {entries[0].label} is {shape[1]} x {shape[0]}.",
                "Compare cut-outs of the same picture.",
            )
    window = max(1, width // zoom)
    corners = edge_windows(entries[0].alpha, window, crops)
    return np.vstack([labelled(entry.label, _row(entry, corners, width, window, zoom)) for entry in entries])


def sheet_size(
    shape: tuple[int, int], count: int, *, width: int = 320, crops: int = 2, zoom: int = 4
) -> tuple[int, int]:
    """Return height and width that the sheet of `count` cut-outs of this shape has at most: known before they are made.

    Parameters
    ----------
    shape : tuple of int
        Height and width of the pictures.
    count, width, crops, zoom : int
        How many entries, and as for :func:`contact_sheet`.
    """
    window = max(1, width // zoom)
    places = (shape[0] // window) * (shape[1] // window)
    picture = max(1, round(shape[0] * width / shape[1]))
    row = picture + GAP + max(0, min(crops, places)) * (width + GAP)
    return count * (LABEL + row), len(BACKGROUNDS) * (width + GAP)


def _row(entry: Entry, corners: list[tuple[int, int]], width: int, window: int, zoom: int) -> Array:
    """Return one entry over every background, whole and enlarged."""
    columns = []
    for name in BACKGROUNDS:
        composite = over(entry.foreground, entry.alpha, parse_colour(name))
        cells = [scaled(composite, width)]
        for top, left in corners:
            crop = composite[top : top + window, left : left + window]
            cells.append(scaled(crop.repeat(zoom, 0).repeat(zoom, 1), width))
        columns.append(np.vstack([framed(cell) for cell in cells]))
    row: Array = np.hstack(columns)
    return row
