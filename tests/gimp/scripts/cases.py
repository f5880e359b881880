"""Runs inside GIMP: works through the cases and leaves facts.json and planes of pixels in $SHARE."""

import json
import os
import traceback

import gi

gi.require_version("Gegl", "0.4")
from gi.repository import Gegl, Gimp, Gio  # noqa: E402

SHARE = os.environ["SHARE"]
NAME = "plug-in-gossamer-remove-background"
PLUG_IN = os.path.join(os.environ["GIMP3_DIRECTORY"], "plug-ins", "gossamer_gimp")
RECORD = os.path.join(PLUG_IN, "worker.json")
BREAKS_OFF = os.path.join(os.environ["SCRIPTS"], "breaks_off.py")
facts = {}


def load(name):
    return Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path(os.path.join(SHARE, name)))


def run(case, image, drawables, **options):
    """Run the plug-in as a script would, and note how it ended."""
    config = Gimp.get_pdb().lookup_procedure(NAME).create_config()
    config.set_property("image", image)
    config.set_core_object_array("drawables", drawables)
    for option, value in {"model": "u2netp", "output": "mask", **options}.items():
        config.set_property(option.replace("_", "-"), value)
    result = Gimp.get_pdb().lookup_procedure(NAME).run(config)
    fact = facts.setdefault(case, {"planes": {}})
    fact["status"] = result.index(0).value_nick
    if result.index(0) == Gimp.PDBStatusType.SUCCESS:
        fact["coverage"] = result.index(1)
        fact["layer"] = result.index(2).get_name()
        return result.index(2)
    fact["error"] = result.index(1)
    return None


def save(case, name, drawable, encoding):
    """Save a drawable's pixels, e.g. as "R'G'B' u8"; in the image's own colour space where encoding is None."""
    width, height = drawable.get_width(), drawable.get_height()
    rectangle = Gegl.Rectangle.new(0, 0, width, height)
    data = drawable.get_buffer().get(rectangle, 1.0, encoding, Gegl.AbyssPolicy.CLAMP)
    with open(os.path.join(SHARE, f"{case}.{name}"), "wb") as file:
        file.write(data)
    kind = "u1" if encoding is None else {"u8": "u1", "u16": "u2", "float": "f4"}[encoding.split()[1]]
    channels = len(data) // (width * height * int(kind[1]))
    facts.setdefault(case, {"planes": {}})["planes"][name] = (kind, height, width, channels)


def describe(layer):
    parent = layer.get_parent()
    mask = layer.get_mask()
    return {
        "name": layer.get_name(),
        "offsets": layer.get_offsets()[1:],
        "size": [layer.get_width(), layer.get_height()],
        "visible": layer.get_visible(),
        "opacity": layer.get_opacity(),
        "parent": parent.get_name() if parent else None,
        "mask": None if mask is None else [mask.get_width(), mask.get_height(), *mask.get_offsets()[1:]],
        "applied": layer.get_apply_mask(),
    }


def stack(image, layers=None):
    """Return every layer from top to bottom, groups with what is in them."""
    found = []
    for layer in image.get_layers() if layers is None else layers:
        found.append(describe(layer))
        if layer.is_group():
            found += stack(image, layer.get_children())
    return found


# Workers that cannot start come first: later one is running.


def no_worker():
    with open(RECORD) as file:
        good = file.read()
    record = json.loads(good)
    broken = {
        "no_record": None,
        "bad_record": "{",
        "other_protocol": json.dumps({**record, "protocol": 99}),
        "python_gone": json.dumps({**record, "python": "/nowhere/bin/python"}),
        "gossamer_gone": json.dumps({**record, "python": "/usr/bin/python3"}),
        "breaks_off": json.dumps({**record, "python": "/usr/bin/python3", "flags": [BREAKS_OFF]}),
    }
    image = load("cat.png")
    for case, text in broken.items():
        os.remove(RECORD)
        if text is not None:
            with open(RECORD, "w") as file:
                file.write(text)
        try:
            run(case, image, image.get_layers(), output="layer" if case == "breaks_off" else "mask")
        finally:
            with open(RECORD, "w") as file:
                file.write(good)
        facts[case]["stack"] = stack(image)
    image.delete()


