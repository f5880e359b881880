"""What OpenAPI tells of the addresses of others: the fields that remove.bg's API and rembg's server know."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gossamer.service.asked import CHANNELS, FORMATS, LEVELS, SHADOWS, SIZES, TYPES

__all__ = ["rembg_operation", "removebg_operation"]

_TEXT: dict[str, Any] = {"type": "string"}
_YES: dict[str, Any] = {"type": "boolean", "default": False}
_FILE: dict[str, Any] = {"type": "string", "format": "binary"}
_PICTURES = ("image/png", "image/jpeg", "image/webp", "application/zip")


def _one_of(choices: Iterable[str]) -> dict[str, Any]:
    names = list(choices)
    return {"type": "string", "enum": names, "default": names[0]}


_REMOVEBG: dict[str, dict[str, Any]] = {
    "image_file_b64": {**_TEXT, "contentEncoding": "base64", "description": "The picture as base64."},
    "image_url": {**_TEXT, "description": "Its address, where the service fetches such."},
    "size": _one_of(SIZES),
    "type": _one_of(TYPES),
    "type_level": _one_of(LEVELS),
    "format": _one_of(FORMATS),
    "roi": {**_TEXT, "description": "Where the subject is looked for: x1 y1 x2 y2, in px or %."},
    "crop": _YES,
    "crop_margin": {**_TEXT, "description": "1, 2 or 4 values, in px or % of the subject."},
    "scale": {**_TEXT, "description": "From 10% to 100% of the picture, or original."},
    "position": {**_TEXT, "description": "original, center, or one or two values from 0% to 100%."},
    "channels": _one_of(CHANNELS),
    "add_shadow": _YES,
    "shadow_type": _one_of(SHADOWS),
    "shadow_opacity": {"type": "number", "minimum": 0, "maximum": 100},
    "semitransparency": {"type": "boolean", "default": True},
    "bg_color": {**_TEXT, "description": "A name, or 3, 4, 6 or 8 hexadecimal digits."},
    "bg_image_url": {**_TEXT, "description": "The address of a background, where the service fetches such."},
}
_REMBG: dict[str, dict[str, Any]] = {
    "model": {**_TEXT, "description": "Named as there; the service's own without it."},
    "a": {**_YES, "description": "Closed-form matting."},
    "af": {"type": "integer", "minimum": 0, "maximum": 255, "description": "Taken; plays no part."},
    "ab": {"type": "integer", "minimum": 0, "maximum": 255, "description": "Taken; plays no part."},
    "ae": {"type": "integer", "minimum": 0, "default": 10, "description": "Half the width of the matting's band."},
    "om": {**_YES, "description": "The mask alone."},
    "ppm": {**_YES, "description": "Smooth the mask."},
    "bgc": {**_TEXT, "description": "A background: red, green, blue, alpha."},
    "extras": {**_TEXT, "description": 'JSON: {"sam_prompt": [{"type": "point", "data": [120, 80], "label": 1}]}.'},
}
_HEADERS = (
    *("X-Type", "X-Width", "X-Height", "X-Credits-Charged"),
    *(f"X-Foreground-{name}" for name in ("Top", "Left", "Width", "Height")),
    *(f"X-RateLimit-{name}" for name in ("Limit", "Remaining", "Reset")),
)


def removebg_operation() -> dict[str, Any]:
    """Return what OpenAPI tells of ``POST /v1.0/removebg``: its body, and its answers by status."""
    files = {"image_file": _FILE, "bg_image_file": _FILE}
    given = {"type": "object", "properties": _REMOVEBG}
    error = {"errors": [{"title": "API Key invalid", "code": "auth_failed", "detail": "…"}]}
    told = {"data": {"result_b64": "BASE64", "foreground_top": 24, "foreground_left": 40}}
    return {
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": {"type": "object", "properties": {**files, **_REMOVEBG}},
                    "example": {"image_file": "FILE", "size": "auto"},
                },
                "application/json": {"schema": given, "example": {"image_file_b64": "BASE64", "size": "auto"}},
                "application/x-www-form-urlencoded": {"schema": given},
            },
        },
        "responses": {
            "200": {
                "description": "Done.",
                "headers": {name: {"schema": _TEXT} for name in _HEADERS},
                "content": {**{kind: {} for kind in _PICTURES}, "application/json": {"example": told}},
            },
            **{
                status: {"description": "Refused.", "content": {"application/json": {"example": error}}}
                for status in ("400", "403", "429")
            },
        },
    }


def rembg_operation(*, by_address: bool) -> dict[str, Any]:
    """Return what OpenAPI tells of ``/api/remove``: of ``GET`` with an address, or of ``POST`` with a picture."""
    answers = {"200": {"description": "Done.", "content": {"image/png": {}}}}
    if not by_address:
        properties = {"file": _FILE, **_REMBG}
        form = {
            "schema": {"type": "object", "required": ["file"], "properties": properties},
            "example": {"file": "FILE", "model": "u2net", "om": False},
        }
        return {"requestBody": {"required": True, "content": {"multipart/form-data": form}}, "responses": answers}
    url = {"name": "url", "in": "query", "required": True, "schema": _TEXT, "example": "https://example.org/photo.jpg"}
    rest = [{"name": name, "in": "query", "schema": schema} for name, schema in _REMBG.items()]
    return {"parameters": [url, *rest], "responses": answers}
