"""Between a base and what it was trained to: the right part of the way is taken, and what was known is kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.utils import parametrize

from gossamer.networks.architectures.u2net import U2Net
from gossamer.settings.training import LOSSES, Training, teaching_of
from gossamer.training.feeding import Batch, Feed
from gossamer.training.interpolation import Origin, chosen
from gossamer.training.lessons import Lessons
from gossamer.training.lora import LowRank, merged
from gossamer.training.parts import prepare
from gossamer.training.processes import Processes
from gossamer.training.run_folder import RunFolder
from gossamer.training.stepping import Stepper, optimiser_of
from gossamer.training.supervision import outputs_of
from gossamer.training.trainer import Trainer
from gossamer.training.validation import Seen, validated
from gossamer.weights.catalogue import architecture
from tests.training import tiny


def test_between_lie_the_weighted_means_and_afterwards_all_is_as_it_was() -> None:
    layer = nn.Linear(3, 2)
    before = {name: value.detach().clone() for name, value in layer.named_parameters()}
    origin = Origin(layer)
    nn.init.normal_(layer.weight, generator=torch.Generator().manual_seed(1))
    after = {name: value.detach().clone() for name, value in layer.named_parameters()}
    for share in (0.0, 0.3, 1.0):
        with origin.mixed(share):
            for name, value in layer.named_parameters():
                torch.testing.assert_close(value.detach(), (1 - share) * before[name] + share * after[name])
        assert all(torch.equal(value, after[name]) for name, value in layer.named_parameters())


def test_of_lora_the_sum_lies_on_the_straight_line() -> None:
    generator = torch.Generator().manual_seed(2)
    network = nn.Sequential(nn.Linear(5, 4, bias=False))
    network.requires_grad_(False)
    parametrize.register_parametrization(network[0], "weight", LowRank(4, 5, 2, generator))
    before = merged(network)["0.weight"].clone()
    origin = Origin(network)
    with torch.no_grad():
        for one in network.parameters():
            if one.requires_grad:
                one.add_(torch.randn(one.shape, generator=generator))
    after = merged(network)["0.weight"].clone()
    with origin.mixed(0.3):
        torch.testing.assert_close(merged(network)["0.weight"], 0.7 * before + 0.3 * after)


@pytest.mark.parametrize(
    ("found", "share"),
    [
        ({0.3: (0.5, 0.8), 0.6: (0.7, 0.795), 1.0: (0.9, 0.7)}, 0.6),  # the whole way has forgotten
        ({0.3: (0.5, 0.8), 0.6: (0.7, 0.8), 1.0: (0.6, 0.8)}, 0.6),  # and beyond the best it becomes worse
        ({0.3: (0.7, 0.8), 0.6: (0.7, 0.8)}, 0.3),  # of equals the smaller
        ({0.3: (0.7, 0.78), 0.6: (0.8, 0.7)}, None),
        ({1.0: (0.7, None)}, 1.0),  # nothing tells what is forgotten
    ],
)
def test_the_best_that_has_not_forgotten_is_chosen(
    found: dict[float, tuple[float, float | None]], share: float | None
) -> None:
    names = ("weighted_f", "general_kept")
    told = {one: {n: v for n, v in zip(names, pair, strict=True) if v is not None} for one, pair in found.items()}
    assert chosen(told, 0.79) == share


class Line(nn.Module):
    """A network of one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor([2.0]))


def trainer(folder: Path, lessons: Lessons, settings: Training, base: Any = None) -> Trainer:
    run = RunFolder(folder)
    for path in (run.path, run.checkpoints, run.worst):
        path.mkdir(parents=True, exist_ok=True)
    return Trainer(base or tiny.base(), lessons, settings, run, Processes("cpu"), lambda sentence: None)


