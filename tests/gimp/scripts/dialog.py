"""Runs inside a GIMP with windows: the plug-in's dialog in this very process, which answers what its widgets are like.

GIMP tells nobody of a plug-in's widgets. So the dialog is made here, as the plug-in makes it, and run; the driver
outside presses real keys, and asks in between.
"""

import json
import locale
import os
import sys
import traceback

import gi

gi.require_version("GimpUi", "3.0")
gi.require_version("Gtk", "3.0")
gi.require_version("Gdk", "3.0")
from gi.repository import Gdk, Gimp, GimpUi, GLib, Gtk  # noqa: E402

SHARE, NAME = os.environ["SHARE"], "plug-in-gossamer-remove-background"
PLUG_IN = os.path.join(os.environ["GIMP3_DIRECTORY"], "plug-ins", "gossamer_gimp")
locale.bindtextdomain("gossamer_gimp", os.path.join(PLUG_IN, "locale"))
sys.path.insert(0, PLUG_IN)
import counting  # noqa: E402
import layers  # noqa: E402
from dialogs.cutting_out import CuttingOut  # noqa: E402


def inside(widget):
    """Yield a widget and all that is in it."""
    yield widget
    parts = []
    if isinstance(widget, Gtk.Container):
        widget.forall(parts.append)
    for part in parts:
        yield from inside(part)


def keys(window):
    """Return each label with a key that can be pressed now: the key, what it says, and the widget that it is for."""
    found = []
    for label in inside(window):
        if isinstance(label, Gtk.Label) and label.get_mapped() and label.get_mnemonic_keyval() != Gdk.KEY_VoidSymbol:
            meant = label.get_mnemonic_widget()
            above = label.get_parent()
            while meant is None and above is not None:
                meant = above if isinstance(above, (Gtk.Button, Gtk.Expander)) else None
                above = above.get_parent()
            if meant is not None and meant.is_sensitive():
                found.append((Gdk.keyval_name(label.get_mnemonic_keyval()), label.get_text(), meant))
    return found


class Asked:
    """The dialog, and the answers."""

    def __init__(self):
        procedure = Gimp.get_pdb().lookup_procedure(NAME)
        self.config = procedure.create_config()
        layer = Gimp.get_images()[0].get_layers()[0]
        self.cutting = CuttingOut(procedure, self.config, layer, "Gossamer")
        self.window = self.cutting._dialog

    def keys(self):
        """Say which keys there are, and what for: buttons are pressed, all else gets the focus."""
        kinds = ((Gtk.Expander, "expander"), (Gtk.ToggleButton, "brush"), (Gtk.Button, "button"))
        return [
            [key, text, next((kind for of, kind in kinds if isinstance(meant, of)), "focus")]
            for key, text, meant in keys(self.window)
        ]

    def focus(self):
        """Say the text of the label whose widget has the focus."""
        focus = self.window.get_focus()
        found = [(text, meant) for _key, text, meant in keys(self.window) if not isinstance(meant, Gtk.Expander)]
        return {"labels": [text for text, meant in found if focus in list(inside(meant))]}

    def brush(self):
        """Say whether the refine brush is in hand."""
        return {"in hand": self.cutting._brush.get_active()}

    def buttons(self):
        """Say what is on the buttons below."""
        return [
            one.get_label()
            for one in inside(self.window.get_action_area())
            if isinstance(one, Gtk.Button) and one.get_mapped()
        ]

    def unfolded(self):
        """Say whether the advanced settings are seen."""
        (expander,) = (one for one in inside(self.window) if isinstance(one, Gtk.Expander))
        return {"unfolded": expander.get_expanded()}

    def greyed(self):
        """Say which settings are greyed out, and how those are set that decide it."""
        decide = {name: self.config.get_property(name) for name in sorted(counting.DECIDING)}
        grey = [name for name, widget in self.cutting._widgets.items() if not widget.is_sensitive()]
        return {"greyed": sorted(grey), **decide}

    def all_greyed(self):
        """Set all that decides to each of its values in turn, and say what is greyed out each time."""
        found, kept = [], {name: self.config.get_property(name) for name in sorted(counting.DECIDING)}
        for name in sorted(counting.DECIDING):
            choices = Gimp.param_spec_choice_get_choice(self.config.find_property(name))
            for value in choices.list_nicks():
                self.config.set_property(name, value)
                found.append(self.greyed())
            self.config.set_property(name, kept[name])
        return found

    def want_missing(self):
        """Choose a model that is not here, and whose licence has to be accepted."""
        self.config.set_property("model", "rmbg-2.0")
        return self.fetching()

    def want_here(self):
        """Choose the model that is here."""
        self.config.set_property("model", "u2netp")
        return self.fetching()

    def fetching(self):
        """Say what the button beside the status says, what the status says, and how far the bar is."""
        cutting = self.cutting
        return {
            "button": cutting._fetch.get_label() if cutting._fetch.get_mapped() else None,
            "told": cutting._status.get_text(),
            "share": cutting._bar.get_fraction() if cutting._bar.get_mapped() else None,
            "tip": cutting._subject.get_tooltip_text(),
        }

    def press_fetch(self):
        """Press that button; a question runs a loop of its own, so not from in here."""
        GLib.idle_add(lambda: self.cutting._fetch.clicked() and GLib.SOURCE_REMOVE)
        return {}

    def consent(self):
        """Say what is asked before a model is fetched, and whether that can be agreed to now."""
        (window,) = (one for one in Gtk.Window.list_toplevels() if isinstance(one, Gtk.MessageDialog))
        return {
            "texts": [one.get_text() for one in inside(window) if isinstance(one, Gtk.Label) and one.get_mapped()],
            "sensitive": window.get_widget_for_response(Gtk.ResponseType.OK).is_sensitive(),
        }

    def tick(self):
        """Tick that the licence is accepted."""
        (window,) = (one for one in Gtk.Window.list_toplevels() if isinstance(one, Gtk.MessageDialog))
        (box,) = (one for one in inside(window) if isinstance(one, Gtk.CheckButton))
        box.set_active(True)
        return self.consent()

    def agree(self):
        """Agree to it."""
        (window,) = (one for one in Gtk.Window.list_toplevels() if isinstance(one, Gtk.MessageDialog))
        window.response(Gtk.ResponseType.OK)
        return {}

    def answer(self):
        """Answer what was asked, if something was; called again and again."""
        question, answer = os.path.join(SHARE, "question"), os.path.join(SHARE, "answer")
        if os.path.exists(question):
            with open(question) as file:
                asked = file.read()
            os.remove(question)
            try:
                said = getattr(self, asked)()
            except Exception:
                said = {"fault": traceback.format_exc()}
            with open(answer + ".part", "w") as file:
                json.dump(said, file)
            os.rename(answer + ".part", answer)
        return GLib.SOURCE_CONTINUE


GimpUi.init(NAME)
layers.prepare()
asked = Asked()
GLib.timeout_add(50, asked.answer)
go_on, ready = asked.cutting.run()
if ready.client is not None:
    ready.client.hang_up()
with open(os.path.join(SHARE, "closed.json"), "w") as file:
    json.dump({"went on": go_on, "subject": asked.config.get_property("subject")}, file)
