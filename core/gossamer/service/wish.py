"""What a request wishes: recipe, model and prompt, with everything refused that a stranger may not ask for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from gossamer.canvas.photographed import with_shadow_apart
from gossamer.colours import read_colour
from gossamer.compositing import BLUR, TRANSPARENT, is_opaque
from gossamer.errors import InputError
from gossamer.gradients import read_gradient
from gossamer.prompting.coordinates import read_coordinates
from gossamer.prompting.prompt import Prompt
from gossamer.service.fields import OWN, PLACES, Sent, check_names, known_fields, truth, values_of
from gossamer.service.refusals import Forbidden
from gossamer.settings import Finding, ModelChoice, Recipe, recipe_from_flat
from gossamer.settings.finding import PROMPT_MODELS
from gossamer.settings.parameters import nested

__all__ = ["UPLOADED", "Format", "Part", "Wish", "check_recipe", "format_named"]

Format: TypeAlias = Literal["png", "webp", "jpeg", "zip", "json"]
Part: TypeAlias = Literal["cutout", "mask", "shadow"]
"""What of a cut-out comes back."""
UPLOADED = "the picture that came with the request"
"""The background's fill where the request brought a picture: no file of this machine has such a name asked for."""
_TYPES: dict[str, Format] = {
    "image/png": "png",
    "image/webp": "webp",
    "image/jpeg": "jpeg",
    "application/zip": "zip",
    "application/json": "json",
}


@dataclass(frozen=True)
class Wish:
    """What is to be done with a picture.

    Attributes
    ----------
    picture : bytes
    recipe : Recipe
        Without a path in it.
    choice : ModelChoice
        Whose model may be one that is not allowed here: the catalogue of the service tells.
    finding : Finding
    prompt : dict or None
        The fields of a prompt, its planes still encoded: they are read where the picture is.
    format : {"png", "webp", "jpeg", "zip", "json"}
    backdrop : bytes or None
        The picture behind the subject.
    keeper : str
        For whom its mask is kept for a while, because settings of what follows are being tried; "" keeps nothing.
    part : {"cutout", "mask", "shadow"}
        What of it comes back.
    shadow_layer : bool
        The photograph's shadow comes back beside the cut-out, which is without it.
    """

    picture: bytes
    recipe: Recipe
    choice: ModelChoice
    finding: Finding
    prompt: Mapping[str, Any] | None
    format: Format
    backdrop: bytes | None = None
    keeper: str = ""
    part: Part = "cutout"
    shadow_layer: bool = False

    @classmethod
    def of(cls, sent: Sent, *, model: str, accept: str = "", part: Part = "cutout", owner: str = "") -> Wish:
        """Read what a request wishes.

        Parameters
        ----------
        sent : Sent
        model : str
            For a request that names none.
        accept : str
            The header of that name.
        part : {"cutout", "mask", "shadow"}
            Colours and background are asked for of a cut-out alone.
        owner : str
            Who asks.

        Raises
        ------
        GossamerError
            A field is unknown or impossible, or not for strangers.
        """
        known = known_fields()
        check_names(sent, known, (*OWN, *PLACES), ("image", "prompt_mask", "scribbles", "background_image"))
        recipe = _recipe(sent, values_of(sent, Recipe, known))
        backdrop = sent.files.get("background_image")
        if backdrop is not None:
            if "background" in sent.fields:
                raise InputError("There are two backgrounds: a colour and a picture.", "Give one.")
            filled = recipe.background.model_copy(update={"fill": UPLOADED})
            recipe = recipe.model_copy(update={"background": filled})
        else:
            check_recipe(recipe)
        wanted = sent.one("format")
        format = _accepted(accept) if wanted is None else format_named(wanted)
        apart = truth(sent, "shadow_layer")
        if apart and (part != "cutout" or format not in ("zip", "json")):
            raise InputError(
                "The shadow's layer is a picture beside the cut-out.",
                "Ask for zip or json, or for it alone at /v1/shadows.",
            )
        if part != "cutout" and format == "zip":
            raise InputError(f"A {part} is one picture.", "Ask for png, webp or json.")
        if apart or part == "shadow":
            recipe = with_shadow_apart(recipe, format, "the shadow's layer")
        if format == "jpeg" and part != "mask" and not is_opaque(recipe.background.fill):
            raise InputError("JPEG cannot hold a transparent background.", "Ask for png or webp, or give a background.")
        choice = ModelChoice.of(**{"model": model, **values_of(sent, ModelChoice, known)})
        finding = Finding.of(**nested(Finding, values_of(sent, Finding, known), Finding()))
        if any(part.strip() not in PROMPT_MODELS for part in finding.prompt_model.split(",")):
            raise Forbidden(
                "Prompt models are named here by their kind.", f"Choose one of: {', '.join(PROMPT_MODELS)}."
            )
        keeper = owner if truth(sent, "keep_mask") else ""
        return cls(sent.picture(), recipe, choice, finding, _prompt(sent), format, backdrop, keeper, part, apart)