@pytest.mark.parametrize(("slope", "share"), [(0.02, 0.375), (0.0, 1.0), (0.2, None)])
def test_of_a_line_the_share_that_loses_one_per_cent_is_kept(slope: float, share: float | None, tmp_path: Path) -> None:
    """From 2 to 4: the domain gains all the way and the general loses `slope` over it, so 0.8 becomes 0.792 at 0.4."""
    one = trainer(tmp_path, tiny.lessons(), tiny.settings())
    one._network, one._where = Line(), "cpu"
    one._origin = Origin(one._network)
    one._before, one._general_before = {"weighted_f": 0.2, "general_weighted_f": 0.8}, [0.9, 0.7]
    nn.init.constant_(one._network.w, 4.0)

    def seen(pictures: Sequence[Any]) -> list[Seen]:
        way = (float(one._network.w.detach()) - 2) / 2
        own = pictures is one._lessons.validation
        if own:
            return [Seen("a", {"weighted_f": 0.2 + 0.5 * way})]
        # What becomes better in one picture does not pay for what becomes worse in another.
        return [Seen("b", {"weighted_f": 0.9 - 2 * slope * way}), Seen("c", {"weighted_f": 0.7 + slope * way})]

    one._seen = seen  # type: ignore[method-assign]
    one._best = dict(one._before)
    one._keep(2, one._on_the_way(2, {"weighted_f": 0.7, "general_kept": 0.8 - slope}))
    if share is None:
        assert one._best_step == 0
        assert not one.folder.best.exists()
        return
    assert one._share == share
    assert one._best["weighted_f"] == pytest.approx(0.2 + 0.5 * share)
    assert load_file(one.folder.best)["w"].item() == pytest.approx(2 + 2 * share)
    assert one._network.w.item() == 4  # the training goes on where it was
    told = {row["share"]: row.get("share_general_kept") for row in one._rows if "share" in row}
    assert told[share] == pytest.approx(0.8 - slope * share)


