"""`gossamer worker`: serve cut-outs over a private socket."""

from __future__ import annotations

from pathlib import Path

from gossamer.cli.parser import Parser, add_flags, given
from gossamer.settings.model_choice import ModelChoice

__all__ = ["run"]


def run(argv: list[str]) -> int:
    """Run the command."""
    from gossamer.worker.meeting import WAYS
    from gossamer.worker.server import serve

    parser = Parser("worker", description="Serve cut-outs to the GIMP plug-in over a private socket.")
    parser.add_argument("--socket", metavar="PATH", help="the socket (default: one private to this user)")
    parser.add_argument(
        "--way",
        default="auto",
        choices=WAYS,
        help="a socket in the file system, or a port of this machine and a secret in a private file (default: auto, "
        "or $GOSSAMER_SOCKET)",
    )
    parser.add_argument("--idle", type=float, default=600, metavar="SECONDS", help="exit after so long without work")
    add_flags(parser, ModelChoice, "model", only=("device",))
    arguments = parser.parse_args(argv)
    serve(
        Path(arguments.socket) if arguments.socket else None,
        idle_seconds=arguments.idle,
        **given(arguments, ModelChoice),
        way=arguments.way,
    )
    return 0
