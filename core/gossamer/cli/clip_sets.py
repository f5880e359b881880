"""`gossamer dataset check|split|show --clips`: the same of clips."""

from __future__ import annotations

import argparse
import functools
from collections import Counter
from typing import Any

import numpy as np

import gossamer
from gossamer.arrays import unit_float
from gossamer.cli.console import Console
from gossamer.cli.terminal import show, show_json, tell
from gossamer.errors import InputError
from gossamer.image import SHEET, encode_image, format_of, write_bytes
from gossamer.parallel.patience import patiently
from gossamer.progress import Progress
from gossamer.settings.dataset import Data
from gossamer.sheets.truths import Truth, truth_sheet
from gossamer.training.clips.examples import ClipExample
from gossamer.training.clips.lessons import ClipLesson
from gossamer.training.clips.reading import (
    ClipSet,
    check_clips,
    find_clips,
    look_into_clips,
    read_clips,
    split_clips,
)
from gossamer.training.dataset.backgrounds import backgrounds_in

__all__ = ["check", "divide", "draw"]

_NAMED = 20  # of each kind, in a report
_FRAMES = 4  # of each clip, on a sheet


def check(data: str, settings: Data, *, as_json: bool, quiet: bool) -> int:
    """Look at every clip, and say what can be used and what cannot."""
    with Console(quiet) as console:
        found = look_into_clips(find_clips(data, settings), Progress(console.progress))
    fault = None
    try:
        check_clips(found, settings)
    except InputError as error:
        fault = error
    if as_json:
        show_json(_report(data, found, fault))
    else:
        _print_report(found)
    if fault is None:
        return 0
    if not as_json:
        tell(f"gossamer: {fault}")
    return fault.exit_code


def _report(data: str, found: ClipSet, fault: InputError | None) -> dict[str, Any]:
    return {
        "gossamer": gossamer.__version__,
        "data": data,
        "usable": fault is None,
        "error": None if fault is None else {"message": fault.message, "remedy": fault.remedy},
        "clips": [
            {
                "name": one.name,
                "group": one.group,
                "path": str(one.path),
                "source": one.source,
                "cutout": one.is_cutout,
                "frames": one.length,
                "width": one.size[0],
                "height": one.size[1],
            }
            for one in found.clips
        ],
        "left_out": [{"name": name, "reason": reason} for name, reason in found.left_out],
        "passed_over": [{"name": name, "reason": reason} for name, reason in found.passed_over],
        "notes": [{"name": name, "note": note} for name, note in found.notes],
    }


def _print_report(found: ClipSet) -> None:
    moving = [one for one in found.clips if not one.is_still]
    kinds = Counter(one.source for one in moving)
    words = ", ".join(f"{count} from a {kind}" for kind, count in kinds.items())
    stills = len(found.clips) - len(moving)
    show(f"{len(moving)} clips can be used{f' ({words})' if words else ''}, and {stills} stills that are made to move.")
    if moving:
        lengths = sorted(one.length for one in moving)
        show(f"Frames: {lengths[0]} to {lengths[-1]}, {sum(lengths)} in all.")
    if found.clips:
        sides = sorted((max(one.size), one.size) for one in found.clips)
        sizes = " to ".join(dict.fromkeys(f"{one[0]} x {one[1]}" for _, one in (sides[0], sides[-1])))
        show(f"Sizes: {sizes}.")
        alone = sum(one.is_cutout for one in found.clips)
        if alone:
            show(f"{alone} have no background, and are laid over others.")
        groups = len({one.group for one in found.clips})
        if groups < len(found.clips):
            show(f"Groups: {groups}.")
    for what, rows in (
        ("left out", found.left_out),
        ("passed over", found.passed_over),
        ("to be looked at", found.notes),
    ):
        if rows:
            show(f"{len(rows)} {what}:")
            for name, reason in rows[:_NAMED]:
                show(f"  {name}: {reason}")
            if len(rows) > _NAMED:
                show(f"  and {len(rows) - _NAMED} more: see them with --json")


def divide(arguments: argparse.Namespace, settings: Data) -> int:
    """Split clips, and say which went where."""
    if arguments.out:
        raise InputError("Splits of clips are not written as tables.", "Leave --out out: finetune splits alike.")
    with Console(arguments.quiet) as console:
        steps = Progress(console.progress)
        found = read_clips(arguments.data, settings, steps.part(0, 0.9))
        made = split_clips(found.clips, settings, steps.part(0.9, 1))
    if arguments.json:
        show_json({"gossamer": gossamer.__version__, "seed": settings.split_seed, **made.as_dict()})
        return 0
    for name, part in made._asdict().items():
        groups = len({one.group for one in part})
        show(f"{name:10} {len(part):6} clips in {groups} groups, {sum(one.length for one in part)} frames")
    return 0


def draw(arguments: argparse.Namespace, settings: Data) -> int:
    """Draw some frames of some clips with their mattes, as they are measured."""
    pictures = backgrounds_in(arguments.backgrounds) if arguments.backgrounds else ()
    with Console(arguments.quiet) as console:
        steps = Progress(console.progress)
        found = read_clips(arguments.data, settings, steps.part(0, 0.7))
        count = min(arguments.count, len(found.clips))
        shown = [found.clips[place] for place in np.linspace(0, len(found.clips) - 1, count).round().astype(int)]
        rows: list[Truth] = []
        for number, one in enumerate(shown):
            part = steps.part(0.7 + 0.3 * number / count, 1)
            part(0.0, "Drawing the sheet")
            rows += patiently(functools.partial(_rows, one, pictures, number), part)
        sheet = truth_sheet(rows)
        write_bytes(
            arguments.out, encode_image(sheet, None, format_of(arguments.out), software=SHEET), force=arguments.force
        )
        console.say(f"Wrote {arguments.out} ({sheet.shape[1]} x {sheet.shape[0]})")
    if arguments.json:
        show_json({"path": arguments.out, "names": [one.name for one in shown]})
    return 0


def _rows(clip: ClipExample, pictures: tuple[Any, ...], number: int) -> list[Truth]:
    frames, alphas = ClipLesson(clip, pictures).load(number)
    places = dict.fromkeys(np.linspace(0, len(frames) - 1, _FRAMES).round().astype(int).tolist())
    return [Truth(f"{clip.name}, {one + 1} of {len(frames)}", unit_float(frames[one]), alphas[one]) for one in places]
