# SPDX-License-Identifier: GPL-3.0-or-later
"""Paper to paint on: a layer for a time, above the preview, that is painted with GIMP's own brush.

GIMP's undo is frozen for as long as there is paper: the strokes are no part of the image's history, which would hold
steps of a layer that is gone. Whether anything was painted is seen on a thumbnail, which GIMP makes in a hundredth of a
second whatever the image's size; what was painted is read only where it was.
"""

from gi.repository import Gegl, Gimp, GLib
from language import N_, _

PAPER = "gossamer-paper"
"""The parasite of a paper: by it whoever clears up knows that undo is frozen."""

KINDS = {
    "marks": (N_("Marks: white keeps, black removes"), 70),
    "strokes": (N_("Refine brush: paint over hair"), 45),
}
HINTS = {
    "marks": N_("Paint with GIMP's paintbrush (P): white on what stays, black on what goes. X swaps the two colours."),
    "strokes": N_("Paint with GIMP's paintbrush (P) over hair and other fine edges: they are solved again there."),
}
_SIDE = 512  # pixels of the thumbnail's longer side
_EVERY = 80  # milliseconds between looks at it
_STILL = 2  # looks without a change after which a stroke is done


class Paper:
    """A layer that is painted on.

    Parameters
    ----------
    image : Gimp.Image
    layer : Gimp.Layer
        In whose place it lies.
    kind : str
        One of KINDS.
    mark : bytes
        The parasite of a preview's layers, for whoever clears up.
    on_stroke : callable
        Called without arguments when something was painted.
    """

    def __init__(self, image, layer, kind, mark, on_stroke):
        self._image, self._on_stroke = image, on_stroke
        image.undo_freeze()
        title, opacity = KINDS[kind]
        kinds = {
            Gimp.ImageBaseType.RGB: Gimp.ImageType.RGBA_IMAGE,
            Gimp.ImageBaseType.GRAY: Gimp.ImageType.GRAYA_IMAGE,
            Gimp.ImageBaseType.INDEXED: Gimp.ImageType.INDEXEDA_IMAGE,
        }
        size = layer.get_width(), layer.get_height()
        kind = kinds[image.get_base_type()]
        self.layer = Gimp.Layer.new(image, _(title), *size, kind, opacity, Gimp.LayerMode.NORMAL)
        self.layer.attach_parasite(mark)
        self.layer.attach_parasite(Gimp.Parasite.new(PAPER, 1, b"1\0"))
        image.insert_layer(self.layer, None, 0)
        self.layer.set_offsets(*layer.get_offsets()[1:])
        self._seen = self._done = self._thumbnail()
        self._still = 0
        self._timer = GLib.timeout_add(_EVERY, self._look)

    def close(self):
        """Take it away; undo is as it was."""
        if self._timer:
            GLib.source_remove(self._timer)
            self._timer = 0
        if self.layer.is_valid():
            self._image.remove_layer(self.layer)
        if self._image.is_valid():
            self._image.undo_thaw()

    def take(self):
        """Return what was painted since it was last clean, and clean it: its region, and a byte a pixel of that.

        Returns
        -------
        tuple or None
            ``((left, top, width, height), plane)``; None where nothing was painted.
        """
        box = self._painted_box() if self.layer.is_valid() else None
        if box is None:
            return None
        rectangle = Gegl.Rectangle.new(*box)
        buffer = self.layer.get_buffer()
        plane = buffer.get(rectangle, 1.0, "A u8", Gegl.AbyssPolicy.NONE)
        buffer.set_color(rectangle, Gegl.Color.new("transparent"))
        buffer.flush()
        self.layer.update(*box)
        self._seen = self._done = self._thumbnail()
        return (box, plane) if plane.count(0) < len(plane) else None

    def wipe(self):
        """Clean it all over."""
        self.layer.fill(Gimp.FillType.TRANSPARENT)
        self._seen = self._done = self._thumbnail()

    def _look(self):
        if not self.layer.is_valid():
            self._timer = 0
            return GLib.SOURCE_REMOVE
        now = self._thumbnail()
        self._still = self._still + 1 if now == self._seen else 0
        self._seen = now
        if self._still >= _STILL and now != self._done:
            self._done = now
            self._on_stroke()
        return GLib.SOURCE_CONTINUE

    def _small(self):
        wide, high = self.layer.get_width(), self.layer.get_height()
        share = min(1.0, _SIDE / max(wide, high))
        return self.layer.get_thumbnail(
            max(1, round(wide * share)), max(1, round(high * share)), Gimp.PixbufTransparency.KEEP_ALPHA
        )

    def _thumbnail(self):
        small = self._small()
        return b"" if small is None else small.get_pixels()

    def _painted_box(self):
        """Return the bounds of what was painted, a little wider; None where nothing was."""
        small = self._small()
        if small is None:
            return None
        wide, high, row, step = small.get_width(), small.get_height(), small.get_rowstride(), small.get_n_channels()
        data = small.get_pixels()
        lines = [data[row * line + step - 1 : row * line + wide * step : step] for line in range(high)]
        used = [number for number, line in enumerate(lines) if line.count(0) < wide]
        if not used:
            return None
        first = min(len(line) - len(line.lstrip(b"\0")) for line in (lines[number] for number in used))
        last = max(len(line.rstrip(b"\0")) for line in (lines[number] for number in used))
        across, down = self.layer.get_width() / wide, self.layer.get_height() / high
        left, top = max(0, int((first - 2) * across)), max(0, int((used[0] - 2) * down))
        right = min(self.layer.get_width(), int((last + 2) * across) + 1)
        bottom = min(self.layer.get_height(), int((used[-1] + 3) * down) + 1)
        return left, top, right - left, bottom - top