def plain():
    image = load("cat.png")
    layer = run("plain", image, image.get_layers())
    save("plain", "mask", layer.get_mask(), "Y u8")
    save("plain", "layer", layer, "R'G'B' u8")
    facts["plain"]["stack"] = stack(image)
    image.delete()


def options():
    image = load("cat.png")
    layer = run("options", image, image.get_layers(), matting="closed_form", matting_band=6)
    save("options", "mask", layer.get_mask(), "Y u8")
    image.delete()


def place():
    """A layer with offsets, in a group, above another layer, with a selection that must not matter."""
    image = Gimp.Image.new(600, 400, Gimp.ImageBaseType.RGB)
    below = Gimp.Layer.new(image, "below", 600, 400, Gimp.ImageType.RGB_IMAGE, 100, Gimp.LayerMode.NORMAL)
    image.insert_layer(below, None, 0)
    group = Gimp.GroupLayer.new(image, "group")
    image.insert_layer(group, None, 0)
    cat = load("cat.png")
    layer = Gimp.Layer.new_from_drawable(cat.get_layers()[0], image)
    layer.set_name("cat")
    image.insert_layer(layer, group, 0)
    layer.set_offsets(170, -31)
    layer.set_opacity(60)
    cat.delete()
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 200, 50, 40, 30)
    run("place", image, [layer])
    save("place", "mask", layer.get_mask(), "Y u8")
    facts["place"]["stack"] = stack(image)
    new = run("place_layer", image, [layer], output="layer")
    save("place_layer", "mask", new.get_mask(), "Y u8")
    save("place_layer", "layer", new, "R'G'B'A u8")
    facts["place_layer"]["stack"] = stack(image)
    result = run("group", image, [group])
    save("group", "mask", result.get_mask(), "Y u8")
    image.delete()


def kinds():
    """Grey, indexed, 16 bits, linear float, and a wide-gamut profile."""
    image = load("astronaut.png")
    image.convert_grayscale()
    layer = image.get_layers()[0]
    save("grey", "source", layer, "R'G'B' u8")
    run("grey", image, [layer])
    save("grey", "mask", layer.get_mask(), "Y u8")
    new = run("grey", image, [layer], output="layer")
    save("grey", "layer", new, "R'G'B' u8")
    image.delete()

    image = load("cat.png")
    image.convert_indexed(Gimp.ConvertDitherType.NONE, Gimp.ConvertPaletteType.GENERATE, 64, False, False, "")
    layer = image.get_layers()[0]
    save("indexed", "source", layer, "R'G'B' u8")
    run("indexed", image, [layer])
    save("indexed", "mask", layer.get_mask(), "Y u8")
    new = run("indexed", image, [layer], output="layer")
    save("indexed", "layer", new, "R'G'B' u8")
    image.delete()

    for case, precision, depth in (
        ("u16", None, "u16"),
        ("float_linear", Gimp.Precision.FLOAT_LINEAR, "float"),
        ("half", Gimp.Precision.HALF_NON_LINEAR, "float"),
        ("u8_linear", Gimp.Precision.U8_LINEAR, "u8"),
        ("u32", Gimp.Precision.U32_LINEAR, "float"),
    ):
        image = load("cat16.png")
        if precision is not None:
            image.convert_precision(precision)
        layer = image.get_layers()[0]
        facts.setdefault(case, {"planes": {}})["precision"] = image.get_precision().value_nick
        save(case, "source", layer, "R'G'B' float")
        # What is asked is how deep numbers are: with two of them decisions of a matte's edge change with the last bit.
        plain = {"matting": "none"} if case in ("u16", "float_linear") else {}
        new = run(case, image, [layer], output="layer", **plain)
        save(case, "layer", new, "R'G'B' float")
        save(case, "mask", new.get_mask(), f"Y {depth}")
        image.delete()

    image = load("cat.png")
    image.set_color_profile(Gimp.ColorProfile.new_rgb_adobe())
    layer = image.get_layers()[0]
    save("adobe", "source", layer, None)
    new = run("adobe", image, [layer], output="layer", foreground="none")
    save("adobe", "layer", new, None)
    save("adobe", "mask", new.get_mask(), "Y u8")
    image.delete()


