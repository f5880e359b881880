# SPDX-License-Identifier: GPL-3.0-or-later
"""The preview's conversation with the worker, in a thread of its own: the dialog never waits.

Only the newest wish counts: one that is in work is given up for it. The picture is sent once, and its subject is found
once for each way of finding it. The thread knows nothing of GIMP: what it has to say comes through GLib's main loop.
"""

import threading
from dataclasses import dataclass

import cutting
from client import WorkerFailure
from gi.repository import GLib
from language import _


@dataclass(frozen=True)
class Ask:
    """One thing to show.

    Attributes
    ----------
    wish : cutting.Wish
        What finds the subject.
    options : dict
        The settings.
    scale : float
        How large the preview is computed.
    colours, draft : bool
        Whether colours are wanted too, and whether a draft will do.
    strokes : tuple
        All that the refine brush painted: regions and their planes of bytes.
    """

    wish: cutting.Wish
    options: dict
    scale: float
    colours: bool
    draft: bool
    strokes: tuple = ()


class Live(threading.Thread):
    """Answers the dialog's wishes.

    Parameters
    ----------
    picture : client.Picture
    told : object
        Its methods ``on_opened(client)``, ``on_progress(fraction, text)``, ``on_found(found)``,
        ``on_preview(ask, result)``, ``on_needs(needs)``, ``on_fetched()``, ``on_not_fetched(why)`` and
        ``on_failure(text)`` are called in the main loop.
    """

    def __init__(self, picture, told):
        super().__init__(name="gossamer preview", daemon=True)
        self._picture, self._told = picture, told
        self._changed = threading.Condition()
        self._next, self._now, self._stage = None, None, ""
        self._agreed = None
        self._ending = False
        self._found, self._brushed = None, ()  # the wish that the worker has the subject of, and the strokes on it
        self.client, self.number = None, None

    def ask(self, ask):
        """Wish for something new; what is in work for an older wish is given up, unless both need it.

        A draft of the same subject is shown first: while a slider is dragged there would never be anything to see.
        """
        with self._changed:
            self._next = ask
            now = self._now
            same = now is not None and now.wish == ask.wish
            goes_on = same and (self._stage == "segment" or (now.draft and now.strokes == ask.strokes))
            if self.client is not None and now is not None and not goes_on:
                self.client.cancel()
            self._changed.notify()

    def fetch(self, model, accept_licence):
        """Have a model fetched, to which the user has agreed."""
        with self._changed:
            self._agreed = (model, accept_licence)
            self._changed.notify()

    def stop_fetching(self):
        """Give up the model that is on its way; what has come of it is kept for the next try."""
        with self._changed:
            self._agreed = None
            if self._stage == "fetch":
                self.give_up()

    def mute(self):
        """Say nothing more."""
        self._told = None

    def drop(self):
        """Wish for nothing any more: what is in work is given up."""
        with self._changed:
            self._next = None
            if self._now is not None:
                self.give_up()

    def give_up(self):
        """Stop what is in work."""
        if self.client is not None:
            self.client.cancel()

    def end(self, wish, strokes):
        """End the thread; return what the worker knows by now of a wish and the strokes on it, as cutting.Ready."""
        with self._changed:
            self._ending = True
            self._changed.notify()
        self.give_up()
        self.join(5)
        if self.is_alive() or self.client is None or self.client.is_closed:  # or it is still starting the worker
            return cutting.Ready(wish=wish, strokes=strokes)
        sent = self._brushed if self._found == wish else ()
        known = len(sent) if sent == strokes[: len(sent)] else None
        return cutting.Ready(self.client, self.number, wish, strokes, known)

    def run(self):
        """Work until it is ended."""
        while True:
            with self._changed:
                while not (self._ending or self._next or self._agreed):
                    self._changed.wait()
                if self._ending:
                    return
                agreed, self._agreed = self._agreed, None
                if agreed is None:
                    self._now, self._next = self._next, None
                else:
                    self._stage = "fetch"
            try:
                if agreed is not None:
                    self._connect()
                    self.client.fetch(agreed[0], accept_licence=agreed[1], progress=self._progress)
                    self._found = None  # the same wish can mean another model now
                    self._say("on_fetched")
                else:
                    self._answer(self._now)
            except WorkerFailure as failure:
                if agreed is not None:
                    self._say("on_not_fetched", "" if failure.kind == "Cancelled" else str(failure))
                elif failure.needs is not None:
                    self._say("on_needs", failure.needs)
                elif failure.kind != "Cancelled":
                    self._say("on_failure", str(failure))
                if self.client is not None and self.client.is_closed:
                    self.client = self.number = self._found = None
            except Exception as error:
                self._say(
                    "on_failure",
                    _("The preview failed, please report it: {fault}").format(fault=f"{type(error).__name__}: {error}"),
                )
            finally:
                with self._changed:
                    self._now, self._stage = None, ""

    def _connect(self):
        if self.client is None:
            self.client = cutting.connect(lambda text: self._progress(0.0, text))
            self.number = None

    def _answer(self, ask):
        self._connect()
        if self.number is None:
            self.number = self.client.open(self._picture, "keep")
            self._say("on_opened", self.client)
        if ask.wish != self._found:
            self._stage = "segment"
            found = self.client.segment(self.number, plane=ask.wish.plane, progress=self._progress, **ask.wish.fields)
            self._say("on_found", found)
            self._found, self._brushed = ask.wish, ()
        with self._changed:
            self._stage = "refine"
            if self._next is not None and self._next.wish != ask.wish:
                return
            if self._next is not None:  # the subject is the same: only the newest settings count
                ask = self._now = self._next
                self._next = None
        self._brush(ask.strokes)
        result = self.client.refine(
            self.number,
            ask.options,
            foreground=ask.colours,
            scale=ask.scale,
            draft=ask.draft,
            dtype="u8",
            changes=True,
        )
        self._say("on_preview", ask, result)

    def _brush(self, strokes):
        """Have the worker know these strokes, and no others."""
        if self._brushed != strokes[: len(self._brushed)]:  # one was taken back
            self.client.brush(self.number)
            self._brushed = ()
        for region, plane in strokes[len(self._brushed) :]:
            self.client.brush(self.number, region, plane, progress=self._progress)
            self._brushed += ((region, plane),)

    def _progress(self, fraction, text):
        self._say("on_progress", fraction, text)

    def _say(self, what, *news):
        def deliver():
            if self._told is not None:
                getattr(self._told, what)(*news)
            return GLib.SOURCE_REMOVE

        GLib.idle_add(deliver)
