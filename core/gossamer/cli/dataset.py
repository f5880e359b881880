"""`gossamer dataset`: look at training data before anything runs, split it, show it, and make it of what there is."""

from __future__ import annotations

import argparse
import functools
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

import gossamer
from gossamer.arrays import unit_float
from gossamer.cli import clip_sets
from gossamer.cli.console import Console
from gossamer.cli.parser import Parser, add_flags, given
from gossamer.cli.terminal import check_stdout, show, show_json, tell, warn
from gossamer.errors import InputError
from gossamer.image import SHEET, check_output, encode_image, format_of, write_bytes
from gossamer.parallel.patience import patiently
from gossamer.progress import Progress
from gossamer.settings.base import validated
from gossamer.settings.dataset import Data
from gossamer.sheets.truths import Truth, truth_sheet
from gossamer.training.dataset.backgrounds import backgrounds_in
from gossamer.training.dataset.composing import compose
from gossamer.training.dataset.duplicates import find_duplicates
from gossamer.training.dataset.examples import Dataset, Example
from gossamer.training.dataset.reading import check_share, find_examples, look_into, read_dataset
from gossamer.training.dataset.splitting import split
from gossamer.training.dataset.writing import write_batch, write_composed, write_split
from gossamer.training.folder import check_new_folder

__all__ = ["data_settings", "run"]

_NAMED = 20  # of each kind, in a report
_KINDS = {"coco": "COCO file"}


def run(argv: list[str]) -> int:
    """Run the command."""
    arguments = _parser().parse_args(argv)
    if arguments.json:
        check_stdout()
    action: Callable[[argparse.Namespace], int] = arguments.action
    return action(arguments)


def data_settings(arguments: argparse.Namespace) -> Data:
    """Return the settings that the flags of a command ask for; raises InputError."""
    return validated(Data, given(arguments, Data), "the data's settings", "See: gossamer dataset check --help")


