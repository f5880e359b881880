"""`gossamer report`: what a batch made, as one page for the browser or as contact sheets."""

from __future__ import annotations

from gossamer.batch.report import make_report, make_sheets
from gossamer.cli.console import Console
from gossamer.cli.parser import Parser, add_flags, given
from gossamer.errors import OutputError
from gossamer.paths import target_path
from gossamer.settings.report import ReportChoice

__all__ = ["run"]

_PAGE, _SHEET = (".html", ".htm"), (".pdf", ".png")


def run(argv: list[str]) -> int:
    """Run the command."""
    arguments = _parser().parse(argv)
    choice = ReportChoice.of(**given(arguments, ReportChoice))
    suffix = target_path(arguments.file).suffix.lower()
    if suffix not in (*_PAGE, *_SHEET):
        raise OutputError(
            f"{arguments.file} is neither a page nor a contact sheet.",
            f"Give a name that ends in one of {' '.join((*_PAGE, *_SHEET))}",
        )
    with Console(arguments.quiet) as console:
        if suffix in _SHEET:
            made = make_sheets(
                arguments.folder, arguments.file, choice, force=arguments.force, progress=console.progress
            )
            names = str(made[0]) if len(made) == 1 else f"{made[0]} to {made[-1].name}"
            console.say(f"Wrote {names}")
            return 0
        page = make_report(arguments.folder, arguments.file, choice, force=arguments.force, progress=console.progress)
        count = "1 picture" if page.pictures == 1 else f"{page.pictures:,} pictures"
        console.say(f"Wrote {arguments.file} ({count}, {page.bytes / 1e6:.1f} MB)")
        if page.small:
            console.say(
                f"{page.small:,} of them are shown small alone, to stay within {choice.megabytes} MB: "
                "--megabytes makes more room."
            )
    return 0


def _parser() -> Parser:
    parser = Parser(
        "report",
        description="Show what gossamer batch made: .html is one page that works offline, to look through thousands of "
        "pictures and decide what to make again; .pdf and .png are contact sheets.",
    )
    parser.add_argument("folder", metavar="OUT", help="the folder that the batch wrote to")
    parser.add_argument("file", metavar="FILE", help="what to write: .html, .pdf or .png")
    add_flags(parser, ReportChoice, "look")
    parser.add_argument("--force", action="store_true", help="replace an earlier file")
    parser.add_argument("--quiet", action="store_true", help="say nothing unless it fails")
    return parser
