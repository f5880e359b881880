"""`gossamer gimp`: install, check or remove the plug-in for GIMP 3, or pack it as a zip file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gossamer.cli.parser import Parser
from gossamer.cli.terminal import show, show_json
from gossamer.hosts import gimp

__all__ = ["run"]


def run(argv: list[str]) -> int:
    """Run the command."""
    parser = Parser("gimp", description="Install, check or remove the plug-in for GIMP 3, or pack it.")
    actions = parser.add_subparsers(metavar="ACTION", required=True, parser_class=Parser)
    subs = {}
    for name, text in (
        ("install", "install the plug-in into every GIMP 3 of this user; it works through this Python"),
        ("status", "show where the plug-in is installed and whether it is current"),
        ("uninstall", "remove what install has put there, and nothing else"),
    ):
        sub = actions.add_parser(name, help=text, description=text)
        sub.set_defaults(action=name)
        sub.add_argument("--folder", type=Path, metavar="DIR", help="a GIMP configuration folder (default: all found)")
        sub.add_argument("--json", action="store_true", help="print JSON")
        subs[name] = sub
    subs["install"].add_argument("--link", action="store_true", help="link the files instead of copying them")
    subs["install"].add_argument("--force", action="store_true", help="replace files that are not ours")
    text = "pack the plug-in as a zip file for GIMP's folder plug-ins; Filters > Gossamer > Set-up… does the rest there"
    bundle = actions.add_parser("bundle", help=text, description=text)
    bundle.set_defaults(action="bundle")
    bundle.add_argument("file", metavar="FILE", help="what to write: a name that ends in .zip")
    bundle.add_argument("--wheel", metavar="WHL", help="a wheel of this Gossamer to put beside it (default: the index)")
    bundle.add_argument("--force", action="store_true", help="replace an earlier file")
    arguments = parser.parse_args(argv)
    if arguments.action == "bundle":
        held = gimp.make_bundle(arguments.file, wheel=arguments.wheel, force=arguments.force)
        show(f"Wrote {arguments.file} ({len(held)} files). Unzip it into GIMP's folder plug-ins and start GIMP again.")
        return 0
    if arguments.action == "install":
        installed = gimp.install(arguments.folder, link=arguments.link, force=arguments.force)
        _tell(
            installed,
            arguments.json,
            "Installed",
            "Start GIMP again: Filters > Gossamer > Remove Background.",
        )
    elif arguments.action == "status":
        _tell(gimp.status(arguments.folder), arguments.json, "", "No GIMP 3 configuration folder was found.")
    else:
        _tell(gimp.uninstall(arguments.folder), arguments.json, "Removed", "Nothing else was touched.")
    return 0


def _tell(places: Sequence[Any], as_json: bool, verb: str, last: str) -> None:
    if as_json:
        show_json([place.as_dict() for place in places])
        return
    for place in places:
        show(f"{verb or place.state} {place.folder}".strip())
        for kept in getattr(place, "kept", ()):
            show(f"  kept {kept}: it is not ours")
        for note in getattr(place, "notes", ()):
            show(f"  {note}")
    if verb or not places:
        show(last if places or not verb else "No GIMP 3 plug-in of ours was found.")
