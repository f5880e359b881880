"""The desk: takes requests, has the engine work on them, and answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from fastapi import Request, Response
from starlette.concurrency import run_in_threadpool

import gossamer
from gossamer.errors import Cancelled, GossamerError, InputError
from gossamer.image.limits import at_most
from gossamer.progress import Progress
from gossamer.service.allowed import Allowed
from gossamer.service.answers import Answer, answer
from gossamer.service.engine import Engine
from gossamer.service.fields import Sent, check_names, known_fields, read_sent, values_of
from gossamer.service.keys import Rates
from gossamer.service.metrics import CONTENT_TYPE, Metrics
from gossamer.service.refusals import worded
from gossamer.service.waiting import done
from gossamer.service.wish import Wish
from gossamer.service.work import Workshop
from gossamer.settings import Recipe, recipe_from_flat
from gossamer.settings.service import Service

__all__ = ["CUT_FILES", "Desk", "headers_of", "json_response", "picture_response", "refused"]

CUT_FILES = ("image", "prompt_mask", "scribbles", "background_image")
"""The pictures that a request for a cut-out may hold, its own first."""


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
        self.shop = Workshop(Allowed(settings.models), settings.max_megapixels * 1_000_000)
        self.rates = Rates(settings.rate)
        self.metrics = Metrics(lambda: self.engine.waiting)

    async def have_done(self, request: Request, work: Callable[[Progress], Any], *pictures: bytes) -> Any:
        """Put work on some pictures into the queue and wait for its result; raises what it raises."""
        request.state.rate = self.rates.take(request.state.owner)
        await run_in_threadpool(self.shop.glance, *pictures)
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
        sent = await read_sent(request, CUT_FILES)
        if mask_only and str(sent.one("format", "png")).lower() == "zip":
            raise InputError("A mask is one picture.", "Ask for png, webp, jpeg or json.")
        wish = await run_in_threadpool(self._wish, sent, request.headers.get("accept", ""), mask_only)

        def work(steps: Progress) -> Answer:
            return answer(self.shop.cut(wish, steps), wish.format, mask_only=mask_only)

        made: Answer = await self.have_done(request, work, wish.picture)
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

        return json_response(await self.have_done(request, work, *sent.files.values()))

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
