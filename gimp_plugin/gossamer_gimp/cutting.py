# SPDX-License-Identifier: GPL-3.0-or-later
"""Having layers cut out: from what the user wants to what is asked of the worker, and back."""

import os
import re
from dataclasses import dataclass, replace

import arguments
import layers
import outputs
from client import Client, Picture, Settings, WorkerFailure
from language import N_, _

SAID = (
    N_("Loading the model"),
    N_("Reading the picture"),
    N_("Refining the mask"),
    N_("Refining the edge"),
    N_("Matting"),
    N_("Closed-form matting"),
    N_("Keying"),
    N_("Estimating foreground colours"),
    N_("Waiting for another picture"),
    N_("Almost nothing was found to be foreground: is there a subject in the picture?"),
    N_("Almost everything was found to be foreground: is there a background in the picture?"),
    N_("Nothing was found where the prompt points."),
    N_("The photograph's shadow was not kept: its background is not plain, and nothing tells them apart."),
    N_("No shadow was found beside the subject."),
    N_("No model that reads text is installed."),
    N_("Nothing is marked as the subject."),
    N_("Paint over a part of it in white."),
    N_("The stroke could not be solved: the mask has no sure subject and background."),
    N_("Choose another subject first."),
    N_("There is not enough memory for this picture."),
    N_("Close programs, or scale it down."),
    N_(
        "Check the connection to the internet, or choose a model that is installed in the dialog of Filters > "
        "Gossamer > Remove Background."
    ),
    N_("Free some space on the disk, and try again."),
    N_("Choose another model or method in the dialog of Filters > Gossamer > Remove Background."),
    N_("Choose other settings in the dialog of Filters > Gossamer > Remove Background, or scale the picture down."),
)
"""Sentences of the worker, which speaks English: of its work, its warnings, and what goes wrong with what helps."""

_FETCHING = re.compile(r"Fetching (\S+) ([\d.]+) of (.+)")
_SENTENCES = re.compile(r"(?<=[.?!]) +")
_CHECKING = re.compile(r"Checking (\S+)")

CHANGED = N_("The layer was changed or removed in the meantime. Run it again.")

HERE = os.path.dirname(os.path.abspath(__file__))


@dataclass(frozen=True)
class Ready:
    """What the dialog leaves for the work: of the layer that it showed.

    Attributes
    ----------
    client : client.Client or None
        The line to the worker.
    number : int or None
        The layer's picture there; None: it has to be opened.
    wish : Wish or None
        What finds the subject.
    strokes : tuple
        What the refine brush painted: regions and their planes of bytes.
    sent : int or None
        How many of them the worker knows; None where it knows others.
    """

    client: object = None
    number: int | None = None
    wish: object = None
    strokes: tuple = ()
    sent: int | None = 0


@dataclass(frozen=True)
class Wish:
    """What a layer is cut out by: the fields of a ``segment`` request, and its plane of bytes."""

    fields: dict
    plane: bytes = b""


def wish(image, layer, config, marked=None):
    """Return what finds the subject of a layer; raises Refused where there is nothing to go by.

    Parameters
    ----------
    image : Gimp.Image
    layer : Gimp.Layer
    config : Gimp.ProcedureConfig
    marked : bytes, optional
        What was painted for the subject "scribbles", instead of the argument "marks".
    """
    if not layer.is_valid():
        raise layers.Refused(_(CHANGED))
    subject, model = config.get_property("subject"), config.get_property("model")
    fields = {"model": model, "quality": subject if subject in arguments.QUALITIES else "balanced"}
    stage = "matting" if subject == "trimap" else "segmentation"
    fields["options"] = {name: value for name, value in arguments.options(config).items() if name.startswith(stage)}
    if subject in ("scribbles", "trimap"):
        return _marked(image, layer, config, subject, marked, fields["options"])
    if subject == "text":
        text = config.get_property("text").strip()
        if not text:
            raise layers.Refused(_("Say in a few words what is to be cut out."))
        return Wish({"source": "text", "text": text})
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


def _marked(image, layer, config, subject, marked, settings):
    """Return the wish of marks or a trimap: of what was painted, or of the layer or channel that is meant."""
    drawable = config.get_property("marks")
    if marked is None and drawable is not None and drawable.is_valid():
        marked = layers.marks(drawable, layer, image)
    if subject == "trimap":
        if marked is None:
            raise layers.Refused(_("Choose the layer or channel that is the trimap."))
        return Wish({"source": "trimap", "options": settings}, marked)
    if marked is None or 255 not in marked:
        raise layers.Refused(_("Mark the subject: paint white on what stays, and black on what goes."))
    return Wish({"source": "scribbles"}, marked)


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
    """Return a layer as it is sent to the worker, with its own alpha where it has one; it is read while it is sent."""
    dtype, depth = layers.depth_of(layer.get_image())
    alpha = layer.has_alpha()
    data = layers.strips(layer, "R'G'B'A" if alpha else "R'G'B'", depth)
    return Picture(layer.get_width(), layer.get_height(), 4 if alpha else 3, dtype, data)


