"""What the commands that write a cut-out share: where it goes, its options, and what is told about it."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gossamer
from gossamer.cli.naming import add_out_flag, positional_target
from gossamer.cli.parser import Parser
from gossamer.cli.terminal import check_stdout, show_json, tell, warn, write_stdout
from gossamer.compositing import is_opaque
from gossamer.cutout import Cutout
from gossamer.errors import InputError, OutputError
from gossamer.image import Image, check_folder, check_output, check_size_for, format_of, read_image, write_together
from gossamer.image.read import bytes_of_stream
from gossamer.parallel.patience import patiently
from gossamer.paths import source_path, target_path
from gossamer.progress import Progress
from gossamer.settings.recipe import Recipe

__all__ = ["Target", "add_output_flags", "read_picture"]


class Target:
    """Where a command writes its cut-out; finds what would make the writing fail before the work is done.

    Parameters
    ----------
    source : str
        The picture's name, or ``-``.
    arguments : argparse.Namespace
        With `out`, `output`, `names` and the options of :func:`add_output_flags`.
    recipe : Recipe
    """

    def __init__(self, source: str, arguments: argparse.Namespace, recipe: Recipe) -> None:
        self._source = source
        self._arguments = arguments
        self._start = time.perf_counter()
        self.path = self._chosen()
        if self.path == "-" or arguments.json:
            check_stdout()
        if self.path == "-":
            self._format = "png"
            if sys.stdout.isatty():
                raise OutputError("A picture cannot be shown on a terminal.", "Give OUT, or redirect the output.")
            return
        check_output(self.path, force=arguments.force)
        self._format = format_of(self.path)
        if self._format == "jpeg" and not is_opaque(recipe.background.fill) and not arguments.mask_only:
            raise InputError(
                "JPEG cannot hold a transparent background.",
                "Write .png, .webp or .tif, or add --background #ffffff.",
            )

    def _chosen(self) -> str:
        """Return the path of the output, or ``-``: what --out names, OUT, or a name beside the source."""
        arguments = self._arguments
        if arguments.out is not None:
            named: str = arguments.out
            return named if named == "-" else str(target_path(named))
        if arguments.output is not None:
            given = positional_target(arguments.output, arguments, arguments.names)
            return given if given == "-" else str(target_path(given))
        default = _default_output(self._source, arguments.mask_only)
        if default != "-":
            try:
                check_folder(Path(default))
            except OutputError as error:
                raise OutputError(error.message, f"{error.remedy.rstrip('.')}, with --out FILE.") from None
        return default

    def check(self, picture: Image) -> None:
        """Refuse, before the work, a picture that is too large for the format."""
        check_size_for(self._format, picture.width, picture.height)

    def write(
        self, cutout: Cutout, steps: Progress, beside: Callable[[Progress], list[tuple[str, bytes]]] | None = None
    ) -> dict[str, Any]:
        """Encode and write a cut-out, and before it gets its name what lies `beside` it; returns the whole report."""
        start = time.perf_counter()
        data = cutout.encode(self._format, mask_only=self._arguments.mask_only, progress=steps.part(0.0, 0.7))
        files = [] if beside is None else beside(steps.part(0.7, 0.9))
        encoded = time.perf_counter()
        if self.path != "-":
            files.append((self.path, data))
        write_together(files, force=self._arguments.force, progress=steps.part(0.9, 1.0))
        if self.path == "-":
            write_stdout(data)
        end = time.perf_counter()
        report = cutout.report.as_dict()
        if self._arguments.preset is not None and not self._arguments.mask_only:
            from gossamer.canvas.presets import preset
            from gossamer.canvas.rules import check_picture

            wanted = preset(self._arguments.preset)
            report["warnings"] += patiently(lambda: check_picture(data, wanted, cutout.alpha, cutout.recipe), steps)
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
                warn(warning)
        if self._arguments.json and self.path == "-":
            for line in json.dumps(report, indent=2).splitlines():
                tell(line)
        elif self._arguments.json:
            show_json(report)
        elif not self._arguments.quiet and self.path != "-":
            by = f"{report['model']} on {report['device']}, " if report["model"] else ""
            closer = report["seconds"].get("detail", 0.0)
            looked = f", {closer:.1f} s of them for detail" if closer else ""
            tell(
                f"Wrote {self.path} ({report['width']} x {report['height']}, {100 * report['coverage']:.1f} % "
                f"foreground, {by}{report['seconds']['total']:.1f} s{looked})"
            )


def add_output_flags(parser: Parser) -> None:
    """Add the options that every command with a cut-out has."""
    add_out_flag(parser)
    parser.add_argument("--mask-only", action="store_true", help="write the mask as a grey picture")
    parser.add_argument("--force", action="store_true", help="replace an earlier result; what --out names in any case")
    parser.add_argument("--quiet", action="store_true", help="say nothing unless it fails")
    parser.add_argument("--json", action="store_true", help="print a report as JSON")


def read_picture(source: str, steps: Progress) -> Image:
    """Return the picture of a name, or for ``-`` that on standard input; raises as :func:`read_image`."""
    steps(0.0, "Reading the picture")
    return read_image(patiently(_read_stdin, steps) if source == "-" else source, steps)


def _read_stdin() -> bytes:
    """Return the picture on standard input; raises InputError where that is a terminal."""
    if sys.stdin is None or sys.stdin.isatty():
        raise InputError("There is no picture on standard input.", "Redirect one: gossamer remove - OUT < photo.jpg")
    try:
        return bytes_of_stream(sys.stdin.buffer, "The picture")
    except OSError as error:  # a folder, or open for writing only
        raise InputError(
            f"Standard input could not be read: {error.strerror or error}.",
            "Redirect a picture: gossamer remove - OUT < photo.jpg",
        ) from None


def _default_output(source: str, mask_only: bool) -> str:
    if source == "-":
        return "-"
    path = source_path(source)
    return str(path.with_name(f"{path.stem}-{'mask' if mask_only else 'cutout'}.png"))
