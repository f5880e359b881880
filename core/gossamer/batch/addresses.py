"""Objects in a store (S3, Google Cloud Storage, Azure Blob Storage), and all that a batch ever does with them.

An address is written as fsspec writes it: ``s3://bucket/shelf/a.jpg``. Where the store is and who asks is the matter
of the packages that speak to it (s3fs, gcsfs, adlfs) and of their environment: nothing of that is kept or told here.
Each call goes through fsspec's own loop, so that whoever waits for it can leave at once.
"""

from __future__ import annotations

import concurrent.futures
import errno
import logging
import os
import re
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias, TypeVar

from gossamer.batch.marks import marked, put
from gossamer.errors import GossamerError, InputError, MissingExtra, OutputError, OutputExists, first_line
from gossamer.progress import Progress

__all__ = [
    "Address",
    "ObjectStatus",
    "OutUnreachable",
    "StoreUnreachable",
    "Where",
    "address_of",
    "check_address",
    "heads",
    "is_address",
    "marks",
    "statuses",
    "where_of",
]

T = TypeVar("T")

_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "az": "azure", "abfs": "azure", "abfss": "azure"}
"""Which extra holds what speaks to the stores of a scheme."""
_TITLES = {"s3": "S3", "gcs": "Google Cloud Storage", "azure": "Azure Blob Storage"}
_HELP = {
    "s3": ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"),
    "gcs": ("STORAGE_EMULATOR_HOST, if set", "GOOGLE_APPLICATION_CREDENTIALS"),
    "azure": ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_CONNECTION_STRING"),
}
"""The variables of the environment that say where the store is, and who asks."""
_TALKATIVE = ("fsspec", "s3fs", "aiobotocore", "botocore", "gcsfs", "google", "adlfs", "azure")
"""Packages that would write tracebacks to where a program's messages go, if nobody listens to what they log."""
_FORM = re.compile(rf"({'|'.join(_EXTRAS)})://([^/]*)/*(.*)", re.IGNORECASE | re.DOTALL)

_TICK = 0.05  # seconds between two chances to leave
_TOGETHER = 64  # objects that are asked about at the same time
_TAGS = ("ETag", "etag", "generation", "md5Hash", "LastModified", "last_modified", "updated", "mtime")
_AWAY = re.compile(r"Connect|Timeout|HTTPClient|ServiceRequest|gaierror|ServerDisconnected|ClientOSError|ProxyError")
_ASKING = re.compile(r"Credential|Auth|Token|ProfileNotFound")
_SECRET = re.compile(r"(AWS|AZURE|GOOGLE|FSSPEC)_\w*(KEY|SECRET|TOKEN|PASSWORD|CONNECTION_STRING|SAS)")


class StoreUnreachable(InputError):
    """A store does not answer: nor will it for the next picture."""


class OutUnreachable(OutputError):
    """A store into which something is written does not answer: nor will it for the next picture."""


@dataclass(frozen=True)
class ObjectStatus:
    """What a store tells of an object, by the names that :class:`os.stat_result` has for it.

    Attributes
    ----------
    st_size : int
        Bytes.
    tag : str
        What is another one whenever the object is: its ETag, or what the store has instead.
    st_mtime_ns : int
        Always 0: the tag is what counts.
    is_folder : bool
        There is no such object, but others below it.
    """

    st_size: int
    tag: str = ""
    st_mtime_ns: int = 0
    is_folder: bool = False


