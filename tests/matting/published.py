"""Pymatting's own solutions, without compiling all of pymatting: on a new machine that takes most of a minute."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

_PLAIN = ("laplacian.lbdm_laplacian", "foreground.estimate_foreground_ml")
"""Modules that take longer to compile than they then save on small pictures."""


@functools.cache
def published(name: str) -> Callable[..., Any]:
    """Return a function of pymatting's, such as ``estimate_alpha_cf``, that works as it is published.

    Importing pymatting compiles all of its modules; here each is imported by itself, under packages that import none.
    """
    spec = importlib.util.find_spec("pymatting")
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parent
    packages = {"pymatting": folder} | {f"pymatting.{path.name}": path for path in folder.iterdir() if path.is_dir()}
    before = _taken_out()
    try:
        for package, path in packages.items():
            sys.modules[package] = module = ModuleType(package)
            module.__path__ = [str(path)]
        from numba import config

        with mock.patch.object(config, "DISABLE_JIT", True):
            for plain in _PLAIN:
                importlib.import_module(f"pymatting.{plain}")
        room = "alpha" if name.startswith("estimate_alpha") else "foreground"
        found: Callable[..., Any] = getattr(importlib.import_module(f"pymatting.{room}.{name}"), name)
    finally:
        _taken_out()
        sys.modules.update(before)  # whoever imports pymatting afterwards gets the whole of it
    return found


def _taken_out() -> dict[str, ModuleType]:
    names = [name for name in sys.modules if name.partition(".")[0] == "pymatting"]
    return {name: sys.modules.pop(name) for name in names}
