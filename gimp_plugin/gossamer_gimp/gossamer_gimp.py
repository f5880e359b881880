#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gossamer in GIMP 3: Filters > Gossamer.

The procedures, and one run of them. What is read of GIMP's layers is in layers.py, what is asked of the worker in
cutting.py and client.py, where results go in outputs.py, and what the user sees meanwhile in preview.py and dialogs/.
All of it imports nothing but the standard library and gi.

Several selected layers are each cut out, in one undo step; everything is computed before anything is changed.
"""

import os
import sys

import gi

gi.require_version("Gimp", "3.0")
gi.require_version("Gegl", "0.4")
gi.require_version("Babl", "0.1")
from gi.repository import Gegl, Gimp, GLib, GObject  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True  # GIMP's plug-ins folder holds what was installed and nothing else
sys.path.insert(0, HERE)
import arguments  # noqa: E402
import cutting  # noqa: E402
import language  # noqa: E402
import layers  # noqa: E402
import outputs  # noqa: E402
from client import WorkerFailure  # noqa: E402
from preview import sweep  # noqa: E402
from system import end_with  # noqa: E402

MAIN = "plug-in-gossamer-remove-background"
NOW = "plug-in-gossamer-remove-background-now"
MENU = "<Image>/Filters/Gossamer"
PROCEDURES = {
    MAIN: (
        "Remove Background",
        "balanced",
        "Cut the subject out, with edges fine enough for hair",
        "Finds the subject of each selected layer and makes a new layer of it with its own colours and a mask, or a "
        "mask, a selection, a channel or an image. A preview on the canvas shows it before anything is changed. The "
        "work is done by a worker process that stays for the next pictures.",
    ),
    "plug-in-gossamer-refine-edge": (
        "Refine Edge",
        "existing",
        "Refine the edge of a mask or a selection, fine enough for hair",
        "Takes the layer's mask, else the selection, else the layer's own alpha for the subject, and solves its edge "
        "anew.",
    ),
    "plug-in-gossamer-cut-out-selection": (
        "Cut Out Selection",
        "box",
        "Cut out what lies in the selection's bounds",
        "Finds the subject that lies in the bounds of the selection, and cuts it out.",
    ),
}


class GossamerPlugIn(Gimp.PlugIn):
    """GIMP's view of the plug-in: its procedures."""

    def do_set_i18n(self, name):
        """Say where the translations lie; without this GIMP warns where there are none."""
        there = os.path.isdir(os.path.join(HERE, language.FOLDER))
        return (True, language.DOMAIN, language.FOLDER) if there else False

    def do_query_procedures(self):
        """Return the names of the procedures."""
        return [*PROCEDURES, NOW]

    def do_create_procedure(self, name):
        """Describe a procedure."""
        if name == NOW:
            return self._now(name)
        title, subject, short, long = PROCEDURES[name]
        procedure = self._described(name, self.run, short, long)
        procedure.set_menu_label(f"{title[:1]}{title[1:]}…")
        procedure.add_menu_path(MENU)
        arguments.add(procedure, subject)
        return procedure

    def _now(self, name):
        procedure = self._described(
            name,
            self.run_now,
            "Cut the subject out at once, as the last time",
            "Removes the background with the settings that were used last, or the defaults, and asks nothing.",
        )
        procedure.set_menu_label("Remove Background Now")
        procedure.add_menu_path(MENU)
        procedure.add_menu_path("<Image>/Layer")
        return procedure

    def _described(self, name, run, short, long):
        procedure = Gimp.ImageProcedure.new(self, name, Gimp.PDBProcType.PLUGIN, run, None)
        procedure.set_image_types("*")
        procedure.set_sensitivity_mask(Gimp.ProcedureSensitivityMask.DRAWABLE | Gimp.ProcedureSensitivityMask.DRAWABLES)
        procedure.set_documentation(short, long, name)
        procedure.set_attribution("Gossamer", "Gossamer", "2026")
        return procedure

    def run(self, procedure, run_mode, image, drawables, config, data):
        """Run a procedure, in all three modes."""
        end_with(os.getppid())
        Gegl.init(None)
        try:
            coverage, result = _run(procedure, run_mode, image, sweep(image, drawables), config)
        except _GivenUp:
            return procedure.new_return_values(Gimp.PDBStatusType.CANCEL, None)
        except layers.Refused as error:
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

    def run_now(self, procedure, run_mode, image, drawables, config, data):
        """Run the first procedure with its last values."""
        main = Gimp.get_pdb().lookup_procedure(MAIN)
        wanted = main.create_config()
        mode = Gimp.RunMode.NONINTERACTIVE if run_mode == Gimp.RunMode.NONINTERACTIVE else Gimp.RunMode.WITH_LAST_VALS
        wanted.set_property("run-mode", mode)
        wanted.set_property("image", image)
        wanted.set_core_object_array("drawables", drawables)
        done = main.run(wanted)
        if done.index(0) == Gimp.PDBStatusType.SUCCESS:
            return procedure.new_return_values(Gimp.PDBStatusType.SUCCESS, None)
        if done.index(0) == Gimp.PDBStatusType.CANCEL:
            return procedure.new_return_values(Gimp.PDBStatusType.CANCEL, None)
        return _failure(procedure, done.index(0), done.index(1))


