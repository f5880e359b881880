"""Tokens and passwords of the environment: the token that is sent, and that none is ever shown."""

from __future__ import annotations

import os
import re
import urllib.parse
from pathlib import Path

from gossamer.weights.folders import hugging_face_home

__all__ = ["HIDDEN", "InvalidToken", "token", "without_secrets"]

HIDDEN = "***"
"""What is shown in the place of a secret."""

_TOKEN_NAMES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
_ADDRESS_NAMES = re.compile(r"(HF_ENDPOINT|GOSSAMER_MIRROR|\w*_PROXY|(PIP|UV|NPM_CONFIG)_\w*)", re.IGNORECASE)
_USER_INFO = re.compile(r"(?<=://)[^\s/?#]*@")
_BARE_USER_INFO = re.compile(r"(?:^|(?<=[\s,=\"'(]))[^\s/@:]+:[^\s/@]+@(?=[\w\[])")
_SENDABLE = re.compile(r"[\x21-\x7e]+")
_SHORTEST = 4  # what is shorter would hide parts of ordinary words


class InvalidToken(ValueError):
    """A token that cannot be sent; the text says where it is from, not what it is."""


def token() -> str:
    """Return the user's token for Hugging Face, "" where there is none.

    That is ``$HF_TOKEN``, or what ``hf auth login`` wrote into ``$HF_TOKEN_PATH`` or ``$HF_HOME/token``; as there,
    line breaks do not count.

    Raises
    ------
    InvalidToken
        When it has characters that no header may have.
    """
    found, origin = _joined(os.environ.get("HF_TOKEN", "")), "HF_TOKEN"
    if not found:
        file = _token_file()
        origin = str(file)
        try:
            found = _joined(file.read_text("utf-8", "surrogateescape"))
        except (OSError, ValueError):
            return ""
    if found and not _SENDABLE.fullmatch(found):
        raise InvalidToken(f"the token in {origin} has characters that no token has: set it anew")
    return found


def without_secrets(text: str) -> str:
    """Return a text for people without the user's token, and without the names and passwords in addresses."""
    for secret in sorted(_secrets(), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    text = _USER_INFO.sub("", text)
    return _BARE_USER_INFO.sub("", text)


def _secrets() -> set[str]:
    """Return what must not be shown: as it is, and in the ways in which errors quote it."""
    try:
        said = _token_file().read_text("utf-8", "surrogateescape")
    except (OSError, ValueError):
        said = ""
    plain = {said, *said.split(), *(os.environ.get(name, "") for name in _TOKEN_NAMES)}
    plain |= {part for one in plain for part in (one.strip(), _joined(one), *one.split())}
    for name, value in os.environ.items():
        if _ADDRESS_NAMES.fullmatch(name):
            plain |= {part for address in re.split(r"[,\s]+", value) for part in _credentials(address)}
        elif name.lower().endswith((":_authtoken", ":_password", ":_auth")):  # npm's, of one registry
            plain.add(value)
    quoted = {repr(one)[1:-1] for one in plain} | {
        urllib.parse.quote(one, safe="", errors="surrogateescape") for one in plain
    }
    return {one for one in plain | quoted if len(one) >= _SHORTEST}


def _credentials(address: str) -> set[str]:
    """Return the name and the password in an address, as they stand there and as they are meant."""
    authority = re.split(r"[/?#]", address.partition("://")[2] or address, maxsplit=1)[0]
    info, mark, _ = authority.rpartition("@")
    if not mark:
        return set()
    name, colon, password = info.partition(":")
    found = {info, password} if colon else {name}
    return found | {urllib.parse.unquote(one) for one in found} | set(password.split("@"))


def _joined(text: str) -> str:
    return "".join(text.splitlines()).strip()


def _token_file() -> Path:
    return Path(os.environ.get("HF_TOKEN_PATH") or hugging_face_home() / "token").expanduser()
