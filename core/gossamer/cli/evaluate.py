"""`gossamer evaluate`: measure masks or mattes against the truth."""

from __future__ import annotations

import argparse
import os
from typing import Any

import gossamer
from gossamer.cli.console import Console
from gossamer.cli.naming import check_apart
from gossamer.cli.parser import Parser
from gossamer.cli.terminal import check_stdout, show, show_json, tell, warn
from gossamer.errors import InputError, OutputError, OutputExists
from gossamer.evaluation import KINDS, MEASURES, Evaluation, Kind, evaluate_folder
from gossamer.evaluation.measures import chosen
from gossamer.image import SHEET, check_folder, check_output, encode_image, format_of, write_bytes
from gossamer.paths import target_path
from gossamer.sheets.worst import worst_sheet

__all__ = ["run"]


def run(argv: list[str]) -> int:
    """Run the command."""
    arguments = _parser().parse(argv)
    kind: Kind = arguments.kind or ("matte" if arguments.trimaps else "mask")
    given = None if arguments.measures is None else [name.strip() for name in arguments.measures.split(",")]
    measures = chosen(kind, given)
    by = arguments.by or measures[0]
    _check(arguments, by, measures)
    with Console(arguments.quiet) as console:
        result = evaluate_folder(
            arguments.predictions,
            arguments.truth,
            kind=kind,
            measures=measures,
            trimaps=arguments.trimaps,
            resize=arguments.resize,
            stretch=arguments.stretch,
            workers=arguments.workers,
            progress=console.progress,
        )
        worst = result.worst(arguments.worst, by)
        if arguments.csv:
            write_bytes(arguments.csv, result.as_csv().encode(), force=arguments.force)
            console.say(f"Wrote {arguments.csv} ({len(result.rows)} rows)")
        if arguments.sheet:
            sheet = worst_sheet(worst, by)
            data = encode_image(sheet, None, format_of(arguments.sheet), software=SHEET)
            write_bytes(arguments.sheet, data, force=arguments.force)
            console.say(f"Wrote {arguments.sheet} ({sheet.shape[1]} x {sheet.shape[0]})")
    for sentence in (*result.failures, *(() if arguments.allow_missing else result.missing)):
        tell(f"gossamer: {sentence}")
    if not arguments.quiet:
        for sentence in result.warnings:
            warn(sentence)
        if arguments.allow_missing and result.missing:
            warn(f"{len(result.missing)} files have no partner.")
    if arguments.json:
        show_json(_report(arguments, kind, by, result))
    else:
        _print_table(result, by, arguments.worst)
    whole = not result.failures and (arguments.allow_missing or not result.missing)
    return 0 if whole else InputError.exit_code


def _check(arguments: argparse.Namespace, by: str, measures: tuple[str, ...]) -> None:
    """Refuse, before the work, what would fail after it."""
    if by not in measures:
        raise InputError(f"{by!r} is not measured.", f"Choose one of: {', '.join(measures)}.")
    if arguments.worst < 0:
        raise InputError(f"{arguments.worst} pictures cannot be shown.", "Give 0 or more with --worst.")
    if arguments.sheet:
        if not arguments.worst:
            raise InputError("A sheet of no pictures cannot be drawn.", "Give 1 or more with --worst.")
        check_output(arguments.sheet, force=arguments.force)
    if arguments.csv:
        path = target_path(arguments.csv)
        check_folder(path)
        if os.path.isdir(path):
            raise OutputError(f"{path} is a folder.", "Give the name of a file in it.")
        if os.path.lexists(path) and not arguments.force:
            raise OutputExists(f"{path} exists already.", "Give another name or add --force.")
    check_apart(**{"--sheet": arguments.sheet, "--csv": arguments.csv})
    if arguments.json:
        check_stdout()


def _parser() -> Parser:
    parser = Parser(
        "evaluate",
        description="Measure masks or mattes against the truth: one number a measure for the set, and the worst "
        "pictures. Files belong together by name, also without an ending such as -mask, -cutout or _alpha.",
    )
    parser.add_argument("predictions", metavar="PREDICTIONS", help="folder of masks, mattes or cut-outs; or one file")
    parser.add_argument("truth", metavar="TRUTH", help="folder of the true ones; or one file")
    parser.add_argument(
        "--kind", choices=KINDS, help="which measures (default: mask; with --trimaps: matte); mask needs pysodmetrics"
    )
    parser.add_argument(
        "--measures", metavar="LIST", help=f"only these, with commas between; of: {', '.join(MEASURES)}"
    )
    parser.add_argument("--trimaps", metavar="FOLDER", help="count errors of mattes only where these are grey")
    parser.add_argument(
        "--resize", action="store_true", help="resize predictions of another size bilinearly (default: an error)"
    )
    parser.add_argument(
        "--stretch",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="stretch masks to the full range first, as published numbers have it (default: on)",
    )
    parser.add_argument("--allow-missing", action="store_true", help="files without a partner are no fault")
    parser.add_argument("--worst", type=int, default=5, metavar="N", help="show so many of the worst (default: 5)")
    parser.add_argument("--by", choices=MEASURES, metavar="MEASURE", help="worst in this (default: the first shown)")
    parser.add_argument("--sheet", metavar="FILE", help="draw the worst beside their truth: .png, .jpg, .webp or .tif")
    parser.add_argument("--csv", metavar="FILE", help="write a row for every picture")
    parser.add_argument("--workers", type=int, metavar="N", help="processes (default: one a core)")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument("--force", action="store_true", help="replace files where they exist")
    parser.add_argument("--quiet", action="store_true", help="no progress and no warnings")
    return parser


def _report(arguments: argparse.Namespace, kind: str, by: str, result: Evaluation) -> dict[str, Any]:
    return {
        "gossamer": gossamer.__version__,
        "predictions": arguments.predictions,
        "truth": arguments.truth,
        "trimaps": arguments.trimaps,
        "kind": kind,
        "stretch": arguments.stretch,
        **result.as_dict(),
        "worst": {"by": by, "names": [row.name for row in result.worst(arguments.worst, by)]},
    }


def _print_table(result: Evaluation, by: str, count: int) -> None:
    show(f"{'measure':20} {'of ' + str(len(result.rows)):>10}  {'better':7} {'worst':>10}  picture")
    for name in result.measures:
        measure = MEASURES[name]
        row = result.worst(1, name)[0]
        better = "higher" if measure.higher_is_better else "lower"
        show(
            f"{measure.title:20} {_number(result.means[name]):>10}  {better:7} {_number(row.values[name]):>10}  "
            f"{row.name}"
        )
    if count > 0:
        show()
        show(f"worst by {MEASURES[by].title}:")
        for row in result.worst(count, by):
            show(f"{_number(row.values[by]):>12}  {row.pair.prediction}")


def _number(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 1000 else f"{value:.1f}"
