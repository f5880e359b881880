"""What networks are fed and how they are read, beside the libraries and the code of the models' authors."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import PIL.Image
import pytest
import skimage.data
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gossamer.errors import ModelError
from gossamer.resampling import bilinear_align_corners, eight_bit, pillow_resize
from gossamer.segmentation.postprocessing import postprocess
from gossamer.segmentation.preprocessing import letterbox_box, network_size, preprocess
from gossamer.weights.catalogue import InputSpec, OutputSpec

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
PLAIN = InputSpec(
    size=(64, 64), resize="bilinear", quantize="none", scale="255", mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)
)
READ = OutputSpec(index=0, activation="none", normalise="none", resize="bilinear")
BIREFNET = dataclasses.replace(PLAIN, size=(1024, 1024), resize="bilinear_antialias", **IMAGENET)
DYNAMIC = dataclasses.replace(BIREFNET, size=None, multiple=32, shortest=256, longest=2304)
MODNET = InputSpec(
    size=None,
    multiple=32,
    shortest=512,
    longest=512,
    resize="area",
    quantize="none",
    scale="255",
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
)


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Noise and a smooth part, so that rounding goes both ways."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(0, 255, height * width * 3).reshape(height, width, 3)
    noise = rng.integers(0, 256, (height, width, 3))
    return np.where(rng.random((height, width, 1)) < 0.5, ramp, noise).astype(np.uint8)


def unit(image: np.ndarray) -> np.ndarray:
    return image.astype(np.float32) / np.float32(255)


def to_tensor(image: PIL.Image.Image) -> torch.Tensor:
    """torchvision's ToTensor: bytes divided by 255."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float().div(255)


def normalised(tensor: torch.Tensor) -> np.ndarray:
    """torchvision's Normalize with ImageNet's numbers, as a batch of one."""
    mean, std = (torch.tensor(IMAGENET[name])[:, None, None] for name in ("mean", "std"))
    return tensor.sub(mean).div(std)[None].numpy()


@pytest.mark.parametrize("filter", ["bilinear", "lanczos"])
@settings(deadline=None, max_examples=25)
@given(height=st.integers(1, 400), width=st.integers(1, 400), seed=st.integers(0, 99))
def test_eight_bit_pictures_are_resized_as_pillow_does_to_the_last_bit(
    filter: str, height: int, width: int, seed: int
) -> None:
    image = picture(height, width, seed)
    kernel = PIL.Image.Resampling[filter.upper()]
    expected = np.asarray(PIL.Image.fromarray(image).resize((97, 60), kernel))
    for same in (unit(image), (image / 255).astype(np.float32), image * np.float32(1 / 255)):
        assert np.array_equal(pillow_resize(same, 60, 97, filter), unit(expected))


@pytest.mark.parametrize(("height", "width"), [(1300, 1800), (700, 500), (1024, 1024), (1, 1)])
def test_birefnet_is_fed_as_its_authors_do(height: int, width: int) -> None:
    """Resize((1024, 1024)), ToTensor, Normalize on a PIL picture, as in their notebook and model cards."""
    image = picture(height, width)
    small = PIL.Image.fromarray(image).resize((1024, 1024), PIL.Image.Resampling.BILINEAR)
    assert np.array_equal(preprocess(unit(image), BIREFNET), normalised(to_tensor(small)))