@dataclass(frozen=True, order=True)
class Address:
    """Where an object is in a store, with the names of :class:`pathlib.Path` for what both have.

    Attributes
    ----------
    scheme, bucket : str
        In ``s3://bucket/key``; on Azure the bucket is called a container.
    key : str
        Without ``/`` at its ends; "" for all that is in the bucket.
    status : ObjectStatus or None
        What a list told of it: nothing is asked for twice.
    """

    scheme: str
    bucket: str
    key: str
    status: ObjectStatus | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.bucket}/{self.key}".rstrip("/")

    @property
    def name(self) -> str:
        """The last part of its key, or the bucket's name."""
        return self.key.rpartition("/")[2] or self.bucket

    @property
    def stem(self) -> str:
        """The name without suffix."""
        return PurePosixPath(self.name).stem

    @property
    def suffix(self) -> str:
        """What the name ends in, with its dot."""
        return PurePosixPath(self.name).suffix

    @property
    def parent(self) -> Address:
        """The address of what it lies in."""
        return Address(self.scheme, self.bucket, self.key.rpartition("/")[0])

    def joinpath(self, *parts: str) -> Address:
        """Return the address of what is below."""
        return Address(self.scheme, self.bucket, "/".join(filter(None, (self.key, *parts))))

    def is_below(self, other: Address) -> bool:
        """Tell whether it is another address, or below that."""
        own, others = (f"{each.bucket}/{each.key}".rstrip("/") + "/" for each in (self, other))
        return _EXTRAS[self.scheme] == _EXTRAS[other.scheme] and own.startswith(others)

    def stat(self, steps: Progress | None = None) -> ObjectStatus:
        """Return what the store tells of it.

        Raises
        ------
        FileNotFoundError
            There is none.
        InputError, MissingExtra
            The store does not tell.
        """
        system, path = self._system()
        with self._reading():
            try:
                return _status(_waited(system, system._info(path), steps))
            except FileNotFoundError:
                pass
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self))

    def read(self, start: int, end: int, steps: Progress | None = None) -> bytes:
        """Return the bytes from one place to before another.

        Raises
        ------
        InputError, MissingExtra
            The store does not give them.
        """
        if end <= start:
            return b""
        system, path = self._system()
        with self._reading():
            return bytes(_waited(system, system._cat_file(path, start=start, end=end), steps))

    def whole(self, steps: Progress | None = None) -> bytes:
        """Return all its bytes; raises InputError, MissingExtra."""
        system, path = self._system()
        with self._reading():
            return bytes(_waited(system, system._cat_file(path), steps))

    def write(self, data: bytes, mark: str = "", *, new: bool = False, steps: Progress | None = None) -> None:
        """Put an object there, whole or not at all.

        Parameters
        ----------
        data : bytes
        mark : str
            What it carries with it, in ASCII: see :mod:`gossamer.batch.marks`.
        new : bool
            Replace none.
        steps : Progress, optional

        Raises
        ------
        OutputExists
            There is one, and `new` is set.
        OutputError, MissingExtra
            The store does not take it.
        """
        system, path = self._system()
        with self._writing():
            _waited(system, put(system, path, data, mark, new=new), steps)

    def upload(self, file: Path, steps: Progress | None = None) -> None:
        """Put a file's bytes there, whole or not at all; raises OutputError."""
        system, path = self._system()
        with self._writing():
            _waited(system, system._put_file(str(file), path), steps)

    def download(self, file: Path, steps: Progress | None = None) -> None:
        """Write its bytes into a file; raises InputError."""
        system, path = self._system()
        with self._reading():
            _waited(system, system._get_file(path, str(file)), steps)

    def remove(self, steps: Progress | None = None) -> None:
        """Remove the object, if it is there; raises OutputError."""
        system, path = self._system()
        with self._writing(), suppress(FileNotFoundError):
            _waited(system, system._rm_file(path), steps)

    def below(self, steps: Progress | None = None) -> Iterator[Address]:
        """Yield all objects below it, with their status, in the store's order; raises InputError, MissingExtra."""
        system, path = self._system()
        with self._reading():
            found = _waited(system, system._find(path, detail=True), steps)
        yield from self._told(found)

    def matching(self, steps: Progress | None = None) -> Iterator[Address]:
        """Yield all objects that its key matches as a pattern; raises InputError, MissingExtra."""
        system, path = self._system()
        with self._reading():
            found = _waited(system, system._glob(path, detail=True), steps)
        yield from self._told(found)

    def _told(self, found: dict[str, Any]) -> Iterator[Address]:
        """Yield what a list of the store tells, by addresses that begin as this one does."""
        first = len(self._system()[0]._strip_protocol(f"{self.scheme}://{self.bucket}"))
        for name, told in found.items():
            if told.get("type") != "directory" and not name.endswith("/"):
                yield Address(self.scheme, self.bucket, name[first:].lstrip("/"), _status(told))

    def _system(self) -> tuple[Any, str]:
        """Return fsspec's file system, and what it calls the object."""
        extra = _EXTRAS[self.scheme]
        for name in _TALKATIVE:  # what they tell is told by the errors, in one sentence each
            log = logging.getLogger(name)
            if not log.handlers:
                log.addHandler(logging.NullHandler())
        try:
            import fsspec.core

            system, _ = fsspec.core.url_to_fs(f"{self.scheme}://{self.bucket}", use_listings_cache=False)
        except ImportError:  # also says so where only the store's own package is missing
            raise MissingExtra(f"{self.scheme}:// ({_TITLES[extra]})", extra) from None
        except Exception as error:
            raise self._cannot_read(error) from error
        return system, system._strip_protocol(f"{self.scheme}://{self.bucket}/{self.key}")

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except GossamerError:
            raise
        except Exception as error:
            raise self._cannot_read(error) from error

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except GossamerError:
            raise
        except Exception as error:
            raise self._cannot_write(error) from error

    def _cannot_write(self, error: Exception) -> OutputError:
        """Return what an error of a store means for what was to be written there."""
        place, who = _HELP[_EXTRAS[self.scheme]]
        said = _harmless(first_line(error)).rstrip(".")
        if isinstance(error, FileExistsError) or _code_of(error) == "PreconditionFailed":
            return OutputExists(f"{self} exists already.", "Give another name or add --force.")
        if _is_away(error):
            return OutUnreachable(f"The store of {self} cannot be reached: {said}.", f"Check the network and {place}.")
        if isinstance(error, FileNotFoundError):
            where = Address(self.scheme, self.bucket, "")
            return OutputError(f"There is no {where} to write {self} into.", "Make it first, or give another.")
        if isinstance(error, PermissionError) or _ASKING.search(type(error).__name__):
            return OutputError(f"{self} may not be written: {said}.", f"Check the rights, and who asks: set {who}.")
        return OutputError(f"{self} could not be written: {said}.", f"Check the address, and {place}.")

    def _cannot_read(self, error: Exception) -> GossamerError:
        """Return what an error of a store means, with a remedy and without secrets."""
        place, who = _HELP[_EXTRAS[self.scheme]]
        said = _harmless(first_line(error)).rstrip(".")
        if _is_away(error):
            return StoreUnreachable(
                f"The store of {self} cannot be reached: {said}.", f"Check the network and {place}."
            )
        if isinstance(error, FileNotFoundError):
            return InputError(f"{self} does not exist.", "Check its bucket and name.")
        if isinstance(error, PermissionError) or _ASKING.search(type(error).__name__):
            return InputError(f"{self} may not be read: {said}.", f"Check the rights, and who asks: set {who}.")
        return InputError(f"{self} could not be read: {said}.", f"Check the address, and {place}.")


