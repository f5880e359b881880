"""The desk: takes requests, has the engine work on them, and answers."""

from __future__ import annotations

import json
from typing import Any

from fastapi import Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

import gossamer
from gossamer.errors import Cancelled, GossamerError, InputError
from gossamer.image.limits import at_most
from gossamer.networks.runtimes import likely_device
from gossamer.networks.together import Together
from gossamer.parallel.threads import thread_count
from gossamer.service.addresses import Addresses
from gossamer.service.answers import Answer
from gossamer.service.engine import Engine, Job
from gossamer.service.fields import Sent, check_names, known_fields, read_sent, values_of
from gossamer.service.hands import Elsewhere, Here, Task
from gossamer.service.keys import Rates
from gossamer.service.metrics import CONTENT_TYPE, Metrics
from gossamer.service.refusals import foreseen, worded
from gossamer.service.tasks import Check, Cut
from gossamer.service.waiting import LINES, done, lines, while_there
from gossamer.service.wish import Part, Wish
from gossamer.service.work import Workshop
from gossamer.settings import Recipe, recipe_from_flat
from gossamer.settings.service import Service

__all__ = ["CUT_FILES", "Desk", "headers_of", "json_response", "picture_response", "refused"]

_TOGETHER = 25_000_000  # pixels that are worked on at once in one process: about 1.6 GB
_ON_A_CARD = 4  # pictures go through a network at once there
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
    shop : Workshop
    hands : list of Hands
    engine : Engine
    rates : Rates
    metrics : Metrics
    addresses : Addresses or None
        What fetches pictures; None where nothing is fetched.
    """

    def __init__(self, settings: Service) -> None:
        self.settings = settings
        self.shop = Workshop.of(settings)
        count = settings.workers
        self.hands: list[Elsewhere] | list[Here]
        if count > 1:
            self.hands = [Elsewhere(settings, n, count) for n in range(count)]
        else:
            # Two: while one picture is in the network the other one is read, finished or encoded; or one more than go
            # through the network together.
            batch = settings.batch or (1 if likely_device("auto", "auto") == "cpu" else _ON_A_CARD)
            pairs = batch + 1 if batch > 1 else min(thread_count(), 2)
            together = Together(batch) if batch > 1 else None
            self.hands = [Here(self.shop, counts=n == 0, together=together) for n in range(pairs)]
        room = _TOGETHER if count == 1 else None
        self.engine = Engine(settings.queue, settings.max_seconds, self.hands, room)
        self.rates = Rates(settings.rate)
        self.metrics = Metrics(lambda: self.engine.waiting, self.hands)
        most = settings.max_mb * 1_000_000
        self.addresses = Addresses(most, settings.max_fetch_seconds) if settings.urls else None

    def admit(self, request: Request) -> None:
        """Count a request for work; raises Busy where its key has had its share."""
        if not hasattr(request.state, "rate"):
            request.state.rate = self.rates.take(request.state.owner)

    async def read(self, request: Request, files: tuple[str, ...]) -> Sent:
        """Return what a request says; raises Malformed, and Cancelled where the client has left in the midst of it."""
        from starlette.requests import ClientDisconnect

        try:
            return await read_sent(request, files)
        except ClientDisconnect:
            self.metrics.left()
            raise Cancelled() from None

    async def fetch(self, request: Request, address: str) -> bytes:
        """Return the picture at an address; raises Unfetched, and Cancelled once the client has left."""
        assert self.addresses is not None  # noqa: S101 - refused before
        self.admit(request)
        return await while_there(self.addresses.fetch(address), request)

    async def submit(self, request: Request, work: Task, *pictures: bytes) -> Job:
        """Put work on some pictures into the queue; raises what is known to be wrong with it."""
        self.admit(request)
        pixels = await run_in_threadpool(self.shop.glance, *pictures)
        return self.engine.submit(request.state.owner, work, pixels)

    async def have_done(self, request: Request, work: Task, *pictures: bytes) -> Any:
        """Put work on some pictures into the queue and wait for its result; raises what it raises."""
        job = await self.submit(request, work, *pictures)
        try:
            return await done(job, request)
        except Cancelled:
            self.metrics.left()
            raise

    async def cutouts(self, request: Request) -> Response:
        """Cut the subject out of a picture."""
        return await self._cut(request, "cutout")

    async def masks(self, request: Request) -> Response:
        """Return the alpha alone, as a grey picture."""
        return await self._cut(request, "mask")

    async def shadows(self, request: Request) -> Response:
        """Return the photograph's own shadow alone, as a black picture with its alpha."""
        return await self._cut(request, "shadow")

    async def _cut(self, request: Request, part: Part) -> Response:
        sent = await self.read(request, CUT_FILES)
        accept = request.headers.get("accept", "")
        wish = await run_in_threadpool(self._wish, sent, accept, part, request.state.owner)
        pictures = [each for each in (wish.picture, wish.backdrop) if each is not None]
        if LINES in accept:
            job = await self.submit(request, Cut(wish), *pictures)
            told = lines(job, lambda error: self.failure(error, request), self._counted, self.metrics.left)
            return StreamingResponse(told, media_type=LINES, headers={"X-Accel-Buffering": "no"})
        made: Answer = await self.have_done(request, Cut(wish), *pictures)
        return picture_response(self._counted(made))

    def _counted(self, made: Answer) -> Answer:
        self.metrics.worked(made.model, made.seconds)
        return made

    def failure(self, error: Exception, request: Request) -> bytes:
        """Return the body of an error that comes after the answer has begun."""
        self.metrics.failed(type(error).__name__)
        return refused(foreseen(error, request.state.id), request.state.id)[2]

    def _wish(self, sent: Sent, accept: str, part: Part, owner: str) -> Wish:
        with at_most(self.shop.pixels):
            wish = Wish.of(sent, model=self.settings.model, accept=accept, part=part, owner=owner)
        self.shop.allowed.decided(wish.choice)  # a model that is not served is told before the queue
        return wish

    async def check(self, request: Request) -> Response:
        """Tell whether a cut-out is good, without the truth."""
        known = known_fields(lambda parameter: parameter.stage == "checks")
        sent = await self.read(request, ("image", "photo", "mask"))
        check_names(sent, known, ("recipe",), ("image", "photo", "mask"))
        given = sent.one("recipe")
        if isinstance(given, str):
            try:
                given = json.loads(given)
            except (ValueError, RecursionError):
                raise InputError("The recipe is not valid JSON.", 'Give e.g. {"checks": {}}.') from None
        recipe = recipe_from_flat(values_of(sent, Recipe, known), None if given is None else Recipe.of(given))
        sent.picture()  # which is missed now, where it is
        return json_response(await self.have_done(request, Check(sent.files, recipe), *sent.files.values()))

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
