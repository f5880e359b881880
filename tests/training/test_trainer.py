"""Whole trainings: killed and gone on with, cancelled, with a full disk, in two processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import safetensors
import torch
from safetensors.torch import load_file
from torch import nn

from gossamer.errors import Cancelled, InputError, OutputError, OutputExists
from gossamer.networks.architectures.u2net import U2Net
from gossamer.training import checkpoints
from gossamer.training.bases import Base
from gossamer.training.checkpoints import checkpoints_in, load_checkpoint, save_checkpoint
from gossamer.training.interpolation import Origin
from gossamer.training.processes import Processes
from gossamer.training.run_folder import RunFolder
from gossamer.training.trainer import Trainer
from tests.training import tiny
from tests.training.together import environment, run_together

STEPS = 6


def trainer(folder: Path, told: list[str] | None = None, base: Base | None = None, **changed: Any) -> Trainer:
    run = RunFolder(folder)
    for path in (run.path, run.checkpoints, run.worst):
        path.mkdir(parents=True, exist_ok=True)
    settings = tiny.settings(**{"steps": STEPS, **changed})
    processes = Processes("cpu")
    return Trainer(
        base or tiny.base(), tiny.lessons(), settings, run, processes, (told if told is not None else []).append
    )


def came_to(folder: Path) -> tuple[list[dict[str, float]], dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    found = load_checkpoint(folder / "checkpoints")
    assert found is not None
    return rows, load_file(folder / "best.safetensors"), found[1]


def assert_same(folder: Path, other: Path) -> None:
    """The same numbers, to the last bit."""
    rows, best, last = came_to(folder)
    expected = came_to(other)
    assert rows == expected[0]
    for found, wanted in ((best, expected[1]), (last, expected[2])):
        assert found.keys() == wanted.keys()
        for name, value in wanted.items():
            assert torch.equal(found[name], value), name


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    result = trainer(folder).run(resume=False)
    assert result["steps"] == STEPS
    assert result["resumed"] == 0
    return folder


def test_it_learns_and_leaves_what_it_says(whole: Path) -> None:
    rows, best, _ = came_to(whole)
    losses = [row["loss"] for row in rows if "loss" in row]
    assert len(losses) == STEPS
    assert losses[-1] < losses[0]
    validations = [row for row in rows if "weighted_f" in row]
    assert [row["step"] for row in validations] == [0, 2, 4, 6]
    assert {"general_weighted_f", "mae", "iou"} <= validations[0].keys()
    assert best.keys() == tiny.network().state_dict().keys()
    assert [step for step, _ in checkpoints_in(whole / "checkpoints")] == [4, 6]
    assert (whole / "curves.png").stat().st_size > 1000
    assert len(list((whole / "worst").glob("*.png"))) == 4


def test_what_steps_tell_is_named_otherwise_than_what_is_measured(tmp_path: Path) -> None:
    """A loss of IoU is no IoU: under one name both would be one curve."""
    trainer(tmp_path, steps=2, loss="birefnet_general", tail=False).run(resume=False)
    rows, _, _ = came_to(tmp_path)
    told = set().union(*(row.keys() for row in rows if "loss" in row))
    measured = set().union(*(row.keys() for row in rows if "loss" not in row))
    assert {"loss_iou", "loss_mae"} <= told
    assert {"iou", "mae"} <= measured
    assert told & measured == {"step"}


@pytest.mark.long
def test_a_side_smaller_than_the_bases_own_is_told(tmp_path: Path) -> None:
    told: list[str] = []
    base = tiny.base()
    assert base.input.size == (320, 320)
    result = trainer(tmp_path, told, steps=1, validate_every=1).run(resume=False)
    assert "sees pictures at 320 pixels, and is trained at 32" in told[0]
    assert result["warnings"] == (told[0],)
    assert [base.told_of(side) for side in (0, 320, 640)] == ["", "", ""]


SCRIPT = """
import sys, time
from pathlib import Path
from tests.training import test_trainer
one = test_trainer.trainer(Path(sys.argv[1]))
save = one._save
def slowly(step, *rest):
    save(step, *rest)
    print("saved", step, flush=True)
one._save = slowly
one.run(sys.argv[2] == "resume")
"""


@pytest.mark.long
def test_killed_at_any_moment_it_goes_on_as_if_nothing_had_been(whole: Path, tmp_path: Path) -> None:
    """Killed for real, at a moment that chance chooses after a checkpoint and in the middle of what follows it."""
    command = [sys.executable, "-c", SCRIPT, str(tmp_path), "begin"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment(), text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.split() == ["saved", "2"]:
                time.sleep(0.005 * (os.getpid() % 7))
                process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    told: list[str] = []
    result = trainer(tmp_path, told).run(resume=True)
    assert result["steps"] == STEPS
    assert 0 < result["resumed"] < STEPS
    assert told[1].startswith("Going on after step")
    assert_same(tmp_path, whole)
    assert not list(tmp_path.rglob("*.tmp"))


@pytest.mark.long
def test_stopped_it_leaves_whole_checkpoints_to_go_on_from(whole: Path, tmp_path: Path) -> None:
    one = trainer(tmp_path)
    note = one._note

    def stopping(step: int, *rest: Any) -> None:
        note(step, *rest)
        if step == 3:
            one.stop()

    one._note = stopping  # type: ignore[method-assign]
    with pytest.raises(Cancelled):
        one.run(resume=False)
    found = load_checkpoint(tmp_path / "checkpoints")
    assert found is not None
    assert found[0]["step"] == 2
    trainer(tmp_path).run(resume=True)
    assert_same(tmp_path, whole)
    assert on_the_board(tmp_path) == on_the_board(whole) == ([1, 2, 3, 4, 5, 6], [0, 2, 4, 6])


def on_the_board(folder: Path) -> tuple[list[int], list[int]]:
    """Return the steps and the validations that TensorBoard shows."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    steps, validations = ([one.step for one in events.Scalars(name)] for name in ("train/loss", "validation/iou"))
    return steps, validations


