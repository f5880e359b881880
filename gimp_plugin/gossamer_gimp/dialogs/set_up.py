# SPDX-License-Identifier: GPL-3.0-or-later
"""The set-up's dialog: the environment, the models, the worker, and a report of it all to copy."""

import json
import os
import platform

import cutting
import environment
import gi
import installer
import system
from client import Client, socket_path
from dialogs.aside import aside
from dialogs.building import Building
from dialogs.models import Models, gossamer
from language import _
from record import Settings

gi.require_version("Gtk", "3.0")
from gi.repository import Gdk, Gimp, Gtk  # noqa: E402

SET_UP, EXTRACT = 1, 2
"""What is wanted where nothing is set up yet."""

_REPORT = 3


def offer():
    """Say that nothing is set up yet; return SET_UP, EXTRACT, or None for neither."""
    dialog = Gtk.MessageDialog(
        message_type=Gtk.MessageType.QUESTION,
        text=_("Gossamer is not set up yet."),
        secondary_text=_(
            "It works in an environment of its own, which Filters > Gossamer > Set-up… builds, without a terminal. "
            "Until then GIMP's own foreground extraction can cut out what is selected."
        ),
    )
    dialog.add_button(_("_Cancel"), Gtk.ResponseType.CANCEL)
    dialog.add_button(_("GIMP's _Own Extraction"), EXTRACT)
    dialog.add_button(_("_Set Up…"), SET_UP)
    dialog.set_default_response(SET_UP)
    answer = dialog.run()
    dialog.destroy()
    while Gtk.events_pending():
        Gtk.main_iteration()
    return answer if answer in (SET_UP, EXTRACT) else None


class SettingUp:
    """The dialog.

    Parameters
    ----------
    folder : str
        The plug-in's.
    """

    def __init__(self, folder):
        self._folder = folder
        self._examined = None
        self._dialog = Gtk.Dialog(title=_("Set Up Gossamer"))
        self._dialog.set_role("gossamer-set-up")
        self._dialog.add_button(_("Copy _Report"), _REPORT)
        self._dialog.add_button(_("_Close"), Gtk.ResponseType.CLOSE)
        self._dialog.connect("response", self._on_response)
        self._dialog.connect("delete-event", lambda *_event: self._building.busy)
        self._building = Building(folder, self._on_built)
        self._models = Models(self._dialog)
        box = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=12, border_width=12)
        box.pack_start(self._building, False, False, 0)
        self._rest = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=12)
        self._rest.set_no_show_all(True)
        self._rest.pack_start(_framed(_("Models"), self._models), True, True, 0)
        self._rest.pack_start(_framed(_("Worker"), self._worker_row()), False, False, 0)
        self._rest.pack_start(self._details(), False, False, 0)
        box.pack_start(self._rest, True, True, 0)
        self._dialog.get_content_area().pack_start(box, True, True, 0)
        self._dialog.set_default_size(560, -1)

    def run(self):
        """Show it until it is closed; return the Python that the worker runs in, "" where there is none."""
        system.end_with(os.getppid(), self._building.give_up)
        self._dialog.show_all()
        if environment.is_set_up(self._folder):
            self._on_built()
        while self._dialog.run() == _REPORT or self._building.busy:
            pass
        self._models.hang_up()
        self._dialog.destroy()
        return Settings.read(self._folder).python if environment.is_set_up(self._folder) else ""

    def _worker_row(self):
        row = Gtk.Box(spacing=12)
        self._worker = Gtk.Label(xalign=0, wrap=True)
        self._restart = Gtk.Button.new_with_mnemonic(_("Res_tart"))
        self._restart.connect("clicked", lambda _button: self._on_restart())
        row.pack_start(self._worker, True, True, 0)
        row.pack_end(self._restart, False, False, 0)
        return row

    def _details(self):
        self._text = Gtk.Label(xalign=0, yalign=0, wrap=True, selectable=True)
        scrolled = Gtk.ScrolledWindow(hscrollbar_policy=Gtk.PolicyType.NEVER, shadow_type=Gtk.ShadowType.IN)
        scrolled.set_min_content_height(110)
        scrolled.add(self._text)
        expander = Gtk.Expander.new_with_mnemonic(_("_Versions, devices and folders"))
        expander.add(scrolled)
        return expander

    def _on_built(self):
        """Show what there is to say of a Gossamer that is set up."""
        self._rest.set_no_show_all(False)
        self._rest.show_all()
        self._models.look()
        self._look_at_worker()
        aside(lambda: json.loads(gossamer("doctor", "--json")), self._on_examined)

    def _look_at_worker(self):
        aside(_worker_state, self._on_worker)

    def _on_worker(self, state, error):
        if error is not None:
            self._worker.set_text(str(error))
        elif state is None:
            self._worker.set_text(_("It does not run: it starts with the next picture."))
        else:
            told = _("It works on a picture (process {pid}).") if state["busy"] else _("It waits (process {pid}).")
            self._worker.set_text(told.format(pid=state["pid"]))
        self._restart.set_sensitive(True)

    def _on_restart(self):
        self._restart.set_sensitive(False)
        self._worker.set_text(_("Restarting"))
        self._models.hang_up()

        def work():
            client = _connected()
            if client is not None:
                client.shutdown()
            with cutting.connect(lambda text: None) as client:
                return client.ping()

        def done(state, error):
            self._on_worker(state, error)
            self._models.look()

        aside(work, done)

    def _on_examined(self, examined, error):
        self._examined = examined
        self._text.set_text(str(error) if error is not None else "\n".join(_lines(examined)))
        self._look_at_worker()  # it runs by now: the models were asked of it

    def _on_response(self, dialog, response):
        if response == _REPORT:
            clipboard = Gtk.Clipboard.get(Gdk.SELECTION_CLIPBOARD)
            clipboard.set_text(report(self._folder, self._examined), -1)
            clipboard.store()
        elif self._building.busy:
            self._building.give_up()


