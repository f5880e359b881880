#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gossamer in GIMP 3: Filters > Gossamer > Remove Background.

The only file that knows GIMP. It reads the layer, lets the worker do the work (see client.py), and puts the
result into the image as one undo step. It imports nothing but the standard library and gi.

What it does with what it finds:

- The layer is cut out as a whole, whatever is selected, and as its own pixels are: non-destructive filters on
  it are not seen (GIMP applies them after the mask).
- Output "mask": the matte becomes the layer's mask. A mask that is there already is replaced; a message says so
  where it is not one of ours as we left it, and one undo brings it back. The layer's own alpha stays and still
  counts: it is not in the mask too.
- Output "layer": a new layer above, with the subject's own colours, the layer's own alpha and the matte as
  its mask. The layer itself keeps its pixels and its mask, and is hidden so that the cut-out can be seen.
- Colours are read and written in the layer's own colour space and depth; in an indexed image the new layer's
  colours are those of the palette that come nearest.
"""

import hashlib
import json
import os
import sys

import gi

gi.require_version("Gimp", "3.0")
gi.require_version("Gegl", "0.4")
gi.require_version("Babl", "0.1")
from gi.repository import Babl, Gegl, Gimp, GLib, GObject  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True  # GIMP's plug-ins folder holds what was installed and nothing else
sys.path.insert(0, HERE)
from client import Client, Picture, Settings, WorkerFailure  # noqa: E402

MARK = "gossamer-matte"
PROCEDURE = "plug-in-gossamer-remove-background"
TITLE = "Remove Background"
OUTPUTS = (
    ("mask", "Layer mask", "The matte becomes the mask of the layer; a mask that it has is replaced."),
    ("layer", "New layer", "A layer above with the subject's own colours and the matte as its mask."),
)
DEPTHS = {Gimp.Precision.U8_NON_LINEAR: ("u8", "u8"), Gimp.Precision.U16_NON_LINEAR: ("u16", "u16")}
DEEP = ("float32", "float")


class Refused(Exception):
    """The call makes no sense as it is; the text is for people."""


class GossamerPlugIn(Gimp.PlugIn):
    """GIMP's view of the plug-in: one procedure."""

    def do_set_i18n(self, name):
        """No translations yet: without this GIMP warns of a missing folder."""
        return False

    def do_query_procedures(self):
        """Return the names of the procedures."""
        return [PROCEDURE]

    def do_create_procedure(self, name):
        """Describe the procedure: its arguments are those of parameters.json, with the library's defaults."""
        procedure = Gimp.ImageProcedure.new(self, name, Gimp.PDBProcType.PLUGIN, self.run, None)
        procedure.set_image_types("*")
        procedure.set_sensitivity_mask(Gimp.ProcedureSensitivityMask.DRAWABLE)
        procedure.set_menu_label(f"_{TITLE}…")
        procedure.add_menu_path("<Image>/Filters/Gossamer")
        procedure.set_documentation(
            "Cut the subject out, with edges fine enough for hair",
            "Finds the subject of the layer and makes a layer mask of it, or a new layer with the subject's own "
            "colours and its mask. The selection is not taken into account. The work is done by a worker "
            "process that stays for the next pictures.",
            name,
        )
        procedure.set_attribution("Gossamer", "Gossamer", "2026")
        with open(os.path.join(HERE, "parameters.json"), encoding="utf-8") as file:
            known = json.load(file)
        _add_choice(
            procedure,
            "model",
            "_Model",
            "What finds the subject; Automatic takes the best that is installed.",
            [("auto", "Automatic", "")] + [(model["id"], model["title"], "") for model in known["models"]],
            "auto",
        )
        _add_choice(procedure, "output", "O_utput", "Where the result goes.", OUTPUTS, "mask")
        used = set("muorsclh")  # Model, Output, and the dialog's own buttons
        for argument in known["arguments"]:
            _add_argument(procedure, argument, used)
        procedure.add_double_return_value(
            "coverage",
            "Coverage",
            "The part of the layer that is foreground",
            0.0,
            1.0,
            0.0,
            GObject.ParamFlags.READWRITE,
        )
        procedure.add_layer_return_value(
            "layer", "Layer", "The layer that has the result", False, GObject.ParamFlags.READWRITE
        )
        return procedure

    def run(self, procedure, run_mode, image, drawables, config, data):
        """Run the procedure, in all three modes."""
        try:
            layer = _only_layer(drawables)
            if run_mode == Gimp.RunMode.INTERACTIVE and not _ask(procedure, config):
                return procedure.new_return_values(Gimp.PDBStatusType.CANCEL, None)
            output = config.get_property("output")
            _check(layer, output)
            coverage, result = _remove_background(image, layer, output, config)
        except Refused as error:
            return _failure(procedure, Gimp.PDBStatusType.CALLING_ERROR, str(error))
        except WorkerFailure as error:
            return _failure(procedure, Gimp.PDBStatusType.EXECUTION_ERROR, str(error))
        except Exception as error:  # uncaught, it would reach nobody but stderr
            text = f"The plug-in failed, please report it: {type(error).__name__}: {error}"
            return _failure(procedure, Gimp.PDBStatusType.EXECUTION_ERROR, text)
        values = procedure.new_return_values(Gimp.PDBStatusType.SUCCESS, None)
        for index, value in enumerate(
            (GObject.Value(GObject.TYPE_DOUBLE, coverage), GObject.Value(Gimp.Layer, result)), 1
        ):
            values.remove(index)
            values.insert(index, value)
        return values


