"""Pictures from addresses that strangers name: public ones alone, and never more, or for longer, than is allowed.

Every name is resolved once, and the connection goes to the very address that was looked at, so that a name that means
another one a moment later gains nothing; a redirect is looked at like the first. No proxy is asked, whatever the
environment says: it would resolve the name itself.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias
from urllib.parse import SplitResult, urljoin, urlsplit

import h11

import gossamer
from gossamer.errors import GossamerError

__all__ = ["Addresses", "Unfetched", "is_public"]

_REDIRECTS = 3
_PORTS = (80, 443)  # and those from 1024 on: below are services that an HTTP request might upset
_AT_ONCE = 8
_CHUNK = 65_536
_LONGEST = 4096
_NEAR = tuple(map(ipaddress.ip_network, ("192.0.0.0/24", "192.88.99.0/24", "64:ff9b:1::/48", "2001::/23")))
"""What older versions of Python take for public in part, and is for the network's own use."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Lines: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Unfetched(GossamerError):
    """A picture that could not be fetched, or may not be."""

    http_status = 422


def is_public(address: Address) -> bool:
    """Return whether an address is one of the internet's, neither this machine's nor of a network near it.

    An IPv6 address that carries an IPv4 address is what that is.
    """
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None or address.is_site_local:
            return False
        inner = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        if address in _NAT64:
            inner.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if int(address) >> 32 == 0:  # the old form of a carried one, and ::1
            return False
        for carried in inner:
            if carried is not None and not is_public(carried):
                return False
        if address.ipv4_mapped is not None or address in _NAT64:
            return True  # carried, and public
    if any(address in network for network in _NEAR):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


class Addresses:
    """Fetches pictures.

    Parameters
    ----------
    most : int
        Bytes that one may have.
    seconds : float
        How long one may take, its redirects included.
    resolve : callable, optional
        ``await resolve(host, port)`` returns the addresses of a name as texts; the system's own without it.
    connect : callable, optional
        ``await connect(address, port, tls, name)`` returns a reader and a writer; a connection without it.
    """

    def __init__(
        self,
        most: int,
        seconds: float,
        *,
        resolve: Callable[[str, int], Awaitable[Sequence[str]]] | None = None,
        connect: Callable[[str, int, bool, str], Awaitable[Lines]] | None = None,
    ) -> None:
        self._most, self._seconds = most, seconds
        self._resolve, self._connect = resolve or _resolved, connect or _connected
        self._free = asyncio.Semaphore(_AT_ONCE)

    async def fetch(self, url: str) -> bytes:
        """Return the bytes at an address.

        Raises
        ------
        Unfetched
            It is no address of the public internet, does not answer with a picture in time, or with too large a one.
        """
        try:
            async with asyncio.timeout(self._seconds), self._free:
                for _ in range(_REDIRECTS + 1):
                    found = await self._once(url)
                    if isinstance(found, bytes):
                        return found
                    url = urljoin(url, found)
        except TimeoutError:
            raise Unfetched(
                f"The picture's address did not answer within {self._seconds:g} s.", "Send the picture itself."
            ) from None
        except (OSError, ssl.SSLError, h11.RemoteProtocolError, h11.LocalProtocolError, asyncio.IncompleteReadError):
            # Nothing of why: a stranger could ask what runs where.
            raise Unfetched("The picture's address could not be fetched.", "Send the picture itself.") from None
        raise Unfetched("The picture's address leads on and on.", "Give the address of the picture itself.")

    async def _once(self, url: str) -> bytes | str:
        """Return the bytes at an address, or where it leads to."""
        parts, host, port = _looked_at(url)
        target = await self._public(host, port)
        reader, writer = await self._connect(str(target), port, parts.scheme == "https", host)
        try:
            return await self._asked(parts, host, port, reader, writer)
        finally:
            writer.close()

    async def _public(self, host: str, port: int) -> Address:
        try:
            found = [ipaddress.ip_address(each) for each in await self._resolve(host, port)]
        except (OSError, UnicodeError, ValueError):
            found = []
        if not found:
            raise Unfetched("The picture's address has no host that can be found.", "Look at how it is spelt.")
        if not all(map(is_public, found)):
            raise Unfetched("The picture's address is not one of the public internet.", "Send the picture itself.")
        return found[0]

    async def _asked(
        self, parts: SplitResult, host: str, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bytes | str:
        usual = {"http": 80, "https": 443}[parts.scheme]
        name = f"[{host}]" if ":" in host else host
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        line = h11.Connection(h11.CLIENT)
        headers = [
            ("Host", name if port == usual else f"{name}:{port}"),
            ("User-Agent", f"gossamer/{gossamer.__version__}"),
            ("Accept", "image/*"),
            ("Accept-Encoding", "identity"),
            ("Connection", "close"),
        ]
        writer.write(line.send(h11.Request(method="GET", target=target.encode(), headers=headers)) or b"")
        writer.write(line.send(h11.EndOfMessage()) or b"")
        await writer.drain()
        data = bytearray()
        while True:
            event: Any = line.next_event()
            if event is h11.NEED_DATA:
                line.receive_data(await reader.read(_CHUNK))
            elif isinstance(event, h11.Response):
                told = {key.lower(): value for key, value in event.headers}
                if event.status_code in (301, 302, 303, 307, 308) and b"location" in told:
                    return str(told[b"location"].decode("latin-1"))
                if event.status_code != 200:
                    raise Unfetched("There is no picture at that address.", "Look at how it is spelt.")
                if int(told.get(b"content-length", b"0")) > self._most:
                    raise self._too_large()
            elif isinstance(event, h11.Data):
                data += event.data
                if len(data) > self._most:
                    raise self._too_large()
            elif isinstance(event, (h11.EndOfMessage, h11.ConnectionClosed)):
                return bytes(data)

    def _too_large(self) -> Unfetched:
        return Unfetched(
            f"The picture at that address is larger than {self._most:,} bytes.", "Give the address of a smaller one."
        )


def _looked_at(url: str) -> tuple[SplitResult, str, int]:
    """Return an address's parts, its host and its port; raises Unfetched."""
    try:
        # A space or a line break in it would be another request, or another header.
        if len(url) > _LONGEST or not url.isascii() or any(sign <= " " or sign == "\x7f" for sign in url):
            raise ValueError
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        if parts.scheme not in ("http", "https") or not host or parts.username is not None or "%" in host:
            raise ValueError
        host = host.encode("idna").decode() if ":" not in host else host
    except (ValueError, UnicodeError):
        raise Unfetched(
            "That is no address of a picture.", "Give one that begins with https:// or http://, without a password."
        ) from None
    port = port or {"http": 80, "https": 443}[parts.scheme]
    if port not in _PORTS and port < 1024:
        raise Unfetched(f"Pictures are not fetched from port {port}.", "Give an address at the usual port.")
    return parts, host, port


async def _resolved(host: str, port: int) -> Sequence[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for _, _, _, _, address in found]


async def _connected(address: str, port: int, tls: bool, name: str) -> Lines:
    context = ssl.create_default_context() if tls else None
    return await asyncio.open_connection(
        address, port, ssl=context, server_hostname=name if tls else None, limit=_CHUNK
    )
