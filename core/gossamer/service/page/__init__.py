"""The page at ``/``: a person drops a picture, sees it cut out over any background, and tries settings.

Style, script and what the settings are called stand in the page itself; it asks nobody but this service for anything.
"""

from __future__ import annotations

import base64
import hashlib
import html
import importlib.resources
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Request, Response

import gossamer
from gossamer.settings import ModelChoice, Parameter, Recipe, parameters
from gossamer.settings.service import Service

__all__ = ["page"]

_SCRIPTS = ("fields.js", "picture.js", "start.js")
_MARK = re.compile(r"\{\{(\w+)\}\}")
_GROUPS = {
    "Model": ("model", "quality", "subject", "segmentation_detail", "segmentation_flips", "segmentation_resolution"),
    "Hair and edges": ("matting", "matting_band", "matting_screen"),
    "Mask": ("refinement",),
    "Colours": ("foreground", "foreground_despill", "foreground_despill_strength", "foreground_shadow"),
    "Canvas": ("canvas",),
    "Shadow": ("shadow",),
}
"""What the page shows: settings by their names, or all of a stage whose main setting has another name."""
_LEFT_OUT = ("refinement_unit", "canvas_dpi", "canvas_head")  # of those stages: lengths are pixels here
_OPEN = ("Model", "Hair and edges")


def page(settings: Service) -> Callable[[Request], Awaitable[Response]]:
    """Return what answers with the page of a service."""
    style, script = _part("page.css"), "\n".join(map(_part, _SCRIPTS))
    # In a script element only this could end it.
    data = json.dumps(_data(settings), ensure_ascii=False).replace("<", "\\u003c")
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; img-src blob: data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    texts = {"style": style, "script": script, "data": data, "version": html.escape(gossamer.__version__)}
    parts = _MARK.split(_part("page.html"))
    body = "".join(texts[text] if number % 2 else text for number, text in enumerate(parts)).encode()
    headers = {"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache"}

    async def answered(request: Request) -> Response:
        """Show the page on which a person tries the service."""
        return Response(body, media_type="text/html; charset=utf-8", headers=headers)

    return answered


def _data(settings: Service) -> dict[str, Any]:
    known = {one.name: one for kind in (ModelChoice, Recipe) for one in parameters(kind)}
    groups = []
    for title, names in _GROUPS.items():
        shown = [known[name] for name in names if name in known and (len(names) > 1 or known[name].stage != name)]
        if not shown:
            shown = [one for one in known.values() if one.stage == names[0] and one.name not in _LEFT_OUT]
        groups.append({"title": title, "open": title in _OPEN, "fields": [_told(one) for one in shown]})
    return {"groups": groups, "keyed": bool(settings.keys), "megabytes": settings.max_mb}


def _told(one: Parameter) -> dict[str, Any]:
    return {
        "name": one.name,
        "title": one.title,
        "help": one.help,
        "kind": one.kind,
        "default": one.default,
        "least": one.minimum,
        "most": one.maximum,
        "step": one.step,
        "choices": one.choices,
        "unit": one.unit,
    }


def _part(name: str) -> str:
    return (importlib.resources.files(__package__ or __name__) / name).read_text("utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
