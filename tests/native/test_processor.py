"""Whether the processor multiplies bfloat16 and bytes: what each system says of it, faked, and what it says itself."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gossamer import native
from gossamer.native import processor
from gossamer.native.processor import has_bfloat16, has_int8
from gossamer.platform import processors


@pytest.fixture(autouse=True)
def asked_anew(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    processors.processor_flags.cache_clear()
    yield
    monkeypatch.undo()
    processors.processor_flags.cache_clear()


def on(monkeypatch: pytest.MonkeyPatch, system: str, machine: str) -> None:
    monkeypatch.setattr(processors.sys, "platform", system)
    monkeypatch.setattr(processors.platform, "machine", lambda: machine)


def with_products(monkeypatch: pytest.MonkeyPatch, products: int | None) -> None:
    kernels = None if products is None else SimpleNamespace(gossamer_products=lambda: products)
    monkeypatch.setattr(native, "library", lambda: kernels)


@pytest.mark.parametrize(
    ("text", "bfloat16", "int8"),
    [
        ("processor : 0\nflags\t\t: fpu avx512f avx512_bf16 amx_bf16 amx_int8\n", True, True),
        ("flags\t\t: fpu avx512f avx512_vnni\n", False, True),
        ("flags\t\t: fpu avx2\n", False, False),
        ("Features\t: fp asimd bf16 i8mm\n", True, True),  # Arm
        ("", False, False),
        (None, False, False),
    ],
)
def test_linux_lists_what_there_is(
    text: str | None, bfloat16: bool, int8: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on(monkeypatch, "linux", "x86_64")
    with_products(monkeypatch, None)
    monkeypatch.setattr(processors, "_CPUINFO", tmp_path / "cpuinfo")
    if text is not None:
        (tmp_path / "cpuinfo").write_text(text)
    assert (has_bfloat16(), has_int8()) == (bfloat16, int8)


@pytest.mark.parametrize(
    ("told", "bfloat16", "int8"),
    [
        ({"FEAT_BF16": 1, "FEAT_I8MM": 1, "FEAT_DotProd": 1}, True, True),  # M2 and later
        ({"FEAT_BF16": 0, "FEAT_I8MM": 0, "FEAT_DotProd": 1}, False, True),  # M1
        ({}, False, False),  # an older system, which has no such names
    ],
)
def test_macos_is_asked_by_sysctl(
    told: dict[str, int], bfloat16: bool, int8: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sysctlbyname(name: bytes, place: Any, size: Any, new: None, length: int) -> int:
        assert size._obj.value == 4
        head, _, feature = name.decode().rpartition(".")
        assert head == "hw.optional.arm"
        if feature not in told:
            return -1
        place._obj.value = told[feature]
        return 0

    on(monkeypatch, "darwin", "arm64")
    monkeypatch.setattr(processors.ctypes, "CDLL", lambda name: SimpleNamespace(sysctlbyname=sysctlbyname))
    assert (has_bfloat16(), has_int8()) == (bfloat16, int8)


@pytest.mark.parametrize(
    ("has", "bfloat16", "int8"), [({68, 66, 43}, True, True), ({43}, False, True), ((), False, False)]
)
def test_windows_on_arm_is_asked(has: set[int], bfloat16: bool, int8: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    library = SimpleNamespace(kernel32=SimpleNamespace(IsProcessorFeaturePresent=lambda number: number in has))
    on(monkeypatch, "win32", "ARM64")
    monkeypatch.setattr(ctypes, "windll", library, raising=False)
    assert (has_bfloat16(), has_int8()) == (bfloat16, int8)


@pytest.mark.parametrize("system", ["win32", "darwin", "freebsd"])
@pytest.mark.parametrize(
    ("products", "bfloat16", "int8"),
    [(1, True, False), (2, True, False), (4, False, True), (8, False, True), (16, False, True), (0, False, False)],
)
def test_where_the_system_does_not_tell_the_processor_is_asked(
    system: str, products: int, bfloat16: bool, int8: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    on(monkeypatch, system, "AMD64")
    with_products(monkeypatch, products)
    assert (has_bfloat16(), has_int8()) == (bfloat16, int8)
    with_products(monkeypatch, None)  # nothing is compiled here
    assert (has_bfloat16(), has_int8()) == (False, False)


@pytest.mark.skipif(sys.platform != "linux" or native.library() is None, reason="compares what Linux and we read")
def test_the_processor_says_itself_what_linux_says_of_it() -> None:
    told = processors.processor_flags() or frozenset()
    found = native.library().gossamer_products()  # type: ignore[union-attr]
    assert {name for bit, name in enumerate(processor._BITS) if found >> bit & 1} == told & set(processor._BITS)
