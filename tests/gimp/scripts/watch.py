"""Runs inside a GIMP with windows: does what the driver outside asks for, through files in $SHARE."""

import json
import os
import time
import traceback
import zlib

import gi

gi.require_version("Gegl", "0.4")
from gi.repository import Gegl, Gimp  # noqa: E402

SHARE = os.environ["SHARE"]


def look():
    """Say what is in the image, and save the mask and the pixels of its first layer.

    A copy is looked at, which GIMP makes in one step: it ends whoever reads a layer that goes meanwhile.
    """
    image, images = Gimp.get_images()[0], len(Gimp.get_images())
    still = image.duplicate()
    try:
        layers = still.get_layers()
        shown = next((layer for layer in layers if layer.get_name() == "Preview"), layers[0])
        mask = shown.get_mask()
        rectangle = Gegl.Rectangle.new(0, 0, still.get_width(), still.get_height())
        seen = {"mask": b""}
        for name, drawable, encoding in (("mask", mask, "Y u8"), ("pixels", shown, "R'G'B' u8")):
            if drawable is not None:
                data = drawable.get_buffer().get(rectangle, 1.0, encoding, Gegl.AbyssPolicy.CLAMP)
                with open(os.path.join(SHARE, f"look.{name}"), "wb") as file:
                    file.write(data)
                seen[name] = data
        return {
            "layers": [layer.get_name() for layer in layers],
            "mask": mask is not None,
            "darkest": min(seen["mask"], default=0),
            "lightest": max(seen["mask"], default=0),
            "visible": [layer.get_visible() for layer in layers],
            "selected": [layer.get_name() for layer in still.get_selected_layers()],
            "selection": not Gimp.Selection.is_empty(still),
            "selected pixels": _count_selected(still, rectangle),
            "channels": len(still.get_channels()),
            "digest": zlib.crc32(seen["mask"]),
            "images": images,
            "size": [image.get_width(), image.get_height()],
            "dirty": image.is_dirty(),
            "undo": image.undo_is_enabled(),
        }
    finally:
        still.delete()


def _count_selected(image, rectangle):
    plane = image.get_selection().get_buffer().get(rectangle, 1.0, "Y u8", Gegl.AbyssPolicy.NONE)
    return len(plane) - plane.count(0)


def select():
    """Select a rectangle, as a user would have."""
    image = Gimp.get_images()[0]
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 10, 20, 30, 40)
    image.clean_all()
    Gimp.displays_flush()
    return look()


def blacken():
    """Paint the mask black, as a user would have painted one, in one undo step."""
    layer = Gimp.get_images()[0].get_layers()[0]
    Gimp.context_set_foreground(Gegl.Color.new("black"))
    layer.get_mask().fill(Gimp.FillType.FOREGROUND)
    Gimp.displays_flush()
    return look()


def name():
    """Name the layer otherwise, as a user would have: a step of undo."""
    image = Gimp.get_images()[0]
    image.get_layers()[0].set_name("named")
    Gimp.displays_flush()
    return look()


PAINTED = Gegl.Rectangle.new(190, 140, 20, 20)
kept = {}


def colour():
    """Say what colour the first layer has where it is painted."""
    pixel = Gegl.Rectangle.new(PAINTED.x + 10, PAINTED.y + 10, 1, 1)
    buffer = Gimp.get_images()[0].get_layers()[0].get_buffer()
    return {"colour": list(buffer.get(pixel, 1.0, "R'G'B' u8", Gegl.AbyssPolicy.NONE))}


def paint():
    """Paint a blue square upon the layer, the lowest."""
    layer = Gimp.get_images()[0].get_layers()[-1]
    buffer = layer.get_buffer()
    kept["pixels"] = buffer.get(PAINTED, 1.0, "R'G'B' u8", Gegl.AbyssPolicy.NONE)
    return _painted(layer, bytes((0, 0, 255)) * 400)


