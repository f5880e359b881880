# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of the set-up's dialog that has the models: what is here, fetching with consent, removing."""

import subprocess

import cutting
import system
from dialogs import consent
from dialogs.aside import aside, in_main_loop
from gi.repository import Gtk, Pango
from language import _
from record import Settings

_HEIGHT = 150  # pixels of the list


class Models(Gtk.Box):
    """Lists the models of the worker.

    Parameters
    ----------
    window : Gtk.Window
        Above which questions are asked.
    """

    def __init__(self, window):
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=6)
        self._window = window
        self._client, self._wanted = None, None
        self._list = Gtk.ListBox(selection_mode=Gtk.SelectionMode.NONE)
        scrolled = Gtk.ScrolledWindow(hscrollbar_policy=Gtk.PolicyType.NEVER, shadow_type=Gtk.ShadowType.IN)
        scrolled.set_min_content_height(_HEIGHT)
        scrolled.add(self._list)
        self._bar = Gtk.ProgressBar(no_show_all=True, show_text=True)
        self._cancel = Gtk.Button.new_with_mnemonic(_("_Cancel"))
        self._cancel.set_no_show_all(True)
        self._cancel.connect("clicked", lambda _button: self.give_up())
        self._told = Gtk.Label(xalign=0, wrap=True, max_width_chars=64)
        row = Gtk.Box(spacing=6)
        row.pack_start(self._bar, True, True, 0)
        row.pack_end(self._cancel, False, False, 0)
        self.pack_start(scrolled, True, True, 0)
        for widget in (row, self._told):
            self.pack_start(widget, False, False, 0)

    def look(self):
        """Ask the worker which models there are; it is started where none runs."""
        self._told.set_text(_("Looking which models are here"))
        aside(self._ask, self._on_answer)

    def give_up(self):
        """Stop a model on its way; what has come of it is kept for the next try."""
        if self._client is not None:
            self._client.cancel()

    def hang_up(self):
        """End the conversation with the worker."""
        if self._client is not None:
            self._client.hang_up()
            self._client = None

    def _ask(self):
        if self._client is None or self._client.is_closed:
            self._client = cutting.connect(lambda text: None)
        return self._client.models()

    def _on_answer(self, answer, error):
        self._bar.hide()
        self._cancel.hide()
        for row in self._list.get_children():
            self._list.remove(row)
        if error is not None:
            self._told.set_text(str(error))
            return
        self._told.set_text("")
        for model in sorted(answer["models"], key=lambda model: not model["installed"]):
            self._list.add(self._row(model))
        self._list.show_all()

    def _row(self, model):
        row = Gtk.Box(spacing=12, border_width=3)
        title = Gtk.Label(label=model["title"], xalign=0)
        about = Gtk.Label(label=f"{consent.sizes(model)}, {model['licence']}", xalign=0, sensitive=False)
        about.set_ellipsize(Pango.EllipsizeMode.END)
        button = Gtk.Button(label=_("Remove") if model["installed"] else _("Fetch…"))
        act = self._on_remove if model["installed"] else self._on_fetch
        button.connect("clicked", lambda _button: act(model))
        row.pack_start(title, False, False, 0)
        row.pack_start(about, True, True, 0)
        row.pack_end(button, False, False, 0)
        return row

    def _on_fetch(self, model):
        agreed = consent.ask(model, self._window)
        if agreed is None:
            return
        self._begin(_("Fetching {name}").format(name=model["title"]))

        def tell(fraction, text):
            in_main_loop(self._on_progress, fraction, cutting.said(text))

        def work():
            client = self._client
            client.fetch(model["id"], accept_licence=agreed, progress=tell)
            return self._ask()

        aside(work, self._on_done)

    def _on_remove(self, model):
        asked = Gtk.MessageDialog(
            transient_for=self._window,
            modal=True,
            message_type=Gtk.MessageType.QUESTION,
            text=_("Remove the model {name}?").format(name=model["title"]),
            secondary_text=_("Its file is deleted from this computer. It can be fetched again."),
        )
        asked.add_button(_("_Cancel"), Gtk.ResponseType.CANCEL)
        asked.add_button(_("_Remove"), Gtk.ResponseType.OK)
        answer = asked.run()
        asked.destroy()
        if answer != Gtk.ResponseType.OK:
            return
        self._begin("")
        self._cancel.hide()

        def work():
            gossamer("models", "remove", model["id"])
            return self._ask()

        aside(work, self._on_done)

    def _begin(self, text):
        self._told.set_text("")
        self._bar.set_fraction(0)
        self._bar.set_text(text)
        self._bar.show()
        self._cancel.show()

    def _on_progress(self, fraction, text):
        self._bar.set_fraction(fraction)
        self._bar.set_text(text)

    def _on_done(self, answer, error):
        if error is None:
            self._on_answer(answer, None)
            return
        self._bar.hide()
        self._cancel.hide()
        self._told.set_text("" if getattr(error, "kind", "") == "Cancelled" else str(error))


class CommandFailure(Exception):
    """A command of Gossamer's failed; the text is what it said."""


def gossamer(*words):
    """Run a command of Gossamer's in the environment of the worker; return what it said."""
    settings = Settings.read(cutting.HERE)
    done = subprocess.run(
        [settings.python, *settings.flags, "-m", "gossamer", *words],
        env={**system.child_environment(), "PYTHONIOENCODING": "utf-8"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
        check=False,
        **system.in_group(),
    )
    said = done.stdout.decode("utf-8", "replace")
    if done.returncode not in (0, 1) or (done.returncode and not said):
        text = done.stderr.decode("utf-8", "replace").strip()
        raise CommandFailure(text.removeprefix("gossamer: ") or str(done.returncode))
    return said