def _framed(title, widget):
    frame = Gtk.Frame(label=title, shadow_type=Gtk.ShadowType.NONE)
    frame.get_label_widget().set_markup(f"<b>{title}</b>")
    widget.set_margin_start(12)
    widget.set_margin_top(6)
    frame.add(widget)
    return frame


def _connected():
    """Return a line to the worker that runs, or None where none does: it is not started for that."""
    path = socket_path()
    try:
        line = system.connect(path, 5.0) if system.is_private(os.path.dirname(path)) else None
    except OSError:
        return None
    if line is None:
        return None
    line.close()
    return Client(Settings.read(cutting.HERE), path)


def _worker_state():
    client = _connected()
    if client is None:
        return None
    with client:
        return client.ping()


def _lines(examined):
    """Return what the examination says, for people."""
    lines = [f"Gossamer {examined['gossamer']}, Python {examined['python']}"]
    lines += [f"{name} {version}" for name, version in examined["packages"].items()]
    for device in examined["devices"]:
        here = _("available") if device["available"] else _("not available")
        lines.append(f"{device['device']}: {here} ({device['note']})")
    lines += [folder["path"] for folder in examined["models"].get("folders", ()) if folder["exists"]]
    lines.append(cutting.HERE)
    lines.append(installer.log_path())
    return lines + list(examined["problems"])


def report(folder, examined):
    """Return all that helps to find a fault, in English and for a message to us."""
    edition = environment.edition(folder)
    lines = [
        f"GIMP {Gimp.version()}, {platform.platform()}, Python {platform.python_version()}",
        f"Plug-in of Gossamer {edition.gossamer} in {folder}, wheel beside it: {edition.wheel or 'none'}",
        f"Set up: {environment.is_set_up(folder)}",
    ]
    for path in (os.path.join(folder, "worker.json"), installer.log_path(), _worker_log()):
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                lines += [f"--- {path}", *file.read().splitlines()[-30:]]
        except OSError:
            lines.append(f"--- {path}: none")
    if examined is not None:
        lines += ["--- doctor", json.dumps(examined, indent=1)]
    return "\n".join(lines) + "\n"


def _worker_log():
    return os.path.join(os.path.dirname(socket_path()), "worker.log")
