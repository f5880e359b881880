# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading GIMP's layers: which are meant, what can be done with them, and their pixels.

- A layer is read as a whole, and as its own pixels are: non-destructive filters on it are not seen (GIMP applies them
  after the mask).
- Colours are read and written in the layer's own colour space and depth.
- A result of ours stands for the layer that it was made of: to run again replaces it instead of piling up.
"""

import os

import gi
import planes

gi.require_version("Gimp", "3.0")
gi.require_version("Gegl", "0.4")
gi.require_version("Babl", "0.1")
from gi.repository import Babl, Gegl, Gimp  # noqa: E402
from language import _  # noqa: E402

SOURCE = "gossamer-source"
"""The parasite of a result that names the layer that it was made of."""

KEPT = "gossamer-selection"
"""The parasite of a channel that keeps the user's selection while a preview needs another; it tells its bounds."""

_DEPTHS = {Gimp.Precision.U8_NON_LINEAR: ("u8", "u8"), Gimp.Precision.U16_NON_LINEAR: ("u16", "u16")}
_DEEP = ("float32", "float")


_TILES = 16 << 20  # bytes of tiles that this process keeps: each is read or written once, and fresh memory takes time


class Refused(Exception):
    """The call makes no sense as it is; the text is for people."""


def prepare():
    """Make ready to read and write pixels; once, before anything else of this module."""
    os.environ["GEGL_PATH"] = ""  # the operations are GIMP's own business: here, loading them would be all of the start
    Gegl.config().set_property("tile-cache-size", _TILES)
    Gegl.init(None)


def depth_of(image):
    """Return the depth in which an image's layers are read: its name for the worker, and for GIMP."""
    return _DEPTHS.get(image.get_precision(), _DEEP)


def meant(drawables):
    """Return the layers that are meant by what is selected; the mask of a layer stands for its layer.

    What lies in a selected group is a part of that, and a layer whose result is selected too comes once.
    """
    if not drawables:
        raise Refused(_("Select a layer: none is selected."))
    found = []
    for drawable in drawables:
        layer = Gimp.Layer.from_mask(drawable) if isinstance(drawable, Gimp.LayerMask) else drawable
        if not isinstance(layer, Gimp.Layer):
            raise Refused(_("Select a layer: a channel has no background to remove."))
        if layer.is_floating_sel():
            raise Refused(_("Anchor the floating selection first, or make a layer of it."))
        if layer not in found:
            found.append(layer)
    found = [layer for layer in found if not any(parent in found for parent in parents(layer))]
    made_of = [source_of(layer) for layer in found]
    return [layer for layer, source in zip(found, made_of, strict=True) if source is None or source not in found]


def parents(layer):
    """Return the groups that a layer lies in, the innermost first."""
    found = []
    parent = layer.get_parent()
    while parent is not None:
        found.append(parent)
        parent = parent.get_parent()
    return found


def source_of(layer):
    """Return the layer that a result was made of; None where it is no result, or that layer is gone."""
    mark = layer.get_parasite(SOURCE)
    if mark is None:
        return None
    source = layer.get_image().get_layer_by_tattoo(int(bytes(mark.get_data()).split(b"\0")[0]))
    if source is None or source == layer or source.get_parasite(SOURCE) is not None:
        return None
    same = (source.get_width(), source.get_height(), *source.get_offsets()[1:])
    return source if same == (layer.get_width(), layer.get_height(), *layer.get_offsets()[1:]) else None


def check_can_change(layer, with_itself):
    """Refuse what GIMP would end the plug-in for: changes to what is locked."""
    for item in ([layer] if with_itself else []) + parents(layer):
        if item.get_lock_content():
            raise Refused(
                _('"{layer}" is locked. Unlock its pixels in the Layers dialog and try again.').format(
                    layer=item.get_name()
                )
            )


def check_shows_something(layer):
    """Refuse an empty group and a layer that is transparent all over: there is no subject in them."""
    if layer.is_group() and not layer.get_children():
        why = _('The group "{layer}" is empty. Select a layer with a picture on it.')
        raise Refused(why.format(layer=layer.get_name()))
    # The first strip that shows something ends the search: to make a plane of all alphas takes as long as all else.
    if layer.has_alpha() and all(strip.count(0) == len(strip) for strip in strips(layer, "A", "u8")):
        why = _('"{layer}" is transparent all over. Select a layer with a picture on it.')
        raise Refused(why.format(layer=layer.get_name()))


def whole(drawable):
    """Return the rectangle of all of a drawable."""
    return Gegl.Rectangle.new(0, 0, drawable.get_width(), drawable.get_height())


def pixels(layer, encoding, depth):
    """Return a layer's pixels, row by row, e.g. as "R'G'B'" and "u8"."""
    return b"".join(strips(layer, encoding, depth))


def strips(layer, encoding, depth):
    """Yield the same in pieces, from top to bottom."""
    buffer, form = layer.get_buffer(), _format(layer, encoding, depth)
    for part in _parts(whole(layer)):
        yield buffer.get(part, 1.0, form, Gegl.AbyssPolicy.CLAMP)


def plane(drawable, encoding):
    """Return one plane of a drawable, such as "A u8", or "Y u8" of a mask; None: as GIMP keeps it."""
    return drawable.get_buffer().get(whole(drawable), 1.0, encoding, Gegl.AbyssPolicy.CLAMP)


def selected(image, layer):
    """Return how much of each of a layer's pixels is selected, a byte each; None where nothing is."""
    exists, box = selected_box(image, layer)
    if not exists or box is None:
        return None
    _, left, top = layer.get_offsets()
    rectangle = Gegl.Rectangle.new(left, top, layer.get_width(), layer.get_height())
    meant = kept_selection(image) or image.get_selection()
    return meant.get_buffer().get(rectangle, 1.0, f"{_curve(meant)} u8", Gegl.AbyssPolicy.NONE)