def format_named(name: object) -> Format:
    """Return the format that a field names; raises InputError."""
    given = name.strip().lower() if isinstance(name, str) else ""
    for format in get_args(Format):
        if given == format or (given == "jpg" and format == "jpeg"):
            found: Format = format
            return found
    raise InputError(f"There is no format {str(name)[:64]!r}.", f"Choose one of: {', '.join(get_args(Format))}.")


def _accepted(accept: str) -> Format:
    for part in accept.split(","):
        format = _TYPES.get(part.partition(";")[0].strip().lower())
        if format is not None:
            return format
    return "png"


def check_recipe(recipe: Recipe) -> None:
    """Refuse a recipe with a path of this machine in it: a stranger could read pictures by it.

    Raises
    ------
    Forbidden
        Its background or its matting model is a path, or might be one.
    """
    from gossamer.weights.catalogue import folder_cards

    fill = recipe.background.fill.strip()
    plain = fill in (TRANSPARENT, BLUR) or read_gradient(fill) is not None or read_colour(fill) is not None
    if not plain:
        raise Forbidden(
            "A background cannot be a path over the network.",
            "Give transparent, blur, a colour or a gradient, or send the picture as background_image.",
        )
    model = recipe.matting.model.strip()
    if model not in ("auto", *(card.id for card in folder_cards("vitmatte"))):
        raise Forbidden("A matting model is named here by its id.", "Give auto, or an id of the catalogue.")


def _recipe(sent: Sent, values: dict[str, Any]) -> Recipe:
    base = None
    given = sent.one("recipe")
    if given is not None:
        if isinstance(given, str):
            try:
                given = json.loads(given)
            except (ValueError, RecursionError):
                raise InputError("The recipe is not valid JSON.", 'Give e.g. {"matting": {"band": 20}}.') from None
        base = Recipe.of(given)
    wanted = sent.one("preset")
    if wanted is not None:
        from gossamer.canvas.presets import preset

        if not isinstance(wanted, str) or not wanted.replace("-", "").replace("_", "").isalnum():
            raise Forbidden("A preset is named by its id.", "Give one of those that gossamer presets list shows.")
        base = preset(wanted).recipe(base)
    return recipe_from_flat(values, base)


def _prompt(sent: Sent) -> dict[str, Any] | None:
    """Return the fields of a prompt, or None where there is none; raises InputError."""
    given = sent.one("prompt", {})
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except (ValueError, RecursionError):
            raise InputError("The prompt is not valid JSON.", 'Give e.g. {"text": "the lamp"}.') from None
    if not isinstance(given, dict):
        raise InputError("The prompt is no JSON object.", 'Give e.g. {"text": "the lamp"}.')
    fields = dict(given)
    units: set[str] = set()
    for field, own, count, form in (
        ("box", "boxes", 4, "x0,y0,x1,y1"),
        ("point", "points", 2, "x,y"),
        ("not_point", "not_points", 2, "x,y"),
    ):
        rows = []
        for value in sent.fields.get(field, ()):
            if isinstance(value, str):
                numbers, unit = read_coordinates(value, count, field, form)
                units.add(unit)
                rows.append(list(numbers))
            else:
                units.add(str(fields.get("unit", "px")))
                rows.append(value)
        if rows:
            if own in fields or field in fields:
                raise InputError(f"The prompt gives {own} twice.", "Give them once.")
            fields[own] = rows
    if len(units) > 1:
        raise InputError("Some coordinates are pixels and some are percent.", "Give all with a % sign, or none.")
    if units:
        fields.setdefault("unit", units.pop())
    if "text" in sent.fields:
        fields["text"] = sent.fields["text"]
    if not fields and not ({"prompt_mask", "scribbles"} & set(sent.files)):
        return None
    Prompt.from_json(fields)  # what is wrong with it is told before the work
    planes = {"mask": sent.files.get("prompt_mask"), "scribbles": sent.files.get("scribbles")}
    return {**fields, **{name: data for name, data in planes.items() if data is not None}}
