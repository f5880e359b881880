"""A short run of the fuzzer, the same cases each time; the long one is `python tests/robustness/fuzz_images.py`."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).parent
CASES = 2500
OTHERS = 700


@pytest.fixture(scope="module")
def fuzz(monkeypatch_module: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch_module.syspath_prepend(str(HERE))  # as when it is run as a script
    spec = importlib.util.spec_from_file_location("fuzz_images", HERE / "fuzz_images.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch_module.setitem(sys.modules, "fuzz_images", module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def monkeypatch_module() -> pytest.MonkeyPatch:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="limits on memory are set as POSIX sets them")
def test_spoilt_pictures_are_read_or_refused_in_one_sentence(fuzz: ModuleType) -> None:
    findings = fuzz.run(CASES, jobs=2)
    assert findings.bad == []
    assert sum(findings.results.values()) == CASES
    assert findings.results["read"] > CASES / 10
    assert findings.results["refused"] > CASES / 3
    assert len(findings.by_seed) == len(fuzz.mutations.seeds())


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="limits on memory are set as POSIX sets them")
def test_other_spoilt_files_and_arrays_are_read_or_refused_in_one_sentence(fuzz: ModuleType) -> None:
    findings = fuzz.run(OTHERS, jobs=1, of="files")
    assert findings.bad == []
    assert sum(findings.results.values()) == OTHERS
    assert findings.results["read"] > OTHERS / 20
    assert findings.results["refused"] > OTHERS / 3
    assert len(findings.by_seed) == len(fuzz.other_files.seeds())


def test_a_case_is_made_of_its_number(fuzz: ModuleType) -> None:
    assert fuzz.case(77, fuzz.mutations.seeds()) == fuzz.case(77, fuzz.mutations.seeds())
