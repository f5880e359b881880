"""Which process runs which tests: what shares a dear fixture stays together, and what takes its time begins first."""

from __future__ import annotations

import os

import pytest
from xdist.scheduler import LoadFileScheduling

TOGETHER = ("tests/comfyui/",)
"""Folders whose files share what takes longest to make: running servers."""
APART = ("tests/test_overlays.py",)
"""Files whose tests share nothing and take minutes each."""
LONGEST = (
    "tests/comfyui/",
    "tests/test_overlays.py::test_a_batch_and_a_training_run_on_a_cluster",
    "tests/gimp/test_set_up.py",
    "tests/native/test_wheel.py",
    # Which the process of the cluster has in hand meanwhile, and no other takes: a process is told one test ahead.
    "tests/test_overlays.py::test_a_batch_runs_on_two_machines",
    "tests/test_overlays.py::test_a_batch_from_a_store_and_into_one",
    "tests/gimp/test_remove_background.py",
    "tests/test_overlays.py::test_everything_works_with_transformers_4_57",
    "tests/worker/test_wine.py",
    "tests/gimp/",
)
"""What takes minutes, in the order in which it begins."""


def unit(nodeid: str) -> str:
    """Return what is run by one process: a test's file, its whole folder, or the test alone."""
    file = nodeid.split("::", 1)[0]
    whole = nodeid if file in APART else file
    return next((folder for folder in TOGETHER if nodeid.startswith(folder)), whole)


def longest_first(items: list[pytest.Item]) -> None:
    """Order tests so that no process is left with a long one at the end.

    First comes what takes minutes, then what else has hosts, what has long ones, and the rest. The order within each of
    the four is left as it is.
    """
    ranks: dict[str, int] = {}
    for item in items:
        host, long = item.get_closest_marker("host"), item.get_closest_marker("long")
        rank = _place(item.nodeid) if host else len(LONGEST) + 1 if long else len(LONGEST) + 2
        ranks[unit(item.nodeid)] = min(rank, ranks.get(unit(item.nodeid), rank))
    items.sort(key=lambda item: ranks[unit(item.nodeid)])


def _place(nodeid: str) -> int:
    return next((place for place, name in enumerate(LONGEST) if nodeid.startswith(name)), len(LONGEST))


def processes() -> int:
    """Return how many processes keep all cores at work: half of the time tests wait, for servers, GIMP and disks."""
    return (os.cpu_count() or 1) + 2


class Units(LoadFileScheduling):
    """Gives each process one unit after the other, in their order."""

    def _split_scope(self, nodeid: str) -> str:
        return unit(nodeid)
