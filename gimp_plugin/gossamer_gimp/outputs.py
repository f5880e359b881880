# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a cut-out goes: a new layer, the layer's mask, the selection, a channel or a new image.

- A mask that is replaced and was not one of ours as we left it is told of, and one undo brings it back. The layer's own
  alpha stays and still counts: it is not in the mask too.
- A new layer lies above the original, which keeps its pixels and its mask and is hidden so that the cut-out is seen.
- In an indexed image the new layer's colours are those of the palette that come nearest.
"""

import array
import hashlib
from dataclasses import replace

import layers
from gi.repository import Gegl, Gimp

MARK = "gossamer-matte"
OUTPUTS = (
    (
        "layer",
        "New layer",
        "A layer above with the subject's own colours and the matte as its mask; the original stays below, hidden. "
        "The best edges.",
    ),
    (
        "mask",
        "Layer mask",
        "The matte becomes the layer's mask, in place of one that it has. The pixels stay as they are: in hair the old "
        "background's light shows.",
    ),
    ("mask-add", "Add to the layer mask", "The layer's mask shows what it showed, and the subject."),
    ("mask-intersect", "Intersect with the layer mask", "The layer's mask shows what of the subject it showed before."),
    ("mask-subtract", "Subtract from the layer mask", "The layer's mask hides the subject."),
    ("selection", "Selection", "The matte becomes the selection."),
    ("channel", "Channel", "The matte becomes a new channel."),
    ("image", "New image", "An image of its own with the subject's own colours and the matte as its mask."),
)
COLOURED = ("layer", "image")
"""The outputs that have colours of their own."""

_COMBINED = {
    "mask-add": Gimp.ChannelOps.ADD,
    "mask-intersect": Gimp.ChannelOps.INTERSECT,
    "mask-subtract": Gimp.ChannelOps.SUBTRACT,
}


def changes_layer(output):
    """Whether an output changes the layer itself."""
    return output.startswith("mask")


def place(layer, result, output, replaced=None):
    """Put a result where it is wanted; return the layer that has it, or is meant by it, and what is to be said.

    Parameters
    ----------
    layer : Gimp.Layer
        What was cut out.
    result : client.Result
    output : str
        One of OUTPUTS.
    replaced : Gimp.Layer or None
        A former result, which makes way for a new layer.
    """
    image = layer.get_image()
    depth = layers.depth_of(image)[1]
    if output == "image":
        return _new_image(image, layer, result, depth), []
    if output == "layer":
        notes = _about_filters(layer)
        parent, position = layer.get_parent(), None
        if replaced is not None:
            if replaced.get_mask() is None or not _is_own(replaced.get_mask(), depth):
                notes.append("The cut-out that was there was replaced: Edit > Undo brings it back.")
            if replaced.get_parent() == parent:
                position = image.get_item_position(replaced)
            image.remove_layer(replaced)
        new = _coloured(image, layer, result, depth)
        image.insert_layer(new, parent, image.get_item_position(layer) if position is None else position)
        _, left, top = layer.get_offsets()
        new.set_offsets(left, top)
        _fill(new, result, depth)
        _add_mask(new, result, depth)
        mark = f"{layer.get_tattoo()}".encode() + b"\0"
        new.attach_parasite(Gimp.Parasite.new(layers.SOURCE, 3, mark))  # saved with the image, and undone with it
        if not layer.get_lock_visibility():
            layer.set_visible(False)
        return new, notes
    if output in ("selection", "channel"):
        channel = _channel(image, layer, result, depth)
        if output == "selection":
            image.select_item(Gimp.ChannelOps.REPLACE, channel)
            image.remove_channel(channel)
        return layer, []
    return layer, _to_mask(layer, result, output, depth)


def _to_mask(layer, result, output, depth):
    """Make the matte the layer's mask, or combine the two; return what is to be said."""
    mask, notes = layer.get_mask(), []
    if mask is not None and output != "mask":
        size = mask.get_width(), mask.get_height()
        other = Gimp.Channel.new(layer.get_image(), "cut-out", *size, 50, Gegl.Color.new("black"))
        layers.put_plane(other, depth, result.alpha)  # it is never part of the image
        mask.combine_masks(other, _COMBINED[output], 0, 0)
        other.delete()
        mask.update(0, 0, mask.get_width(), mask.get_height())
        return notes
    if output == "mask-subtract":
        result = _inverted(result, depth)
    if mask is not None:
        if not _is_own(mask, depth):
            notes.append("The mask that the layer had was replaced: Edit > Undo brings it back.")
        layer.remove_mask(Gimp.MaskApplyMode.DISCARD)
    _add_mask(layer, result, depth)
    return notes


