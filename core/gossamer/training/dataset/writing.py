"""Data sets written down: tables of a split, composed pictures with their masks, what a batch has taught."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gossamer.arrays import Array
from gossamer.batch.addresses import is_address
from gossamer.batch.manifest import table_rows
from gossamer.batch.report.rows import Row, is_trouble, read_rows
from gossamer.errors import GossamerError, InputError
from gossamer.image import encode_image, read_image, read_mask
from gossamer.parallel.patience import patiently
from gossamer.paths import source_path
from gossamer.progress import Progress
from gossamer.training.dataset.composing import compose
from gossamer.training.dataset.examples import Example
from gossamer.training.dataset.splitting import Split
from gossamer.training.dataset.table import TABLE
from gossamer.training.folder import new_folder

__all__ = ["Learned", "write_batch", "write_composed", "write_split"]

MASKS, IMAGES = "masks", "images"
_WORSE = ("reject", "rejected", "redo")
_GOOD = ("accept", "accepted", "keep")


def write_split(made: Split, out: str | os.PathLike[str], progress: Progress) -> Path:
    """Write the parts of a split as tables: train.jsonl, validation.jsonl and test.jsonl in a new folder.

    Each is a data set; pictures and masks stay where they are. Subjects that COCO's file outlines, and inverted masks,
    are drawn into the folder ``masks``.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    OutputExists, OutputError
        The folder exists, or cannot be written.
    InputError
        A mask that has to be drawn cannot be.
    """
    total = sum(len(getattr(made, part.name)) for part in dataclasses.fields(made))
    done = 0
    with new_folder(out) as folder:
        for part in dataclasses.fields(made):
            rows = []
            for one in getattr(made, part.name):
                progress(done / max(total, 1), "Writing the tables")
                row = {"picture": str(one.picture), "name": one.name, "group": one.group}
                if one.outlines is not None or (one.inverted and not one.is_cutout):
                    name = f"{MASKS}/{done:06d}.png"
                    _write_mask(folder / name, one.load()[1])
                    row["mask"] = name
                elif one.alpha is not None:
                    row["mask"] = str(one.alpha)
                rows.append(row)
                done += 1
            _write_table(folder / f"{part.name}.jsonl", rows)
    return Path(os.path.abspath(out))


def write_composed(
    examples: Sequence[Example],
    backgrounds: Sequence[Path],
    count: int,
    out: str | os.PathLike[str],
    *,
    seed: int,
    longest: int,
    progress: Progress,
) -> Path:
    """Write pictures composed of cut-outs, with their masks, into a new folder: a data set for any program.

    Parameters
    ----------
    examples : sequence of Example
        Each is used as often as the others, but for one.
    backgrounds : sequence of Path
    count : int
        How many pictures.
    out : path
    seed, longest : int
        As for :func:`~gossamer.training.dataset.compose`; each picture has a seed of its own.
    progress : Progress
        May raise to cancel; then nothing is written.

    Raises
    ------
    OutputExists, OutputError, InputError
        The folder exists or cannot be written, or an example or a background cannot be read.
    """
    if not examples or count < 1:
        raise InputError("There is nothing to compose.", "Give cut-outs, and a count of 1 or more.")
    with new_folder(out) as folder:
        (folder / IMAGES).mkdir()
        (folder / MASKS).mkdir()
        for number in range(count):
            progress(number / count, f"Composing pictures: {number} of {count}")
            one = examples[number % len(examples)]
            own = seed * 1_000_003 + number
            rgb, alpha = patiently(functools.partial(compose, one, backgrounds, own, longest=longest), progress)
            # The subject's name stays in front: it is what the pictures are grouped by.
            name = f"{one.name.replace('/', '-')[:120]}_{number:05d}.png"
            (folder / IMAGES / name).write_bytes(encode_image(rgb, None, "png"))
            _write_mask(folder / MASKS / name, alpha)
    return Path(os.path.abspath(out))


@dataclass(frozen=True)
class Learned:
    """What a batch has become.

    Attributes
    ----------
    folder : Path
        The data set: ``data.jsonl`` and ``masks``.
    accepted, drafts : int
        Pictures whose mask is a truth, and those whose mask has to be corrected first.
    left_out : tuple of (str, str)
        Name and reason, a sentence, of each that can be neither.
    """

    folder: Path
    accepted: int
    drafts: int
    left_out: tuple[tuple[str, str], ...]


def write_batch(
    batch: str | os.PathLike[str],
    decisions: str | os.PathLike[str] | None,
    out: str | os.PathLike[str],
    progress: Progress,
) -> Learned:
    """Make a data set of what a batch has made.

    The alpha of what was accepted is a truth. That of what was rejected is a draft: the table names it with its
    SHA-256, and whoever reads the data set leaves it out until somebody has corrected that file. Photographs stay where
    they are.

    Parameters
    ----------
    batch : path
        The folder that ``gossamer batch`` wrote to, or its address in a store.
    decisions : path or None
        What the report's page has exported, CSV or JSON. Without it what the checks found no fault in is accepted, and
        what they did is rejected.
    out : path
        A new folder.
    progress : Progress
        May raise to cancel; then nothing is written.

    Raises
    ------
    InputError
        There is no batch, the decisions cannot be read or name none of its pictures, or nothing of it can be used.
    OutputExists, OutputError
        `out` exists, or cannot be written.
    """
    rows = read_rows(batch)[2]
    said = _decisions(decisions, rows)
    left_out: list[tuple[str, str]] = []
    table: list[dict[str, object]] = []
    with new_folder(out) as folder:
        (folder / MASKS).mkdir()
        for number, row in enumerate(rows):
            progress(number / len(rows), f"Reading what the batch has made: {number} of {len(rows)}")
            name = row.record.source
            verdict = said.get(name)
            if verdict is None:
                left_out.append((name, "Nobody has decided about it."))
                continue
            try:
                mask = _mask_of(row)
            except GossamerError as error:
                left_out.append((name, error.message))
                continue
            file = folder / MASKS / f"{number:06d}.png"
            _write_mask(file, mask)
            entry: dict[str, object] = {
                "name": name,
                "picture": row.record.source_path,
                "mask": f"{MASKS}/{file.name}",
                "decision": verdict,
                "score": row.score,
                "model": row.record.model,
            }
            if verdict != "accept":
                entry["draft"] = hashlib.sha256(file.read_bytes()).hexdigest()
            table.append(entry)
        if not table:
            raise InputError(
                f"Nothing of the batch can be learned from: {left_out[0][1] if left_out else 'it is empty.'}",
                "Accept some of its pictures in the report's page, and export the decisions.",
            )
        _write_table(folder / TABLE, table)
    drafts = sum("draft" in entry for entry in table)
    return Learned(Path(os.path.abspath(out)), len(table) - drafts, drafts, tuple(left_out))


def _decisions(given: str | os.PathLike[str] | None, rows: Sequence[Row]) -> dict[str, str]:
    """Return what was decided of each picture, ``accept`` or ``reject``."""
    if given is None:
        return {row.record.source: "reject" if is_trouble(row) else "accept" for row in rows}
    path = source_path(given, "decisions")
    known = {row.record.source for row in rows}
    found = {}
    for number, entry in enumerate(table_rows(path, "review"), 1):
        decision = str(entry.get("decision") or "").strip().lower()
        if "source" not in entry or decision not in (*_WORSE, *_GOOD, ""):
            raise InputError(
                f"Row {number} of {path} has no source, or the decision {decision!r}.",
                "Give what the report's page has exported.",
            )
        if decision and str(entry["source"]) in known:
            found[str(entry["source"])] = "accept" if decision in _GOOD else "reject"
    if not found:
        raise InputError(f"{path} decides about none of the batch's pictures.", "Give what its own page has exported.")
    return found


def _mask_of(row: Row) -> Array:
    """Return the alpha that a batch has made of a picture, in the picture's size."""
    if row.source is None:
        in_store = is_address(row.record.source_path)
        raise InputError(f"The photograph {'lies in a store' if in_store else 'is not where it was any more'}.")
    if row.output is None:
        raise InputError("It has no cut-out." if row.record.error is None else row.record.error.message)
    if any("photograph was changed" in note or "replaced" in note for note in row.notes):
        raise InputError("The photograph or the cut-out was changed since.")
    output = row.output if isinstance(row.output, Path) else row.output.whole()
    picture, cutout = read_image(row.source), read_image(output)
    if cutout.alpha is None:
        raise InputError("Its cut-out has a background, and so no alpha.")
    alpha = read_mask(output, measured=True).plane
    if alpha.shape != (picture.height, picture.width):
        raise InputError(
            f"Its cut-out is {cutout.width} x {cutout.height} pixels, and the photograph {picture.width} x "
            f"{picture.height}: it was cropped or put on a canvas."
        )
    return alpha


def _write_mask(path: Path, alpha: Array) -> None:
    """Write a mask, grey of 8 bits."""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(encode_image(None, alpha, "png"))


def _write_table(path: Path, rows: Iterable[dict[str, object]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
