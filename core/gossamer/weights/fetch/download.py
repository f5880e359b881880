"""Weights over https: resumed where they broke off, cancelled at once, never over an open line."""

from __future__ import annotations

import base64
import contextlib
import http.client
import queue
import re
import socket
import ssl
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from types import TracebackType
from typing import IO, TypeAlias

from gossamer.errors import OutputError
from gossamer.progress import Progress
from gossamer.weights.fetch.transfer import Refused, SourceFailed, Transfer, remove_quietly, require_space, writing

__all__ = ["ask", "download", "same_host"]

CONNECT_SECONDS = 10.0
"""Longest wait for a connection, and for more bytes on it."""
ANSWER_SECONDS = 15.0
"""Longest wait for the answer's head: name lookup, all addresses and all redirects together."""
RETRIES = 2
"""Attempts after the first that bring less than `_WORTHWHILE` bytes."""

_CHUNK = 1 << 16
_WORTHWHILE = 1_000_000
_REPORT_SECONDS = 0.05
_PASSING = {408, 425, 429, 500, 502, 503, 504}
_ELSEWHERE = {301, 302, 303, 307, 308}
_HEADERS = {"User-Agent": "gossamer", "Accept-Encoding": "identity"}


class _BrokeOff(Exception):
    """The transfer stopped for a reason that may pass: worth another attempt."""


def download(url: str, transfer: Transfer, headers: Mapping[str, str] | None = None) -> None:
    """Fill the transfer's part with the bytes at `url`, going on where an earlier download ended.

    Parameters
    ----------
    url : str
        https, or http on this very machine.
    transfer : Transfer
        Its part ends up with as many bytes as the proof says, or else the server; their digest is not checked
        here.
    headers : mapping of str to str, optional
        More headers, such as ``Authorization``. That one is never sent to another host.

    Raises
    ------
    SourceFailed
        When the address cannot give these bytes.
    OutputError
        When they cannot be written.
    """
    part = transfer.part
    task = _Task(url, transfer, dict(headers or {}), transfer.proof.bytes if transfer.proof else None)
    failures = 0
    while True:
        have = part.stat().st_size if part.exists() else 0
        if task.size is not None and have > task.size:
            remove_quietly(part)
            have = 0
        if have == task.size:
            return
        if task.size is not None:
            require_space(part.parent, task.size - have)
        try:
            _attempt(task, have)
        except _BrokeOff as error:
            gained = (part.stat().st_size if part.exists() else 0) - have
            failures = 0 if gained >= _WORTHWHILE else failures + 1
            task.fresh = task.fresh and gained <= 0
            if failures > RETRIES:
                raise SourceFailed(str(error)) from error
            _pause(0.3 * 2**failures, transfer.progress)


def ask(url: str, headers: Mapping[str, str], progress: Progress) -> tuple[int, Message]:
    """Return status and headers of what is at `url`, without its bytes.

    Redirects within the host are followed, others are not: their headers are the answer.

    Raises
    ------
    SourceFailed
        When there is no answer, or one that says no: :class:`Refused`.
    """
    for attempt in range(RETRIES + 1):
        with _Stream(url, {**_HEADERS, **headers}, method="HEAD") as stream:
            try:
                return stream.head(progress)
            except _BrokeOff as error:
                if attempt == RETRIES or not stream.answered:
                    raise SourceFailed(str(error)) from error
        _pause(0.3 * 2**attempt, progress)
    raise AssertionError("unreachable")


@dataclass
class _Task:
    """One download: what it knows grows from attempt to attempt.

    `size` is learned from the server where nothing else says it; `validator` is the ETag of an earlier attempt:
    the server then sends all anew if the file has changed. `fresh` says that nothing came from there yet; a
    failure to connect is then final, so that the next source has its turn soon.
    """

    url: str
    transfer: Transfer
    headers: dict[str, str]
    size: int | None
    validator: str = ""
    fresh: bool = True


