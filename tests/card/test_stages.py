"""Stages after the mask on tensors beside the ordinary ones. torch's processor stands in for the card."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from gossamer.arrays import unit_float
from gossamer.card import stages
from gossamer.card.colours import fused_colours
from gossamer.card.guided import guided_alphas
from gossamer.card.stages import further_of
from gossamer.compositing import Backdrop
from gossamer.cutout import Cutout
from gossamer.errors import Cancelled, DeviceError
from gossamer.foreground import blur_fusion, fill_hidden
from gossamer.image import read_image
from gossamer.matting.guided import guided_alpha
from gossamer.networks.torch_network import TorchNetwork
from gossamer.pipeline import Pipeline, finish
from gossamer.progress import Progress
from gossamer.settings import Recipe
from tests.cached_weights import weights_home
from tests.segmentation.test_tensors import picture


def soft_disc(height: int, width: int) -> np.ndarray:
    """Return a disc with a soft edge, some of the picture's border beyond it: (H, W) float32."""
    y, x = np.mgrid[:height, :width]
    distance = np.hypot(y - height / 2, x - width / 2)
    return np.clip((min(height, width) / 3 - distance) / 6 + 0.5, 0, 1).astype(np.float32)


SHAPES = [(97, 140), (40, 33), (1, 9)]


@pytest.mark.parametrize("radius", [1, 8, 60])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_guided_filter_is_the_processors(shape: tuple[int, int], radius: int) -> None:
    pictures, mask = [picture(*shape, seed) for seed in (0, 1)], soft_disc(*shape)
    found = guided_alphas(torch.from_numpy(np.stack(pictures)), torch.from_numpy(np.stack([mask, 1 - mask])), radius)
    assert found.dtype == torch.float32
    for one, given, own in zip(found.numpy(), (mask, 1 - mask), pictures, strict=True):
        assert np.abs(one - guided_alpha(own, given, radius=radius)).max() <= 2e-4


@pytest.mark.parametrize("shape", SHAPES)
def test_colours_are_the_processors(shape: tuple[int, int]) -> None:
    """What is visible to a hundredth of an 8-bit step; what is hidden goes on as smoothly, a little otherwise."""
    own, alpha = picture(*shape), soft_disc(*shape)
    expected = fill_hidden(blur_fusion(own, alpha, 30, 6), alpha, 2)
    given = torch.from_numpy(own[None]), torch.from_numpy(alpha[None])
    found = fused_colours(*given, 30, 6, eight_bit=False).numpy()[0]
    visible = alpha >= 0.5 / 255
    assert np.abs(found - expected)[visible].max(initial=0) <= 0.02 / 255
    hidden = np.abs(found - expected)[~visible] * 255
    assert hidden.max(initial=0) <= 12
    assert not hidden.size or hidden.mean() <= 2
    whole = fused_colours(*given, 30, 6, eight_bit=True).numpy()[0]
    np.testing.assert_array_equal(whole, (found * 255 + np.float32(0.5)).astype(np.uint8))


def test_of_nothing_visible_nothing_is_made() -> None:
    own, alpha = torch.from_numpy(picture(40, 50)[None]), torch.zeros(1, 40, 50)
    assert not fused_colours(own, alpha, 90, 6, eight_bit=True).any()


GUIDED = {"matting": {"method": "guided"}, "foreground": {"method": "blur_fusion"}}
PLAIN = {"matting": {"method": "none"}, "foreground": {"method": "blur_fusion"}}


def test_what_a_card_takes_of_a_recipe() -> None:
    own = picture(20, 30)

    def planes(settings: dict, pixels: np.ndarray = own, device: str = "cuda") -> list[tuple]:
        further = further_of(Recipe.of(settings), pixels, device)
        return [] if further is None else [(each.shape, each.type) for each in further.planes]

    alpha, colours = ((20, 30), "float32"), ((20, 30, 3), "float32")
    assert planes(GUIDED) == [alpha, colours]
    assert planes(PLAIN) == [colours]
    assert planes({"matting": {"method": "guided"}, "foreground": {"method": "none"}}) == [alpha]
    assert planes({"matting": {"method": "guided"}}) == [alpha]
    assert planes({**GUIDED, "background": {"fill": "white"}}) == [alpha]
    assert planes({**PLAIN, "foreground": {"method": "blur_fusion", "decontaminate": 50}}) == []
    assert planes({**PLAIN, "refinement": {"feather": 2}}) == []
    assert planes({"matting": {"method": "none"}, "foreground": {"method": "none"}}) == []
    assert planes({}) == []
    assert planes(GUIDED, own.astype(np.float32) / 255) == []
    assert planes(GUIDED, device="mps") == []  # which has no float64
    large = np.broadcast_to(own[:1, :1], (1500, 1500, 3))
    assert planes(PLAIN, large) == [((1500, 1500, 3), "uint8")]


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Bring pictures to torch's processor as to a card; return how many planes have come back, run by run."""
    torch.set_num_threads(1)
    read, back = TorchNetwork.read, []

    def counted(self: TorchNetwork, pixels: np.ndarray, reading: object, progress: Progress) -> np.ndarray:
        back.append(len(reading.planes))
        return read(self, pixels, reading, progress)

    monkeypatch.setattr(TorchNetwork, "takes_pictures", True)
    monkeypatch.setattr(TorchNetwork, "read", counted)
    return back