class Dark(tiny.Ellipse):
    """The same before something bright: what finds the others knows nothing of it."""

    def load(self, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        rgb, alpha = super().load(seed)
        return 255 - rgb, alpha


def taught(network: U2Net, steps: int) -> U2Net:
    """Teach a network to find bright ellipses."""
    settings = tiny.settings(batch=6)
    feed = Feed(tuple(tiny.Ellipse(number) for number in range(100, 112)), (), settings, architecture("u2net").input)
    teaching = teaching_of("u2netp")
    prepare(network, settings, teaching)
    stepper = Stepper(network, optimiser_of(network, settings, teaching), settings)
    for step in range(steps):
        stepper.step(step, feed.batch(step), 5e-3, LOSSES["u2net"])
    return network.eval()


@pytest.mark.long
def test_what_a_network_knew_is_kept_where_training_on_alone_loses_it(tmp_path: Path) -> None:
    base = taught(tiny.network(), 24)

    class Taught(tiny.TinyBase):
        def load(self) -> U2Net:
            network = tiny.network()
            network.load_state_dict(base.state_dict())
            return network

    spec = architecture("u2net")
    began = Taught("taught", "u2netp", Path("none"), spec.input, spec.output)
    dark, bright = (tuple(kind(number) for number in range(200, 206)) for kind in (Dark, tiny.Ellipse))
    lessons = Lessons(dark[:4], dark[4:], bright[:4], bright[4:])  # type: ignore[arg-type]
    plain = {"steps": 6, "validate_every": 6, "general": 0.0, "rate": 1e-3, "warmup": 0, "worst": 0, "average": 0.0}
    one = trainer(tmp_path, lessons, tiny.settings(**plain), began)
    result = one.run(resume=False)
    floor = 0.99 * result["before"]["general_weighted_f"]
    rows = {row["share"]: row for row in one._rows if "share" in row}
    assert rows[1.0]["share_general_weighted_f"] < floor
    assert 0 < result["share"] < 1
    assert result["after"]["weighted_f"] > result["before"]["weighted_f"]
    assert result["after"]["general_weighted_f"] >= floor
    kept = tiny.network()
    kept.load_state_dict(load_file(one.folder.best))
    how = {"spec": began.input, "output": began.output, "logits": began.logits, "side": tiny.SIDE}
    seen = validated(kept.eval(), lessons.general_validation, **how)  # type: ignore[arg-type]
    assert np.mean([one.values["weighted_f"] for one in seen]) == pytest.approx(
        result["after"]["general_weighted_f"], abs=1e-4
    )


def test_what_is_recalled_is_what_the_base_gives_side_outputs_included() -> None:
    network = tiny.network().eval()
    pictures = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        expected, final = outputs_of(network, pictures), network(pictures)
    origin = Origin(network)
    with torch.no_grad():
        for one in network.parameters():
            one.mul_(1.1)
        assert not torch.allclose(network(pictures), final, atol=1e-3)
    network.train()
    found = origin.recalled(pictures)
    assert len(found.maps) == 7
    for one, other in zip(found.maps, expected.maps, strict=True):
        torch.testing.assert_close(one, other)
        assert not one.requires_grad
    torch.testing.assert_close(found.maps[0].sigmoid(), final)
    assert network.training


def gradients(given: Batch, settings: Training, recall: bool, moved: float = 0.0) -> list[Tensor]:
    """Return the gradients of a step from the base, or from somewhere near it."""
    network, teaching = tiny.network(), teaching_of("u2netp")
    prepare(network, settings, teaching)
    origin = Origin(network)
    with torch.no_grad():
        for value in network.parameters():
            value.mul_(1 + moved)
    recalled = origin.recalled if recall else None
    optimiser = optimiser_of(network, settings, teaching)
    precision = "bfloat16" if settings.precision == "bfloat16" else "float32"
    one = Stepper(network, optimiser, settings, precision=precision, recalled=recalled)
    one.step(0, given, 0.0, LOSSES["u2net"])
    return [value.grad for value in network.parameters() if value.grad is not None]


def fed(settings: Training) -> Batch:
    pictures = tiny.lessons()
    return Feed(pictures.train, pictures.general, settings, architecture("u2net").input).batch(0)


@pytest.mark.long
def test_what_has_not_changed_has_no_slope() -> None:
    """Where the network is its base, general pictures do not move it: neither its map nor its side outputs."""
    settings = tiny.settings(general=0.5, clip=0.0)
    batch = fed(settings)
    general = Batch(batch.pictures[2:], batch.truths[2:], batch.names[2:], held=2)
    assert max(float(one.abs().max()) for one in gradients(general, settings, recall=True)) < 1e-7
    assert max(float(one.abs().max()) for one in gradients(general, settings, recall=True, moved=0.05)) > 1e-4


@pytest.mark.long
@pytest.mark.parametrize("parts", [1, 2, 4])
def test_only_what_is_general_is_held_against_the_base(parts: int) -> None:
    """The gradient is that of the domain's pictures, and `keep` times that of the change on the general ones."""
    settings = tiny.settings(general=0.25, clip=0.0, parts=parts, keep=7.0)
    batch = fed(settings)
    assert batch.held == 1
    own = Batch(batch.pictures[:3], batch.truths[:3], batch.names[:3])
    general = Batch(batch.pictures[3:], batch.truths[3:], batch.names[3:], held=1)
    unweighed = settings.model_copy(update={"keep": 1.0, "parts": 1})
    changed = gradients(general, unweighed, recall=True, moved=0.05)
    learnt = gradients(own, unweighed, recall=True, moved=0.05)
    found = gradients(batch, settings, recall=True, moved=0.05)
    for one, mine, other in zip(found, learnt, changed, strict=True):
        torch.testing.assert_close(one, mine + 7 * other, rtol=1e-3, atol=1e-5)


@pytest.mark.long
def test_in_half_precision_the_network_learns_and_not_its_base() -> None:
    """Autocast keeps weights that it has cast: those of the base must not be the network's."""
    settings = tiny.settings(general=0.5, clip=0.0)
    batch = fed(settings)
    expected = gradients(batch, settings, recall=True, moved=0.05)
    found = gradients(batch, settings.model_copy(update={"precision": "bfloat16"}), recall=True, moved=0.05)
    assert len(found) == len(expected)
    whole, other = (torch.cat([one.flatten() for one in given]) for given in (expected, found))
    assert float(nn.functional.cosine_similarity(whole, other, dim=0)) > 0.95
