"""What stands before every request: a number for it, its size, who it is from, and a line in the log."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

from gossamer.errors import GossamerError
from gossamer.service.keys import Keys
from gossamer.service.metrics import Metrics
from gossamer.service.refusals import Busy, Forbidden, Late, TooLarge

__all__ = ["Guard", "is_loopback"]

_log = logging.getLogger("gossamer.service")
_Scope = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_OPEN = ("/", "/healthz", "/readyz")  # the page, which asks for a key, and what a load balancer asks, which has none
_HEARD_OUT, _PATIENCE = 8 << 20, 2.0  # bytes and seconds for which a request that is refused may go on being sent
_EVERYONE = "everyone"  # whose turn it is where there are no keys
_LARGEST = 16  # requests of the largest size that may be held together
_SOON = 5  # seconds


def is_loopback(host: str) -> bool:
    """Return whether an address, or a name with or without a port, means this machine alone."""
    name = host.rsplit(":", 1)[0] if host.count(":") == 1 or "]:" in host else host
    name = name.strip("[]").lower()
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


class Guard:
    """An ASGI application around the service's own.

    Parameters
    ----------
    inner : ASGI application
    keys : Keys or None
        Without any, only this machine is answered, and no page of another address.
    most : int
        Bytes that a request may have; all together may have 16 times as many, in the queue and on their way.
    seconds : float
        How long a request may take to arrive.
    metrics : Metrics
    refusal : callable
        ``refusal(path, error, request_id)`` returns status, headers and body for what is refused here.
    paths : tuple of str
        What is served, by whose names requests are counted.
    """

    def __init__(
        self,
        inner: Any,
        keys: Keys | None,
        most: int,
        seconds: float,
        metrics: Metrics,
        refusal: Callable[[str, GossamerError, str], tuple[int, dict[str, str], bytes]],
        paths: tuple[str, ...],
    ) -> None:
        self._inner, self._keys, self._most, self._seconds = inner, keys, most, seconds
        self._held = 0
        self._metrics, self._refusal, self._paths = metrics, refusal, frozenset(paths)

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        start = time.perf_counter()
        id = secrets.token_hex(8)
        path = scope["path"] if scope["path"] in self._paths else "other"
        headers = {name.lower(): value for name, value in scope["headers"]}
        state: dict[str, Any] = {"owner": _EVERYONE, "received": 0, "whole": False, "began": False, "status": 499}
        scope["state"] = {**scope.get("state", {}), "id": id, "owner": _EVERYONE}

        async def bounded() -> MutableMapping[str, Any]:
            try:
                # What comes after the whole of it is that its client leaves, whenever that is.
                async with asyncio.timeout_at(None if state["whole"] else end):
                    message = await receive()
            except TimeoutError:
                raise Late(
                    f"The request took longer than {self._seconds:g} s to arrive.", "Send a smaller picture."
                ) from None
            if message["type"] == "http.request":
                size = len(message.get("body", b""))
                state["received"] += size
                self._held += size
                state["whole"] = not message.get("more_body", False)
                if state["received"] > self._most:
                    raise self._too_large()
                if self._held > _LARGEST * self._most:
                    raise Busy("The service has as many requests in hand as it can hold.", _SOON)
            return message

        async def told(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                state["began"], state["status"] = True, message["status"]
                message["headers"] = [
                    *message.get("headers", ()),
                    (b"x-request-id", id.encode()),
                    (b"x-content-type-options", b"nosniff"),
                ]
            await send(message)

        end = asyncio.get_running_loop().time() + self._seconds
        try:
            if scope["path"] not in _OPEN:
                state["owner"] = self._owner(headers)
                scope["state"]["owner"] = state["owner"]
                length = headers.get(b"content-length", b"")
                if length.isdigit() and int(length) > self._most:
                    raise self._too_large()
            await self._inner(scope, bounded, told)
        except GossamerError as error:
            if state["began"]:
                raise
            self._metrics.failed(type(error).__name__)
            status, more, body = self._refusal(scope["path"], error, id)
            more = {"content-length": str(len(body)), "connection": "close", **more}
            if b"expect" not in headers:  # who waits for leave to send has sent nothing
                await _hear_out(receive, state)
            head = [(name.encode(), value.encode("latin-1", "replace")) for name, value in more.items()]
            await told({"type": "http.response.start", "status": status, "headers": head})
            await told({"type": "http.response.body", "body": body})
        finally:
            self._held -= state["received"]
            seconds = time.perf_counter() - start
            self._metrics.answered(path, state["status"], seconds)
            line = {
                "request": id,
                "method": scope["method"],
                "path": path,
                "status": state["status"],
                "ms": round(1000 * seconds, 1),
                "owner": state["owner"],
                "bytes": state["received"],
            }
            _log.info(json.dumps(line))

    def _too_large(self) -> TooLarge:
        return TooLarge(f"The request is larger than {self._most:,} bytes.", "Send a smaller picture.")

    def _owner(self, headers: dict[bytes, bytes]) -> str:
        if self._keys is None:
            host = headers.get(b"host", b"").decode("latin-1")
            origin = headers.get(b"origin", b"").decode("latin-1")
            # A page of anybody's may make a browser send pictures here, or give its own name this address.
            if not is_loopback(host) or (origin and origin.partition("://")[2] != host):
                raise Forbidden("Only this machine is answered, and no page of another address.", "Give it keys.")
            return _EVERYONE
        key = headers.get(b"x-api-key", b"")
        if not key:
            scheme, _, rest = headers.get(b"authorization", b"").partition(b" ")
            key = rest.strip() if scheme.lower() == b"bearer" else b""
        return self._keys.owner(key.decode("utf-8", "surrogateescape"))


async def _hear_out(receive: _Receive, state: dict[str, Any]) -> None:
    """Take what is still being sent of a request that is refused.

    Were the connection closed before, a client that is still sending would be told that it broke, and never hear why.
    """
    heard = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE):
            while not state["whole"] and heard < _HEARD_OUT:
                message = await receive()
                heard += len(message.get("body", b""))
                state["whole"] = message["type"] != "http.request" or not message.get("more_body", False)
