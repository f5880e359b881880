"""The fields of requests, generated from the settings, and requests read into them."""

from __future__ import annotations

import base64
import binascii
import json
import re
import sys
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gossamer.errors import InputError
from gossamer.image.limits import kind_of
from gossamer.service.refusals import Malformed
from gossamer.settings import Finding, ModelChoice, Parameter, Recipe, parameters
from gossamer.settings.base import Settings
from gossamer.spelling import did_you_mean

if TYPE_CHECKING:
    from fastapi import Request

__all__ = [
    "FILES",
    "OWN",
    "PLACES",
    "Sent",
    "check_names",
    "decoded",
    "known_fields",
    "read_sent",
    "schema",
    "truth",
    "values_of",
]

_KINDS: tuple[type[Settings], ...] = (Recipe, ModelChoice, Finding)
_NEVER = ("folders", "accept_licence", "architecture")  # what whoever keeps the machine decides
PLACES = ("text", "box", "point", "not_point")
"""The fields of a prompt that may come several times."""
FILES = ("image", "mask", "photo", "scribbles", "prompt_mask", "background_image")
"""The fields that are pictures."""
OWN = {
    "format": "What comes back: png, webp, jpeg (with a background), zip (color.png and alpha.png) or json (the "
    "picture as base64, with a report).",
    "preset": "What a shop asks for; recipe and fields win over it.",
    "recipe": "A recipe as JSON, one object a stage; fields win over it.",
    "prompt": "A prompt as JSON; the fields text, box, point and not_point add to it.",
    "shadow_layer": "true: the photograph's own shadow is a layer of its own, black with its alpha, to lie beneath the "
    "cut-out, which is without it: shadow.png in a zip, shadow in json (null where the background is not plain: "
    "nothing tells a shadow from it then). Alone it is had at /v1/shadows.",
    "keep_mask": "true: what the model finds is kept in memory for ten minutes, for the same key and picture, so that "
    "other settings of what follows can be tried at once.",
}
_YES, _NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off")
_MOST_FIELDS, _MOST_FILES = 300, 8
_TYPES = {"bool": "boolean", "int": "integer", "float": "number", "choice": "string", "text": "string"}


@dataclass
class Sent:
    """What a request holds.

    Attributes
    ----------
    fields : dict of str to list
        Of each field all its values: texts, or what JSON makes of them.
    files : dict of str to bytes
        The pictures.
    """

    fields: dict[str, list[Any]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)

    def one(self, name: str, default: Any = None) -> Any:
        """Return the only value of a field, or the default; raises InputError where there are several."""
        values = self.fields.get(name, [])
        if len(values) > 1:
            raise InputError(f"The field {name} is given {len(values)} times.", "Give it once.")
        return values[0] if values else default

    def picture(self, name: str = "image") -> bytes:
        """Return a picture; raises Malformed where it is missing."""
        if name not in self.files:
            raise Malformed(
                f"The request has no {name}.", f"Send it as the file {name} of a form, as the body, or base64 in JSON."
            )
        return self.files[name]


def known_fields(stages: Callable[[Parameter], bool] = lambda one: one.stage != "checks") -> dict[str, Parameter]:
    """Return the settings that requests may give, by their flat names."""
    return {
        parameter.name: parameter
        for kind in _KINDS
        for parameter in parameters(kind)
        if parameter.kind != "texts" and parameter.name not in _NEVER and stages(parameter)
    }


def values_of(sent: Sent, kind: type[Settings], known: Mapping[str, Parameter]) -> dict[str, Any]:
    """Return a kind's settings that a request gives, by their flat names; raises InputError."""
    own = {parameter.name for parameter in parameters(kind)}
    return {name: _typed(sent.one(name), known[name]) for name in sent.fields if name in own and name in known}


def truth(sent: Sent, name: str) -> bool:
    """Return whether a field says yes; not given it says no; raises InputError."""
    value = sent.one(name, False)
    text = ("true" if value else "false") if isinstance(value, bool) else str(value).strip().lower()
    if text not in (*_YES, *_NO, ""):
        raise InputError(f"The field {name} cannot be {text[:40]!r}.", "Give true or false.")
    return text in _YES


def check_names(sent: Sent, known: Mapping[str, Parameter], more: tuple[str, ...], files: tuple[str, ...]) -> None:
    """Refuse a field that there is not: a slip of the pen would else be silently something else."""
    for name in sent.fields:
        if name not in known and name not in more:
            close = did_you_mean(name, [*known, *more])
            hint = close or "See /openapi.json for all of them."
            raise InputError(f"There is no field {name[:64]!r}.", hint.strip())
    for name in sent.files:
        if name not in files:
            raise InputError(f"There is no picture {name[:64]!r} here.", f"Choose from: {', '.join(files)}.")


def _typed(value: Any, parameter: Parameter) -> Any:
    """Return a text as what the setting holds; anything else as it is, for the settings to judge."""
    if not isinstance(value, str):
        whole = parameter.kind == "float" and isinstance(value, int) and not isinstance(value, bool)
        return float(value) if whole else value
    text = value.strip()
    if parameter.kind == "bool" and text.lower() in (*_YES, *_NO):
        return text.lower() in _YES
    try:
        if parameter.kind == "int":
            return int(text)
        if parameter.kind == "float":
            return float(text)
    except ValueError:
        pass  # the setting says what is allowed
    return value


