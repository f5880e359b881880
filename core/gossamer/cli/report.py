"""`gossamer report`: what a batch made, as one page for the browser or as contact sheets."""

from __future__ import annotations

from gossamer.batch.addresses import Where, address_of, check_address, is_address
from gossamer.batch.report import is_report, make_report, make_sheets
from gossamer.cli.console import Console
from gossamer.cli.parser import Parser, add_flags, given
from gossamer.cli.terminal import tell
from gossamer.errors import GossamerError, InputError, OutputError, OutputExists
from gossamer.files import check_place
from gossamer.paths import target_path
from gossamer.settings.report import ReportChoice

__all__ = ["check_report", "report_after", "run"]

_PAGE, _SHEET = (".html", ".htm"), (".pdf", ".png")


def run(argv: list[str]) -> int:
    """Run the command."""
    arguments = _parser().parse(argv)
    choice = ReportChoice.of(**given(arguments, ReportChoice))
    suffix = _suffix(arguments.file)
    if suffix not in _PAGE and is_address(arguments.file):
        raise OutputError(
            f"{arguments.file} is no page: only those go into a store.", "End it in .html, or give a file."
        )
    if suffix not in (*_PAGE, *_SHEET):
        raise OutputError(
            f"{arguments.file} is neither a page nor a contact sheet.",
            f"Give a name that ends in one of {' '.join((*_PAGE, *_SHEET))}",
        )
    with Console(arguments.quiet) as console:
        if suffix in _PAGE:
            _write_page(arguments.folder, arguments.file, choice, arguments.force, console)
            return 0
        made = make_sheets(arguments.folder, arguments.file, choice, force=arguments.force, progress=console.progress)
        names = str(made[0]) if len(made) == 1 else f"{made[0]} to {made[-1].name}"
        console.say(f"Wrote {names}")
    return 0


def check_report(file: str) -> None:
    """Refuse, before a batch, a page that could not be written after it; an earlier report makes room for the new.

    Raises
    ------
    OutputError
        It is no page, something else has its name, or it cannot be written there.
    """
    if _suffix(file) not in _PAGE:
        raise OutputError(
            f"{file} is no page.", "Give a name that ends in .html; contact sheets are made by gossamer report."
        )
    try:
        if is_address(file):
            check_address(address_of(file), is_report(file))
        else:
            check_place(file, is_report(file))
    except OutputExists as error:
        raise OutputExists(error.message, "It is no earlier report: give another name.") from None


def report_after(out: Where, file: str, *, quiet: bool) -> int:
    """Write the page of a batch that has ended; return the exit status, of which 0 is that all is well.

    What goes wrong with it is told, and is nothing against the batch's own end.
    """
    try:
        with Console(quiet) as console:
            _write_page(out, file, ReportChoice(), is_report(file), console)
    except InputError as error:
        tell(f"gossamer: {error.message}")  # there was no picture: the batch has said so
        return 0
    except GossamerError as error:
        tell(f"gossamer: {error} The pictures are all there: gossamer report {out} {file} makes it.")
        return error.exit_code
    return 0


def _write_page(out: str | Where, file: str, choice: ReportChoice, force: bool, console: Console) -> None:
    page = make_report(out, file, choice, force=force, progress=console.progress)
    count = "1 picture" if page.pictures == 1 else f"{page.pictures:,} pictures"
    console.say(f"Wrote {file} ({count}, {page.bytes / 1e6:.1f} MB)")
    if page.small:
        console.say(
            f"{page.small:,} of them are shown small alone, to stay within {choice.megabytes} MB: "
            "gossamer report --megabytes makes more room."
        )


def _suffix(file: str) -> str:
    return (address_of(file) if is_address(file) else target_path(file)).suffix.lower()


def _parser() -> Parser:
    parser = Parser(
        "report",
        description="Show what gossamer batch made: .html is one page that works offline, to look through thousands of "
        "pictures and decide what to make again; .pdf and .png are contact sheets.",
    )
    parser.add_argument("folder", metavar="OUT", help="the folder that the batch wrote to, or its address in a store")
    parser.add_argument("file", metavar="FILE", help="what to write: .html, .pdf or .png")
    add_flags(parser, ReportChoice, "look")
    parser.add_argument("--force", action="store_true", help="replace an earlier file")
    parser.add_argument("--quiet", action="store_true", help="say nothing unless it fails")
    return parser