def new_layer():
    image = load("cat.png")
    layer = image.get_layers()[0]
    new = run("new_layer", image, [layer], output="layer", foreground_radius=60)
    save("new_layer", "layer", new, "R'G'B'A u8")
    save("new_layer", "mask", new.get_mask(), "Y u8")
    save("new_layer", "original", layer, "R'G'B' u8")
    facts["new_layer"]["stack"] = stack(image)
    facts["new_layer"]["selected"] = [one.get_name() for one in image.get_selected_layers()]
    again = run("again", image, image.get_selected_layers(), output="layer", foreground_radius=60)
    save("again", "mask", again.get_mask(), "Y u8")
    save("again", "layer", again, "R'G'B'A u8")
    facts["again"]["stack"] = stack(image)
    facts["again"]["selected"] = [one.get_name() for one in image.get_selected_layers()]
    image.delete()


def alpha():
    image = load("alpha.png")
    layer = image.get_layers()[0]
    save("alpha", "before", layer, "R'G'B'A u8")
    run("alpha", image, [layer])
    save("alpha", "mask", layer.get_mask(), "Y u8")
    save("alpha", "after", layer, "R'G'B'A u8")
    new = run("alpha", image, [layer], output="layer")
    save("alpha", "layer", new, "R'G'B'A u8")
    save("alpha", "new_mask", new.get_mask(), "Y u8")
    image.delete()


def masks():
    """A mask that is there already; and the mask itself as what is selected."""
    image = load("cat.png")
    layer = image.get_layers()[0]
    layer.add_mask(layer.create_mask(Gimp.AddMaskType.BLACK))
    layer.set_apply_mask(False)
    run("masked", image, [layer])
    save("masked", "mask", layer.get_mask(), "Y u8")
    facts["masked"]["stack"] = stack(image)
    run("mask_selected", image, [layer.get_mask()])
    save("mask_selected", "mask", layer.get_mask(), "Y u8")
    image.delete()


def refusals():
    image = load("cat.png")
    layer = image.get_layers()[0]
    layer.set_lock_content(True)
    run("locked", image, [layer])
    facts["locked"]["stack"] = stack(image)
    run("locked_layer", image, [layer], output="layer")
    facts["locked_layer"]["stack"] = stack(image)
    image.delete()

    image = load("cat.png")
    layer = image.get_layers()[0]
    group = Gimp.GroupLayer.new(image, "group")
    image.insert_layer(group, None, 0)
    image.reorder_item(layer, group, 0)
    group.set_lock_content(True)
    run("locked_group", image, [layer])
    run("locked_group_layer", image, [layer], output="layer")
    facts["locked_group"]["stack"] = stack(image)
    image.delete()

    image = load("cat.png")
    layer = image.get_layers()[0]
    run("none", image, [])
    other = layer.copy()
    image.insert_layer(other, None, 0)
    channel = Gimp.Channel.new_from_component(image, Gimp.ChannelType.RED, "red")
    image.insert_channel(channel, None, 0)
    run("channel", image, [channel])
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 10, 10, 100, 100)
    floating = Gimp.Selection.float(image, [layer], 0, 0)
    run("floating", image, [floating])
    image.delete()


def several():
    """Two layers at once, and what has no subject."""
    image = load("cat.png")
    image.get_layers()[0].set_name("one")
    other = Gimp.Layer.new_from_drawable(load("astronaut.png").get_layers()[0], image)
    image.insert_layer(other, None, 0)
    other.set_name("two")
    run("two", image, image.get_layers(), output="layer")
    facts["two"]["stack"] = stack(image)
    facts["two"]["selected"] = [one.get_name() for one in image.get_selected_layers()]
    for layer in image.get_layers():
        if layer.get_name() == "one cut-out":
            save("two", "mask", layer.get_mask(), "Y u8")
    clear = Gimp.Layer.new(image, "clear", 300, 200, Gimp.ImageType.RGBA_IMAGE, 100, Gimp.LayerMode.NORMAL)
    image.insert_layer(clear, None, 0)
    run("transparent", image, [clear])
    group = Gimp.GroupLayer.new(image, "hollow")
    image.insert_layer(group, None, 0)
    run("empty_group", image, [group])
    image.delete()