def _parser() -> Parser:
    parser = Parser(
        "dataset",
        description="Training data: a folder of pictures with masks or mattes of the same names (beside them, or in "
        "folders such as images and masks), of cut-outs, a COCO file, or a table with the columns picture and mask.",
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True, parser_class=Parser)

    def add(name: str, text: str, action: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        sub = actions.add_parser(name, help=text, description=text)
        sub.set_defaults(action=action)
        sub.add_argument("--json", action="store_true", help="print JSON")
        sub.add_argument("--quiet", action="store_true", help="no progress and no warnings")
        return sub

    check = add("check", "look at every pair: sizes, polarity, empty and inverted masks, duplicates", _check)
    parts = add("split", "split into training, validation and test, by groups and without leaks", _split)
    parts.add_argument("--out", metavar="FOLDER", help="write train.jsonl, validation.jsonl and test.jsonl there")
    sheet = add("show", "draw pictures with their masks, cut-outs over backgrounds", _show)
    sheet.add_argument("-o", "--out", metavar="FILE", required=True, help="the sheet: .png, .jpg, .webp or .tif")
    sheet.add_argument("--count", type=int, default=16, metavar="N", help="how many (default: 16)")
    sheet.add_argument("--force", action="store_true", help="replace FILE where it exists")
    made = add("compose", "put cut-outs over backgrounds: pictures with masks, for any program that trains", _compose)
    made.add_argument("--out", metavar="FOLDER", required=True, help="the new folder, with images and masks")
    made.add_argument("--count", type=int, default=200, metavar="N", help="how many pictures (default: 200)")
    made.add_argument("--seed", type=int, default=0, metavar="N", help="another number makes others (default: 0)")
    made.add_argument(
        "--longest", type=int, default=1024, metavar="N", help="pixels of the longer side (default: 1024)"
    )
    for one in (check, parts, sheet, made):
        one.add_argument("data", metavar="DATA", help="folder, COCO file or table")
        add_flags(one, Data, "data")
    for one in (check, parts, sheet):
        one.add_argument(
            "--clips",
            action="store_true",
            help="read clips, for a model that remembers: folders of frames, films, stills",
        )
    for one in (sheet, made):
        one.add_argument("--backgrounds", metavar="FOLDER", help="your pictures to put cut-outs over")
    batch = add(
        "from-batch", "make data of what a batch has made: accepted ones are truths, rejected ones drafts", _batch
    )
    batch.add_argument(
        "batch", metavar="OUT", help="the folder that gossamer batch wrote to, or its address in a store"
    )
    batch.add_argument(
        "--accepted",
        metavar="FILE",
        help="the decisions that the report's page has exported (default: accepted is what the checks do not flag)",
    )
    batch.add_argument("--out", metavar="FOLDER", required=True, help="the new folder, with data.jsonl and masks")
    return parser


def _check(arguments: argparse.Namespace) -> int:
    settings = data_settings(arguments)
    if arguments.clips:
        return clip_sets.check(arguments.data, settings, as_json=arguments.json, quiet=arguments.quiet)
    with Console(arguments.quiet) as console:
        steps = Progress(console.progress)
        found = look_into(find_examples(arguments.data, settings), steps.part(0, 0.9))
        looks = [one.look for one in found.examples if one.look is not None]
        alike = find_duplicates(looks, steps.part(0.9, 1))
    pairs = [(found.examples[one.first].name, found.examples[one.second].name, str(one.how)) for one in alike]
    fault = None
    try:
        check_share(found, settings)
    except InputError as error:
        fault = error
    if arguments.json:
        show_json(_report(arguments.data, found, pairs, fault))
    else:
        _print_report(found, pairs)
    if fault is None:
        return 0
    if not arguments.json:
        tell(f"gossamer: {fault}")
    return fault.exit_code


def _report(data: str, found: Dataset, pairs: list[tuple[str, str, str]], fault: InputError | None) -> dict[str, Any]:
    return {
        "gossamer": gossamer.__version__,
        "data": data,
        "usable": fault is None,
        "error": None if fault is None else {"message": fault.message, "remedy": fault.remedy},
        "examples": [
            {
                "name": one.name,
                "group": one.group,
                "picture": str(one.picture),
                "mask": None if one.alpha is None else str(one.alpha),
                "source": one.source,
                "width": one.size[0],
                "height": one.size[1],
            }
            for one in found.examples
        ],
        "left_out": [{"name": name, "reason": reason} for name, reason in found.left_out],
        "passed_over": [{"name": name, "reason": reason} for name, reason in found.passed_over],
        "notes": [{"name": name, "note": note} for name, note in found.notes],
        "duplicates": [{"first": first, "second": second, "how": how} for first, second, how in pairs],
    }


def _print_report(found: Dataset, pairs: list[tuple[str, str, str]]) -> None:
    kinds = Counter(one.source for one in found.examples)
    words = ", ".join(
        f"{count} from a {_KINDS.get(kind, kind)}" if kind != "cut-out" else f"{count} cut-outs"
        for kind, count in kinds.items()
    )
    show(f"{len(found.examples)} pictures can be used{f' ({words})' if words else ''}.")
    if found.examples:
        sides = sorted((max(one.size), one.size) for one in found.examples)
        small, middle, large = (sides[place][1] for place in (0, len(sides) // 2, -1))
        sizes = " to ".join(dict.fromkeys(f"{width} x {height}" for width, height in (small, large)))
        show(f"Sizes: {sizes}; half of them are at most {middle[0]} x {middle[1]}.")
        groups = len({one.group for one in found.examples})
        if groups < len(found.examples):
            show(f"Groups: {groups}.")
    _list("left out", [f"{name}: {reason}" for name, reason in found.left_out])
    _list("passed over", [f"{name}: {reason}" for name, reason in found.passed_over])
    _list("to be looked at", [f"{name}: {note}" for name, note in found.notes])
    _list(
        "nearly alike, which stay in one part of a split",
        [f"{first} and {second}{', mirrored' * (how == 'mirrored')}" for first, second, how in pairs],
    )


def _list(what: str, lines: list[str]) -> None:
    if lines:
        show(f"{len(lines)} {what}:")
        for line in lines[:_NAMED]:
            show(f"  {line}")
        if len(lines) > _NAMED:
            show(f"  and {len(lines) - _NAMED} more: see them with --json")


def _split(arguments: argparse.Namespace) -> int:
    settings = data_settings(arguments)
    if arguments.clips:
        return clip_sets.divide(arguments, settings)
    if arguments.out:
        check_new_folder(arguments.out)
    with Console(arguments.quiet) as console:
        steps = Progress(console.progress)
        found = read_dataset(arguments.data, settings, steps.part(0, 0.8))
        _warn_left_out(found, arguments.quiet)
        made = split(found.examples, settings, steps.part(0.8, 0.95))
        if arguments.out:
            folder = write_split(made, arguments.out, steps.part(0.95, 1))
            console.say(f"Wrote {folder}")
    parts = made.as_dict()
    if arguments.json:
        show_json({"gossamer": gossamer.__version__, "seed": settings.split_seed, **parts})
        return 0
    for name, names in parts.items():
        groups = len({one.group for one in getattr(made, name)})
        show(f"{name:10} {len(names):6} pictures in {groups} groups")
    return 0


def _show(arguments: argparse.Namespace) -> int:
    settings = data_settings(arguments)
    check_output(arguments.out, force=arguments.force)
    if arguments.count < 1:
        raise InputError(f"{arguments.count} pictures cannot be shown.", "Give 1 or more with --count.")
    if arguments.clips:
        return clip_sets.draw(arguments, settings)
    pictures = backgrounds_in(arguments.backgrounds) if arguments.backgrounds else ()
    with Console(arguments.quiet) as console:
        steps = Progress(console.progress)
        found = read_dataset(arguments.data, settings, steps.part(0, 0.7))
        _warn_left_out(found, arguments.quiet)
        # Spread over the whole set, not its beginning.
        count = min(arguments.count, len(found.examples))
        shown = [found.examples[place] for place in np.linspace(0, len(found.examples) - 1, count).round().astype(int)]
        rows = []
        for number, one in enumerate(shown):
            part = steps.part(0.7 + 0.3 * number / count, 1)
            part(0.0, "Drawing the sheet")
            rows.append(patiently(functools.partial(_row, one, pictures, number), part))
        sheet = truth_sheet(rows)
        write_bytes(
            arguments.out, encode_image(sheet, None, format_of(arguments.out), software=SHEET), force=arguments.force
        )
        console.say(f"Wrote {arguments.out} ({sheet.shape[1]} x {sheet.shape[0]})")
    if arguments.json:
        show_json({"path": arguments.out, "names": [one.name for one in shown]})
    return 0


def _row(one: Example, pictures: tuple[Any, ...], number: int) -> Truth:
    rgb, alpha = compose(one, pictures, number) if one.is_cutout else one.load()
    return Truth(one.name, unit_float(rgb), alpha)


def _compose(arguments: argparse.Namespace) -> int:
    settings = data_settings(arguments)
    check_new_folder(arguments.out)
    if arguments.count < 1 or arguments.longest < 32 or arguments.seed < 0:
        raise InputError(
            "There is nothing to compose.", "Give a --count of 1, a --longest of 32 and a --seed of 0 or more."
        )
    pictures = backgrounds_in(arguments.backgrounds) if arguments.backgrounds else ()
    with Console(arguments.quiet) as console:
        steps = Progress(console.progress)
        found = read_dataset(arguments.data, settings, steps.part(0, 0.2))
        _warn_left_out(found, arguments.quiet)
        folder = write_composed(
            found.examples,
            pictures,
            arguments.count,
            arguments.out,
            seed=arguments.seed,
            longest=arguments.longest,
            progress=steps.part(0.2, 1),
        )
        console.say(f"Wrote {arguments.count} pictures with masks to {folder}")
    if arguments.json:
        show_json({"folder": str(folder), "pictures": arguments.count, "cutouts": len(found.examples)})
    return 0


def _batch(arguments: argparse.Namespace) -> int:
    with Console(arguments.quiet) as console:
        made = write_batch(arguments.batch, arguments.accepted, arguments.out, Progress(console.progress))
    if arguments.json:
        left_out = [{"name": name, "reason": reason} for name, reason in made.left_out]
        counts = {"accepted": made.accepted, "drafts": made.drafts, "left_out": left_out}
        show_json({"gossamer": gossamer.__version__, "folder": str(made.folder), **counts})
        return 0
    show(f"{made.accepted} accepted pictures are data now, in {made.folder / 'data.jsonl'}.")
    if made.drafts:
        show(f"{made.drafts} masks have to be corrected first: until then they are left out.")
    _list("left out", [f"{name}: {reason}" for name, reason in made.left_out])
    return 0


def _warn_left_out(found: Dataset, quiet: bool) -> None:
    if not quiet:
        for name, reason in found.left_out[:_NAMED]:
            warn(f"{name} is left out: {reason}")
        if len(found.left_out) > _NAMED:
            warn(f"{len(found.left_out) - _NAMED} more are left out: see gossamer dataset check.")
