# SPDX-License-Identifier: GPL-3.0-or-later
"""The preview on the canvas: two layers for a time, above all others, of which no trace remains.

A view is a backdrop (a colour, or what lies below) and a layer above it whose mask is the matte, or something that
follows from it. A slider changes the mask alone; marching ants are the selection itself, and the user's own is kept in
a channel meanwhile. GIMP's undo is frozen around each writing, and only then, or while somebody paints (see
painting.py): whoever dies with it frozen takes the user's undo along. What is left behind by somebody killed is removed
by the next (see :func:`sweep`).
"""

from contextlib import contextmanager
from dataclasses import dataclass

import layers
import planes
from gi.repository import Gegl, Gimp
from language import N_, _
from painting import PAPER, Paper

VIEWS = (
    ("below", N_("On the layers below")),
    ("overlay", N_("Overlay")),
    ("ants", N_("Marching ants")),
    ("black", N_("On black")),
    ("white", N_("On white")),
    ("mask", N_("Black & white")),
    ("onion", N_("Onion skin")),
    ("edge", N_("Show edge")),
    ("original", N_("Show original")),
)
_MARK = "gossamer-preview"
_SKIN = 0.3  # of the original that the onion skin leaves
_FREEZES = 8  # more than can be open at once
_MANY = 200  # parts of a mask that wait to be written, from which on all of it is


@dataclass(frozen=True)
class _Look:
    """What a view is made of.

    Attributes
    ----------
    top : str or None
        What the upper layer shows: the subject, the layer's own pixels ("photo"), or a colour; None: it is hidden.
    backdrop : str or None
        The colour behind it.
    table : bytes or None
        What the mask is of the matte's bytes.
    opacity : int
        Of the upper layer.
    hides : bool
        The layer itself is hidden: what lies below it shows.
    """

    top: str | None = "subject"
    backdrop: str | None = None
    table: bytes | None = None
    opacity: int = 100
    hides: bool = False