def outputs():
    """The other places where a matte can go, and what it can be made of."""
    for output in ("selection", "channel", "image"):
        image = load("cat.png")
        case = f"to_{output}"
        layer = run(case, image, image.get_layers(), output=output)
        if output == "selection":
            save(case, "plane", image.get_selection(), "Y u8")
        elif output == "channel":
            save(case, "plane", image.get_channels()[0], "Y' u8")  # its own numbers
        else:
            save(case, "plane", layer.get_mask(), "Y u8")
            save(case, "colours", layer, "R'G'B' u8")
            layer.get_image().delete()
        facts[case]["stack"] = stack(image)
        image.delete()
    for output in ("mask-add", "mask-intersect", "mask-subtract"):
        image = load("cat.png")
        layer = image.get_layers()[0]
        image.select_rectangle(Gimp.ChannelOps.REPLACE, 0, 0, 200, 300)
        layer.add_mask(layer.create_mask(Gimp.AddMaskType.SELECTION))
        Gimp.Selection.none(image)
        run(output, image, [layer], output=output)
        save(output, "mask", layer.get_mask(), "Y u8")
        image.delete()


def partly():
    """A layer that lies partly beside the image, above and to the left, then below and to the right: twice each."""
    for case, deep, place in (("partly", False, (-60, -40)), ("partly_deep", True, (70, 50))):
        image = load("cat16.png" if deep else "cat.png")
        layer, depth = image.get_layers()[0], "u16" if deep else "u8"
        run(case, image, [layer])
        save(case, "mask", layer.get_mask(), f"Y {depth}")
        layer.remove_mask(Gimp.MaskApplyMode.DISCARD)
        layer.set_offsets(*place)
        facts[case]["place"] = place
        for output in ("selection", "channel", "channel"):
            run(case, image, [layer], output=output)
        save(case, "selection", image.get_selection(), f"Y {depth}")
        (channel,) = image.get_channels()  # the second took the place of the first
        save(case, "channel", channel, "Y u16" if deep else "Y' u8")  # its own numbers
        channel.fill(Gimp.FillType.WHITE)
        run(case, image, [layer], output="channel")
        facts[case]["channels"] = [one.get_name() for one in image.get_channels()]  # what was painted on stays
        image.delete()


def subjects():
    """The selection as a box, as a limit, and as the subject; a mask that is refined; and none of them."""
    image = load("cat.png")
    layer = image.get_layers()[0]
    layer.set_offsets(30, 20)
    run("no_box", image, [layer], subject="box")
    run("nothing_to_refine", image, [layer], subject="existing")
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 130, 20, 250, 280)
    run("limit", image, [layer], subject="limit", matting="none")
    save("limit", "mask", layer.get_mask(), "Y u8")
    layer.remove_mask(Gimp.MaskApplyMode.DISCARD)
    run("box", image, [layer], subject="box")
    layer.remove_mask(Gimp.MaskApplyMode.DISCARD)
    run("existing", image, [layer], subject="existing", matting="none")
    save("existing", "mask", layer.get_mask(), "Y u8")
    run("refined", image, [layer], subject="existing", matting="none", refinement_shift_edge=-5)
    save("refined", "mask", layer.get_mask(), "Y u8")
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 0, 0, 20, 10)
    run("beside", image, [layer], subject="limit")
    image.delete()


