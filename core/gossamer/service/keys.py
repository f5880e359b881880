"""Keys: a file with a line for everyone who may use the service, and who a request is from."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path

from gossamer.errors import InputError
from gossamer.paths import read_text, source_path
from gossamer.service.refusals import Busy, Unauthorised

__all__ = ["Keys", "Rates", "line_of", "new_key"]

_HASH = re.compile(r"sha256:([0-9a-f]{64})")
_NAME = re.compile(r"[A-Za-z0-9][\w.@ -]{0,63}")
_SHORTEST = 16  # of a key that somebody made himself
_MINUTE = 60.0


def new_key() -> str:
    """Return a key that nobody can guess: 256 random bits."""
    return f"gsm_{secrets.token_urlsafe(32)}"


def line_of(name: str, key: str) -> str:
    """Return the line of a file of keys: the name, and the key's hash, from which nobody finds the key.

    A key is 256 random bits, not somebody's word: one round of SHA-256 keeps it as well as many would.

    Raises
    ------
    InputError
        The name has other signs than letters, digits, spaces and ``.-_@``.
    """
    _check_name(name)
    return f"{name}:sha256:{hashlib.sha256(key.encode()).hexdigest()}"


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise InputError(f"{name!r} is not a name for a key.", "Give letters, digits and .-_@, at most 64.")


class Keys:
    """Who may use the service.

    Parameters
    ----------
    hashes : dict of str to bytes
        Of each name the SHA-256 of its key.
    """

    def __init__(self, hashes: dict[str, bytes]) -> None:
        self._hashes = dict(hashes)

    @classmethod
    def read(cls, path: str | Path) -> Keys:
        """Read a file of keys.

        Raises
        ------
        InputError
            It cannot be read, holds no key, a name twice, a line of another form, or a key that could be guessed.
        """
        hashes: dict[str, bytes] = {}
        text = read_text(source_path(str(path), "keys"), "keys", "Make one: gossamer keys new NAME")
        for number, line in enumerate(text.splitlines(), 1):
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            name, colon, key = (part.strip() for part in line.partition(":"))
            if not colon:
                raise InputError(f"Line {number} of the keys has no colon.", "Write name:key, or name:sha256:HASH.")
            _check_name(name)
            if name in hashes:
                raise InputError(f"The keys name {name} twice.", "Give every key a name of its own.")
            if found := _HASH.fullmatch(key):
                hashes[name] = bytes.fromhex(found[1])
                continue
            if len(key) < _SHORTEST:
                raise InputError(
                    f"The key of {name} has fewer than {_SHORTEST} signs.", f"Make one: gossamer keys new {name}"
                )
            hashes[name] = hashlib.sha256(key.encode()).digest()
        if not hashes:
            raise InputError("The file of keys holds none.", "Make one: gossamer keys new NAME")
        return cls(hashes)

    def owner(self, key: str) -> str:
        """Return whose key it is, in a time that tells nothing about the others.

        Raises
        ------
        Unauthorised
            It is nobody's.
        """
        given = hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
        found = ""
        for name, known in self._hashes.items():
            if hmac.compare_digest(given, known):
                found = name
        if not found:
            raise Unauthorised(
                "The request has no key that is known here." if key else "The request has no key.",
                "Send it in the header X-Api-Key.",
            )
        return found


class Rates:
    """How often everyone may come: `most` times in each minute; any number where that is 0."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.most = most
        self._clock = clock
        self._windows: dict[str, tuple[float, int]] = {}
        self._lock = threading.Lock()

    def take(self, owner: str) -> tuple[int, int]:
        """Count one time; return how many are left, and in how many seconds they are as many as ever.

        Raises
        ------
        Busy
            None is left.
        """
        if not self.most:
            return 0, 0
        with self._lock:
            now = self._clock()
            start, count = self._windows.get(owner, (now, 0))
            if now - start >= _MINUTE:
                start, count = now, 0
            seconds = max(1, int(start + _MINUTE - now + 0.999))
            if count >= self.most:
                raise Busy(f"The key has been used {self.most} times in this minute, its limit.", seconds, self.most)
            self._windows[owner] = start, count + 1
            return self.most - count - 1, seconds
