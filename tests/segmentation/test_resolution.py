"""Another size than the authors': it reaches the network, theirs changes nothing, and what cannot be is refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import skimage.data
import torch

import gossamer
from gossamer.cli import main
from gossamer.errors import InputError
from gossamer.networks.architectures.networks import NETWORKS, build
from gossamer.networks.network import Sizes
from gossamer.segmentation.ensemble import Ensemble
from gossamer.segmentation.loading import load_model
from gossamer.segmentation.model import SegmentationModel
from gossamer.segmentation.preprocessing import at_resolution, network_size
from gossamer.weights.catalogue import InputSpec, OutputSpec, architecture, model_card
from tests.cached_weights import weights_home
from tests.segmentation.networks import Painted

FED = InputSpec(
    size=(128, 128), resize="bilinear", quantize="none", scale="255", mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)
)
READ = OutputSpec(index=0, activation="none", normalise="none", resize="bilinear")
WIDE = np.random.default_rng(3).integers(0, 256, (200, 300, 3), np.uint8)


@pytest.fixture(autouse=True)
def _real_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOSSAMER_HOME", str(weights_home()))


def painted(sizes: Sizes | None = None, **fed: object) -> tuple[SegmentationModel, Painted]:
    network = Painted(lambda x: x, sizes)
    return SegmentationModel("grey", network, (dataclasses.replace(FED, **fed), READ)), network


@pytest.mark.parametrize("resize", ["bilinear", "letterbox", "skimage", "lanczos"])
def test_the_size_reaches_the_network_and_the_mask_has_the_pictures(resize: str) -> None:
    model, network = painted(resize=resize)
    mask = model.at(64).predict(WIDE, flips=True)
    assert network.seen == [(64, 64)] * 2
    assert mask.shape == (200, 300)
    grey = model.at(256).predict(np.full((90, 70, 3), 51, np.uint8))
    assert network.seen[-1] == (256, 256)
    np.testing.assert_allclose(grey, 0.2, atol=1e-6)


def test_a_batch_and_tiles_see_it_too() -> None:
    model, network = painted()
    model.at(96).predict_batch([WIDE, WIDE[:50]], batch_size=2)
    assert (network.batches, network.seen) == ([2], [(96, 96)])
    network.seen.clear()
    sharp = np.zeros((600, 800, 3), np.uint8)
    sharp[200:400, 300:500] = 255
    model.at(64).predict(sharp, detail=True)
    assert len(network.seen) > 1
    assert set(network.seen) == {(64, 64)}


def test_nothing_and_the_authors_own_size_change_nothing() -> None:
    model, network = painted()
    expected = model.predict(WIDE)
    for same in (model.at(0), model.at(128), model.at(64).at(0), model.at(64).at(128)):
        assert np.array_equal(same.predict(WIDE), expected)
        assert same.resolution == 0
    assert set(network.seen) == {(128, 128)}
    assert model.at(64).resolution == 64
    assert model.resolution == 0  # the model itself stays as it was


def test_a_wide_size_of_the_authors_is_no_square() -> None:
    model, network = painted(size=(256, 128))
    model.at(256).predict(WIDE)
    model.at(0).predict(WIDE)
    assert network.seen == [(256, 256), (128, 256)]


def test_models_that_keep_the_aspect_ratio_keep_it() -> None:
    dynamic = model_card("birefnet-dynamic").input
    assert network_size(at_resolution(dynamic, 1024), 3000, 4000) == (768, 1024)
    assert network_size(at_resolution(dynamic, 1024), 480, 640) == (480, 640)  # as large as it is, as always
    assert network_size(at_resolution(dynamic, 256), 3000, 4000) == (192, 256)
    modnet = architecture("modnet").input
    assert network_size(at_resolution(modnet, 1024), 3000, 4000) == (1024, 1344)
    people = SegmentationModel("modnet", Painted(lambda x: x), (modnet, READ))
    assert [people.at(side).resolution for side in (512, 1024)] == [0, 1024]


def test_several_models_see_it_each() -> None:
    (one, first), (other, second) = painted(), painted(size=(64, 64))
    both = Ensemble([one, other], "max")
    assert both.resolution == 0
    seen = both.at(64)
    seen.predict(WIDE)
    assert (seen.id, seen.combine, seen.resolution) == ("grey+grey (max)", "max", 64)
    assert first.seen == second.seen == [(64, 64)]
    assert Ensemble([other, other]).at(64).resolution == 0  # it is what their authors chose


def test_what_the_network_does_not_take_is_refused_with_what_it_takes() -> None:
    multiples, network = painted(Sizes(multiple=128))
    for asked, nearest in ((1056, 1024), (32, 128), (352, 384)):
        with pytest.raises(InputError, match=f"multiples of 128 pixels, and not {asked}") as told:
            multiples.at(asked)
        assert told.value.remedy == f"The nearest resolution that it takes is {nearest}."
    fixed, _ = painted(Sizes(only=(128, 128)))
    with pytest.raises(
        InputError, match="ONNX file of grey takes pictures of 128 x 128 pixels only, and not of 256 x 256"
    ) as told:
        fixed.at(256)
    assert "(the runtime torch)" in told.value.remedy
    with pytest.raises(InputError, match="128 x 128 pixels only"):
        Ensemble([painted()[0], fixed]).at(256)
    assert not network.seen
    exported, seen = painted(Sizes(only=(256, 256)))  # somebody's own graph, of another size than the authors'
    exported.at(256).predict(WIDE)
    assert seen.seen == [(256, 256)]


def test_a_true_graph_has_one_size_and_the_same_weights_in_torch_have_others() -> None:
    cup = skimage.data.coffee()
    graph = load_model("u2netp", device="cpu", runtime="onnx")
    assert np.array_equal(graph.at(320).predict(cup), graph.predict(cup))
    with pytest.raises(InputError, match="u2netp takes pictures of 320 x 320 pixels only, and not of 512 x 512"):
        graph.at(512)
    free = load_model("u2netp", device="cpu", runtime="torch")
    own, smaller = free.predict(cup), free.at(256).predict(cup)
    assert np.array_equal(free.at(320).predict(cup), own)
    both, either = ((own >= 0.5) & (smaller >= 0.5)).sum(), ((own >= 0.5) | (smaller >= 0.5)).sum()
    assert 0.98 < both / either < 1


def test_a_cut_out_reports_it() -> None:
    cat = skimage.data.chelsea()
    sized = gossamer.Recipe.of({"segmentation": {"resolution": 256}})
    pipeline = gossamer.Pipeline(sized, model="u2netp", device="cpu", runtime="torch")
    assert pipeline.run(cat).report.as_dict()["resolution"] == 256
    usual = pipeline.run(cat, recipe=gossamer.Recipe())
    own = pipeline.run(cat, recipe=gossamer.Recipe.of({"segmentation": {"resolution": 320}}))
    assert usual.report.resolution == own.report.resolution == 0
    assert np.array_equal(usual.alpha, own.alpha)


def test_the_command_line_refuses_in_a_sentence_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo, out = tmp_path / "in.png", tmp_path / "out.png"
    PIL.Image.fromarray(skimage.data.chelsea()[::2, ::2]).save(photo)
    asked = ["remove", str(photo), "--out", str(out), "--model", "u2netp", "--device", "cpu"]
    asked += ["--segmentation-resolution", "512"]
    assert main([*asked, "--runtime", "onnx"]) != 0
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "320 x 320" in line]
    assert "(the runtime torch)" in line
    assert not out.exists()
    assert main([*asked, "--runtime", "torch", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["resolution"] == 512


@pytest.mark.long
@pytest.mark.parametrize("name", ["u2netp", "isnet", "birefnet_swin_t", "ben2", "inspyrenet", "modnet"])
def test_networks_take_every_multiple_from_the_least_on(name: str) -> None:
    network, multiple = build(name), max(32, NETWORKS[name].multiple)
    for weights in (*network.parameters(), *network.buffers()):
        if weights.is_floating_point():
            torch.nn.init.constant_(weights, 0.01)
    for side in (multiple, 3 * multiple):
        with torch.inference_mode():
            assert network(torch.zeros(1, 3, side, side)).shape == (1, 1, side, side)