@pytest.mark.parametrize(("height", "width"), [(300, 417), (1025, 640), (511, 2304)])
def test_birefnet_dynamic_is_fed_at_the_pictures_size_cut_down_to_32(height: int, width: int) -> None:
    image = picture(height, width)
    size = [int(side // 32 * 32) for side in (width, height)]
    small = PIL.Image.fromarray(image).resize(size, PIL.Image.Resampling.BILINEAR)
    assert np.array_equal(preprocess(unit(image), DYNAMIC), normalised(to_tensor(small)))


def test_ben2_is_fed_as_its_authors_do() -> None:
    image = picture(900, 1250)
    small = PIL.Image.fromarray(image).resize((1024, 1024), resample=PIL.Image.Resampling.LANCZOS)
    spec = dataclasses.replace(BIREFNET, resize="lanczos")
    assert np.array_equal(preprocess(unit(image), spec), normalised(to_tensor(small)))


def authors_modnet(image: np.ndarray) -> np.ndarray:
    """onnx/inference_onnx.py of ZHKKKe/MODNet."""
    reference, (height, width) = 512, image.shape[:2]
    new_height, new_width = height, width
    if max(height, width) < reference or min(height, width) > reference:
        if width >= height:
            new_height, new_width = reference, int(width / height * reference)
        else:
            new_height, new_width = int(height / width * reference), reference
    new_height, new_width = new_height - new_height % 32, new_width - new_width % 32
    values = (image - 127.5) / 127.5
    values = cv2.resize(values, None, fx=new_width / width, fy=new_height / height, interpolation=cv2.INTER_AREA)
    return values.transpose(2, 0, 1)[None].astype(np.float32)


@pytest.mark.parametrize("shape", [(700, 1100), (1100, 700), (300, 200), (200, 300), (400, 900), (512, 512)])
def test_modnet_is_fed_as_its_authors_do(shape: tuple[int, int]) -> None:
    image = picture(*shape)
    expected = authors_modnet(image)
    ours = preprocess(unit(image), MODNET)
    assert ours.shape == expected.shape
    np.testing.assert_allclose(ours, expected, atol=2e-6)


def authors_anime(image: np.ndarray, run, side: int) -> np.ndarray:
    """get_mask in inference.py of SkyTNT/anime-segmentation."""
    values = (image / 255).astype(np.float32)
    full_height, full_width = values.shape[:2]
    if full_height > full_width:
        height, width = side, int(side * full_width / full_height)
    else:
        height, width = int(side * full_height / full_width), side
    top, left = (side - height) // 2, (side - width) // 2
    padded = np.zeros([side, side, 3], dtype=np.float32)
    padded[top : top + height, left : left + width] = cv2.resize(values, (width, height))
    result = run(padded.transpose(2, 0, 1)[None])[0]
    return cv2.resize(result[top : top + height, left : left + width], (full_width, full_height))


@pytest.mark.parametrize("shape", [(300, 401), (401, 300), (200, 200), (90, 1001)])
def test_anime_segmentation_is_fed_and_read_as_its_authors_do(shape: tuple[int, int]) -> None:
    image = picture(*shape)
    spec = dataclasses.replace(PLAIN, size=(128, 128), resize="letterbox")

    def run(batch: np.ndarray) -> np.ndarray:
        return batch.mean(axis=1) * np.linspace(0.1, 1, 128, dtype=np.float32)

    ours = postprocess(run(preprocess(unit(image), spec))[0], READ, *shape, fed=spec)
    np.testing.assert_allclose(ours, authors_anime(image, run, 128), atol=1e-6)


def test_a_deep_picture_keeps_its_depth() -> None:
    """Sixteen bits are never rounded to eight: steps that eight bits cannot hold arrive at the network."""
    ramp = np.linspace(0.5, 0.5 + 1 / 255, 2000 * 300 * 3).reshape(2000, 300, 3).astype(np.float32)
    fed = preprocess(ramp, dataclasses.replace(PLAIN, resize="bilinear_antialias"))
    assert len(np.unique(fed)) > 1000  # of 8 bits: 2
    assert abs(float(fed.mean()) - float(ramp.mean(dtype=np.float64))) < 1e-6
    assert eight_bit(ramp) is None
    assert np.array_equal(eight_bit(unit(picture(9, 7))), picture(9, 7))


@settings(deadline=None, max_examples=40)
@given(height=st.integers(1, 300), width=st.integers(1, 300))
def test_align_corners_equals_torch(height: int, width: int) -> None:
    small = np.random.default_rng(0).random((17, 31), dtype=np.float32)
    tensor = torch.from_numpy(small)[None, None]
    expected = torch.nn.functional.interpolate(tensor, (height, width), mode="bilinear", align_corners=True)
    np.testing.assert_allclose(bilinear_align_corners(small, height, width), expected[0, 0].numpy(), atol=1e-4)
    assert bilinear_align_corners(small[:1, :1], 3, 2).tolist() == [[small[0, 0]] * 2] * 3


def test_outputs_are_read_as_the_authors_read_them() -> None:
    logits = np.random.default_rng(1).normal(0, 60, (32, 48)).astype(np.float32)
    tensor = torch.from_numpy(logits)[None, None]

    def up(values: torch.Tensor, **options: object) -> torch.Tensor:
        return torch.nn.functional.interpolate(values, (70, 90), mode="bilinear", **options)[0, 0]

    def stretched(values: torch.Tensor) -> torch.Tensor:
        return (values - values.min()) / (values.max() - values.min())

    logistic = dataclasses.replace(READ, activation="sigmoid")
    for spec, expected in (
        (logistic, up(tensor.sigmoid())),  # BiRefNet
        (
            dataclasses.replace(logistic, normalise="before_resize", resize="bilinear_align_corners"),
            up(stretched(tensor.sigmoid()), align_corners=True),  # InSPyReNet
        ),
        (dataclasses.replace(logistic, normalise="after_resize"), stretched(up(tensor.sigmoid()))),  # BEN2
    ):
        np.testing.assert_allclose(postprocess(logits, spec, 70, 90), expected.numpy(), atol=2e-5)
    values = np.random.default_rng(2).random((64, 96), dtype=np.float32)
    expected_area = cv2.resize(values, (33, 20), interpolation=cv2.INTER_AREA)
    assert np.array_equal(postprocess(values, dataclasses.replace(READ, resize="area"), 20, 33), expected_area)


@pytest.mark.parametrize("where", ["before_resize", "after_resize"])
@pytest.mark.parametrize("value", [0.0, 0.013, 1.0])
def test_a_flat_output_does_not_become_a_subject(where: str, value: float) -> None:
    """Flat foreground stays; what the network hardly believes anywhere is nothing."""
    noise = np.random.default_rng(0).normal(0, 1e-4, (32, 32)).astype(np.float32)
    flat = np.clip(np.float32(value) + noise, 0, 1)
    mask = postprocess(flat, dataclasses.replace(READ, normalise=where), 50, 40)
    assert np.abs(mask - round(value)).max() < 1e-3


@pytest.mark.parametrize("where", ["before_resize", "after_resize", "none"])
def test_an_unsure_output_is_stretched_into_nothing(where: str) -> None:
    unsure = np.linspace(0, 0.15, 32 * 32, dtype=np.float32).reshape(32, 32)
    spec = dataclasses.replace(READ, normalise=where)
    assert postprocess(unsure, spec, 50, 40).max() == (pytest.approx(0.15, abs=0.01) if where == "none" else 0)
    sure = unsure * 6
    assert postprocess(sure, spec, 50, 40).max() == pytest.approx(0.9 if where == "none" else 1, abs=0.02)


def test_neither_the_picture_nor_the_prediction_is_changed() -> None:
    image = unit(picture(64, 64))
    before = image.copy()
    for resize in ("bilinear", "area", "bilinear_antialias", "lanczos", "skimage", "letterbox"):
        for quantize in ("none", "truncate") if resize == "bilinear" else ("none",):
            preprocess(image, dataclasses.replace(PLAIN, resize=resize, quantize=quantize, **IMAGENET))
    assert np.array_equal(image, before)
    prediction = np.random.default_rng(0).random((64, 64), dtype=np.float32)
    kept = prediction.copy()
    for normalise in ("none", "before_resize", "after_resize"):
        for resize in ("bilinear", "bilinear_align_corners", "area"):
            postprocess(prediction, dataclasses.replace(READ, normalise=normalise, resize=resize), 64, 64)
    assert np.array_equal(prediction, kept)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (200, 20000), (20000, 200), (2, 400), (3000, 1)])