def as_shown(ready, shown, layer):
    """Return what the dialog leaves, for a layer that can have been worked on while it was open.

    Where its pixels are others by now, it is sent again.

    Parameters
    ----------
    ready : Ready
    shown : client.Picture
        What the dialog showed, its data as a tuple.
    layer : Gimp.Layer

    Raises
    ------
    layers.Refused
        The layer is gone, or has another size: what was marked and chosen is not of it.
    """
    now = picture(layer) if layer.is_valid() else None
    if now is None or (now.width, now.height) != (shown.width, shown.height):
        if ready.client is not None:
            ready.client.hang_up()
        raise layers.Refused(_(CHANGED))
    same = (now.channels, now.dtype) == (shown.channels, shown.dtype)
    if same and all(one == other for one, other in zip(now.data, shown.data, strict=True)):
        return ready
    if ready.number is not None:
        ready.client.close(ready.number)
    return replace(ready, number=None, sent=0)


def said(text):
    """Return what the worker says, in the user's language: sentence by sentence, where one is among :data:`SAID`."""
    if found := _FETCHING.fullmatch(text):
        name, done, size = found.groups()
        return _("Fetching {name}: {done} of {size}").format(name=name, done=done, size=size)
    if found := _CHECKING.fullmatch(text):
        return _("Checking {name}").format(name=found[1])
    return " ".join(_(sentence) for sentence in _SENTENCES.split(text) if sentence)


def connect(status):
    """Return a line to the worker, which is started where none answers."""
    return Client(Settings.read(HERE), status=status)


def find(client, number, what, agree, progress):
    """Have the subject found; models that are missing are fetched where `agree` says so.

    Parameters
    ----------
    client : Client
    number : int
        Of the opened picture.
    what : Wish
    agree, progress : callable
        As for :func:`with_models`.
    """

    def work():
        return client.segment(number, plane=what.plane, progress=progress, **what.fields)

    return with_models(client, work, agree, progress)


def with_models(client, work, agree, progress):
    """Return what ``work()`` returns; models that it says are missing are fetched first, each once.

    Parameters
    ----------
    client : Client
    work : callable
        Asks the worker for something.
    agree : callable
        ``agree(needs)`` returns None where the user does not want it, else whether they accept its licence.
    progress : callable
        ``progress(fraction, text)``.
    """
    fetched = set()
    while True:
        try:
            return work()
        except WorkerFailure as failure:
            needs = failure.needs
            if needs is None or needs["id"] in fetched:
                raise
            agreed = agree(needs)
            if agreed is None:
                raise
        client.fetch(needs["id"], accept_licence=agreed, progress=progress)
        fetched.add(needs["id"])


def source(layer):
    """Return the layer whose pixels count: of a result of ours, that which it was made of."""
    return layers.source_of(layer) or layer


def cut(client, layer, config, agree, progress, ready=None):
    """Cut one layer out.

    Parameters
    ----------
    client : Client
    layer : Gimp.Layer
        What is selected: a layer, or a result of ours.
    config : Gimp.ProcedureConfig
    agree, progress : callable
        As for :func:`find`.
    ready : Ready, optional
        What the dialog left, where it showed this layer.

    Returns
    -------
    client.Result or client.Finished
    """
    image, ready = layer.get_image(), ready or Ready()
    what = ready.wish or wish(image, layer, config)
    number, strokes = ready.number, ready.strokes[ready.sent or 0 :]
    if number is None:
        number, strokes = client.open(picture(source(layer)), "keep"), ready.strokes or _strokes(image, layer, config)
    output, options = config.get_property("output"), arguments.options(config)

    def later(fraction, text):
        progress(0.7 + 0.3 * fraction, text)

    # So that a matting that cannot be had is refused before the model runs.
    later_on = {name: value for name, value in options.items() if name.startswith("matting")}
    what = Wish({**what.fields, "options": {**what.fields.get("options", {}), **later_on}}, what.plane)
    try:
        found = find(client, number, what, agree, lambda fraction, text: progress(0.7 * fraction, text))
        if ready.sent is None:
            client.brush(number)
        for region, plane in strokes:
            client.brush(number, region, plane, progress=later)
        if output == "finished":
            result = client.finish(number, options, config.get_property("preset"), progress=later)
        else:
            result = client.refine(
                number,
                options,
                foreground=output in outputs.COLOURED,
                background=output == "layers",
                shadow=output in outputs.SHADOWED and config.get_property("foreground-shadow") == "keep",
                rgba=output in outputs.COLOURED,  # as the new layer has them: GIMP takes long to convert
                progress=later,
                taking=outputs.taking(source(layer), output),
            )
    finally:
        if not client.is_closed:
            client.close(number)
    told = [one for one in found["warnings"] if one not in result.report["warnings"]]
    result.report["warnings"] = told + result.report["warnings"]
    return result


def _strokes(image, layer, config):
    """Return what the argument "strokes" says, as the refine brush would have painted it."""
    drawable = config.get_property("strokes")
    if drawable is None or not drawable.is_valid():
        return ()
    region = (0, 0, layer.get_width(), layer.get_height())
    return ((region, layers.strokes(drawable, layer, image)),)