class Folded(tiny.TinyBase):
    """The tiny network as an ONNX graph has it: its normalisations do nothing."""

    def load(self) -> U2Net:
        network = super().load()
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                assert layer.running_var is not None
                layer.running_var.fill_(1 - layer.eps)
        return network


@pytest.mark.long
def test_channels_that_learn_in_their_own_units_go_on_after_a_stop(tmp_path: Path) -> None:
    """Their means and units, too, are what they were; what is kept is a plain network's."""
    base = Folded(**vars(tiny.base()))
    asked = {"base": base, "freeze": "kernels", "precision": "bfloat16", "steps": 4}
    trainer(tmp_path / "whole", **asked).run(resume=False)
    one = trainer(tmp_path / "other", **asked)
    save = one._save

    def stopping(step: int, *rest: Any) -> None:
        save(step, *rest)
        if step == 2:
            one.stop()

    one._save = stopping  # type: ignore[method-assign]
    with pytest.raises(Cancelled):
        one.run(resume=False)
    trainer(tmp_path / "other", **asked).run(resume=True)
    assert_same(tmp_path / "other", tmp_path / "whole")
    _, best, _ = came_to(tmp_path / "whole")
    assert best.keys() == tiny.network().state_dict().keys()


def test_a_full_disk_keeps_the_last_whole_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_checkpoint(tmp_path, 2, {"network/a": torch.ones(3)}, {})

    def full(tensors: object, path: Path, metadata: object) -> None:
        path.write_bytes(b"half of it")
        raise safetensors.SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(OutputError, match="No space left") as caught:
        save_checkpoint(tmp_path, 4, {"network/a": torch.zeros(3)}, {})
    assert "--resume" in caught.value.remedy
    found = load_checkpoint(tmp_path)
    assert found is not None
    assert found[0]["step"] == 2
    assert torch.equal(found[1]["network/a"], torch.ones(3))
    assert [path.name for path in tmp_path.iterdir()] == ["step-0000002.safetensors"]


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(tmp_path: Path) -> None:
    for step in (2, 4, 6):
        path = save_checkpoint(tmp_path, step, {"network/a": torch.full((3,), float(step))}, {"parts": 1})
    assert [step for step, _ in checkpoints_in(tmp_path)] == [4, 6]
    path.write_bytes(path.read_bytes()[:-4])
    found = load_checkpoint(tmp_path)
    assert found is not None
    assert found[0] == {"parts": 1, "step": 4}
    assert float(found[1]["network/a"][0]) == 4
    assert checkpoints.load_checkpoint(tmp_path / "nothing") is None


def test_weights_that_have_forgotten_the_general_are_not_kept(tmp_path: Path) -> None:
    one = trainer(tmp_path)
    one._network = tiny.network()
    one._origin = Origin(one._network)
    one._before = {"weighted_f": 0.5, "general_weighted_f": 0.8}
    for step, own, general in ((0, 0.5, 0.8), (2, 0.7, 0.795), (4, 0.9, 0.79), (6, 0.6, 0.8)):
        one._keep(step, {1.0: {"weighted_f": own, "general_kept": general}})
    assert one._best_step == 2


@pytest.mark.long
def test_training_ends_early_where_nothing_is_gained(tmp_path: Path) -> None:
    one = trainer(tmp_path, rate=1e-15, patience=2, validate_every=1, warmup=0, worst=0)
    result = one.run(resume=False)
    assert result["stopped_early"]
    assert result["steps"] < STEPS


def test_a_folder_that_holds_something_is_refused(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.check(resume=False)
    with pytest.raises(InputError, match="no training"):
        folder.check(resume=True)
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(OutputExists, match="not empty"):
        folder.check(resume=False)


GROUPED = """
import torch
torch.distributed.init_process_group("gloo")
{script}
torch.distributed.destroy_process_group()  # still there: whoever began it ends it
"""


@pytest.mark.long
@pytest.mark.parametrize("by", ["torch", "accelerate"])
def test_two_processes_come_to_what_one_comes_to(by: str, whole: Path, tmp_path: Path) -> None:
    """Started by accelerate; or in a group that has been begun already, as Ray Train's workers are."""
    pytest.importorskip(by)
    script = SCRIPT if by == "accelerate" else GROUPED.format(script=SCRIPT)
    ended = run_together(script, str(tmp_path), "begin")
    assert [status for status, _ in ended] == [0, 0], ended
    rows, best, _ = came_to(tmp_path)
    expected = came_to(whole)
    for found, wanted in zip(rows, expected[0], strict=True):
        assert found == pytest.approx(wanted, rel=1e-3, abs=1e-4)
    for name, value in expected[1].items():
        torch.testing.assert_close(best[name], value, rtol=1e-3, atol=1e-4)
