"""`gossamer serve`: the HTTP service."""

from __future__ import annotations

import importlib.util
import logging
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gossamer.cli.parser import Parser, add_flags, given
from gossamer.cli.terminal import tell
from gossamer.errors import InputError, MissingExtra
from gossamer.paths import remedy_of
from gossamer.platform import listen
from gossamer.settings.base import validated
from gossamer.settings.service import Service

__all__ = ["run"]

_MORE = 32  # connections besides those that wait: health, numbers, uploads under way


def run(argv: list[str]) -> int:
    """Run the command."""
    parser = Parser(
        "serve",
        description="Serve cut-outs over HTTP: POST /v1/cutouts, /v1/masks, /v1/shadows, /v1/check; GET /v1/models, "
        "/healthz, /readyz, /metrics, /openapi.json. Ends gracefully with Ctrl-C or SIGTERM: what it has is finished.",
    )
    add_flags(parser, Service, "service")
    settings = validated(
        Service, given(parser.parse(argv), Service), "the settings of the service", "See gossamer serve --help."
    )
    if importlib.util.find_spec("uvicorn") is None:
        raise MissingExtra("The service", "service")
    from gossamer.service import app

    with _offline():
        _serve(app(settings), settings)
    tell("Ended.")
    return 0


@contextmanager
def _offline() -> Iterator[None]:
    """Let nothing be fetched for a stranger, whatever asks for it."""
    before = os.environ.get("GOSSAMER_OFFLINE")
    os.environ["GOSSAMER_OFFLINE"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["GOSSAMER_OFFLINE"]
        else:
            os.environ["GOSSAMER_OFFLINE"] = before


def _serve(served: Any, settings: Service) -> None:
    import uvicorn

    log = logging.getLogger("gossamer.service")
    log.setLevel(logging.INFO)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    log.addHandler(handler)
    sock = _bound(settings)
    host, port = sock.getsockname()[:2]
    tell(f"Serving at http://{f'[{host}]' if ':' in host else host}:{port} (process {os.getpid()})")
    server = uvicorn.Server(
        uvicorn.Config(
            served,
            log_level="warning",
            access_log=False,
            server_header=False,
            limit_concurrency=settings.queue + _MORE,
            timeout_keep_alive=30,
        )
    )
    try:
        server.run(sockets=[sock])
    except KeyboardInterrupt:  # raised once more after the graceful end
        if not server.should_exit:
            raise


def _bound(settings: Service) -> socket.socket:
    """Return a socket at the address, so that a port in use is told in a sentence before anything else."""
    try:
        return listen(settings.host, settings.port)
    except OSError as error:
        raise InputError(
            f"{settings.host}:{settings.port} cannot be listened at ({error.strerror or error}).",
            remedy_of(error, "Give another --port, or another --host."),
        ) from None
