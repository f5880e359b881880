"""What holds for every test and for processes that tests start: none tells its makers, none keeps cores in vain."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from gossamer.telemetry import switch_off

switch_off()
# Torch's threads would wait in loops for more work, on cores that other tests need: half of the time goes there.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Hundreds of processes import the package that is tested, which is compiled once for all of them.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

_HOSTS = {
    ("gimp",),
    ("comfyui",),
    ("native", "test_wheel.py"),
    ("worker", "test_wine.py"),
    ("test_overlays.py",),
}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    from tests.scheduling import processes

    return processes()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    if config.getvalue("dist") != "loadfile":  # somebody wants another
        return None
    from tests.scheduling import Units

    return Units(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what needs a host's installation, or Wine's, QEMU's and an older transformers': by folders and files."""
    here = Path(__file__).parent
    for item in items:
        parts = item.path.relative_to(here).parts
        if any(parts[: len(host)] == host for host in _HOSTS):
            item.add_marker(pytest.mark.host)
    if hasattr(config, "workerinput"):
        from tests.scheduling import longest_first

        longest_first(items)
