# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking before anything is fetched: what, how big, and under which licence."""

from gi.repository import Gtk


def sizes(needs):
    """Return how big a model is, for people."""
    both = dict.fromkeys(f"{needs[name] / 1e6:.0f}" for name in ("fewest", "bytes"))  # one where they are alike
    return f"{' to '.join(both)} MB"


def ask(needs, parent=None):
    """Ask whether a model may be fetched.

    Parameters
    ----------
    needs : dict
        What the worker says of the model.
    parent : Gtk.Window, optional

    Returns
    -------
    bool or None
        None where the user does not want it, else whether they accept a licence that forbids commercial use.
    """
    dialog = Gtk.MessageDialog(
        transient_for=parent,
        modal=True,
        message_type=Gtk.MessageType.QUESTION,
        text=f"Fetch the model {needs['title']}?",
        secondary_text=(
            f"It is not on this computer yet. It will be fetched once from the internet: {sizes(needs)}, licence "
            f"{needs['licence']}. Your picture stays on this computer."
        ),
    )
    dialog.add_button("_Cancel", Gtk.ResponseType.CANCEL)
    fetch = dialog.add_button("_Fetch", Gtk.ResponseType.OK)
    dialog.set_default_response(Gtk.ResponseType.OK)
    bound = not needs["commercial"] and not needs["accepted"]
    if bound:
        link = Gtk.LinkButton.new_with_label(needs["licence_url"], "Read the licence")
        tick = Gtk.CheckButton.new_with_mnemonic("I _accept the licence, which does not allow commercial use")
        tick.connect("toggled", lambda _: fetch.set_sensitive(tick.get_active()))
        fetch.set_sensitive(False)
        for widget in (link, tick):
            dialog.get_message_area().pack_start(widget, False, False, 0)
            widget.show()
    answer = dialog.run()
    dialog.destroy()
    while Gtk.events_pending():
        Gtk.main_iteration()
    return bound if answer == Gtk.ResponseType.OK else None
