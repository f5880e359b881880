"""Batches that are killed and resumed, for a few kills; the long run is by hand: see kill_batches.py."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.robustness.kill_batches import kill_batches


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_nothing_is_lost_done_twice_or_half_written(tmp_path: Path) -> None:
    tally = kill_batches(8, 17, tmp_path)
    assert not tally.faults, tally.faults
    assert tally.kills == 8
