# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a cut-out goes: a new layer, two, the layer's mask, the selection, a channel or a new image.

- A mask that is replaced and was not one of ours as we left it is told of, and one undo brings it back. The layer's own
  alpha stays and still counts: it is not in the mask too.
- A new layer lies above the original, which keeps its pixels and its mask and is hidden so that the cut-out is seen;
  what was behind the subject, filled in, lies between the two where it is wanted.
- The photograph's shadow, where it is kept, is a black layer just below the subject's, with its alpha as its mask.
- In an indexed image the new layer's colours are those of the palette that come nearest.
"""

import array
import hashlib
from dataclasses import replace

import layers
from client import Result
from gi.repository import Gegl, Gimp
from language import N_, _

MARK = "gossamer-matte"
BEHIND = "gossamer-behind"
"""The parasite of a filled-in background that names the layer that it was made of."""

SHADOW = "gossamer-shadow"
"""The parasite of a shadow that names the layer that it lies below."""

CHANNEL = "gossamer-channel"
"""The parasite of a channel that names the layer that it was made of, and says what was in it."""

OUTPUTS = (
    (
        "layer",
        N_("New layer"),
        N_(
            "A layer above with the subject's own colours and the matte as its mask; the original stays below, "
            "hidden. The best edges."
        ),
    ),
    (
        "mask",
        N_("Layer mask"),
        N_(
            "The matte becomes the layer's mask, in place of one that it has. The pixels stay as they are: in "
            "hair the old background's light shows."
        ),
    ),
    ("mask-add", N_("Add to the layer mask"), N_("The layer's mask shows what it showed, and the subject.")),
    (
        "mask-intersect",
        N_("Intersect with the layer mask"),
        N_("The layer's mask shows what of the subject it showed before."),
    ),
    ("mask-subtract", N_("Subtract from the layer mask"), N_("The layer's mask hides the subject.")),
    ("selection", N_("Selection"), N_("The matte becomes the selection.")),
    ("channel", N_("Channel"), N_("The matte becomes a new channel.")),
    ("image", N_("New image"), N_("An image of its own with the subject's own colours and the matte as its mask.")),
    (
        "layers",
        N_("Two layers"),
        N_(
            "The subject as a new layer, and below it another with what was behind it, filled in; the original "
            "stays below, hidden."
        ),
    ),
    (
        "finished",
        N_("Finished picture"),
        N_("An image of its own as a shop or an authority wants it: cropped, with margins, background and shadow."),
    ),
)
NEW = ("layer", "layers")
"""The outputs that are new layers of the image."""
ELSEWHERE = ("image", "finished")
"""The outputs that are images of their own."""
COLOURED = (*NEW, *ELSEWHERE)
"""The outputs that have colours of their own."""
SHADOWED = ("layer", "mask", "image")
"""The outputs below which the photograph's shadow can lie. What is filled in behind a subject has it already."""

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
    result : client.Result or client.Finished
    output : str
        One of OUTPUTS.
    replaced : Gimp.Layer or None
        A former result, which makes way for a new layer.
    """
    image = layer.get_image()
    depth = layers.depth_of(image)[1]
    if output == "image":
        return _new_image(image, layer, result, depth), []
    if output == "finished":
        return _finished_image(image, layer, result, depth), []
    if output in NEW:
        notes = _about_filters(layer)
        parent, position = layer.get_parent(), None
        if replaced is not None:
            if replaced.get_mask() is None or not _is_own(replaced.get_mask(), depth):
                notes.append(_("The cut-out that was there was replaced: Edit > Undo brings it back."))
            if replaced.get_parent() == parent:
                position = image.get_item_position(replaced)
            _remove_shadow(replaced)
            image.remove_layer(replaced)
        _remove_behind(image, layer)
        new = result.foreground
        image.insert_layer(new, parent, image.get_item_position(layer) if position is None else position)
        left, top = layer.get_offsets()[1:]
        new.set_offsets(left, top)
        _add_mask(new, result, depth)
        mark = f"{layer.get_tattoo()}".encode() + b"\0"
        new.attach_parasite(Gimp.Parasite.new(layers.SOURCE, 3, mark))  # saved with the image, and undone with it
        _add_shadow(new, layer, result, depth)
        if output == "layers":
            _add_behind(image, layer, new, result.background)
        if not layer.get_lock_visibility():
            layer.set_visible(False)
        return new, notes
    if output == "channel":
        _remove_channel(image, layer)
        channel = _channel(image, layer, result, depth)
        mark = _channel_mark(layer, channel).encode() + b"\0"
        channel.attach_parasite(Gimp.Parasite.new(CHANNEL, 3, mark))
        return layer, []
    if output == "selection":
        channel = _channel(image, layer, result, depth)
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
    _remove_shadow(layer)
    _add_shadow(layer, layer, result, depth)
    if output == "mask-subtract":
        result = _inverted(result, depth)
    if mask is not None:
        if not _is_own(mask, depth):
            notes.append(_("The mask that the layer had was replaced: Edit > Undo brings it back."))
        layer.remove_mask(Gimp.MaskApplyMode.DISCARD)
    _add_mask(layer, result, depth)
    return notes


def taking(layer, output):
    """Return what makes layers, not yet the image's, of the colours that come; None where they are kept as they are.

    See :meth:`client.Client.refine`. Who does not place the result discards it.
    """
    if output not in NEW:
        return None
    image = layer.get_image()
    depth = layers.depth_of(image)[1]

    def made(name, size, take):
        new = _coloured(image, layer)
        try:
            if name == "background":
                new.set_name(_("{layer} background").format(layer=layer.get_name()))
            layers.put_coming(new, "R'G'B'A", depth, size, take)
        except BaseException:
            new.delete()
            raise
        return new

    return made


def discard(result):
    """Let go of the layers that were made for a result which is not placed."""
    for colours in (result.foreground, result.background) if isinstance(result, Result) else ():
        if isinstance(colours, Gimp.Layer) and colours.is_valid():  # its image can have been closed
            colours.delete()


def _coloured(image, layer):
    """Return a new layer like `layer`, for the subject's colours."""
    kinds = {
        Gimp.ImageBaseType.RGB: Gimp.ImageType.RGBA_IMAGE,
        Gimp.ImageBaseType.GRAY: Gimp.ImageType.GRAYA_IMAGE,
        Gimp.ImageBaseType.INDEXED: Gimp.ImageType.INDEXEDA_IMAGE,
    }
    new = Gimp.Layer.new(
        image,
        _("{layer} cut-out").format(layer=layer.get_name()),
        layer.get_width(),
        layer.get_height(),
        kinds[image.get_base_type()],
        layer.get_opacity(),
        layer.get_mode() if not layer.is_group() else Gimp.LayerMode.NORMAL,
    )
    if new.get_mode() == Gimp.LayerMode.NORMAL:
        _mix_numbers(new)
    return new


