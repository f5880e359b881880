"""Waiting for work without holding up anybody, for as long as the client does."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from fastapi import Request

from gossamer.errors import Cancelled
from gossamer.service.engine import Job

__all__ = ["done"]


async def done(job: Job, request: Request) -> Any:
    """Return a job's result; once the client has left, the work is stopped.

    Raises
    ------
    Cancelled
        The client has left.
    Exception
        What the work raised.
    """
    result = asyncio.ensure_future(asyncio.wrap_future(job.future))
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
            job.leave()


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
