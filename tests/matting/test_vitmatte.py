"""ViTMatte with tiny seeded weights of transformers' own classes: fed as they are, tiled, halved, refused."""

from __future__ import annotations

import itertools
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

import gossamer
from gossamer.errors import (
    Cancelled,
    DeviceError,
    InputError,
    MissingExtra,
    ModelError,
)
from gossamer.matting import closed_form_alpha, trimap_from_mask, vitmatte_alpha
from gossamer.matting.vitmatte import network as neural
from gossamer.matting.vitmatte.lent import unload_vitmatte
from gossamer.matting.vitmatte.network import NORMALISATIONS, VitMatte
from gossamer.matting.vitmatte.tiles import Window, blended, tiles, window_around
from tests.matting.tiny_vitmatte import scene

pytestmark = pytest.mark.usefixtures("one_thread", "alone")


@pytest.mark.long
@pytest.mark.parametrize("normalisation", ["half", "imagenet"])
@pytest.mark.parametrize("size", [(32, 32), (33, 64), (45, 71), (101, 17), (7, 5), (1, 3)])
def test_equals_transformers_own_processor_and_model(folder: Path, size: tuple[int, int], normalisation: str) -> None:
    image, trimap = scene(*size)
    mean, deviation = NORMALISATIONS[normalisation]
    # The processor of the slow or pure-Pillow kind: the other one needs torchvision.
    processor_class = getattr(transformers, "VitMatteImageProcessorPil", None) or transformers.VitMatteImageProcessor
    processor = processor_class(image_mean=list(mean), image_std=list(deviation))
    # float32 already: the processor would take 8-bit trimaps, in which unknown is 128/255
    inputs = processor(
        images=image.astype(np.float32) / 255,
        trimaps=trimap,
        do_rescale=False,
        input_data_format="channels_last",
        return_tensors="pt",
    )
    network = transformers.VitMatteForImageMatting.from_pretrained(folder).eval()
    with torch.no_grad():
        expected = network(**inputs).alphas[0, 0, : size[0], : size[1]].numpy()
    ours = VitMatte.load(folder, device="cpu", normalisation=normalisation).predict(image, trimap)
    unknown = trimap == 0.5
    np.testing.assert_allclose(ours[unknown], expected[unknown], atol=2e-6)
    if size[0] > 30:
        assert expected[unknown].std() > 0.02  # else nothing would be compared


@pytest.mark.long
def test_the_default_normalisation_is_the_authors(folder: Path, model: VitMatte) -> None:
    image, trimap = scene(40, 40)
    explicit = VitMatte.load(folder, device="cpu", normalisation="imagenet").predict(image, trimap)
    other = VitMatte.load(folder, device="cpu", normalisation="half").predict(image, trimap)
    default = model.predict(image, trimap)
    np.testing.assert_array_equal(default, explicit)
    assert np.abs(default - other).max() > 0.01


def test_known_pixels_come_back_exactly(model: VitMatte) -> None:
    image, trimap = scene(50, 70)
    trimap[trimap == 1] = 0.93
    trimap[trimap == 0] = 0.05
    alpha = model.predict(image, trimap)
    assert alpha.dtype == np.float32
    assert (alpha[trimap > 0.9] == 1).all()
    assert (alpha[trimap < 0.1] == 0).all()
    assert ((alpha >= 0) & (alpha <= 1)).all()


def test_the_same_input_gives_the_same_bits(folder: Path, model: VitMatte) -> None:
    image, trimap = scene(90, 150)
    first = model.predict(image, trimap, tile=64)
    np.testing.assert_array_equal(first, model.predict(image, trimap, tile=64))
    np.testing.assert_array_equal(first, vitmatte_alpha(image, trimap, model=folder, device="cpu", tile=64))


def test_inputs_stay_as_they_are(model: VitMatte) -> None:
    image, trimap = scene(40, 40)
    before = image.copy(), trimap.copy()
    model.predict(image, trimap)
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(trimap, before[1])


def test_a_picture_no_larger_than_a_tile_is_seen_whole(model: VitMatte) -> None:
    image, trimap = scene(90, 120)
    trimap[:] = 0
    trimap[40:50, 60:70], trimap[44, 64] = 0.5, 1
    np.testing.assert_array_equal(model.predict(image, trimap, tile=128), model.predict(image, trimap, tile=0))


