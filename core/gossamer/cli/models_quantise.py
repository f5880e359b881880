"""`gossamer models quantise`: make a model in 8-bit integers on this machine, and prove it on photographs."""

from __future__ import annotations

from dataclasses import asdict

from gossamer.cli.console import Console
from gossamer.cli.parser import Parser
from gossamer.cli.terminal import show_json
from gossamer.quantisation import FEWEST, quantise_model

__all__ = ["run"]


def run(argv: list[str]) -> int:
    """Run the command."""
    arguments = _parser().parse(argv)
    with Console(arguments.quiet) as console:
        made = quantise_model(
            arguments.id,
            arguments.photos,
            force=arguments.force,
            progress=console.progress,
            announce=console.say,
        )
        if arguments.json:
            show_json({"path": str(made.path), **asdict(made)})
        else:
            console.say(
                f"{made.model} is here in int8 now, at {made.path}: on {made.proved_on} photographs kept aside "
                f"its masks differ by {made.difference:.2f}/255 from the float file's, IoU {made.iou:.3f}, "
                f"boundary IoU {made.boundary_iou:.3f}."
            )
            console.say("--quality fast takes it, and so does --precision int8.")
    return 0


def _parser() -> Parser:
    parser = Parser(
        "models quantise",
        description="Make a model in 8-bit integers of its float file: faster on processors, in OpenVINO. Photographs "
        "tell the ranges of what it computes; on some of them its masks are compared, and what differs too much "
        "is not kept. Nothing is sent anywhere.",
    )
    parser.add_argument("id", metavar="ID", help="id of the catalogue, such as isnet-general-use")
    parser.add_argument(
        "--photos",
        metavar="FOLDER",
        required=True,
        help=f"at least {FEWEST} photographs like those that will be cut out; a hundred are better",
    )
    parser.add_argument("--force", action="store_true", help="make it again where it is here")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quiet", action="store_true", help="say nothing unless it fails")
    return parser
