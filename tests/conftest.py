"""What holds for every test: no package tells its makers of the tests, here or in processes that tests start."""

from __future__ import annotations

from pathlib import Path

import pytest

from gossamer.telemetry import switch_off

switch_off()

_HOSTS = {("gimp",), ("comfyui",), ("native", "test_wheel.py")}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a host's installation, or Wine's and QEMU's: by folders and files."""
    here = Path(__file__).parent
    for item in items:
        parts = item.path.relative_to(here).parts
        if any(parts[: len(host)] == host for host in _HOSTS):
            item.add_marker(pytest.mark.host)
