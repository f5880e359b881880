"""Pictures from addresses: public ones alone, whatever names, redirects and answers say."""

from __future__ import annotations

import asyncio
import ipaddress
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest

import gossamer
from gossamer.service.addresses import Addresses, Unfetched, is_public
from tests.service.conftest import Client, pixels, png

PUBLIC = "93.184.215.14"


class Far(BaseHTTPRequestHandler):
    """What answers in place of the internet."""

    seen: tuple[tuple[str, dict[str, str]], ...] = ()
    answers: Callable[[Far], None]

    def do_GET(self) -> None:
        type(self).seen += ((self.path, dict(self.headers)),)
        type(self).answers(self)

    def log_message(self, *_: Any) -> None:
        pass

    def say(self, status: int, data: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def far() -> Iterator[tuple[type[Far], Callable[..., Addresses], list[str]]]:
    """Return the internet, what fetches from it with names that mean what the test says, and where it connected."""
    handler = type("Handler", (Far,), {"seen": ()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    connected: list[str] = []

    def make(*meant: str | Sequence[str], most: int = 10_000, seconds: float = 20.0) -> Addresses:
        names = iter(meant)

        async def resolve(host: str, port: int) -> Sequence[str]:
            try:
                return [str(ipaddress.ip_address(host))]  # as the system does
            except ValueError:
                found = next(names)
                return [found] if isinstance(found, str) else found

        async def connect(address: str, port: int, tls: bool, name: str) -> Any:
            connected.append(address)
            assert not tls
            return await asyncio.open_connection("127.0.0.1", server.server_port)

        return Addresses(most, seconds, resolve=resolve, connect=connect)

    yield handler, make, connected
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.8.9.1", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254"),
        *("100.64.0.1", "192.0.0.8", "192.0.2.1", "198.18.0.1", "224.0.0.1", "239.1.1.1", "240.0.0.1"),
        *("255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "fec0::1", "ff02::1"),
        *(
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "2002:7f00:1::",
            "2002:a00:1::",
        ),
        *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2001:db8::1", "2001:0:7f00:1::"),
    ],
)
def test_addresses_that_are_not_public(far: Any, address: str) -> None:
    handler, make, connected = far
    assert not is_public(ipaddress.ip_address(address))
    for meant in (address, [PUBLIC, address]):
        with pytest.raises(Unfetched, match="public internet"):
            asyncio.run(make(meant).fetch("http://pictures.example/a.png"))
    if "%" not in address:
        host = f"[{address}]" if ":" in address else address
        with pytest.raises(Unfetched, match="public internet"):
            asyncio.run(make().fetch(f"http://{host}/a.png"))
    assert connected == []
    assert handler.seen == ()


def test_addresses_that_are() -> None:
    for address in (PUBLIC, "1.1.1.1", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"):
        assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        *("file:///etc/passwd", "ftp://pictures.example/a.png", "gopher://pictures.example/", "//pictures.example/a"),
        *("http://", "http:///a.png", "http://user:secret@pictures.example/a.png", "http://pictures.example:99999/"),
        *("http://pictures.example:22/", "http://pictures.example:25/a", "http://a b/", "http://pictures.example/a b"),
        *("http://pictures.example/\r\nHost: x", "http://[fe80::1%25eth0]/", "data:image/png;base64,AAAA", "a.png"),
        *("http://pictures.example/" + "a" * 5000, "http://[::1", "http://..", "http://b\u00fccher.example/"),
    ],
)
def test_what_is_no_address_of_a_picture(far: Any, url: str) -> None:
    _, make, connected = far
    with pytest.raises(Unfetched) as told:
        asyncio.run(make(PUBLIC).fetch(url))
    assert told.value.remedy
    assert connected == []


def test_odd_ways_to_write_loopback_mean_what_the_system_says_and_are_refused() -> None:
    for host in ("2130706433", "0x7f.1", "127.1", "0177.0.0.1", "localhost", "LOCALHOST."):
        with pytest.raises(Unfetched):
            asyncio.run(Addresses(1000, 5).fetch(f"http://{host}:9/a.png"))
        with pytest.raises(Unfetched):
            asyncio.run(Addresses(1000, 5).fetch(f"http://{host}/a.png"))


