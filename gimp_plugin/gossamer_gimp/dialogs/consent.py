# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking before anything is fetched: what, how big, and under which licence."""

from gi.repository import Gtk
from language import N_, _

READING = N_(
    "By a description: no model that reads is installed. Install the packages torch and transformers in Gossamer's "
    "Python, and fetch Grounding DINO tiny and SAM 2.1 tiny in Filters > Gossamer > Set-up…"
)


def sizes(needs):
    """Return how big a model is, for people."""
    least, most = (f"{needs[name] / 1e6:.0f}" for name in ("fewest", "bytes"))
    return _("{least} to {most} MB").format(least=least, most=most) if most != least else f"{most} MB"


def described(model):
    """Return in a line or two what a user should know of a model: what `Client.models` says of it, in words."""
    here = _("{title}: {size}, licence {licence}, on this computer.")
    missing = _("{title} is not on this computer: {size}, licence {licence}.")
    told = here if model["installed"] else missing
    words = told.format(title=model["title"], size=sizes(model), licence=model["licence"])
    return f"{words} {_('It takes long without a graphics card.')}" if model["wants_card"] else words


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
        text=_("Fetch the model {name}?").format(name=needs["title"]),
        secondary_text=_(
            "It is not on this computer yet. It will be fetched once from the internet: {size}, licence {licence}. "
            "Your picture stays on this computer."
        ).format(size=sizes(needs), licence=needs["licence"]),
    )
    dialog.add_button(_("_Cancel"), Gtk.ResponseType.CANCEL)
    fetch = dialog.add_button(_("_Fetch"), Gtk.ResponseType.OK)
    dialog.set_default_response(Gtk.ResponseType.OK)
    bound = not needs["commercial"] and not needs["accepted"]
    if bound:
        link = Gtk.LinkButton.new_with_label(needs["licence_url"], _("Read the licence"))
        tick = Gtk.CheckButton.new_with_mnemonic(_("I _accept the licence, which does not allow commercial use"))
        tick.connect("toggled", lambda _tick: fetch.set_sensitive(tick.get_active()))
        fetch.set_sensitive(False)
        for widget in (link, tick):
            dialog.get_message_area().pack_start(widget, False, False, 0)
            widget.show()
    answer = dialog.run()
    dialog.destroy()
    while Gtk.events_pending():
        Gtk.main_iteration()
    return bound if answer == Gtk.ResponseType.OK else None