def pipeline_of(settings: dict) -> Pipeline:
    file = str(weights_home() / "models" / "u2netp.onnx")
    return Pipeline(Recipe.of(settings), model=file, architecture="u2netp", runtime="torch", device="cpu")


def same(found: Cutout, expected: Cutout) -> None:
    assert np.abs(found.alpha - expected.alpha).max() <= 1 / 255
    seen = expected.alpha > 0.02
    assert np.abs(unit_float(found.pixels) - unit_float(expected.pixels))[seen].max() <= 1 / 255


@pytest.mark.parametrize(("settings", "planes"), [(PLAIN, 2), (GUIDED, 3), ({}, 1)])
def test_a_cut_out_is_the_processors(
    settings: dict, planes: int, card: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = picture(96, 128)
    found = pipeline_of(settings).run(own)
    assert card == [planes]
    monkeypatch.setattr(TorchNetwork, "takes_pictures", False)
    expected = pipeline_of(settings).run(own)
    assert card == [planes]
    assert found.pixels.dtype == expected.pixels.dtype
    assert found.report.warnings == expected.report.warnings
    assert 0.02 < expected.report.coverage < 0.98
    same(found, expected)


def test_what_was_made_ahead_counts_for_its_own_mask_and_settings(card: list[int]) -> None:
    """Another recipe, a corrected alpha, another mask: the ordinary stages, by what they are given."""
    own, recipe = read_image(picture(96, 128)), Recipe.of(GUIDED)
    mask, origin = pipeline_of(GUIDED).find(own, recipe, Progress(), ahead=True)
    assert origin.ahead is not None
    bare = replace(origin, ahead=None)
    narrow = Recipe.of({**GUIDED, "matting": {"method": "guided", "band": 3}})

    def made(*arguments: object, given: np.ndarray = mask, **how: object) -> tuple[Cutout, Cutout]:
        wanted = arguments[0] if arguments else recipe
        both = (finish(own, given, wanted, Backdrop(), each, Progress(), **how) for each in (origin, bare))
        return next(both), next(both)

    for one, other in (
        made(narrow),
        made(Recipe.of({**GUIDED, "foreground": {"method": "blur_fusion", "radius": 20}})),
        made(correct=lambda alpha: np.minimum(alpha, np.float32(0.5))),
        made(given=mask * np.float32(0.9)),
    ):
        same(one, other)


def test_a_card_without_room_leaves_the_stages_to_the_processor_and_says_so(
    card: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "available_memory", lambda: 96 * 128 * 399)
    found = pipeline_of(PLAIN).run(picture(96, 128))
    assert card == [1]  # the mask is of there all the same
    assert any(
        "0.0 GB left, too little for the edges and colours of 128 x 96" in each for each in found.report.warnings
    )


def test_room_that_was_counted_and_is_not_there_costs_the_picture_nothing(
    card: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = TorchNetwork.read

    def short(self: TorchNetwork, pixels: np.ndarray, reading: object, progress: Progress) -> np.ndarray:
        if len(reading.planes) > 1:
            raise DeviceError("There is not enough memory to run this model on one picture of 64 x 48.", "Free some.")
        return counted(self, pixels, reading, progress)

    monkeypatch.setattr(TorchNetwork, "read", short)
    found = pipeline_of(PLAIN).run(picture(48, 64))
    assert card == [1]
    assert any("of 64 x 48. The processor makes its edges" in each for each in found.report.warnings)


def test_it_can_be_left(card: list[int]) -> None:
    told: list[float] = []

    def leave(fraction: float, message: str) -> None:
        told.append(fraction)
        if fraction > 0.2:
            raise Cancelled()

    with pytest.raises(Cancelled):
        pipeline_of(PLAIN).run(picture(96, 128), leave)
