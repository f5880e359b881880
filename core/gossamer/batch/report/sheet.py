"""Contact sheets of a batch: pages of cut-outs with their names and flags, for people who only look."""

from __future__ import annotations

import base64
import io
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from gossamer.batch.addresses import Address
from gossamer.batch.report.gathering import gathered, thumbnails_folder
from gossamer.batch.report.lettering import Lettering
from gossamer.batch.report.rows import Row, read_rows
from gossamer.batch.report.thumbnails import Thumbnails
from gossamer.batch.results import results_of
from gossamer.errors import InputError, OutputError
from gossamer.files import check_place, write_bytes
from gossamer.paths import target_path
from gossamer.progress import Progress, ProgressCallback
from gossamer.settings.report import ReportChoice

if TYPE_CHECKING:
    from PIL import Image as Pillow

__all__ = ["make_sheets"]

_DPI = 200
_WIDTH, _HEIGHT = 2338, 1654  # A4, lying
_MARGIN, _HEADER, _GAP = 80, 70, 26
_LINE = 34  # pixels of a line of text, of which a picture has three
_PAPER, _WASH, _INK, _SOFT, _FAULT = "#ffffff", "#eeebe6", "#1f1d1a", "#6a655d", "#a4303f"
_CHUNK = 1 << 20
_FORMATS = {".pdf": "PDF", ".png": "PNG"}
_STATES = {"failed": "Failed", "set-aside": "Set aside", "pending": "Unfinished"}


def make_sheets(
    out: str | os.PathLike[str] | Address,
    file: str | os.PathLike[str],
    choice: ReportChoice | None = None,
    *,
    force: bool = False,
    progress: Progress | ProgressCallback | None = None,
) -> list[Path]:
    """Write the contact sheets of a batch, sorted by name: pages of A4 at 200 dots an inch.

    Parameters
    ----------
    out : str, Path or Address
        The folder that the batch wrote to, or its address in a store.
    file : str or Path
        ``.pdf`` for one file with all pages; ``.png`` for one file a page, ``sheet-1.png`` and so on of several.
    choice : ReportChoice, optional
        Its ``columns``.
    force : bool
        Replace existing files.
    progress : callable, optional
        ``progress(fraction, message)``; raising :class:`gossamer.Cancelled` in it stops the work.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    InputError
        There is no journal, or no picture in it.
    OutputError
        Something cannot be written, or the name ends in neither suffix.
    """
    choice, target, steps = choice or ReportChoice(), target_path(file), Progress.of(progress)
    form = _FORMATS.get(target.suffix.lower())
    if form is None:
        raise OutputError(f"{target} is no contact sheet.", "Give a name that ends in .pdf or .png.")
    folder, _, rows = read_rows(out)
    rows = sorted((row for row in rows if row.state != "skipped"), key=lambda row: _order(row.record.source))
    if not rows:
        raise InputError(f"The journal in {folder} tells of no picture.", "Run gossamer batch to its end first.")
    pages = -(-len(rows) // (choice.columns * _lines(choice.columns)))
    several = form == "PNG" and pages > 1
    digits = len(str(pages))
    numbered = [target.with_stem(f"{target.stem}-{number:0{digits}}") for number in range(1, pages + 1)]
    targets = numbered if several else [target]
    for one in targets:
        check_place(one, force)
    with thumbnails_folder(results_of(folder).home) as place:
        made = _pages(rows, gathered(place, rows, _cutout, steps), choice.columns, folder.name)
        if form == "PNG":
            for one, page in zip(targets, made, strict=True):
                encoded = io.BytesIO()
                page.save(encoded, "PNG", dpi=(_DPI, _DPI))
                write_bytes(one, encoded.getvalue(), force=force)
        else:
            with tempfile.TemporaryFile() as whole:
                for number, page in enumerate(made):
                    whole.seek(0)
                    page.save(whole, "PDF", resolution=_DPI, quality=88, append=number > 0, title=folder.name)
                write_bytes(target, _chunks(whole), force=force)
    return targets


def _order(name: str) -> list[str | int]:
    """Return by what names are sorted: ``2.jpg`` before ``10.jpg``."""
    return [int(part) if number % 2 else part for number, part in enumerate(re.split(r"(\d+)", name.casefold()))]


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    while chunk := file.read(_CHUNK):
        yield chunk


def _cutout(thumbnails: Thumbnails) -> str:
    """Return what is laid out of a picture: the cut-out, or the photograph where there is none."""
    return thumbnails.cutout or thumbnails.photo


def _lines(columns: int) -> int:
    """Return how many lines of pictures a page has."""
    wide = (_WIDTH - 2 * _MARGIN - (columns - 1) * _GAP) / columns
    return max(round((_HEIGHT - 2 * _MARGIN - _HEADER) / (0.7 * wide + 3 * _LINE + _GAP)), 1)


def _pages(rows: Sequence[Row], pictures: Iterator[str], columns: int, title: str) -> Iterator[Pillow.Image]:
    """Draw one page after the other."""
    from PIL import Image, ImageDraw

    lines, text = _lines(columns), Lettering(26)
    size = columns * lines
    count = -(-len(rows) // size)
    wide = (_WIDTH - 2 * _MARGIN - (columns - 1) * _GAP) // columns
    tall = (_HEIGHT - 2 * _MARGIN - _HEADER - (lines - 1) * _GAP) // lines
    for number in range(count):
        page = Image.new("RGB", (_WIDTH, _HEIGHT), _PAPER)
        pen = ImageDraw.Draw(page)
        text.draw(pen, (_MARGIN, _MARGIN), title, _INK, _WIDTH - 2 * _MARGIN - 300)
        text.draw(pen, (_WIDTH - _MARGIN, _MARGIN), f"{number + 1} of {count}", _SOFT, 280, right=True)
        for slot, row in enumerate(rows[number * size : (number + 1) * size]):
            left = _MARGIN + slot % columns * (wide + _GAP)
            top = _MARGIN + _HEADER + slot // columns * (tall + _GAP)
            _tile(page, (left, top, wide, tall), row, next(pictures), text)
        yield page
    next(pictures, None)  # that is the last: its teller says so


def _tile(page: Pillow.Image, box: tuple[int, int, int, int], row: Row, picture: str, text: Lettering) -> None:
    """Draw one picture with its name, its folder and what is wrong with it."""
    from PIL import Image, ImageDraw

    left, top, wide, tall = box
    pen, high = ImageDraw.Draw(page), max(tall - 3 * _LINE, 16)
    pen.rectangle((left, top, left + wide - 1, top + high - 1), fill=_WASH)
    if picture:
        with Image.open(io.BytesIO(base64.b64decode(picture))) as opened:
            shown = opened.convert("RGBA")
        shown.thumbnail((wide, high), Image.Resampling.LANCZOS)
        page.paste(shown, (left + (wide - shown.width) // 2, top + (high - shown.height) // 2), shown)
    folder, _, name = row.record.source.rpartition("/")
    score = "" if row.score is None else f"{row.score:.0f}"
    text.draw(pen, (left + wide, top + high + 4), score, _INK, 80, right=True)
    text.draw(pen, (left, top + high + 4), name, _INK, wide - 60)
    text.draw(pen, (left, top + high + 4 + _LINE), folder, _SOFT, wide)
    words = [_STATES[row.state]] if row.state in _STATES else []
    words += [flag["name"] for flag in row.flags] + (["changed since"] if row.notes else [])
    bad = row.state == "failed" or any(flag["severity"] == "fault" for flag in row.flags)
    text.draw(pen, (left, top + high + 4 + 2 * _LINE), ", ".join(words), _FAULT if bad else _SOFT, wide)
