"""The HTTP service: `gossamer serve`, and an ASGI application for people with a server of their own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from gossamer.errors import MissingExtra
from gossamer.settings.service import Service

__all__ = ["ASGI", "app"]

ASGI: TypeAlias = Callable[
    [
        MutableMapping[str, Any],
        Callable[[], Awaitable[MutableMapping[str, Any]]],
        Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ],
    Awaitable[None],
]
"""What every ASGI server runs."""


def app(settings: Service | None = None) -> ASGI:
    """Return the service as an ASGI application: ``uvicorn --factory gossamer.service:app``.

    Parameters
    ----------
    settings : Service, optional
        Its host and port are for who starts the server; a host that others can reach takes keys.

    Raises
    ------
    InputError
        The keys cannot be read, or others could use the service without any.
    ModelNotFound
        A model that it may serve is not on this machine.
    MissingExtra
        The extra ``service`` is not installed.
    """
    try:
        from gossamer.service.application import application
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "gossamer":
            raise
        raise MissingExtra("The service", "service") from None
    made: ASGI = application(settings or Service())
    return made
