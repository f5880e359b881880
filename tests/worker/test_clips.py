"""Frames that a client hands to the worker: what comes back is what the library makes of the same clip."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import gossamer
from gossamer.video import FrameCutter
from gossamer.video.clip import Frame
from gossamer_gimp.failure import WorkerFailure
from tests.cached_weights import weights_home
from tests.worker.conftest import Worker

SIZE, COUNT = 256, 9


@pytest.fixture(scope="module")
def frames(photograph: np.ndarray) -> list[np.ndarray]:
    """RGBA frames of a picture that drifts; the third has a hole."""
    made = [
        np.dstack([np.roll(photograph, 3 * number, 1), np.full((SIZE, SIZE), 255, np.uint8)]) for number in range(COUNT)
    ]
    made[2][:40, :, 3] = 0
    return [np.ascontiguousarray(one) for one in made]


@pytest.fixture(scope="module")
def expected(frames: list[np.ndarray]) -> list[np.ndarray]:
    """Return what the library makes of them, (H, W, 4) float32."""
    recipe = gossamer.Recipe.of({"matting": {"method": "none"}})
    given = [
        Frame(number, Fraction(number, 25), np.ascontiguousarray(one[..., :3]), one[..., 3] if number == 2 else None)
        for number, one in enumerate(frames)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GOSSAMER_HOME", str(weights_home()))
        choice = gossamer.ModelChoice(model="u2netp", device="cpu")
        with FrameCutter(SIZE, SIZE, recipe=recipe, choice=choice) as cutter:
            return [
                np.dstack([one.rgb if one.rgb.dtype == np.float32 else one.rgb.astype(np.float32) / 255, one.alpha])
                for one in cutter.cut(given, COUNT)
            ]


@pytest.mark.long
def test_frames_come_back_cut_out_and_held_still_each_in_its_order(
    shared: Worker, frames: list[np.ndarray], expected: list[np.ndarray]
) -> None:
    size, found, heard = SIZE * SIZE * 4, [], []
    with shared.client() as client:
        client.clip(SIZE, SIZE, dtype="u8", model="u2netp", options={"matting": "none"})
        for number, data in enumerate([*(one.tobytes() for one in frames), b""]):
            ready, warnings = client.frame(data, size, progress=lambda *news: heard.append(news))
            assert warnings == []
            found += [np.frombuffer(one, np.uint8).reshape(SIZE, SIZE, 4) for one in ready]
            assert number == COUNT or len(found) <= number  # those after it are looked at
    assert len(found) == COUNT
    assert heard
    for one, wanted in zip(found, expected, strict=True):
        assert np.abs(one[..., 3] / 255 - wanted[..., 3]).max() <= 0.5 / 255 + 1e-5
        assert np.abs(one[..., :3] / 255 - wanted[..., :3])[wanted[..., 3] > 0].max() <= 1 / 255
    assert (found[2][:40, :, 3] == 0).all()
    assert 0.05 < found[0][..., 3].mean() / 255 < 0.95


@pytest.mark.long
def test_sixteen_bits_a_missing_model_and_frames_that_nobody_began(shared: Worker, frames: list[np.ndarray]) -> None:
    with shared.client() as client:
        with pytest.raises(WorkerFailure) as told:
            client.clip(SIZE, SIZE, dtype="u8", model="birefnet-general", options={})
        assert told.value.needs is not None
        client.clip(SIZE, SIZE, dtype="u16", model="u2netp", options={"matting": "none"})
        deep = frames[0].astype(np.uint16) * 257
        assert client.frame(deep.tobytes(), 2 * deep.size)[0] == []
        (one,), _ = client.frame(b"", 2 * deep.size)
        alpha = np.frombuffer(one, np.uint16).reshape(SIZE, SIZE, 4)[..., 3]
        assert len(np.unique(alpha)) > 300
        assert client.ping()["busy"] is False
        with pytest.raises(WorkerFailure, match="No clip is begun"):
            client.frame(b"", 2 * deep.size)
