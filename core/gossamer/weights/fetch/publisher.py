"""Hugging Face: addresses, the user's token, and what the publisher says of a file."""

from __future__ import annotations

import os
import re
import urllib.parse

from gossamer.progress import Progress
from gossamer.weights.catalogue import HuggingFaceSource
from gossamer.weights.digests import Published
from gossamer.weights.fetch.download import ask, same_host
from gossamer.weights.fetch.transfer import Refused, SourceFailed
from gossamer.weights.secrets import InvalidToken, token

__all__ = ["address", "address_by_hand", "credentials", "in_words", "page", "said_by_publisher"]

_PUBLIC = "https://huggingface.co"
_SHA256 = re.compile(r'(?:W/)?"?([0-9a-f]{64})"?')


def address(source: HuggingFaceSource, commit: str = "") -> str:
    """Return the address of a file, at the host that ``$HF_ENDPOINT`` names.

    Raises
    ------
    SourceFailed
        When that names none.
    """
    return _address(_endpoint(), source, commit)


def address_by_hand(source: HuggingFaceSource) -> str:
    """Return the address of a file for people: Hugging Face's own where ``$HF_ENDPOINT`` names no host."""
    try:
        return address(source)
    except SourceFailed:
        return _address(_PUBLIC, source)


def _address(endpoint: str, source: HuggingFaceSource, commit: str = "") -> str:
    return f"{endpoint}/{source.repo}/resolve/{commit or source.revision}/{source.filename}"


def page(source: HuggingFaceSource) -> str:
    """Return the page of a repository for people."""
    return f"{_PUBLIC}/{source.repo}"


def credentials(url: str) -> dict[str, str]:
    """Return the header with the user's token, for addresses of the endpoint only.

    Raises
    ------
    SourceFailed
        When the token cannot be sent, or ``$HF_ENDPOINT`` names no host.
    """
    if not same_host(url, _endpoint()):
        return {}
    try:
        found = token()
    except InvalidToken as error:
        raise SourceFailed(str(error)) from None
    return {"Authorization": f"Bearer {found}"} if found else {}


def said_by_publisher(source: HuggingFaceSource, progress: Progress) -> Published | None:
    """Ask Hugging Face which bytes a file has now; None where the answer does not say that.

    Raises
    ------
    SourceFailed
        When it cannot be asked.
    """
    url = address(source)
    try:
        _, head = ask(url, credentials(url), progress)
    except Refused as error:
        raise SourceFailed(in_words(error, source)) from error
    # Large files are kept elsewhere; these headers are about the file, the others about the answer.
    digest = _SHA256.fullmatch(head.get("X-Linked-Etag") or head.get("ETag") or "")
    size = head.get("X-Linked-Size") or head.get("Content-Length") or ""
    if digest is None or not size.isdecimal() or not int(size):
        return None
    commit = head.get("X-Repo-Commit", "")
    return Published(int(size), digest[1], commit if re.fullmatch(r"[0-9a-f]{40}", commit) else "")


def in_words(refusal: Refused, source: HuggingFaceSource) -> str:
    """Return what a refusal means, and what to do about it."""
    if refusal.status not in (401, 403):
        return str(refusal)
    if source.gated and not token():
        return (
            f"it is gated: agree to its terms at {page(source)}, make a token at "
            "https://huggingface.co/settings/tokens and set HF_TOKEN to it"
        )
    if source.gated:
        return f"the token in HF_TOKEN has no access: agree to the terms at {page(source)} with its account"
    if token():
        return f"{refusal}: the token in HF_TOKEN is not accepted; renew it, or do without it"
    return f"{refusal}: it is not public any more, or $HF_ENDPOINT wants a token in HF_TOKEN"


def _endpoint() -> str:
    """Return where Hugging Face or its mirror is; raises SourceFailed where ``$HF_ENDPOINT`` is no address."""
    given = (os.environ.get("HF_ENDPOINT") or _PUBLIC).strip()
    try:
        parts = urllib.parse.urlsplit(given)
        sound = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        sound = sound and not (parts.query or parts.fragment or re.search(r"[\s<>\"]", given))
    except ValueError:
        sound = False
    if not sound:
        raise SourceFailed(f"HF_ENDPOINT is no address of a server ({given}): set it to one such as {_PUBLIC}")
    return given.rstrip("/")