def _add_argument(procedure, argument, used):
    name = argument["name"].replace("_", "-")
    title = _with_mnemonic(argument["title"], used) if _is_main(argument) else argument["title"]
    unit = f" ({argument['unit']})" if argument["unit"] else ""
    text, flags, default = argument["help"], GObject.ParamFlags.READWRITE, argument["default"]
    low, high = argument["minimum"], argument["maximum"]
    kind = argument["kind"]
    if kind == "choice":
        _add_choice(
            procedure, name, title, text, [(choice, _label(choice), "") for choice in argument["choices"]], default
        )
    elif kind == "bool":
        procedure.add_boolean_argument(name, title, text, default, flags)
    elif kind == "int":
        limits = (-(2**31) if low is None else int(low), 2**31 - 1 if high is None else int(high))
        procedure.add_int_argument(name, title + unit, text, *limits, default, flags)
    elif kind == "float":
        limits = (-GLib.MAXDOUBLE if low is None else low, GLib.MAXDOUBLE if high is None else high)
        procedure.add_double_argument(name, title + unit, text, *limits, default, flags)
    else:
        procedure.add_string_argument(name, title, text, default, flags)


def _add_choice(procedure, name, title, text, choices, default):
    choice = Gimp.Choice.new()
    for number, (nick, label, explained) in enumerate(choices):
        choice.add(nick, number, label, explained)
    procedure.add_choice_argument(name, title, text, choice, default, GObject.ParamFlags.READWRITE)


def _is_main(argument):
    """Whether it is the setting that says how its stage works; it has the stage's own name."""
    return argument["name"] == argument["stage"]


def _label(choice):
    return choice if len(choice) < 3 else choice.replace("_", " ").capitalize()  # "px" is a unit


def _with_mnemonic(title, used):
    """Put an underscore before the first letter that no other argument has as its key."""
    for index, letter in enumerate(title.lower()):
        if letter.isalpha() and letter not in used:
            used.add(letter)
            return f"{title[:index]}_{title[index:]}"
    return title


def _own_arguments():
    """Return the flat names of the library's settings, as parameters.json has them."""
    with open(os.path.join(HERE, "parameters.json"), encoding="utf-8") as file:
        return json.load(file)["arguments"]


def _ask(procedure, config):
    """Show the dialog; return whether to go on."""
    gi.require_version("GimpUi", "3.0")
    from gi.repository import GimpUi

    GimpUi.init(PROCEDURE)
    dialog = GimpUi.ProcedureDialog.new(procedure, config, TITLE)
    _fill(dialog, config, _own_arguments())
    go_on = dialog.run()
    dialog.destroy()
    return go_on