def marked():
    """Marks and a trimap on layers and channels, strokes of the refine brush, words; and what is missing."""
    image = load("cat.png")
    layer = image.get_layers()[0]
    layer.set_offsets(30, 20)
    run("no_marks", image, [layer], subject="scribbles")
    run("no_trimap", image, [layer], subject="trimap")
    run("no_words", image, [layer], subject="text")
    run("no_reader", image, [layer], subject="text", text="the cat")
    marks = Gimp.Layer.new(image, "marks", 451, 300, Gimp.ImageType.RGBA_IMAGE, 100, Gimp.LayerMode.NORMAL)
    image.insert_layer(marks, None, 0)
    marks.set_offsets(30, 20)
    for colour, box in (("white", (150, 60, 60, 120)), ("black", (0, 240, 40, 50))):
        marks.get_buffer().set_color(Gegl.Rectangle.new(*box), Gegl.Color.new(colour))
    marks.update(0, 0, 451, 300)
    run("marks", image, [layer], subject="scribbles", marks=marks, matting="none")
    save("marks", "mask", layer.get_mask(), "Y u8")
    layer.remove_mask(Gimp.MaskApplyMode.DISCARD)
    trimap = Gimp.Channel.new(image, "trimap", image.get_width(), image.get_height(), 50, Gegl.Color.new("black"))
    image.insert_channel(trimap, None, 0)
    values = bytes(255 if 200 <= x < 400 else 128 if 150 <= x < 450 else 0 for x in range(image.get_width()))
    whole = Gegl.Rectangle.new(0, 0, image.get_width(), image.get_height())
    trimap.get_buffer().set(whole, "Y' u8", values * image.get_height())
    run("trimap", image, [layer], subject="trimap", marks=trimap)
    save("trimap", "mask", layer.get_mask(), "Y u8")
    layer.remove_mask(Gimp.MaskApplyMode.DISCARD)
    strokes = Gimp.Layer.new(image, "strokes", 60, 40, Gimp.ImageType.RGBA_IMAGE, 100, Gimp.LayerMode.NORMAL)
    image.insert_layer(strokes, None, 0)
    strokes.set_offsets(30 + 20, 20 + 150)
    strokes.fill(Gimp.FillType.WHITE)
    run("strokes", image, [layer], strokes=strokes)
    save("strokes", "mask", layer.get_mask(), "Y u8")
    image.delete()


def filled_in():
    """The subject and what is behind it as two layers, once more; and finished for a shop."""
    image = load("cat.png")
    layer = image.get_layers()[0]
    run("layers", image, [layer], output="layers")
    new = run("layers", image, image.get_selected_layers(), output="layers")
    facts["layers"]["stack"] = stack(image)
    save("layers", "front", new, "R'G'B' u8")
    save("layers", "mask", new.get_mask(), "Y u8")
    save("layers", "behind", image.get_layers()[1], "R'G'B' u8")
    run("layers", image, image.get_selected_layers(), output="layer")
    facts["layers"]["stack after"] = stack(image)
    only = run("finished", image, [layer], output="finished", preset="google-merchant")
    save("finished", "picture", only, "R'G'B' u8")
    finished = only.get_image()
    facts["finished"]["layers"] = [one.get_name() for one in finished.get_layers()]
    facts["finished"]["stack"] = stack(image)
    finished.delete()
    new = run("kept_colours", image, [layer], output="layer", foreground_decontaminate=0.0)
    save("kept_colours", "layer", new, "R'G'B' u8")
    image.delete()


def shadows():
    """A disc and its shadow before a wall: as a layer of its own, seen over white and over green; again, and not."""
    for case, output in (("shadow", "layer"), ("shadow_mask", "mask"), ("shadow_image", "image")):
        image = load("product.png")
        (layer,) = image.get_layers()
        image.select_ellipse(Gimp.ChannelOps.REPLACE, 160, 100, 181, 181)
        wanted = {"subject": "existing", "matting": "none", "foreground": "none", "foreground_shadow": "keep"}
        new = run(case, image, [layer], output=output, **wanted)
        Gimp.Selection.none(image)
        made = new.get_image()
        facts[case]["stack"] = stack(made)
        save(case, "mask", new.get_mask(), "Y u8")
        for colour in ("white", "#00b140"):
            below = Gimp.Layer.new(
                made, "below", new.get_width(), new.get_height(), Gimp.ImageType.RGB_IMAGE, 100, Gimp.LayerMode.NORMAL
            )
            made.insert_layer(below, None, len(made.get_layers()))
            below.get_buffer().set_color(Gegl.Rectangle.new(0, 0, 560, 420), Gegl.Color.new(colour))
            below.update(0, 0, 560, 420)
            seen = Gimp.Layer.new_from_visible(made, made, "seen")
            save(case, colour, seen, "R'G'B'A u8")
            made.remove_layer(below)
        if output == "layer":
            new = run(case, image, [new], output=output, **wanted)
            facts[case]["again"] = stack(image)
            run(case, image, [new], output=output, **{**wanted, "foreground_shadow": "none"})
            facts[case]["without"] = stack(image)
        if made != image:
            made.delete()
        image.delete()
    image = load("cat.png")
    run("shadow_unknown", image, image.get_layers(), output="layer", foreground_shadow="keep")
    facts["shadow_unknown"]["stack"] = stack(image)
    image.delete()


