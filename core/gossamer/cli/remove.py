"""`gossamer remove`: cut the subject of one picture out."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import gossamer
from gossamer.cli.console import Console
from gossamer.cli.parser import Parser, add_recipe_flags, recipe_of
from gossamer.errors import InputError, OutputError
from gossamer.image import check_output, format_of, read_image, write_bytes
from gossamer.pipeline import Pipeline
from gossamer.runtime.devices import DEVICES

__all__ = ["run"]


def run(argv: list[str]) -> int:
    """Run the command."""
    arguments = _parser().parse_intermixed_args(argv)
    recipe = recipe_of(arguments)
    source = arguments.input
    target = arguments.output or _default_output(source, arguments.mask_only)
    format = "png" if target == "-" else format_of(target)
    _check_target(target, format, arguments, recipe.background.fill == "transparent")
    start = time.perf_counter()
    with Console(arguments.quiet) as console:
        picture = read_image(_read_stdin() if source == "-" else source)
        pipeline = Pipeline(
            recipe,
            model=arguments.model,
            device=arguments.device,
            architecture=arguments.architecture,
            announce=console.say,
        )
        cutout = pipeline.run(picture, console.progress)
        encode_start = time.perf_counter()
        data = cutout.encode(format, mask_only=arguments.mask_only)
        encoded = time.perf_counter()
        if target == "-":
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        else:
            write_bytes(target, data, force=arguments.force)
    end = time.perf_counter()
    report = cutout.report.as_dict()
    report["seconds"] |= {
        "encode": round(encoded - encode_start, 4),
        "write": round(end - encoded, 4),
        "total": round(end - start, 4),
    }
    _tell(source, target, cutout.alpha.shape, report, arguments)
    return 0


def _parser() -> Parser:
    parser = Parser("remove", description="Cut the subject of a picture out.")
    parser.add_argument("input", metavar="IN", help="JPEG, PNG, WebP, TIFF, BMP, AVIF or HEIC; - reads stdin")
    parser.add_argument(
        "output",
        metavar="OUT",
        nargs="?",
        help=".png, .webp, .tif, or .jpg with a background; - writes PNG to stdout (default: IN-cutout.png)",
    )
    parser.add_argument("--model", default="auto", metavar="ID|FILE", help="catalogue id or .onnx file (default: auto)")
    parser.add_argument("--architecture", metavar="NAME", help="architecture of an .onnx file, e.g. isnet")
    parser.add_argument("--device", default="auto", choices=DEVICES, help="where the model runs (default: auto)")
    parser.add_argument("--mask-only", action="store_true", help="write the mask as a grey picture")
    parser.add_argument("--force", action="store_true", help="replace OUT where it exists")
    parser.add_argument("--quiet", action="store_true", help="say nothing unless it fails")
    parser.add_argument("--json", action="store_true", help="print a report as JSON")
    add_recipe_flags(parser)
    return parser


def _default_output(source: str, mask_only: bool) -> str:
    if source == "-":
        return "-"
    path = Path(source)
    return str(path.with_name(f"{path.stem}-{'mask' if mask_only else 'cutout'}.png"))


def _check_target(target: str, format: str, arguments: Any, transparent: bool) -> None:
    """Find what would make the writing fail before the work is done."""
    if target == "-":
        if sys.stdout.isatty():
            raise OutputError("A picture cannot be shown on a terminal.", "Give OUT, or redirect the output.")
        return
    check_output(target, force=arguments.force)
    if format == "jpeg" and transparent and not arguments.mask_only:
        raise InputError(
            "JPEG cannot hold a transparent background.",
            "Write .png, .webp or .tif, or add --background #ffffff.",
        )


def _read_stdin() -> bytes:
    if sys.stdin is None or sys.stdin.isatty():
        raise InputError("There is no picture on standard input.", "Redirect one: gossamer remove - OUT < photo.jpg")
    return sys.stdin.buffer.read()


def _tell(source: str, target: str, shape: tuple[int, ...], report: dict[str, Any], arguments: Any) -> None:
    if not arguments.quiet:
        for warning in report["warnings"]:
            print(f"gossamer: warning: {warning}", file=sys.stderr)
    if arguments.json:
        whole = {
            "gossamer": gossamer.__version__,
            "input": source,
            "output": target,
            "width": shape[1],
            "height": shape[0],
            **report,
        }
        print(json.dumps(whole, indent=2), file=sys.stderr if target == "-" else sys.stdout)
    elif not arguments.quiet and target != "-":
        print(
            f"Wrote {target} ({shape[1]} x {shape[0]}, {100 * report['coverage']:.1f} % foreground, "
            f"{report['model']} on {report['device']}, {report['seconds']['total']:.1f} s)",
            file=sys.stderr,
        )
