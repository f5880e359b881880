"""Optional packages that are not there, have no room, or cannot be loaded: three things, told apart."""

from __future__ import annotations

import builtins
import sys

import pytest

from gossamer.errors import DeviceError, MissingExtra, ModelError, import_failure
from gossamer.networks import memory
from gossamer.networks.torch_package import torch_package


@pytest.mark.parametrize(
    ("error", "kind", "word"),
    [
        (ModuleNotFoundError("No module named 'torch'"), MissingExtra, "pip install 'gossamer[torch]'"),
        (ImportError("libtorch.so: failed to map segment from shared object"), MemoryError, "failed to map"),
        (ImportError("first\nlibcudart.so.12: cannot open shared object file"), ModelError, "libcudart.so.12"),
        (ImportError(), ModelError, "cannot be loaded"),
    ],
)
def test_why_a_package_cannot_be_imported(error: ImportError, kind: type[Exception], word: str) -> None:
    found = import_failure(error, "Running a network", "torch")
    assert type(found) is kind
    assert word in str(found)
    assert "\n" not in str(found)


def test_torch_is_not_begun_where_it_has_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "addresses_left", lambda: 300_000_000)
    torch_package("This")  # what is loaded is loaded
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    begun = []
    real = builtins.__import__
    monkeypatch.setattr(
        builtins, "__import__", lambda name, *rest: begun.append(name) if name == "torch" else real(name, *rest)
    )
    with pytest.raises(DeviceError, match=r"Loading torch needs about 0\.5 GB of addresses.*leaves 0\.3 GB"):
        torch_package("This")
    assert begun == []
    monkeypatch.setattr(memory, "addresses_left", lambda: None)
    torch_package("This")
    assert begun == ["torch"]
