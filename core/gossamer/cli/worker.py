"""`gossamer worker`: serve cut-outs over a private Unix socket."""

from __future__ import annotations

from pathlib import Path

from gossamer.cli.parser import Parser
from gossamer.networks.devices import DEVICES

__all__ = ["run"]


def run(argv: list[str]) -> int:
    """Run the command."""
    from gossamer.worker.server import serve

    parser = Parser("worker", description="Serve cut-outs to the GIMP plug-in over a private Unix socket.")
    parser.add_argument("--socket", metavar="PATH", help="the socket (default: one private to this user)")
    parser.add_argument("--idle", type=float, default=600, metavar="SECONDS", help="exit after so long without work")
    parser.add_argument("--device", default="auto", choices=DEVICES, help="where models run (default: auto)")
    arguments = parser.parse_args(argv)
    serve(
        Path(arguments.socket) if arguments.socket else None,
        idle_seconds=arguments.idle,
        device=arguments.device,
    )
    return 0