def special():
    """Layers that are more than pixels: with a filter, and, in GIMP 3.2, linked to a file or of a path."""
    image = load("cat.png")
    layer = image.get_layers()[0]
    blur = Gimp.DrawableFilter.new(layer, "gegl:gaussian-blur", "")
    blur.get_config().set_property("std-dev-x", 9.0)
    layer.append_filter(blur)
    new = run("filtered", image, [layer], output="layer")
    save("filtered", "mask", new.get_mask(), "Y u8")
    facts["filtered"]["filters"] = len(layer.get_filters())
    image.delete()

    image = Gimp.Image.new(451, 300, Gimp.ImageBaseType.RGB)
    found = {}
    if hasattr(Gimp, "LinkLayer"):
        found["link"] = Gimp.LinkLayer.new(image, Gio.File.new_for_path(os.path.join(SHARE, "cat.png")))
        path = Gimp.Path.new(image, "heart")
        path.bezier_stroke_new_ellipse(220, 150, 120, 90, 0)
        image.insert_path(path, None, 0)
        found["vector"] = Gimp.VectorLayer.new(image, path)
    for kind, layer in found.items():
        image.insert_layer(layer, None, 0)
        if kind == "vector":
            layer.refresh()
        subject = "balanced" if kind == "link" else "existing"
        new = run(kind, image, [layer], output="layer", subject=subject, matting="none")
        if new is not None:
            save(kind, "mask", new.get_mask(), "Y u8")
            save(kind, "alpha", layer, "A u8")
            facts[kind]["kind"] = type(layer).__name__
    image.delete()


def now():
    """The procedure without a dialog, as a script calls it."""
    image = load("cat.png")
    procedure = Gimp.get_pdb().lookup_procedure(NAME + "-now")
    config = procedure.create_config()
    config.set_property("image", image)
    config.set_core_object_array("drawables", image.get_layers())
    facts["now"] = {"status": procedure.run(config).index(0).value_nick, "planes": {}, "stack": stack(image)}
    image.delete()


def extracted():
    """GIMP's own extraction of a hidden layer that lies partly beside the image and has a mask."""
    image = load("cat.png")
    layer = image.get_layers()[0]
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 0, 0, 225, 300)
    layer.add_mask(layer.create_mask(Gimp.AddMaskType.SELECTION))
    layer.set_offsets(-40, 10)
    layer.set_visible(False)
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 60, 40, 300, 220)
    procedure = Gimp.get_pdb().lookup_procedure("plug-in-gossamer-extract-with-gimp")
    config = procedure.create_config()
    config.set_property("image", image)
    config.set_core_object_array("drawables", [layer])
    facts["extracted"] = {"status": procedure.run(config).index(0).value_nick, "planes": {}, "stack": stack(image)}
    new = image.get_selected_layers()[0]
    save("extracted", "mask", new.get_mask(), "Y u8")
    save("extracted", "alpha", new, "A u8")
    save("extracted", "former", layer.get_mask(), "Y u8")
    image.delete()