Where: TypeAlias = Path | Address
"""A file, or an object in a store."""


def is_address(text: str) -> bool:
    """Tell whether a text is an address in a store; what exists as a file is none."""
    return _FORM.match(text) is not None and not os.path.lexists(text)


def address_of(text: str) -> Address:
    """Return the address that a text is.

    Raises
    ------
    InputError
        It names no bucket, or holds a password, which is not repeated.
    """
    found = _FORM.match(text)
    assert found is not None  # noqa: S101 - is_address was asked
    scheme, bucket, key = found[1].lower(), found[2], found[3].rstrip("/")
    if ":" in bucket.partition("@")[0] and "@" in bucket:
        raise InputError(
            f"An address of {scheme}:// that is given holds a password.",
            f"Leave it out, and set {_HELP[_EXTRAS[scheme]][1]}.",
        )
    if not bucket or "::" in bucket or not bucket.isprintable():
        raise InputError(f"{text} names no bucket.", f"Give e.g. {scheme}://bucket/folder")
    return Address(scheme, bucket, key)


def check_address(address: Address, force: bool = False) -> None:
    """Refuse, before the work, a name in a store that is taken; raises OutputExists, InputError, MissingExtra."""
    with suppress(FileNotFoundError):
        if not address.stat().is_folder and not force:
            raise OutputExists(f"{address} exists already.", "Give another name or add --force.")