def _attempt(task: _Task, have: int) -> None:
    """Make one request for what is missing and append it to the part."""
    part = task.transfer.part
    headers = {**_HEADERS, **task.headers}
    if have:
        headers["Range"] = f"bytes={have}-"
        if task.validator:
            headers["If-Range"] = task.validator
    with _Stream(task.url, headers) as stream:
        try:
            status, head = stream.head(task.transfer.progress)
        except _BrokeOff as error:
            if stream.answered or not task.fresh:
                raise
            raise SourceFailed(str(error)) from error
        if status == 416 and task.size is None and _total(head) == have:
            task.size = have
            return
        if status == 416 or (status == 206 and not _continues(head, have, task.size)):
            remove_quietly(part)
            raise _BrokeOff("the server does not resume")
        if status == 200:
            have = 0
            length = head.get("Content-Length", "")
            if task.size is not None and length not in ("", str(task.size)):
                raise SourceFailed(f"has {length} bytes instead of {task.size}")
            task.size = task.size or _number(length)
        elif status != 206:
            raise SourceFailed(f"answered HTTP {status}")
        task.size = task.size or _total(head)
        if task.size is None:
            raise SourceFailed("does not say how many bytes it has")
        etag = head.get("ETag", "")
        task.validator = etag if etag and not etag.startswith("W/") else ""
        _append(stream, task.transfer, have, task.size)


def _append(stream: _Stream, transfer: Transfer, have: int, size: int) -> None:
    """Write what the stream brings to the part, from byte `have` on."""
    part = transfer.part
    require_space(part.parent, size - have)
    file: IO[bytes] = writing(part, open, part, "ab" if have else "wb")
    try:
        reported = 0.0
        while chunk := stream.chunk(transfer.progress):
            have += len(chunk)
            if have > size:
                remove_quietly(part)
                raise SourceFailed(f"has more than {size} bytes")
            _write(part, file, chunk)
            if time.monotonic() - reported >= _REPORT_SECONDS:
                transfer.report(have, size)
                reported = time.monotonic()
        _write(part, file, b"")
    finally:
        # What did not fit was already reported by `_write`.
        with contextlib.suppress(OSError):
            file.close()
    if have < size:
        raise _BrokeOff("the connection broke off")
    transfer.report(size, size)


def _write(part: Path, file: IO[bytes], chunk: bytes) -> None:
    """Write through to the disk; the part goes where it does not fit: a disk that stays full hurts more."""
    try:
        writing(part, file.write, chunk)
        writing(part, file.flush)
    except OutputError:
        remove_quietly(part)
        raise


def _continues(head: Message, have: int, size: int | None) -> bool:
    """Tell whether a 206 answer goes on at byte `have` of a file of `size` bytes."""
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", head.get("Content-Range", "").strip())
    return match is not None and int(match[1]) == have and (size is None or match[2] in ("*", str(size)))


def _total(head: Message) -> int | None:
    """Return the size of the whole file that an answer for a part of it tells."""
    return _number(head.get("Content-Range", "").rpartition("/")[2])


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and int(text) else None


def _pause(seconds: float, progress: Progress) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        progress.tick()
        time.sleep(0.05)


def same_host(one: str, other: str) -> bool:
    """Tell whether two addresses are of one scheme, host and port."""
    first, second = _place(one), _place(other)
    return first is not None and first == second


def _place(url: str) -> tuple[str, str, int | None] | None:
    """Return scheme, host and port of an address; None where it is none."""
    try:
        parts = urllib.parse.urlsplit(url)
        return parts.scheme, parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return None


def _without_user(url: str) -> tuple[str, dict[str, str]]:
    """Return an address without the name and password in it, and the header that says them instead."""
    if _place(url) is None:
        raise SourceFailed("is not an address")
    parts = urllib.parse.urlsplit(url)
    info, mark, host = parts.netloc.rpartition("@")
    if not mark:
        return url, {}
    said = base64.b64encode(urllib.parse.unquote(info).encode()).decode()
    return parts._replace(netloc=host).geturl(), {"Authorization": f"Basic {said}"}