def animation():
    """Three layers as frames: a whole one, a part that lies upon it, and one that replaces both."""
    image = load("cat.png")
    (first,) = image.get_layers()
    first.set_name("one (40ms)")
    part = Gimp.Layer.new(image, "two (80ms) (combine)", 60, 50, Gimp.ImageType.RGBA_IMAGE, 100, Gimp.LayerMode.NORMAL)
    image.insert_layer(part, None, 0)
    part.set_offsets(20, 30)
    part.fill(Gimp.FillType.WHITE)
    last = Gimp.Layer.new_from_drawable(first, image)
    last.set_name("three (replace)")
    image.insert_layer(last, None, 0)
    last.transform_flip_simple(Gimp.OrientationType.HORIZONTAL, True, 0)
    before = stack(image)
    procedure = Gimp.get_pdb().lookup_procedure("plug-in-gossamer-cut-out-animation")
    for case, model in (("animation", "u2netp"), ("animation_missing", "birefnet-general")):
        config = procedure.create_config()
        config.set_property("image", image)
        config.set_core_object_array("drawables", [first])
        config.set_property("model", model)
        result = procedure.run(config)
        facts[case] = {"status": result.index(0).value_nick, "planes": {}, "kept": stack(image) == before}
        if result.index(0) != Gimp.PDBStatusType.SUCCESS:
            facts[case]["error"] = result.index(1)
            continue
        new = result.index(1)
        facts[case]["stack"] = stack(new)
        for number, layer in enumerate(reversed(new.get_layers())):
            save(case, f"frame-{number}", layer, "R'G'B'A u8")
        new.delete()
    for layer in (part, last):
        image.remove_layer(layer)
    config = procedure.create_config()
    config.set_property("image", image)
    config.set_core_object_array("drawables", [first])
    result = procedure.run(config)
    facts["no_animation"] = {"status": result.index(0).value_nick, "planes": {}, "error": result.index(1)}
    image.delete()


def missing():
    """A model that is not here is not fetched unasked."""
    image = load("cat.png")
    run("missing", image, image.get_layers(), model="birefnet-general")
    facts["missing"]["stack"] = stack(image)
    image.delete()


def script_fu():
    """A wrong option, and a run, from the other language that scripts are written in."""
    evaluate = Gimp.get_pdb().lookup_procedure("plug-in-script-fu-eval")
    for case, option in {
        "fu": '#:model "u2netp"',
        "fu_band": "#:matting-band 0",
    }.items():
        script = (
            f'(let* ((image (car (gimp-file-load RUN-NONINTERACTIVE "{SHARE}/cat.png"))))'
            f"({NAME} #:run-mode RUN-NONINTERACTIVE #:image image"
            f" #:drawables (car (gimp-image-get-layers image)) {option})"
            f' (gimp-file-save RUN-NONINTERACTIVE image "{SHARE}/{case}.png"))'
        )
        config = evaluate.create_config()
        config.set_property("script", script)
        result = evaluate.run(config)
        facts[case] = {"status": result.index(0).value_nick, "planes": {}}
        if result.index(0) != Gimp.PDBStatusType.SUCCESS:
            facts[case]["error"] = result.index(1)


def arguments():
    procedure = Gimp.get_pdb().lookup_procedure(NAME)
    assert procedure is not None, "the plug-in is not registered"
    facts["arguments"] = {
        "defaults": {spec.name: spec.get_default_value() for spec in procedure.get_arguments()},
        "limits": {
            spec.name: [spec.minimum, spec.maximum] for spec in procedure.get_arguments() if hasattr(spec, "minimum")
        },
        "version": [int(part) for part in Gimp.version().split(".")[:2]],
        "menu": procedure.get_menu_paths(),
        "label": procedure.get_menu_label(),
    }


for part in (
    arguments, no_worker, plain, options, place, kinds, new_layer, alpha, masks, refusals, several, outputs, partly,
    subjects, marked, filled_in, shadows, special, now, extracted, animation, missing, script_fu
):  # fmt: skip
    try:
        part()
    except Exception:
        facts.setdefault("faults", {})[part.__name__] = traceback.format_exc()
facts["files"] = sorted(
    os.path.relpath(os.path.join(folder, name), PLUG_IN).replace(os.sep, "/")
    for folder, _, names in os.walk(PLUG_IN)
    for name in names
)
with open(os.path.join(SHARE, "facts.json"), "w") as file:
    json.dump(facts, file, default=str)
print("GIMP-TEST-OK")
