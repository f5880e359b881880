# SPDX-License-Identifier: GPL-3.0-or-later
"""The dialog's row of the user's own presets: choose one, save what is set under a name, delete one."""

import arguments
from collection import MOST_LETTERS, Collection, Unreadable
from gi.repository import Gimp, Gtk
from language import _

_NONE = ""


class Presets(Gtk.Box):
    """Chooses, saves and deletes; what is chosen is what is set, whoever set it.

    Parameters
    ----------
    config : Gimp.ProcedureConfig
    window : Gtk.Window
        Above which names are asked for.
    on_chosen : callable
        ``on_chosen(settings)``, the values by the names of the arguments.
    """

    def __init__(self, config, window, on_chosen):
        super().__init__(spacing=6)
        self._config, self._window, self._on_chosen = config, window, on_chosen
        self._collection = Collection(Gimp.directory())
        self._names = arguments.kept()
        self._known, self._fault, self._filling = {}, "", False
        label = Gtk.Label.new_with_mnemonic(_("_Your presets"))
        self._chooser = Gtk.ComboBoxText(tooltip_text=_("Your own presets: all that is set here, under a name."))
        label.set_mnemonic_widget(self._chooser)
        self._chooser.connect("changed", lambda _widget: self._on_changed())
        self._save = Gtk.Button.new_with_mnemonic(_("_Save…"))
        self._save.connect("clicked", lambda _widget: self._on_save())
        self._delete = Gtk.Button.new_with_mnemonic(_("De_lete"))
        self._delete.connect("clicked", lambda _widget: self._on_delete())
        for widget, wide in ((label, False), (self._chooser, True), (self._save, False), (self._delete, False)):
            self.pack_start(widget, wide, wide, 0)
        self._read()

    def show_what_is_set(self):
        """Show the name of the preset that is what is set now, or none."""
        now = self._settings()
        names = [name for name, settings in self._known.items() if settings and now | self._fitting(settings) == now]
        chosen = self._chooser.get_active_id()
        self._filling = True
        self._chooser.set_active_id(chosen if chosen in names else names[0] if names else _NONE)
        self._filling = False
        self._delete.set_sensitive(self._chooser.get_active_id() not in (None, _NONE))

    def _settings(self):
        return {name: self._config.get_property(name) for name in self._names}

    def _fitting(self, settings):
        """Return what of a preset there is still a setting for, and a value that it takes."""
        known = {name: value for name, value in settings.items() if name in self._names}
        return {name: value for name, value in known.items() if _takes(self._config, name, value)}

    def _read(self):
        try:
            self._known, self._fault = self._collection.all(), ""
        except Unreadable as error:
            self._known, self._fault = {}, str(error)
        self._filling = True
        self._chooser.remove_all()
        self._chooser.append(_NONE, _("None of them"))
        for name in self._known:
            self._chooser.append(name, name)
        self._filling = False
        self.show_what_is_set()

    def _on_changed(self):
        settings = self._known.get(self._chooser.get_active_id())
        if settings is not None and not self._filling:
            self._on_chosen(self._fitting(settings))

    def _on_save(self):
        if self._fault:
            self._tell(self._fault)
            return
        name = self._ask_name()
        if name is not None:
            self._change(lambda: self._collection.save(name, self._settings()))

    def _on_delete(self):
        name = self._chooser.get_active_id()
        asked = Gtk.MessageDialog(
            transient_for=self._window,
            modal=True,
            message_type=Gtk.MessageType.QUESTION,
            text=_("Delete the preset {name}?").format(name=name),
            secondary_text=_("What is set in the dialog stays as it is."),
        )
        asked.add_button(_("_Cancel"), Gtk.ResponseType.CANCEL)
        asked.add_button(_("De_lete"), Gtk.ResponseType.OK)
        asked.set_default_response(Gtk.ResponseType.OK)
        answer = asked.run()
        asked.destroy()
        if answer == Gtk.ResponseType.OK:
            self._change(lambda: self._collection.delete(name))

    def _change(self, change):
        try:
            change()
        except Unreadable as error:
            self._tell(str(error))
        self._read()

    def _ask_name(self):
        """Ask for a name; return None where the user does not want it any more."""
        dialog = Gtk.Dialog(title=_("Save Preset"), transient_for=self._window, modal=True)
        dialog.add_button(_("_Cancel"), Gtk.ResponseType.CANCEL)
        save = dialog.add_button(_("_Save"), Gtk.ResponseType.OK)
        dialog.set_default_response(Gtk.ResponseType.OK)
        box = dialog.get_content_area()
        box.set_border_width(12)
        box.set_spacing(6)
        label = Gtk.Label.new_with_mnemonic(_("_Name of the preset"))
        label.set_xalign(0)
        entry = Gtk.Entry(activates_default=True, max_length=MOST_LETTERS, width_chars=32)
        label.set_mnemonic_widget(entry)
        there = Gtk.Label(xalign=0)
        for widget in (label, entry, there):
            box.pack_start(widget, False, False, 0)

        def look(_entry):
            name = entry.get_text().strip()
            save.set_sensitive(bool(name))
            there.set_text(_("A preset has this name: it is replaced.") if name in self._known else "")

        entry.connect("changed", look)
        entry.set_text(self._chooser.get_active_id() or "")
        look(entry)
        dialog.show_all()
        answer, name = dialog.run(), entry.get_text().strip()
        dialog.destroy()
        return name if answer == Gtk.ResponseType.OK and name else None

    def _tell(self, fault):
        told = Gtk.MessageDialog(
            transient_for=self._window,
            modal=True,
            message_type=Gtk.MessageType.ERROR,
            buttons=Gtk.ButtonsType.CLOSE,
            text=_("The presets cannot be used: {fault}.").format(fault=fault.rstrip(".")),
            secondary_text=_("Repair the file, or move it away: {path}").format(path=self._collection.path),
        )
        told.run()
        told.destroy()


def _takes(config, name, value):
    spec, now = config.find_property(name), config.get_property(name)
    if isinstance(now, bool) or isinstance(value, bool):
        return isinstance(now, bool) and isinstance(value, bool)
    if isinstance(now, (int, float)):
        whole = isinstance(value, int) or isinstance(now, float)
        return isinstance(value, (int, float)) and whole and spec.minimum <= value <= spec.maximum
    if not isinstance(value, str):
        return False
    choice = Gimp.param_spec_choice_get_choice(spec) if spec.__gtype__.name == "GimpParamChoice" else None
    return choice is None or choice.is_valid(value)
