"""Composites that are bytes: those in floats, rounded."""

from __future__ import annotations

import numpy as np
import pytest

from gossamer import native
from gossamer.compositing import over
from gossamer.video import over_bytes as module
from gossamer.video.over_bytes import over_bytes

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("kind", [np.float32, np.uint8])
@pytest.mark.parametrize("picture", [True, False])
def test_they_are_the_floats_rounded(
    compiled: bool, kind: type[np.generic], picture: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not compiled:
        monkeypatch.setattr(module, "function", lambda *_, **__: None)
    front = RANDOM.random((31, 45, 3)).astype(np.float32)
    if kind is np.uint8:
        front = (front * 255).astype(np.uint8)
    alpha = np.clip(RANDOM.normal(0.5, 0.6, (31, 45)), 0, 1).astype(np.float32)
    behind = RANDOM.random((31, 45, 3) if picture else 3).astype(np.float32)
    found, wanted = over_bytes(front, alpha, behind), over(front, alpha, behind) * np.float32(255)
    assert found.dtype == np.uint8
    assert np.abs(found - wanted).max() < 0.5 + 1e-3
    assert np.array_equal(found[alpha == 0], np.rint(np.broadcast_to(behind, wanted.shape) * 255)[alpha == 0])
    if kind is np.uint8:
        assert np.array_equal(found[alpha == 1], front[alpha == 1])


def test_every_variant_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    if native.variant() != "avx2":
        pytest.skip("this processor has one variant")
    front, behind = RANDOM.random((2, 20, 33, 3)).astype(np.float32)
    alpha = RANDOM.random((20, 33)).astype(np.float32)
    found = over_bytes(front, alpha, behind)
    monkeypatch.setattr(native, "variant", lambda: "plain")
    assert np.abs(over_bytes(front, alpha, behind).astype(int) - found).max() <= 1
