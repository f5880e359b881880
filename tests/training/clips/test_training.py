"""A network for clips is trained by the loop that is there: resumed, in parts, held to its base, refused in words."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from gossamer.errors import Cancelled, DeviceError, InputError, ModelError
from gossamer.networks.architectures.rvm import RobustVideoMatting, rvm_mobilenetv3, rvm_resnet50
from gossamer.networks.recurrent_torch import load_recurrent
from gossamer.progress import Progress
from gossamer.settings.training import LOSSES, Training, teaching_of
from gossamer.training.bases import ClipBase, base_of
from gossamer.training.checkpoints import checkpoints_in
from gossamer.training.clips.feeding import ClipFeed
from gossamer.training.clips.medium import Clips
from gossamer.training.lessons import Lessons
from gossamer.training.losses import loss_of_change
from gossamer.training.media import Stills
from gossamer.training.parts import learning, prepare
from gossamer.training.stepping import Stepper, optimiser_of
from gossamer.training.supervision import Outputs, outputs_of
from tests.cached_weights import video_weights
from tests.training.clips import scenes
from tests.training.test_trainer import assert_same, came_to
from tests.training.together import assert_alike, run_together


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    scenes.save_lessons(root)
    return root


@pytest.fixture(scope="module")
def lessons(data: Path) -> Lessons:
    return scenes.lessons(data)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, lessons: Lessons) -> Path:
    """A training that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    assert scenes.trainer(folder, lessons).run(resume=False)["steps"] == 4
    return folder


