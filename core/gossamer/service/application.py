"""The application: what is served at which address."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool

import gossamer
from gossamer.errors import Cancelled, GossamerError, InputError
from gossamer.image.limits import at_most
from gossamer.progress import Progress
from gossamer.service.allowed import Allowed
from gossamer.service.answers import Answer, answer
from gossamer.service.engine import Engine
from gossamer.service.fields import OWN, Sent, check_names, known_fields, read_sent, schema, values_of
from gossamer.service.guard import Guard, is_loopback
from gossamer.service.keys import Keys, Rates
from gossamer.service.metrics import CONTENT_TYPE, Metrics
from gossamer.service.refusals import worded
from gossamer.service.waiting import done
from gossamer.service.wish import Wish
from gossamer.service.work import Workshop
from gossamer.settings import Recipe, recipe_from_flat
from gossamer.settings.service import Service

__all__ = ["Desk", "application"]

_MEGA = 1_000_000
_PATHS = ("/v1/cutouts", "/v1/masks", "/v1/check", "/v1/models", "/healthz", "/readyz", "/metrics", "/openapi.json")
_CUT = ("image", "prompt_mask", "scribbles", "background_image")
_EXAMPLES = {
    "plain": {"image": "BASE64", "format": "png"},
    "white": {"image": "BASE64", "format": "jpeg", "background": "#ffffff", "canvas_margin": "5%"},
    "prompted": {"image": "BASE64", "box": ["10%,20%,50%,90%"], "matting": "closed_form", "format": "json"},
}
Refusal = Callable[[GossamerError, str], tuple[int, dict[str, str], bytes]]


class Desk:
    """Takes requests, has the engine work on them, and answers.

    Parameters
    ----------
    settings : Service

    Attributes
    ----------
    settings : Service
    engine : Engine
    shop : Workshop
    rates : Rates
    metrics : Metrics
    """

    def __init__(self, settings: Service) -> None:
        self.settings = settings
        self.engine = Engine(settings.queue, settings.max_seconds)
        self.shop = Workshop(Allowed(settings.models), settings.max_megapixels * _MEGA)
        self.rates = Rates(settings.rate)
        self.metrics = Metrics(lambda: self.engine.waiting)

    async def have_done(self, request: Request, work: Callable[[Progress], Any]) -> Any:
        """Put work into the queue and wait for its result; raises what it raises."""
        self.rates.take(request.state.owner)
        try:
            return await done(self.engine.submit(request.state.owner, work), request)
        except Cancelled:
            self.metrics.left()
            raise

    async def cutouts(self, request: Request) -> Response:
        """Cut the subject out of a picture."""
        return await self._cut(request, mask_only=False)

    async def masks(self, request: Request) -> Response:
        """Return the alpha alone, as a grey picture."""
        return await self._cut(request, mask_only=True)

    async def _cut(self, request: Request, mask_only: bool) -> Response:
        sent = await read_sent(request, _CUT)
        if mask_only and str(sent.one("format", "png")).lower() == "zip":
            raise InputError("A mask is one picture.", "Ask for png, webp, jpeg or json.")
        wish = await run_in_threadpool(self._wish, sent, request.headers.get("accept", ""), mask_only)

        def work(steps: Progress) -> Answer:
            return answer(self.shop.cut(wish, steps), wish.format, mask_only=mask_only)

        made: Answer = await self.have_done(request, work)
        self.metrics.worked(made.model, made.seconds)
        return picture_response(made)

    def _wish(self, sent: Sent, accept: str, mask_only: bool) -> Wish:
        with at_most(self.shop.pixels):
            wish = Wish.of(sent, model=self.settings.model, accept=accept, mask_only=mask_only)
        self.shop.allowed.decided(wish.choice)  # a model that is not served is told before the queue
        return wish

    async def check(self, request: Request) -> Response:
        """Tell whether a cut-out is good, without the truth."""
        known = known_fields(lambda parameter: parameter.stage == "checks")
        sent = await read_sent(request, ("image", "photo", "mask"))
        check_names(sent, known, ("recipe",), ("image", "photo", "mask"))
        given = sent.one("recipe")
        if isinstance(given, str):
            try:
                given = json.loads(given)
            except (ValueError, RecursionError):
                raise InputError("The recipe is not valid JSON.", 'Give e.g. {"checks": {}}.') from None
        recipe = recipe_from_flat(values_of(sent, Recipe, known), None if given is None else Recipe.of(given))
        cutout = sent.picture()

        def work(steps: Progress) -> dict[str, Any]:
            from gossamer.quality import check

            seen = self.shop.read(cutout, steps)
            photo = self.shop.read(sent.files["photo"], steps) if "photo" in sent.files else None
            mask = self.shop.read(sent.files["mask"], steps) if "mask" in sent.files else None
            return check(seen, photo, mask, recipe, progress=steps).as_dict()

        return json_response(await self.have_done(request, work))

    async def models(self, request: Request) -> Response:
        """List the models that requests may name."""
        return json_response(await run_in_threadpool(self.shop.allowed.told))

    async def health(self, request: Request) -> Response:
        """Tell that the process lives."""
        return json_response({"status": "ok", "gossamer": gossamer.__version__})

    async def ready(self, request: Request) -> Response:
        """Tell whether requests are taken and a model is here to serve them."""
        has_model = bool(await run_in_threadpool(self.shop.allowed.ids))
        good = self.engine.is_open and has_model
        told = {"status": "ready" if good else "not ready", "waiting": self.engine.waiting, "model": has_model}
        return json_response(told, 200 if good else 503)

    async def numbers(self, request: Request) -> Response:
        """Return what Prometheus reads."""
        return Response(self.metrics.text(), media_type=CONTENT_TYPE)


def picture_response(made: Answer) -> Response:
    """Return an answer with what it says of itself in the headers."""
    headers = {"X-Width": str(made.width), "X-Height": str(made.height), "X-Model": made.model or "none"}
    if made.warnings:
        headers["X-Warnings"] = json.dumps(made.warnings)
    return Response(made.data, media_type=made.media_type, headers=headers)


def json_response(data: Any, status: int = 200) -> Response:
    """Return data as JSON."""
    return Response(json.dumps(data), status_code=status, media_type="application/json")


def refused(error: GossamerError, id: str) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body for what the service's own addresses refuse."""
    message, remedy = worded(error)
    told = {"error": {"message": message, "remedy": remedy, "status": error.http_status, "request": id}}
    return error.http_status, headers_of(error), json.dumps(told).encode()