def unpaint():
    """Paint there what was there."""
    return _painted(Gimp.get_images()[0].get_layers()[-1], kept["pixels"])


def _painted(layer, pixels):
    buffer = layer.get_buffer()
    buffer.set(PAINTED, "R'G'B' u8", pixels)
    buffer.flush()
    layer.update(PAINTED.x, PAINTED.y, PAINTED.width, PAINTED.height)
    Gimp.displays_flush()
    return {"colour": list(pixels[:3])}


def crop():
    """Crop the image, with the layers in it."""
    Gimp.get_images()[0].crop(200, 180, 20, 10)
    Gimp.displays_flush()
    return {}


def double():
    """Put a second layer above the first, and select both."""
    image = Gimp.get_images()[0]
    other = image.get_layers()[0].copy()
    image.insert_layer(other, None, 0)
    other.set_name("other")
    image.set_selected_layers(image.get_layers())
    Gimp.displays_flush()
    return look()


def single():
    """Take the second layer away again, and select a rectangle."""
    image = Gimp.get_images()[0]
    image.remove_layer(image.get_layers()[0])
    image.set_selected_layers(image.get_layers())
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 120, 10, 300, 280)
    Gimp.displays_flush()
    return look()


def clipboard():
    """Say what text is on the clipboard."""
    gi.require_version("Gtk", "3.0")
    from gi.repository import Gdk, Gtk

    Gtk.init([])
    return {"text": Gtk.Clipboard.get(Gdk.SELECTION_CLIPBOARD).wait_for_text()}


def text():
    """Cut a layer of text out, as a script would, to its mask and to a new layer; say what came of it."""
    image, found = Gimp.get_images()[0], {}
    Gimp.Selection.none(image)
    layer = Gimp.TextLayer.new(image, "Fine hair", Gimp.context_get_font(), 90, Gimp.Unit.pixel())
    image.insert_layer(layer, None, 0)
    layer.set_offsets(-30, 240)  # partly beside the image
    procedure = Gimp.get_pdb().lookup_procedure("plug-in-gossamer-remove-background")
    for output in ("mask", "layer"):
        config = procedure.create_config()
        config.set_property("image", image)
        config.set_core_object_array("drawables", [layer])
        for option, value in (("subject", "existing"), ("matting", "none"), ("output", output)):
            config.set_property(option, value)
        result = procedure.run(config)
        if result.index(0) != Gimp.PDBStatusType.SUCCESS:
            return {"fault": result.index(1)}
        new = result.index(2)
        rectangle = Gegl.Rectangle.new(0, 0, layer.get_width(), layer.get_height())
        alphas = [
            drawable.get_buffer().get(rectangle, 1.0, encoding, Gegl.AbyssPolicy.CLAMP)
            for drawable, encoding in ((new.get_mask(), "Y u8"), (layer, "A u8"), (new, "A u8"))
        ]
        found[output] = {
            "kinds": [type(one).__name__ for one in (new, layer)],
            "offsets": [one.get_offsets()[1:] for one in (new, layer)],
            "text": layer.get_text(),
            "visible": layer.get_visible(),
            "inked": sum(alphas[1]) / 255 / len(alphas[1]),
            "same": [one == alphas[1] for one in alphas],
        }
        new.remove_mask(Gimp.MaskApplyMode.DISCARD)
    return found


ANSWERS = {
    one.__name__: one
    for one in (look, blacken, select, name, colour, paint, unpaint, crop, double, single, clipboard, text)
}
question, answer = os.path.join(SHARE, "question"), os.path.join(SHARE, "answer")
while True:
    time.sleep(0.05)
    if not os.path.exists(question):
        continue
    with open(question) as file:
        asked = file.read()
    os.remove(question)
    if asked == "quit":
        break
    try:
        said = ANSWERS[asked]()
    except Exception:
        said = {"fault": traceback.format_exc()}
    with open(answer + ".part", "w") as file:
        json.dump(said, file)
    os.rename(answer + ".part", answer)
