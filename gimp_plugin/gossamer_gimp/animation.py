# SPDX-License-Identifier: GPL-3.0-or-later
"""An image's layers as the frames of an animation: cut out one after the other, held still, a new image.

- As in GIMP's own animations the lowest layer is the first frame, and a layer lies upon those below unless its name
  says "(replace)". What is seen at each time is cut out, so that every frame of the result replaces the one before.
- The image itself stays as it is. Its frames' times, which their names say, are those of the new one.
"""

import re

import arguments
import cutting
import layers
import outputs
from gi.repository import Gimp
from language import N_, _

NAME = "plug-in-gossamer-cut-out-animation"
TITLE = N_("Remove Background from Animation")
SHORT = N_("Cut the subject out of all frames of an animation")
LONG = N_(
    "Takes the image's layers for frames, the lowest first, finds the subject in each, holds its edge still from frame "
    "to frame, and makes a new image of them."
)

_MODE = re.compile(r"\s*\((?:combine|replace)\)", re.IGNORECASE)
_REPLACES = re.compile(r"\(replace\)", re.IGNORECASE)
_DEPTHS = {"u8": 1, "u16": 2}


def cut(client, image, config, agree, progress):
    """Cut the subject out of all frames; return the new image and what is to be said.

    Parameters
    ----------
    client : client.Client
    image : Gimp.Image
    config : Gimp.ProcedureConfig
    agree, progress : callable
        As for :func:`cutting.with_models`.

    Raises
    ------
    layers.Refused
        The image has one layer.
    WorkerFailure
        It went wrong; the text says why and what to do.
    """
    found = list(reversed(image.get_layers()))
    if len(found) < 2:
        raise layers.Refused(_("An animation has a layer for each frame, and this image has one."))
    depth = layers.depth_of(image)[1]
    depth = depth if depth in _DEPTHS else "u16"
    width, height = image.get_width(), image.get_height()
    _begin(client, width, height, depth, config, agree, lambda fraction, text: progress(0.1 * fraction, text))
    names = [_MODE.sub("", layer.get_name()).rstrip() + " (replace)" for layer in found]
    size, made, notes = width * height * 4 * _DEPTHS[depth], [], []
    for number, data in enumerate([*_frames(image, depth), b""]):
        ready, notes = client.frame(data, size, progress=_share(progress, number, len(found)))
        made += ready
    # Only now: what is given up on the way leaves no image behind.
    new = outputs.image_like(image, Gimp.ImageBaseType.RGB, width, height)
    for name, pixels in zip(names, made, strict=True):
        _add(new, name, depth, pixels)
    outputs.show(new)
    return new, notes


def _begin(client, width, height, depth, config, agree, progress):
    """Begin the clip; models that are missing are fetched where `agree` says so."""
    wish = {
        "dtype": depth,
        "model": config.get_property("model"),
        "quality": config.get_property("subject"),
        "options": arguments.options(config, arguments.ANIMATED),
    }

    def work():
        return client.clip(width, height, progress=progress, **wish)

    return cutting.with_models(client, work, agree, progress)


def _frames(image, depth):
    """Return what is seen of each frame, as bytes."""
    shown = image.duplicate()
    try:
        if shown.get_base_type() == Gimp.ImageBaseType.INDEXED:
            shown.convert_rgb()
        found = list(reversed(shown.get_layers()))
        for layer in found:
            layer.set_visible(False)
        return [_seen(shown, found[: number + 1], depth) for number in range(len(found))]
    finally:
        shown.delete()


def _seen(shown, upon, depth):
    """Return what is seen when the last of some layers has come upon the others, as bytes."""
    layer = upon[-1]
    if _REPLACES.search(layer.get_name()):
        for below in upon[:-1]:
            below.set_visible(False)
    layer.set_visible(True)
    seen = Gimp.Layer.new_from_visible(shown, shown, "seen")
    shown.insert_layer(seen, None, 0)
    data = layers.pixels(seen, "R'G'B'A", depth)
    shown.remove_layer(seen)
    return data


def _add(new, name, depth, pixels):
    """Add a frame upon those that are there."""
    kind, mode = Gimp.ImageType.RGBA_IMAGE, Gimp.LayerMode.NORMAL
    layer = Gimp.Layer.new(new, name, new.get_width(), new.get_height(), kind, 100, mode)
    new.insert_layer(layer, None, 0)
    layers.put(layer, "R'G'B'A", depth, pixels)


def _share(progress, number, count):
    """Return what shows the progress of one frame of several."""

    def show(fraction, text):
        text = _("{work} ({number} of {count})").format(
            work=cutting.said(text), number=min(number + 1, count), count=count
        )
        progress(0.1 + 0.9 * min(number + fraction, count) / count, text)

    return show
