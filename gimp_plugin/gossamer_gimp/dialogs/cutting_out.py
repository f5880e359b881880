# SPDX-License-Identifier: GPL-3.0-or-later
"""The dialog: subject, edge, view, four sliders and output, all live on the canvas; the rest is folded below."""

from dataclasses import replace

import arguments
import counting
import cutting
import gi
import layers
from dialogs import consent
from dialogs.help import take_over_help
from dialogs.live import Ask, Live
from dialogs.presets import Presets
from language import _
from painting import HINTS
from preview import COLOURED, VIEWS, Canvas

gi.require_version("GimpUi", "3.0")
gi.require_version("Gtk", "3.0")
from gi.repository import Gdk, Gimp, GimpUi, GLib, GObject, Gtk  # noqa: E402

_SIDE = 1200  # pixels of the longer side that a preview is computed at
_PAUSE = 120  # milliseconds without a change of what is no slider, after which the preview is asked for
_SETTLED = 350  # milliseconds without a change after which a better one is, with the subject's colours
_FOLDED = 140  # pixels of the screen that the folded settings take: with more, OK is off a small one
_ROW = 45  # of them that they give up for each row that is there only now and then
_LINE = 17  # and for each line more than one that the status takes
_LEAST = 38  # of them that they keep: a row
_CUSTOM = "custom"
_BRUSH = "strokes"
_DECONTAMINATE = "foreground_decontaminate"