def headers_of(error: GossamerError) -> dict[str, str]:
    """Return the headers that go with an error."""
    headers = {"content-type": "application/json"}
    seconds = getattr(error, "seconds", None)
    if seconds is not None:
        headers["retry-after"] = str(seconds)
    if error.http_status == 401:
        headers["www-authenticate"] = "Bearer"
    return headers


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
    elsewhere: dict[str, Refusal] = {}

    def refusal(path: str, error: GossamerError, id: str) -> tuple[int, dict[str, str], bytes]:
        return elsewhere.get(path, refused)(error, id)

    def on_error(request: Request, error: Exception) -> Response:
        known = error if isinstance(error, GossamerError) else _unexpected(error, request.state.id)
        desk.metrics.failed(type(error).__name__)
        status, headers, body = refusal(request.url.path, known, request.state.id)
        return Response(body, status_code=status, headers=headers)

    def on_http(request: Request, error: Any) -> Response:
        told = GossamerError(f"{request.method} {request.url.path[:64]}: {error.detail}.", "See /openapi.json.")
        told.http_status = error.status_code
        status, headers, body = refusal(request.url.path, told, request.state.id)
        return Response(body, status_code=status, headers={**(error.headers or {}), **headers})

    from starlette.exceptions import HTTPException

    api.add_exception_handler(HTTPException, on_http)
    api.add_exception_handler(GossamerError, on_error)
    guarded = Unexpected(api, on_error)
    return Guard(guarded, keys, settings.max_mb * _MEGA, desk.metrics, refusal, (*_PATHS, *elsewhere))


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


def _unexpected(error: Exception, id: str) -> GossamerError:
    if isinstance(error, MemoryError) or any(word in str(error).lower() for word in ("out of memory", "bad alloc")):
        short = GossamerError("There is not enough memory for this picture.", "Send a smaller one.")
        short.http_status = 507
        return short
    logging.getLogger("gossamer.service").error("request %s failed", id, exc_info=error)
    return GossamerError("The service has failed.", f"Tell whoever keeps it the number of this request: {id}.")


def _add_routes(api: Any, desk: Desk) -> None:
    known = known_fields()
    cut = schema(known, _CUT, OWN, _EXAMPLES, places=True)
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
        ("/v1/check", desk.check, "POST", checked, {"application/json": {}}),
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
