# SPDX-License-Identifier: GPL-3.0-or-later
"""Help: our own page, and GIMP's button for it."""

import os

import cutting
from gi.repository import Gio, GLib, Gtk
from language import _

_PAGE = os.path.join(cutting.HERE, "help.html")


def take_over_help(dialog):
    """Put a button of our own in the place of GIMP's, which opens GIMP's manual before anybody is asked."""
    theirs = dialog.get_widget_for_response(Gtk.ResponseType.HELP)
    if theirs is None:
        return
    theirs.set_no_show_all(True)
    theirs.hide()
    ours = Gtk.Button.new_with_mnemonic(theirs.get_label())
    ours.connect("clicked", lambda _widget: show_help(dialog))
    row = theirs.get_parent()
    row.pack_start(ours, False, False, 0)
    row.set_child_secondary(ours, True)
    ours.show()


def show_help(parent):
    """Show our own page in the desktop's browser, or say where it is."""
    address = Gio.File.new_for_path(_PAGE).get_uri()
    try:
        Gio.AppInfo.launch_default_for_uri(address, None)
    except GLib.Error:
        told = Gtk.MessageDialog(title="Gossamer", transient_for=parent, modal=True, buttons=Gtk.ButtonsType.CLOSE)
        told.set_property("text", _("The help is a page for a browser, and none is set up here."))
        told.format_secondary_text(_PAGE)
        told.run()
        told.destroy()