def test_tiles_equal_the_whole_for_a_network_that_only_looks_nearby(folder: Path) -> None:
    """With attention and position taken out, a pixel sees some 40 around it: blended tiles then change little."""
    local = VitMatte.load(folder, device="cpu")
    with torch.no_grad():
        for name, parameter in local._network.module.named_parameters():
            if "position_embeddings" in name or "encoder.layer" in name:
                parameter.zero_()
    rng = np.random.default_rng(3)
    image = rng.random((64, 330, 3), np.float32)
    trimap = np.full((64, 330), 0.5, np.float32)
    trimap[:4], trimap[-4:] = 0, 1
    whole = local.predict(image, trimap, tile=0)
    tiled = local.predict(image, trimap, tile=192)
    difference = np.abs(whole - tiled)
    assert whole[4:-4].std() > 0.05
    assert difference.max() < 0.3  # where a tile ends: zeros around it, instead of the picture
    assert difference.mean() < 0.004
    assert difference[:, :64].max() < 1e-5


def test_only_tiles_with_unknown_pixels_run(model: VitMatte, monkeypatch: pytest.MonkeyPatch) -> None:
    image, trimap = scene(400, 400)
    trimap[:] = 0
    trimap[150:, 150:] = 1
    trimap[:20, :20] = trimap[380:, 380:] = 0.5
    shapes = []
    run = VitMatte._run

    def counted(self, picture, hints, steps):  # type: ignore[no-untyped-def]
        shapes.append(hints.shape)
        return run(self, picture, hints, steps)

    monkeypatch.setattr(VitMatte, "_run", counted)
    model.predict(image, trimap, tile=160)
    assert shapes == [(160, 160), (144, 144)]


def test_large_picture_is_cut_to_the_unknown_region(model: VitMatte, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neural, "MARGIN", 16)
    image, trimap = scene(900, 700)
    trimap[:] = 0
    trimap[500:520, 300:340], trimap[505:510, 310:330] = 0.5, 1
    alpha = model.predict(image, trimap, tile=128)
    window = window_around(trimap == 0.5, 16, 128)
    assert window.shape == (128, 128)
    alone = model.predict(image[window.slices], trimap[window.slices], tile=0)
    np.testing.assert_array_equal(alpha[window.slices], alone)
    assert np.count_nonzero(alpha) == np.count_nonzero(alone)


@pytest.mark.parametrize(("size", "side"), [(1, 64), (64, 64), (65, 64), (333, 64), (1000, 256), (4000, 1024)])
def test_tiles_cover_everything_and_blend_to_a_partition_of_unity(size: int, side: int) -> None:
    windows = tiles((size, 40), side)
    covered = np.zeros(size, int)
    for window in windows:
        assert min(size, side) - 32 < window.bottom - window.top <= side
        assert window.top % 32 == 0
        covered[window.top : window.bottom] += 1
    assert covered.min() >= 1
    for first, second in itertools.pairwise(windows):
        assert first.bottom - second.top >= side // 4
    ramp = np.linspace(0, 1, size * 40, dtype=np.float32).reshape(size, 40)
    joined = blended((size, 40), windows, np.ones((size, 40), bool), lambda n, count, window: ramp[window.slices])
    np.testing.assert_allclose(joined, ramp, atol=1e-6)


def test_window_keeps_inside_the_picture() -> None:
    unknown = np.zeros((100, 50), bool)
    unknown[99, 0] = True
    assert window_around(unknown, 10, 32) == Window(64, 100, 0, 32)
    assert window_around(unknown, 10, 64) == Window(64, 100, 0, 50)
    assert window_around(unknown, 10, 96) == Window(32, 100, 0, 50)
    assert window_around(unknown, 10, None) == Window(0, 100, 0, 50)