_LOOKS = {
    "below": _Look(hides=True),
    "overlay": _Look(top="red", table=bytes(range(255, -1, -1)), opacity=50),
    "ants": _Look(top=None),
    "black": _Look(backdrop="black"),
    "white": _Look(backdrop="white"),
    "mask": _Look(top="white", backdrop="black"),
    # Beside the subject its own colours are only continued: what shows faintly there is the photograph.
    "onion": _Look(
        top="photo", table=bytes(round(255 * _SKIN + (1 - _SKIN) * value) for value in range(256)), hides=True
    ),
    # What is solid on either side goes; what is between stays the brighter, the softer it is.
    "edge": _Look(backdrop="black", table=bytes(min(255, min(value, 255 - value) * 6) for value in range(256))),
    "original": _Look(top=None),
}
COLOURED = tuple(view for view, look in _LOOKS.items() if look.top == "subject")
"""The views that show the subject's colours."""


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
        self._view, self._painted, self._behind = None, None, None
        self._alpha = self._colours = None
        self._written, self._pending = None, []  # the view that the mask is of, and what has changed since
        self._papers = {}
        self._ants = False
        with self._quietly():
            self._backdrop = self._added(_("Preview background"), image.get_width(), image.get_height(), (0, 0))
            self._size = size = layer.get_width(), layer.get_height()
            self._top = self._added(_("Preview"), *size, tuple(layer.get_offsets()[1:]))
            self._mask = self._top.create_mask(Gimp.AddMaskType.BLACK)
            self._top.add_mask(self._mask)
            image.set_selected_layers(self._selected)

    def __enter__(self):
        """Return itself."""
        return self

    def __exit__(self, *_):
        """Leave the image as it was found: layers, selection, visibility, undo, and whether it is saved."""
        for kind in list(self._papers):
            self._papers.pop(kind).close()
        if not self._image.is_valid():  # it was closed meanwhile
            return
        with self._quietly():
            for one in (self._top, self._backdrop):
                if one.is_valid():
                    self._image.remove_layer(one)
            if self._layer.is_valid() and self._layer.get_visible() != self._visible:
                self._layer.set_visible(self._visible)
            _give_back_selection(self._image)
            self._select(self._selected)
        if self._clean:
            self._image.clean_all()
        Gimp.displays_flush()

    def show(self, view):
        """Show one of VIEWS."""
        self._view = view
        self._draw()

    def update(self, alpha, colours=None, boxes=None):
        """Show a new matte, a byte a pixel, and the subject's colours, three bytes a pixel, where they are given.

        With boxes (left, top, width, height) the matte is their pixels alone; around them it is as it was.
        """
        if boxes is None:
            self._alpha, self._written = bytearray(alpha), None  # all of it is written
        else:
            planes.put_in(self._alpha, self._top.get_width(), boxes, alpha)
            self._pending += boxes
            if len(self._pending) > _MANY:
                self._written = None
        if colours is not None:
            self._colours = bytes(colours)
            if self._painted == "subject":
                self._painted = None
        self._draw()

    def paint(self, kind, on_stroke=None):
        """Have the user paint on paper of a kind, which stays until :meth:`put_away`; None: on none of them.

        What is painted is not held back by the user's selection, which is kept meanwhile.
        """
        if not self.fits:
            return
        with self._quietly():
            if kind is not None and kind not in self._papers:
                mark = self._parasite()
                self._papers[kind] = Paper(self._image, self._layer, kind, mark, on_stroke)
            for one, paper in self._papers.items():
                _see(paper.layer, one == kind)
            self._select(self._selected if kind is None else [self._papers[kind].layer])
        self._draw()

    def paper(self, kind):
        """Return the paper of a kind, or None."""
        return self._papers.get(kind)

    def put_away(self, kind):
        """Take the paper of a kind away."""
        paper = self._papers.pop(kind, None)
        if paper is not None:
            with self._quietly():
                paper.close()
                self._select(self._selected)
            self._draw()

    @property
    def fits(self):
        """Whether the layer and the preview are still there, in the size in which they were found."""
        both = (self._layer, self._top)
        valid = self._backdrop.is_valid() and all(one.is_valid() for one in both)
        return valid and all((one.get_width(), one.get_height()) == self._size for one in both)

    @property
    def look(self):
        """The view that is shown: ants would hold a brush back, so that painting is done on an overlay."""
        painting = any(paper.layer.get_visible() for paper in self._papers.values())
        return "overlay" if self._view == "ants" and painting else self._view

    @contextmanager
    def _quietly(self):
        self._image.undo_freeze()
        try:
            yield
        finally:
            self._image.undo_thaw()

    def _parasite(self):
        about = f"{self._layer.get_tattoo()} {int(self._visible)}"
        return Gimp.Parasite.new(_MARK, 1, about.encode() + b"\0")

    def _added(self, name, width, height, place):
        kinds = {
            Gimp.ImageBaseType.RGB: Gimp.ImageType.RGBA_IMAGE,
            Gimp.ImageBaseType.GRAY: Gimp.ImageType.GRAYA_IMAGE,
            Gimp.ImageBaseType.INDEXED: Gimp.ImageType.INDEXEDA_IMAGE,
        }
        kind = kinds[self._image.get_base_type()]
        new = Gimp.Layer.new(self._image, name, width, height, kind, 100, Gimp.LayerMode.NORMAL)
        new.set_visible(False)
        new.attach_parasite(self._parasite())
        self._image.insert_layer(new, None, 0)
        new.set_offsets(*place)
        return new

    def _select(self, wanted):
        if left := [one for one in wanted if one.is_valid()]:
            self._image.set_selected_layers(left)

    def _draw(self):
        if not self.fits:
            return
        with self._quietly():
            look = _LOOKS.get(self.look)
            if look is not None:
                self._paint(look)
                self._write_mask(look)
                self._arrange(look)
                self._march()
        Gimp.displays_flush()

    def _paint(self, look):
        """Fill the top layer, and the backdrop, for the view."""
        if look.top is not None and look.top != self._painted:
            self._painted = look.top
            if look.top not in ("subject", "photo"):
                _fill(self._top, look.top)
            elif look.top == "subject" and self._colours is not None:
                layers.put(self._top, "R'G'B'", "u8", self._colours)
            else:
                layers.put(self._top, "R'G'B'", "u8", layers.pixels(self._layer, "R'G'B'", "u8"))
        if self._top.get_opacity() != look.opacity:
            self._top.set_opacity(look.opacity)
        if look.backdrop is not None and look.backdrop != self._behind:
            self._behind = look.backdrop
            _fill(self._backdrop, look.backdrop)

    def _write_mask(self, look):
        if self._alpha is None or look.top is None:
            return
        wide, high = self._top.get_width(), self._top.get_height()
        same = self._written is not None and self._written.table == look.table
        for box in self._pending if same else [(0, 0, wide, high)]:
            part = planes.cut_out(self._alpha, wide, box)
            part = part if look.table is None else part.translate(look.table)
            layers.put_part(self._mask, Gegl.Rectangle.new(*box), "u8", part)
        self._written, self._pending = look, []

    def _arrange(self, look):
        """Show and hide what the view is made of; until there is a matte, that is the original alone."""
        ready = self._alpha is not None and look.top is not None
        _see(self._backdrop, ready and look.backdrop is not None)
        _see(self._top, ready)
        _see(self._layer, self._visible and not (ready and look.hides))

    def _march(self):
        """Make the matte the selection where the view wants that; where somebody paints, nothing is selected."""
        painting = any(paper.layer.get_visible() for paper in self._papers.values())
        wanted = self.look == "ants" and self._alpha is not None
        if wanted:
            _keep_selection(self._image)
            matte = Gimp.Channel.new(
                self._image, "matte", self._image.get_width(), self._image.get_height(), 50, Gegl.Color.new("black")
            )
            self._image.insert_channel(matte, None, 0)
            _, left, top = self._layer.get_offsets()
            place = Gegl.Rectangle.new(left, top, self._layer.get_width(), self._layer.get_height())
            layers.put_part(matte, place, "u8", self._alpha)
            self._image.select_item(Gimp.ChannelOps.REPLACE, matte)
            self._image.remove_channel(matte)
        elif painting:
            _keep_selection(self._image)
            if not Gimp.Selection.is_empty(self._image):
                Gimp.Selection.none(self._image)
        elif self._ants:
            _give_back_selection(self._image)
        if wanted or painting or self._ants:
            shown = [paper.layer for paper in self._papers.values() if paper.layer.get_visible()]
            self._select(shown or self._selected)
        self._ants = wanted or painting


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
        painted = any(layer.get_parasite(PAPER) is not None for layer in left)
        for layer in left:
            tattoo, visible = layers.text_of(layer, _MARK).split()
            shown = image.get_layer_by_tattoo(int(tattoo))
            if shown is not None and int(visible):
                shown.set_visible(True)
            image.remove_layer(layer)
        _give_back_selection(image)
    finally:
        image.undo_thaw()
    for _time in range(_FREEZES if painted else 0):  # who painted left it frozen
        if image.undo_is_enabled():
            break
        image.undo_thaw()
    kept = [one for one in drawables if one.is_valid()]
    return kept or ([shown] if shown is not None else [])


def _keep_selection(image):
    """Keep the user's selection in a channel, where that is not done yet."""
    if layers.kept_selection(image) is not None:
        return
    bounds = " ".join(str(int(one)) for one in Gimp.Selection.bounds(image)[1:])
    kept = Gimp.Selection.save(image)
    kept.set_visible(False)
    kept.attach_parasite(Gimp.Parasite.new(layers.KEPT, 1, bounds.encode() + b"\0"))


def _give_back_selection(image):
    """Select again what was, and remove the channel that it was kept in."""
    kept = layers.kept_selection(image)
    if kept is None:
        return
    if layers.text_of(kept, layers.KEPT).startswith("0"):
        Gimp.Selection.none(image)
    else:
        image.select_item(Gimp.ChannelOps.REPLACE, kept)
    image.remove_channel(kept)


def _see(layer, wanted):
    if layer.get_visible() != wanted:
        layer.set_visible(wanted)


def _fill(layer, colour):
    buffer = layer.get_buffer()
    buffer.set_color(layers.whole(layer), Gegl.Color.new(colour))
    buffer.flush()
    layer.update(0, 0, layer.get_width(), layer.get_height())