async def read_sent(request: Request, files: tuple[str, ...] = FILES) -> Sent:
    """Read a request: a form, JSON with base64, or a picture as the whole body with its fields in the address.

    Raises
    ------
    Malformed
        It is not what its content type says.
    starlette.requests.ClientDisconnect
        The client has left before all of it had arrived.
    """
    sent = Sent()
    for name, value in request.query_params.multi_items():
        sent.fields.setdefault(name, []).append(value)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded" and kind_of((await request.body())[:64]) is not None:
        # That is what curl --data-binary calls a picture, unless it is told.
        sent.files[files[0]] = await request.body()
    elif kind in ("multipart/form-data", "application/x-www-form-urlencoded"):
        await _read_form(request, sent, files)
    elif kind == "application/json":
        _read_json(await request.body(), sent, files)
    else:
        body = await request.body()
        if body:
            sent.files[files[0]] = body
    return sent


async def _read_form(request: Request, sent: Sent, files: tuple[str, ...]) -> None:
    from starlette.datastructures import UploadFile
    from starlette.formparsers import FormParser, MultiPartException, MultiPartParser

    class InMemory(MultiPartParser):  # type: ignore[misc]
        """Writes no picture to the disk; the guard has bounded what a request may have."""

        spool_max_size = max_file_size = sys.maxsize  # by its newer and its older name

    whole = request.headers["content-type"].lower().startswith("multipart")
    most: dict[str, int] = {"max_fields": _MOST_FIELDS, "max_part_size": 1 << 26}
    try:
        async with aclosing(request.stream()) as stream:
            if whole:
                form = await InMemory(request.headers, stream, max_files=_MOST_FILES, **most).parse()
            else:
                form = await FormParser(request.headers, stream, **most).parse()
    except (MultiPartException, ValueError):
        raise Malformed("The form cannot be read.", "Send multipart/form-data, as curl -F does.") from None
    try:
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                if name in sent.files:
                    raise Malformed(f"The form has the picture {name[:64]!r} twice.", "Send one a request.")
                sent.files[name] = await value.read()
            elif name in files:
                sent.files[name] = decoded(value, name)
            else:
                sent.fields.setdefault(name, []).append(value)
    finally:
        await form.close()


def _read_json(body: bytes, sent: Sent, files: tuple[str, ...]) -> None:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise Malformed("The body is not valid JSON.", f'Send e.g. {{"{files[0]}": "BASE64"}}.') from None
    if not isinstance(data, dict):
        raise Malformed("The body is no JSON object.", f'Send e.g. {{"{files[0]}": "BASE64"}}.')
    for name, value in data.items():
        if name in files:
            sent.files[name] = decoded(value, name)
        elif isinstance(value, list) and name in PLACES:
            numbers = bool(value) and not isinstance(value[0], (str, list))
            sent.fields.setdefault(name, []).extend([value] if numbers else value)
        elif value is not None:
            sent.fields.setdefault(name, []).append(value)


def decoded(value: Any, name: str) -> bytes:
    """Return the bytes of base64, alone or in a data address; raises Malformed."""
    try:
        text = re.sub(r"^data:[\w/+.;=-]*;base64,", "", value.strip())
        return base64.b64decode("".join(text.split()), validate=True)
    except (AttributeError, ValueError, binascii.Error):
        raise Malformed(f"{name} is not base64.", "Send the file's bytes as base64.") from None


# -- what OpenAPI tells ------------------------------------------------------------------------------------


def schema(
    known: Mapping[str, Parameter],
    files: tuple[str, ...],
    own: Mapping[str, str],
    examples: Mapping[str, Any],
    *,
    places: bool,
) -> dict[str, Any]:
    """Return a request's body for OpenAPI: the form, JSON and the bare picture."""
    fields: dict[str, Any] = {name: {"type": "string", "description": text} for name, text in own.items()}
    if places:
        one_or_more = {"type": "array", "items": {"type": "string"}}
        fields |= {
            "text": {**one_or_more, "description": "Phrases that name what to cut out."},
            "box": {**one_or_more, "description": "x0,y0,x1,y1 around it, in pixels or with % signs."},
            "point": {**one_or_more, "description": "x,y on it."},
            "not_point": {**one_or_more, "description": "x,y on what does not belong to it."},
        }
    fields |= {name: _field(parameter) for name, parameter in known.items()}
    binary = {name: {"type": "string", "format": "binary"} for name in files}
    text = {name: {"type": "string", "contentEncoding": "base64"} for name in files}
    return {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {"type": "object", "required": [files[0]], "properties": {**binary, **fields}}
            },
            "application/json": {
                "schema": {"type": "object", "required": [files[0]], "properties": {**text, **fields}},
                "examples": {name: {"value": value} for name, value in examples.items()},
            },
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }


def _field(parameter: Parameter) -> dict[str, Any]:
    told: dict[str, Any] = {
        "type": _TYPES[parameter.kind],
        "title": parameter.title,
        "description": f"{parameter.help} {f'In {parameter.unit}.' if parameter.unit else ''}".strip(),
    }
    if parameter.default not in (None, ""):
        told["default"] = parameter.default
    if parameter.choices:
        told["enum"] = list(parameter.choices)
    if parameter.minimum is not None:
        told["minimum"] = parameter.minimum
    if parameter.maximum is not None:
        told["maximum"] = parameter.maximum
    if parameter.step is not None:
        told["multipleOf"] = parameter.step
    return told