@pytest.mark.parametrize("size", [100, 1000, 3000])
@pytest.mark.parametrize("side", [64, 256, 1024])
def test_window_holds_the_unknown_pixels_and_their_margin(size: int, side: int) -> None:
    for first, last in ((0, 3), (size // 3, size // 2), (size - 40, size - 1), (0, size - 1), (size - 1, size - 1)):
        unknown = np.zeros((1, size), bool)
        unknown[0, [first, last]] = True
        window = window_around(unknown, 40, side)
        assert window.left % 32 == 0
        assert window.left <= max(first - 40, 0)
        assert window.right >= min(last + 41, size)
        needed = min(last + 41, size) - max(first - 40, 0)
        assert window.right - window.left < max(needed + 32, side + 1)


class _Exhausted:
    """A network in whose forward memory runs out for anything larger than so many pixels."""

    def __init__(self, network, pixels: int, error: Exception) -> None:  # type: ignore[no-untyped-def]
        self.network, self.pixels, self.error = network, pixels, error
        self.sizes: list[tuple[int, int]] = []

    def modules(self):  # type: ignore[no-untyped-def]
        return self.network.modules()

    def __call__(self, batch):  # type: ignore[no-untyped-def]
        self.sizes.append(tuple(batch.shape[2:]))
        if batch.shape[2] * batch.shape[3] > self.pixels:
            raise self.error
        return self.network(batch)


@pytest.mark.parametrize(
    "error",
    [
        torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
        MemoryError(),
    ],
)
def test_tiles_are_halved_where_memory_runs_out(
    folder: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = VitMatte.load(folder, device="cpu")
    monkeypatch.setattr(neural, "_SMALLEST", 64)
    image, trimap = scene(64, 160)
    expected = model.predict(image, trimap, tile=64)
    model._network._call = network = _Exhausted(model._network.module, 64 * 64, error)
    told: list[str] = []
    alpha = model.predict(image, trimap, tile=256, warn=told.append)
    np.testing.assert_array_equal(alpha, expected)
    assert network.sizes[:3] == [(64, 160), (64, 128), (64, 64)]
    assert [line.split(" tiles of ")[1].split()[0] for line in told] == ["128", "64"]


def test_too_little_memory_for_small_tiles_is_said(folder: Path) -> None:
    model = VitMatte.load(folder, device="cpu")
    model._network._call = _Exhausted(model._network.module, 100, MemoryError())
    image, trimap = scene(300, 300)
    with pytest.raises(DeviceError, match="even in tiles of 256 pixels"):
        model.predict(image, trimap, warn=lambda line: None)


def test_other_errors_are_not_taken_for_lack_of_memory(folder: Path) -> None:
    model = VitMatte.load(folder, device="cpu")
    model._network._call = _Exhausted(model._network.module, 100, RuntimeError("something else"))
    with pytest.raises(ModelError, match="something else"):
        model.predict(*scene(100, 100))


def test_cancelling_stops_within_a_tile_and_the_model_stays_usable(folder: Path) -> None:
    model = VitMatte.load(folder, device="cpu")
    image, trimap = scene(64, 64)
    before = model.predict(image, trimap)
    layers = [layer for layer in model._network.module.modules() if not any(layer.children())]
    ran: list[object] = []
    slow = [
        layer.register_forward_hook(lambda *_: (ran.append(None), time.sleep(0.05))[1])  # type: ignore[func-returns-value]
        for layer in layers
    ]
    heard: list[float] = []

    def stop(fraction: float, message: str) -> None:
        heard.append(fraction)
        if ran:
            raise Cancelled

    with pytest.raises(Cancelled):
        model.predict(image, trimap, progress=stop)
    assert len(ran) < len(layers) / 2
    assert heard == sorted(heard)
    for hook in slow:
        hook.remove()
    np.testing.assert_array_equal(model.predict(image, trimap), before)


def test_progress_rises_to_one_and_names_the_tile(model: VitMatte) -> None:
    heard: list[tuple[float, str]] = []
    model.predict(*scene(100, 250), tile=128, progress=lambda fraction, text: heard.append((fraction, text)))
    fractions = [fraction for fraction, _ in heard]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    assert any(text.endswith("tile 2 of 3") for _, text in heard)


def test_half_precision_is_close(folder: Path, model: VitMatte) -> None:
    image, trimap = scene(64, 96)
    half = VitMatte.load(folder, device="cpu", precision="bfloat16")
    assert half.precision == "bfloat16"
    assert model.precision == "float32"
    assert np.abs(half.predict(image, trimap) - model.predict(image, trimap)).mean() < 0.05


def test_numbers_that_are_none_are_not_passed_on(folder: Path) -> None:
    model = VitMatte.load(folder, device="cpu")
    with torch.no_grad():
        model._network.module.decoder.matting_head.matting_convs[3].bias.fill_(float("nan"))
    with pytest.raises(ModelError, match="float32"):
        model.predict(*scene(40, 40))


# Trimaps and pictures that cannot be used: as closed_form_alpha answers them.


def test_nothing_unknown_needs_no_model() -> None:
    trimap = np.array([[0, 1], [0.05, 0.95]], np.float32)
    alpha = vitmatte_alpha(np.zeros((2, 2, 3)), trimap, model="no such model")
    np.testing.assert_array_equal(alpha, [[0, 1], [0, 1]])


@pytest.mark.parametrize(("known", "lacks"), [(0.0, "foreground"), (1.0, "background"), (0.5, "foreground")])
def test_trimap_without_one_side_is_refused_as_by_closed_form(known: float, lacks: str) -> None:
    trimap = np.full((8, 8), 0.5, np.float32)
    trimap[0] = known
    for solve in (vitmatte_alpha, closed_form_alpha):
        with pytest.raises(InputError, match=f"no known {lacks}"):
            solve(np.zeros((8, 8, 3)), trimap)


@pytest.mark.parametrize(
    ("image", "trimap"),
    [
        (np.zeros((8, 8)), np.full((8, 8), 0.5)),
        (np.zeros((8, 8, 3)), np.full((8, 9), 0.5)),
        (np.full((8, 8, 3), np.nan), np.full((8, 8), 0.5)),
        (np.zeros((8, 8, 3)), np.full((8, 8), 1.5)),
        (np.zeros((0, 8, 3)), np.zeros((0, 8))),
    ],
)
def test_bad_arrays_are_refused_before_a_model_is_looked_for(image: np.ndarray, trimap: np.ndarray) -> None:
    with pytest.raises(InputError):
        vitmatte_alpha(image, trimap)


@pytest.mark.parametrize(
    ("error", "options"),
    [
        (InputError, {"device": "tpu"}),
        (InputError, {"precision": "int4"}),
        (DeviceError, {"precision": "int8"}),
        (InputError, {"normalisation": "none"}),
        (DeviceError, {"device": "cpu", "precision": "float16"}),
    ],
)
def test_unknown_choices_are_refused(folder: Path, error: type[Exception], options: dict[str, str]) -> None:
    with pytest.raises(error):
        VitMatte.load(folder, **options)  # type: ignore[arg-type]


def test_tile_too_small_is_refused(model: VitMatte) -> None:
    with pytest.raises(InputError, match="at least 64"):
        model.predict(*scene(40, 40), tile=32)


# Weights: where they are found, and what is said where they are not.


def test_missing_extra_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    image, trimap = scene(8, 8)
    with pytest.raises(MissingExtra, match=r"pip install 'gossamer\[vitmatte\]'"):
        vitmatte_alpha(image, trimap)


def test_a_recipe_takes_it_and_it_stays_warm(folder: Path, model: VitMatte, monkeypatch: pytest.MonkeyPatch) -> None:
    image, mask = np.random.default_rng(3).random((64, 80, 3), dtype=np.float32), np.zeros((64, 80), np.float32)
    mask[16:48, 20:60] = 1
    recipe = gossamer.Recipe.of({"matting": {"method": "vitmatte", "model": str(folder), "band": 6}})
    trimap = trimap_from_mask(mask, band=6)
    unload_vitmatte()
    loaded: list[str] = []
    load = VitMatte.load
    monkeypatch.setattr(VitMatte, "load", lambda name, **how: (loaded.append(name), load(name, **how))[1])
    for _ in range(2):
        alpha = gossamer.refine(image, mask, recipe, device="cpu").alpha
        np.testing.assert_array_equal(alpha, model.predict(image, trimap))
    assert loaded == [str(folder)]
    unload_vitmatte()
    gossamer.refine(image, mask, recipe, device="cpu")
    assert loaded == [str(folder)] * 2
