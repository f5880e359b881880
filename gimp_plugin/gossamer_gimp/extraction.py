# SPDX-License-Identifier: GPL-3.0-or-later
"""GIMP's own foreground extraction, for as long as Gossamer is not set up: what is selected, with a matted edge.

GIMP has the matting of its tool Foreground Select in its procedures. It wants a trimap: what is well inside of the
selection is foreground, what is well outside is background, and the band about its edge is solved.
"""

import layers
from gi.repository import Gegl, Gimp
from language import N_, _

SHORT = N_("Cut out what is selected with GIMP's own foreground extraction")
LONG = N_(
    "Needs nothing but GIMP. Makes a new layer with a mask of what is selected; a band about the selection's edge is "
    "solved by GIMP's own matting. Gossamer's edges are finer, and it finds the subject by itself."
)

_BAND = 0.015  # of the selection's diagonal: half the width of the band
_KNOWN = bytes(128) + b"\xff" * 128
_BOTH = bytes(128) + b"\x80" * 128


def cut(image, drawables):
    """Cut one layer out by what is selected; raises Refused where that makes no sense.

    Returns
    -------
    Gimp.Layer
        The new layer; the original is hidden below it.
    """
    (layer, *_others) = layers.meant(drawables)
    if layer.is_group():
        raise layers.Refused(_("Select a layer that is no group."))
    layers.check_shows_something(layer)
    layers.check_can_change(layer, False)
    _exists, box = layers.selected_box(image, layer)
    if box is None:
        raise layers.Refused(_("Select the subject roughly first, with the free selection tool for instance."))
    band = max(2, round(_BAND * ((box[2] - box[0]) ** 2 + (box[3] - box[1]) ** 2) ** 0.5))
    Gimp.progress_init(_("Extracting the foreground"))
    image.undo_group_start()
    try:
        kept = Gimp.Selection.save(image)
        try:
            trimap = _trimap(image, layer, kept, band)
            layer.foreground_extract(Gimp.ForegroundExtractMode.MATTING, trimap)
            new = layer.copy()
            new.set_name(_("{layer} cut-out").format(layer=layer.get_name()))
            image.insert_layer(new, layer.get_parent(), image.get_item_position(layer))
            new.set_visible(True)
            if new.get_mask() is not None:  # GIMP applies only that of a layer of the image
                new.remove_mask(Gimp.MaskApplyMode.APPLY)
            new.add_mask(new.create_mask(Gimp.AddMaskType.SELECTION))
        finally:
            image.select_item(Gimp.ChannelOps.REPLACE, kept)
            image.remove_channel(kept)
        if not layer.get_lock_visibility():
            layer.set_visible(False)
        image.set_selected_layers([new])
    finally:
        image.undo_group_end()
    Gimp.progress_end()
    Gimp.displays_flush()
    return new


def _trimap(image, layer, kept, band):
    """Return a channel as large as the image: white inside of the selection, black outside, grey about its edge."""
    wide, high = image.get_width(), image.get_height()
    inner = None
    while inner is None and band > 1:  # something thin has an inside only for a narrow band
        image.select_item(Gimp.ChannelOps.REPLACE, kept)
        Gimp.Selection.shrink(image, band)
        if layers.selected_box(image, layer)[1] is None:
            band //= 2
        else:
            inner = layers.selection(image)
    image.select_item(Gimp.ChannelOps.REPLACE, kept)
    if inner is None:
        inner = layers.selection(image)
    Gimp.Selection.grow(image, band)
    outer = layers.selection(image)
    both = int.from_bytes(inner.translate(_KNOWN), "little") | int.from_bytes(outer.translate(_BOTH), "little")
    trimap = Gimp.Channel.new(image, "trimap", wide, high, 50, Gegl.Color.new("black"))
    layers.put_plane(trimap, "u8", both.to_bytes(wide * high, "little"))
    return trimap
