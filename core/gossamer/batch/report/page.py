"""The page: rows, pictures, style and script in one HTML file that asks nobody for anything."""

from __future__ import annotations

import base64
import hashlib
import html
import importlib.resources
import json
import os
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import gossamer
from gossamer.batch.addresses import Address, Where, address_of, check_address, is_address
from gossamer.batch.journal import Journal
from gossamer.batch.report.gathering import gathered, thumbnails_folder
from gossamer.batch.report.rows import Row, read_rows, worst_first
from gossamer.batch.report.thumbnails import Thumbnails
from gossamer.batch.results import results_of
from gossamer.compositing import parse_colour
from gossamer.files import check_place, write_bytes
from gossamer.paths import target_path
from gossamer.progress import Progress, ProgressCallback
from gossamer.settings.report import ReportChoice

__all__ = ["Made", "is_report", "make_report"]

_SCRIPTS = ("text.js", "decisions.js", "list.js", "picture.js", "start.js")
_WORDS = {"set-aside": "set aside", "pending": "unfinished"}
_MARK = re.compile(r"\{\{(\w+)\}\}")
_GATHERING = 0.9  # of the time
_HEAD = 2048  # bytes in which a page says what made it


@dataclass(frozen=True)
class Made:
    """A report that was written.

    Attributes
    ----------
    pictures : int
        How many it shows.
    small : int
        Those of them that it had no room to show large.
    bytes : int
        Its size.
    """

    pictures: int
    small: int
    bytes: int


def make_report(
    out: str | os.PathLike[str] | Address,
    file: str | os.PathLike[str],
    choice: ReportChoice | None = None,
    *,
    force: bool = False,
    progress: Progress | ProgressCallback | None = None,
) -> Made:
    """Write the report of a batch: one HTML file that works offline.

    Parameters
    ----------
    out : str, Path or Address
        The folder that the batch wrote to, or its address in a store; of a run that goes on meanwhile what it has
        done so far is shown.
    file : str or Path
        Written whole or not at all; may be an address in a store.
    choice : ReportChoice, optional
    force : bool
        Replace an existing file.
    progress : callable, optional
        ``progress(fraction, message)``; raising :class:`gossamer.Cancelled` in it stops the work.

    Returns
    -------
    Made

    Raises
    ------
    InputError
        There is no journal, or the brand's colour is none.
    OutputError
        The file cannot be written.
    """
    choice = choice or ReportChoice()
    brand = "#" + "".join(f"{round(255 * float(value)):02x}" for value in parse_colour(choice.brand))
    target: Where
    if is_address(os.fspath(file)):
        target = address_of(os.fspath(file))
        check_address(target, force)
    else:
        target = target_path(file)
        check_place(target, force)
    steps = Progress.of(progress)
    folder, journal, rows = read_rows(out)
    with thumbnails_folder(results_of(folder).home) as place:
        found = list(gathered(place, rows, _measured, steps.part(0.0, _GATHERING), sweep=True))
        names = Counter(row.record.source for row in rows)
        beside = target.absolute().parent if isinstance(target, Path) else target.parent
        told = [_told(row, notes, beside, names) for row, (_, _, notes) in zip(rows, found, strict=True)]
        data = _script({**_head(folder, journal, rows, choice), "rows": told})
        style, script = _part("page.css"), "\n".join(map(_part, _SCRIPTS))
        taken = sum(map(len, (data, style, script, _part("page.html")))) + sum(small for small, _, _ in found)
        large = _that_fit([size for _, size, _ in found], worst_first(rows), choice.megabytes * 1_000_000 - taken)
        texts = {
            "title": html.escape(f"{_plain(folder.name)} – batch report"),
            "generator": html.escape(f"Gossamer {gossamer.__version__}"),
            "policy": html.escape(_policy(style, script)),
            "brand": brand,
            "style": style,
            "script": script,
            "data": data,
        }
        counter = _Counter()
        parts = counter.of(_parts(place, rows, large, texts, steps.part(_GATHERING, 1.0)))
        if isinstance(target, Path):
            write_bytes(target, parts, force=force)
        else:
            target.write(b"".join(parts), new=not force, steps=steps)
    small = sum(size > 0 and number not in large for number, (_, size, _) in enumerate(found))
    return Made(len(rows), small, counter.count)


def is_report(file: str | os.PathLike[str]) -> bool:
    """Tell whether a file is an earlier report, which a new one may well replace."""
    try:
        if is_address(os.fspath(file)):
            address = address_of(os.fspath(file))
            head = address.read(0, min(address.stat().st_size, _HEAD))
        else:
            with target_path(file).open("rb") as opened:
                head = opened.read(_HEAD)
    except (OSError, ValueError):
        return False
    return head.startswith(b"<!doctype html>") and b'name="generator" content="Gossamer' in head


