"""`gossamer presets`: what shops ask for, and as of when."""

from __future__ import annotations

import argparse
from typing import Any

from gossamer.canvas.presets import Preset, load_presets, preset
from gossamer.cli.parser import Parser
from gossamer.cli.terminal import show, show_json

__all__ = ["run"]


def run(argv: list[str]) -> int:
    """Run the command."""
    parser = Parser("presets", description="What shops and authorities ask of pictures, for --preset.")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="list all presets")
    listing.add_argument("--json", action="store_true", help="print JSON")
    listing.set_defaults(action=_list)
    showing = actions.add_parser("show", help="show a preset's settings, rules, source and date")
    showing.add_argument("id", metavar="ID", help="id of a preset")
    showing.add_argument("--json", action="store_true", help="print JSON")
    showing.set_defaults(action=_show)
    arguments = parser.parse_args(argv)
    status: int = arguments.action(arguments)
    return status


def _list(arguments: argparse.Namespace) -> int:
    presets = load_presets().values()
    if arguments.json:
        show_json([_row(one) for one in presets])
        return 0
    for one in presets:
        show(f"{one.id:16} {one.title} ({one.date})")
    return 0


def _show(arguments: argparse.Namespace) -> int:
    one = preset(arguments.id)
    if arguments.json:
        show_json(_row(one))
        return 0
    show(f"{one.id}: {one.title}")
    show(f"  as of {one.date}: {one.source}")
    show(f"  {one.note}")
    show("settings, which flags override:")
    for stage, values in one.settings.items():
        for name, value in values.items():
            show(f"  {stage}.{name} = {value}")
    show("rules, checked in the file:")
    for name, value in one.rules.model_dump(exclude_unset=True).items():
        show(f"  {name} = {', '.join(value) if isinstance(value, tuple) else value}")
    return 0


def _row(one: Preset) -> dict[str, Any]:
    return {
        "id": one.id,
        "title": one.title,
        "source": one.source,
        "date": str(one.date),
        "note": one.note,
        "settings": one.settings,
        "rules": one.rules.model_dump(mode="json", exclude_unset=True),
    }
