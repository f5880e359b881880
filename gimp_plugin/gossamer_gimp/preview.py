# SPDX-License-Identifier: GPL-3.0-or-later
"""The preview on the canvas: two layers for a time, above all others, of which no trace remains.

A view is a backdrop (a colour, or what lies below) and a layer above it whose mask is the matte, or its opposite. A
slider changes the mask alone. GIMP's undo is frozen around each writing, and only then: whoever dies with it frozen
takes the user's undo along. What is left behind by somebody killed is removed by the next (see :func:`sweep`).
"""

from contextlib import contextmanager

import layers
from gi.repository import Gegl, Gimp

VIEWS = (
    ("below", "On the layers below"),
    ("overlay", "Overlay"),
    ("black", "On black"),
    ("white", "On white"),
    ("mask", "Black & white"),
    ("original", "Original"),
)
_MARK = "gossamer-preview"
_TURNED = bytes(range(255, -1, -1))


class Canvas:
    """The preview of one layer; use it in a ``with``.

    Parameters
    ----------
    image : Gimp.Image
    layer : Gimp.Layer
    """

    def __init__(self, image, layer):
        self._image, self._layer = image, layer
        self._selected = image.get_selected_layers()
        self._clean = not image.is_dirty()
        self._visible = layer.get_visible()
        self._view, self._painted = None, None
        self._alpha = self._colours = None
        with self._quietly():
            self._backdrop = self._added("Preview background", image.get_width(), image.get_height(), (0, 0))
            size = layer.get_width(), layer.get_height()
            self._top = self._added("Preview", *size, tuple(layer.get_offsets()[1:]))
            self._mask = self._top.create_mask(Gimp.AddMaskType.BLACK)
            self._top.add_mask(self._mask)
            image.set_selected_layers(self._selected)

    def __enter__(self):
        """Return itself."""
        return self

    def __exit__(self, *_):
        """Leave the image as it was found: layers, selection, visibility, undo, and whether it is saved."""
        with self._quietly():
            for one in (self._top, self._backdrop):
                if one.is_valid():
                    self._image.remove_layer(one)
            if self._layer.is_valid() and self._layer.get_visible() != self._visible:
                self._layer.set_visible(self._visible)
            self._image.set_selected_layers([one for one in self._selected if one.is_valid()])
        if self._clean:
            self._image.clean_all()
        Gimp.displays_flush()

    def show(self, view):
        """Show one of VIEWS."""
        self._view = view
        with self._quietly():
            self._paint()
            self._write_mask()
            self._arrange()
        Gimp.displays_flush()

    def update(self, alpha, colours=None):
        """Show a new matte, a byte a pixel, and the subject's colours, three bytes a pixel, where they are given."""
        self._alpha = bytes(alpha)
        with self._quietly():
            if colours is not None:
                self._colours = bytes(colours)
                if self._painted == "subject":
                    self._painted = None
            self._paint()
            self._write_mask()
            self._arrange()
        Gimp.displays_flush()

    @contextmanager
    def _quietly(self):
        self._image.undo_freeze()
        try:
            yield
        finally:
            self._image.undo_thaw()

    def _added(self, name, width, height, place):
        kinds = {
            Gimp.ImageBaseType.RGB: Gimp.ImageType.RGBA_IMAGE,
            Gimp.ImageBaseType.GRAY: Gimp.ImageType.GRAYA_IMAGE,
            Gimp.ImageBaseType.INDEXED: Gimp.ImageType.INDEXEDA_IMAGE,
        }
        kind = kinds[self._image.get_base_type()]
        new = Gimp.Layer.new(self._image, name, width, height, kind, 100, Gimp.LayerMode.NORMAL)
        new.set_visible(False)
        about = f"{self._layer.get_tattoo()} {int(self._visible)}"
        new.attach_parasite(Gimp.Parasite.new(_MARK, 1, about.encode() + b"\0"))
        self._image.insert_layer(new, None, 0)
        new.set_offsets(*place)
        return new

    def _paint(self):
        """Fill the top layer, and the backdrop, for the view."""
        wanted = {"overlay": "red", "mask": "white"}.get(self._view, "subject")
        if wanted != self._painted and self._view != "original":
            self._painted = wanted
            if wanted != "subject":
                _fill(self._top, wanted)
            elif self._colours is not None:
                layers.put(self._top, "R'G'B'", "u8", self._colours)
            else:
                layers.put(self._top, "R'G'B'", "u8", layers.pixels(self._layer, "R'G'B'", "u8"))
            self._top.set_opacity(50 if wanted == "red" else 100)
        if self._view in ("black", "white", "mask"):
            _fill(self._backdrop, "white" if self._view == "white" else "black")

    def _write_mask(self):
        if self._alpha is not None:
            turned = self._view == "overlay"
            layers.put_plane(self._mask, "u8", self._alpha.translate(_TURNED) if turned else self._alpha)

    def _arrange(self):
        """Show and hide what the view is made of; until there is a matte, that is the original alone."""
        ready = self._alpha is not None and self._view not in (None, "original")
        _see(self._backdrop, ready and self._view in ("black", "white", "mask"))
        _see(self._top, ready)
        _see(self._layer, self._visible and not (ready and self._view == "below"))


def sweep(image, drawables):
    """Remove the preview of somebody who was killed, and show again what it hid; undo is as it was before.

    Returns
    -------
    list of Gimp.Drawable
        What is selected, without what is gone now; where that was all, the layer that the preview was of.
    """
    left = [layer for layer in image.get_layers() if layer.get_parasite(_MARK) is not None]
    if not left:
        return drawables
    shown = None
    image.undo_freeze()
    try:
        for layer in left:
            tattoo, visible = bytes(layer.get_parasite(_MARK).get_data()).split(b"\0")[0].split()
            shown = image.get_layer_by_tattoo(int(tattoo))
            if shown is not None and int(visible):
                shown.set_visible(True)
            image.remove_layer(layer)
    finally:
        image.undo_thaw()
    kept = [one for one in drawables if one.is_valid()]
    return kept or ([shown] if shown is not None else [])


def _see(layer, wanted):
    if layer.get_visible() != wanted:
        layer.set_visible(wanted)


def _fill(layer, colour):
    buffer = layer.get_buffer()
    buffer.set_color(layers.whole(layer), Gegl.Color.new(colour))
    buffer.flush()
    layer.update(0, 0, layer.get_width(), layer.get_height())