class _Counter:
    """Counts the bytes that go through it."""

    count = 0

    def of(self, parts: Iterator[bytes]) -> Iterator[bytes]:
        for part in parts:
            self.count += len(part)
            yield part


def _parts(
    place: Path, rows: Sequence[Row], large: set[int], texts: dict[str, str], steps: Progress
) -> Iterator[bytes]:
    """Return the file's pieces: the template was cut at its marks, so that nothing put in is searched for marks."""
    for number, text in enumerate(_MARK.split(_part("page.html"))):
        if number % 2 == 0 or text != "pictures":
            yield (text if number % 2 == 0 else texts[text]).encode("utf-8")
            continue
        for row, (small, whole) in enumerate(gathered(place, rows, _shown, steps)):
            yield _element(f"t{row}", small)
            if row in large:
                yield _element(f"d{row}", whole)


def _shown(thumbnails: Thumbnails) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what a page holds of a picture: always, and where there is room."""
    small = {"before": thumbnails.before, "after": thumbnails.after, "apart": thumbnails.apart}
    whole = {
        "photo": thumbnails.photo,
        "cutout": thumbnails.cutout,
        "shadow": thumbnails.shadow,
        "apart": thumbnails.apart,
        "zooms": [asdict(zoom) for zoom in thumbnails.zooms],
    }
    return small, whole


def _measured(thumbnails: Thumbnails) -> tuple[int, int, tuple[str, ...]]:
    """Return how many bytes both are, the latter 0 where there is nothing in it, and what could not be shown."""
    small, whole = _shown(thumbnails)
    some = bool(thumbnails.photo or thumbnails.cutout)
    return len(_element("t00000", small)), len(_element("d00000", whole)) if some else 0, thumbnails.notes


def _that_fit(sizes: list[int], order: list[int], room: int) -> set[int]:
    """Return the numbers of the pictures that are shown large, the first of the order first."""
    large = set()
    for number in order:
        if 0 < sizes[number] <= room:
            room -= sizes[number]
            large.add(number)
    return large


def _told(row: Row, notes: tuple[str, ...], beside: Where, names: Counter[str]) -> dict[str, Any]:
    """Return what the page tells of a picture; that it cannot be read is said once, by its error."""
    told = row.as_dict(beside)
    # What a review calls it: by its name below IN, unless pictures of two folders have the same.
    told["id"] = told["source"] if names[row.record.source] == 1 else str(row.record.source_path)
    if not told["error"]:
        told["notes"] += notes
    return told


def _head(folder: Where, journal: Journal, rows: Sequence[Row], choice: ReportChoice) -> dict[str, Any]:
    """Return what the page tells of the batch as a whole."""
    run = journal.runs[-1] if journal.runs else None
    counts = Counter(row.state for row in rows)
    flagged = sum(bool(row.flags) for row in rows)
    states = ("done", "failed", "set-aside", "pending", "skipped")
    summary = [f"{counts[state]:,} {_WORDS.get(state, state)}" for state in states if counts[state]]
    summary += [f"{flagged:,} flagged"] if flagged else []
    notes = []
    if journal.broken:
        lines = "One line" if journal.broken == 1 else f"{journal.broken} lines"
        notes.append(f"{lines} of the journal could not be read: a picture may be missing here.")
    if run is not None:
        summary += [str(run.model)] if run.model else []
        summary += [_when(run.started)]
        if isinstance(run.pictures, int) and run.pictures > len(rows):
            notes.append(f"The run was to make {run.pictures:,} pictures, and got to {len(rows):,}: resume it.")
    out = shlex.quote(str(folder))
    return {
        "id": hashlib.sha256(os.fsencode(str(folder))).hexdigest()[:16],
        "title": folder.name or str(folder),
        "summary": " · ".join(text for text in summary if text),
        "again": f"gossamer batch --out {out} --only decisions.csv",
        "megabytes": choice.megabytes,
        "notes": notes,
    }


def _when(started: object) -> str:
    with suppress(TypeError, ValueError):
        return f"{datetime.fromisoformat(str(started)).astimezone():%Y-%m-%d %H:%M}"
    return ""


def _element(name: str, value: object) -> bytes:
    return f'<script type="application/json" id="{name}">{_script(value)}</script>\n'.encode()


def _script(value: object) -> str:
    """Return JSON, in ASCII, as it may stand in an element `script`: nothing in it ends that, or begins a comment."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _policy(style: str, script: str) -> str:
    """Return what the page may do: run this very script, with this very style and pictures that are in it."""
    hashes = [
        base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii") for text in (script, style)
    ]
    return (
        f"default-src 'none'; script-src 'sha256-{hashes[0]}'; style-src 'sha256-{hashes[1]}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _part(name: str) -> str:
    return importlib.resources.files(__package__).joinpath(name).read_text("utf-8").strip()


def _plain(text: str) -> str:
    """Return text that UTF-8 can hold: a folder's name may have bytes that are none."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
