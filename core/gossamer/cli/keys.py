"""`gossamer keys`: make keys for the HTTP service."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from gossamer.cli.parser import Parser
from gossamer.cli.terminal import check_stdout, show, tell
from gossamer.errors import InputError, OutputError
from gossamer.paths import remedy_of, target_path
from gossamer.platform import write_private
from gossamer.service.keys import Keys, line_of, new_key

__all__ = ["run"]


def run(argv: list[str]) -> int:
    """Run the command."""
    parser = Parser(
        "keys",
        description="Make a key for gossamer serve. The key is shown once; its file keeps a hash of it, and nobody "
        "finds the key by that.",
    )
    parser.add_argument("action", choices=("new",), help="what to do")
    parser.add_argument("name", metavar="NAME", help="who the key is for")
    parser.add_argument(
        "--keys", metavar="FILE", help="add the line to this file, made where it is missing (default: show the line)"
    )
    arguments = parser.parse(argv)
    check_stdout()
    key = new_key()
    line = line_of(arguments.name, key)
    if arguments.keys is None:
        show(key)
        tell(f"Put this line into the file of keys: {line}")
        return 0
    path = target_path(arguments.keys)
    _add(path, arguments.name, line)
    show(key)
    tell(f"Added {arguments.name} to {path}. The key is shown here and nowhere else.")
    return 0


def _add(path: Path, name: str, line: str) -> None:
    """Add a line to a file that only this user may read; raises InputError, OutputError."""
    before = ""
    with suppress(FileNotFoundError):
        if path.stat().st_size:
            Keys.read(path)
            before = path.read_text("utf-8-sig")
    if any(each.partition(":")[0].strip() == name for each in before.splitlines()):
        raise InputError(f"{path} has a key of {name} already.", "Give another name, or take its line out first.")
    if before and not before.endswith("\n"):
        before += "\n"
    try:
        write_private(path, f"{before}{line}\n".encode())
    except OSError as error:
        raise OutputError(
            f"{path} could not be written: {error.strerror or error}.",
            remedy_of(error, "Give another folder, or change its permissions."),
        ) from None
