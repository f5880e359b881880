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
from gi.repository import Gimp, GLib, GObject  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True  # GIMP's plug-ins folder holds what was installed and nothing else
sys.path.insert(0, HERE)
import animation  # noqa: E402
import arguments  # noqa: E402
import cutting  # noqa: E402
import environment  # noqa: E402
import extraction  # noqa: E402
import installer  # noqa: E402
import language  # noqa: E402
import layers  # noqa: E402
import outputs  # noqa: E402
from client import WorkerFailure  # noqa: E402
from language import N_, _  # noqa: E402
from preview import sweep  # noqa: E402
from system import end_with  # noqa: E402

MAIN = "plug-in-gossamer-remove-background"
NOW = "plug-in-gossamer-remove-background-now"
SET_UP = "plug-in-gossamer-set-up"
EXTRACT = "plug-in-gossamer-extract-with-gimp"
MENU = "<Image>/Filters/Gossamer"
PROCEDURES = {
    MAIN: (
        N_("Remove Background"),
        "balanced",
        N_("Cut the subject out, with edges fine enough for hair"),
        N_(
            "Finds the subject of each selected layer and makes a new layer of it with its own colours and a mask, or "
            "a mask, a selection, a channel or an image. A preview on the canvas shows it before anything is changed. "
            "The work is done by a worker process that stays for the next pictures."
        ),
    ),
    "plug-in-gossamer-refine-edge": (
        N_("Refine Edge"),
        "existing",
        N_("Refine the edge of a mask or a selection, fine enough for hair"),
        N_(
            "Takes the layer's mask, else the selection, else the layer's own alpha for the subject, and solves its "
            "edge anew."
        ),
    ),
    "plug-in-gossamer-cut-out-selection": (
        N_("Cut Out Selection"),
        "box",
        N_("Cut out what lies in the selection's bounds"),
        N_("Finds the subject that lies in the bounds of the selection, and cuts it out."),
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
        return [*PROCEDURES, NOW, animation.NAME, SET_UP, EXTRACT]

    def do_create_procedure(self, name):
        """Describe a procedure."""
        if name == NOW:
            return self._now(name)
        if name == SET_UP:
            return self._set_up(name)
        if name == animation.NAME:
            procedure = self._described(name, self.run_animation, _(animation.SHORT), _(animation.LONG))
            procedure.set_menu_label(f"{_(animation.TITLE)}…")
            procedure.add_menu_path(MENU)
            arguments.add_to_animation(procedure)
            return procedure
        if name == EXTRACT:
            return self._described(name, self.run_extraction, _(extraction.SHORT), _(extraction.LONG))
        title, subject, short, long = PROCEDURES[name]
        procedure = self._described(name, self.run, _(short), _(long))
        procedure.set_menu_label(f"{_(title)}…")
        procedure.add_menu_path(MENU)
        arguments.add(procedure, subject)
        return procedure

    def _now(self, name):
        procedure = self._described(
            name,
            self.run_now,
            _("Cut the subject out at once, as the last time"),
            _("Removes the background with the settings that were used last, or the defaults, and asks nothing."),
        )
        procedure.set_menu_label(_("Remove Background Now"))
        procedure.add_menu_path(MENU)
        procedure.add_menu_path("<Image>/Layer")
        return procedure

    def _set_up(self, name):
        procedure = Gimp.Procedure.new(self, name, Gimp.PDBProcType.PLUGIN, self.run_set_up, None)
        procedure.set_documentation(
            _("Set Gossamer up, without a terminal"),
            _(
                "Builds the environment in which Gossamer works, fetches and removes models, and shows versions, "
                "devices, folders and the worker. Without a dialog it builds the environment."
            ),
            name,
        )
        procedure.set_attribution("Gossamer", "Gossamer", "2026")
        procedure.set_menu_label(_("Set-up…"))
        procedure.add_menu_path(MENU)
        flags = GObject.ParamFlags.READWRITE
        mode = Gimp.RunMode.NONINTERACTIVE
        procedure.add_enum_argument("run-mode", _("Run mode"), _("The run mode"), Gimp.RunMode, mode, flags)
        text = _("The Python of the environment")
        procedure.add_string_return_value("python", _("Python"), text, "", flags)
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
        layers.prepare()

        def work():
            meant = sweep(image, drawables)
            if run_mode != Gimp.RunMode.NONINTERACTIVE and not environment.is_set_up(HERE):
                _offer(image, meant)
            return _run(procedure, run_mode, image, meant, config)

        done, failure = _tried(procedure, work)
        if failure is not None:
            return failure
        coverage, result = done
        values = procedure.new_return_values(Gimp.PDBStatusType.SUCCESS, None)
        for index, value in enumerate(
            (GObject.Value(GObject.TYPE_DOUBLE, coverage), GObject.Value(Gimp.Layer, result)), 1
        ):
            values.remove(index)
            values.insert(index, value)
        return values

    def run_animation(self, procedure, run_mode, image, drawables, config, data):
        """Cut the subject out of all layers, as frames."""
        end_with(os.getppid())
        layers.prepare()

        def work():
            if run_mode != Gimp.RunMode.NONINTERACTIVE and not environment.is_set_up(HERE) and not _show_set_up():
                raise _GivenUp
            sweep(image, drawables)
            if run_mode == Gimp.RunMode.INTERACTIVE:
                _ask_plainly(procedure, config)
            return _animated(run_mode, image, config)

        new, failure = _tried(procedure, work)
        if failure is not None:
            return failure
        values = procedure.new_return_values(Gimp.PDBStatusType.SUCCESS, None)
        values.remove(1)
        values.insert(1, GObject.Value(Gimp.Image, new))
        return values

    def run_set_up(self, procedure, config, data):
        """Show the set-up, or, without a dialog, build the environment."""
        try:
            if config.get_property("run-mode") == Gimp.RunMode.NONINTERACTIVE:
                worker = installer.Installer(HERE, lambda fraction, text: None)
                end_with(os.getppid(), worker.cancel)
                python = worker.run().python
            else:
                python = _show_set_up()
        except installer.SetUpFailure as error:
            return _failure(procedure, Gimp.PDBStatusType.EXECUTION_ERROR, str(error))
        except Exception as error:
            text = _("The plug-in failed, please report it: {fault}").format(fault=f"{type(error).__name__}: {error}")
            return _failure(procedure, Gimp.PDBStatusType.EXECUTION_ERROR, text)
        values = procedure.new_return_values(Gimp.PDBStatusType.SUCCESS, None)
        values.remove(1)
        values.insert(1, GObject.Value(GObject.TYPE_STRING, python))
        return values

    def run_extraction(self, procedure, run_mode, image, drawables, config, data):
        """Cut out with what GIMP itself has."""
        layers.prepare()
        try:
            extraction.cut(image, sweep(image, drawables))
        except layers.Refused as error:
            return _failure(procedure, Gimp.PDBStatusType.CALLING_ERROR, str(error))
        return procedure.new_return_values(Gimp.PDBStatusType.SUCCESS, None)

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


def _tried(procedure, work):
    """Return what some work gives and None, or None and what its procedure returns where it went wrong."""
    try:
        return work(), None
    except _GivenUp:
        return None, procedure.new_return_values(Gimp.PDBStatusType.CANCEL, None)
    except layers.Refused as error:
        return None, _failure(procedure, Gimp.PDBStatusType.CALLING_ERROR, str(error))
    except WorkerFailure as error:
        return None, _failure(procedure, Gimp.PDBStatusType.EXECUTION_ERROR, cutting.said(str(error)))
    except Exception as error:  # uncaught, it would reach nobody but stderr
        text = _("The plug-in failed, please report it: {fault}").format(fault=f"{type(error).__name__}: {error}")
        return None, _failure(procedure, Gimp.PDBStatusType.EXECUTION_ERROR, text)


class _GivenUp(Exception):
    """The user does not want it any more."""


def _offer(image, drawables):
    """Where nothing is set up yet: offer to do that, or to go without; returns when it is set up."""
    gi.require_version("GimpUi", "3.0")
    from gi.repository import GimpUi

    GimpUi.init(SET_UP)
    from dialogs import set_up

    wanted = set_up.offer()
    if wanted == set_up.EXTRACT:
        extraction.cut(image, drawables)
    if wanted != set_up.SET_UP or not _show_set_up():
        raise _GivenUp


def _show_set_up():
    """Show the set-up; return the Python that the worker runs in, "" where there is none."""
    gi.require_version("GimpUi", "3.0")
    from gi.repository import GimpUi

    GimpUi.init(SET_UP)
    from dialogs.set_up import SettingUp

    return SettingUp(HERE).run()


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
    agree = _agreeing(run_mode, config)
    Gimp.progress_init(_("Removing the background"))
    sizes = [(layer.get_width(), layer.get_height()) for layer in found]
    client = (ready and ready.client) or cutting.connect(Gimp.progress_set_text)
    results = []
    try:
        with client:
            for index, layer in enumerate(found):
                left = ready if index == 0 else None
                results.append(cutting.cut(client, layer, config, agree, _share(index, len(found)), left))
        for layer, size in zip(found, sizes, strict=True):
            if not layer.is_valid() or (layer.get_width(), layer.get_height()) != size:
                raise layers.Refused(_(cutting.CHANGED))
            layers.check_can_change(layer, outputs.changes_layer(output))
    except BaseException:
        for result in results:
            outputs.discard(result)
        raise
    return _placed(image, found, results, output)


def _animated(run_mode, image, config):
    """Cut the frames out; return the new image."""
    Gimp.progress_init(_("Removing the background"))

    def show(fraction, text):
        Gimp.progress_set_text(cutting.said(text))
        Gimp.progress_update(fraction)

    with cutting.connect(Gimp.progress_set_text) as client:
        new, notes = animation.cut(client, image, config, _agreeing(run_mode, config), show)
    Gimp.progress_end()
    Gimp.displays_flush()
    if notes:
        Gimp.message("\n".join(dict.fromkeys(notes)))
    return new


def _agreeing(run_mode, config):
    """Return what says whether a model may be fetched."""
    fetch = config.get_property("fetch")
    return _agree if run_mode != Gimp.RunMode.NONINTERACTIVE else lambda needs: False if fetch else None


def _placed(image, found, results, output):
    notes, targets = [], []
    image.undo_group_start()
    try:
        for layer, result in zip(found, results, strict=True):
            source = cutting.source(layer)
            former = layer if source != layer else None
            made_of = source if output in outputs.COLOURED else layer
            target, said = outputs.place(made_of, result, output, former if output in outputs.NEW else None)
            notes += [*said, *map(cutting.said, result.report["warnings"])]
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
        text = cutting.said(text)
        if count > 1:
            text = _("{work} ({number} of {count})").format(work=text, number=index + 1, count=count)
        Gimp.progress_set_text(text)
        Gimp.progress_update((index + fraction) / count)

    return show


def _ask(procedure, config, layer):
    """Show the dialog; return what it leaves for the work."""
    gi.require_version("GimpUi", "3.0")
    from gi.repository import GimpUi

    GimpUi.init(procedure.get_name())
    from dialogs.cutting_out import CuttingOut

    title = _(PROCEDURES[procedure.get_name()][0])
    go_on, ready = CuttingOut(procedure, config, layer, title).run()
    if not go_on:
        if ready.client is not None:
            ready.client.hang_up()
        raise _GivenUp
    return ready


def _ask_plainly(procedure, config):
    """Show the arguments in GIMP's own dialog."""
    gi.require_version("GimpUi", "3.0")
    from gi.repository import GimpUi

    GimpUi.init(procedure.get_name())
    from dialogs.help import take_over_help

    dialog = GimpUi.ProcedureDialog.new(procedure, config, _(animation.TITLE))
    take_over_help(dialog)
    dialog.fill(["subject", "model", *(name.replace("_", "-") for name in arguments.ANIMATED)])
    go_on = dialog.run()
    dialog.destroy()
    if not go_on:
        raise _GivenUp


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
