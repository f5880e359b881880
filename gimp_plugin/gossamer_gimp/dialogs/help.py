# SPDX-License-Identifier: GPL-3.0-or-later
"""Help: our own page, and GIMP's button for it."""

import os

import cutting
from gi.repository import Gdk, Gio, GLib, Gtk
from language import _


def _page():
    """Return our page in the first of the user's languages that there is one in."""
    for language in GLib.get_language_names():
        page = os.path.join(cutting.HERE, f"help.{language}.html")
        if os.path.exists(page):
            return page
        if language.startswith("en"):
            break
    return os.path.join(cutting.HERE, "help.html")


def take_over_help(dialog):
    """Have a dialog's button and F1 show our own page: GIMP's button opens its manual before anybody is asked."""
    dialog.connect("key-press-event", _on_key)
    theirs = dialog.get_widget_for_response(Gtk.ResponseType.HELP)
    if theirs is None:
        return
    theirs.set_no_show_all(True)
    theirs.hide()
    label = theirs.get_label()
    known = GLib.dgettext("gtk30", "_Help")
    if label == "_Help" != known:  # GIMP 3.0 has no French for it; GTK's key is one of the dialog's own there
        label = known.replace("_", "")
    ours = Gtk.Button.new_with_mnemonic(label)
    ours.connect("clicked", lambda _widget: show_help(dialog))
    row = theirs.get_parent()
    row.pack_start(ours, False, False, 0)
    row.set_child_secondary(ours, True)
    ours.show()


def _on_key(dialog, event):
    if event.keyval != Gdk.KEY_F1:
        return False
    show_help(dialog)
    return True


def show_help(parent):
    """Show our own page in the desktop's browser, or say where it is."""
    page = _page()
    address = Gio.File.new_for_path(page).get_uri()
    try:
        Gio.AppInfo.launch_default_for_uri(address, None)
    except GLib.Error:
        told = Gtk.MessageDialog(title="Gossamer", transient_for=parent, modal=True, buttons=Gtk.ButtonsType.CLOSE)
        told.set_property("text", _("The help is a page for a browser, and none is set up here."))
        told.format_secondary_text(page)
        told.run()
        told.destroy()