def selection(image):
    """Return how much of each of the image's pixels is selected, a byte each."""
    meant = image.get_selection()
    return plane(meant, f"{_curve(meant)} u8")


def kept_selection(image):
    """Return the channel in which a preview keeps the user's selection, or None."""
    return next((one for one in image.get_channels() if one.get_parasite(KEPT) is not None), None)


def selected_box(image, layer):
    """Return whether anything is selected, and the selection's bounds within a layer, or None where it is beside it."""
    kept = kept_selection(image)
    if kept is None:
        exists, left, top, right, bottom = Gimp.Selection.bounds(image)[1:]
    else:
        exists, left, top, right, bottom = map(int, text_of(kept, KEPT).split())
    _, across, down = layer.get_offsets()
    box = (
        max(left - across, 0),
        max(top - down, 0),
        min(right - across, layer.get_width()),
        min(bottom - down, layer.get_height()),
    )
    return bool(exists), box if exists and box[0] < box[2] and box[1] < box[3] else None


def put(layer, encoding, depth, data):
    """Write all of a layer's pixels."""
    put_coming(layer, encoding, depth, len(data), _in_turn(data))


def put_coming(layer, encoding, depth, size, take):
    """Write all of a layer's pixels, which are `size` bytes, as they come: ``take(some)`` returns the next of them."""
    _write(layer, whole(layer), _format(layer, encoding, depth), size, take)


def put_plane(mask, depth, data):
    """Write all of a mask or channel."""
    put_part(mask, whole(mask), depth, data)


def put_part(mask, rectangle, depth, data):
    """Write a part of a mask or channel; what lies outside of it falls away.

    A mask's numbers are linear, "Y", those of an 8-bit image's channel are not, "Y'"; GIMP combines the two, and
    selects, number by number.
    """
    there, inside = Gegl.Rectangle.new(0, 0, 0, 0), whole(mask)
    if not Gegl.Rectangle.intersect(there, rectangle, inside):
        return
    if not there.equal(rectangle):  # GIMP ends a plug-in that writes beside a drawable
        pixel = len(data) // (rectangle.width * rectangle.height)
        box = ((there.x - rectangle.x) * pixel, there.y - rectangle.y, there.width * pixel, there.height)
        data = planes.cut_out(data, rectangle.width * pixel, box)
    _write(mask, there, f"{_curve(mask)} {depth}", len(data), _in_turn(data))


def marks(drawable, layer, image):
    """Return what is painted on a layer or channel in the place of another layer, as bytes for the worker.

    White is 255, black 0, and what is transparent or between 128; a channel is opaque.
    """
    return planes.marked(*_painted(drawable, layer, image))


def strokes(drawable, layer, image):
    """Return where a brush went in the place of a layer: 0 where not; of a channel, what is white."""
    values, seen = _painted(drawable, layer, image)
    return seen if drawable.has_alpha() else values


def text_of(item, name):
    """Return what a parasite of ours says."""
    return bytes(item.get_parasite(name).get_data()).split(b"\0")[0].decode()


def _painted(drawable, layer, image):
    """Return brightness and opacity of a drawable in the place of a layer, a byte a pixel each."""
    _, left, top = layer.get_offsets()
    _, across, down = drawable.get_offsets() if isinstance(drawable, Gimp.Layer) else (True, 0, 0)
    rectangle = Gegl.Rectangle.new(left - across, top - down, layer.get_width(), layer.get_height())
    both = drawable.get_buffer().get(rectangle, 1.0, "Y'A u8", Gegl.AbyssPolicy.NONE)
    values, seen = both[0::2], both[1::2]
    if not drawable.has_alpha() and isinstance(drawable, Gimp.Channel):
        values = drawable.get_buffer().get(rectangle, 1.0, f"{_curve(drawable)} u8", Gegl.AbyssPolicy.NONE)
    return values, seen


def is_kept_as(drawable, form):
    """Whether GIMP keeps a drawable's pixels in just this format."""
    return Babl.get_name(drawable.get_format()) == form


def _in_turn(data):
    """Return what gives the next bytes of some."""
    view, taken = memoryview(data), 0

    def take(some):
        nonlocal taken
        taken += some
        return bytes(view[taken - some : taken])

    return take


def _write(drawable, rectangle, form, size, take):
    buffer, row = drawable.get_buffer(), size // rectangle.height
    try:
        for part in _parts(rectangle):
            buffer.set(part, form, take(part.height * row))
    finally:
        buffer.flush()  # GIMP ends a plug-in whose last tiles come when the layer has been given up
    drawable.update(rectangle.x, rectangle.y, rectangle.width, rectangle.height)


def _parts(rectangle):
    """Yield a rectangle's strips, from top to bottom, each a row of GIMP's tiles: whole layers take twice as long."""
    top, end, strip = rectangle.y, rectangle.y + rectangle.height, Gimp.tile_height()
    while top < end:
        below = min(end, (top // strip + 1) * strip)
        yield Gegl.Rectangle.new(rectangle.x, top, rectangle.width, below - top)
        top = below


def _curve(mask):
    return "Y'" if Babl.get_name(mask.get_format()).startswith("Y'") else "Y"


def _format(layer, encoding, depth):
    """Return the name of a pixel format in the layer's own colour space.

    A bare "R'G'B' u8" means sRGB: wide-gamut colours would be converted on the way out, and cut off on the
    way back. With the layer's space the numbers are those in the file, as everywhere in Gossamer.
    """
    space = Babl.format_get_space(layer.get_format())
    return Babl.get_name(Babl.format_with_space(f"{encoding} {depth}", space))
