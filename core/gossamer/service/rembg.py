"""The address and words of rembg's server (``rembg s``), so that its clients change nothing but an address.

What its switches ask for is mapped to ours; source: its README and its server's own documentation.
"""

from __future__ import annotations

import json
from typing import Any

from fastapi import Request, Response

from gossamer.colours import read_colour
from gossamer.errors import InputError
from gossamer.service.answers import Answer
from gossamer.service.desk import Desk, picture_response
from gossamer.service.fields import Sent, truth
from gossamer.service.refusals import Forbidden
from gossamer.service.tasks import Cut
from gossamer.service.wish import Wish, check_recipe
from gossamer.settings import Finding, ModelChoice, Recipe, parameters

__all__ = ["ADDRESS", "Rembg"]

ADDRESS = "/api/remove"
_MODELS = {"u2net_human_seg": "u2net-human-seg", "bria-rmbg": "rmbg-1.4"}
_BAND = 10  # rembg's own erosion where none is given
_ANY = 1_000_000  # pixels: rembg knows no limit
_WIDEST = next(int(each.maximum or _BAND) for each in parameters(Recipe) if each.name == "matting_band")
_SMOOTH = 5.0  # pixels: rembg opens the mask with a disc and blurs it about so much


class Rembg:
    """Answers as rembg's server does.

    ``a`` is closed-form matting, and ``ae`` half the width of its band; ``af`` and ``ab`` are taken and play no part,
    because our bands are found around the mask's edge and not by thresholds. Without ``a`` the matting is our own.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def address(self, request: Request) -> Response:
        """Cut out the picture at an address, where the service fetches such."""
        sent = await self._desk.read(request, ("file",))
        address = str(sent.one("url", "")).strip()
        if self._desk.addresses is None:
            raise Forbidden("Addresses of pictures are not fetched here.", "POST the picture as the file of a form.")
        if not address:
            raise InputError("The request has no url.", "Give the address of a picture.")
        sent.files["file"] = await self._desk.fetch(request, address)
        return await self._cut(request, sent)

    async def cut(self, request: Request) -> Response:
        """Cut out a picture."""
        return await self._cut(request, await self._desk.read(request, ("file",)))

    async def _cut(self, request: Request, sent: Sent) -> Response:
        wish = self._wish(sent)
        made: Answer = await self._desk.have_done(request, Cut(wish), wish.picture)
        self._desk.metrics.worked(made.model, made.seconds)
        return picture_response(made)

    def _wish(self, sent: Sent) -> Wish:
        stages: dict[str, dict[str, Any]] = {}
        for name in ("af", "ab"):
            _whole(sent, name, 0, 255)
        band = _whole(sent, "ae", _BAND, _ANY)
        if truth(sent, "a"):
            stages["matting"] = {"method": "closed_form", "band": min(max(1, band), _WIDEST)}
        if truth(sent, "ppm"):
            stages["refinement"] = {"smooth": _SMOOTH}
        colour = str(sent.one("bgc", "")).strip()
        if colour:
            if read_colour(colour) is None:
                raise InputError("The field bgc is no colour.", "Give red, green, blue and alpha: 255,255,255,255.")
            stages["background"] = {"fill": colour}
        recipe = Recipe.of(stages)
        check_recipe(recipe)
        model = str(sent.one("model", "")).strip()
        prompt = _prompt(sent.one("extras"))
        if model == "sam":
            if prompt is None:
                raise InputError("The model sam needs a prompt.", 'Give it in extras: {"sam_prompt": [...]}.')
            model = ""
        choice = ModelChoice.of(model=_MODELS.get(model, model) or self._desk.settings.model)
        return Wish(
            sent.picture("file"),
            recipe,
            choice,
            Finding(),
            prompt,
            "png",
            part="mask" if truth(sent, "om") else "cutout",
        )


def _whole(sent: Sent, name: str, default: int, most: int) -> int:
    value = sent.one(name, default)
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = -1
    if not 0 <= number <= most:
        raise InputError(f"The field {name} is not from 0 to {most}.", "Give a whole number.")
    return number


def _prompt(extras: Any) -> dict[str, Any] | None:
    """Return what rembg's ``sam_prompt`` means: points with labels 1 and 0, and rectangles."""
    if not extras:
        return None
    example = 'Give e.g. {"sam_prompt": [{"type": "point", "data": [120, 80], "label": 1}]}.'
    try:
        told = json.loads(extras) if isinstance(extras, str) else extras
        marks = told.get("sam_prompt", [])
        prompt: dict[str, Any] = {}
        for mark in marks:
            numbers = [float(each) for each in mark["data"]]
            field = "boxes" if mark["type"] == "rectangle" else "points" if mark["label"] else "not_points"
            prompt.setdefault(field, []).append(numbers)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise InputError("extras cannot be read.", example) from None
    return prompt or None