class CuttingOut:
    """The dialog of one layer.

    Parameters
    ----------
    procedure : Gimp.Procedure
    config : Gimp.ProcedureConfig
        Read and written: what the user chooses is in it.
    layer : Gimp.Layer
        What the preview shows.
    title : str
    """

    def __init__(self, procedure, config, layer, title):
        self._config, self._layer, self._image = config, layer, layer.get_image()
        self._known = arguments.known()
        self._waiting = self._settling = 0
        self._ask = None
        self._setting = False
        self._needs, self._fetching = None, False
        self._model = []
        self._marked, self._strokes = None, ()
        self._dialog = GimpUi.ProcedureDialog.new(procedure, config, title)
        take_over_help(self._dialog)
        self._dialog.connect("key-press-event", self._on_key)
        self._lay_out()

    def run(self):
        """Show the dialog; return whether to go on, and what it leaves for the work, as :func:`cutting.as_shown`."""
        source = cutting.source(self._layer)
        shown = cutting.picture(source)
        shown = replace(shown, data=tuple(shown.data))  # GIMP is spoken to by this thread alone
        self._live = Live(shown, self)
        self._live.start()
        with Canvas(self._image, self._layer) as self._canvas:
            self._canvas.show(self._view.get_active_id())
            self._show_what_counts()
            changes = self._config.connect("notify", self._on_change)
            self._on_change()
            self._hide_single_slot()
            go_on = self._dialog.run()
            self._config.disconnect(changes)
            self._take_strokes()
            what = self._what()
            for timer in filter(None, (self._waiting, self._settling)):
                GLib.source_remove(timer)
            self._live.mute()
        ready = self._live.end(what, self._strokes)
        self._dialog.destroy()
        return go_on, cutting.as_shown(ready, shown, source) if go_on else ready

    # Its parts

    def _lay_out(self):
        dialog = self._dialog
        box = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=6, border_width=12)
        rows = Gtk.SizeGroup(mode=Gtk.SizeGroupMode.HORIZONTAL)
        self._subject = self._labelled("subject", rows)
        box.pack_start(self._subject, False, False, 0)
        self._words = self._apart(box, "text", rows)
        self._meant = self._apart(box, "marks", rows)
        self._status = Gtk.Label(xalign=0, wrap=True, max_width_chars=48, selectable=False)
        self._bar = Gtk.ProgressBar(no_show_all=True)
        self._fetch = Gtk.Button(use_underline=True, no_show_all=True)
        self._fetch.connect("clicked", lambda _widget: self._on_fetch())
        below = Gtk.Box(spacing=6)
        below.pack_start(self._status, True, True, 0)
        below.pack_end(self._fetch, False, False, 0)
        box.pack_start(below, False, False, 0)
        box.pack_start(self._bar, False, False, 0)
        edges = [(edge["id"], edge["title"]) for edge in self._known["edges"]] + [(_CUSTOM, _("As set below"))]
        tips = [f"{edge['title']}: {edge['help']}" for edge in self._known["edges"]]
        self._edge = self._chooser(box, rows, _("_Edge"), edges, "\n".join(tips))
        views = [(nick, _(title)) for nick, title in VIEWS]
        tip = _("What the canvas shows meanwhile. F4 shows the next one.")
        self._view = self._chooser(box, rows, _("_View"), views, tip)
        self._edge.set_active_id(self._edge_now())
        self._view.set_active(0)
        self._edge.connect("changed", self._on_edge)
        self._view.connect("changed", lambda _widget: self._on_view())
        for name in arguments.SLIDERS:
            box.pack_start(dialog.get_spin_scale(name.replace("_", "-"), 1.0), False, False, 0)
        box.pack_start(self._labelled("output", rows), False, False, 0)
        self._shop = self._apart(box, "preset", rows)
        box.pack_start(self._advanced(), False, False, 0)
        box.pack_start(self._brushes(), False, False, 0)
        self._presets = Presets(self._config, dialog, self._on_preset)
        box.pack_start(self._presets, False, False, 0)
        box.show_all()
        dialog.get_content_area().pack_start(box, True, True, 0)

    def _hide_single_slot(self):
        """Hide GIMP's own two buttons, which keep one choice without a name: presets keep any number."""
        boxes = [self._dialog.get_content_area()]
        for box in boxes:
            boxes += [one for one in box.get_children() if isinstance(one, Gtk.Box)]
            if isinstance(box, Gtk.ButtonBox) and box != self._dialog.get_action_area():
                box.set_no_show_all(True)
                box.hide()

    def _labelled(self, name, rows):
        """Return a property's own widget, its label as wide as the others."""
        widget = self._dialog.get_widget(name, GObject.TYPE_NONE)
        if hasattr(widget, "get_label"):
            label = widget.get_label()
            if isinstance(label, Gtk.Widget):
                rows.add_widget(label)
        return widget

    def _apart(self, box, name, rows):
        """Add a property's own widget that is there only where it counts; return it."""
        widget = self._labelled(name, rows)
        widget.show_all()
        widget.set_no_show_all(True)
        widget.hide()
        box.pack_start(widget, False, False, 0)
        return widget

    def _brushes(self):
        """Return the switch of the refine brush, and what takes a stroke back."""
        self._brush = Gtk.ToggleButton(label=_("Refine _brush"), use_underline=True)
        self._brush.set_tooltip_text(_(HINTS[_BRUSH]))
        self._brush.connect("toggled", lambda _widget: self._on_paper())
        self._back = Gtk.Button(label=_("Ta_ke back"), use_underline=True, no_show_all=True)
        self._back.set_tooltip_text(_("Take the last stroke of the refine brush back, or all marks."))
        self._back.connect("clicked", lambda _widget: self._on_back())
        row = Gtk.Box(spacing=6)
        row.pack_start(self._brush, False, False, 0)
        row.pack_start(self._back, False, False, 0)
        return row

    def _chooser(self, box, rows, title, choices, tip):
        """Add a choice that is the dialog's own and no argument; return it."""
        label = Gtk.Label.new_with_mnemonic(title)
        label.set_xalign(0)
        rows.add_widget(label)
        chooser = Gtk.ComboBoxText(tooltip_text=tip)
        for nick, text in choices:
            chooser.append(nick, text)
        label.set_mnemonic_widget(chooser)
        row = Gtk.Box(spacing=6)
        row.pack_start(label, False, False, 0)
        row.pack_start(chooser, True, True, 0)
        box.pack_start(row, False, False, 0)
        return chooser

    def _advanced(self):
        """Return all other settings, folded and scrolled: whatever their number, OK stays on the screen."""
        inner = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=6, border_width=6)
        self._widgets = {"model": self._dialog.get_widget("model", GObject.TYPE_NONE)}
        inner.pack_start(self._widgets["model"], False, False, 0)
        # What belongs to the edge comes first.
        for one in sorted(self._known["arguments"], key=lambda one: one["name"] != _DECONTAMINATE):
            name = one["name"].replace("_", "-")
            if one["name"] in arguments.SLIDERS:
                continue
            # A span of one is too short for a spin button's steps of one.
            if one["kind"] == "float" and (one["maximum"] <= 1 or one["unit"] == "%"):
                widget = self._dialog.get_spin_scale(name, 1.0)
            else:
                widget = self._dialog.get_widget(name, GObject.TYPE_NONE)
            if "step" in one:
                widget.set_increments(one["step"], 4 * one["step"])
            self._widgets[name] = widget
            inner.pack_start(widget, False, False, 0)
        self._folded = window = Gtk.ScrolledWindow(
            hscrollbar_policy=Gtk.PolicyType.NEVER, shadow_type=Gtk.ShadowType.IN
        )
        window.set_min_content_height(_FOLDED)
        window.add(inner)
        expander = Gtk.Expander.new_with_mnemonic(_("_Advanced"))
        expander.add(window)
        expander.connect("notify::expanded", lambda *_: GLib.idle_add(self._shrink))
        return expander

    def _shrink(self):
        self._dialog.resize(1, 1)
        return GLib.SOURCE_REMOVE

    def _grey_out(self):
        """Grey out what does not count."""
        for name, widget in self._widgets.items():
            widget.set_sensitive(counting.counts(name, self._config.get_property))

    # What the user does

    def _on_key(self, _dialog, event):
        if event.keyval != Gdk.KEY_F4:
            return False
        self._view.set_active((self._view.get_active() + 1) % len(VIEWS))
        return True

    def _on_edge(self, _chooser):
        chosen = self._edge.get_active_id()
        for edge in self._known["edges"]:
            if edge["id"] == chosen and not self._setting:
                self._setting = True
                for name, value in edge["settings"].items():
                    self._config.set_property(name.replace("_", "-"), value)
                self._setting = False
                self._on_change()

    def _on_preset(self, settings):
        self._setting = True
        for name, value in settings.items():
            self._config.set_property(name, value)
        self._setting = False
        self._show_what_counts()
        self._shrink()
        self._on_change()

    def _edge_now(self):
        """Return the edge whose settings are those that are set."""
        for edge in self._known["edges"]:
            values = {name: self._config.get_property(name.replace("_", "-")) for name in edge["settings"]}
            if values == edge["settings"]:
                return edge["id"]
        return _CUSTOM

    def _on_view(self):
        self._canvas.show(self._view.get_active_id())
        self._better_soon()

    def _on_paper(self):
        """Give the user what they paint on, or take it away."""
        marks = self._config.get_property("subject") == "scribbles" and self._config.get_property("marks") is None
        if not self._brush.get_active():
            self._take_strokes()
            self._canvas.put_away(_BRUSH)
        if not marks:
            self._canvas.put_away("marks")
            self._marked = None
        kind = _BRUSH if self._brush.get_active() else "marks" if marks else None
        self._canvas.paint(kind, self._on_strokes if kind == _BRUSH else self._on_marks)
        self._back.set_visible(kind is not None or bool(self._strokes))
        if kind is not None:
            self._say("\n".join(self._hint()))

    def _hint(self):
        """Return what is to be painted, where something is."""
        if self._brush.get_active():
            return [_(HINTS[_BRUSH])]
        return [_(HINTS["marks"])] if self._canvas.paper("marks") is not None else []

    def _on_marks(self):
        self._marked = layers.marks(self._canvas.paper("marks").layer, self._layer, self._image)
        self._on_change()

    def _on_strokes(self):
        if self._take_strokes():
            self._on_change()

    def _take_strokes(self):
        """Take what the refine brush painted off its paper; return whether there was anything."""
        paper = self._canvas.paper(_BRUSH)
        taken = None if paper is None else paper.take()
        if taken is None:
            return False
        Gimp.displays_flush()
        self._strokes += (taken,)
        return True

    def _on_back(self):
        if self._strokes and (self._brush.get_active() or self._canvas.paper("marks") is None):
            self._strokes = self._strokes[:-1]
            self._back.set_visible(self._brush.get_active() or bool(self._strokes))
        elif self._canvas.paper("marks") is not None:
            self._canvas.paper("marks").wipe()
            Gimp.displays_flush()
            self._marked = None
        self._on_change()

    def _show_what_counts(self):
        """Show what belongs to the subject and the output that are chosen, and hide what does not."""
        subject = self._config.get_property("subject")
        self._words.set_visible(subject == "text")
        self._meant.set_visible(subject == "trimap")
        self._shop.set_visible(self._config.get_property("output") == "finished")
        self._fit()
        self._on_paper()

    def _fit(self):
        """Give the folded settings the room that is left."""
        rows = sum(row.get_visible() for row in (self._words, self._meant, self._shop))
        lines = max(0, self._status.get_layout().get_line_count() - 1)
        self._folded.set_min_content_height(max(_LEAST, _FOLDED - _ROW * rows - _LINE * lines))

    def _on_change(self, *about):
        if self._setting:
            return
        if len(about) == 2 and about[1].name in ("subject", "output", "marks"):
            self._show_what_counts()
            self._shrink()
        if len(about) < 2 or about[1].name in counting.DECIDING:
            self._grey_out()
        self._setting = True
        self._edge.set_active_id(self._edge_now())
        self._presets.show_what_is_set()
        self._setting = False
        soon = len(about) < 2 or about[1].name.replace("-", "_") in arguments.SLIDERS
        if self._waiting and not soon:
            GLib.source_remove(self._waiting)
            self._waiting = 0
        if not self._waiting:  # what a slider changes meanwhile is asked for with it; through lists people walk by keys
            self._waiting = GLib.idle_add(self._wish_now) if soon else GLib.timeout_add(_PAUSE, self._wish_now)

    def _better_soon(self):
        if self._settling:
            GLib.source_remove(self._settling)
        self._settling = GLib.timeout_add(_SETTLED, self._wish, True)

    def _wish_now(self):
        self._waiting = 0
        if self._settling:
            GLib.source_remove(self._settling)
        return self._wish(False)

    def _wish(self, settled):
        self._settling = 0
        what = self._what(self.on_failure)
        if what is None:
            self._live.drop()
            return GLib.SOURCE_REMOVE
        longest = max(self._layer.get_width(), self._layer.get_height())
        colours = settled and self._view.get_active_id() in COLOURED
        scale = min(0.99, _SIDE / longest)
        ask = Ask(what, arguments.options(self._config), scale, colours, not settled, self._strokes)
        self._ask = ask
        self._live.ask(ask)
        return GLib.SOURCE_REMOVE

    def _what(self, say=None):
        """Return what finds the subject; None where there is nothing to go by, which is said."""
        try:
            return cutting.wish(self._image, self._layer, self._config, self._marked)
        except layers.Refused as error:
            if say is not None:
                say(str(error))
            return None

    def _on_fetch(self):
        if self._fetching:
            self._live.stop_fetching()
            return
        agreed = consent.ask(self._needs, self._dialog)
        if agreed is not None:
            self._show_fetching(True)
            self._live.fetch(self._needs["id"], agreed)

    def _show_fetching(self, under_way):
        """Offer to fetch the model that is missing, or to stop that."""
        self._fetching = under_way
        self._fetch.set_label(_("Stop Fetching") if under_way else _("_Fetch…"))
        self._fetch.show()

    # What the worker says

    def on_opened(self, client):
        """Offer a description only where it is understood, and say elsewhere what it takes."""
        subjects = Gimp.param_spec_choice_get_choice(self._config.find_property("subject"))
        subjects.set_sensitive("text", client.reads_text)
        tip = self._config.find_property("subject").get_blurb()
        self._subject.set_tooltip_text(tip if client.reads_text else f"{tip}\n{_(consent.READING)}")

    def on_progress(self, fraction, text):
        """Show how far it is."""
        self._bar.show()
        self._bar.set_fraction(fraction)
        self._say(cutting.said(text))

    def on_preview(self, ask, result):
        """Show a new matte; a better one follows when nothing has changed for a moment."""
        self._bar.hide()
        self._fetch.hide()
        if not self._canvas.fits:
            self._say(_(cutting.CHANGED))
            return
        warnings = map(cutting.said, result.report["warnings"])
        self._say("\n".join([*self._hint(), *self._model, *warnings]))
        self._canvas.update(result.alpha, result.foreground, result.boxes)
        if ask.draft and ask is self._ask:
            self._better_soon()

    def on_found(self, found):
        """Say by which model the subject was found."""
        about = found["about"]
        self._model = [] if about is None else [consent.described(about)]

    def on_needs(self, needs):
        """Say which model would have to be fetched, and let the user decide."""
        self._bar.hide()
        self._needs = needs
        self._show_fetching(False)
        self._say(consent.described(needs))

    def on_fetched(self):
        """Go on with the model that has come."""
        self._bar.hide()
        self._fetch.hide()
        self._fetching = False
        self._on_change()

    def on_not_fetched(self, why):
        """Say why it did not come, where that was not the user's wish; it can be tried again."""
        self.on_needs(self._needs)
        if why:
            self._say(cutting.said(why))

    def on_failure(self, text):
        """Say what went wrong."""
        self._bar.hide()
        self._say(cutting.said(text))

    def _say(self, text):
        self._status.set_text(text)
        self._fit()