def _coloured(image, layer, result, depth):
    """Return a new layer like `layer`, for the subject's colours."""
    kinds = {
        Gimp.ImageBaseType.RGB: Gimp.ImageType.RGBA_IMAGE,
        Gimp.ImageBaseType.GRAY: Gimp.ImageType.GRAYA_IMAGE,
        Gimp.ImageBaseType.INDEXED: Gimp.ImageType.INDEXEDA_IMAGE,
    }
    return Gimp.Layer.new(
        image,
        f"{layer.get_name()} cut-out",
        layer.get_width(),
        layer.get_height(),
        kinds[image.get_base_type()],
        layer.get_opacity(),
        layer.get_mode() if not layer.is_group() else Gimp.LayerMode.NORMAL,
    )


def _fill(new, result, depth):
    size = new.get_width() * new.get_height() * {"u8": 1, "u16": 2, "float": 4}[depth]
    channels = len(result.foreground) // size
    layers.put(new, "R'G'B'A" if channels == 4 else "R'G'B'", depth, result.foreground)


def _new_image(image, layer, result, depth):
    kind = image.get_base_type()
    if kind == Gimp.ImageBaseType.INDEXED:  # its own palette would be a third thing to copy
        kind = Gimp.ImageBaseType.RGB
    new = Gimp.Image.new_with_precision(layer.get_width(), layer.get_height(), kind, image.get_precision())
    new.undo_disable()
    profile = image.get_color_profile()
    if profile is not None:
        new.set_color_profile(profile)
    _, across, down = image.get_resolution()
    new.set_resolution(across, down)
    cut = _coloured(new, layer, result, depth)
    new.insert_layer(cut, None, 0)
    cut.set_opacity(100)
    cut.set_mode(Gimp.LayerMode.NORMAL)
    _fill(cut, result, depth)
    _add_mask(cut, result, depth)
    new.undo_enable()
    try:
        Gimp.Display.new(new)
    except TypeError:  # a GIMP without windows makes none; the caller has the layer, and with it the image
        pass
    return cut


def _channel(image, layer, result, depth):
    """Return a new channel of the image with the matte in the layer's place."""
    channel = Gimp.Channel.new(
        image, f"{layer.get_name()} cut-out", image.get_width(), image.get_height(), 50, Gegl.Color.new("black")
    )
    image.insert_channel(channel, None, 0)
    _, left, top = layer.get_offsets()
    rectangle = layers.whole(layer)
    rectangle.x, rectangle.y = left, top
    layers.put_part(channel, rectangle, depth, result.alpha)
    return channel


def _add_mask(layer, result, depth):
    mask = layer.create_mask(Gimp.AddMaskType.WHITE)
    layer.add_mask(mask)
    layers.put_plane(mask, depth, result.alpha)
    mask.attach_parasite(Gimp.Parasite.new(MARK, 0, _digest(mask, depth)))


def _is_own(mask, depth):
    """Whether the mask is one of ours that nobody has painted on: then nothing is lost with it."""
    mark = mask.get_parasite(MARK)
    return mark is not None and bytes(mark.get_data()) == _digest(mask, depth)


def _digest(mask, depth):
    # Text: gi takes a parasite's bytes for signed.
    return hashlib.sha256(layers.plane(mask, f"Y {depth}")).hexdigest().encode()


def _inverted(result, depth):
    """Return a result whose alpha is turned round."""
    if depth == "u8":
        return replace(result, alpha=memoryview(bytes(result.alpha).translate(bytes(range(255, -1, -1)))))
    numbers = array.array({"u16": "H", "float": "f"}[depth], bytes(result.alpha))
    most = 65535 if depth == "u16" else 1.0
    return replace(result, alpha=memoryview(array.array(numbers.typecode, (most - one for one in numbers))).cast("B"))


def _about_filters(layer):
    if any(effect.get_visible() for effect in layer.get_filters()):
        return ["The layer's filters are not part of the new layer: merge them first to have them in it."]
    return []
