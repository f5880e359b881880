# SPDX-License-Identifier: GPL-3.0-or-later
"""The plug-in's words in the user's language: standard library only, and GLib where it is there.

Texts are written in English. ``_("text")`` is that text in the language of GIMP; ``N_("text")`` marks one that is
translated where it is shown, such as a constant: while modules are loaded GIMP has not told yet where the translations
lie. A text with something in it is ``_("{count} layers").format(count=count)``.

The translations are ``locale/LANGUAGE.po``, from which installing makes what gettext reads.
"""

from __future__ import annotations

try:
    from gi.repository import GLib
except ImportError:  # not in GIMP: the client's tests
    GLib = None

DOMAIN = "gossamer_gimp"
FOLDER = "locale"


def N_(text: str) -> str:
    """Mark a text for translators, and return it as it is."""
    return text


def _(text: str) -> str:
    """Return a text in the user's language, or as it is where nobody has translated it."""
    return GLib.dgettext(DOMAIN, text) if GLib and text else text
