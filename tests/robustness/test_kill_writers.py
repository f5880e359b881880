"""Writers that are killed lose nothing, leave nothing half, and what they leave is swept: a short run of the script."""

from __future__ import annotations

import os

import pytest

from tests.robustness.kill_writers import go_on, writers


@pytest.mark.long
@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is of POSIX")
def test_killed_writers_lose_nothing() -> None:
    with writers(seed=1) as some:
        tally = go_on(some, 0, lambda fault: None)  # each once
    assert tally.faults == []
    assert set(tally.kills) == set(some.names())
    assert sum(tally.in_time.values()) > 0