def test_a_name_is_resolved_once_and_the_connection_goes_there(far: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    handler, make, connected = far
    handler.answers = lambda self: self.say(200, b"picture")
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    # Whoever owns the name says another address the second time: nobody asks a second time.
    fetching = make(PUBLIC, "127.0.0.1")
    assert asyncio.run(fetching.fetch("http://pictures.example:8080/a%20b.png?x=1#part")) == b"picture"
    assert connected == [PUBLIC]
    ((path, headers),) = handler.seen
    assert path == "/a%20b.png?x=1"
    assert headers["Host"] == "pictures.example:8080"
    assert "Cookie" not in headers
    assert "Authorization" not in headers


def test_every_redirect_is_looked_at(far: Any) -> None:
    handler, make, connected = far
    leads: dict[str, str] = {"/first": "/second", "/second": "http://other.example/third", "/evil": ""}

    def lead(self: Far) -> None:
        if self.path in leads:
            self.say(302, Location=leads[self.path])
        else:
            self.say(200, b"there")

    handler.answers = lead
    assert asyncio.run(make(PUBLIC, PUBLIC, "1.1.1.1").fetch("http://pictures.example/first")) == b"there"
    assert connected == [PUBLIC, PUBLIC, "1.1.1.1"]
    for target in (
        *("http://127.0.0.1/", "http://[::1]/", "http://localhost.example/", "file:///etc/passwd"),
        *("//169.254.169.254/latest/meta-data", "http://[::ffff:10.0.0.1]/"),
    ):
        leads["/evil"] = target
        del connected[:]
        with pytest.raises(Unfetched):
            asyncio.run(make(PUBLIC, "127.0.0.1").fetch("http://pictures.example/evil"))
        assert connected == [PUBLIC]
    leads["/round"] = "/round"
    with pytest.raises(Unfetched, match="on and on"):
        asyncio.run(make(*[PUBLIC] * 9).fetch("http://pictures.example/round"))


def test_sizes_and_times_are_bounded(far: Any) -> None:
    handler, make, _ = far
    handler.answers = lambda self: self.say(200, bytes(20_000), **{"Content-Length": "20000"})
    with pytest.raises(Unfetched, match="larger than 10,000"):
        asyncio.run(make(PUBLIC).fetch("http://pictures.example/"))
    handler.answers = lambda self: self.say(200, bytes(20_000))  # which says nothing of its length
    with pytest.raises(Unfetched, match="larger than 10,000"):
        asyncio.run(make(PUBLIC).fetch("http://pictures.example/"))
    stop = threading.Event()

    def drip(self: Far) -> None:
        while not stop.wait(0.05):
            try:
                self.wfile.write(b"H")
            except OSError:
                return

    handler.answers = drip
    start = time.monotonic()
    with pytest.raises(Unfetched, match=r"within 0\.5 s"):
        asyncio.run(make(PUBLIC, seconds=0.5).fetch("http://pictures.example/"))
    assert time.monotonic() - start < 5
    stop.set()
    for answer in (
        lambda self: self.say(404, b"no"),
        lambda self: self.say(200, b"half", **{"Content-Length": "40"}),
        lambda self: self.say(200, b"", **{"Content-Length": "-1"}),
        lambda self: self.say(302, Location="http://\r\n"),
        lambda self: self.wfile.write(b"SSH-2.0-OpenSSH\r\n"),
        lambda self: self.wfile.write(b"HTTP/1.1 200 OK\r\nA: " + b"a" * 200_000),
    ):
        handler.answers = answer
        with pytest.raises(Unfetched):
            asyncio.run(make(*[PUBLIC] * 9).fetch("http://pictures.example/"))


def test_services_fetch_only_where_they_are_told_to(
    client: Client, screen: np.ndarray, far: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler, make, connected = far
    red = np.full((96, 128, 3), (9, 8, 200), np.uint8)
    pictures = {"/a.png": png(screen), "/behind.png": png(red), "/rubbish": b"rubbish"}
    handler.answers = lambda self: self.say(200, pictures[self.path]) if self.path in pictures else self.say(404)

    def find(_: Any, source: Any, *__: Any, **___: Any) -> tuple[np.ndarray, gossamer.cutout.Origin]:
        return (source.rgb[..., 0] > source.rgb[..., 1]).astype(np.float32), gossamer.cutout.Origin("u2netp")

    monkeypatch.setattr(gossamer.Pipeline, "find", find)
    monkeypatch.setattr(
        "gossamer.service.desk.Addresses", lambda most, seconds: make(*[PUBLIC] * 9, most=most, seconds=seconds)
    )
    address = "http://pictures.example/a.png"
    closed = client()
    assert closed.post("/v1.0/removebg", data={"image_url": address}).json()["errors"][0]["code"] == "invalid_image_url"
    assert closed.get("/api/remove", params={"url": address}).status_code == 403
    assert connected == []
    service = client(urls=True, rate=6)
    cut = pixels(service.post("/v1.0/removebg", data={"image_url": address}).content)
    assert (cut[30:66, 46:82, 3] == 255).all()
    assert (cut[:15, :, 3] == 0).all()
    flat = service.post(
        "/v1.0/removebg", json={"image_url": address, "bg_image_url": "http://pictures.example/behind.png"}
    )
    assert flat.headers["X-RateLimit-Remaining"] == "4"  # one request, however much was fetched for it
    assert np.abs(pixels(flat.content)[:15].astype(int) - (9, 8, 200)).max() < 5
    assert np.array_equal(pixels(service.get("/api/remove", params={"url": address}).content)[..., 3], cut[..., 3])
    for url in ("http://127.0.0.1/a.png", "http://pictures.example/none", "http://pictures.example/rubbish"):
        answered = service.post("/v1.0/removebg", data={"image_url": url})
        assert answered.status_code == 400
        assert answered.json()["errors"][0]["code"]
    # Whoever has had his share is not served by having something fetched either.
    before = len(connected)
    assert service.post("/v1.0/removebg", data={"image_url": address}).status_code == 429
    assert len(connected) == before