def _fill(dialog, config, arguments):
    """Lay the dialog out: what people choose between first, and every stage's details folded away below it."""
    rows = ["model", "output", *(argument["name"].replace("_", "-") for argument in arguments if _is_main(argument))]
    details = {}
    for argument in arguments:
        if not _is_main(argument):
            details.setdefault(argument["stage"], []).append(argument)
    for stage, own in details.items():
        names = [argument["name"].replace("_", "-") for argument in own]
        dialog.get_label(f"{stage}-title", f"{stage.capitalize()} details", False, False)
        dialog.fill_box(f"{stage}-details", names)
        dialog.fill_expander(f"{stage}-expander", f"{stage}-title", False, f"{stage}-details")
        rows.append(f"{stage}-expander")
    dialog.fill(rows)
    _link_stages(dialog, config, arguments)


def _link_stages(dialog, config, arguments):
    """Grey out the settings of a stage while its method is "none"."""
    methods = {argument["stage"]: argument for argument in arguments if _is_main(argument)}
    for argument in arguments:
        method = methods.get(argument["stage"])
        if method is None or method is argument or "none" not in method["choices"]:
            continue
        none = Gimp.ValueArray.new(1)
        none.append(GObject.Value(GObject.TYPE_STRING, "none"))
        dialog.set_sensitive_if_in(argument["name"].replace("_", "-"), config, method["name"], none, False)


def _failure(procedure, status, text):
    return procedure.new_return_values(status, GLib.Error.new_literal(Gimp.PlugIn.error_quark(), text, 0))


def _only_layer(drawables):
    """Return the one layer that is meant; the mask of a layer stands for its layer."""
    if len(drawables) != 1:
        raise Refused(f"Select one layer: {len(drawables) or 'none'} {'are' if drawables else 'is'} selected.")
    drawable = drawables[0]
    if isinstance(drawable, Gimp.LayerMask):
        drawable = Gimp.Layer.from_mask(drawable)
    if not isinstance(drawable, Gimp.Layer):
        raise Refused("Select a layer: a channel has no background to remove.")
    if drawable.is_floating_sel():
        raise Refused("Anchor the floating selection first, or make a layer of it.")
    return drawable


def _check(layer, output):
    """Refuse what GIMP would end the plug-in for: changes to what is locked."""
    items = [layer] if output == "mask" else []
    parent = layer.get_parent()
    while parent is not None:
        items.append(parent)
        parent = parent.get_parent()
    for item in items:
        if item.get_lock_content():
            raise Refused(f'"{item.get_name()}" is locked. Unlock its pixels in the Layers dialog and try again.')


def _remove_background(image, layer, output, config):
    """Cut the subject out and put the result into the image; return the coverage and the layer that has it."""
    Gimp.progress_init("Removing the background")
    width, height = layer.get_width(), layer.get_height()
    wants_layer = output == "layer"
    dtype, depth = DEPTHS.get(image.get_precision(), DEEP)
    with_alpha = wants_layer and layer.has_alpha()
    pixels = _read(layer, "R'G'B'A" if with_alpha else "R'G'B'", depth)
    names = [argument["name"] for argument in _own_arguments()]
    options = {name: config.get_property(name.replace("_", "-")) for name in names}
    picture = Picture(width, height, 4 if with_alpha else 3, dtype, pixels)
    del pixels
    with Client(Settings.read(HERE), status=Gimp.progress_set_text) as worker:
        result = worker.remove(
            picture,
            options,
            model=config.get_property("model"),
            foreground=wants_layer,
            existing_alpha="keep",
            progress=_show,
        )
    if not layer.is_valid() or (layer.get_width(), layer.get_height()) != (width, height):
        raise Refused("The layer was changed or removed in the meantime. Run it again.")
    _check(layer, output)
    notes = [*_about_weights(result.report["fetched"]), *result.report["warnings"]]
    image.undo_group_start()
    try:
        target = layer
        if wants_layer:
            target = _add_layer(image, layer, result, depth)
            notes += _about_filters(layer)
        elif layer.get_mask() is not None:
            if not _is_own_mask(layer.get_mask(), depth):
                notes.append("The mask that the layer had was replaced: Edit > Undo brings it back.")
            layer.remove_mask(Gimp.MaskApplyMode.DISCARD)
        _add_mask(target, result, depth)
    finally:
        image.undo_group_end()
    Gimp.progress_end()
    Gimp.displays_flush()
    if notes:
        Gimp.message("\n".join(notes))
    return min(max(result.report["coverage"], 0.0), 1.0), target


