"""Which process runs which tests: what shares a dear fixture stays together, and what takes its time begins first."""

from __future__ import annotations

import os

import pytest
from xdist.scheduler import LoadFileScheduling

_TOGETHER = ("tests/comfyui/",)
"""Folders whose files share what takes longest to make: running servers."""


def unit(nodeid: str) -> str:
    """Return what is run by one process: a test's file, or its whole folder."""
    return next((folder for folder in _TOGETHER if nodeid.startswith(folder)), nodeid.split("::", 1)[0])


def longest_first(items: list[pytest.Item]) -> None:
    """Order tests so that no process is left with a long one at the end: what has hosts, what has long ones, the rest.

    The order within each of the three is left as it is.
    """
    ranks: dict[str, int] = {}
    for item in items:
        rank = 0 if item.get_closest_marker("host") else 1 if item.get_closest_marker("long") else 2
        ranks[unit(item.nodeid)] = min(rank, ranks.get(unit(item.nodeid), rank))
    items.sort(key=lambda item: ranks[unit(item.nodeid)])


def processes() -> int:
    """Return how many processes keep all cores at work: a third of the time tests wait, for servers, GIMP and disks."""
    return (os.cpu_count() or 1) + 1


class Units(LoadFileScheduling):
    """Gives each process one unit after the other, in their order."""

    def _split_scope(self, nodeid: str) -> str:
        return unit(nodeid)
