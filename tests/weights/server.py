"""A web server on this machine that fails on request."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Site:
    """What the server serves, how it fails, and what it was asked."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    statuses: list[int] = field(default_factory=list)
    """Error statuses of the next requests."""
    cuts: list[int] = field(default_factory=list)
    """After how many bytes the next answers break off."""
    ranges: bool = True
    etag: str = ""
    pause: float = 0.0
    """Seconds of rest after each 64 kB."""
    silent: bool = False
    """Accept requests and answer nothing."""
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and Range header of every request."""
    if_range: list[str | None] = field(default_factory=list)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    """More headers of the answers at a path, redirects too."""
    tokens: dict[str, str] = field(default_factory=dict)
    """Paths that only this token opens."""
    heads: list[str] = field(default_factory=list)
    """Paths of the HEAD requests, which are not among `requests`."""
    authorizations: list[str | None] = field(default_factory=list)
    """Authorization header of every request, of either kind."""
    sent: int = 0
    closing: threading.Event = field(default_factory=threading.Event)


@contextmanager
def serve() -> Iterator[Site]:
    site = Site()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(site))
    server.daemon_threads = True
    site.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield site
    finally:
        site.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            site.heads.append(self.path)
            self._answer(None)

        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            site.requests.append((self.path, wanted))
            site.if_range.append(self.headers.get("If-Range"))
            self._answer(wanted)

        def _answer(self, wanted: str | None) -> None:
            site.authorizations.append(self.headers.get("Authorization"))
            if site.silent:
                site.closing.wait(30)
                return
            if self.path in site.tokens and self.headers.get("Authorization") != f"Bearer {site.tokens[self.path]}":
                self.send_error(403 if self.headers.get("Authorization") else 401)
                return
            if self.path in site.redirects:
                self.send_response(302)
                self.send_header("Location", site.redirects[self.path])
                self._end_headers()
                return
            data = site.files.get(self.path)
            if site.statuses or data is None:
                self.send_error(site.statuses.pop(0) if site.statuses else 404)
                return
            changed = self.headers.get("If-Range") not in (None, site.etag)
            start = int(wanted[6:-1]) if wanted and site.ranges and not changed else 0
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
            if site.etag:
                self.send_header("ETag", site.etag)
            self.send_header("Content-Type", "text/html" if self.path.endswith("/") else "application/json")
            self.send_header("Content-Length", str(len(data) - start))
            self._end_headers()
            if self.command == "HEAD":
                return
            self._send(data[start : start + site.cuts.pop(0) if site.cuts else None])

        def _end_headers(self) -> None:
            for name, value in site.headers.get(self.path, {}).items():
                self.send_header(name, value)
            self.end_headers()

        def _send(self, data: bytes) -> None:
            for offset in range(0, len(data), 1 << 16):
                try:
                    self.wfile.write(data[offset : offset + (1 << 16)])
                except ConnectionError:
                    return
                site.sent += len(data[offset : offset + (1 << 16)])
                if site.pause and site.closing.wait(site.pause):
                    return

        def log_message(self, *_: object) -> None:
            return

    return Handler


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)