def where_of(text: str) -> Where:
    """Return the file or object that a text names, as the journal has it."""
    return address_of(text) if is_address(text) else Path(text)


def statuses(addresses: Sequence[Address]) -> list[ObjectStatus | GossamerError]:
    """Return what stores tell of objects, many at the same time: an error where there is none."""
    return [
        _error_of(address, found) if isinstance(found, BaseException) else _status(found)
        for address, found in _each(addresses, lambda system, path, _: system._info(path))
    ]


def heads(addresses: Sequence[Address], length: int) -> list[bytes | GossamerError]:
    """Return the first bytes of objects, many at the same time, by the sizes that a list told."""

    async def head(system: Any, path: str, address: Address) -> bytes:
        size = length if address.status is None else min(address.status.st_size, length)
        return bytes(await system._cat_file(path, start=0, end=size)) if size else b""

    return [
        _error_of(address, found) if isinstance(found, BaseException) else found
        for address, found in _each(addresses, head)
    ]


def marks(addresses: Sequence[Address]) -> list[str | GossamerError]:
    """Return what objects carry with them, many at the same time: see :mod:`gossamer.batch.marks`."""
    return [
        _error_of(address, found) if isinstance(found, BaseException) else found
        for address, found in _each(addresses, lambda system, path, _: marked(system, path))
    ]


def _error_of(address: Address, error: BaseException) -> GossamerError:
    """Return what an error means for one object."""
    if not isinstance(error, Exception):
        raise error
    return address._cannot_read(error)


def _each(addresses: Sequence[Address], ask: Any) -> Iterator[tuple[Address, Any]]:
    """Yield each address with what came of asking about it, an exception perhaps."""
    import asyncio  # slow to import, and only stores need it

    async def asked(part: Sequence[tuple[Address, Any, str]]) -> list[Any]:
        calls = [ask(system, path, address) for address, system, path in part]
        return await asyncio.gather(*calls, return_exceptions=True)

    for first in range(0, len(addresses), _TOGETHER):
        part = [(address, *address._system()) for address in addresses[first : first + _TOGETHER]]
        yield from zip(addresses[first : first + _TOGETHER], _waited(part[0][1], asked(part), None), strict=True)


def _waited(system: Any, call: Coroutine[Any, Any, T], steps: Progress | None) -> T:
    """Return what comes of a call in fsspec's loop, with a chance to leave it twenty times a second."""
    import asyncio

    future = asyncio.run_coroutine_threadsafe(call, system.loop)
    try:
        while True:
            try:
                return future.result(_TICK)
            except concurrent.futures.TimeoutError:
                if future.done():  # by now, or that is what it has raised
                    return future.result()
            if steps is not None:
                steps.tick()
    finally:
        future.cancel()


def _status(told: dict[str, Any]) -> ObjectStatus:
    tag = next((str(told[name]).strip('"') for name in _TAGS if told.get(name)), "")
    return ObjectStatus(int(told.get("size") or 0), tag, is_folder=told.get("type") == "directory")


def _is_away(error: BaseException) -> bool:
    """Tell whether an error says that nobody answers, as the packages of the stores each say it."""
    return isinstance(error, (ConnectionError, TimeoutError)) or _AWAY.search(type(error).__name__) is not None


def _code_of(error: BaseException) -> str:
    """Return the word by which S3 calls what went wrong, "" where that is not known."""
    response = getattr(error.__cause__ or error, "response", None)
    told = response.get("Error") if isinstance(response, dict) else None
    return str(told.get("Code", "")) if isinstance(told, dict) else ""


def _harmless(text: str) -> str:
    """Return a text without what nobody else may read: signatures in addresses, passwords, keys."""
    text = re.sub(r"\?[^\s\"'<>]*", "", text)
    text = re.sub(r"//[^/@\s]*@", "//", text)
    for name, value in os.environ.items():
        if _SECRET.search(name) and len(value) > 3:
            text = text.replace(value, "…")
    return text
