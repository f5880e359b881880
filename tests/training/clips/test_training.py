"""A network for clips is trained by the loop that is there: resumed, in parts, held to its base, refused in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from gossamer.errors import Cancelled, InputError, ModelError
from gossamer.networks.architectures.rvm import rvm_mobilenetv3
from gossamer.progress import Progress
from gossamer.settings.dataset import Data
from gossamer.settings.training import LOSSES, Training, teaching_of
from gossamer.training.bases import base_of
from gossamer.training.clips.feeding import ClipFeed
from gossamer.training.clips.lessons import clip_lessons_of
from gossamer.training.clips.medium import Clips
from gossamer.training.lessons import Lessons
from gossamer.training.losses import loss_of_change
from gossamer.training.media import Stills
from gossamer.training.parts import learning, prepare
from gossamer.training.processes import Processes
from gossamer.training.run_folder import RunFolder
from gossamer.training.stepping import Stepper, optimiser_of
from gossamer.training.supervision import Outputs, outputs_of
from gossamer.training.trainer import Trainer
from tests.training.clips import scenes
from tests.training.test_trainer import assert_same, came_to


@pytest.fixture(scope="module")
def lessons(tmp_path_factory: pytest.TempPathFactory) -> Lessons:
    root = tmp_path_factory.mktemp("data")
    for seed in range(5):
        scenes.save_clip(root / "domain", f"take{seed}", seed, 4)
        scenes.save_cut_clip(root / "general" / f"cut{seed}", 10 + seed, 3)
    reading = Data(test=0.0, validation=30.0)
    return clip_lessons_of(root / "domain", root / "general", None, reading, Progress(), print)


def trainer(folder: Path, lessons: Lessons, **changed: Any) -> Trainer:
    run = RunFolder(folder)
    for path in (run.path, run.checkpoints, run.worst):
        path.mkdir(parents=True, exist_ok=True)
    return Trainer(scenes.base(), lessons, scenes.settings(**changed), run, Processes("cpu"), lambda sentence: None)


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
def test_a_run_that_was_ended_goes_on_to_the_same_numbers(tmp_path: Path, lessons: Lessons) -> None:
    whole = trainer(tmp_path / "whole", lessons).run(resume=False)
    assert whole["steps"] == 4
    rows, _, _ = came_to(tmp_path / "whole")
    losses = [row for row in rows if "loss" in row]
    assert {"loss_alpha", "loss_laplacian", "loss_alpha_steady", "loss_colours", "loss_colours_steady"} < set(losses[0])
    assert "loss_change" in losses[0]
    validations = [row for row in rows if "weighted_f" in row and "share" not in row]
    assert [row["step"] for row in validations] == [0, 2, 4]
    assert {"mae", "iou", "dtssd", "general_weighted_f", "general_dtssd", "general_kept"} <= set(validations[0])
    first = trainer(tmp_path / "ended", lessons)
    save = first._save

    def ended(step: int, *rest: Any) -> None:
        save(step, *rest)
        if step == 2:
            first.stop()

    first._save = ended  # type: ignore[method-assign]
    with pytest.raises(Cancelled):
        first.run(resume=False)
    result = trainer(tmp_path / "ended", lessons).run(resume=True)
    assert result["resumed"] == 2
    assert_same(tmp_path / "ended", tmp_path / "whole")
    assert (tmp_path / "whole" / "worst" / "step-0000004.png").exists()


def gradients(lessons: Lessons, **changed: Any) -> dict[str, torch.Tensor]:
    chosen, base = scenes.settings(clip=0.0, **changed), scenes.base()
    network = base.load()
    prepare(network, chosen, base.teaching)
    optimiser = optimiser_of(network, chosen, base.teaching)
    batch = ClipFeed(lessons.train, (), chosen, base.input).batch(0)
    Stepper(network, optimiser, chosen).step(0, batch, 0.0, LOSSES["rvm"])
    return {name: one.grad.clone() for name, one in learning(network).items() if one.grad is not None}


@pytest.mark.parametrize("changed", [{"parts": 2}, {"recompute": True}])
def test_parts_and_recomputing_change_no_gradient(lessons: Lessons, changed: dict[str, Any]) -> None:
    found, expected = gradients(lessons, **changed), gradients(lessons)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-7, msg=name)


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