def _mix_numbers(layer):
    """Have a layer mixed with those below as a matte means it: the photograph's numbers, in the mode Normal.

    By itself GIMP mixes their light: half a hair counts as three quarters over something darker, half a shadow as less.
    """
    layer.set_mode(Gimp.LayerMode.NORMAL)
    layer.set_composite_space(Gimp.LayerColorSpace.RGB_NON_LINEAR)


def _add_behind(image, layer, new, behind):
    """Add a layer below the subject's with what was behind it."""
    image.insert_layer(behind, new.get_parent(), image.get_item_position(new) + 1)
    behind.set_offsets(*layer.get_offsets()[1:])
    behind.attach_parasite(Gimp.Parasite.new(BEHIND, 3, f"{layer.get_tattoo()}".encode() + b"\0"))


def _remove_behind(image, layer):
    """Remove a filled-in background of a former run: the new one takes its place, or there is to be none."""
    parent = layer.get_parent()
    for other in image.get_layers() if parent is None else parent.get_children():
        if other.get_parasite(BEHIND) is not None and layers.text_of(other, BEHIND) == str(layer.get_tattoo()):
            image.remove_layer(other)


def _add_shadow(above, layer, result, depth):
    """Add the photograph's shadow, where the result has it, just below a layer that stands over nothing else."""
    if result.shadow is None:
        return
    image = above.get_image()
    shadow = _coloured(image, layer)
    shadow.set_name(_("{layer} shadow").format(layer=layer.get_name()))
    shadow.set_opacity(above.get_opacity())
    _mix_numbers(shadow)
    image.insert_layer(shadow, above.get_parent(), image.get_item_position(above) + 1)
    shadow.set_offsets(*above.get_offsets()[1:])
    shadow.get_buffer().set_color(layers.whole(shadow), Gegl.Color.new("black"))
    shadow.update(0, 0, shadow.get_width(), shadow.get_height())
    mask = shadow.create_mask(Gimp.AddMaskType.WHITE)
    shadow.add_mask(mask)
    layers.put_plane(mask, depth, result.shadow)
    shadow.attach_parasite(Gimp.Parasite.new(SHADOW, 3, f"{above.get_tattoo()}".encode() + b"\0"))


def _remove_shadow(above):
    """Remove the shadow of a former run below a layer: the new one takes its place, or there is to be none."""
    image, parent = above.get_image(), above.get_parent()
    for other in image.get_layers() if parent is None else parent.get_children():
        if other.get_parasite(SHADOW) is not None and layers.text_of(other, SHADOW) == str(above.get_tattoo()):
            image.remove_layer(other)


