"""What the commands that write a cut-out share: where it goes, its options, and what is told about it."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import gossamer
from gossamer.cli.parser import Parser
from gossamer.cutout import Cutout
from gossamer.errors import InputError, OutputError
from gossamer.image import check_output, format_of, write_bytes
from gossamer.settings.recipe import Recipe

__all__ = ["Target", "add_output_flags", "read_stdin"]


class Target:
    """Where a command writes its cut-out; finds what would make the writing fail before the work is done."""

    def __init__(self, source: str, arguments: argparse.Namespace, recipe: Recipe) -> None:
        self._source = source
        self._arguments = arguments
        self._start = time.perf_counter()
        self.path = arguments.output or _default_output(source, arguments.mask_only)
        if self.path == "-":
            self._format = "png"
            if sys.stdout.isatty():
                raise OutputError("A picture cannot be shown on a terminal.", "Give OUT, or redirect the output.")
            return
        self._format = format_of(self.path)
        check_output(self.path, force=arguments.force)
        if self._format == "jpeg" and recipe.background.fill == "transparent" and not arguments.mask_only:
            raise InputError(
                "JPEG cannot hold a transparent background.",
                "Write .png, .webp or .tif, or add --background #ffffff.",
            )

    def write(self, cutout: Cutout) -> dict[str, Any]:
        """Encode and write a cut-out; returns the whole report."""
        start = time.perf_counter()
        data = cutout.encode(self._format, mask_only=self._arguments.mask_only)
        encoded = time.perf_counter()
        if self.path == "-":
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        else:
            write_bytes(self.path, data, force=self._arguments.force)
        end = time.perf_counter()
        report = cutout.report.as_dict()
        report["seconds"] |= {
            "encode": round(encoded - start, 4),
            "write": round(end - encoded, 4),
            "total": round(end - self._start, 4),
        }
        height, width = cutout.alpha.shape
        return {
            "gossamer": gossamer.__version__,
            "input": self._source,
            "output": self.path,
            "width": width,
            "height": height,
            **report,
        }

    def tell(self, report: dict[str, Any]) -> None:
        """Show the report as the options ask for it."""
        if not self._arguments.quiet:
            for warning in report["warnings"]:
                print(f"gossamer: warning: {warning}", file=sys.stderr)
        if self._arguments.json:
            print(json.dumps(report, indent=2), file=sys.stderr if self.path == "-" else sys.stdout)
        elif not self._arguments.quiet and self.path != "-":
            by = f"{report['model']} on {report['device']}, " if report["model"] else ""
            print(
                f"Wrote {self.path} ({report['width']} x {report['height']}, {100 * report['coverage']:.1f} % "
                f"foreground, {by}{report['seconds']['total']:.1f} s)",
                file=sys.stderr,
            )


def add_output_flags(parser: Parser) -> None:
    """Add the options that every command with a cut-out has."""
    parser.add_argument("--mask-only", action="store_true", help="write the mask as a grey picture")
    parser.add_argument("--force", action="store_true", help="replace OUT where it exists")
    parser.add_argument("--quiet", action="store_true", help="say nothing unless it fails")
    parser.add_argument("--json", action="store_true", help="print a report as JSON")


def read_stdin() -> bytes:
    """Return the picture on standard input; raises InputError where that is a terminal."""
    if sys.stdin is None or sys.stdin.isatty():
        raise InputError("There is no picture on standard input.", "Redirect one: gossamer remove - OUT < photo.jpg")
    return sys.stdin.buffer.read()


def _default_output(source: str, mask_only: bool) -> str:
    if source == "-":
        return "-"
    path = Path(source)
    return str(path.with_name(f"{path.stem}-{'mask' if mask_only else 'cutout'}.png"))
