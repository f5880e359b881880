"""What an object carries with it that tells who made it: its record, written in the same step as its bytes.

A store cannot append to a journal, and a machine's own one may be lost with it. So each output has a mark among its
metadata: what was asked for, of which state of which source it is, and what the checks said. Whoever finds the object
knows by it that it is a batch's, and whole. Paths are not in it, since whoever may read a picture may read its mark.
"""

from __future__ import annotations

import base64
import errno
import hashlib
import json
import mimetypes
import zlib
from dataclasses import asdict
from typing import Any

from gossamer.batch.record import Record, shadow_name

__all__ = ["mark_of", "marked", "put", "record_of"]

_NAME = "gossamer"
_MOST = 1500  # bytes: S3 takes 2 kB of metadata
_KEPT = (
    *("state", "score", "flags", "model", "recipe", "recipe_used", "width", "height", "bytes", "sha256"),
    *("source_bytes", "source_mtime", "finished", "source_tag"),
)


def mark_of(record: Record) -> str:
    """Return the mark of what a record tells of, in ASCII."""
    told = {name: value for name, value in asdict(record).items() if name in _KEPT and value not in (None, "", [])}
    told["for"] = _hash(record)
    if record.shadow is not None:
        told["shadow"] = {"bytes": record.shadow.bytes, "sha256": record.shadow.sha256, "tag": record.shadow.tag}
    for left_out in ("", "recipe_used", "flags"):  # where there is too much to say
        told.pop(left_out, None)
        data = json.dumps(told, separators=(",", ":")).encode("ascii")
        mark = base64.urlsafe_b64encode(zlib.compress(data, 9)).decode("ascii")
        if len(mark) <= _MOST:
            break
    return mark


def record_of(mark: str, target: str, output: str) -> Record | None:
    """Return the record that a mark holds, without its source's name; None where it is none, or of another output."""
    try:
        data = zlib.decompressobj().decompress(base64.urlsafe_b64decode(mark), 1 << 16)
        told = json.loads(data)
        if "shadow" in told:
            told["shadow"]["output"] = shadow_name(output)
        record = Record.of({**told, "source": "", "source_path": "", "target": target, "output": output})
        return record if told["for"] == _hash(record) else None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, zlib.error):
        return None


async def put(system: Any, path: str, data: bytes, mark: str, *, new: bool) -> None:
    """Put an object into a store of fsspec's, whole or not at all; where `new` is set only if there is none.

    Raises
    ------
    FileExistsError
        There is one.
    Exception
        What the store's package has to say.
    """
    kind = mimetypes.guess_type(path, strict=False)[0] or "application/octet-stream"
    mode = "create" if new else "overwrite"
    told = {_NAME: mark} if mark else {}
    scheme = system.protocol if isinstance(system.protocol, str) else system.protocol[0]
    if scheme in ("gs", "gcs"):
        await system._pipe_file(path, data, metadata=told, content_type=kind, mode=mode)
    elif scheme in ("abfs", "az", "abfss"):
        await _put_to_azure(system, path, data, told, kind, new)
    else:
        try:
            await system._pipe_file(path, data, mode=mode, Metadata=told, ContentType=kind)
        except OSError as error:
            if not new or error.errno != errno.ENOSYS:
                raise
            # What only speaks like S3 may not know conditions: the look beforehand leaves a moment to others.
            if await system._exists(path):
                raise FileExistsError(path) from None
            await system._pipe_file(path, data, Metadata=told, ContentType=kind)


async def marked(system: Any, path: str) -> str:
    """Return the mark of an object, "" where it has none; raises what the store's package has to say."""
    if hasattr(system, "_metadata"):  # s3fs, whose `info` does not tell
        told = await system._metadata(path)
    else:
        told = (await system._info(path)).get("metadata")
    return str((told or {}).get(_NAME, ""))


async def _put_to_azure(system: Any, path: str, data: bytes, told: dict[str, str], kind: str, new: bool) -> None:
    """Do what adlfs does, whose own call takes no metadata."""
    from azure.core.exceptions import ResourceExistsError  # type: ignore[import-not-found,unused-ignore]
    from azure.storage.blob import ContentSettings  # type: ignore[import-not-found,unused-ignore]

    container, name, _ = system.split_path(path)
    async with system.service_client.get_blob_client(container=container, blob=name) as blob:
        try:
            await blob.upload_blob(
                data=data,
                overwrite=not new,
                metadata={"is_directory": "false", **told},
                content_settings=ContentSettings(content_type=kind),
            )
        except ResourceExistsError:
            raise FileExistsError(path) from None


def _hash(record: Record) -> str:
    """Return what an output is called, for nobody to read: what is copied to another name is no batch's there."""
    return hashlib.sha256(f"{record.target}\0{record.output}".encode("utf-8", "surrogatepass")).hexdigest()[:16]
