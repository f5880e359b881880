"""The application: what is served at which address."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool

import gossamer
from gossamer.errors import GossamerError, InputError
from gossamer.service import rembg, removebg
from gossamer.service.described import rembg_operation, removebg_operation
from gossamer.service.desk import CUT_FILES, Desk, refused
from gossamer.service.fields import OWN, known_fields, schema
from gossamer.service.guard import Guard, is_loopback
from gossamer.service.keys import Keys
from gossamer.service.page import page
from gossamer.service.refusals import foreseen
from gossamer.settings.service import Service

__all__ = ["application"]

_MEGA = 1_000_000
_PATHS = (
    "/",
    "/v1/cutouts",
    "/v1/masks",
    "/v1/shadows",
    "/v1/check",
    "/v1/models",
    "/healthz",
    "/readyz",
    "/metrics",
    "/openapi.json",
)
_EXAMPLES = {
    "plain": {"image": "BASE64", "format": "png"},
    "white": {"image": "BASE64", "format": "jpeg", "background": "#ffffff", "canvas_margin": "5%"},
    "prompted": {"image": "BASE64", "box": ["10%,20%,50%,90%"], "matting": "closed_form", "format": "json"},
}
Refusal = Callable[[GossamerError, str], tuple[int, dict[str, str], bytes]]


def application(settings: Service) -> Any:
    """Return the ASGI application; see :func:`gossamer.service.app`."""
    keys = Keys.read(settings.keys) if settings.keys else None
    if keys is None and not is_loopback(settings.host):
        raise InputError(
            f"Others can reach {settings.host}, and there are no keys.",
            "Make one, gossamer keys new NAME --keys FILE, and give --keys FILE.",
        )
    desk = Desk(settings)

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(desk.engine.close)

    api = FastAPI(
        title="Gossamer",
        version=gossamer.__version__,
        description="Background removal with edges fine enough for hair.",
        docs_url=None,  # their pages load scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
    )
    _add_routes(api, desk)
    elsewhere: dict[str, Refusal] = {removebg.CUT: removebg.refused, removebg.ACCOUNT: removebg.refused}

    def refusal(path: str, error: GossamerError, id: str) -> tuple[int, dict[str, str], bytes]:
        return elsewhere.get(path, refused)(error, id)

    def on_error(request: Request, error: Exception) -> Response:
        desk.metrics.failed(type(error).__name__)
        status, headers, body = refusal(request.url.path, foreseen(error, request.state.id), request.state.id)
        return Response(body, status_code=status, headers=headers)

    def on_http(request: Request, error: Any) -> Response:
        known = {
            404: "There is nothing at this address.",
            405: f"This address does not take {request.method[:16]}.",
        }
        told = GossamerError(known.get(error.status_code, f"{error.detail}."), "See /openapi.json.")
        told.http_status = error.status_code
        status, headers, body = refusal(request.url.path, told, request.state.id)
        return Response(body, status_code=status, headers={**(error.headers or {}), **headers})

    from starlette.exceptions import HTTPException

    api.add_exception_handler(HTTPException, on_http)
    api.add_exception_handler(GossamerError, on_error)
    guarded = Unexpected(api, on_error)
    most, paths = settings.max_mb * _MEGA, (*_PATHS, rembg.ADDRESS, *elsewhere)
    return Guard(guarded, keys, most, settings.max_seconds, desk.metrics, refusal, paths)


class Unexpected:
    """Answers what nobody foresaw, and keeps it in the log alone: Starlette would raise it once more."""

    def __init__(self, inner: Any, handler: Callable[[Request, Exception], Response]) -> None:
        self._inner, self._handler = inner, handler

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        began = False

        async def told(message: Any) -> None:
            nonlocal began
            # What Starlette answers before it raises is left to the handler.
            if message["type"] == "http.response.start" and message["status"] == 500 and "failed" not in scope:
                scope["failed"] = True
            if "failed" not in scope:
                began = True
                await send(message)

        try:
            await self._inner(scope, receive, told)
        except GossamerError:
            raise
        except Exception as error:
            if began:
                raise
            await self._handler(Request(scope, receive), error)(scope, receive, send)


def _add_routes(api: Any, desk: Desk) -> None:
    known = known_fields()
    cut = schema(known, CUT_FILES, OWN, _EXAMPLES, places=True)
    checks = known_fields(lambda parameter: parameter.stage == "checks")
    checked = schema(checks, ("image", "photo", "mask"), {}, {"plain": {"image": "BASE64"}}, places=False)
    pictures: dict[str, Any] = {
        "image/png": {},
        "image/webp": {},
        "image/jpeg": {},
        "application/zip": {},
        "application/json": {},
    }
    error = {
        "description": "Refused: what is wrong, and what to do about it.",
        "content": {
            "application/json": {
                "example": {"error": {"message": "…", "remedy": "…", "status": 422, "request": "0f3a"}}
            }
        },
    }
    faults = {status: error for status in (400, 401, 403, 404, 413, 422, 429, 504)}
    for path, endpoint, method, body, content in (
        ("/v1/cutouts", desk.cutouts, "POST", cut, pictures),
        ("/v1/masks", desk.masks, "POST", cut, pictures),
        ("/v1/shadows", desk.shadows, "POST", cut, pictures),
        ("/v1/check", desk.check, "POST", checked, {"application/json": {}}),
        ("/", page(desk.settings), "GET", None, {"text/html": {}}),
        ("/v1/models", desk.models, "GET", None, {"application/json": {}}),
        ("/healthz", desk.health, "GET", None, {"application/json": {}}),
        ("/readyz", desk.ready, "GET", None, {"application/json": {}}),
        ("/metrics", desk.numbers, "GET", None, {"text/plain": {}}),
    ):
        api.add_api_route(
            path,
            endpoint,
            methods=[method],
            response_model=None,
            response_class=Response,
            responses={200: {"description": "Done.", "content": content}, **(faults if body else {})},
            openapi_extra={"requestBody": body} if body else None,
            summary=(endpoint.__doc__ or "").strip(),
        )
    for path, endpoint in (("/healthz", desk.health), ("/readyz", desk.ready)):  # so many monitors ask
        api.add_api_route(path, endpoint, methods=["HEAD"], include_in_schema=False, response_model=None)
    theirs, rembgs = removebg.RemoveBg(desk), rembg.Rembg(desk)
    own: dict[str, Any] = {"response_model": None, "response_class": Response}
    for path, endpoint, method, told, summary in (
        (removebg.CUT, theirs.cut, "POST", removebg_operation(), "Cut out a picture as remove.bg's API 1.0 does."),
        (removebg.ACCOUNT, theirs.account, "GET", None, "The account, as remove.bg's API 1.0 tells it."),
        (rembg.ADDRESS, rembgs.cut, "POST", rembg_operation(by_address=False), "Cut out a picture as rembg does."),
        (rembg.ADDRESS, rembgs.address, "GET", rembg_operation(by_address=True), "The same, of the picture at a url."),
    ):
        api.add_api_route(path, endpoint, methods=[method], summary=summary, openapi_extra=told, **own)
