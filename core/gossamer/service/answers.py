"""Cut-outs as bytes: a picture, a ZIP of colour and alpha, or JSON with the report."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from dataclasses import dataclass
from typing import Any

import numpy as np

from gossamer.cutout import Cutout
from gossamer.errors import InputError
from gossamer.image import encode_image
from gossamer.service.refusals import without_paths
from gossamer.service.wish import Format, Part

__all__ = ["MEDIA_TYPES", "Answer", "answer", "report_of"]

MEDIA_TYPES = {
    "png": "image/png",
    "webp": "image/webp",
    "jpeg": "image/jpeg",
    "zip": "application/zip",
    "json": "application/json",
}


@dataclass(frozen=True)
class Answer:
    """What goes back.

    Attributes
    ----------
    data : bytes
    media_type : str
    width, height : int
        Of the picture.
    seconds : dict of str to float
        Of each stage.
    model : str
    warnings : tuple of str
    """

    data: bytes
    media_type: str
    width: int
    height: int
    seconds: dict[str, float]
    model: str
    warnings: tuple[str, ...] = ()


def report_of(cutout: Cutout) -> dict[str, Any]:
    """Return what a client may know of how a cut-out came about."""
    report = cutout.report.as_dict()
    report["warnings"] = [without_paths(warning) for warning in report["warnings"]]
    height, width = cutout.alpha.shape
    return {"width": width, "height": height, **report}


def answer(
    cutout: Cutout,
    format: Format,
    *,
    part: Part = "cutout",
    shadow_layer: bool = False,
    colour: str = "color.png",
) -> Answer:
    """Encode a cut-out as it was asked for.

    Parameters
    ----------
    cutout : Cutout
    format : {"png", "webp", "jpeg", "zip", "json"}
        JSON holds a PNG.
    part : {"cutout", "mask", "shadow"}
        What of it: all, the alpha as a grey picture, or the photograph's shadow as a layer.
    shadow_layer : bool
        The photograph's shadow goes into JSON and ZIP as a layer, and the cut-out is without it.
    colour : {"color.png", "color.jpg"}
        How colours go into the ZIP.

    Raises
    ------
    GossamerError
        The format cannot hold the picture, or there is no shadow to give.
    """
    report = report_of(cutout)
    if shadow_layer:
        cutout = cutout.apart()
    layer = cutout.encode_shadow("png") if shadow_layer and cutout.shadow is not None else None
    if format == "zip":
        data = _zipped(cutout, colour, layer)
    elif format == "json":
        told: dict[str, Any] = {"image": _base64(_encoded(cutout, "png", part)), "media_type": MEDIA_TYPES["png"]}
        if shadow_layer:
            told["shadow"] = None if layer is None else _base64(layer)
        data = json.dumps({**told, "report": report}).encode()
    else:
        data = _encoded(cutout, format, part)
    return Answer(
        data=data,
        media_type=MEDIA_TYPES[format],
        width=report["width"],
        height=report["height"],
        seconds=dict(cutout.report.seconds),
        model=cutout.report.model,
        warnings=tuple(report["warnings"]),
    )


def _encoded(cutout: Cutout, format: str, part: Part) -> bytes:
    if part != "shadow":
        return cutout.encode(format, mask_only=part == "mask")
    if cutout.shadow is None:
        raise InputError(
            "The background is not plain, and nothing tells the photograph's shadow from it.",
            "Ask for the cut-out alone, or for a made shadow.",
        )
    return cutout.encode_shadow(format)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _zipped(cutout: Cutout, colour: str, layer: bytes | None) -> bytes:
    own = cutout.recipe.output.quality
    rgb = cutout.pixels if cutout.composite is None else cutout.composite
    alpha = cutout.alpha if cutout.composite is None else cutout.composite_alpha
    told = {"icc_profile": cutout.icc_profile, "dpi": cutout.dpi, "bit_depth": cutout.bit_depth}
    format = "png" if colour.endswith(".png") else "jpeg"
    if format == "jpeg" and cutout.composite is not None and alpha is None:
        files = {colour: cutout.encode(format)}  # with all that the recipe wants of a file
    else:
        files = {colour: encode_image(rgb, None, format, quality=own, **told)}  # type: ignore[arg-type]
    # Always both, which is what their readers count on: over a background nothing is transparent.
    whole = np.ones(cutout.composite.shape[:2], np.float32) if alpha is None and cutout.composite is not None else alpha
    files["alpha.png"] = encode_image(None, whole, "png", bit_depth=cutout.bit_depth)
    if layer is not None:
        files["shadow.png"] = layer
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as archive:  # pictures are compressed already
        for name, data in files.items():
            archive.writestr(name, data)
    return made.getvalue()