def _show(fraction, text):
    Gimp.progress_set_text(text)
    Gimp.progress_update(fraction)


def _add_layer(image, layer, result, depth):
    """Put a layer with the subject's colours above `layer`, and hide that one."""
    kinds = {
        Gimp.ImageBaseType.RGB: Gimp.ImageType.RGBA_IMAGE,
        Gimp.ImageBaseType.GRAY: Gimp.ImageType.GRAYA_IMAGE,
        Gimp.ImageBaseType.INDEXED: Gimp.ImageType.INDEXEDA_IMAGE,
    }
    new = Gimp.Layer.new(
        image,
        f"{layer.get_name()} cut-out",
        layer.get_width(),
        layer.get_height(),
        kinds[image.get_base_type()],
        layer.get_opacity(),
        layer.get_mode() if not layer.is_group() else Gimp.LayerMode.NORMAL,
    )
    _, left, top = layer.get_offsets()
    new.set_offsets(left, top)
    image.insert_layer(new, layer.get_parent(), image.get_item_position(layer))
    size = layer.get_width() * layer.get_height() * {"u8": 1, "u16": 2, "float": 4}[depth]
    channels = len(result.foreground) // size
    _write(new, "R'G'B'A" if channels == 4 else "R'G'B'", depth, result.foreground)
    if not layer.get_lock_visibility():
        layer.set_visible(False)
    return new


def _add_mask(layer, result, depth):
    mask = layer.create_mask(Gimp.AddMaskType.WHITE)
    layer.add_mask(mask)
    rectangle = Gegl.Rectangle.new(0, 0, layer.get_width(), layer.get_height())
    buffer = mask.get_buffer()
    buffer.set(rectangle, f"Y {depth}", bytes(result.alpha))  # a mask's numbers are linear: Y, not Y'
    buffer.flush()
    mask.update(0, 0, layer.get_width(), layer.get_height())
    mask.attach_parasite(Gimp.Parasite.new(MARK, 0, _digest(mask, depth)))


def _is_own_mask(mask, depth):
    """Whether the mask is one of ours that nobody has painted on: then nothing is lost with it."""
    mark = mask.get_parasite(MARK)
    return mark is not None and bytes(mark.get_data()) == _digest(mask, depth)


def _digest(mask, depth):
    rectangle = Gegl.Rectangle.new(0, 0, mask.get_width(), mask.get_height())
    pixels = mask.get_buffer().get(rectangle, 1.0, f"Y {depth}", Gegl.AbyssPolicy.CLAMP)
    return hashlib.sha256(pixels).hexdigest().encode()  # text: gi takes a parasite's bytes for signed


def _about_weights(fetched):
    if fetched is None:
        return []
    size = f"{fetched['bytes'] / 1e6:.0f} MB"
    return [f"The model {fetched['title']} was fetched ({size}, licence {fetched['licence']})."]


def _about_filters(layer):
    if any(effect.get_visible() for effect in layer.get_filters()):
        return ["The layer's filters are not part of the new layer: merge them first to have them in it."]
    return []


def _read(layer, encoding, depth):
    rectangle = Gegl.Rectangle.new(0, 0, layer.get_width(), layer.get_height())
    return layer.get_buffer().get(rectangle, 1.0, _format(layer, encoding, depth), Gegl.AbyssPolicy.CLAMP)


def _write(layer, encoding, depth, data):
    width, height = layer.get_width(), layer.get_height()
    buffer = layer.get_buffer()
    buffer.set(Gegl.Rectangle.new(0, 0, width, height), _format(layer, encoding, depth), bytes(data))
    buffer.flush()
    layer.update(0, 0, width, height)


def _format(layer, encoding, depth):
    """Return the name of a pixel format in the layer's own colour space.

    A bare "R'G'B' u8" means sRGB: wide-gamut colours would be converted on the way out, and cut off on the
    way back. With the layer's space the numbers are those in the file, as everywhere in Gossamer.
    """
    space = Babl.format_get_space(layer.get_format())
    return Babl.get_name(Babl.format_with_space(f"{encoding} {depth}", space))


Gimp.main(GossamerPlugIn.__gtype__, sys.argv)