@pytest.mark.parametrize("spec", [DYNAMIC, MODNET, dataclasses.replace(PLAIN, resize="letterbox")])
def test_extreme_shapes_have_a_network_size_that_memory_holds(spec: InputSpec, height: int, width: int) -> None:
    size = network_size(spec, height, width)
    assert min(size) >= 32
    assert max(size) <= 4096
    assert not size[0] % 32
    assert not size[1] % 32
    image = np.full((height, width, 3), 0.25, np.float32)
    fed = preprocess(image, spec)
    assert fed.shape == (1, 3, *size)
    mask = postprocess(fed[0, 0], READ, height, width, fed=spec)
    assert mask.shape == (height, width)
    assert np.allclose(mask, mask[0, 0], atol=1e-6)


def test_native_sizes_stay_within_what_the_network_was_trained_for() -> None:
    assert network_size(DYNAMIC, 1080, 1920) == (1056, 1920)
    assert network_size(DYNAMIC, 3000, 4000) == (1728, 2304)
    assert network_size(DYNAMIC, 100, 150) == (256, 384)
    assert network_size(DYNAMIC, 200, 20000) == (256, 2304)


def test_a_letterbox_lies_in_the_middle() -> None:
    assert letterbox_box((1024, 1024), 500, 1000) == (256, 0, 512, 1024)
    assert letterbox_box((1024, 1024), 1000, 500) == (0, 256, 1024, 512)
    assert letterbox_box((1024, 1024), 1, 20000) == (511, 0, 1, 1024)


