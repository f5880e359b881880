"""Waiting for work without holding up anybody, for as long as the client does."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

from fastapi import Request

from gossamer.errors import Cancelled
from gossamer.service.answers import Answer
from gossamer.service.engine import Job

__all__ = ["LINES", "done", "lines", "while_there"]

LINES = "application/x-ndjson"
"""What a client accepts that wants to hear how far the work is: a JSON object a line, the last with the picture."""

_TICK = 0.1  # seconds between two lines
T = TypeVar("T")


async def done(job: Job, request: Request) -> Any:
    """Return a job's result; once the client has left, the work is stopped.

    Raises
    ------
    Cancelled
        The client has left.
    Exception
        What the work raised.
    """
    try:
        return await while_there(asyncio.wrap_future(job.future), request)
    finally:
        if not job.future.done():
            job.leave()


async def while_there(work: Awaitable[T], request: Request) -> T:
    """Return what is waited for; raises Cancelled once the client has left, and what the work raises."""
    result = asyncio.ensure_future(work)
    # What it raises after everyone has gone is nobody's news.
    result.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
    leaving = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait({result, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not result.done():
            raise Cancelled("The client has left.")
        return result.result()
    finally:
        leaving.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await leaving
        if not result.done():
            result.cancel()


async def lines(
    job: Job, failure: Callable[[Exception], bytes], counted: Callable[[Answer], Answer], left: Callable[[], None]
) -> AsyncIterator[bytes]:
    """Yield how far a job is, a JSON object a line, and at last its picture as base64, or its error.

    Parameters
    ----------
    job : Job
    failure : callable
        Returns what is told of an error, as JSON.
    counted : callable
        Called with the answer.
    left : callable
        Called where the client has left before.
    """
    last = None
    ended = asyncio.wrap_future(job.future)
    ended.add_done_callback(lambda each: each.cancelled() or each.exception())  # which may come after everyone has gone
    try:
        while not job.future.done():
            if job.told != last:
                last = job.told
                yield _line({"progress": round(last[0], 3), "message": last[1]})
            await asyncio.wait({ended}, timeout=_TICK)
        try:
            made = counted(job.future.result())
        except Exception as error:
            yield failure(error) + b"\n"
            return
        yield _line(
            {
                "image": base64.b64encode(made.data).decode(),
                "media_type": made.media_type,
                "width": made.width,
                "height": made.height,
                "model": made.model,
                "seconds": made.seconds,
                "warnings": made.warnings,
            }
        )
    finally:
        if not job.future.done():
            job.leave()
            left()


def _line(told: object) -> bytes:
    return json.dumps(told).encode() + b"\n"


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
