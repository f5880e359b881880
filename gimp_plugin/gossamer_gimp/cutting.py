# SPDX-License-Identifier: GPL-3.0-or-later
"""Having layers cut out: from what the user wants to what is asked of the worker, and back."""

import os
from dataclasses import dataclass

import arguments
import layers
import outputs
from client import Client, Picture, Settings, WorkerFailure
from language import N_, _

HERE = os.path.dirname(os.path.abspath(__file__))


@dataclass(frozen=True)
class Wish:
    """What a layer is cut out by: the fields of a ``segment`` request, and its plane of bytes."""

    fields: dict
    plane: bytes = b""


def wish(image, layer, config):
    """Return what finds the subject of a layer; raises Refused where there is nothing to go by."""
    subject, model = config.get_property("subject"), config.get_property("model")
    fields = {"model": model, "quality": subject if subject in arguments.QUALITIES else "balanced"}
    fields["options"] = {
        name: value for name, value in arguments.options(config).items() if name.startswith("segmentation")
    }
    if subject == "box":
        exists, box = layers.selected_box(image, layer)
        if box is None:
            raise layers.Refused(
                _(_NOT_HERE) if exists else _("Nothing is selected: draw a rectangle around the subject.")
            )
        return Wish({"source": "box", "box": list(box)})
    if subject == "limit":
        exists, box = layers.selected_box(image, layer)
        if exists and box is None:
            raise layers.Refused(_(_NOT_HERE))
        if exists:
            return Wish({**fields, "limit": True}, layers.selected(image, layer))
    if subject == "existing":
        return Wish({"source": "mask"}, _existing(image, layer))
    return Wish(fields)


_NOT_HERE = N_("The selection does not touch the layer. Select a part of it, or another layer.")


def _existing(image, layer):
    """Return what says already what belongs to the subject: the layer's mask, the selection, or its alpha."""
    if layer.get_mask() is not None:
        return layers.plane(layer.get_mask(), "Y u8")
    plane = layers.selected(image, layer)
    if plane is not None:
        return plane
    if layer.has_alpha() and (alpha := layers.plane(layer, "A u8")).count(255) < len(alpha):
        return alpha
    raise layers.Refused(_("There is no edge to refine: select the subject roughly, or give the layer a mask."))


def picture(layer):
    """Return a layer as it is sent to the worker, with its own alpha where it has one."""
    dtype, depth = layers.depth_of(layer.get_image())
    alpha = layer.has_alpha()
    data = layers.pixels(layer, "R'G'B'A" if alpha else "R'G'B'", depth)
    return Picture(layer.get_width(), layer.get_height(), 4 if alpha else 3, dtype, data)


def connect(status):
    """Return a line to the worker, which is started where none answers."""
    return Client(Settings.read(HERE), status=status)


def find(client, number, what, agree, progress):
    """Have the subject found; a model that is missing is fetched where `agree` says so.

    Parameters
    ----------
    client : Client
    number : int
        Of the opened picture.
    what : Wish
    agree : callable
        ``agree(needs)`` returns None where the user does not want it, else whether they accept its licence.
    progress : callable
        ``progress(fraction, text)``.
    """
    try:
        return client.segment(number, plane=what.plane, progress=progress, **what.fields)
    except WorkerFailure as failure:
        if failure.needs is None:
            raise
        agreed = agree(failure.needs)
        if agreed is None:
            raise
        client.fetch(failure.needs["id"], accept_licence=agreed, progress=progress)
    return client.segment(number, plane=what.plane, progress=progress, **what.fields)


def source(layer):
    """Return the layer whose pixels count: of a result of ours, that which it was made of."""
    return layers.source_of(layer) or layer


def cut(client, layer, config, agree, progress, number=None):
    """Cut one layer out.

    Parameters
    ----------
    client : Client
    layer : Gimp.Layer
        What is selected: a layer, or a result of ours.
    config : Gimp.ProcedureConfig
    agree, progress : callable
        As for :func:`find`.
    number : int, optional
        The layer's picture where the worker has it already.

    Returns
    -------
    client.Result
    """
    image = layer.get_image()
    what = wish(image, layer, config)
    if number is None:
        number = client.open(picture(source(layer)), "keep")
    try:
        found = find(client, number, what, agree, lambda fraction, text: progress(0.7 * fraction, text))
        result = client.refine(
            number,
            arguments.options(config),
            foreground=config.get_property("output") in outputs.COLOURED,
            progress=lambda fraction, text: progress(0.7 + 0.3 * fraction, text),
        )
    finally:
        if not client.is_closed:
            client.close(number)
    told = [one for one in found["warnings"] if one not in result.report["warnings"]]
    result.report["warnings"] = told + result.report["warnings"]
    return result
