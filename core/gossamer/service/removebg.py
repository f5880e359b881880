"""The addresses and words of remove.bg's API, version 1.0, so that its clients change nothing but an address.

Source: its published reference, https://www.remove.bg/api.
"""

from __future__ import annotations

import base64
import json
import math
import time
from typing import Any

from fastapi import Request, Response

from gossamer.errors import GossamerError
from gossamer.service.addresses import Unfetched
from gossamer.service.asked import ADDRESSES, Asked, coded, text_of
from gossamer.service.desk import Desk, headers_of, json_response
from gossamer.service.fields import Sent
from gossamer.service.refusals import worded

__all__ = ["ACCOUNT", "CUT", "RemoveBg", "refused"]

CUT, ACCOUNT = "/v1.0/removebg", "/v1.0/account"
_FILES = ("image_file", "bg_image_file")
_STATUSES = {401: 403, 404: 400, 409: 400, 413: 400, 422: 400}
_CODES = {403: "auth_failed", 429: "rate_limit_exceeded", 400: "invalid_parameters", 413: "file_too_large"}


class RemoveBg:
    """Answers as remove.bg does."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def account(self, request: Request) -> Response:
        """Tell how many calls are left: there is nothing to be paid."""
        api = {"free_calls": 1_000_000, "sizes": "all"}
        credits = {"total": 1_000_000, "subscription": 0, "payg": 1_000_000, "enterprise": 0}
        return json_response({"data": {"attributes": {"credits": credits, "api": api}}})

    async def cut(self, request: Request) -> Response:
        """Cut out a picture."""
        sent = await self._desk.read(request, _FILES)
        await self._fetch(request, sent)
        asked = Asked(sent, self._desk.settings.model)
        pictures = [each for each in (asked.wish.picture, asked.wish.backdrop) if each is not None]
        made, box = await self._desk.have_done(request, asked, *pictures)
        self._desk.metrics.worked(made.model, made.seconds)
        headers = {
            **({"X-Type": asked.type} if asked.type else {}),
            "X-Width": str(made.width),
            "X-Height": str(made.height),
            "X-Credits-Charged": "0",
            **{f"X-Foreground-{name.title()}": str(value) for name, value in box.items()},
        }
        headers |= _limits(self._desk.rates.most, *request.state.rate)
        if "application/json" in request.headers.get("accept", ""):
            told: dict[str, Any] = {"result_b64": base64.b64encode(made.data).decode()}
            told |= {f"foreground_{name}": value for name, value in box.items()}
            body = json.dumps({"data": told})
            return Response(body, media_type="application/json", headers=headers)
        return Response(made.data, media_type=made.media_type, headers=headers)

    async def _fetch(self, request: Request, sent: Sent) -> None:
        """Put pictures in the places of their addresses."""
        for field, name in ADDRESSES.items():
            address = text_of(sent.one(field))
            if not address:
                continue
            if self._desk.addresses is None:
                raise coded(
                    "Addresses of pictures are not fetched here.", "Send the picture itself.", "invalid_image_url"
                )
            if name in sent.files or (name == "image_file" and text_of(sent.one("image_file_b64"))):
                raise coded(f"{field} and {name} are both given.", "Give one.", "multiple_sources")
            try:
                sent.files[name] = await self._desk.fetch(request, address)
            except Unfetched as error:
                raise coded(error.message, error.remedy, "invalid_image_url") from None
            del sent.fields[field]


def refused(error: GossamerError, id: str) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body for an error, as remove.bg words it."""
    message, remedy = worded(error)
    status = _STATUSES.get(error.http_status, error.http_status)
    code = getattr(error, "code", "") or _CODES.get(error.http_status) or _CODES.get(status, "unknown_error")
    title = "API Key invalid" if error.http_status == 401 else message.rstrip(".")
    told = {"title": title, "code": code, **({"detail": remedy} if remedy else {})}
    headers = {**headers_of(error), **_limits(getattr(error, "most", 0), 0, getattr(error, "seconds", 0))}
    return status, headers, json.dumps({"errors": [told]}).encode()


def _limits(most: int, left: int, seconds: int) -> dict[str, str]:
    """Return what tells a key of its rate, where it has one; they name the moment at which it is whole again."""
    if not most:
        return {}
    reset = math.ceil(time.time()) + seconds
    return {"X-RateLimit-Limit": str(most), "X-RateLimit-Remaining": str(left), "X-RateLimit-Reset": str(reset)}