def _is_local(url: str) -> bool:
    parts = urllib.parse.urlsplit(url)
    return parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to https only; a server on this machine may also redirect to this machine.

    Credentials stay with the host that they are for. A question for the head alone stays there, too.
    """

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        local = _is_local(req.full_url) and _is_local(newurl)
        if not newurl.lower().startswith("https://") and not local:
            fp.close()
            raise SourceFailed("redirects to an address that is not https")
        stays = same_host(req.full_url, newurl)
        if req.get_method() == "HEAD" and not stays:
            return None
        # Since Python 3.13 the original handler takes a HEAD for a HEAD; earlier ones make a GET of it.
        request = super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]
        if request is not None:
            request.method = req.get_method()
            if not stays:
                request.remove_header("Authorization")
        return request


_Item: TypeAlias = tuple[int, Message] | bytes | Exception


class _Stream:
    """A request that runs in a thread of its own, so that the caller can report and cancel while it waits.

    A thread that is stuck in a name lookup cannot be ended; it is left behind, and as only the caller writes
    to the disk it can do no harm.
    """

    def __init__(self, url: str, headers: dict[str, str], method: str = "GET") -> None:
        url, own = _without_user(url)
        headers = {**own, **headers}
        if not url.lower().startswith("https://") and not _is_local(url):
            raise SourceFailed("is not an https address")
        self.answered = False
        self._request = urllib.request.Request(url, headers=headers, method=method)  # noqa: S310 - checked above
        self._inbox: queue.Queue[_Item] = queue.Queue(maxsize=32)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gossamer-download", daemon=True)

    def __enter__(self) -> _Stream:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(0.2)

    def head(self, progress: Progress) -> tuple[int, Message]:
        """Return status and headers of the answer."""
        item = self._next(progress, ANSWER_SECONDS)
        assert isinstance(item, tuple)  # noqa: S101 - the thread sends it first
        return item

    def chunk(self, progress: Progress) -> bytes:
        """Return the next bytes; none at the end."""
        item = self._next(progress, 2 * CONNECT_SECONDS)
        assert isinstance(item, bytes)  # noqa: S101 - the thread sends nothing else after the head
        return item

    def _next(self, progress: Progress, patience: float) -> _Item:
        deadline = time.monotonic() + patience
        while True:
            try:
                item = self._inbox.get(timeout=0.1)
                break
            except queue.Empty:
                progress.tick()
                if time.monotonic() > deadline:
                    raise _BrokeOff(f"no answer in {patience:.0f} s") from None
        if isinstance(item, Exception):
            raise item
        self.answered = True
        return item

    def _run(self) -> None:
        opener = urllib.request.build_opener(_SafeRedirects)
        try:
            with opener.open(self._request, timeout=CONNECT_SECONDS) as response:
                self._put((response.status, response.headers))
                while not self._stop.is_set() and (chunk := response.read1(_CHUNK)):
                    self._put(chunk)
            self._put(b"")
        except urllib.error.HTTPError as error:
            with error:
                self.answered = True
                self._put(_refusal(error))
        except SourceFailed as error:
            self._put(error)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._put(_BrokeOff(_reason(error)))

    def _put(self, item: _Item) -> None:
        while not self._stop.is_set():
            try:
                return self._inbox.put(item, timeout=0.1)
            except queue.Full:
                continue


def _refusal(error: urllib.error.HTTPError) -> _Item:
    """Return what an HTTP error status means for the attempt."""
    if error.code == 416 or (error.code in _ELSEWHERE and error.headers.get("X-Linked-Etag")):
        return error.code, error.headers
    if error.code in _PASSING:
        return _BrokeOff(f"HTTP {error.code} {error.reason}")
    return Refused(error.code, str(error.reason))


def _reason(error: Exception) -> str:
    """Return why a connection failed, in a few words."""
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, socket.gaierror):
        return "the name was not resolved"
    if isinstance(cause, ssl.SSLCertVerificationError):
        return "its certificate is not trusted"
    if isinstance(cause, TimeoutError):
        return f"no answer in {CONNECT_SECONDS:.0f} s"
    if isinstance(cause, ConnectionRefusedError):
        return "the connection was refused"
    if isinstance(cause, ValueError | http.client.InvalidURL):  # their words quote headers and addresses
        return "it is not an address that can be asked, or a proxy or a token has characters that cannot be sent"
    if isinstance(cause, ConnectionError | http.client.HTTPException):
        return "the connection broke off"
    return str(cause) or type(cause).__name__