@pytest.mark.parametrize("size", [(64, 64), (71, 90)])
def test_frames_at_once_give_what_they_give_one_by_one(size: tuple[int, int]) -> None:
    network = scenes.network().eval()
    frames = torch.rand((2, 4, 3, *size), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        colours, alpha = network.sequence(frames)
        states: Any = (None,) * 4
        for place in range(4):
            one, other, states = network(frames[:, place], states, 1.0)
            torch.testing.assert_close(colours[:, place], one, rtol=0, atol=1e-6)
            torch.testing.assert_close(alpha[:, place], other, rtol=0, atol=1e-6)


def test_half_precision_gives_nearly_the_same() -> None:
    network = scenes.network().eval()
    frames = torch.rand((1, 3, 3, 64, 64), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        _, expected = network.sequence(frames)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            _, alpha = network.sequence(frames)
    assert alpha.dtype == torch.float32
    assert float((alpha - expected).abs().mean()) < 0.01


@pytest.mark.long
def test_a_run_that_was_ended_goes_on_to_the_same_numbers(tmp_path: Path, lessons: Lessons, whole: Path) -> None:
    rows, _, _ = came_to(whole)
    losses = [row for row in rows if "loss" in row]
    assert {"loss_alpha", "loss_laplacian", "loss_alpha_steady", "loss_colours", "loss_colours_steady"} < set(losses[0])
    assert "loss_change" in losses[0]
    validations = [row for row in rows if "weighted_f" in row and "share" not in row]
    assert [row["step"] for row in validations] == [0, 2, 4]
    assert {"mae", "iou", "dtssd", "general_weighted_f", "general_dtssd", "general_kept"} <= set(validations[0])
    first = scenes.trainer(tmp_path / "ended", lessons)
    save = first._save

    def ended(step: int, *rest: Any) -> None:
        save(step, *rest)
        if step == 2:
            first.stop()

    first._save = ended  # type: ignore[method-assign]
    with pytest.raises(Cancelled):
        first.run(resume=False)
    result = scenes.trainer(tmp_path / "ended", lessons).run(resume=True)
    assert result["resumed"] == 2
    assert_same(tmp_path / "ended", whole)
    assert (whole / "worst" / "step-0000004.png").exists()


SCRIPT = """
import os, signal, sys
from pathlib import Path
from tests.cached_weights import video_weights
from tests.training.clips import scenes

data, folder, what = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
one = scenes.trainer(folder, scenes.lessons(data))
note = one._note

def noted(step, *rest):
    note(step, *rest)
    if what == "dies" and step == 3 and not one.processes.is_first:
        os.kill(os.getpid(), signal.SIGKILL)

one._note = noted
one.run(what == "goes on")
"""


@pytest.mark.long
def test_processes_share_clips_and_one_that_dies_ends_the_others_in_words(
    data: Path, whole: Path, tmp_path: Path
) -> None:
    """Killed for real; both go on from the last checkpoint, to what one process comes to."""
    pytest.importorskip("accelerate")
    (first, said), (second, _) = run_together(SCRIPT, str(data), str(tmp_path), "dies")
    assert (first, second) == (1, -signal.SIGKILL)
    assert "Another process of this training has ended" in said
    assert "--resume" in said
    assert [step for step, _ in checkpoints_in(tmp_path / "checkpoints")] == [0, 2]
    ended = run_together(SCRIPT, str(data), str(tmp_path), "goes on")
    assert [status for status, _ in ended] == [0, 0], ended
    rows, best, _ = came_to(tmp_path)
    expected = came_to(whole)
    for found, wanted in zip(rows, expected[0], strict=True):
        assert found == pytest.approx(wanted, rel=1e-3, abs=1e-4)
    assert_alike(best, expected[1], scenes.settings().rate)


def stepper(told: list[str] | None = None, **changed: Any) -> Stepper:
    chosen, base = scenes.settings(clip=0.0, **changed), scenes.base()
    network = base.load()
    prepare(network, chosen, base.teaching)
    said = told if told is not None else []
    return Stepper(network, optimiser_of(network, chosen, base.teaching), chosen, announce=said.append)


def gradients(lessons: Lessons, one: Stepper, batch: int = 2) -> dict[str, torch.Tensor]:
    given = ClipFeed(lessons.train, (), scenes.settings(batch=batch), scenes.base().input).batch(0)
    one.step(0, given, 0.0, LOSSES["rvm"])
    return {name: each.grad.clone() for name, each in learning(one.network).items() if each.grad is not None}


def assert_close(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-7, msg=name)


@pytest.mark.parametrize("changed", [{"parts": 2}, {"recompute": True}])
def test_parts_and_recomputing_change_no_gradient(lessons: Lessons, changed: dict[str, Any]) -> None:
    assert_close(gradients(lessons, stepper(**changed)), gradients(lessons, stepper()))


class Limited:
    """A memory that holds what so many frames leave behind, and nothing of what is computed twice."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, frames: int) -> None:
        self.asked: list[int] = []
        sequence = RobustVideoMatting.sequence

        def limited(network: RobustVideoMatting, given: torch.Tensor) -> Any:
            self.asked.append(len(given))
            twice = any("forward" in vars(module) for module in network.modules())
            if len(given) * given.shape[1] > frames and not (twice and len(given) == 1):
                raise RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 9 B.")
            return sequence(network, given)

        monkeypatch.setattr(RobustVideoMatting, "sequence", limited)


def test_clips_that_memory_does_not_hold_together_come_one_by_one(
    lessons: Lessons, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = gradients(lessons, stepper(batch=4), 4)
    told: list[str] = []
    one = stepper(told, batch=4)
    memory = Limited(monkeypatch, frames=3)
    assert_close(gradients(lessons, one, 4), expected)
    assert memory.asked == [4, 2, 1, 1, 1, 1]
    assert (one.parts, one.recomputes) == (4, False)
    assert [sentence.partition(",")[0] for sentence in told] == [
        f"Memory ran out: the batch of 4 is now taken in {parts} parts" for parts in (2, 4)
    ]


def test_where_memory_does_not_hold_one_clip_it_is_computed_twice(
    lessons: Lessons, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No frame is left out: a shorter clip would teach something else."""
    expected = gradients(lessons, stepper())
    told: list[str] = []
    one = stepper(told)
    memory = Limited(monkeypatch, frames=2)
    assert_close(gradients(lessons, one), expected)
    assert memory.asked == [2, 1, 1, 1]
    assert one.recomputes
    assert "what one clip of 3 frames of 64 x 64 pixels leaves behind" in told[1]


def test_where_memory_holds_no_clip_at_all_that_is_said(lessons: Lessons, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(network: RobustVideoMatting, given: torch.Tensor) -> Any:
        raise RuntimeError("CUDA out of memory.")

    monkeypatch.setattr(RobustVideoMatting, "sequence", full)
    with pytest.raises(DeviceError, match="even one clip of 3 frames of 64 x 64 pixels") as caught:
        gradients(lessons, stepper())
    assert "smaller --length or --side" in caught.value.remedy


@pytest.mark.long
def test_what_memory_asked_for_is_not_asked_again_after_a_stop(
    lessons: Lessons, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    first = scenes.trainer(tmp_path, lessons, told, general=0.0)
    save = first._save

    def ended(step: int, *rest: Any) -> None:
        save(step, *rest)
        if step == 2:
            first.stop()

    first._save = ended  # type: ignore[method-assign]
    Limited(monkeypatch, frames=2)
    with pytest.raises(Cancelled):
        first.run(resume=False)
    assert sum("Memory" in sentence for sentence in told) == 2
    told.clear()
    memory = Limited(monkeypatch, frames=2)
    assert scenes.trainer(tmp_path, lessons, told, general=0.0).run(resume=True)["steps"] == 4
    assert not any("Memory" in sentence for sentence in told)
    assert set(memory.asked) == {1}


def test_what_enlarges_stays_and_parts_can_be_frozen() -> None:
    teaching = teaching_of("rvm_mobilenetv3")
    for freeze, kinds in (
        ("nothing", {"backbone", "aspp", "decoder", "project_mat"}),
        ("encoder", {"aspp", "decoder", "project_mat"}),
        ("decoder", {"backbone"}),
    ):
        network = rvm_mobilenetv3()
        prepare(network, scenes.settings(freeze=freeze), teaching)
        assert {name.partition(".")[0] for name in learning(network)} == kinds


def test_a_clip_is_held_to_what_the_base_is_sure_of() -> None:
    before = torch.tensor([0.5, 0.75, 1.0, 0.0]).view(1, 1, 1, 2, 2)
    now = torch.tensor([0.1, 0.5, 0.5, 0.0]).view(1, 1, 1, 2, 2).requires_grad_()
    colours = torch.zeros(1, 1, 3, 2, 2)
    loss, parts = loss_of_change(Outputs(matte=(colours, now)), Outputs(matte=(colours, before)), 2.0)
    assert float(loss.detach()) == pytest.approx(2 * (0 + 0.25 * 0.0625 + 0.25 + 0) / 4)
    assert parts == {"change": pytest.approx(float(loss.detach()))}
    with torch.no_grad():
        given = outputs_of(scenes.network(), torch.rand(3, 2, 3, 64, 64))
    one, other = given.parted(1)
    assert one.matte is not None
    assert other.matte is not None
    assert (len(one.matte[1]), len(other.matte[0])) == (1, 2)


def test_a_loss_that_is_no_number_tells_of_clips(lessons: Lessons) -> None:
    chosen, base = scenes.settings(), scenes.base()
    network = base.load()
    prepare(network, chosen, base.teaching)
    batch = ClipFeed(lessons.train, (), chosen, base.input).batch(0)
    batch.pictures[:] = float("nan")
    with pytest.raises(ModelError, match=r"the loss is nan.*alpha nan.*take"):
        Stepper(network, optimiser_of(network, chosen, base.teaching), chosen).step(0, batch, 1e-3, LOSSES["rvm"])


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"loss": "u2net"}, "loss u2net is for pictures"),
        ({"lora": 4}, "no transformer"),
        ({"tiles": 0.5}, "shown as squares"),
        ({"normalisation": "trained"}, "folded"),
        ({"general_truth": "masks"}, "what the base finds"),
        ({"side": 32}, "too small"),
    ],
)
def test_settings_of_pictures_are_refused(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Clips().settled(Training.of(**changed), on_card=False)


def test_lengths_are_the_authors_on_a_card_and_shorter_elsewhere() -> None:
    assert Clips().settled(Training(), on_card=True).length == 15
    assert Clips().settled(Training(), on_card=False).length == 6
    assert Clips().settled(Training(length=3), on_card=True).length == 3
    with pytest.raises(InputError, match="for clips"):
        Stills().settled(Training(loss="rvm"), on_card=False)


def test_other_models_for_clips_are_not_trained() -> None:
    with pytest.raises(InputError, match="not trained here") as caught:
        base_of("bimatting")
    assert "rvm-mobilenetv3" in caught.value.remedy


@pytest.mark.parametrize("kind", ["onnx", "safetensors"])
def test_a_file_of_such_weights_is_a_base(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a training's own file the published graph is what its weights go back into."""
    file = tmp_path / f"mine.{kind}"
    if kind == "onnx":
        file.symlink_to(video_weights())
    else:
        save_file(load_recurrent(video_weights(), "rvm_mobilenetv3").state_dict(), file)
    base = base_of(str(file))
    assert isinstance(base, ClipBase)
    assert (base.network, base.medium.many, base.card) == ("rvm_mobilenetv3", "clips", None)
    weights = base.load().state_dict()
    published = load_recurrent(video_weights(), "rvm_mobilenetv3").state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in published.items())
    monkeypatch.setenv("GOSSAMER_HOME", str(video_weights().parents[1]))
    assert base.graph(Progress(), print) == (file if kind == "onnx" else video_weights())
    with pytest.raises(InputError, match="one way only"):
        base_of(str(file), "u2net")


def test_resnet50_is_told_from_mobilenetv3(tmp_path: Path) -> None:
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in rvm_resnet50().state_dict().items()}
    save_file({name: torch.zeros(shape) for name, shape in shapes.items()}, tmp_path / "own.safetensors")
    assert base_of(str(tmp_path / "own.safetensors")).network == "rvm_resnet50"
    save_file({"some.weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="no network that can be trained here"):
        base_of(str(tmp_path / "other.safetensors"))