def _finished_image(image, layer, result, depth):
    """Return the one layer of a new image that is a finished picture, in sRGB."""
    new = image_like(image, Gimp.ImageBaseType.RGB, result.width, result.height)
    kind = Gimp.ImageType.RGBA_IMAGE if result.channels == 4 else Gimp.ImageType.RGB_IMAGE
    name = layer.get_name()
    only = Gimp.Layer.new(new, name, result.width, result.height, kind, 100, Gimp.LayerMode.NORMAL)
    new.insert_layer(only, None, 0)
    layers.put(only, "R'G'B'A" if result.channels == 4 else "R'G'B'", depth, result.data)
    if image.get_color_profile() is not None:
        intent = Gimp.ColorRenderingIntent.RELATIVE_COLORIMETRIC
        new.convert_color_profile(Gimp.ColorProfile.new_rgb_srgb(), intent, True)
    show(new)
    return only


def image_like(image, kind, width, height):
    """Return a new image of the precision, profile and resolution of another, of which nothing can be undone yet."""
    new = Gimp.Image.new_with_precision(width, height, kind, image.get_precision())
    new.undo_disable()
    profile = image.get_color_profile()
    if profile is not None and (kind != Gimp.ImageBaseType.RGB or profile.is_rgb()):
        new.set_color_profile(profile)
    across, down = image.get_resolution()[1:]
    new.set_resolution(across, down)
    return new


def show(new):
    """Open a window with a new image, whose changes can be undone from here on."""
    new.undo_enable()
    try:
        Gimp.Display.new(new)
    except TypeError:  # a GIMP without windows makes none; the caller has the layer, and with it the image
        pass


def _new_image(image, layer, result, depth):
    kind = image.get_base_type()
    if kind == Gimp.ImageBaseType.INDEXED:  # its own palette would be a third thing to copy
        kind = Gimp.ImageBaseType.RGB
    new = image_like(image, kind, layer.get_width(), layer.get_height())
    cut = _coloured(new, layer)
    new.insert_layer(cut, None, 0)
    cut.set_opacity(100)
    _mix_numbers(cut)
    layers.put(cut, "R'G'B'A", depth, result.foreground)
    _add_mask(cut, result, depth)
    _add_shadow(cut, layer, result, depth)
    show(new)
    return cut


def _channel(image, layer, result, depth):
    """Return a new channel of the image with the matte in the layer's place."""
    name = _("{layer} cut-out").format(layer=layer.get_name())
    channel = Gimp.Channel.new(image, name, image.get_width(), image.get_height(), 50, Gegl.Color.new("black"))
    image.insert_channel(channel, None, 0)
    left, top = layer.get_offsets()[1:]
    rectangle = layers.whole(layer)
    rectangle.x, rectangle.y = left, top
    layers.put_part(channel, rectangle, depth, result.alpha)
    return channel


def _channel_mark(layer, channel):
    return f"{layer.get_tattoo()} {_digest(layers.plane(channel, None)).decode()}"


def _remove_channel(image, layer):
    """Remove a former run's channel that nobody has painted on: the new one takes its place."""
    for other in image.get_channels():
        if other.get_parasite(CHANNEL) is not None and layers.text_of(other, CHANNEL) == _channel_mark(layer, other):
            image.remove_channel(other)


def _add_mask(layer, result, depth):
    mask = layer.create_mask(Gimp.AddMaskType.WHITE)
    layer.add_mask(mask)
    layers.put_plane(mask, depth, result.alpha)
    # What is read again is what was written, unless GIMP keeps fewer bits, or more.
    plane = result.alpha if layers.is_kept_as(mask, f"Y {depth}") else layers.plane(mask, f"Y {depth}")
    mask.attach_parasite(Gimp.Parasite.new(MARK, 0, _digest(plane)))


def _is_own(mask, depth):
    """Whether the mask is one of ours that nobody has painted on: then nothing is lost with it."""
    mark = mask.get_parasite(MARK)
    return mark is not None and bytes(mark.get_data()) == _digest(layers.plane(mask, f"Y {depth}"))


def _digest(plane):
    # Text: gi takes a parasite's bytes for signed.
    return hashlib.sha256(plane).hexdigest().encode()


def _inverted(result, depth):
    """Return a result whose alpha is turned round."""
    if depth == "u8":
        return replace(result, alpha=memoryview(bytes(result.alpha).translate(bytes(range(255, -1, -1)))))
    numbers = array.array({"u16": "H", "float": "f"}[depth], bytes(result.alpha))
    most = 65535 if depth == "u16" else 1.0
    return replace(result, alpha=memoryview(array.array(numbers.typecode, (most - one for one in numbers))).cast("B"))


def _about_filters(layer):
    if any(effect.get_visible() for effect in layer.get_filters()):
        return [_("The layer's filters are not part of the new layer: merge them first to have them in it.")]
    return []
