# SPDX-License-Identifier: GPL-3.0-or-later
"""Work beside the dialog, in a thread; what comes of it is told in GLib's main loop."""

import threading

from gi.repository import GLib


def aside(work, done):
    """Run ``work()`` in a thread and then ``done(result, error)`` in the main loop; one of the two is None."""

    def go():
        try:
            result, error = work(), None
        except Exception as fault:
            result, error = None, fault
        in_main_loop(done, result, error)

    threading.Thread(target=go, name="gossamer set-up", daemon=True).start()


def in_main_loop(what, *news):
    """Have something called in the main loop, once."""

    def deliver():
        what(*news)
        return GLib.SOURCE_REMOVE

    GLib.idle_add(deliver)