def test_a_prediction_that_is_not_a_number_is_an_error() -> None:
    with pytest.raises(ModelError, match="not a number"):
        postprocess(np.full((4, 4), np.nan, np.float32), READ, 8, 8)


# -- pictures that are alike everywhere ---------------------------------------------------------------------------


def of_kind(kind: str, height: int = 320, width: int = 320) -> np.ndarray:
    """Noise of a kind, (3, H, W) in [0, 1]."""
    rng = np.random.default_rng(7)
    y, x = np.mgrid[:height, :width]
    grain = cv2.GaussianBlur(rng.normal(0, 1, (height, width)), (0, 0), 0.8)
    planes = {
        "grey": rng.random((height, width)),
        "binary": rng.random((height, width)) < 0.5,
        "salt and pepper": 0.5
        + 0.5 * (rng.random((height, width)) < 0.05)
        - 0.5 * (rng.random((height, width)) < 0.05),
        "film grain on a page": 0.4 + 0.05 * grain,
        "cloth": 0.5 + 0.1 * np.sin(1.1 * x) * np.sign(np.sin(1.3 * y)) + 0.04 * rng.normal(0, 1, (height, width)),
    }
    if kind == "coloured":
        return rng.random((3, height, width), dtype=np.float32)
    return np.repeat(planes[kind][None].astype(np.float32), 3, axis=0)


UNSURE = np.linspace(0, 0.85, 64 * 64, dtype=np.float32).reshape(64, 64)
STRETCHED = dataclasses.replace(READ, normalise="before_resize")


@pytest.mark.parametrize("kind", ["grey", "binary", "salt and pepper", "coloured", "film grain on a page", "cloth"])
def test_of_noise_only_a_sure_output_is_believed(kind: str) -> None:
    seen = of_kind(kind)
    assert postprocess(UNSURE, STRETCHED, 50, 40, seen=seen).max() == 0
    assert postprocess(UNSURE, STRETCHED, 50, 40).max() > 0.9  # of a part of a picture
    sure = np.zeros_like(UNSURE)
    sure[20:40, 20:40] = 0.99
    assert postprocess(sure, STRETCHED, 50, 40, seen=seen).max() > 0.9
    assert postprocess(UNSURE, READ, 50, 40, seen=seen).max() == pytest.approx(0.85, abs=0.02)  # nothing is stretched


def test_what_stands_out_of_noise_is_no_noise() -> None:
    """By its brightness, or by its texture alone; a gradient and a single line are something, too."""
    y, x = np.mgrid[:320, :320]
    disc = np.hypot(y - 150, x - 90) < 12
    brighter, rougher, line = of_kind("film grain on a page"), of_kind("film grain on a page"), of_kind("cloth")
    brighter[:, disc] += 0.2
    rougher[:, disc] += 3 * (of_kind("grey")[:, disc] - 0.5)
    line[:, 160:163] = 1
    gradient = of_kind("grey") * 0.5 + np.linspace(0, 0.8, 320, dtype=np.float32)
    for seen in (brighter, rougher, line, gradient, skimage.data.astronaut()[::2, ::2].transpose(2, 0, 1)):
        assert postprocess(UNSURE, STRETCHED, 50, 40, seen=np.float32(seen)).max() > 0.9
