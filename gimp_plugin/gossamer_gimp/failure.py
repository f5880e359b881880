# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong with the worker, and what helps: standard library only, no gi."""

from __future__ import annotations

if __package__:
    from .language import N_, _
else:  # GIMP runs the plug-in from a folder
    from language import N_, _

_AGAIN = N_("Open Filters > Gossamer > Set-up…, or type in a terminal: gossamer gimp install")


class WorkerFailure(Exception):
    """The worker could not be started or reached, or refused; the text is for people.

    Attributes
    ----------
    kind : str
        The kind of the worker's error, e.g. ``Cancelled``; "" where the worker itself is the trouble.
    needs : dict or None
        The model that would have to be fetched first, as :meth:`Client.models` describes it.
    """

    def __init__(self, text: str, kind: str = "", needs: dict | None = None) -> None:
        super().__init__(text)
        self.kind = kind
        self.needs = needs


def with_remedy(why: str) -> str:
    """Return a sentence about the set-up, with what puts it right."""
    return f"{why} {_(_AGAIN)}"
