# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of the set-up's dialog that builds the environment: what it will do, progress, cancel and the log."""

import environment
import installer
import system
from dialogs.aside import aside, in_main_loop
from gi.repository import Gtk
from language import _


class Building(Gtk.Box):
    """Says whether Gossamer is set up, and sets it up.

    Parameters
    ----------
    folder : str
        The plug-in's.
    done : callable
        ``done()``: called when it was set up.
    """

    def __init__(self, folder, done):
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=6)
        self._folder, self._done = folder, done
        self._installer = None
        self._state = Gtk.Label(xalign=0, wrap=True, max_width_chars=64)
        self._about = Gtk.Label(xalign=0, wrap=True, max_width_chars=64)
        self._button = Gtk.Button(use_underline=True)
        self._button.connect("clicked", lambda _button: self._on_clicked())
        self._bar = Gtk.ProgressBar(no_show_all=True, show_text=True)
        self._text = Gtk.TextBuffer()
        view = Gtk.TextView(buffer=self._text, editable=False, monospace=True)
        self._scrolled = Gtk.ScrolledWindow(shadow_type=Gtk.ShadowType.IN)
        self._scrolled.set_min_content_height(110)
        self._scrolled.add(view)
        self._log = Gtk.Expander.new_with_mnemonic(_("_Log"))
        self._log.add(self._scrolled)
        row = Gtk.Box(spacing=12)
        row.pack_start(self._state, True, True, 0)
        row.pack_end(self._button, False, False, 0)
        for widget in (row, self._about, self._bar, self._log):
            self.pack_start(widget, False, False, 0)
        self._show()

    @property
    def busy(self):
        """Whether it is at work."""
        return self._installer is not None

    def give_up(self):
        """Stop what is in work."""
        if self._installer is not None:
            self._installer.cancel()

    def _show(self, told=""):
        ready = environment.is_set_up(self._folder)
        edition = environment.edition(self._folder)
        if not told:
            told = _("Gossamer {version} is set up.") if ready else _("Gossamer is not set up yet.")
        self._state.set_text(told.format(version=edition.gossamer))
        self._button.set_label(_("_Set Up Again") if ready else _("_Set Up"))
        where = _("from the file beside the plug-in") if edition.wheel else _("from the package index")
        about = _(
            "This takes Gossamer {version} (licence Apache-2.0) {where}, fetches what it needs from the package index "
            "(NumPy, OpenCV, ONNX Runtime, SciPy and others, all under free licences, about {size}), and puts it into "
            "{folder}. Nothing else on this computer is changed."
        ).format(version=edition.gossamer, where=where, size=installer.FETCHED, folder=system.data_folder())
        self._about.set_text(about)
        self._about.set_visible(not ready)
        self._about.set_no_show_all(ready)

    def _on_clicked(self):
        if self._installer is not None:
            self._installer.cancel()
            self._button.set_sensitive(False)
            return
        self._text.set_text("")
        self._bar.set_fraction(0)
        self._bar.set_text("")
        self._bar.show()
        self._button.set_label(_("_Cancel"))
        self._installer = installer.Installer(
            self._folder,
            lambda fraction, text: in_main_loop(self._on_progress, fraction, text),
            lambda line: in_main_loop(self._on_line, line),
        )
        aside(self._installer.run, self._on_end)

    def _on_progress(self, fraction, text):
        self._bar.set_fraction(fraction)
        self._bar.set_text(text)

    def _on_line(self, line):
        self._text.insert(self._text.get_end_iter(), line + "\n")
        below = self._scrolled.get_vadjustment()
        below.set_value(below.get_upper())

    def _on_end(self, _settings, error):
        self._installer = None
        self._button.set_sensitive(True)
        self._bar.hide()
        if error is None:
            self._show()
            self._done()
        elif isinstance(error, installer.GivenUp):
            self._show()
        elif isinstance(error, installer.SetUpFailure):
            self._show(str(error).replace("{", "{{").replace("}", "}}"))
            self._log.set_expanded(True)
        else:
            self._show(f"{type(error).__name__}: {error}".replace("{", "{{").replace("}", "}}"))
            self._log.set_expanded(True)