class _GivenUp(Exception):
    """The user does not want it any more."""


def _run(procedure, run_mode, image, drawables, config):
    """Cut the layers out and put the results into the image; return the coverage and the layer of the first."""
    found = layers.meant(drawables)
    for layer in found:
        layers.check_shows_something(cutting.source(layer))
    ready = None
    if run_mode == Gimp.RunMode.INTERACTIVE:
        ready = _ask(procedure, config, found[0])
    output = config.get_property("output")
    for layer in found:
        layers.check_can_change(layer, outputs.changes_layer(output))
    fetch = config.get_property("fetch")
    agree = _agree if run_mode != Gimp.RunMode.NONINTERACTIVE else lambda needs: False if fetch else None
    Gimp.progress_init("Removing the background")
    sizes = [(layer.get_width(), layer.get_height()) for layer in found]
    client = (ready and ready.client) or cutting.connect(Gimp.progress_set_text)
    results = []
    with client:
        for index, layer in enumerate(found):
            left = ready if index == 0 else None
            results.append(cutting.cut(client, layer, config, agree, _share(index, len(found)), left))
    for layer, size in zip(found, sizes, strict=True):
        if not layer.is_valid() or (layer.get_width(), layer.get_height()) != size:
            raise layers.Refused("The layer was changed or removed in the meantime. Run it again.")
        layers.check_can_change(layer, outputs.changes_layer(output))
    return _placed(image, found, results, output)


def _placed(image, found, results, output):
    notes, targets = [], []
    image.undo_group_start()
    try:
        for layer, result in zip(found, results, strict=True):
            source = cutting.source(layer)
            former = layer if source != layer else None
            made_of = source if output in outputs.COLOURED else layer
            target, said = outputs.place(made_of, result, output, former if output in outputs.NEW else None)
            notes += [*said, *result.report["warnings"]]
            targets.append(target)
        if output not in outputs.ELSEWHERE:
            image.set_selected_layers(targets)  # the next brush stroke is meant for the result
    finally:
        image.undo_group_end()
    Gimp.progress_end()
    Gimp.displays_flush()
    if notes:
        Gimp.message("\n".join(dict.fromkeys(notes)))
    return min(max(results[0].report["coverage"], 0.0), 1.0), targets[0]


def _share(index, count):
    """Return what shows the progress of one layer of several."""

    def show(fraction, text):
        Gimp.progress_set_text(text if count == 1 else f"{text} ({index + 1} of {count})")
        Gimp.progress_update((index + fraction) / count)

    return show


def _ask(procedure, config, layer):
    """Show the dialog; return what it leaves for the work."""
    gi.require_version("GimpUi", "3.0")
    from gi.repository import GimpUi

    GimpUi.init(procedure.get_name())
    from dialogs.cutting_out import CuttingOut

    title = PROCEDURES[procedure.get_name()][0]
    go_on, ready = CuttingOut(procedure, config, layer, title).run()
    if not go_on:
        if ready.client is not None:
            ready.client.hang_up()
        raise _GivenUp
    return ready


def _agree(needs):
    """Ask the user whether a model may be fetched."""
    gi.require_version("GimpUi", "3.0")
    from gi.repository import GimpUi

    GimpUi.init(MAIN)
    from dialogs import consent

    agreed = consent.ask(needs)
    if agreed is None:
        raise _GivenUp
    return agreed


def _failure(procedure, status, text):
    return procedure.new_return_values(status, GLib.Error.new_literal(Gimp.PlugIn.error_quark(), text, 0))


Gimp.main(GossamerPlugIn.__gtype__, sys.argv)
