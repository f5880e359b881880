"""Which runtime is faster here: measured once, remembered, and only believed where it is clear."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from gossamer.cli import doctor
from gossamer.errors import Cancelled
from gossamer.networks import speeds
from gossamer.networks.speeds import known_speeds, measured_faster
from gossamer.progress import Progress


class Sleeper:
    """A network that takes as long as it is told."""

    device, engine, warnings, bytes = "cpu", "none float32", (), 0

    def __init__(self, seconds: float) -> None:
        self.seconds, self.runs = seconds, 0

    def run(self, batch: np.ndarray, progress: Progress) -> np.ndarray:
        assert batch.shape == (1, 3, 32, 64)
        time.sleep(self.seconds)
        progress.tick()
        self.runs += 1
        return batch[:, 0]

    def unload(self) -> None:
        pass


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GOSSAMER_HOME", str(tmp_path / "home"))
    path = tmp_path / "w.onnx"
    path.write_bytes(b"weights")
    return path


def faster(weights: Path, onnx: float, openvino: float, report=None) -> str:
    loaders = {"onnx": lambda: Sleeper(onnx), "openvino": lambda: Sleeper(openvino)}
    return measured_faster(weights, (64, 32), loaders, Progress(report))


def test_the_faster_one_is_measured_once_and_remembered(weights: Path) -> None:
    assert faster(weights, 0.2, 0.01) == "openvino"
    (remembered,) = known_speeds().values()
    assert set(remembered) == {"onnx", "openvino"}
    assert remembered["onnx"] > 0.19
    assert faster(weights, 0.0, 5.0) == "openvino"  # nothing runs again
    weights.write_bytes(b"other weights")
    assert faster(weights, 0.01, 0.2) == "onnx"
    assert len(known_speeds()) == 2


def test_the_usual_one_stays_where_no_other_wins_clearly(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speeds, "known_speeds", lambda: {speeds._key(weights): {"onnx": 1.0, "openvino": 0.97}})
    assert faster(weights, 0.0, 0.0) == "onnx"


def test_what_is_cancelled_is_not_remembered(weights: Path) -> None:
    def stop(fraction: float, message: str) -> None:
        assert "Measuring once which runtime is faster here" in message
        raise Cancelled

    with pytest.raises(Cancelled):
        faster(weights, 0.0, 0.0, stop)
    assert known_speeds() == {}


@pytest.mark.parametrize("content", ["", "{", '{"a": 3, "b": {"onnx": "fast"}, "c": {}}'])
def test_a_damaged_table_holds_nothing(content: str, weights: Path, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "speeds.json").write_text(content)
    assert known_speeds() == {}
    assert faster(weights, 0.1, 0.0) == "openvino"


def test_doctor_shows_what_was_measured(weights: Path) -> None:
    faster(weights, 0.1, 0.0)
    (row,) = doctor._speeds()
    assert row["model"].startswith("w.onnx (7 bytes), onnxruntime ")
    assert row["seconds"]["onnx"] > row["seconds"]["openvino"] > 0
