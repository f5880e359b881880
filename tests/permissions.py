"""Commands to which permissions apply, whoever runs the tests."""

from __future__ import annotations

import os
import shutil

import pytest

_OVERRIDES = "--bounding-set=-dac_override,-dac_read_search"


def bound_by_permissions() -> list[str]:
    """Return what a command begins with so that files without permission are closed to it, to root's too."""
    if os.name != "posix":
        pytest.skip("this system has other permissions")
    if os.geteuid() != 0:
        return []
    found = shutil.which("setpriv")
    assert found is not None, "root needs the package util-linux for this"
    return [found, _OVERRIDES]
